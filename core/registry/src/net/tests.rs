//! Golden cases, and the laws of allocation under any sequence of requests.

use super::bench::Bench;
use crate::Indexes;
use model::{ApiError, Resource};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

#[test]
fn cases_are_answered_as_recorded() {
    testkit::run_cases("cases/net", |case| {
        let mut bench = match case.name.as_str() {
            name if name.starts_with("dual-stack") => Bench::new(&["10.96.0.0/16", "fd00::/112"]),
            _ => Bench::new(&["10.96.0.0/16"]),
        };
        bench.loopback = case.name.ends_with("embedded");
        let mut out = String::new();
        for object in case.objects() {
            let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
            let _ = writeln!(out, "# {} {}", text(kind), text(name));
            let answer = bench.apply(object.clone());
            out.push_str(&printed(answer, &bench.warnings));
        }
        vec![("answers", out)]
    });
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One line per cause, or the stored object.
fn printed(answer: Result<Value, ApiError>, warnings: &[String]) -> String {
    let mut out = String::new();
    match answer {
        Err(error) => {
            let causes = error.details.as_ref().map(|details| &details["causes"]);
            let causes = causes
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice);
            let _ = writeln!(out, "{} {}", error.code, error.reason);
            for cause in causes {
                let _ = writeln!(
                    out,
                    "  {}: {}",
                    text(&cause["field"]),
                    text(&cause["message"])
                );
            }
        }
        Ok(mut object) => {
            for warning in warnings {
                let _ = writeln!(out, "warning: {warning}");
            }
            for key in ["apiVersion", "kind"] {
                object.as_object_mut().unwrap().remove(key);
            }
            let meta = object["metadata"].as_object_mut().unwrap();
            meta.retain(|key, _| {
                !["name", "namespace", "creationTimestamp"].contains(&key.as_str())
            });
            let _ = writeln!(out, "{}", serde_json::to_string_pretty(&object).unwrap());
        }
    }
    out
}

#[test]
fn a_dry_run_takes_nothing() {
    let mut bench = Bench::new(&["10.96.0.0/16"]);
    bench.dry_run = true;
    let service = json!({"kind": "Service", "metadata": {"name": "a", "namespace": "n"}, "spec": {
        "type": "NodePort", "clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": 30001}]}});
    bench.create(service.clone()).unwrap();
    assert!(bench.objects.is_empty());
    bench.dry_run = false;
    bench.create(service).unwrap();
    assert_eq!(bench.objects.len(), 2);
}

#[test]
fn a_full_range_is_told_and_freed_by_a_delete() {
    let mut bench = Bench::new(&["10.96.0.0/29"]);
    let service = |n: usize| {
        json!({"kind": "Service", "metadata": {"name": format!("s{n}"), "namespace": "n"},
            "spec": {"ports": [{"port": 80}]}})
    };
    for n in 0..6 {
        bench.create(service(n)).unwrap();
    }
    let error = bench.create(service(6)).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (
            500,
            "Internal error occurred: failed to allocate a serviceIP for Service \"s6\": range is \
             full"
        )
    );
    bench.delete(&service(3));
    bench.create(service(6)).unwrap();
}

#[test]
fn node_ports_run_out_with_a_word() {
    let mut bench = Bench::new(&["10.96.0.0/16"]);
    bench.node_ports = (30000, 30001);
    let service = |name: &str| {
        json!({"kind": "Service", "metadata": {"name": name, "namespace": "n"},
            "spec": {"type": "NodePort", "ports": [{"port": 80}]}})
    };
    bench.create(service("a")).unwrap();
    bench.create(service("b")).unwrap();
    let error = bench.create(service("c")).unwrap_err();
    assert_eq!(
        error.message,
        "Internal error occurred: failed to allocate a nodePort: range is full"
    );
}

/// A request about one of a few Services.
fn request() -> impl Strategy<Value = (u8, Value)> {
    let kind = prop_oneof![
        Just("ClusterIP"),
        Just("NodePort"),
        Just("LoadBalancer"),
        Just("ExternalName")
    ];
    let address = prop_oneof![
        4 => Just(None),
        1 => Just(Some("None".to_owned())),
        2 => (1u8..6).prop_map(|n| Some(format!("10.96.0.{n}"))),
    ];
    let policy = prop_oneof![
        Just(None),
        Just(Some("SingleStack")),
        Just(Some("PreferDualStack")),
        Just(Some("RequireDualStack"))
    ];
    let port = (
        80i64..83,
        prop_oneof![Just(None), (30000i64..30006).prop_map(Some)],
        any::<bool>(),
    );
    let ports = prop::collection::vec(port, 1..3);
    let rest = (any::<bool>(), any::<bool>());
    ((0u8..4, kind), address, policy, ports, rest).prop_map(
        |((name, kind), address, policy, ports, (local, allocate))| {
            let ports: Vec<Value> = ports
                .iter()
                .enumerate()
                .map(|(i, (port, node_port, udp))| {
                    json!({"name": format!("p{i}"), "port": port, "nodePort": node_port,
                        "protocol": if *udp { "UDP" } else { "TCP" }})
                })
                .collect();
            let mut spec = json!({"type": kind, "ports": ports, "externalName": "a.b"});
            if let Some(address) = address {
                spec["clusterIP"] = address.into();
            }
            if let Some(policy) = policy {
                spec["ipFamilyPolicy"] = policy.into();
            }
            if local && kind == "LoadBalancer" {
                spec["externalTrafficPolicy"] = "Local".into();
            }
            if allocate && kind == "LoadBalancer" {
                spec["allocateLoadBalancerNodePorts"] = false.into();
            }
            (name, spec)
        },
    )
}

/// Every address that a Service has is an IPAddress and no other is; no two Services have the same
/// address or port.
fn check(bench: &Bench) {
    let of = |resource| {
        bench
            .objects
            .values()
            .filter(move |o| o.resource == resource)
    };
    let mut addresses = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for service in of(Resource::SERVICES) {
        let spec = service.value()["spec"].clone();
        let list = |key: &str| spec[key].as_array().cloned().unwrap_or_default();
        for address in list("clusterIPs") {
            let address = text(&address).to_owned();
            assert!(address == "None" || addresses.insert(address), "{spec}");
        }
        if text(&spec["type"]) == "ExternalName" {
            continue;
        }
        let own: BTreeSet<i64> = list("ports")
            .iter()
            .filter_map(|port| port["nodePort"].as_i64())
            .chain(spec["healthCheckNodePort"].as_i64())
            .collect();
        for port in own {
            assert!(ports.insert(port), "{port} is held twice: {spec}");
            assert!(
                bench.indexes.node_port_taken(port as u16),
                "{port} is not noted: {spec}"
            );
        }
    }
    let objects = of(Resource::IP_ADDRESSES).map(|object| object.meta.name.to_string());
    assert_eq!(objects.collect::<BTreeSet<_>>(), addresses);
    let stored = bench.objects.values().map(AsRef::as_ref);
    assert_eq!(bench.indexes, Indexes::new(stored));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn allocation_neither_doubles_nor_leaks(
        dual in any::<bool>(),
        requests in prop::collection::vec((request(), 0u8..5), 1..24),
    ) {
        let ranges: &[&str] = if dual { &["10.96.0.0/24", "fd00::/112"] } else { &["10.96.0.0/24"] };
        let mut bench = Bench::new(ranges);
        for ((name, spec), verb) in requests {
            let service = json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": format!("s{name}"), "namespace": "n"}, "spec": spec});
            // What is refused changes nothing, and is fine here.
            match verb {
                0 => bench.delete(&service),
                1 => drop(bench.put(service)),
                _ => drop(bench.apply(service)),
            }
            check(&bench);
        }
        for name in 0..4 {
            bench.delete(&json!({"kind": "Service",
                "metadata": {"name": format!("s{name}"), "namespace": "n"}}));
        }
        prop_assert!(bench.objects.is_empty(), "{:?}", bench.objects.keys());
    }
}
