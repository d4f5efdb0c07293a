//! The Services of a laboratory, and their way into its nodes' kernels.

use crate::load::{Loaded, load};
use crate::sandbox::Sandbox;
use anyhow::Context;
use kernel::lab::{CLUSTER_CIDR, Lab, Machine};
use kernel::nftables::Table;
use model::{ChangedKeys, Cidr, Problem, Service, Snapshot};
use proxy::kernel::{DetectLocal, NodeSettings, RulesetPlanner};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Where load balancers get their addresses from.
const LOAD_BALANCERS: &str = "198.51.100.0/24";
/// Port of the Service that is there without any file, and that every Pod serves on anyhow.
const TARGET: u16 = 8080;

/// What the laboratory's nodes shall know.
pub(super) struct Cluster {
    pub(super) snapshot: Snapshot,
    pub(super) problems: Vec<Problem>,
    cidrs: Vec<Cidr>,
}

impl Cluster {
    /// Reads the files and lets the API's rules and controllers do their work on them.
    pub(super) fn plan(lab: &Lab, files: &[PathBuf], cidrs: Vec<Cidr>) -> anyhow::Result<Self> {
        let loading = load(files);
        if let Some(error) = loading.errors.into_iter().next() {
            return Err(error);
        }
        let mut sandbox = Sandbox::with_balancers(cidrs.clone(), LOAD_BALANCERS.parse()?)?;
        sandbox.apply(&nodes(lab));
        for (pod, status) in pods(lab) {
            let added = sandbox.add_running(&pod, &status);
            added.map_err(|error| anyhow::anyhow!("{}", error.message))?;
        }
        let objects = match files {
            [] => vec![loaded(default_service(&cidrs))],
            _ => loading.objects,
        };
        sandbox.apply(&objects);
        Ok(Self {
            snapshot: sandbox.snapshot(),
            problems: sandbox.refused.clone(),
            cidrs,
        })
    }

    /// Services that somebody asked for.
    pub(super) fn services(&self) -> impl Iterator<Item = &Service> {
        let all = self.snapshot.services.values().map(AsRef::as_ref);
        all.filter(|service| &*service.id.name != "kubernetes")
    }

    /// All ports on which some Service expects a Pod of the laboratory to answer.
    pub(super) fn target_ports(&self) -> Vec<u16> {
        let slices = self.snapshot.slices.values();
        let ports = slices.flat_map(|slice| slice.ports.iter().filter_map(|port| port.port));
        let mut ports: BTreeSet<u16> = ports.collect();
        ports.insert(TARGET);
        ports.into_iter().collect()
    }

    /// Plans each node and puts the plan into its kernel.
    pub(super) fn program(&self, lab: &Lab, external_ips: bool) -> anyhow::Result<Vec<Table>> {
        let mut changed = ChangedKeys::default();
        changed
            .services
            .extend(self.snapshot.services.keys().cloned());
        let program = |node: &Machine| -> anyhow::Result<Table> {
            let settings = self.settings(node, external_ips)?;
            let mut planner = RulesetPlanner::new(settings);
            let update = planner.update(&self.snapshot, &changed);
            let mut table = node.namespace.make(|| Table::open("portolan"))??;
            table.apply(&update.transaction)?;
            Ok(table)
        };
        let nodes = lab.nodes.iter();
        nodes
            .map(|node| {
                let name = &node.machine.name;
                program(&node.machine).with_context(|| format!("cannot program {name}"))
            })
            .collect()
    }

    fn settings(&self, node: &Machine, external_ips: bool) -> anyhow::Result<NodeSettings> {
        let mut pods = Vec::new();
        for (base, prefix) in CLUSTER_CIDR {
            pods.push(format!("{base}/{prefix}").parse()?);
        }
        Ok(NodeSettings {
            node_name: node.name.clone(),
            node_ips: node.addresses.both().to_vec(),
            detect_local: DetectLocal::Cidrs(pods),
            service_cidrs: self.cidrs.clone(),
            external_ips,
            ..NodeSettings::default()
        })
    }

    /// Lets the client outside reach Services' addresses, by way of the first node.
    pub(super) fn lead(&self, lab: &Lab, cidrs: &[Cidr]) -> anyhow::Result<()> {
        let mut outside: BTreeSet<(std::net::IpAddr, u8)> = BTreeSet::new();
        outside.extend(cidrs.iter().map(|cidr| (cidr.base(), cidr.prefix())));
        for service in self.services() {
            let balanced = service
                .load_balancer
                .iter()
                .filter_map(|ingress| ingress.ip);
            let addresses = balanced.chain(service.external_ips.iter().copied());
            let whole = |ip: std::net::IpAddr| (ip, if ip.is_ipv4() { 32 } else { 128 });
            outside.extend(addresses.map(whole));
        }
        for (address, prefix) in outside {
            lab.lead(address, prefix, 0)?;
        }
        Ok(())
    }
}

fn loaded(object: Value) -> Loaded {
    Loaded {
        path: PathBuf::from("laboratory"),
        document: 1,
        object,
    }
}

fn nodes(lab: &Lab) -> Vec<Loaded> {
    let node = |(index, name): (usize, &str)| {
        let zone = if index == 0 { "zone-a" } else { "zone-b" };
        loaded(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {
                "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone,
            }},
        }))
    };
    let names = lab.nodes.iter().map(|node| node.machine.name.as_str());
    names.enumerate().map(node).collect()
}

/// The Pods as objects with their statuses: running and ready.
fn pods(lab: &Lab) -> Vec<(Value, Value)> {
    let time = crate::controllers::now().rfc3339();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": time});
    let pod = |pod: &kernel::lab::Pod| {
        let (name, node) = (&pod.machine.name, &lab.nodes[pod.node].machine);
        let ips = pod.machine.addresses.both();
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "labels": {
                "app": "lab", "pod": name, "node": node.name,
            }},
            "spec": {
                "nodeName": node.name,
                "containers": [{"name": "echo", "image": "echo", "ports": [
                    {"name": "http", "containerPort": TARGET},
                ]}],
            },
        });
        let kinds = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
        let status = json!({
            "phase": "Running", "startTime": time,
            "podIP": ips[0], "podIPs": [{"ip": ips[0]}, {"ip": ips[1]}],
            "hostIP": node.addresses.v4, "conditions": kinds.map(condition),
        });
        (object, status)
    };
    lab.pods.iter().map(pod).collect()
}

/// What is there without any file, at the tenth address of each range.
fn default_service(cidrs: &[Cidr]) -> Value {
    let ips: Vec<std::net::IpAddr> = cidrs.iter().filter_map(|cidr| cidr.nth(10)).collect();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "type": "NodePort", "selector": {"app": "lab"}, "ipFamilyPolicy": "PreferDualStack",
            "clusterIP": ips.first(), "clusterIPs": ips,
            "ports": [
                {"name": "tcp", "protocol": "TCP", "port": 80, "targetPort": TARGET, "nodePort": 30080},
                {"name": "udp", "protocol": "UDP", "port": 80, "targetPort": TARGET, "nodePort": 30080},
            ],
        },
    })
}
