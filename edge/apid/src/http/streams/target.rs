//! Which Pod, container and node a stream goes to.

use crate::PodAccess;
use crate::http::Front;
use api::{ResourcePath, answer};
use model::{ApiError, Object, Resource};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses of a Node in the order in which the API server tries them
/// (`--kubelet-preferred-address-types`).
const PREFERRED: [&str; 5] = [
    "Hostname",
    "InternalDNS",
    "InternalIP",
    "ExternalDNS",
    "ExternalIP",
];

/// `defaultPort` of kubelets.
const KUBELET_PORT: i64 = 10250;

/// A Pod and, unless it has no node yet, who answers for it.
pub(in crate::http) struct Target {
    pub(in crate::http) pod: Arc<Object>,
    pub(in crate::http) container: String,
    pub(in crate::http) node: Node,
}

/// Where a Pod is.
pub(in crate::http) enum Node {
    /// Not bound yet
    None,
    /// Here
    Here(Arc<dyn PodAccess>),
    /// On a machine that is not there: its address, and what dialling it tells
    Elsewhere { host: String, why: String },
}

/// Finds the Pod of a path; with `container`, the container that is meant as well.
///
/// # Errors
/// There is no such Pod, container or Node.
pub(in crate::http) fn find(
    front: &Front,
    path: &ResourcePath,
    container: Option<&str>,
) -> Result<Target, ApiError> {
    let pod = front
        .hub
        .committed()
        .get(path.kind.resource, &path.namespace, &path.name, "")?;
    let value = pod.value();
    let container = match container {
        Some(asked) => choose(&pod, &value, asked)?,
        None => String::new(),
    };
    let name = value["spec"]["nodeName"].as_str().unwrap_or_default();
    let here = front.pods.as_ref().filter(|pods| pods.runs(&pod));
    let node = match here {
        _ if name.is_empty() => Node::None,
        Some(pods) => Node::Here(pods.clone()),
        None => elsewhere(front, path, name)?,
    };
    Ok(Target {
        pod,
        container,
        node,
    })
}

/// A node without a kubelet of ours. A Node that is missing is reported under the resource of
/// the request, as the real server does.
fn elsewhere(front: &Front, path: &ResourcePath, name: &str) -> Result<Node, ApiError> {
    let node = front.hub.committed().get(Resource::NODES, "", name, "");
    let node = node.map_err(|error| match error.code {
        404 => ApiError::not_found(path.kind.resource, name),
        _ => error,
    })?;
    let (host, port) = kubelet(&node.value())?;
    let why = match host.parse::<IpAddr>() {
        Ok(ip) => {
            let at = join(&ip.to_string(), port);
            format!("dial tcp {at}: connect: connection refused")
        }
        Err(_) => format!("dial tcp: lookup {host}: no such host"),
    };
    Ok(Node::Elsewhere {
        host: join(&host, port),
        why,
    })
}

/// Address and port of a Node's kubelet.
///
/// # Errors
/// The Node names no address.
pub(super) fn kubelet(node: &Value) -> Result<(String, i64), ApiError> {
    let status = &node["status"];
    let list = status["addresses"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let of = |kind: &str| {
        let mut all = list.iter();
        all.find(|address| address["type"] == kind)
            .and_then(|address| address["address"].as_str())
    };
    let host = PREFERRED.iter().find_map(|kind| of(kind));
    let host = host.ok_or_else(|| {
        let known: Vec<String> = list
            .iter()
            .map(|address| {
                let text = |key: &str| address[key].as_str().unwrap_or_default().to_owned();
                format!("{{{} {}}}", text("type"), text("address"))
            })
            .collect();
        answer::plain_500(format!(
            "no preferred addresses found; known addresses: [{}]",
            known.join(" ")
        ))
    })?;
    let port = status["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_i64();
    let port = port.filter(|port| *port > 0).unwrap_or(KUBELET_PORT);
    Ok((host.to_owned(), port))
}

/// `host:port`, with brackets around an IPv6 address.
pub(super) fn join(host: &str, port: impl std::fmt::Display) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The container that is meant: the one that was asked for, or the only one.
fn choose(pod: &Object, value: &Value, asked: &str) -> Result<String, ApiError> {
    let names = |key: &str| -> Vec<String> {
        let list = value["spec"][key].as_array().into_iter().flatten();
        list.filter_map(|c| c["name"].as_str())
            .map(str::to_owned)
            .collect()
    };
    let main = names("containers");
    let mut all = names("initContainers");
    all.extend(main.iter().cloned());
    all.extend(names("ephemeralContainers"));
    let name = &pod.meta.name;
    let text = match (asked, main.as_slice()) {
        ("", [only]) => return Ok(only.clone()),
        ("", []) => format!("a container name must be specified for pod {name}"),
        ("", _) => format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            all.join(" ")
        ),
        _ if all.iter().any(|known| known == asked) => return Ok(asked.to_owned()),
        _ => format!("container {asked} is not valid for pod {name}"),
    };
    Err(answer::bad_request(text))
}
