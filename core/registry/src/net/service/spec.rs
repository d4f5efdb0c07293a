//! What allocation and validation read of a Service.

use crate::net::fields::{child, nullable, read, set_number, set_text, set_texts};
use serde::Deserialize;
use serde_json::Value;

/// `spec`, as far as rules look at it. Numbers are wide, so that bad ones can be told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub(super) kind: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) ports: Vec<Port>,
    pub(super) selector: Option<serde_json::Map<String, Value>>,
    #[serde(rename = "clusterIP", deserialize_with = "nullable")]
    pub(super) cluster_ip: String,
    #[serde(rename = "clusterIPs", deserialize_with = "nullable")]
    pub(super) cluster_ips: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) ip_families: Vec<String>,
    pub(super) ip_family_policy: Option<String>,
    #[serde(rename = "externalIPs", deserialize_with = "nullable")]
    pub(super) external_ips: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) external_name: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) external_traffic_policy: String,
    pub(super) internal_traffic_policy: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) health_check_node_port: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) session_affinity: String,
    pub(super) session_affinity_config: Option<Value>,
    #[serde(rename = "loadBalancerIP", deserialize_with = "nullable")]
    pub(super) load_balancer_ip: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) load_balancer_source_ranges: Vec<String>,
    pub(super) load_balancer_class: Option<String>,
    pub(super) allocate_load_balancer_node_ports: Option<bool>,
    pub(super) traffic_distribution: Option<String>,
}

/// `spec.ports[]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Port {
    #[serde(deserialize_with = "nullable")]
    pub(super) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) protocol: String,
    pub(super) app_protocol: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) port: i64,
    pub(super) target_port: Option<Value>,
    #[serde(deserialize_with = "nullable")]
    pub(super) node_port: i64,
}

impl Spec {
    pub(super) fn of(service: &Value) -> Self {
        read(service.get("spec"))
    }

    /// Writes back what allocation may have changed.
    pub(super) fn write_allocated(&self, service: &mut Value) {
        let spec = child(service, "spec");
        set_text(spec, "clusterIP", &self.cluster_ip);
        set_texts(spec, "clusterIPs", &self.cluster_ips);
        set_texts(spec, "ipFamilies", &self.ip_families);
        match &self.ip_family_policy {
            Some(policy) => spec.insert("ipFamilyPolicy".to_owned(), policy.as_str().into()),
            None => spec.remove("ipFamilyPolicy"),
        };
        set_number(spec, "healthCheckNodePort", self.health_check_node_port);
        if let Some(Value::Array(ports)) = spec.get_mut("ports") {
            for (value, port) in ports.iter_mut().zip(&self.ports) {
                if let Value::Object(map) = value {
                    set_number(map, "nodePort", port.node_port);
                }
            }
        }
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// `type: LoadBalancer`
    pub(super) fn is_load_balancer(&self) -> bool {
        self.is("LoadBalancer")
    }

    /// `type: ExternalName`, the only one without cluster addresses
    pub(super) fn is_external_name(&self) -> bool {
        self.is("ExternalName")
    }

    /// The one cluster address is `None`.
    pub(super) fn is_headless(&self) -> bool {
        self.cluster_ips == ["None"]
    }

    /// The type may hold node ports.
    pub(super) fn has_node_ports(&self) -> bool {
        self.is("NodePort") || self.is_load_balancer()
    }

    /// Ports without a number get one.
    pub(super) fn wants_node_ports(&self) -> bool {
        self.is("NodePort")
            || (self.is_load_balancer() && self.allocate_load_balancer_node_ports != Some(false))
    }

    /// Reachable from outside, so that `externalTrafficPolicy` means something.
    pub(super) fn externally_accessible(&self) -> bool {
        self.has_node_ports() || (self.is("ClusterIP") && !self.external_ips.is_empty())
    }

    /// Needs a `healthCheckNodePort`.
    pub(super) fn needs_health_check(&self) -> bool {
        self.is_load_balancer() && self.external_traffic_policy == "Local"
    }

    pub(super) fn has_selector(&self) -> bool {
        self.selector.as_ref().is_some_and(|map| !map.is_empty())
    }

    /// The policy, empty when it is not set.
    pub(super) fn policy(&self) -> &str {
        self.ip_family_policy.as_deref().unwrap_or_default()
    }

    /// The node ports that are set, in order.
    pub(super) fn node_ports(&self) -> Vec<i64> {
        let all = self.ports.iter().map(|port| port.node_port);
        all.filter(|port| *port != 0).collect()
    }
}

/// The family of an address as `ipFamilies` names it.
pub(super) fn family_of(address: &str) -> &'static str {
    if crate::field::ip::is_ipv4(address) {
        "IPv4"
    } else if crate::field::ip::is_ipv6(address) {
        "IPv6"
    } else {
        "unknown"
    }
}

/// The family that is not `family`.
pub(super) fn other_family(family: &str) -> &'static str {
    if family == "IPv4" { "IPv6" } else { "IPv4" }
}
