//! Random Services, EndpointSlices, nodes and settings, few enough of each that they meet.

use model::Cidr;
use proptest::prelude::*;
use proptest::sample::select;
use proxy::kernel::{DetectLocal, NodePortAddresses, NodeSettings};
use serde_json::{Value, json};
use std::net::IpAddr;

/// The node that rules are for.
pub(crate) const HERE: &str = "here";

fn maybe(chance: f64) -> impl Strategy<Value = bool> {
    prop::bool::weighted(chance)
}

fn ports() -> impl Strategy<Value = Vec<Value>> {
    let port = (0..2u16, select(vec!["TCP", "UDP", "SCTP"]), 0..4u16);
    prop::collection::vec(port, 1..3).prop_map(|ports| {
        let port = |(number, protocol, node_port): (u16, &str, u16)| {
            let node_port = if node_port == 3 { 0 } else { 30000 + node_port };
            let name = format!("{}-{number}", protocol.to_lowercase());
            json!({"name": name, "protocol": protocol, "port": 80 + number, "nodePort": node_port})
        };
        ports.into_iter().map(port).collect()
    })
}

fn policy() -> impl Strategy<Value = &'static str> {
    select(vec!["Cluster", "Cluster", "Local"])
}

fn annotations() -> impl Strategy<Value = Value> {
    select(vec![
        json!({}),
        json!({}),
        json!({}),
        json!({"portolan.dev/balance": "consistent"}),
        json!({"portolan.dev/balance": "consistent-port"}),
        json!({"portolan.dev/balance": "fair"}),
        json!({"portolan.dev/weights": "10.244.0.1=3, pod-2=0,pod-3=x"}),
    ])
}

fn ranges() -> impl Strategy<Value = Vec<&'static str>> {
    let range = select(vec![
        "203.0.113.0/24",
        "203.0.113.7/32",
        " 192.0.2.0/25",
        "192.0.2.0/24",
        "0.0.0.0/0",
        "2001:db8:1::/48",
        "all",
    ]);
    prop_oneof![
        3 => Just(Vec::new()),
        2 => prop::collection::vec(range, 1..4),
    ]
}

fn addresses() -> impl Strategy<Value = Vec<String>> {
    (0..4u8, 0..4u8).prop_map(|(v4, v6)| {
        let mut addresses = Vec::new();
        addresses.extend((v4 < 3).then(|| format!("10.96.0.{v4}")));
        addresses.extend((v6 < 3).then(|| format!("fd96::{v6}")));
        addresses
    })
}

fn vips() -> impl Strategy<Value = Vec<Value>> {
    let vip = select(vec![
        json!({"ip": "198.51.100.1"}),
        json!({"ip": "198.51.100.2", "ipMode": "VIP"}),
        json!({"ip": "198.51.100.1", "ipMode": "Proxy"}),
        json!({"ip": "10.96.0.1"}),
        json!({"ip": "192.0.2.10"}),
        json!({"ip": "2001:db8:2::1"}),
        json!({"hostname": "lb.example"}),
    ]);
    prop::collection::vec(vip, 0..3)
}

/// One Service.
pub(crate) fn service() -> impl Strategy<Value = Value> {
    let names = (
        0..4u8,
        select(vec!["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", ""]),
    );
    let kind = select(vec![
        "ClusterIP",
        "NodePort",
        "LoadBalancer",
        "LoadBalancer",
    ]);
    let reach = (kind, addresses(), vips(), ranges(), ports());
    let how = (policy(), policy(), maybe(0.25), annotations(), 0..20u8);
    let externals = prop::collection::vec(select(vec!["198.51.100.2", "192.0.2.77"]), 0..2);
    (names, reach, how, externals).prop_map(|(names, reach, how, externals)| {
        let (name, created) = names;
        let (kind, ips, vips, ranges, mut ports) = reach;
        let (internal, external, affinity, annotations, odd) = how;
        let labels = match odd {
            0 => json!({"service.kubernetes.io/service-proxy-name": "other"}),
            _ => json!({}),
        };
        let ips = if odd == 1 {
            vec!["None".to_owned()]
        } else {
            ips
        };
        if kind == "ClusterIP" {
            ports
                .iter_mut()
                .for_each(|port| port["nodePort"] = json!(0));
        }
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": format!("s{name}"), "namespace": "n", "labels": labels,
                "creationTimestamp": created, "annotations": annotations},
            "spec": {"type": kind, "clusterIP": ips.first(), "clusterIPs": ips, "ports": ports,
                "internalTrafficPolicy": internal, "externalTrafficPolicy": external,
                "sessionAffinity": if affinity { "ClientIP" } else { "None" },
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
                "healthCheckNodePort": if odd == 2 { 31000 } else { 0 },
                "externalIPs": externals, "loadBalancerSourceRanges": ranges},
            "status": {"loadBalancer": {"ingress": vips}}})
    })
}

fn endpoint() -> impl Strategy<Value = Value> {
    let conditions = (maybe(0.8), maybe(0.85), maybe(0.3));
    let place = select(vec![HERE, "there", "far"]);
    (0..6u8, conditions, place).prop_map(|(number, conditions, place)| {
        let (ready, serving, terminating) = conditions;
        json!({"addresses": [number.to_string()], "nodeName": place,
            "conditions": {"ready": ready && !terminating, "serving": serving || ready,
                "terminating": terminating},
            "targetRef": {"kind": "Pod", "name": format!("pod-{number}")}})
    })
}

/// Hints of all endpoints in a slice: none, for zones, for nodes, or some of each.
fn hint(style: u8, place: &str) -> Value {
    let zone = match place {
        HERE => "a",
        _ => "b",
    };
    let zones = json!([{"name": zone}]);
    match (style, place) {
        (0, _) | (3, "far") => json!({}),
        (1, _) | (3, "there") => json!({"forZones": zones}),
        _ => json!({"forNodes": [{"name": place}], "forZones": zones}),
    }
}

/// One EndpointSlice.
pub(crate) fn slice() -> impl Strategy<Value = Value> {
    let family = maybe(0.7);
    let weight = select(vec![
        json!({}),
        json!({}),
        json!({"portolan.dev/weight": "2"}),
    ]);
    let ports = prop::collection::vec((0..6usize, 0..2u16), 1..5);
    let ports = (ports, 0..4u8);
    let endpoints = prop::collection::vec(endpoint(), 0..5);
    (0..4u8, 0..4u8, family, weight, ports, endpoints).prop_map(
        |(name, service, v4, weight, (ports, style), mut endpoints)| {
            let prefix = if v4 { "10.244.0." } else { "fd44::" };
            for endpoint in &mut endpoints {
                let number = endpoint["addresses"][0].as_str().unwrap_or_default();
                endpoint["addresses"] = json!([format!("{prefix}{number}")]);
                let place = endpoint["nodeName"].as_str().unwrap_or_default();
                endpoint["hints"] = hint(style, place);
            }
            const NAMES: [(&str, &str); 6] = [
                ("tcp-0", "TCP"),
                ("tcp-1", "TCP"),
                ("udp-0", "UDP"),
                ("udp-1", "UDP"),
                ("sctp-0", "SCTP"),
                ("sctp-1", "SCTP"),
            ];
            let port = |(index, number): (usize, u16)| {
                let (name, protocol) = NAMES[index];
                json!({"name": name, "protocol": protocol, "port": 8080 + number})
            };
            let ports: Vec<Value> = ports.into_iter().map(port).collect();
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": format!("e{name}"), "namespace": "n", "annotations": weight,
                    "labels": {"kubernetes.io/service-name": format!("s{service}")}},
                "addressType": if v4 { "IPv4" } else { "IPv6" },
                "ports": ports, "endpoints": endpoints})
        },
    )
}

fn node() -> impl Strategy<Value = Value> {
    select(vec![json!({}), json!({"topology.kubernetes.io/zone": "a"})]).prop_map(|labels| {
        json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": HERE, "labels": labels}})
    })
}

/// One object.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    prop_oneof![5 => service(), 6 => slice(), 1 => node()]
}

/// What happens, with whether an object goes.
pub(crate) fn history() -> impl Strategy<Value = Vec<(Value, bool)>> {
    prop::collection::vec((value(), maybe(0.15)), 0..24)
}

/// A range out of a constant text.
pub(crate) fn cidr(text: &str) -> Cidr {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// An address out of a constant text.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn detect_local() -> impl Strategy<Value = DetectLocal> {
    select(vec![
        DetectLocal::None,
        DetectLocal::Cidrs(vec![cidr("10.244.0.0/24"), cidr("fd44::/64")]),
        DetectLocal::Cidrs(vec![cidr("10.244.0.0/24")]),
        DetectLocal::BridgeInterface("pods".to_owned()),
        DetectLocal::InterfaceNamePrefix("po".to_owned()),
    ])
}

fn node_port_addresses() -> impl Strategy<Value = NodePortAddresses> {
    select(vec![
        NodePortAddresses::AllLocal,
        NodePortAddresses::These(["192.0.2.10", "2001:db8:0::10", "127.0.0.1"].map(ip).into()),
    ])
}

/// Settings of the node.
pub(crate) fn settings() -> impl Strategy<Value = NodeSettings> {
    let switches = any::<[bool; 5]>();
    let dns = select(vec![
        vec![],
        vec![],
        vec![],
        vec![ip("10.96.0.0"), ip("fd96::2")],
    ]);
    let ranges = select(vec![vec![], vec![cidr("10.96.0.0/28"), cidr("fd96::/112")]]);
    let places = (detect_local(), node_port_addresses(), dns, ranges);
    (switches, places, maybe(0.2)).prop_map(|(switches, places, masquerade_all)| {
        let [external_ips, counters, reset_removed, localhost, node_ip] = switches;
        let (detect_local, node_port_addresses, dns_addresses, service_cidrs) = places;
        let localhost = localhost.then(|| vec![ip("127.0.0.1"), ip("::1")]);
        let node_ips = node_ip.then(|| vec![ip("192.0.2.10"), ip("2001:db8:0::10")]);
        NodeSettings {
            node_name: HERE.to_owned(),
            node_ips: node_ips.unwrap_or_default(),
            node_port_addresses,
            localhost_node_ports: localhost.unwrap_or_default(),
            detect_local,
            masquerade_all,
            external_ips,
            service_cidrs,
            dns_addresses,
            counters,
            reset_removed,
            ..NodeSettings::default()
        }
    })
}
