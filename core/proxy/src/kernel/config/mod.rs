//! kube-proxy's configuration file, `KubeProxyConfiguration` of `kubeproxy.config.k8s.io/v1alpha1`,
//! as of Kubernetes 1.36: every field with its default. What is unknown or cannot be is an error;
//! what has no effect here is told.

mod duration;
mod node;
mod parse;
mod reader;

use model::Cidr;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

pub use node::NodeFacts;
pub use parse::parse;
pub use reader::ConfigError;

/// Something that is accepted and has not the effect that it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Path of the field
    pub field: String,
    /// What is different
    pub message: String,
}

/// `mode`. Rules are those of nf_tables in any case; a mode decides which section counts, and
/// which defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `iptables`, the default
    #[default]
    Iptables,
    /// `ipvs`
    Ipvs,
    /// `nftables`
    Nftables,
}

/// `detectLocalMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocalMode {
    /// By `clusterCIDR`
    #[default]
    ClusterCidr,
    /// By the Node's `spec.podCIDRs`
    NodeCidr,
    /// By `detectLocal.bridgeInterface`
    BridgeInterface,
    /// By `detectLocal.interfaceNamePrefix`
    InterfaceNamePrefix,
}

/// An entry of `nodePortAddresses`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodePortSelector {
    /// `primary`: the Node's own addresses
    Primary,
    /// `localhost`: loopback, by a relay (KEP-6032)
    Localhost,
    /// `all`: every local address
    All,
    /// Local addresses in a range
    Range(Cidr),
}

/// `clientConnection`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientConnection {
    /// `kubeconfig`: path; empty for in-cluster configuration
    pub kubeconfig: String,
    /// `qps`
    pub qps: f64,
    /// `burst`
    pub burst: u32,
}

/// `conntrack`: limits of connection tracking to set in the kernel. `None` leaves one as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conntrack {
    /// `maxPerCore`, with `min` over all cores
    pub max_per_core: Option<u32>,
    /// `min`
    pub min: u32,
    /// `tcpEstablishedTimeout`
    pub tcp_established_timeout: Option<Duration>,
    /// `tcpCloseWaitTimeout`
    pub tcp_close_wait_timeout: Option<Duration>,
    /// `tcpBeLiberal`
    pub tcp_be_liberal: bool,
    /// `udpTimeout`
    pub udp_timeout: Option<Duration>,
    /// `udpStreamTimeout`
    pub udp_stream_timeout: Option<Duration>,
}

/// The configuration, with defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct KubeProxyConfiguration {
    /// `featureGates`
    pub feature_gates: BTreeMap<String, bool>,
    /// `clientConnection`
    pub client: ClientConnection,
    /// `logging.verbosity`
    pub verbosity: u32,
    /// `hostnameOverride`: name of the Node; empty for the host's name
    pub hostname_override: String,
    /// `bindAddress`: the node's primary address, unless unspecified
    pub bind_address: IpAddr,
    /// `healthzBindAddress`
    pub healthz_bind_address: SocketAddr,
    /// `metricsBindAddress`
    pub metrics_bind_address: SocketAddr,
    /// `bindAddressHardFail`: end when a port cannot be listened on
    pub bind_address_hard_fail: bool,
    /// `enableProfiling`
    pub enable_profiling: bool,
    /// `showHiddenMetricsForVersion`
    pub show_hidden_metrics_for_version: String,
    /// `mode`
    pub mode: Mode,
    /// `masqueradeBit` of the mode's section
    pub masquerade_bit: u8,
    /// `masqueradeAll` of the mode's section
    pub masquerade_all: bool,
    /// `iptables.localhostNodePorts`, which only mode `iptables` has
    pub localhost_node_ports: bool,
    /// `syncPeriod` of the mode's section
    pub sync_period: Duration,
    /// `minSyncPeriod` of the mode's section
    pub min_sync_period: Duration,
    /// `detectLocalMode`
    pub detect_local_mode: LocalMode,
    /// `detectLocal.bridgeInterface`
    pub bridge_interface: String,
    /// `detectLocal.interfaceNamePrefix`
    pub interface_name_prefix: String,
    /// `clusterCIDR`
    pub cluster_cidrs: Vec<Cidr>,
    /// `nodePortAddresses`
    pub node_port_addresses: Vec<NodePortSelector>,
    /// `oomScoreAdj`
    pub oom_score_adj: i32,
    /// `conntrack`
    pub conntrack: Conntrack,
    /// `configSyncPeriod`
    pub config_sync_period: Duration,
}

impl Default for KubeProxyConfiguration {
    fn default() -> Self {
        Self {
            feature_gates: BTreeMap::new(),
            client: ClientConnection {
                kubeconfig: String::new(),
                qps: 5.0,
                burst: 10,
            },
            verbosity: 0,
            hostname_override: String::new(),
            bind_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            healthz_bind_address: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), parse::HEALTHZ),
            metrics_bind_address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), parse::METRICS),
            bind_address_hard_fail: false,
            enable_profiling: false,
            show_hidden_metrics_for_version: String::new(),
            mode: Mode::Iptables,
            masquerade_bit: 14,
            masquerade_all: false,
            localhost_node_ports: true,
            sync_period: Duration::from_secs(30),
            min_sync_period: Duration::from_secs(1),
            detect_local_mode: LocalMode::ClusterCidr,
            bridge_interface: String::new(),
            interface_name_prefix: String::new(),
            cluster_cidrs: Vec::new(),
            node_port_addresses: Vec::new(),
            oom_score_adj: -999,
            conntrack: Conntrack {
                max_per_core: Some(32 * 1024),
                min: 128 * 1024,
                tcp_established_timeout: Some(Duration::from_secs(86_400)),
                tcp_close_wait_timeout: Some(Duration::from_secs(3_600)),
                tcp_be_liberal: false,
                udp_timeout: None,
                udp_stream_timeout: None,
            },
            config_sync_period: Duration::from_secs(900),
        }
    }
}

#[cfg(test)]
mod tests;
