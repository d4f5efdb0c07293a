use super::parse::{API_VERSION, KIND};
use super::*;
use crate::kernel::{DetectLocal, NodePortAddresses};
use serde_json::{Value, json};

fn with(extra: Value) -> Value {
    let mut value = json!({"apiVersion": API_VERSION, "kind": KIND});
    if let (Some(to), Value::Object(from)) = (value.as_object_mut(), extra) {
        to.extend(from);
    }
    value
}

fn errors(extra: Value) -> Vec<String> {
    let errors = parse(&with(extra)).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

/// What kubeadm writes.
fn kubeadm() -> Value {
    json!({"bindAddress": "0.0.0.0", "bindAddressHardFail": false,
        "clientConnection": {"acceptContentTypes": "", "burst": 0, "contentType": "",
            "kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf", "qps": 0},
        "clusterCIDR": "10.244.0.0/16", "configSyncPeriod": "0s",
        "conntrack": {"maxPerCore": null, "min": null, "tcpBeLiberal": false,
            "tcpCloseWaitTimeout": null, "tcpEstablishedTimeout": null, "udpStreamTimeout": "0s",
            "udpTimeout": "0s"},
        "detectLocal": {"bridgeInterface": "", "interfaceNamePrefix": ""}, "detectLocalMode": "",
        "enableProfiling": false, "healthzBindAddress": "", "hostnameOverride": "",
        "iptables": {"localhostNodePorts": null, "masqueradeAll": false, "masqueradeBit": null,
            "minSyncPeriod": "0s", "syncPeriod": "0s"},
        "ipvs": {"excludeCIDRs": null, "minSyncPeriod": "0s", "scheduler": "", "strictARP": false,
            "syncPeriod": "0s", "tcpFinTimeout": "0s", "tcpTimeout": "0s", "udpTimeout": "0s"},
        "logging": {"flushFrequency": 0, "options": {"json": {"infoBufferSize": "0"},
            "text": {"infoBufferSize": "0"}}, "verbosity": 0},
        "metricsBindAddress": "", "mode": "",
        "nftables": {"masqueradeAll": false, "masqueradeBit": null, "minSyncPeriod": "0s",
            "syncPeriod": "0s"},
        "nodePortAddresses": null, "oomScoreAdj": null, "portRange": "",
        "showHiddenMetricsForVersion": "",
        "winkernel": {"enableDSR": false, "forwardHealthCheckVip": false, "networkName": "",
            "rootHnsEndpointName": "", "sourceVip": ""}})
}

#[test]
fn a_file_of_kubeadm_means_the_defaults() {
    let (config, notices) = parse(&with(kubeadm())).unwrap();
    let mut wanted = KubeProxyConfiguration::default();
    wanted.client.kubeconfig = "/var/lib/kube-proxy/kubeconfig.conf".to_owned();
    wanted.cluster_cidrs = vec!["10.244.0.0/16".parse().unwrap()];
    assert_eq!(config, wanted);
    assert_eq!(notices.len(), 1);
    let facts = NodeFacts::default();
    let settings = config.node_settings(&facts);
    assert_eq!(settings.node_port_addresses, NodePortAddresses::AllLocal);
    assert_eq!(
        settings.detect_local,
        DetectLocal::Cidrs(config.cluster_cidrs)
    );
    assert_eq!(settings.masquerade_mark, 0x4000);
    assert_eq!(settings.localhost_node_ports.len(), 1);
}

#[test]
fn the_section_of_the_mode_counts() {
    let sections = |mode: &str| {
        with(json!({"mode": mode,
            "iptables": {"masqueradeBit": 7, "syncPeriod": "10s"},
            "ipvs": {"scheduler": "lc", "syncPeriod": "20s"},
            "nftables": {"masqueradeBit": 9, "masqueradeAll": true, "syncPeriod": "40s"}}))
    };
    for (mode, bit, all, seconds, told) in [
        ("iptables", 7, false, 10, 1),
        ("ipvs", 7, false, 20, 2),
        ("nftables", 9, true, 40, 0),
    ] {
        let (config, notices) = parse(&sections(mode)).unwrap();
        assert_eq!(config.masquerade_bit, bit, "{mode}");
        assert_eq!(config.masquerade_all, all, "{mode}");
        assert_eq!(config.sync_period, Duration::from_secs(seconds), "{mode}");
        assert_eq!(notices.len(), told, "{mode}");
    }
}

#[test]
fn what_cannot_be_is_told_with_its_cure() {
    assert_eq!(
        errors(
            json!({"Mode": "nftables", "iptables": {"masqueradeBit": 40},
            "nodePortAddresses": ["primary", "10.0.0.0/8"], "healthzBindAddress": "nowhere",
            "conntrack": {"udpTimeout": "-1s"}, "surplus": 1})
        ),
        [
            "healthzBindAddress: Invalid value: \"nowhere\": must be IP:port. Cure: Write an \
             address and a port such as 0.0.0.0:10256.",
            "nodePortAddresses: Invalid value: can't use both 'primary' and CIDRs. Cure: Write \
             one or the other.",
            "iptables.masqueradeBit: Invalid value: 40: must be within the range [0, 31]. Cure: \
             Write a number in that range.",
            "conntrack.udpTimeout: Invalid value: -1s: must be greater than or equal to 0. Cure: \
             Write a duration such as 30s.",
            "Mode: Unknown field. Cure: Write mode.",
        ]
        .into_iter()
        .map(str::to_owned)
        .chain(errors(json!({"surplus": 1})))
        .collect::<Vec<_>>()
    );
    assert_eq!(errors(json!({"surplus": 1})).len(), 1);
    for bad in [
        json!({"mode": "kernelspace"}),
        json!({"winkernel": {"networkName": "x"}}),
        json!({"windowsRunAsService": true}),
        json!({"detectLocalMode": "BridgeInterface"}),
        json!({"detectLocalMode": "Elsewhere"}),
        json!({"clusterCIDR": "10.0.0.0/8,10.244.0.0/16"}),
        json!({"clusterCIDR": "ten"}),
        json!({"oomScoreAdj": -1001}),
        json!({"featureGates": {"X": "yes"}}),
        json!({"kind": "KubeletConfiguration"}),
        json!({"iptables": {"syncPeriod": "1s", "minSyncPeriod": "2s"}}),
        json!({"bindAddress": "here"}),
        json!({"conntrack": []}),
    ] {
        assert_eq!(errors(bad.clone()).len(), 1, "{bad}");
    }
    assert!(parse(&json!("text")).is_err());
}

#[test]
fn node_ports_answer_where_the_configuration_says() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let facts = NodeFacts {
        node_ips: vec![ip("192.0.2.10"), ip("2001:db8::10")],
        addresses: ["127.0.0.1", "::1", "192.0.2.10", "10.0.0.1", "2001:db8::10"]
            .map(ip)
            .into(),
        ..NodeFacts::default()
    };
    let of = |mode: &str, selectors: Value| {
        let value = with(json!({"mode": mode, "nodePortAddresses": selectors}));
        let settings = parse(&value).unwrap().0.node_settings(&facts);
        let addresses = match settings.node_port_addresses {
            NodePortAddresses::AllLocal => "all".to_owned(),
            NodePortAddresses::These(these) => format!("{these:?}"),
        };
        format!("{addresses} {:?}", settings.localhost_node_ports)
    };
    assert_eq!(of("nftables", json!(null)), "{192.0.2.10, 2001:db8::10} []");
    assert_eq!(of("iptables", json!(null)), "all [127.0.0.1]");
    assert_eq!(of("nftables", json!(["all"])), "all []");
    assert_eq!(of("nftables", json!(["10.0.0.0/8"])), "{10.0.0.1} []");
    assert_eq!(
        of("nftables", json!(["primary", "localhost"])),
        "{192.0.2.10, 2001:db8::10} [127.0.0.1, ::1]"
    );
    assert_eq!(of("nftables", json!(["127.0.0.0/8"])), "{} [127.0.0.1]");
}
