//! What is accepted and still worth a word.

use super::spec::Spec;
use super::validate::TOPOLOGY_HINTS;
use crate::field::ip;
use crate::net::fields::annotation;
use serde_json::Value;

/// `GetWarningsForService`
pub(super) fn about(service: &Value) -> Vec<String> {
    let spec = Spec::of(service);
    let headless = spec.is("ClusterIP") && spec.cluster_ip == "None";
    let mut all = Vec::new();
    if annotation(service, TOPOLOGY_HINTS).is_some() {
        all.push(format!(
            "annotation {TOPOLOGY_HINTS} is deprecated, please use \
             service.kubernetes.io/topology-mode instead"
        ));
    }
    if !spec.cluster_ip.is_empty() && spec.cluster_ip != "None" {
        all.extend(of_addresses("clusterIPs", &spec.cluster_ips));
    }
    if headless {
        all.extend(ignored_when_headless(&spec));
    }
    all.extend(of_addresses("externalIPs", &spec.external_ips));
    if !spec.external_ips.is_empty() && !headless && !spec.is_external_name() {
        let text = "spec.externalIPs is deprecated and may no longer be implemented in some \
                    clusters";
        all.push(text.to_owned());
    }
    all.extend(ip::ip_warnings(
        "spec.loadBalancerIP",
        &spec.load_balancer_ip,
    ));
    for (i, range) in spec.load_balancer_source_ranges.iter().enumerate() {
        let field = format!("spec.loadBalancerSourceRanges[{i}]");
        all.extend(ip::cidr_warnings(&field, range));
    }
    all.extend(ignored_by_type(&spec));
    if spec.traffic_distribution.as_deref() == Some("PreferClose") {
        let text = r#"spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone""#;
        all.push(text.to_owned());
    }
    all
}

fn of_addresses(field: &str, addresses: &[String]) -> Vec<String> {
    let all = addresses.iter().enumerate();
    all.flat_map(|(i, address)| ip::ip_warnings(&format!("spec.{field}[{i}]"), address))
        .collect()
}

fn ignored_when_headless(spec: &Spec) -> Vec<String> {
    [
        (!spec.load_balancer_ip.is_empty(), "loadBalancerIP"),
        (!spec.external_ips.is_empty(), "externalIPs"),
        (spec.session_affinity != "None", "SessionAffinity"),
    ]
    .into_iter()
    .filter(|(set, _)| *set)
    .map(|(_, field)| format!("spec.{field} is ignored for headless services"))
    .collect()
}

fn ignored_by_type(spec: &Spec) -> Option<String> {
    if spec.is_external_name() && !spec.external_ips.is_empty() {
        return Some(r#"spec.externalIPs is ignored when spec.type is "ExternalName""#.to_owned());
    }
    (!spec.is_external_name() && !spec.external_name.is_empty())
        .then(|| r#"spec.externalName is ignored when spec.type is not "ExternalName""#.to_owned())
}
