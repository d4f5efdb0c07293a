//! Where a proxied request goes.

use crate::PodAccess;
use crate::http::Front;
use crate::http::streams::target;
use api::{ResourcePath, answer};
use model::{ApiError, Object, Resource};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest wait for a connection, as Go's default transport has it.
const DIAL: Duration = Duration::from_secs(30);

/// A Pod's address and port.
pub(super) struct Place {
    pub(super) https: bool,
    ip: IpAddr,
    /// A number, or what was asked for in its place
    port: Result<u16, String>,
    /// Set when the Pod runs here
    here: Option<(Arc<dyn PodAccess>, Arc<Object>)>,
}

/// `[https:]NAME[:PORT]`.
struct Id<'a> {
    https: bool,
    name: &'a str,
    port: &'a str,
}

impl<'a> Id<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => return None,
        };
        let known = matches!(scheme, "" | "http" | "https");
        (known && !name.is_empty()).then_some(Self {
            https: scheme == "https",
            name,
            port,
        })
    }
}

fn parse<'a>(path: &'a ResourcePath, kind: &str) -> Result<Id<'a>, ApiError> {
    Id::parse(&path.name)
        .ok_or_else(|| answer::bad_request(format!("invalid {kind} request {:?}", path.name)))
}

/// An object that the path leads to. One that is missing is reported under the path's resource.
fn get(
    front: &Front,
    path: &ResourcePath,
    resource: Resource,
    name: &str,
) -> Result<Arc<Object>, ApiError> {
    let found = front
        .hub
        .committed()
        .get(resource, &path.namespace, name, "");
    found.map_err(|error| match error.code {
        404 => ApiError::not_found(path.kind.resource, name),
        _ => error,
    })
}

impl Place {
    /// Finds out where the Pod or Service of a path is.
    ///
    /// # Errors
    /// There is nothing of that name, or nothing behind it.
    pub(super) fn find(front: &Front, path: &ResourcePath) -> Result<Self, ApiError> {
        match path.kind.plural.as_str() {
            "services" => service(front, path),
            _ => pod(front, path),
        }
    }

    /// `host:port`.
    pub(super) fn authority(&self) -> String {
        target::join(
            &self.ip.to_string(),
            match &self.port {
                Ok(port) => port.to_string(),
                Err(text) => text.clone(),
            },
        )
    }

    pub(super) fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Connects.
    ///
    /// # Errors
    /// Why that fails, as Go's `net` says it.
    pub(super) async fn dial(&self) -> Result<TcpStream, String> {
        let port = match &self.port {
            Ok(port) => *port,
            Err(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(format!("dial tcp: address {text}: invalid port"));
            }
            Err(text) => return Err(format!("dial tcp: lookup tcp/{text}: unknown port")),
        };
        if let Some((pods, pod)) = &self.here {
            return pods.dial(pod.clone(), port).await;
        }
        let at = SocketAddr::new(self.ip, port);
        let stream = tokio::time::timeout(DIAL, TcpStream::connect(at)).await;
        let stream = stream.map_err(|_| format!("dial tcp {at}: i/o timeout"))?;
        stream.map_err(|error| match error.kind() {
            std::io::ErrorKind::ConnectionRefused => {
                format!("dial tcp {at}: connect: connection refused")
            }
            _ => format!("dial tcp {at}: connect: {error}"),
        })
    }
}

/// A Pod's address. Only Pods that run here may have one of this machine's own.
fn reach(front: &Front, pod: Arc<Object>, ip: &str) -> Result<Reached, ApiError> {
    let refused = || answer::bad_request("address not allowed");
    let ip: IpAddr = ip.parse().map_err(|_| refused())?;
    let here = front.pods.as_ref().filter(|pods| pods.runs(&pod));
    if let Some(pods) = here {
        return Ok((ip, Some((pods.clone(), pod))));
    }
    let local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    if local || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() {
        return Err(refused());
    }
    Ok((ip, None))
}

type Reached = (IpAddr, Option<(Arc<dyn PodAccess>, Arc<Object>)>);

fn pod(front: &Front, path: &ResourcePath) -> Result<Place, ApiError> {
    let id = parse(path, "pod")?;
    let pod = get(front, path, Resource::PODS, id.name)?;
    let value = pod.value();
    let containers = value["spec"]["containers"].as_array();
    let ports = containers.into_iter().flatten().flat_map(|container| {
        let ports = container["ports"].as_array();
        ports.into_iter().flatten()
    });
    let port = pod_port(ports, &id);
    let ip = value["status"]["podIPs"][0]["ip"].as_str();
    let (ip, here) = reach(front, pod, ip.unwrap_or_default())?;
    Ok(Place {
        https: id.https,
        ip,
        port,
        here,
    })
}

/// The port that is asked for by number or name; else the first that a container declares.
fn pod_port<'a>(mut declared: impl Iterator<Item = &'a Value>, id: &Id) -> Result<u16, String> {
    let number = |port: &Value| {
        port["containerPort"]
            .as_u64()
            .and_then(|n| u16::try_from(n).ok())
    };
    if id.port.is_empty() {
        let default = if id.https { 443 } else { 80 };
        return Ok(declared.next().and_then(number).unwrap_or(default));
    }
    if let Ok(port) = id.port.parse() {
        return Ok(port);
    }
    let named = declared.find(|port| port["name"] == id.port);
    named.and_then(number).ok_or_else(|| id.port.to_owned())
}

fn service(front: &Front, path: &ResourcePath) -> Result<Place, ApiError> {
    let id = parse(path, "service")?;
    let none = |name: &str| unavailable(format!("no endpoints available for service {name:?}"));
    let mut port = id.port.to_owned();
    if let Ok(number) = id.port.parse::<i64>() {
        let service = get(front, path, Resource::SERVICES, id.name)?.value();
        let mut ports = service["spec"]["ports"].as_array().into_iter().flatten();
        let found = ports.find(|port| port["port"] == number);
        let found = found.ok_or_else(|| {
            unavailable(format!(
                "no service port {number} found for service {:?}",
                id.name
            ))
        })?;
        port = found["name"].as_str().unwrap_or_default().to_owned();
    }
    let endpoints = get(front, path, Resource::ENDPOINTS, id.name)?.value();
    let subsets = endpoints["subsets"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if subsets.is_empty() {
        return Err(none(id.name));
    }
    for subset in from_random(subsets) {
        let mut ports = subset["ports"].as_array().into_iter().flatten();
        let named = |p: &&Value| p["name"].as_str().unwrap_or_default() == port;
        let Some(number) = ports.find(named).and_then(|port| port["port"].as_u64()) else {
            continue;
        };
        let addresses = subset["addresses"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let backing = from_random(addresses).find_map(|address| backing(front, path, address));
        if let Some((ip, here)) = backing {
            return Ok(Place {
                https: id.https,
                ip,
                port: u16::try_from(number).map_err(|_| number.to_string()),
                here,
            });
        }
    }
    Err(none(&path.name))
}

/// All items, beginning with any.
fn from_random(items: &[Value]) -> impl Iterator<Item = &Value> {
    let count = items.len().max(1) as u64;
    let start = usize::try_from(crate::clock::random() % count).unwrap_or(0);
    items[start..].iter().chain(&items[..start])
}

/// An endpoint that is a Pod's: others are not connected to, since whoever may write Endpoints
/// could name any address.
fn backing(front: &Front, path: &ResourcePath, address: &Value) -> Option<Reached> {
    let pod = &address["targetRef"];
    if pod["namespace"].as_str() != Some(&path.namespace) {
        return None;
    }
    let pod = get(front, path, Resource::PODS, pod["name"].as_str()?).ok()?;
    let value = pod.value();
    let mut ips = value["status"]["podIPs"].as_array().into_iter().flatten();
    if !ips.any(|ip| ip["ip"] == address["ip"]) {
        return None;
    }
    reach(front, pod, address["ip"].as_str()?).ok()
}

fn unavailable(message: String) -> ApiError {
    ApiError::new(503, "ServiceUnavailable", message)
}

/// The address of a Node's kubelet; nothing for the Node that this server is.
///
/// # Errors
/// There is no such Node, or nothing is known of its address.
pub(super) fn node(front: &Front, path: &ResourcePath) -> Result<Option<String>, ApiError> {
    let id = parse(path, "node")?;
    let node = get(front, path, Resource::NODES, id.name)?;
    if front
        .pods
        .as_ref()
        .is_some_and(|pods| pods.is_node(id.name))
    {
        return Ok(None);
    }
    let (host, _) = target::kubelet(&node.value())?;
    if host.parse::<IpAddr>().is_err() {
        let text = format!("lookup {host}: no such host");
        return Err(answer::bad_request(text));
    }
    Ok(Some(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_split_as_upstream_does() {
        let all = |text| Id::parse(text).map(|id| (id.https, id.name, id.port));
        assert_eq!(all("a"), Some((false, "a", "")));
        assert_eq!(all("a:80"), Some((false, "a", "80")));
        assert_eq!(all("https:a:web"), Some((true, "a", "web")));
        assert_eq!(all(":a:"), Some((false, "a", "")));
        for bad in ["", ":80", "ftp:a:80", "http::80", "a:b:c:d"] {
            assert_eq!(all(bad), None, "{bad}");
        }
    }

    #[test]
    fn ports_of_pods_have_numbers_and_names() {
        let declared = [
            json!({"containerPort": 8080, "name": "web"}),
            json!({"containerPort": 9090, "name": "admin"}),
        ];
        let port = |id| pod_port(declared.iter(), &Id::parse(id).unwrap());
        assert_eq!(port("p"), Ok(8080));
        assert_eq!(port("p:admin"), Ok(9090));
        assert_eq!(port("p:1"), Ok(1));
        assert_eq!(port("p:99999"), Err("99999".to_owned()));
        assert_eq!(
            pod_port([].iter(), &Id::parse("https:p:").unwrap()),
            Ok(443)
        );
    }
}
