//! Command line of `portolan run`: kube-proxy's flags under their names and with their defaults,
//! and a few of our own.

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use model::Cidr;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

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
#[command(next_help_heading = "Options of kube-proxy")]
pub(crate) struct RunOptions {
    /// What to do here; several with commas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "node",
        help_heading = "Options"
    )]
    pub(crate) role: Vec<Role>,
    /// Path of a kubeconfig; without it, the ServiceAccount of the Pod is used
    #[arg(
        long,
        value_name = "FILE",
        env = "KUBECONFIG",
        help_heading = "Options"
    )]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// URL of the API server, in the place of the kubeconfig's
    #[arg(long, value_name = "URL", help_heading = "Options")]
    pub(crate) master: Option<String>,
    /// Whether role node answers DNS on the cluster's DNS address
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "true", action = clap::ArgAction::Set,
        help_heading = "Options")]
    pub(crate) dns: bool,
    /// Addresses for DNS; without them, those of the Service of --dns-service
    #[arg(
        long,
        value_name = "IP[,IP]",
        value_delimiter = ',',
        help_heading = "Options"
    )]
    pub(crate) cluster_dns: Vec<IpAddr>,
    /// Service whose ClusterIPs are the cluster's DNS addresses
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        default_value = "kube-system/kube-dns",
        help_heading = "Options"
    )]
    pub(crate) dns_service: String,
    /// The cluster's domain
    #[arg(
        long,
        value_name = "NAME",
        default_value = "cluster.local",
        help_heading = "Options"
    )]
    pub(crate) cluster_domain: String,
    /// File with the name servers for names outside the cluster
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/resolv.conf",
        help_heading = "Options"
    )]
    pub(crate) resolv_conf: PathBuf,
    /// Serve spec.externalIPs, by which anyone who may write Services takes over any address
    #[arg(long, help_heading = "Options")]
    pub(crate) external_ips: bool,
    /// Count packets and bytes of each Service, for /metrics
    #[arg(long, help_heading = "Options")]
    pub(crate) service_counters: bool,
    /// Reset TCP connections to endpoints that are gone from their Service
    #[arg(long, help_heading = "Options")]
    pub(crate) reset_removed_endpoints: bool,
    /// Serve only Services with this service.kubernetes.io/service-proxy-name
    #[arg(long, value_name = "NAME", help_heading = "Options")]
    pub(crate) service_proxy_name: Option<String>,
    #[command(flatten)]
    pub(crate) proxy: ProxyFlags,
}

/// kube-proxy's flags. Those without meaning here are taken and said so in their help.
#[derive(Args, Clone)]
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
    /// Do only what needs all rights, and end
    #[arg(long)]
    pub(crate) init_only: bool,
    /// iptables, ipvs or nftables; always nf_tables, but iptables has NodePorts on all addresses
    #[arg(long, value_name = "MODE")]
    pub(crate) proxy_mode: Option<String>,
    /// Ranges of Pods, at most one of each family
    #[arg(long, value_name = "CIDR[,CIDR]", value_delimiter = ',')]
    pub(crate) cluster_cidr: Vec<String>,
    /// ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix
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
        default_missing_value = "true", default_value = "false", action = clap::ArgAction::Set)]
    pub(crate) masquerade_all: bool,
    /// Bit of the packet mark that asks for masquerading, 0 to 31
    #[arg(long, value_name = "BIT", default_value_t = 14)]
    pub(crate) iptables_masquerade_bit: u8,
    /// Whether NodePorts answer on 127.0.0.1 (TCP), where they answer on all addresses
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "true", action = clap::ArgAction::Set)]
    pub(crate) iptables_localhost_nodeports: bool,
    /// How often the whole is compared with the kernel
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) iptables_sync_period: Duration,
    /// Least time between two changes of the kernel; zero, for they are cheap
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub(crate) iptables_min_sync_period: Duration,
    /// This Node's address, if the Node object names none
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    pub(crate) bind_address: IpAddr,
    /// End when a port cannot be bound
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = clap::ArgAction::Set)]
    pub(crate) bind_address_hard_fail: bool,
    /// Where /healthz and /livez are served; empty for nowhere
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:10256")]
    pub(crate) healthz_bind_address: String,
    /// Where /metrics, /proxyMode and /configz are served; empty for nowhere
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:10249")]
    pub(crate) metrics_bind_address: String,
    /// Most tracked connections for each core; 0 leaves the limit as it is
    #[arg(long, value_name = "N", default_value_t = 32768)]
    pub(crate) conntrack_max_per_core: u32,
    /// Least limit of tracked connections
    #[arg(long, value_name = "N", default_value_t = 131_072)]
    pub(crate) conntrack_min: u32,
    /// Idle time of established TCP connections; 0 leaves it as it is
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub(crate) conntrack_tcp_timeout_established: Duration,
    /// Idle time of TCP connections in CLOSE_WAIT; 0 leaves it as it is
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub(crate) conntrack_tcp_timeout_close_wait: Duration,
    /// Accept packets outside the TCP window
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = clap::ArgAction::Set)]
    pub(crate) conntrack_tcp_be_liberal: bool,
    /// Idle time of unanswered UDP flows; 0 leaves it as it is
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub(crate) conntrack_udp_timeout: Duration,
    /// Idle time of answered UDP flows; 0 leaves it as it is
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub(crate) conntrack_udp_timeout_stream: Duration,
    /// oom_score_adj of this process, -1000 to 1000
    #[arg(long, value_name = "N", default_value_t = -999, allow_hyphen_values = true)]
    pub(crate) oom_score_adj: i32,
    /// Serve /debug/pprof; not here
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = clap::ArgAction::Set)]
    pub(crate) profiling: bool,
    /// Taken and without effect: objects are watched, not asked for again
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub(crate) config_sync_period: Duration,
    /// Taken and without effect
    #[arg(long, value_name = "N", default_value_t = 10, hide = true)]
    pub(crate) kube_api_burst: i32,
    /// Taken and without effect
    #[arg(long, value_name = "N", default_value_t = 5.0, hide = true)]
    pub(crate) kube_api_qps: f32,
    /// Taken and without effect: objects come as JSON
    #[arg(long, value_name = "TYPE", hide = true)]
    pub(crate) kube_api_content_type: Option<String>,
    /// Taken and without effect
    #[arg(long, value_name = "VERSION", hide = true)]
    pub(crate) show_hidden_metrics_for_version: Option<String>,
    /// Taken; gates of kube-proxy change nothing here
    #[arg(long, value_name = "GATE=BOOL,…")]
    pub(crate) feature_gates: Option<String>,
    /// Log lines as kube-proxy counts them: 0 to 9
    #[arg(short = 'v', long = "v", value_name = "N")]
    pub(crate) verbosity: Option<u8>,
}

impl ProxyFlags {
    /// Whether the mode is one whose NodePorts answer on all addresses.
    pub(crate) fn all_addresses(&self) -> anyhow::Result<bool> {
        match self.proxy_mode.as_deref() {
            None | Some("" | "iptables" | "ipvs") => Ok(true),
            Some("nftables") => Ok(false),
            Some(mode) => bail!("--proxy-mode {mode:?}: iptables, ipvs or nftables"),
        }
    }

    /// Checks what clap does not.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.iptables_masquerade_bit > 31 {
            bail!(
                "--iptables-masquerade-bit {}: 0 to 31",
                self.iptables_masquerade_bit
            );
        }
        if !(-1000..=1000).contains(&self.oom_score_adj) {
            bail!("--oom-score-adj {}: -1000 to 1000", self.oom_score_adj);
        }
        self.all_addresses()?;
        self.cidrs().map(|_| ())
    }

    /// `--cluster-cidr`
    pub(crate) fn cidrs(&self) -> anyhow::Result<Vec<Cidr>> {
        let texts = self.cluster_cidr.iter().filter(|text| !text.is_empty());
        let parse = |text: &String| {
            text.parse()
                .with_context(|| format!("--cluster-cidr {text:?}"))
        };
        texts.map(parse).collect()
    }

    /// Address of a server; `None` where the flag is empty.
    pub(crate) fn bind(flag: &str, text: &str, port: u16) -> anyhow::Result<Option<SocketAddr>> {
        if text.is_empty() {
            return Ok(None);
        }
        if let Ok(address) = text.parse() {
            return Ok(Some(address));
        }
        let address: Result<IpAddr, _> = text.trim_matches(['[', ']']).parse();
        let address = address.with_context(|| format!("{flag} {text:?} is no address and port"))?;
        Ok(Some(SocketAddr::new(address, port)))
    }
}

/// A duration as Go writes it: `1h30m`, `250ms`, `0`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration such as 30s or 1h30m");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        total += number * seconds;
        rest = tail;
    }
    Duration::try_from_secs_f64(total)
        .map_err(|_| wrong())
        .and_then(|d| if text.is_empty() { Err(wrong()) } else { Ok(d) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: RunOptions,
    }

    fn parse(args: &[&str]) -> Result<RunOptions, clap::Error> {
        let args = std::iter::once("run").chain(args.iter().copied());
        Line::try_parse_from(args).map(|line| line.options)
    }

    #[test]
    fn flags_of_kube_proxy_are_taken_with_its_defaults() {
        let defaults = parse(&[]).unwrap();
        assert_eq!(defaults.role, [Role::Node]);
        assert_eq!(defaults.proxy.conntrack_max_per_core, 32768);
        assert_eq!(
            defaults.proxy.conntrack_tcp_timeout_established.as_secs(),
            86400
        );
        assert!(defaults.proxy.all_addresses().unwrap() && defaults.dns);
        let set = parse(&[
            "--cluster-cidr=10.244.0.0/16,fd00::/48",
            "--masquerade-all",
            "--v=2",
            "--proxy-mode=nftables",
            "--oom-score-adj=-5",
            "--nodeport-addresses=primary",
            "--dns=false",
        ]);
        let set = set.unwrap();
        assert!(set.proxy.masquerade_all && !set.dns && !set.proxy.all_addresses().unwrap());
        assert_eq!(set.proxy.cidrs().unwrap().len(), 2);
        set.proxy.check().unwrap();
        assert!(parse(&["--ipvs-scheduler=rr"]).is_err(), "IPVS is not here");
        let bad = |args: &[&str]| parse(args).unwrap().proxy.check().unwrap_err().to_string();
        assert!(bad(&["--proxy-mode=kernelspace"]).contains("kernelspace"));
        assert!(bad(&["--iptables-masquerade-bit=32"]).contains("0 to 31"));
        assert!(bad(&["--cluster-cidr=x"]).contains("--cluster-cidr"));
    }

    #[test]
    fn durations_are_written_as_go_does() {
        assert_eq!(duration("1h30m").unwrap().as_secs(), 5400);
        assert_eq!(duration("250ms").unwrap().as_millis(), 250);
        assert_eq!(duration("0").unwrap(), Duration::ZERO);
        for wrong in ["", "5", "s", "-1s", "1y"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
