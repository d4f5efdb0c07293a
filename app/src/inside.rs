//! Joins the edges with the kernel data path's namespaces: which of their sockets are made inside.

use crate::config::Config;
use crate::datapath::DataPath;
use crate::network::{Gate, NodeAddresses, NodeNetwork};
use crate::node::agent::{Agent, AgentNotice, AgentOptions, SharedSnapshot};
use crate::node::metrics::NodeMetrics;
use anyhow::Context;
use apid::Client;
use model::{Cidr, EventNote, ObjectKey, Protocol, Resource, View as _, Write};
use proxy::Origin;
use proxy::kernel::{DetectLocal, NodePortAddresses, NodeSettings};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Port of DNS.
const DNS_PORT: u16 = 53;

/// Namespace and name of the cluster's DNS, as kubeadm has them.
pub(crate) const DNS_SERVICE: (&str, &str) = ("kube-system", "kube-dns");

/// The data path's namespaces, from which the edges get their sockets.
#[derive(Clone)]
pub(crate) struct Inside {
    network: Arc<NodeNetwork>,
}

impl Inside {
    /// Makes the namespaces, if the data path is the kernel's.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(crate) fn open(config: &Config) -> anyhow::Result<Option<Self>> {
        let chosen = &config.chosen;
        if chosen.path != DataPath::Nftables {
            return Ok(None);
        }
        let addresses = NodeAddresses::new(&chosen.pods, &chosen.services);
        let network = NodeNetwork::create(addresses).context("--data-path nftables")?;
        Ok(Some(Self { network }))
    }

    fn addresses(&self) -> &NodeAddresses {
        self.network.addresses()
    }

    /// The node's own addresses.
    pub(crate) fn node_addresses(&self) -> &[IpAddr] {
        &self.addresses().node
    }

    /// The file that stands for the node's namespace while this process runs.
    pub(crate) fn path(&self) -> PathBuf {
        self.network.namespace().path()
    }

    /// Where Pods reach the API server.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn gate(&self, data_dir: &Path) -> anyhow::Result<apid::Gate> {
        let gate = Gate::open(&self.network)?;
        Ok(apid::Gate {
            listeners: gate.listeners,
            address: gate.address,
            kubeconfig: self.kubeconfig(data_dir),
        })
    }

    /// The kubeconfig that leads there.
    pub(crate) fn kubeconfig(&self, data_dir: &Path) -> PathBuf {
        data_dir.join("kubeconfig.pods")
    }

    /// Where Pods reach DNS: at the Service's address, and at the node's, which is its endpoint.
    pub(crate) fn dns(&self) -> dnsd::Inside {
        let addresses = self.addresses();
        let all = addresses.dns.iter().chain(&addresses.node);
        let network = self.network.clone();
        dnsd::Inside {
            listen: all.map(|ip| SocketAddr::new(*ip, DNS_PORT)).collect(),
            sockets: Arc::new(move |address, datagrams| network.socket(address, datagrams)),
        }
    }

    /// Sockets towards backends: inside for what is inside.
    pub(crate) fn upstreams(&self) -> httpd::SocketSource {
        let network = self.network.clone();
        Arc::new(move |address| {
            let inside = network.reaches(address.ip());
            inside.then(|| network.socket(address, false))
        })
    }

    /// Hands connections from the host's addresses in.
    pub(crate) fn handover(&self) -> relay::Handover {
        let nodes = self.addresses().node.clone();
        let network = self.network.clone();
        relay::Handover {
            known: Arc::new(move |frontend, route| {
                let own = nodes
                    .iter()
                    .find(|ip| ip.is_ipv4() == frontend.address.is_ipv4());
                match own.or(nodes.first()) {
                    Some(ip) if route.origin == Origin::NodePort => {
                        SocketAddr::new(*ip, frontend.port)
                    }
                    _ => frontend.socket(),
                }
            }),
            sockets: Arc::new(move |address, protocol| {
                network.socket(address, protocol == Protocol::Udp)
            }),
        }
    }

    /// Lets Pods connect to what is outside. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(crate) fn start_egress(&self) -> anyhow::Result<()> {
        crate::network::egress::start(&self.network).context("the way out of the cluster")
    }

    /// Lets the runner put Pods into namespaces.
    pub(crate) fn run_pods(&self, settings: &mut runner::Settings) {
        let addresses = self.addresses();
        settings.network = Some(runner::NetworkSource(self.network.clone()));
        settings.cluster_dns.clone_from(&addresses.dns);
        if let Some(ip) = addresses.primary() {
            settings.node_ip = ip;
        }
    }

    /// Starts to keep the rules of the node.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn start_agent(
        &self,
        config: &Config,
        client: &Client,
        snapshot: SharedSnapshot,
    ) -> anyhow::Result<(Agent, Arc<NodeMetrics>)> {
        let namespace = self.network.namespace().clone();
        let chosen = &config.chosen;
        let settings = node_settings(&config.node_name, &chosen.pods, &chosen.services);
        let mut options = AgentOptions::new(Some(namespace), settings);
        let (client, node) = (client.named("kube-proxy"), config.node_name.clone());
        let runtime = tokio::runtime::Handle::current();
        options.notify = Box::new(move |notice| {
            if let Some(note) = note(&client, &node, notice) {
                let client = client.clone();
                runtime.spawn(async move {
                    let _ = client.submit(Write::Note(note)).await;
                });
            }
        });
        let metrics = options.metrics.clone();
        Ok((Agent::start(options, snapshot)?, metrics))
    }

    /// Makes the Service by which the cluster's DNS is known.
    pub(crate) async fn announce_dns(&self, client: &Client) {
        let addresses = self.addresses();
        let service = dns_service(addresses);
        let slices = dns_slices(addresses);
        let objects = std::iter::once((Resource::SERVICES, service));
        let slices = slices
            .into_iter()
            .map(|slice| (Resource::ENDPOINT_SLICES, slice));
        for (resource, object) in objects.chain(slices) {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let key = ObjectKey::new(resource, DNS_SERVICE.0, name);
            let there = client.get(resource, DNS_SERVICE.0, name).is_some();
            let write = match object.get("endpoints") {
                None if there => continue,
                Some(endpoints) if there => Write::MergePatch {
                    key,
                    subresource: "",
                    patch: json!({ "endpoints": endpoints }),
                },
                _ => Write::Create { resource, object },
            };
            if let Err(error) = client.submit(write).await {
                tracing::warn!(%error, "the Service kube-system/kube-dns is not as it should be");
            }
        }
    }
}

/// The Service by which the cluster's DNS is known.
pub(crate) fn dns_service(addresses: &NodeAddresses) -> Value {
    let (namespace, name) = DNS_SERVICE;
    let ips: Vec<String> = addresses.dns.iter().map(ToString::to_string).collect();
    let port = |name: &str, protocol: &str| json!({"name": name, "port": DNS_PORT, "protocol": protocol, "targetPort": DNS_PORT});
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {"k8s-app": "kube-dns"}},
        "spec": {
            "clusterIP": ips.first(), "clusterIPs": ips,
            "ports": [port("dns", "UDP"), port("dns-tcp", "TCP")],
            "ipFamilyPolicy": if ips.len() > 1 { "RequireDualStack" } else { "SingleStack" },
        },
    })
}

/// Its endpoints: the node, where DNS listens.
fn dns_slices(addresses: &NodeAddresses) -> Vec<Value> {
    let (namespace, name) = DNS_SERVICE;
    let port =
        |name: &str, protocol: &str| json!({"name": name, "port": DNS_PORT, "protocol": protocol});
    let slice = |ip: &IpAddr| {
        let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{name}-{}", family.to_lowercase()), "namespace": namespace,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": family,
            "endpoints": [{"addresses": [ip.to_string()], "conditions": {"ready": true}}],
            "ports": [port("dns", "UDP"), port("dns-tcp", "TCP")],
        })
    };
    addresses.node.iter().map(slice).collect()
}

/// What the rules of the node depend on.
pub(crate) fn node_settings(name: &str, pods: &[Cidr], services: &[Cidr]) -> NodeSettings {
    let addresses = NodeAddresses::new(pods, services);
    NodeSettings {
        node_name: name.to_owned(),
        node_port_addresses: NodePortAddresses::These(addresses.node.iter().copied().collect()),
        node_ips: addresses.node,
        detect_local: DetectLocal::Cidrs(pods.to_vec()),
        service_cidrs: services.to_vec(),
        dns_addresses: addresses.dns,
        ..NodeSettings::default()
    }
}

/// What is worth an event on the Node.
fn note(client: &Client, node: &str, notice: AgentNotice) -> Option<EventNote> {
    let (reason, message) = match notice {
        AgentNotice::Repaired { steps, by } => (
            "RulesetRepaired",
            format!("The rules of Services were changed by {by}; {steps} steps brought them back."),
        ),
        AgentNotice::Refused(what) => (
            "RulesetRefused",
            format!("The kernel refuses {}.", what.join("; ")),
        ),
        _ => return None,
    };
    tracing::warn!(reason, "{message}");
    Some(EventNote {
        regarding: client.get(Resource::NODES, "", node)?,
        kind: "Warning",
        reason: reason.to_owned(),
        message,
        component: "kube-proxy",
    })
}
