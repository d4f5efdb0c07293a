//! Rows of Services and what belongs to them.

use super::cells::{SHOWN, age, items, name, number, shortened, text, text_or};
use super::selector::labels;
use model::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) fn service(service: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &service["spec"];
    let cluster = items(&spec["clusterIPs"])
        .first()
        .map_or("<none>", |address| text(address));
    let ports: Vec<String> = items(&spec["ports"]).iter().map(port).collect();
    let ports = if ports.is_empty() {
        "<none>".to_owned()
    } else {
        ports.join(",")
    };
    vec![
        name(service),
        text(&spec["type"]).into(),
        cluster.into(),
        external(service).into(),
        ports.into(),
        age(service, now),
        labels(&spec["selector"]).into(),
    ]
}

fn port(port: &Value) -> String {
    let (number_, protocol) = (number(&port["port"]), text(&port["protocol"]));
    match number(&port["nodePort"]) {
        0 => format!("{number_}/{protocol}"),
        node => format!("{number_}:{node}/{protocol}"),
    }
}

fn external(service: &Value) -> String {
    let spec = &service["spec"];
    let fixed: Vec<String> = items(&spec["externalIPs"])
        .iter()
        .map(|address| text(address).to_owned())
        .collect();
    let (all, none) = match text(&spec["type"]) {
        "ClusterIP" | "NodePort" => (fixed, "<none>"),
        "LoadBalancer" => {
            let mut all = load_balancer(&service["status"]);
            all.extend(fixed);
            (all, "<pending>")
        }
        "ExternalName" => return text(&spec["externalName"]).to_owned(),
        _ => return "<unknown>".to_owned(),
    };
    if all.is_empty() {
        none.to_owned()
    } else {
        all.join(",")
    }
}

/// Addresses or names in `status.loadBalancer`, sorted, each once.
fn load_balancer(status: &Value) -> Vec<String> {
    let points = items(&status["loadBalancer"]["ingress"]).iter();
    let points = points.map(|point| text_or(&point["ip"], text(&point["hostname"])));
    let points: BTreeSet<&str> = points.filter(|point| !point.is_empty()).collect();
    points.into_iter().map(str::to_owned).collect()
}

pub(super) fn endpoints(object: &Value, now: Timestamp) -> Vec<Value> {
    let subsets = items(&object["subsets"]);
    let shown = if subsets.is_empty() {
        "<none>".to_owned()
    } else {
        addresses(subsets)
    };
    vec![name(object), shown.into(), age(object, now)]
}

fn addresses(subsets: &[Value]) -> String {
    let mut shown = Vec::new();
    let mut total = 0;
    for subset in subsets {
        let addresses = items(&subset["addresses"]);
        let ports: Vec<Option<i64>> = match items(&subset["ports"]) {
            [] => vec![None],
            ports => ports
                .iter()
                .map(|port| Some(number(&port["port"])))
                .collect(),
        };
        for port in ports {
            total += addresses.len();
            let room = SHOWN - shown.len();
            let first = addresses.iter().take(room);
            shown.extend(first.map(|address| host_port(text(&address["ip"]), port)));
        }
    }
    shortened(&shown, total)
}

fn host_port(address: &str, port: Option<i64>) -> String {
    match port {
        None => address.to_owned(),
        Some(port) if address.contains(':') => format!("[{address}]:{port}"),
        Some(port) => format!("{address}:{port}"),
    }
}

pub(super) fn slice(slice: &Value, now: Timestamp) -> Vec<Value> {
    let ports = items(&slice["ports"])
        .iter()
        .map(|port| match port["port"].as_i64() {
            Some(number) => number.to_string(),
            None => port["name"].as_str().unwrap_or("*").to_owned(),
        });
    let endpoints = items(&slice["endpoints"]).iter();
    let addresses = endpoints.flat_map(|endpoint| items(&endpoint["addresses"]));
    vec![
        name(slice),
        text(&slice["addressType"]).into(),
        set_or_unset(ports).into(),
        set_or_unset(addresses.map(|address| text(address).to_owned())).into(),
        age(slice, now),
    ]
}

fn set_or_unset(all: impl Iterator<Item = String>) -> String {
    let mut shown: Vec<String> = all.collect();
    let total = shown.len();
    shown.truncate(SHOWN);
    match shortened(&shown, total).as_str() {
        "" => "<unset>".to_owned(),
        text => text.to_owned(),
    }
}

pub(super) fn ingress(ingress: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &ingress["spec"];
    let ports = if items(&spec["tls"]).is_empty() {
        "80"
    } else {
        "80, 443"
    };
    vec![
        name(ingress),
        spec["ingressClassName"].as_str().unwrap_or("<none>").into(),
        hosts(items(&spec["rules"])).into(),
        load_balancer(&ingress["status"]).join(",").into(),
        ports.into(),
        age(ingress, now),
    ]
}

/// Rules behind the one that fills the list are counted, whether they have a host or not.
fn hosts(rules: &[Value]) -> String {
    let mut shown: Vec<&str> = Vec::new();
    let mut more = false;
    for rule in rules {
        more |= shown.len() == SHOWN;
        let host = text(&rule["host"]);
        if !more && !host.is_empty() {
            shown.push(host);
        }
    }
    match (shown.is_empty(), more) {
        (true, _) => "*".to_owned(),
        (false, true) => format!("{} + {} more...", shown.join(","), rules.len() - SHOWN),
        (false, false) => shown.join(","),
    }
}

pub(super) fn ingress_class(class: &Value, now: Timestamp) -> Vec<Value> {
    let meta = &class["metadata"];
    let default = meta["annotations"]["ingressclass.kubernetes.io/is-default-class"] == "true";
    let suffix = if default { " (default)" } else { "" };
    let spec = &class["spec"];
    vec![
        format!("{}{suffix}", text(&meta["name"])).into(),
        text(&spec["controller"]).into(),
        parameters(&spec["parameters"]).into(),
        age(class, now),
    ]
}

fn parameters(parameters: &Value) -> String {
    if !parameters.is_object() {
        return "<none>".to_owned();
    }
    let (kind, name) = (text(&parameters["kind"]), text(&parameters["name"]));
    match parameters["apiGroup"].as_str() {
        Some(group) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

pub(super) fn service_cidr(object: &Value, now: Timestamp) -> Vec<Value> {
    let cidrs: Vec<&str> = items(&object["spec"]["cidrs"]).iter().map(text).collect();
    vec![name(object), cidrs.join(",").into(), age(object, now)]
}

/// One cell more than there are columns, as kube-apiserver has it.
pub(super) fn ip_address(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(object),
        parent(&object["spec"]["parentRef"]).into(),
        age(object, now),
    ]
}

fn parent(parent: &Value) -> String {
    if !parent.is_object() {
        return "<none>".to_owned();
    }
    let mut path = text(&parent["resource"]).to_owned();
    for (separator, part) in [(".", "group"), ("/", "namespace")] {
        if !text(&parent[part]).is_empty() {
            let part = text(&parent[part]);
            path = format!("{path}{separator}{part}");
        }
        if separator == "." {
            path = path.to_lowercase();
        }
    }
    format!("{path}/{}", text(&parent["name"]))
}
