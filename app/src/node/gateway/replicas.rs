//! The replicas of the gateway, and where they are reached.

use cluster::Collection;
use model::{NamespacedName, Node, Pod, Resource, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Labels that tell the replicas of one version from those of another.
const OF_A_VERSION: [&str; 3] = [
    "controller-revision-hash",
    "pod-template-generation",
    "pod-template-hash",
];

/// What tells one gateway's replicas from all other Pods.
pub(super) struct Replicas {
    /// Our own Pod; `None` outside of Pods, where we know of no others
    own: Option<NamespacedName>,
    /// Our Node
    node: String,
    /// Internal addresses of Nodes even where they have external ones
    internal: bool,
}

impl Replicas {
    /// Of the Pod that the environment names (`POD_NAMESPACE`, `POD_NAME`), on this Node.
    pub(super) fn here(node: &str, internal: bool) -> Self {
        let name = |variable| std::env::var(variable).ok().filter(|text| !text.is_empty());
        let own = name("POD_NAMESPACE").zip(name("POD_NAME"));
        Self {
            own: own.map(|(namespace, name)| NamespacedName::new(&namespace, &name)),
            node: node.to_owned(),
            internal,
        }
    }

    /// What has to be known: our Pod, then those with its labels, then their Nodes.
    pub(super) fn references(&self, snapshot: &Snapshot) -> BTreeSet<Collection> {
        let Some(own) = &self.own else {
            return BTreeSet::new();
        };
        let pod = Collection::one(Resource::PODS, "Pod", &own.namespace, &own.name);
        let mut all = BTreeSet::from([pod.optional()]);
        let labels = self.labels(snapshot);
        if !labels.is_empty() {
            let selector: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let pods = Collection {
                namespace: own.namespace.to_string(),
                ..Collection::all(Resource::PODS, "Pod").labelled(&selector.join(","))
            };
            all.insert(pods.optional());
        }
        let nodes = self.pods(snapshot).map(|pod| pod.node_name.as_str());
        let nodes = nodes.filter(|node| !node.is_empty());
        all.extend(nodes.map(|node| Collection::one(Resource::NODES, "Node", "", node)));
        all
    }

    /// Addresses of the Nodes with replicas that are ready; of our Node when we know of none.
    pub(super) fn addresses(&self, snapshot: &Snapshot) -> Vec<IpAddr> {
        let ready = self
            .pods(snapshot)
            .filter(|pod| pod.phase == "Running" && pod.ready && !pod.meta.is_deleting());
        let mut nodes: BTreeSet<&str> = ready.map(|pod| pod.node_name.as_str()).collect();
        if nodes.is_empty() {
            nodes.insert(&self.node);
        }
        let nodes = nodes
            .into_iter()
            .filter_map(|name| snapshot.nodes.get(name));
        let addresses = nodes.flat_map(|node| self.of_node(node));
        let mut addresses: Vec<IpAddr> = addresses.copied().collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }

    fn of_node<'a>(&self, node: &'a Node) -> &'a [IpAddr] {
        if self.internal || node.external_ips.is_empty() {
            &node.internal_ips
        } else {
            &node.external_ips
        }
    }

    fn pods<'a>(&self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Pod> {
        let labels = self.labels(snapshot);
        let pods = self.own.as_ref().filter(|_| !labels.is_empty());
        let namespace = pods.map(|own| own.namespace.clone());
        let pods = snapshot.pods.values().map(AsRef::as_ref);
        pods.filter(move |pod: &&Pod| {
            let has = |(key, value)| pod.meta.labels.get(key) == Some(value);
            Some(&pod.id.namespace) == namespace.as_ref() && labels.iter().all(has)
        })
    }

    /// Labels that all replicas have.
    fn labels(&self, snapshot: &Snapshot) -> BTreeMap<String, String> {
        let own = self.own.as_ref().and_then(|own| snapshot.pods.get(own));
        let mut labels = own.map(|pod| pod.meta.labels.clone()).unwrap_or_default();
        labels.retain(|key, _| !OF_A_VERSION.contains(&key.as_str()));
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLICAS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: in, labels: {app: gateway, pod-template-hash: '1'}}
spec: {nodeName: node1}
status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: in, labels: {app: gateway, pod-template-hash: '2'}}
spec: {nodeName: node2}
status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: c, namespace: in, labels: {app: gateway}}
spec: {nodeName: node3}
status: {phase: Running, conditions: [{type: Ready, status: 'False'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: d, namespace: in, labels: {app: other}}
spec: {nodeName: node3}
status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}
---
apiVersion: v1
kind: Node
metadata: {name: node1}
status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}
---
apiVersion: v1
kind: Node
metadata: {name: node2}
status: {addresses: [{type: InternalIP, address: 192.0.2.2}, {type: ExternalIP, address: 203.0.113.2}]}
---
apiVersion: v1
kind: Node
metadata: {name: node3}
status: {addresses: [{type: InternalIP, address: 192.0.2.3}]}
";

    fn replicas(own: Option<&str>, internal: bool) -> Replicas {
        Replicas {
            own: own.map(|name| NamespacedName::new("in", name)),
            node: "node3".to_owned(),
            internal,
        }
    }

    #[test]
    fn the_nodes_of_all_ready_replicas_are_told() {
        let snapshot = testkit::snapshot(REPLICAS);
        let of = |replicas: Replicas| -> Vec<String> {
            let addresses = replicas.addresses(&snapshot);
            addresses.iter().map(ToString::to_string).collect()
        };
        assert_eq!(of(replicas(Some("a"), false)), ["192.0.2.1", "203.0.113.2"]);
        assert_eq!(of(replicas(Some("b"), true)), ["192.0.2.1", "192.0.2.2"]);
        // No Pod of ours is known: this Node serves in any case.
        assert_eq!(of(replicas(Some("unknown"), false)), ["192.0.2.3"]);
        assert_eq!(of(replicas(None, false)), ["192.0.2.3"]);
    }

    #[test]
    fn what_is_followed_grows_with_what_is_known() {
        let followed = |replicas: Replicas, snapshot: &Snapshot| -> Vec<String> {
            let show = |what: &Collection| {
                let Collection {
                    resource,
                    fields,
                    labels,
                    ..
                } = what;
                format!("{resource} {fields}{labels}")
            };
            replicas.references(snapshot).iter().map(show).collect()
        };
        let none = Snapshot::default();
        assert!(followed(replicas(None, false), &none).is_empty());
        let own = "pods metadata.name=a";
        assert_eq!(followed(replicas(Some("a"), false), &none), [own]);
        let nodes = ["node1", "node2", "node3"].map(|node| format!("nodes metadata.name={node}"));
        let mut all = nodes.to_vec();
        all.extend(["pods app=gateway".to_owned(), own.to_owned()]);
        let snapshot = testkit::snapshot(REPLICAS);
        assert_eq!(followed(replicas(Some("a"), false), &snapshot), all);
    }
}
