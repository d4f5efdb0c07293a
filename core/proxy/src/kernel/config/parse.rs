//! From JSON to a configuration, field by field.

use super::reader::{ConfigError, Errors, Reader, address_and_port, range};
use super::{KubeProxyConfiguration, LocalMode, Mode, NodePortSelector, Notice};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

pub(super) const API_VERSION: &str = "kubeproxy.config.k8s.io/v1alpha1";
pub(super) const KIND: &str = "KubeProxyConfiguration";
pub(super) const HEALTHZ: u16 = 10256;
pub(super) const METRICS: u16 = 10249;
const POSITIVE: (i64, i64) = (0, i32::MAX as i64);

/// Reads a configuration file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(value: &Value) -> Result<(KubeProxyConfiguration, Vec<Notice>), Vec<ConfigError>> {
    let mut parser = Parser {
        config: KubeProxyConfiguration::default(),
        errors: Errors::default(),
        notices: Vec::new(),
    };
    let Some(object) = value.as_object() else {
        let cure = format!("Begin the file with apiVersion: {API_VERSION} and kind: {KIND}.");
        parser
            .errors
            .add("", "The configuration is no object.".to_owned(), &cure);
        return Err(parser.errors.0);
    };
    let mut root = Reader::new("", object);
    parser.kind(&mut root);
    parser.general(&mut root);
    parser.addresses(&mut root);
    parser.modes(&mut root);
    parser.local(&mut root);
    parser.conntrack(&mut root);
    root.finish(&mut parser.errors);
    if parser.errors.0.is_empty() {
        Ok((parser.config, parser.notices))
    } else {
        Err(parser.errors.0)
    }
}

struct Parser {
    config: KubeProxyConfiguration,
    errors: Errors,
    notices: Vec<Notice>,
}

impl Parser {
    fn notice(&mut self, field: &str, message: &str) {
        self.notices.push(Notice {
            field: field.to_owned(),
            message: message.to_owned(),
        });
    }

    fn kind(&mut self, root: &mut Reader<'_>) {
        for (name, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            let found = root.text(name, &mut self.errors);
            if found != wanted {
                let message = format!("{found:?} is not {wanted}.");
                self.errors
                    .add(name, message, &format!("Write {name}: {wanted}."));
            }
        }
    }

    fn general(&mut self, root: &mut Reader<'_>) {
        let errors = &mut self.errors;
        let config = &mut self.config;
        config.hostname_override = root.text("hostnameOverride", errors);
        let hidden = root.text("showHiddenMetricsForVersion", errors);
        config.show_hidden_metrics_for_version = hidden;
        config.bind_address_hard_fail = root.switch("bindAddressHardFail", errors) == Some(true);
        config.enable_profiling = root.switch("enableProfiling", errors) == Some(true);
        if let Some(score) = root.number("oomScoreAdj", (-1000, 1000), errors) {
            config.oom_score_adj = score as i32;
        }
        if let Some(period) = positive(root, "configSyncPeriod", errors) {
            config.config_sync_period = period;
        }
        self.client(root);
        self.logging(root);
        self.gates(root);
        if !root.text("portRange", &mut self.errors).is_empty() {
            self.notice("portRange", "It has no effect; it had none before.");
        }
        if root.switch("windowsRunAsService", &mut self.errors) == Some(true) {
            let message = "This is not Windows.".to_owned();
            self.errors
                .add("windowsRunAsService", message, "Leave it away.");
        }
    }

    fn client(&mut self, root: &mut Reader<'_>) {
        let errors = &mut self.errors;
        let mut reader = root.object("clientConnection", errors);
        let client = &mut self.config.client;
        client.kubeconfig = reader.text("kubeconfig", errors);
        if let Some(qps) = reader.float("qps", errors).filter(|qps| *qps != 0.0) {
            client.qps = qps;
        }
        if let Some(burst) = reader.number("burst", POSITIVE, errors).filter(|b| *b != 0) {
            client.burst = burst as u32;
        }
        let types = [
            reader.text("contentType", errors),
            reader.text("acceptContentTypes", errors),
        ];
        reader.finish(errors);
        let json = |text: &String| text.is_empty() || text.contains("json");
        if !types.iter().all(json) {
            self.notice("clientConnection.contentType", "Objects are read as JSON.");
        }
    }

    fn logging(&mut self, root: &mut Reader<'_>) {
        let errors = &mut self.errors;
        let mut logging = root.object("logging", errors);
        if let Some(verbosity) = logging.number("verbosity", POSITIVE, errors) {
            self.config.verbosity = verbosity as u32;
        }
        let format = logging.text("format", errors);
        if !matches!(format.as_str(), "" | "text" | "json") {
            let message = format!("Unsupported value: {format:?}.");
            errors.add("logging.format", message, "Write text or json.");
        }
        // A duration or a number of nanoseconds; nothing is held back here.
        logging.take("flushFrequency");
        logging.take("vmodule");
        let mut options = logging.object("options", errors);
        for name in ["text", "json"] {
            let mut format = options.object(name, errors);
            format.switch("splitStream", errors);
            format.take("infoBufferSize");
            format.finish(errors);
        }
        options.finish(errors);
        logging.finish(errors);
    }

    fn gates(&mut self, root: &mut Reader<'_>) {
        let Some(value) = root.take("featureGates") else {
            return;
        };
        let gates = value.as_object().map(|gates| {
            let gates = gates.iter();
            gates
                .map(|(name, on)| Some((name.clone(), on.as_bool()?)))
                .collect()
        });
        match gates {
            Some(Some(gates)) => self.config.feature_gates = gates,
            _ => {
                let message = format!("{value} is not an object of switches.");
                self.errors
                    .add("featureGates", message, "Write NAME: true or NAME: false.");
            }
        }
        let external = self
            .config
            .feature_gates
            .contains_key("AllowServiceExternalIPs");
        if self.config.feature_gates.len() > usize::from(external) {
            let message = "Only AllowServiceExternalIPs has an effect.";
            self.notice("featureGates", message);
        }
    }

    fn addresses(&mut self, root: &mut Reader<'_>) {
        let bind = root.text("bindAddress", &mut self.errors);
        if !bind.is_empty() {
            match bind.parse() {
                Ok(address) => self.config.bind_address = address,
                Err(_) => self.errors.add(
                    "bindAddress",
                    format!(
                        "Invalid value: {bind:?}: not a valid textual representation of an IP \
                         address."
                    ),
                    "Write an address such as 0.0.0.0.",
                ),
            }
        }
        let (any, loopback): (IpAddr, IpAddr) = if self.config.bind_address.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::LOCALHOST.into())
        } else {
            (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::LOCALHOST.into())
        };
        let mut at = |name: &'static str, default: IpAddr, port: u16| {
            let text = root.text(name, &mut self.errors);
            let default = SocketAddr::new(default, port);
            if text.is_empty() {
                return default;
            }
            address_and_port(name, &text, port, &mut self.errors).unwrap_or(default)
        };
        self.config.healthz_bind_address = at("healthzBindAddress", any, HEALTHZ);
        self.config.metrics_bind_address = at("metricsBindAddress", loopback, METRICS);
        self.node_ports(root);
    }

    fn node_ports(&mut self, root: &mut Reader<'_>) {
        let texts = root.texts("nodePortAddresses", &mut self.errors);
        for (index, text) in texts.iter().enumerate() {
            let field = format!("nodePortAddresses[{index}]");
            let selector = match text.as_str() {
                "primary" => Some(NodePortSelector::Primary),
                "localhost" => Some(NodePortSelector::Localhost),
                "all" => Some(NodePortSelector::All),
                text => range(&field, text, &mut self.errors).map(NodePortSelector::Range),
            };
            self.config.node_port_addresses.extend(selector);
        }
        let selectors = &self.config.node_port_addresses;
        let ranges = selectors
            .iter()
            .any(|s| matches!(s, NodePortSelector::Range(_)));
        for (word, selector) in [
            ("primary", NodePortSelector::Primary),
            ("all", NodePortSelector::All),
        ] {
            if ranges && selectors.contains(&selector) {
                let message = format!("Invalid value: can't use both '{word}' and CIDRs.");
                self.errors
                    .add("nodePortAddresses", message, "Write one or the other.");
            }
        }
    }

    fn modes(&mut self, root: &mut Reader<'_>) {
        self.mode(root);
        for mode in [Mode::Iptables, Mode::Nftables, Mode::Ipvs] {
            self.section(root, mode);
        }
        let windows = root.object("winkernel", &mut self.errors);
        let names = ["networkName", "sourceVip", "rootHnsEndpointName"];
        let switches = ["enableDSR", "forwardHealthCheckVip"];
        let mut windows = windows;
        let texts = names.map(|name| windows.text(name, &mut self.errors));
        let switches = switches.map(|name| windows.switch(name, &mut self.errors));
        let used = texts.iter().any(|text| !text.is_empty()) || switches.contains(&Some(true));
        windows.finish(&mut self.errors);
        if used {
            let message = "This is not Windows.".to_owned();
            self.errors.add("winkernel", message, "Leave it away.");
        }
    }

    fn mode(&mut self, root: &mut Reader<'_>) {
        let text = root.text("mode", &mut self.errors);
        self.config.mode = match text.as_str() {
            "" | "iptables" => {
                self.notice("mode", "Rules are made in nf_tables, not in iptables.");
                Mode::Iptables
            }
            "ipvs" => {
                let message = "Rules are made in nf_tables, not in IPVS: endpoints are chosen at \
                               random whatever the scheduler, and ClusterIPs are no addresses of \
                               the node.";
                self.notice("mode", message);
                Mode::Ipvs
            }
            "nftables" => Mode::Nftables,
            other => {
                let message =
                    format!("Invalid value: {other:?}: must be iptables, ipvs, nftables or blank.");
                self.errors.add("mode", message, "Write nftables.");
                Mode::Nftables
            }
        };
    }

    /// The section of one mode; only that of the mode in use counts.
    fn section(&mut self, root: &mut Reader<'_>, mode: Mode) {
        let name = match mode {
            Mode::Iptables => "iptables",
            Mode::Ipvs => "ipvs",
            Mode::Nftables => "nftables",
        };
        let errors = &mut self.errors;
        let mut section = root.object(name, errors);
        let used = self.config.mode == mode;
        let sync = positive(&mut section, "syncPeriod", errors);
        let min_sync = section
            .duration("minSyncPeriod", errors)
            .filter(|d| !d.is_zero());
        if used {
            let config = &mut self.config;
            config.sync_period = sync.unwrap_or(Duration::from_secs(30));
            let least = match mode {
                Mode::Ipvs => Duration::ZERO,
                Mode::Iptables | Mode::Nftables => Duration::from_secs(1),
            };
            config.min_sync_period = min_sync.unwrap_or(least);
            if config.min_sync_period > config.sync_period {
                let field = format!("{name}.syncPeriod");
                let message = format!("must be greater than or equal to {name}.minSyncPeriod.");
                errors.add(&field, message, "Write a longer period.");
            }
        }
        match mode {
            Mode::Ipvs => self.ipvs(&mut section),
            Mode::Iptables | Mode::Nftables => self.masquerade(&mut section, mode),
        }
        section.finish(&mut self.errors);
    }

    /// Mode `ipvs` takes these from the section `iptables`.
    fn masquerade(&mut self, section: &mut Reader<'_>, of: Mode) {
        let errors = &mut self.errors;
        let bit = section.number("masqueradeBit", (0, 31), errors);
        let all = section.switch("masqueradeAll", errors);
        let used = (of == Mode::Nftables) == (self.config.mode == Mode::Nftables);
        if used {
            self.config.masquerade_bit = bit.unwrap_or(14) as u8;
            self.config.masquerade_all = all == Some(true);
        }
        if of == Mode::Iptables {
            let localhost = section.switch("localhostNodePorts", errors) != Some(false);
            self.config.localhost_node_ports = localhost && self.config.mode == Mode::Iptables;
        }
    }

    fn ipvs(&mut self, section: &mut Reader<'_>) {
        let errors = &mut self.errors;
        let scheduler = section.text("scheduler", errors);
        let excluded = section.texts("excludeCIDRs", errors);
        for (index, text) in excluded.iter().enumerate() {
            range(
                &section.path(&format!("excludeCIDRs[{index}]")),
                text,
                errors,
            );
        }
        let strict = section.switch("strictARP", errors);
        let timeouts = ["tcpTimeout", "tcpFinTimeout", "udpTimeout"];
        let timeouts = timeouts.map(|name| section.duration(name, errors));
        let told = !matches!(scheduler.as_str(), "" | "rr")
            || !excluded.is_empty()
            || strict == Some(true)
            || timeouts.iter().flatten().any(|timeout| !timeout.is_zero());
        if told && self.config.mode == Mode::Ipvs {
            self.notice(
                "ipvs",
                "scheduler, excludeCIDRs, strictARP and timeouts have no effect.",
            );
        }
    }

    fn local(&mut self, root: &mut Reader<'_>) {
        let errors = &mut self.errors;
        let config = &mut self.config;
        let mode = root.text("detectLocalMode", errors);
        config.detect_local_mode = match mode.as_str() {
            "" | "ClusterCIDR" => LocalMode::ClusterCidr,
            "NodeCIDR" => LocalMode::NodeCidr,
            "BridgeInterface" => LocalMode::BridgeInterface,
            "InterfaceNamePrefix" => LocalMode::InterfaceNamePrefix,
            other => {
                let message = format!("Unsupported value: {other:?}.");
                let cure = "Write ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix.";
                errors.add("detectLocalMode", message, cure);
                LocalMode::ClusterCidr
            }
        };
        let mut detect = root.object("detectLocal", errors);
        config.bridge_interface = detect.text("bridgeInterface", errors);
        config.interface_name_prefix = detect.text("interfaceNamePrefix", errors);
        detect.finish(errors);
        let ranges = root.text("clusterCIDR", errors);
        let ranges = ranges.split(',').filter(|text| !text.is_empty());
        let ranges = ranges.filter_map(|text| range("clusterCIDR", text, errors));
        config.cluster_cidrs = ranges.collect();
        check_local(config, errors);
    }

    fn conntrack(&mut self, root: &mut Reader<'_>) {
        let errors = &mut self.errors;
        let conntrack = &mut self.config.conntrack;
        let mut section = root.object("conntrack", errors);
        if let Some(max) = section.number("maxPerCore", POSITIVE, errors) {
            conntrack.max_per_core = (max > 0).then_some(max as u32);
        }
        if let Some(min) = section.number("min", POSITIVE, errors) {
            conntrack.min = min as u32;
        }
        let mut set = |name, timeout: &mut Option<Duration>| {
            if let Some(found) = section.duration(name, errors) {
                // Zero leaves the kernel's own.
                *timeout = Some(found).filter(|found| !found.is_zero());
            }
        };
        set(
            "tcpEstablishedTimeout",
            &mut conntrack.tcp_established_timeout,
        );
        set("tcpCloseWaitTimeout", &mut conntrack.tcp_close_wait_timeout);
        set("udpTimeout", &mut conntrack.udp_timeout);
        set("udpStreamTimeout", &mut conntrack.udp_stream_timeout);
        conntrack.tcp_be_liberal = section.switch("tcpBeLiberal", errors) == Some(true);
        section.finish(errors);
    }
}

/// A duration for which zero stands for the default.
fn positive(reader: &mut Reader<'_>, name: &'static str, errors: &mut Errors) -> Option<Duration> {
    reader
        .duration(name, errors)
        .filter(|found| !found.is_zero())
}

fn check_local(config: &KubeProxyConfiguration, errors: &mut Errors) {
    let mut needs = |name: &str, field: &str, text: &str| {
        if text.is_empty() {
            let message = format!("Required value: detectLocalMode {name} needs it.");
            errors.add(field, message, "Write the name.");
        } else if text.len() > 15 {
            let message = format!("Invalid value: {text:?}: must have at most 15 characters.");
            errors.add(field, message, "Interfaces of Linux have shorter names.");
        }
    };
    match config.detect_local_mode {
        LocalMode::BridgeInterface => {
            let field = "detectLocal.bridgeInterface";
            needs("BridgeInterface", field, &config.bridge_interface);
        }
        LocalMode::InterfaceNamePrefix => {
            let field = "detectLocal.interfaceNamePrefix";
            needs("InterfaceNamePrefix", field, &config.interface_name_prefix);
        }
        LocalMode::ClusterCidr | LocalMode::NodeCidr => {}
    }
    let of_family = |ipv4: bool| {
        let ranges = config.cluster_cidrs.iter();
        ranges.filter(|range| range.is_ipv4() == ipv4).count()
    };
    if of_family(true) > 1 || of_family(false) > 1 {
        let message = "must be a either a single CIDR or dual-stack pair of CIDRs (e.g. \
                       10.100.0.0/16,fde4:8dba:82e1::/48)."
            .to_owned();
        errors.add(
            "clusterCIDR",
            message,
            "Write at most one range of each family.",
        );
    }
}
