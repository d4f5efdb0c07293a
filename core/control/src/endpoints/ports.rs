//! Ports of endpoints as values that can be compared.

use crate::pods::Pod;
use model::{Protocol, Service, TargetPort};
use serde_json::{Value, json};

/// One port of a slice or a subset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) protocol: String,
    pub(super) port: Option<i64>,
    pub(super) app_protocol: Option<String>,
}

impl Port {
    /// Reads an element of `ports`.
    pub(super) fn parse(value: &Value) -> Self {
        let text = |field: &str| value.get(field).and_then(Value::as_str);
        Self {
            name: text("name").unwrap_or_default().to_owned(),
            protocol: text("protocol").unwrap_or("TCP").to_owned(),
            port: value.get("port").and_then(Value::as_i64),
            app_protocol: text("appProtocol").map(str::to_owned),
        }
    }

    /// As it stands in an EndpointSlice, where an empty name is written.
    pub(super) fn in_slice(&self) -> Value {
        let mut out = json!({"name": self.name, "protocol": self.protocol, "port": self.port});
        if let Some(protocol) = &self.app_protocol {
            out["appProtocol"] = protocol.as_str().into();
        }
        out
    }

    /// As it stands in Endpoints, where an empty name is left out.
    pub(super) fn in_subset(&self) -> Value {
        let mut out = json!({"protocol": self.protocol, "port": self.port});
        if !self.name.is_empty() {
            out["name"] = self.name.as_str().into();
        }
        if let Some(protocol) = &self.app_protocol {
            out["appProtocol"] = protocol.as_str().into();
        }
        out
    }
}

/// The ports of a list, `null` reading as empty.
pub(super) fn parse_all(list: &[Value]) -> Vec<Port> {
    list.iter().map(Port::parse).collect()
}

/// A list of ports whose order means nothing.
pub(super) fn sorted(mut ports: Vec<Port>) -> Vec<Port> {
    ports.sort();
    ports
}

/// The ports of a Service on one Pod; a named target that the Pod has not is left out.
pub(super) fn of_pod(service: &Service, pod: &Pod) -> Vec<Port> {
    let found = service.ports.iter().filter_map(|port| {
        let number = match &port.target_port {
            None => Some(port.port),
            Some(TargetPort::Number(number)) => Some(*number),
            Some(TargetPort::Name(name)) => pod.named_port(name, port.protocol),
        }?;
        Some(Port {
            name: port.name.clone(),
            protocol: Protocol::as_str(port.protocol).to_owned(),
            port: Some(i64::from(number)),
            app_protocol: port.app_protocol.clone(),
        })
    });
    found.collect()
}
