//! Command line of `portolan run`: kube-proxy's flags under their names and with their defaults,
//! and a few of our own.

use crate::node::agent::AUTO;
use clap::{Args, ValueEnum};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// What a process does for the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Services of this node in the kernel, and DNS on the cluster's DNS address
    Node,
    /// DNS on the cluster's DNS address alone
    Dns,
    /// Ingresses on ports 80 and 443 of this node
    Gateway,
}

/// `portolan run`
#[derive(Args, Clone)]
pub(crate) struct RunOptions {
    /// What to do here; several with commas
    #[arg(long, value_delimiter = ',', default_value = "node")]
    pub(crate) role: Vec<Role>,
    /// Path of a kubeconfig; without it, the ServiceAccount of the Pod is used
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// URL of the API server, in the place of the kubeconfig's
    #[arg(long, value_name = "URL")]
    pub(crate) master: Option<String>,
    /// Whether role node answers DNS on the cluster's DNS address
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "true", action = clap::ArgAction::Set)]
    pub(crate) dns: bool,
    /// Addresses for DNS; without them, those of the Service of --dns-service
    #[arg(long, value_name = "IP[,IP]", value_delimiter = ',')]
    pub(crate) cluster_dns: Vec<IpAddr>,
    /// Service whose ClusterIPs are the cluster's DNS addresses
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        default_value = "kube-system/kube-dns"
    )]
    pub(crate) dns_service: String,
    /// The cluster's domain
    #[arg(long, value_name = "NAME", default_value = "cluster.local")]
    pub(crate) cluster_domain: String,
    /// File with the name servers for names outside the cluster
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    pub(crate) resolv_conf: PathBuf,
    /// Serve spec.externalIPs, by which anyone who may write Services takes over any address
    #[arg(long)]
    pub(crate) external_ips: bool,
    /// Count packets and bytes of each Service, for /metrics
    #[arg(long)]
    pub(crate) service_counters: bool,
    /// Reset TCP connections to endpoints that are gone from their Service
    #[arg(long)]
    pub(crate) reset_removed_endpoints: bool,
    /// Lead sockets to endpoints as they connect, by BPF programs beside the rules: those of all
    /// processes, or of a cgroup2 directory
    #[arg(
        long,
        value_name = "CGROUP",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = AUTO
    )]
    pub(crate) socket_lb: Option<PathBuf>,
    /// Serve only Services with this service.kubernetes.io/service-proxy-name
    #[arg(long, value_name = "NAME")]
    pub(crate) service_proxy_name: Option<String>,
    #[command(flatten)]
    pub(crate) gateway: GatewayFlags,
    #[command(flatten)]
    pub(crate) proxy: ProxyFlags,
}

/// Options of role gateway, those of ingress-nginx by its names.
#[derive(Args, Clone)]
#[command(next_help_heading = "Options of role gateway")]
pub(crate) struct GatewayFlags {
    /// Where HTTP is served
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:80")]
    pub(crate) http_listen: SocketAddr,
    /// Where HTTPS is served
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:443")]
    pub(crate) https_listen: SocketAddr,
    /// spec.controller of the IngressClasses that are ours
    #[arg(long, value_name = "NAME", default_value = "k8s.io/ingress-nginx")]
    pub(crate) controller_class: String,
    /// Value of the annotation kubernetes.io/ingress.class that is ours
    #[arg(long, value_name = "NAME", default_value = "nginx")]
    pub(crate) ingress_class: String,
    /// Serve Ingresses without a class too
    #[arg(long)]
    pub(crate) watch_ingress_without_class: bool,
    /// ConfigMap with settings for all Ingresses
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        default_value = "ingress-nginx/ingress-nginx-controller"
    )]
    pub(crate) configmap: String,
    /// Service that answers what no Ingress takes
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) default_backend_service: Option<String>,
    /// Secret with the certificate for hosts that have none
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) default_ssl_certificate: Option<String>,
    /// Service whose load balancer's addresses Ingresses show; without it, those of the Nodes of all
    /// replicas, which Pods find by POD_NAMESPACE and POD_NAME in their environment
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) publish_service: Option<String>,
    /// Addresses that Ingresses show
    #[arg(long, value_name = "ADDRESS[,ADDRESS]", value_delimiter = ',')]
    pub(crate) publish_status_address: Vec<String>,
    /// Ingresses show internal addresses of Nodes, even of Nodes that have external ones
    #[arg(long)]
    pub(crate) report_node_internal_ip_address: bool,
}

/// kube-proxy's flags. One that is not given leaves kube-proxy's default; with `--config` they are
/// passed over but for `--hostname-override`, `-v` and what is no part of the file.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Options of kube-proxy")]
pub(crate) struct ProxyFlags {
    /// Name of this Node; without it, the host's name in lower case
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname_override: Option<String>,
    /// File with a KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Write the configuration in force to this file and end
    #[arg(long, value_name = "FILE")]
    pub(crate) write_config_to: Option<PathBuf>,
    /// Remove everything from the kernel and end
    #[arg(long)]
    pub(crate) cleanup: bool,
    /// Do only what needs all rights (limits of connection tracking), and end
    #[arg(long)]
    pub(crate) init_only: bool,
    /// iptables (default), ipvs or nftables: all are nf_tables here, each with its defaults
    #[arg(long, value_name = "MODE")]
    pub(crate) proxy_mode: Option<String>,
    /// Ranges of Pods, at most one of each family
    #[arg(long, value_name = "CIDR[,CIDR]")]
    pub(crate) cluster_cidr: Option<String>,
    /// ClusterCIDR (default), NodeCIDR, BridgeInterface or InterfaceNamePrefix
    #[arg(long, value_name = "MODE")]
    pub(crate) detect_local_mode: Option<String>,
    /// Bridge of local Pods, for BridgeInterface
    #[arg(long, value_name = "NAME")]
    pub(crate) pod_bridge_interface: Option<String>,
    /// Beginning of the names of local Pods' interfaces, for InterfaceNamePrefix
    #[arg(long, value_name = "PREFIX")]
    pub(crate) pod_interface_name_prefix: Option<String>,
    /// Where NodePorts answer: ranges of addresses, or primary, all, localhost
    #[arg(long, value_name = "CIDR[,CIDR]", value_delimiter = ',')]
    pub(crate) nodeport_addresses: Vec<String>,
    /// Masquerade all traffic to ClusterIPs
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true")]
    pub(crate) masquerade_all: Option<bool>,
    /// Bit of the packet mark that asks for masquerading, 0 to 31 [default: 14]
    #[arg(long, value_name = "BIT")]
    pub(crate) iptables_masquerade_bit: Option<i64>,
    /// Whether NodePorts answer on 127.0.0.1 (TCP) in mode iptables [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true")]
    pub(crate) iptables_localhost_nodeports: Option<bool>,
    /// How often the whole is compared with the kernel [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) iptables_sync_period: Option<String>,
    /// Taken and without effect: a change is in the kernel at once
    #[arg(long, value_name = "DURATION")]
    pub(crate) iptables_min_sync_period: Option<String>,
    /// This Node's address, if the Node object names none [default: 0.0.0.0]
    #[arg(long, value_name = "IP")]
    pub(crate) bind_address: Option<String>,
    /// End when a port cannot be bound
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true")]
    pub(crate) bind_address_hard_fail: Option<bool>,
    /// Where /healthz and /livez are served; empty for nowhere [default: 0.0.0.0:10256]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) healthz_bind_address: Option<String>,
    /// Where /metrics, /proxyMode and /configz are served; empty for nowhere [default: 127.0.0.1:10249]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) metrics_bind_address: Option<String>,
    /// Most tracked connections for each core; 0 leaves the limit as it is [default: 32768]
    #[arg(long, value_name = "N")]
    pub(crate) conntrack_max_per_core: Option<i64>,
    /// Least limit of tracked connections [default: 131072]
    #[arg(long, value_name = "N")]
    pub(crate) conntrack_min: Option<i64>,
    /// Idle time of established TCP connections; 0 leaves it as it is [default: 24h]
    #[arg(long, value_name = "DURATION")]
    pub(crate) conntrack_tcp_timeout_established: Option<String>,
    /// Idle time of TCP connections in CLOSE_WAIT; 0 leaves it as it is [default: 1h]
    #[arg(long, value_name = "DURATION")]
    pub(crate) conntrack_tcp_timeout_close_wait: Option<String>,
    /// Accept packets outside the TCP window
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true")]
    pub(crate) conntrack_tcp_be_liberal: Option<bool>,
    /// Idle time of unanswered UDP flows; 0 leaves it as it is
    #[arg(long, value_name = "DURATION")]
    pub(crate) conntrack_udp_timeout: Option<String>,
    /// Idle time of answered UDP flows; 0 leaves it as it is
    #[arg(long, value_name = "DURATION")]
    pub(crate) conntrack_udp_timeout_stream: Option<String>,
    /// oom_score_adj of this process, -1000 to 1000 [default: -999]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) oom_score_adj: Option<i64>,
    /// AllowServiceExternalIPs=true has an effect; others are taken
    #[arg(long, value_name = "GATE=BOOL,…", value_delimiter = ',')]
    pub(crate) feature_gates: Vec<String>,
    /// Log lines as kube-proxy counts them, 0 to 9; over 3, --log-level debug
    #[arg(short = 'v', long = "v", value_name = "N")]
    pub(crate) verbosity: Option<u8>,
    #[command(flatten)]
    pub(crate) without_effect: WithoutEffect,
}

/// Flags that are taken so that an old command line works.
#[derive(Args, Clone, Default)]
pub(crate) struct WithoutEffect {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    profiling: Option<String>,
    #[arg(long, hide = true)]
    config_sync_period: Option<String>,
    #[arg(long, hide = true)]
    kube_api_burst: Option<String>,
    #[arg(long, hide = true)]
    kube_api_qps: Option<String>,
    #[arg(long, hide = true)]
    kube_api_content_type: Option<String>,
    #[arg(long, hide = true)]
    show_hidden_metrics_for_version: Option<String>,
    #[arg(long, hide = true)]
    logging_format: Option<String>,
    #[arg(long, hide = true)]
    log_flush_frequency: Option<String>,
    #[arg(long, hide = true)]
    vmodule: Option<String>,
    #[arg(long, hide = true)]
    ipvs_scheduler: Option<String>,
    #[arg(long, hide = true)]
    ipvs_sync_period: Option<String>,
    #[arg(long, hide = true)]
    ipvs_min_sync_period: Option<String>,
    #[arg(long, hide = true)]
    ipvs_exclude_cidrs: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    ipvs_strict_arp: Option<String>,
    #[arg(long, hide = true)]
    ipvs_tcp_timeout: Option<String>,
    #[arg(long, hide = true)]
    ipvs_tcpfin_timeout: Option<String>,
    #[arg(long, hide = true)]
    ipvs_udp_timeout: Option<String>,
}

impl WithoutEffect {
    /// Those that were given.
    pub(crate) fn given(&self) -> Vec<&'static str> {
        let all = [
            ("profiling", &self.profiling),
            ("config-sync-period", &self.config_sync_period),
            ("kube-api-burst", &self.kube_api_burst),
            ("kube-api-qps", &self.kube_api_qps),
            ("kube-api-content-type", &self.kube_api_content_type),
            (
                "show-hidden-metrics-for-version",
                &self.show_hidden_metrics_for_version,
            ),
            ("logging-format", &self.logging_format),
            ("log-flush-frequency", &self.log_flush_frequency),
            ("vmodule", &self.vmodule),
            ("ipvs-scheduler", &self.ipvs_scheduler),
            ("ipvs-sync-period", &self.ipvs_sync_period),
            ("ipvs-min-sync-period", &self.ipvs_min_sync_period),
            ("ipvs-exclude-cidrs", &self.ipvs_exclude_cidrs),
            ("ipvs-strict-arp", &self.ipvs_strict_arp),
            ("ipvs-tcp-timeout", &self.ipvs_tcp_timeout),
            ("ipvs-tcpfin-timeout", &self.ipvs_tcpfin_timeout),
            ("ipvs-udp-timeout", &self.ipvs_udp_timeout),
        ];
        let given = all.into_iter().filter(|(_, value)| value.is_some());
        given.map(|(name, _)| name).collect()
    }
}
