//! Services and EndpointSlices as the tests write them.

use kernel::lab::Lab;
use serde_json::{Map, Value, json};

/// A Service `name` with number `n`: ClusterIPs 10.96.0.`n` and fd00:96::`n`, port 80 over TCP and
/// UDP to target port 8080, NodePorts 30000 + `n`.
pub(crate) fn service(name: &str, n: u16, kind: &str) -> Value {
    let node_port = |mut port: Value| {
        if kind != "ClusterIP" {
            port["nodePort"] = json!(30000 + n);
        }
        port
    };
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}")},
        "spec": {
            "type": kind,
            "clusterIP": format!("10.96.0.{n}"),
            "clusterIPs": [format!("10.96.0.{n}"), format!("fd00:96::{n}")],
            "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack",
            "ports": [
                node_port(json!({"name": "tcp", "protocol": "TCP", "port": 80, "targetPort": 8080})),
                node_port(json!({"name": "udp", "protocol": "UDP", "port": 80, "targetPort": 8080})),
            ],
        },
    })
}

/// The same with fields of `spec` set besides.
pub(crate) fn with(mut service: Value, spec: Value) -> Value {
    merge(&mut service["spec"], spec);
    service
}

/// The same with load balancer addresses 198.51.100.`n` and 2001:db8:51::`n`.
pub(crate) fn balanced(mut service: Value, n: u16, mode: &str) -> Value {
    service["status"] = json!({"loadBalancer": {"ingress": [
        {"ip": format!("198.51.100.{n}"), "ipMode": mode},
        {"ip": format!("2001:db8:51::{n}"), "ipMode": mode},
    ]}});
    service
}

/// The same with an annotation.
pub(crate) fn annotated(mut object: Value, key: &str, value: &str) -> Value {
    object["metadata"]["annotations"][key] = json!(value);
    object
}

/// The same with a label.
pub(crate) fn labelled(mut object: Value, key: &str, value: &str) -> Value {
    object["metadata"]["labels"][key] = json!(value);
    object
}

fn merge(into: &mut Value, from: Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else {
        return;
    };
    into.extend(from);
}

/// An endpoint on a Pod of the laboratory.
#[derive(Clone, Debug)]
pub(crate) struct Ep {
    pod: usize,
    conditions: Map<String, Value>,
    hints: Value,
}

/// A ready endpoint on Pod number `pod`, from 1.
pub(crate) fn ep(pod: usize) -> Ep {
    Ep {
        pod,
        conditions: Map::new(),
        hints: Value::Null,
    }
}

impl Ep {
    fn condition(mut self, name: &str, value: bool) -> Self {
        self.conditions.insert(name.to_owned(), json!(value));
        self
    }

    /// On its way out, and still serving or not.
    pub(crate) fn terminating(self, serving: bool) -> Self {
        self.condition("ready", false)
            .condition("serving", serving)
            .condition("terminating", true)
    }

    /// Not ready.
    pub(crate) fn unready(self) -> Self {
        self.condition("ready", false).condition("serving", false)
    }

    /// Meant for that zone.
    pub(crate) fn for_zone(mut self, zone: &str) -> Self {
        self.hints["forZones"] = json!([{"name": zone}]);
        self
    }

    /// Meant for that node.
    pub(crate) fn for_node(mut self, node: &str) -> Self {
        self.hints["forNodes"] = json!([{"name": node}]);
        self
    }

    fn value(&self, lab: &Lab, ipv4: bool) -> Value {
        let pod = &lab.pods[self.pod - 1];
        let [v4, v6] = pod.machine.addresses.both();
        let mut value = json!({
            "addresses": [if ipv4 { v4 } else { v6 }],
            "nodeName": lab.nodes[pod.node].machine.name,
            "conditions": self.conditions,
            "targetRef": {"kind": "Pod", "namespace": "default", "name": pod.machine.name},
        });
        if !self.hints.is_null() {
            value["hints"] = self.hints.clone();
        }
        value
    }
}

/// The two EndpointSlices of a Service made by [`service`].
pub(crate) fn slices(lab: &Lab, service: &str, endpoints: &[Ep]) -> [Value; 2] {
    let ports = json!([
        {"name": "tcp", "protocol": "TCP", "port": 8080},
        {"name": "udp", "protocol": "UDP", "port": 8080},
    ]);
    slices_with(lab, service, "", endpoints, &ports)
}

/// Two EndpointSlices with these ports, and a suffix to their names.
pub(crate) fn slices_with(
    lab: &Lab,
    service: &str,
    suffix: &str,
    endpoints: &[Ep],
    ports: &Value,
) -> [Value; 2] {
    [("IPv4", "v4"), ("IPv6", "v6")].map(|(kind, short)| {
        let endpoints: Vec<Value> = endpoints
            .iter()
            .map(|endpoint| endpoint.value(lab, kind == "IPv4"))
            .collect();
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{service}-{short}{suffix}"), "namespace": "default",
                "labels": {"kubernetes.io/service-name": service},
            },
            "addressType": kind, "ports": ports, "endpoints": endpoints,
        })
    })
}

/// A Node with a zone.
pub(crate) fn node(name: &str, zone: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
    })
}
