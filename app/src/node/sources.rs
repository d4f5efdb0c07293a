//! What the session reads: of the API server, and of the machine.

use cluster::Collection;
use kernel::link::Links;
use model::{Cidr, Event, EventKind, Node, Resource, Timestamp};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// When the last change of an endpoint happened, as its writer says.
const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// What each part reads, and nothing more.
pub(crate) fn collections(
    proxy: bool,
    dns: bool,
    gateway: bool,
    node: &str,
) -> BTreeSet<Collection> {
    let mut all = BTreeSet::new();
    let services = Collection::all(Resource::SERVICES, "Service");
    let slices = Collection::all(Resource::ENDPOINT_SLICES, "EndpointSlice");
    if dns || gateway {
        all.insert(services);
        all.insert(slices);
    } else if proxy {
        // Nobody connects to a headless Service by an address of its own.
        let proxied = "!service.kubernetes.io/headless";
        all.insert(services.labelled(proxied));
        all.insert(slices.labelled(proxied));
    }
    if dns {
        all.insert(Collection::all(Resource::NAMESPACES, "Namespace").optional());
    }
    if gateway {
        all.insert(Collection::all(Resource::INGRESSES, "Ingress"));
        all.insert(Collection::all(Resource::INGRESS_CLASSES, "IngressClass"));
    }
    if proxy || gateway {
        all.insert(Collection::one(Resource::NODES, "Node", "", node));
    }
    if proxy {
        all.insert(Collection::all(Resource::SERVICE_CIDRS, "ServiceCIDR").optional());
    }
    all
}

/// Takes a ServiceCIDR in; true when the ranges changed.
pub(crate) fn note_range(ranges: &mut BTreeMap<Arc<str>, Vec<Cidr>>, event: &Event) -> bool {
    #[derive(Deserialize)]
    struct ServiceCidr {
        spec: Spec,
    }
    #[derive(Deserialize)]
    struct Spec {
        cidrs: Vec<String>,
    }
    let name = event.object.meta.name.clone();
    if event.kind == EventKind::Deleted {
        return ranges.remove(&name).is_some();
    }
    let read: Result<ServiceCidr, _> = event.object.parse();
    let cidrs = read.map(|range| range.spec.cidrs).unwrap_or_default();
    let cidrs: Vec<Cidr> = cidrs.iter().filter_map(|text| text.parse().ok()).collect();
    ranges.insert(name, cidrs.clone()) != Some(cidrs)
}

/// Microseconds since the epoch of what led to an event, if its writer says so.
pub(crate) fn trigger(event: &Event) -> Option<i64> {
    if event.object.resource != Resource::ENDPOINT_SLICES || event.kind == EventKind::Deleted {
        return None;
    }
    let text = event.object.meta.annotations.get(TRIGGER)?;
    Timestamp::parse(text).map(Timestamp::micros)
}

/// Addresses of this machine that can be connected to.
pub(crate) fn interfaces() -> BTreeSet<IpAddr> {
    let listed = Links::open_here().and_then(|mut links| links.addresses());
    match listed {
        Ok(all) => {
            let usable = all.into_iter().filter(|address| !address.unusable);
            usable.map(|address| address.address).collect()
        }
        Err(error) => {
            tracing::warn!(%error, "addresses of this machine are not known");
            BTreeSet::new()
        }
    }
}

/// The Node's addresses, one of each family, the primary first; `fallback` without a Node.
pub(crate) fn node_ips(node: Option<&Node>, fallback: IpAddr) -> Vec<IpAddr> {
    let of = |node: &Node| -> Vec<IpAddr> {
        let all = node.internal_ips.iter().chain(&node.external_ips);
        all.copied().collect()
    };
    let mut found: Vec<IpAddr> = Vec::new();
    for ip in node.map(of).unwrap_or_default() {
        if !found.iter().any(|other| other.is_ipv4() == ip.is_ipv4()) {
            found.push(ip);
        }
    }
    if found.is_empty() {
        let known = Some(fallback).filter(|ip| !ip.is_unspecified());
        found.push(known.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    type Rights = BTreeSet<(String, String, String)>;

    /// Rights of all rules of a manifest's roles.
    fn granted(file: &str) -> Rights {
        let path = format!("{}/../manifests/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let texts = |value: &Value| -> Vec<String> {
            let all = value.as_array().unwrap().iter();
            all.map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let mut rights = Rights::new();
        for object in crate::load::parse(&text).unwrap() {
            for rule in object["rules"].as_array().into_iter().flatten() {
                for group in texts(&rule["apiGroups"]) {
                    for resource in texts(&rule["resources"]) {
                        for verb in texts(&rule["verbs"]) {
                            let right = (group.clone(), resource.clone(), verb);
                            assert!(rights.insert(right.clone()), "{right:?} is granted twice");
                        }
                    }
                }
            }
        }
        rights
    }

    fn needed(collections: BTreeSet<Collection>, more: &[(&str, &str, &[&str])]) -> Rights {
        let followed = collections.iter().flat_map(|what| {
            let of = (what.resource.group(), what.resource.plural());
            ["list", "watch"].map(|verb| (of.0.to_owned(), of.1.to_owned(), verb.to_owned()))
        });
        let more = more.iter().flat_map(|(group, resource, verbs)| {
            let right = |verb: &&str| {
                (
                    (*group).to_owned(),
                    (*resource).to_owned(),
                    (*verb).to_owned(),
                )
            };
            verbs.iter().map(right).collect::<Vec<_>>()
        });
        followed.chain(more).collect()
    }

    #[test]
    fn manifests_grant_what_is_used_and_nothing_else() {
        let events = ("events.k8s.io", "events", ["create", "patch"].as_slice());
        let node = needed(collections(true, true, false, "n"), &[events]);
        assert_eq!(granted("portolan-node.yaml"), node);
        let both = ["list", "watch"].as_slice();
        let gateway = needed(
            collections(false, false, true, "n"),
            &[
                ("", "secrets", both),
                ("", "configmaps", both),
                ("", "pods", both),
                ("networking.k8s.io", "ingresses/status", &["patch"]),
                (
                    "coordination.k8s.io",
                    "leases",
                    &["create", "get", "update", "patch"],
                ),
            ],
        );
        assert_eq!(granted("portolan-gateway.yaml"), gateway);
    }

    #[test]
    fn the_first_address_of_each_family_is_the_nodes() {
        let yaml = "apiVersion: v1\nkind: Node\nmetadata: {name: node1}\nstatus: {addresses: [\
                    {type: ExternalIP, address: 203.0.113.9}, {type: InternalIP, address: 192.0.2.1}, \
                    {type: InternalIP, address: 192.0.2.2}, {type: InternalIP, address: 'fd00::1'}]}\n";
        let snapshot = testkit::snapshot(yaml);
        let node = snapshot.nodes.values().next().map(Arc::as_ref);
        let any: IpAddr = "0.0.0.0".parse().unwrap();
        let texts = |ips: Vec<IpAddr>| ips.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(node_ips(node, any)), ["192.0.2.1", "fd00::1"]);
        assert_eq!(texts(node_ips(None, any)), ["127.0.0.1"]);
        assert_eq!(
            texts(node_ips(None, "192.0.2.7".parse().unwrap())),
            ["192.0.2.7"]
        );
    }
}
