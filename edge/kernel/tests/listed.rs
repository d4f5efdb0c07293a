//! nft lists a table with chains of every shape, as text and as JSON. Needs the right to make
//! network namespaces, and nft; where one is missing, says so and passes.

use kernel::netns::{Namespace, may_create};
use kernel::nftables::Table;
use model::{ChangedKeys, Snapshot};
use nft::Ruleset;
use proxy::kernel::{DetectLocal, NodePortAddresses, NodeSettings, RulesetPlanner, Update};
use serde_json::{Value, json};
use std::process::Command;

const HERE: &str = "here";

/// How a Service differs: balance, affinity, policy, whether sources are checked.
type How = (&'static str, bool, &'static str, bool);

/// Every combination, but of those with large tables only some.
fn combinations() -> Vec<How> {
    let mut all = Vec::new();
    for policy in ["Cluster", "Local"] {
        for ranges in [false, true] {
            all.extend([false, true].map(|sticky| ("random", sticky, policy, ranges)));
        }
    }
    for balance in ["consistent", "consistent-port"] {
        all.push((balance, false, "Cluster", false));
        all.push((balance, true, "Local", true));
    }
    all
}

/// Services of these kinds in both families, with two endpoints each; some with one, and
/// none for UDP.
fn objects(combinations: &[How]) -> Vec<Value> {
    let numbered = combinations.iter().zip(1..);
    let each = |(how, number): (&How, u8)| {
        let [v4, v6] = slices(number, if number % 4 == 0 { 1 } else { 2 });
        [service(number, *how), v4, v6]
    };
    numbered.flat_map(each).collect()
}

fn service(number: u8, (balance, sticky, policy, ranges): How) -> Value {
    let affinity = if sticky { "ClientIP" } else { "None" };
    let ranges = match ranges {
        true => json!(["203.0.113.0/24", "2001:db8:1::/48"]),
        false => json!([]),
    };
    let ips = [format!("10.96.0.{number}"), format!("fd96::{number}")];
    let vips = [
        format!("198.51.100.{number}"),
        format!("2001:db8:2::{number}"),
    ];
    let port = |protocol: &str| {
        let name = protocol.to_lowercase();
        let node_port = 30000 + u16::from(number);
        json!({"name": name, "protocol": protocol, "port": 80, "nodePort": node_port})
    };
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": format!("s{number}"), "namespace": "n",
            "annotations": {"portolan.dev/balance": balance}},
        "spec": {"type": "LoadBalancer", "clusterIP": ips[0], "clusterIPs": ips,
            "ports": [port("TCP"), port("UDP")],
            "internalTrafficPolicy": policy, "externalTrafficPolicy": policy,
            "sessionAffinity": affinity, "loadBalancerSourceRanges": ranges,
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            "externalIPs": ["192.0.2.77"]},
        "status": {"loadBalancer": {"ingress": vips.map(|ip| json!({"ip": ip}))}}})
}

/// Endpoints of TCP, of which one is here; UDP has none.
fn slices(number: u8, endpoints: u8) -> [Value; 2] {
    [("IPv4", "10.244.0."), ("IPv6", "fd44::")].map(|(family, prefix)| {
        let endpoint = |at: u8| {
            let place = if at == 0 { HERE } else { "there" };
            json!({"addresses": [format!("{prefix}{}", 8 * number.min(30) + at + 1)],
                "nodeName": place, "conditions": {"ready": true}})
        };
        let endpoints: Vec<Value> = (0..endpoints).map(endpoint).collect();
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": format!("e{number}-{}", family.to_lowercase()), "namespace": "n",
                "labels": {"kubernetes.io/service-name": format!("s{number}")}},
            "addressType": family, "endpoints": endpoints,
            "ports": [{"name": "tcp", "protocol": "TCP", "port": 8080}]})
    })
}

/// Settings that between them ask for every rule of the node itself.
fn settings() -> Vec<NodeSettings> {
    let ip = |text: &str| text.parse().expect("an address");
    let cidrs = |texts: [&str; 2]| texts.map(|text| text.parse().expect("a range")).into();
    let addresses = vec![ip("192.0.2.10"), ip("2001:db8::10")];
    let plain = || NodeSettings {
        node_name: HERE.to_owned(),
        node_ips: addresses.clone(),
        service_cidrs: cidrs(["10.96.0.0/12", "fd96::/112"]),
        external_ips: true,
        ..NodeSettings::default()
    };
    let these = NodePortAddresses::These(addresses.iter().copied().collect());
    vec![
        NodeSettings {
            node_port_addresses: these,
            localhost_node_ports: vec![ip("127.0.0.1"), ip("::1")],
            detect_local: DetectLocal::Cidrs(cidrs(["10.244.0.0/24", "fd44::/64"])),
            dns_addresses: vec![ip("10.96.0.200"), ip("fd96::200")],
            counters: true,
            reset_removed: true,
            ..plain()
        },
        NodeSettings {
            node_port_addresses: NodePortAddresses::AllLocal,
            detect_local: DetectLocal::BridgeInterface("cni0".to_owned()),
            fully_random: true,
            ..plain()
        },
        NodeSettings {
            detect_local: DetectLocal::InterfaceNamePrefix("veth".to_owned()),
            ..plain()
        },
        NodeSettings {
            masquerade_all: true,
            ..plain()
        },
    ]
}

/// nft has no JSON for rules that fill maps, whosever they are, and says so.
const WITHOUT_JSON: &str = "warning: stmt ops map have no json callback";

/// What nft answers, which must be without another word of complaint.
fn nft(arguments: &[&str]) -> String {
    let output = Command::new("nft").args(arguments).output();
    let output = output.expect("nft runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    assert!(status.success(), "{arguments:?}: {status} {complaints}");
    let complaint = complaints.lines().find(|line| *line != WITHOUT_JSON);
    assert_eq!(complaint, None, "{arguments:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Lists what the table holds.
fn list(table: &mut Table, planned: &Ruleset) {
    let read = table.read().expect("reading").expect("a table");
    assert_eq!(read.chains.len(), planned.chains.len());
    let text = nft(&["list", "ruleset"]);
    for name in planned.chains.keys() {
        assert!(text.contains(&format!("\tchain {name} {{\n")), "{name}");
    }
    let listed: Value = serde_json::from_str(&nft(&["-j", "list", "ruleset"])).expect("JSON");
    let listed = listed["nftables"].as_array().expect("a list");
    let count = |kind: &str| {
        listed
            .iter()
            .filter(|item| item.get(kind).is_some())
            .count()
    };
    let rules: usize = planned.chains.values().map(|chain| chain.rules.len()).sum();
    assert_eq!(count("chain"), planned.chains.len());
    assert_eq!(count("rule"), rules);
    assert_eq!(count("set") + count("map"), planned.sets.len());
    // A rule of which nft left something away would read as one with fewer statements.
    assert!(text.contains("vmap @shapes4") && text.contains("vmap @shapes6"));
    assert!(
        text.contains("@affinity-endpoints4 update @affinity4"),
        "{text}"
    );
    assert!(
        text.contains("@affinity-endpoints6 update @affinity6"),
        "{text}"
    );
    assert!(text.contains("@source-ranges4 return"), "{text}");
}

/// What the kernel is to hold for these Services under the settings.
fn plan(settings: NodeSettings, combinations: &[How]) -> (RulesetPlanner, Update) {
    let (mut snapshot, mut changed) = (Snapshot::default(), ChangedKeys::default());
    for object in objects(combinations) {
        snapshot.apply(&testkit::event(&object, false), &mut changed);
    }
    let mut planner = RulesetPlanner::new(settings);
    let update = planner.update(&snapshot, &changed);
    (planner, update)
}

#[test]
fn nft_lists_every_shape() {
    if let Err(reason) = may_create() {
        return eprintln!("skipped: {reason}");
    }
    if Command::new("nft").arg("--version").output().is_err() {
        return eprintln!("skipped: nft is not installed");
    }
    let work = || {
        let mut table = Table::open("portolan").expect("netlink");
        let mut combinations = combinations();
        for settings in settings() {
            let (planner, update) = plan(settings, &combinations);
            table.delete().expect("deleting");
            table.apply(&update.transaction).expect("a table");
            list(&mut table, &planner.desired());
            // Large tables look the same under all settings.
            combinations.retain(|(balance, ..)| *balance == "random");
        }
    };
    let namespace = Namespace::create().expect("a namespace");
    namespace.run(work).expect("a thread inside");
}
