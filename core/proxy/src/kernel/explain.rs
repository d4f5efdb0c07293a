//! From rules and elements back to Services.

use super::claims::Claimed;
use super::entry::{Entry, PortPlan};
use super::items::slot_count;
use super::planner::RulesetPlanner;
use super::shape::Choice;
use crate::Frontend;
use model::{NamespacedName, Protocol};
use nft::Data;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A Service port, as messages and metrics name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortName {
    /// The Service
    pub service: NamespacedName,
    /// `spec.ports[].name`
    pub port: String,
}

impl RulesetPlanner {
    /// What happens to connections to an address of a Service, in lines for people; empty when no
    /// Service has it.
    pub fn explain(&self, frontend: &Frontend) -> Vec<String> {
        let Some((id, entry)) = self.holder(Claimed::Address(*frontend)) else {
            return Vec::new();
        };
        let port = entry.ports.iter().find(|port| {
            let mut externals = port.externals.iter();
            port.identity == *frontend
                || externals.any(|external| port.external(external.address) == *frontend)
        });
        port.map(|port| lines(&frontend.to_string(), id, port, frontend.address))
            .unwrap_or_default()
    }

    /// The same of a NodePort.
    pub fn explain_node_port(&self, ipv4: bool, protocol: Protocol, number: u16) -> Vec<String> {
        let claimed = Claimed::NodePort(ipv4, protocol, number);
        let Some((id, entry)) = self.holder(claimed) else {
            return Vec::new();
        };
        let port = by_node_port(entry, ipv4, protocol, number);
        let shown = format!("NodePort {number}/{}", protocol.as_str());
        let nowhere = if ipv4 {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        } else {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        };
        port.map(|port| lines(&shown, id, port, nowhere))
            .unwrap_or_default()
    }

    /// The Service port that an element of a set is about, as far as its key says so.
    pub fn port_of_element(&self, set: &str, key: &Data) -> Option<PortName> {
        let ipv4 = set.ends_with('4');
        let stem = set.trim_end_matches(['4', '6']);
        let bytes = key.as_slice();
        let claimed = match stem {
            "nodeports" | "nodeport-identities" | "nodeport-counters" => {
                let (protocol, port) = protocol_and_port(bytes)?;
                Claimed::NodePort(ipv4, protocol, port)
            }
            "affinity" => Claimed::Address(read_frontend(bytes.get(address_len(ipv4)..)?, ipv4)?),
            "services"
            | "external"
            | "endpoints"
            | "local-endpoints"
            | "affinity-endpoints"
            | "local-affinity-endpoints"
            | "source-ranges"
            | "counters" => Claimed::Address(read_frontend(bytes, ipv4)?),
            _ => return None,
        };
        self.port_of(claimed)
    }

    fn port_of(&self, claimed: Claimed) -> Option<PortName> {
        let (id, entry) = self.holder(claimed)?;
        let port = match claimed {
            Claimed::NodePort(ipv4, protocol, number) => {
                by_node_port(entry, ipv4, protocol, number)
            }
            Claimed::Address(frontend) => entry.ports.iter().find(|port| {
                port.identity.port == frontend.port
                    && port.identity.protocol == frontend.protocol
                    && port.identity.address.is_ipv4() == frontend.address.is_ipv4()
            }),
        }?;
        Some(PortName {
            service: id.clone(),
            port: port.name.to_string(),
        })
    }
}

fn by_node_port(entry: &Entry, ipv4: bool, protocol: Protocol, number: u16) -> Option<&PortPlan> {
    entry.ports.iter().find(|port| {
        port.node_port == number
            && port.identity.protocol == protocol
            && port.identity.address.is_ipv4() == ipv4
    })
}

fn lines(shown: &str, id: &NamespacedName, port: &PortPlan, address: IpAddr) -> Vec<String> {
    let internal = port.identity.address == address;
    let mut first = format!("{shown} → {id}");
    if !port.name.is_empty() {
        let _ = write!(first, " port {}", port.name);
    }
    if !port.granted {
        return vec![format!(
            "{first}: another Service has its ClusterIP, nothing is served"
        )];
    }
    if internal && !port.on_cluster_ip {
        return vec![format!("{first}: answered on this node, without rules")];
    }
    let _ = write!(first, ": {}", fate(port, internal));
    let mut lines = vec![first];
    if !internal && port.any && port.external_local {
        let all = endpoints(port.cluster.len());
        lines.push(format!("  from Pods of this node and from itself: {all}"));
    }
    let guarded = port
        .externals
        .iter()
        .any(|e| e.address == address && e.guarded);
    if let Some(ranges) = port.ranges.as_ref().filter(|_| guarded) {
        let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        lines.push(format!("  only from {}", ranges.join(", ")));
    }
    let local = if internal {
        port.internal_local
    } else {
        port.external_local
    };
    let members = if local { &port.local } else { &port.cluster };
    lines.extend(members.iter().map(|member| {
        let place = if member.local { " on this node" } else { "" };
        let weight = match member.weight {
            1 => String::new(),
            weight => format!(" weight {weight}"),
        };
        format!("  {}{place}{weight}", member.at.socket())
    }));
    lines
}

/// Policy, endpoints, choice, affinity and masquerading in one line.
fn fate(port: &PortPlan, internal: bool) -> String {
    let local = if internal {
        port.internal_local
    } else {
        port.external_local
    };
    let (policy, members) = if local {
        ("local", &port.local)
    } else {
        ("cluster", &port.cluster)
    };
    if !port.any {
        return format!("{policy} policy, no endpoints, refused");
    }
    if members.is_empty() {
        return format!("{policy} policy, no endpoints on this node, dropped");
    }
    let choice = match port.choice {
        Choice::Random => "random".to_owned(),
        Choice::Source => "consistent by client address".to_owned(),
        Choice::SourceAndPort => "consistent by client address and port".to_owned(),
    };
    let slots = slot_count(port, members) as usize;
    let slots = if slots == members.len() {
        String::new()
    } else {
        format!(" in {slots} slots")
    };
    let affinity = match port.affinity {
        0 => String::new(),
        seconds => format!(", clients keep theirs for {seconds} s"),
    };
    let masquerade = match (internal, local) {
        (true, _) => "masqueraded as the node's settings say",
        (false, true) => "not masqueraded",
        (false, false) => "masqueraded",
    };
    let endpoints = endpoints(members.len());
    format!("{policy} policy, {endpoints}{slots}, {choice}{affinity}, {masquerade}")
}

fn endpoints(count: usize) -> String {
    match count {
        1 => "1 endpoint".to_owned(),
        count => format!("{count} endpoints"),
    }
}

fn address_len(ipv4: bool) -> usize {
    if ipv4 { 4 } else { 16 }
}

fn read_frontend(bytes: &[u8], ipv4: bool) -> Option<Frontend> {
    let (address, rest) = bytes.split_at_checked(address_len(ipv4))?;
    let address = if ipv4 {
        IpAddr::from(<[u8; 4]>::try_from(address).ok()?)
    } else {
        IpAddr::from(<[u8; 16]>::try_from(address).ok()?)
    };
    let (protocol, port) = protocol_and_port(rest)?;
    Some(Frontend {
        address,
        protocol,
        port,
    })
}

/// A protocol and a port, each in a register of its own.
fn protocol_and_port(bytes: &[u8]) -> Option<(Protocol, u16)> {
    let protocol = match bytes.first()? {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        _ => return None,
    };
    let port = <[u8; 2]>::try_from(bytes.get(4..6)?).ok()?;
    Some((protocol, u16::from_be_bytes(port)))
}
