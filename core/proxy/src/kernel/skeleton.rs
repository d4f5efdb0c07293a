//! What is there whatever Services there are: sets, base chains, and the chains that every packet
//! for a Service passes.

use super::sets::{SetId, digit, set_name, set_spec};
use super::shape::{Kind, REJECT, Shape, not_from_own_pods, ranges_chain, reject_rules};
use super::steps::{Regs, Steps, family_of, goto, jump};
use super::{NodePortAddresses, NodeSettings};
use model::Cidr;
use nft::{
    Base, Chain, ChainKind, Data, Element, Family, Hook, Name, RejectWith, Rule, Ruleset, Set,
    Value, Verdict,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Both families, in the order in which their rules stand.
pub(super) const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

const RAW: i32 = -300;
const DSTNAT: i32 = -100;
const FILTER: i32 = 0;
const SRCNAT: i32 = 100;
const TCP: u8 = 6;
const UDP: u8 = 17;
const DNS: u16 = 53;

/// The table without any Service, with `prefixes` as the lengths of source ranges in use.
pub(super) fn skeleton(settings: &NodeSettings, prefixes: &BTreeSet<(Family, u8)>) -> Ruleset {
    let mut ruleset = Ruleset::default();
    for family in FAMILIES {
        add_sets(family, settings, &mut ruleset.sets);
        add_plain_shapes(family, &mut ruleset.sets);
        let services = services_rules(family, settings);
        add_chain(&mut ruleset, &services_chain(family), None, services);
        let ranges = range_rules(family, prefixes);
        add_chain(&mut ruleset, &ranges_chain(family), None, ranges);
    }
    add_chain(&mut ruleset, REJECT, None, reject_rules());
    let nat = |hook, priority| Some(base(ChainKind::Nat, hook, priority));
    let by_family = || -> Vec<Rule> {
        let to = |family| {
            Steps::new(family)
                .of_family()
                .verdict(jump(&services_chain(family)), "")
        };
        FAMILIES.map(to).into()
    };
    let (prerouting, output) = (nat(Hook::Prerouting, DSTNAT), nat(Hook::Output, DSTNAT));
    add_chain(&mut ruleset, "prerouting", prerouting, by_family());
    add_chain(&mut ruleset, "output", output, by_family());
    let (srcnat, rules) = (nat(Hook::Postrouting, SRCNAT), postrouting_rules(settings));
    add_chain(&mut ruleset, "postrouting", srcnat, rules);
    add_switched(&mut ruleset, settings);
    ruleset
}

/// Chains that only some settings want.
fn add_switched(ruleset: &mut Ruleset, settings: &NodeSettings) {
    let filter = |hook, priority| Some(base(ChainKind::Filter, hook, priority));
    if !settings.dns_addresses.is_empty() {
        let (pre, out) = (filter(Hook::Prerouting, RAW), filter(Hook::Output, RAW));
        add_chain(ruleset, "dns-prerouting", pre, untracked_rules(false));
        add_chain(ruleset, "dns-output", out, untracked_rules(true));
    }
    if settings.counters {
        let hooks = [
            ("count-prerouting", Hook::Prerouting),
            ("count-output", Hook::Output),
        ];
        for (name, hook) in hooks {
            add_chain(ruleset, name, filter(hook, FILTER), counting_rules());
        }
    }
    if settings.reset_removed {
        let hooks = [
            ("reset-input", Hook::Input),
            ("reset-forward", Hook::Forward),
            ("reset-output", Hook::Output),
        ];
        for (name, hook) in hooks {
            add_chain(ruleset, name, filter(hook, FILTER), reset_rules());
        }
    }
}

fn base(kind: ChainKind, hook: Hook, priority: i32) -> Base {
    Base {
        kind,
        hook,
        priority,
    }
}

fn add_chain(ruleset: &mut Ruleset, name: &str, base: Option<Base>, rules: Vec<Rule>) {
    ruleset.chains.insert(name.into(), Chain { base, rules });
}

fn services_chain(family: Family) -> String {
    format!("services{}", digit(family))
}

fn add_sets(family: Family, settings: &NodeSettings, sets: &mut BTreeMap<Name, Set>) {
    let mut put = |id, addresses: &mut dyn Iterator<Item = IpAddr>| {
        let addresses = addresses.filter(|address| family_of(*address) == family);
        let set = Set {
            spec: set_spec(id, family),
            elements: addresses.map(address_element).collect(),
        };
        sets.insert(set_name(id, family), set);
    };
    for id in SetId::ALWAYS {
        put(id, &mut std::iter::empty());
    }
    if let NodePortAddresses::These(addresses) = &settings.node_port_addresses {
        let addresses = addresses.iter().copied();
        put(SetId::NodeIps, &mut addresses.filter(|a| !a.is_loopback()));
    }
    if !settings.dns_addresses.is_empty() {
        put(
            SetId::DnsAddresses,
            &mut settings.dns_addresses.iter().copied(),
        );
    }
    if settings.counters {
        put(SetId::Counters, &mut std::iter::empty());
        put(SetId::NodePortCounters, &mut std::iter::empty());
    }
    if settings.reset_removed {
        put(SetId::Gone, &mut std::iter::empty());
    }
}

/// The shapes that need no chain of their own.
fn add_plain_shapes(family: Family, sets: &mut BTreeMap<Name, Set>) {
    let Some(shapes) = sets.get_mut(&set_name(SetId::Shapes, family)) else {
        return;
    };
    for kind in [Kind::Reject(family), Kind::Drop(family)] {
        let shape = Shape::new(kind);
        let element = shape.element();
        shapes.elements.insert(element.key, element);
    }
}

fn address_element(address: IpAddr) -> (Data, Element) {
    let key = Data::EMPTY.address(address);
    let element = Element {
        key,
        value: Value::None,
        comment: None,
        timeout_ms: 0,
    };
    (key, element)
}

/// What the first packet of each connection passes.
fn services_rules(family: Family, settings: &NodeSettings) -> Vec<Rule> {
    let steps = || Steps::new(family);
    let address = steps().regs().address;
    let mut rules = Vec::new();
    if !settings.dns_addresses.is_empty() {
        let own = steps().destination().in_set(SetId::DnsAddresses, address);
        rules.push(own.verdict(Verdict::Return, "answered on this node"));
    }
    rules.extend(masquerade_rule(family, settings));
    let comment = shape_comment(SetId::Services, family);
    let service = steps().frontend();
    rules.push(service.verdict_by(SetId::Services, address, &comment));
    rules.push(node_port_rule(family, settings));
    let known = steps().destination().in_set(SetId::ClusterIps, address);
    rules.push(known.verdict(goto(REJECT), "no such port"));
    let ranges = settings.service_cidrs.iter();
    let ours = ranges.filter(|range| family_of(range.base()) == family);
    rules.extend(ours.map(|range: &Cidr| {
        let inside = steps().destination().in_range(address, range, false);
        inside.verdict(Verdict::Drop, "no such Service")
    }));
    rules
}

/// Says which map stands behind the key of the shapes.
fn shape_comment(set: SetId, family: Family) -> String {
    format!("shape by @{}", set_name(set, family))
}

/// Masquerades traffic to ClusterIPs that might come back another way.
fn masquerade_rule(family: Family, settings: &NodeSettings) -> Option<Rule> {
    let (steps, why) = if settings.masquerade_all {
        (Steps::new(family), "all")
    } else {
        let outside = not_from_own_pods(family, &settings.detect_local)?;
        (outside, "from outside the cluster")
    };
    let address = steps.regs().address;
    let steps = steps.destination().in_set(SetId::ClusterIps, address);
    Some(steps.mark(settings.masquerade_mark).rule(why))
}

fn node_port_rule(family: Family, settings: &NodeSettings) -> Rule {
    let steps = Steps::new(family);
    let Regs {
        address, protocol, ..
    } = steps.regs();
    let steps = match settings.node_port_addresses {
        NodePortAddresses::AllLocal => steps.destination_is_local(),
        NodePortAddresses::These(_) => steps.destination().in_set(SetId::NodeIps, address),
    };
    let comment = shape_comment(SetId::NodePorts, family);
    steps
        .protocol_and_port()
        .verdict_by(SetId::NodePorts, protocol, &comment)
}

/// Rules of the chain that returns for sources in one of the ranges, and drops others.
pub(super) fn range_rules(family: Family, prefixes: &BTreeSet<(Family, u8)>) -> Vec<Rule> {
    let ours = prefixes.iter().filter(|(of, _)| *of == family);
    let from = format!("Service by @{}", set_name(SetId::External, family));
    let mut rules: Vec<Rule> = ours
        .map(|(_, prefix)| {
            let steps = Steps::new(family).identity(super::steps::Via::External);
            let (identity, length) = (steps.regs().address, steps.regs().slot);
            let source = nft::Reg(length.0 + 1);
            steps
                .number(u32::from(*prefix), length)
                .source_into(source)
                .mask(source, source, *prefix)
                .in_set(SetId::SourceRanges, identity)
                .verdict(Verdict::Return, &from)
        })
        .collect();
    rules.push(Steps::new(family).verdict(Verdict::Drop, "source is not admitted"));
    rules
}

fn postrouting_rules(settings: &NodeSettings) -> Vec<Rule> {
    let marked = Steps::new(Family::Ipv4).take_mark(settings.masquerade_mark);
    let mut rules = vec![marked.masquerade(settings.fully_random, "")];
    for family in FAMILIES {
        let steps = Steps::new(family).of_family().rewritten();
        let (source, address) = (steps.regs().source, steps.regs().address);
        let steps = steps.source_into(source).destination_into(address);
        let hairpin = steps.protocol_and_port().in_set(SetId::Hairpin, source);
        rules.push(hairpin.masquerade(settings.fully_random, "a Pod reaches itself"));
    }
    rules
}

/// Queries to the DNS server on this node, and its answers.
fn untracked_rules(answers: bool) -> Vec<Rule> {
    let mut rules = Vec::new();
    for family in FAMILIES {
        for protocol in [UDP, TCP] {
            let steps = || Steps::new(family).of_family();
            let address = steps().regs().address;
            let query = steps().destination().in_set(SetId::DnsAddresses, address);
            let query = query.only_protocol(protocol).protocol_and_port();
            rules.push(query.only_port(DNS).notrack("queries"));
            if answers {
                let answer = steps().source_into(address);
                let answer = answer.in_set(SetId::DnsAddresses, address);
                let answer = answer.only_protocol(protocol).source_port_as_port();
                rules.push(answer.only_port(DNS).notrack("answers"));
            }
        }
    }
    rules
}

/// Each packet of a connection to a Service passes one of the two hooks that have these rules.
fn counting_rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for family in FAMILIES {
        let steps = || Steps::new(family).of_family().rewritten();
        let (address, protocol) = (steps().regs().address, steps().regs().protocol);
        let by_address = steps().original_destination();
        let by_address = by_address.in_set(SetId::Counters, address);
        rules.push(by_address.verdict(Verdict::Accept, ""));
        let by_port = steps().original_destination();
        let by_port = by_port.in_set(SetId::NodePortCounters, protocol);
        rules.push(by_port.verdict(Verdict::Accept, ""));
    }
    rules
}

fn reset_rules() -> Vec<Rule> {
    let rule = |family| {
        let steps = Steps::new(family).of_family().only_protocol(TCP);
        let address = steps.regs().address;
        let steps = steps.rewritten().original_direction().frontend();
        let gone = steps.in_set(SetId::Gone, address);
        gone.reject(RejectWith::TcpReset, "endpoint is gone")
    };
    FAMILIES.map(rule).into()
}
