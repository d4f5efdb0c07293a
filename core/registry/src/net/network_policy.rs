//! NetworkPolicies. Source: `pkg/registry/networking/networkpolicy`, `ValidateNetworkPolicy*`.

use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::ip;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, items_mut, set, set_default};
use crate::field::{names, selector};
use serde_json::Value;

/// The rules of NetworkPolicies.
pub(crate) struct NetworkPolicies;

/// Directions with the list of their peers.
const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];
const TYPES: [&str; 2] = ["Ingress", "Egress"];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

impl Declared for NetworkPolicies {
    fn defaults(&self, object: &mut Value) {
        let Some(spec) = ensure(object, "spec") else {
            return;
        };
        for (direction, _) in DIRECTIONS {
            for rule in items_mut(spec, direction) {
                items_mut(rule, "ports").for_each(|port| set_default(port, "protocol", "TCP"));
            }
        }
        if spec.items("policyTypes").is_empty() {
            let egress = !spec.items("egress").is_empty();
            set(
                spec,
                "policyTypes",
                TYPES[..1 + usize::from(egress)].to_vec(),
            );
        }
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        None
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (spec, path) = (object.at("spec"), Path::new("spec"));
        let faults = Faults::of(check.old);
        let pods = path.child("podSelector");
        selector::label_selector(errors, &pods, spec.at("podSelector"), faults.selectors);
        for (direction, peers) in DIRECTIONS {
            let list = path.child(direction);
            for (i, rule) in spec.items(direction).iter().enumerate() {
                let path = list.index(i);
                for (i, found) in rule.items("ports").iter().enumerate() {
                    port(errors, found, &path.child("ports").index(i));
                }
                for (i, found) in rule.items(peers).iter().enumerate() {
                    peer(errors, found, &path.child(peers).index(i), &faults);
                }
            }
        }
        policy_types(errors, spec, &path.child("policyTypes"));
    }

    fn tell(&self, object: &Value, _: &Check<'_>) -> Vec<String> {
        let mut all = Vec::new();
        each_block(object, |block, path| {
            let cidr = path.child("cidr");
            all.extend(ip::cidr_warnings(cidr.as_str(), block.text("cidr")));
            for (i, except) in block.texts("except").into_iter().enumerate() {
                let path = path.child("except").index(i);
                all.extend(ip::cidr_warnings(path.as_str(), except));
            }
        });
        all
    }

    fn tell_last(&self, _: &Value, check: &Check<'_>) -> Vec<String> {
        check.once("this server stores NetworkPolicies, but nothing here enforces them")
    }
}

/// Faults that are stored already.
#[derive(Default)]
struct Faults {
    selectors: bool,
    cidrs: Vec<String>,
}

impl Faults {
    fn of(old: Option<&Value>) -> Self {
        let Some(old) = old else {
            return Self::default();
        };
        let mut cidrs = Vec::new();
        each_block(old, |block, _| {
            cidrs.push(block.text("cidr").to_owned());
            cidrs.extend(block.texts("except").into_iter().map(str::to_owned));
        });
        Self {
            selectors: !selector::is_usable(old.at("spec").at("podSelector")),
            cidrs,
        }
    }
}

fn each_block(object: &Value, mut look: impl FnMut(&Value, Path)) {
    for (direction, peers) in DIRECTIONS {
        let list = Path::new("spec").child(direction);
        for (i, rule) in object.at("spec").items(direction).iter().enumerate() {
            for (j, peer) in rule.items(peers).iter().enumerate() {
                let path = list.index(i).child(peers).index(j).child("ipBlock");
                if peer.has("ipBlock") {
                    look(peer.at("ipBlock"), path);
                }
            }
        }
    }
}

fn port(errors: &mut Errors, found: &Value, path: &Path) {
    if let Some(protocol) = found.optional_text("protocol")
        && !PROTOCOLS.contains(&protocol)
    {
        errors.not_supported(&path.child("protocol"), protocol, &PROTOCOLS);
    }
    let (port, end) = (found.at("port"), found.number("endPort"));
    let (port_path, end_path) = (path.child("port"), path.child("endPort"));
    match (port, port.as_i64()) {
        (Value::Null, _) => {
            if let Some(end) = end {
                let text = "may not be specified when `port` is not specified";
                errors.invalid(&end_path, end, text);
            }
        }
        (_, Some(number)) => {
            for text in names::port_number(number) {
                errors.invalid(&port_path, number, text);
            }
            let Some(end) = end else { return };
            if end < number {
                let text = "must be greater than or equal to `port`";
                errors.invalid(&end_path, number, text);
            }
            for text in names::port_number(end) {
                errors.invalid(&end_path, end, text);
            }
        }
        _ => {
            if let Some(end) = end {
                let text = "may not be specified when `port` is non-numeric";
                errors.invalid(&end_path, end, text);
            }
            let name = port.as_str().unwrap_or_default();
            errors.invalid_each(&port_path, name, names::port_name(name));
        }
    }
}

fn peer(errors: &mut Errors, found: &Value, path: &Path, faults: &Faults) {
    let mut count = 0;
    for key in ["podSelector", "namespaceSelector"] {
        if found.has(key) {
            count += 1;
            selector::label_selector(errors, &path.child(key), found.at(key), faults.selectors);
        }
    }
    if found.has("ipBlock") {
        count += 1;
        block(errors, found.at("ipBlock"), &path.child("ipBlock"), faults);
    }
    if count == 0 {
        errors.required(path, "must specify a peer");
    } else if count > 1 && found.has("ipBlock") {
        errors.forbidden(path, "may not specify both ipBlock and another peer");
    }
}

fn block(errors: &mut Errors, found: &Value, path: &Path, faults: &Faults) {
    let (cidr, cidr_path) = (found.text("cidr"), path.child("cidr"));
    if cidr.is_empty() {
        return errors.required(&cidr_path, "");
    }
    let known = |text: &str| faults.cidrs.iter().any(|known| known == text);
    if !known(cidr) {
        errors.extend(ip::check_cidr(cidr_path.as_str(), cidr));
    }
    let Some((_, outer)) = ip::parse_cidr(cidr) else {
        return;
    };
    for (i, except) in found.texts("except").into_iter().enumerate() {
        let path = path.child("except").index(i);
        if !known(except) {
            errors.extend(ip::check_cidr(path.as_str(), except));
        }
        let Some((_, inner)) = ip::parse_cidr(except) else {
            continue;
        };
        if !outer.contains(inner.base()) || outer.prefix() >= inner.prefix() {
            let text = "must be a strict subset of `cidr`";
            errors.invalid(&path, except, text);
        }
    }
}

fn policy_types(errors: &mut Errors, spec: &Value, list: &Path) {
    let types = spec.texts("policyTypes");
    if types.len() > TYPES.len() {
        let text = "may not specify more than two policyTypes";
        return errors.invalid(list, types, text);
    }
    for (i, found) in types.into_iter().enumerate() {
        if !TYPES.contains(&found) {
            errors.not_supported(&list.index(i), found, &TYPES);
        }
    }
}
