//! What single features become: rules and elements beside those that are always there, traces of
//! packets, explanations.
//!
//! A case's `.ask` has settings (`set external-ips`), packets
//! (`pods 10.244.0.1 -> 10.96.0.10:80/TCP`) and frontends to explain (`explain 10.96.0.10:80/TCP`,
//! `explain 30080/TCP`), one a line.

use super::generate::{HERE, ip};
use super::verdicts::world;
use model::{ChangedKeys, Protocol, Resource, Snapshot};
use nft::Ruleset;
use nft::trace::{Origin, Packet, World};
use proxy::Frontend;
use proxy::kernel::{DetectLocal, NodePortAddresses, NodeSettings, RulesetPlanner, plan_ruleset};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

#[test]
fn services_become_rules() {
    testkit::run_cases("tests/cases/kernel", |case| {
        let ask = case.input("ask").unwrap_or_default();
        let snapshot = case.snapshot();
        let settings = settings(&ask);
        let (rules, problems) = plan_ruleset(&snapshot, &settings);
        assert_eq!(nft::check(&rules), vec![], "{}", case.name);
        let (bare, _) = plan_ruleset(&Snapshot::default(), &settings);
        let shown = match case.name.as_str() {
            "skeleton" => rules.to_string(),
            _ => nft::diff(&rules, &bare).to_string(),
        };
        let mut problems: String = problems.iter().map(|p| format!("{p}\n")).collect();
        problems.insert_str(0, &explanations(&ask, &snapshot, &settings));
        vec![
            ("rules", shown),
            ("traces", traces(&ask, &rules)),
            ("told", problems),
        ]
    });
}

fn settings(ask: &str) -> NodeSettings {
    let mut settings = NodeSettings {
        node_name: HERE.to_owned(),
        ..NodeSettings::default()
    };
    for line in ask.lines().filter_map(|line| line.strip_prefix("set ")) {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let list = || value.split(' ').map(ip).collect::<Vec<IpAddr>>();
        let ranges = || value.split(' ').map(super::generate::cidr).collect();
        match name {
            "node-ips" => settings.node_ips = list(),
            "node-port-addresses" => {
                let these = list().into_iter().collect();
                settings.node_port_addresses = NodePortAddresses::These(these);
            }
            "localhost" => settings.localhost_node_ports = list(),
            "pod-ranges" => settings.detect_local = DetectLocal::Cidrs(ranges()),
            "pod-bridge" => settings.detect_local = DetectLocal::BridgeInterface(value.to_owned()),
            "pod-prefix" => {
                settings.detect_local = DetectLocal::InterfaceNamePrefix(value.to_owned());
            }
            "masquerade-all" => settings.masquerade_all = true,
            "external-ips" => settings.external_ips = true,
            "service-ranges" => settings.service_cidrs = ranges(),
            "dns" => settings.dns_addresses = list(),
            "counters" => settings.counters = true,
            "reset" => settings.reset_removed = true,
            other => panic!("no setting {other}"),
        }
    }
    settings
}

/// `10.96.0.10:80/TCP`
fn frontend(text: &str) -> (SocketAddr, Protocol) {
    let (at, protocol) = text.rsplit_once('/').unwrap_or((text, "TCP"));
    let at = at.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    (at, self::protocol(protocol))
}

fn protocol(name: &str) -> Protocol {
    match name {
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

fn packet(line: &str) -> Option<Packet> {
    let (from, to) = line.split_once(" -> ")?;
    let (interface, source) = from.split_once(' ')?;
    let origin = match interface {
        "node" => Origin::Local,
        interface => Origin::Interface(interface.into()),
    };
    let source = match source.parse::<SocketAddr>() {
        Ok(source) => source,
        Err(_) => SocketAddr::new(ip(source), 40_000),
    };
    let (destination, protocol) = frontend(to);
    let number = match protocol {
        Protocol::Tcp => return Some(Packet::tcp(origin, source, destination)),
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    };
    Some(Packet {
        protocol: number,
        ..Packet::udp(origin, source, destination)
    })
}

/// Every fate of each packet, and the way to the first. Packets are independent, but for lines
/// that begin with `then`, which follow into the same world.
fn traces(ask: &str, rules: &Ruleset) -> String {
    let mut text = String::new();
    let mut last: World = world();
    for line in ask.lines() {
        let (line, before) = match line.strip_prefix("then ") {
            Some(line) => (line, last.clone()),
            None => (line, world()),
        };
        let Some(packet) = packet(line) else { continue };
        let all = nft::trace::trace_all(rules, &before, &packet, 2000);
        let fates: BTreeSet<String> = all.iter().map(|(o, _)| o.fate.to_string()).collect();
        let _ = writeln!(text, "# {line}");
        for fate in fates {
            let _ = writeln!(text, "{fate}");
        }
        if let Some((outcome, after)) = all.into_iter().next() {
            let _ = writeln!(text, "by way of\n{}\n", outcome.explain(rules));
            last = after;
        }
    }
    text
}

fn explanations(ask: &str, snapshot: &Snapshot, settings: &NodeSettings) -> String {
    let mut planner = RulesetPlanner::new(settings.clone());
    let mut changed = ChangedKeys {
        services: snapshot.services.keys().cloned().collect(),
        ..ChangedKeys::default()
    };
    let nodes = snapshot.nodes.keys();
    changed
        .objects
        .extend(nodes.map(|name| model::ObjectKey::new(Resource::NODES, "", name)));
    let update = planner.update(snapshot, &changed);
    let mut lines = Vec::new();
    for line in ask.lines().filter_map(|line| line.strip_prefix("explain ")) {
        if line.contains('.') || line.contains(':') {
            let (at, protocol) = frontend(line);
            lines.extend(planner.explain(&Frontend {
                address: at.ip(),
                protocol,
                port: at.port(),
            }));
        } else if let Some((port, name)) = line.split_once('/') {
            let port = port.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
            lines.extend(planner.explain_node_port(true, protocol(name), port));
        }
    }
    let families = [
        (IpAddr::V4(Ipv4Addr::LOCALHOST), 4),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), 6),
    ];
    for (address, family) in families {
        let counts = planner.no_local_endpoints(address.is_ipv4());
        if counts.internal + counts.external > 0 {
            let (internal, external) = (counts.internal, counts.external);
            lines.push(format!(
                "no local endpoints in IPv{family}: internal {internal}, external {external}"
            ));
        }
    }
    for (port, health) in planner.health_ports() {
        let (service, count) = (&health.service, health.local_endpoints);
        lines.push(format!("health port {port}: {service} has {count} here"));
    }
    lines.extend(update.flush.iter().map(|flush| format!("{flush:?}")));
    let localhost = update.localhost.to_string();
    lines.extend(localhost.lines().map(|line| format!("relay: {line}")));
    lines.iter().map(|line| format!("{line}\n")).collect()
}
