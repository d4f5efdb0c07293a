//! kube-proxy's configuration, out of flags or of a file: flags are fields of the file by other
//! names, so that both are read by one parser.

use crate::node::flags::ProxyFlags;
use anyhow::{Context, bail};
use proxy::kernel::config::{KubeProxyConfiguration, LocalMode, Mode, NodePortSelector, parse};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// The configuration in force, and which servers the flags leave out.
pub(crate) struct InForce {
    pub(crate) config: KubeProxyConfiguration,
    pub(crate) healthz: bool,
    pub(crate) metrics: bool,
}

/// Reads flags, or the file that they name.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn read(flags: &ProxyFlags) -> anyhow::Result<InForce> {
    for name in flags.without_effect.given() {
        eprintln!("portolan: --{name} has no effect");
    }
    let (value, what) = match &flags.config {
        Some(path) => (read_file(path)?, path.display().to_string()),
        None => (of_flags(flags)?, "the flags".to_owned()),
    };
    let (mut config, notices) = parse(&value).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{what}: {}", errors.join("\n"))
    })?;
    for notice in notices {
        eprintln!("portolan: {}: {}", notice.field, notice.message);
    }
    if let Some(name) = &flags.hostname_override {
        config.hostname_override.clone_from(name);
    }
    let wanted = |flag: &Option<String>| flags.config.is_some() || flag.as_deref() != Some("");
    Ok(InForce {
        config,
        healthz: wanted(&flags.healthz_bind_address),
        metrics: wanted(&flags.metrics_bind_address),
    })
}

fn read_file(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("--config: cannot read {}", path.display()))?;
    let documents = crate::load::parse(&text);
    let documents = documents.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    // A file may hold configurations of other components beside it.
    let ours = |value: &Value| value["kind"] == "KubeProxyConfiguration";
    let mut documents = documents.into_iter().filter(|value| !value.is_null());
    let first = documents.next().unwrap_or_default();
    if ours(&first) {
        return Ok(first);
    }
    Ok(documents.find(ours).unwrap_or(first))
}

/// The file that says the same as the flags.
fn of_flags(flags: &ProxyFlags) -> anyhow::Result<Value> {
    let mode = flags.proxy_mode.clone().unwrap_or_default();
    let section = match mode.as_str() {
        "ipvs" => "ipvs",
        "nftables" => "nftables",
        _ => "iptables",
    };
    let mut rules = Map::new();
    let mut masks = Map::new();
    put(&mut rules, "syncPeriod", &flags.iptables_sync_period);
    put(&mut rules, "minSyncPeriod", &flags.iptables_min_sync_period);
    put(&mut masks, "masqueradeBit", &flags.iptables_masquerade_bit);
    put(&mut masks, "masqueradeAll", &flags.masquerade_all);
    if section == "iptables" {
        put(
            &mut masks,
            "localhostNodePorts",
            &flags.iptables_localhost_nodeports,
        );
    }
    let mut root = Map::new();
    // Mode ipvs has its masks in the section of mode iptables.
    if section == "ipvs" {
        root.insert("iptables".to_owned(), masks.into());
        root.insert("ipvs".to_owned(), rules.into());
    } else {
        rules.extend(masks);
        root.insert(section.to_owned(), rules.into());
    }
    root.insert("conntrack".to_owned(), conntrack(flags).into());
    let local = json!({"bridgeInterface": flags.pod_bridge_interface,
        "interfaceNamePrefix": flags.pod_interface_name_prefix});
    root.insert("detectLocal".to_owned(), local);
    root.insert("featureGates".to_owned(), gates(&flags.feature_gates)?);
    let addresses = flags
        .nodeport_addresses
        .iter()
        .filter(|text| !text.is_empty());
    root.insert("nodePortAddresses".to_owned(), addresses.cloned().collect());
    put(&mut root, "mode", &flags.proxy_mode);
    put(&mut root, "clusterCIDR", &flags.cluster_cidr);
    put(&mut root, "detectLocalMode", &flags.detect_local_mode);
    put(&mut root, "bindAddress", &flags.bind_address);
    put(
        &mut root,
        "bindAddressHardFail",
        &flags.bind_address_hard_fail,
    );
    put(&mut root, "healthzBindAddress", &flags.healthz_bind_address);
    put(&mut root, "metricsBindAddress", &flags.metrics_bind_address);
    put(&mut root, "oomScoreAdj", &flags.oom_score_adj);
    root.insert(
        "apiVersion".to_owned(),
        json!("kubeproxy.config.k8s.io/v1alpha1"),
    );
    root.insert("kind".to_owned(), json!("KubeProxyConfiguration"));
    Ok(root.into())
}

fn put<T: serde::Serialize>(into: &mut Map<String, Value>, name: &str, value: &Option<T>) {
    if let Some(value) = value {
        into.insert(name.to_owned(), json!(value));
    }
}

fn conntrack(flags: &ProxyFlags) -> Map<String, Value> {
    let mut all = Map::new();
    put(&mut all, "maxPerCore", &flags.conntrack_max_per_core);
    put(&mut all, "min", &flags.conntrack_min);
    put(
        &mut all,
        "tcpEstablishedTimeout",
        &flags.conntrack_tcp_timeout_established,
    );
    put(
        &mut all,
        "tcpCloseWaitTimeout",
        &flags.conntrack_tcp_timeout_close_wait,
    );
    put(&mut all, "tcpBeLiberal", &flags.conntrack_tcp_be_liberal);
    put(&mut all, "udpTimeout", &flags.conntrack_udp_timeout);
    put(
        &mut all,
        "udpStreamTimeout",
        &flags.conntrack_udp_timeout_stream,
    );
    all
}

fn gates(texts: &[String]) -> anyhow::Result<Value> {
    let mut all = Map::new();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        match text
            .split_once('=')
            .map(|(name, on)| (name, on.parse::<bool>()))
        {
            Some((name, Ok(on))) => all.insert(name.to_owned(), on.into()),
            _ => bail!("--feature-gates {text:?}: GATE=true or GATE=false"),
        };
    }
    Ok(all.into())
}

/// Name of a mode, as `/proxyMode` says it.
pub(crate) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Iptables => "iptables",
        Mode::Ipvs => "ipvs",
        Mode::Nftables => "nftables",
    }
}

/// The configuration as a file of its kind, YAML.
pub(crate) fn write(config: &KubeProxyConfiguration) -> String {
    let mut out = String::new();
    let mode = mode_name(config.mode);
    let cidrs: Vec<String> = config
        .cluster_cidrs
        .iter()
        .map(ToString::to_string)
        .collect();
    let seconds = |duration: Option<Duration>| go(duration.unwrap_or_default());
    let local = match config.detect_local_mode {
        LocalMode::ClusterCidr => "ClusterCIDR",
        LocalMode::NodeCidr => "NodeCIDR",
        LocalMode::BridgeInterface => "BridgeInterface",
        LocalMode::InterfaceNamePrefix => "InterfaceNamePrefix",
    };
    let _ = write!(
        out,
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
         bindAddress: {:?}\nbindAddressHardFail: {}\nclusterCIDR: {:?}\n\
         clientConnection:\n  burst: {}\n  kubeconfig: {:?}\n  qps: {}\n\
         configSyncPeriod: {}\n",
        config.bind_address.to_string(),
        config.bind_address_hard_fail,
        cidrs.join(","),
        config.client.burst,
        config.client.kubeconfig,
        config.client.qps,
        go(config.config_sync_period),
    );
    let conntrack = &config.conntrack;
    let _ = write!(
        out,
        "conntrack:\n  maxPerCore: {}\n  min: {}\n  tcpBeLiberal: {}\n  tcpCloseWaitTimeout: {}\n  \
         tcpEstablishedTimeout: {}\n  udpStreamTimeout: {}\n  udpTimeout: {}\n",
        conntrack.max_per_core.unwrap_or(0),
        conntrack.min,
        conntrack.tcp_be_liberal,
        seconds(conntrack.tcp_close_wait_timeout),
        seconds(conntrack.tcp_established_timeout),
        seconds(conntrack.udp_stream_timeout),
        seconds(conntrack.udp_timeout),
    );
    let _ = write!(
        out,
        "detectLocal:\n  bridgeInterface: {:?}\n  interfaceNamePrefix: {:?}\n\
         detectLocalMode: {local}\nenableProfiling: {}\nhealthzBindAddress: {:?}\n\
         hostnameOverride: {:?}\nmetricsBindAddress: {:?}\nmode: {mode}\n",
        config.bridge_interface,
        config.interface_name_prefix,
        config.enable_profiling,
        config.healthz_bind_address.to_string(),
        config.hostname_override,
        config.metrics_bind_address.to_string(),
    );
    let (section, masks) = match config.mode {
        Mode::Iptables => (
            "iptables",
            format!("\n  localhostNodePorts: {}", config.localhost_node_ports),
        ),
        Mode::Ipvs => ("ipvs", String::new()),
        Mode::Nftables => ("nftables", String::new()),
    };
    let (all, bit) = (config.masquerade_all, config.masquerade_bit);
    let masks = format!("  masqueradeAll: {all}\n  masqueradeBit: {bit}{masks}\n");
    let holder = if section == "ipvs" {
        "iptables"
    } else {
        section
    };
    let _ = write!(out, "{holder}:\n{masks}");
    if holder != section {
        let _ = writeln!(out, "{section}:");
    }
    let (min, period) = (go(config.min_sync_period), go(config.sync_period));
    let _ = write!(out, "  minSyncPeriod: {min}\n  syncPeriod: {period}\n");
    let selectors = config
        .node_port_addresses
        .iter()
        .map(|selector| match selector {
            NodePortSelector::Primary => "primary".to_owned(),
            NodePortSelector::Localhost => "localhost".to_owned(),
            NodePortSelector::All => "all".to_owned(),
            NodePortSelector::Range(range) => range.to_string(),
        });
    let selectors: Vec<String> = selectors.map(|text| format!("{text:?}")).collect();
    let gates = config
        .feature_gates
        .iter()
        .map(|(name, on)| format!("{name}: {on}"));
    let gates: Vec<String> = gates.collect();
    let _ = write!(
        out,
        "nodePortAddresses: [{}]\nfeatureGates: {{{}}}\noomScoreAdj: {}\n\
         showHiddenMetricsForVersion: {:?}\n",
        selectors.join(", "),
        gates.join(", "),
        config.oom_score_adj,
        config.show_hidden_metrics_for_version,
    );
    out
}

/// A duration as Go writes it, in seconds and their parts.
fn go(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::flags::RunOptions;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: RunOptions,
    }

    fn flags(args: &[&str]) -> ProxyFlags {
        let args = std::iter::once("run").chain(args.iter().copied());
        Line::try_parse_from(args).unwrap().options.proxy
    }

    #[test]
    fn no_flags_are_the_defaults_and_what_is_written_reads_back() {
        let defaults = read(&flags(&[])).unwrap();
        assert_eq!(defaults.config, KubeProxyConfiguration::default());
        for args in [
            vec![],
            vec![
                "--proxy-mode=nftables",
                "--nodeport-addresses=primary,localhost",
            ],
            vec![
                "--proxy-mode=ipvs",
                "--cluster-cidr=10.244.0.0/16,fd00::/48",
                "--masquerade-all",
            ],
            vec![
                "--iptables-sync-period=1m30s",
                "--feature-gates=AllowServiceExternalIPs=true",
            ],
            vec![
                "--conntrack-max-per-core=0",
                "--conntrack-udp-timeout=250ms",
                "--oom-score-adj=-5",
            ],
        ] {
            let config = read(&flags(&args)).unwrap().config;
            let text = write(&config);
            let value = crate::load::parse(&text).unwrap().remove(0);
            let (again, _) = parse(&value).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
            assert_eq!(again, config, "{text}");
        }
    }

    #[test]
    fn flags_of_kube_proxy_are_taken() {
        let read = read(&flags(&[
            "--v=2",
            "--healthz-bind-address=",
            "--metrics-bind-address=[::]:1",
            "--iptables-masquerade-bit=3",
            "--hostname-override=n",
            "--kube-api-qps=50",
        ]))
        .unwrap();
        assert!(!read.healthz && read.metrics);
        assert_eq!(read.config.masquerade_bit, 3);
        assert_eq!(read.config.hostname_override, "n");
        assert_eq!(read.config.metrics_bind_address.port(), 1);
    }

    #[test]
    fn wrong_flags_are_told_by_field() {
        let wrong = |args: &[&str]| match read(&flags(args)) {
            Ok(_) => panic!("{args:?} was taken"),
            Err(error) => error.to_string(),
        };
        assert!(wrong(&["--proxy-mode=kernelspace"]).contains("kernelspace"));
        assert!(wrong(&["--iptables-masquerade-bit=32"]).contains("masqueradeBit"));
        assert!(wrong(&["--cluster-cidr=x"]).contains("clusterCIDR"));
        assert!(wrong(&["--iptables-sync-period=5"]).contains("syncPeriod"));
        assert!(wrong(&["--feature-gates=x"]).contains("GATE=true"));
        assert!(wrong(&["--config=/nowhere"]).contains("/nowhere"));
    }
}
