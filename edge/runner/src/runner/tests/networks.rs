//! Pods in networks of their own, which here are this machine's under other names.

use super::*;
use crate::{Files, Kind, Network, NetworkSource, Place};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicUsize;

/// Counts the networks of Pods that are there.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

struct Here(Counted);

impl Network for Counted {
    fn node(&self) -> Arc<dyn Place> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Arc::new(Here(self.clone()))
    }

    fn pod(&self, ips: &[IpAddr], host: &str) -> Result<Arc<dyn Place>, String> {
        assert!(!host.is_empty());
        if ips.iter().any(|ip| ip.to_string().ends_with(".3")) {
            return Err("no room".to_owned());
        }
        Ok(self.node())
    }
}

impl Place for Here {
    fn socket(&self, address: SocketAddr, kind: Kind) -> std::io::Result<OwnedFd> {
        let kind = match kind {
            Kind::Stream => socket2::Type::STREAM,
            Kind::Datagram => socket2::Type::DGRAM,
        };
        let domain = socket2::Domain::for_address(address);
        Ok(socket2::Socket::new(domain, kind, None)?.into())
    }

    fn enter(&self, files: &Files) -> Vec<String> {
        let resolv_conf = format!("RESOLV_CONF={}", files.resolv_conf.display());
        ["env".to_owned(), resolv_conf].into()
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn networked() -> (Bed, Counted) {
    let counted = Counted::default();
    let number = BEDS.fetch_add(1, Ordering::Relaxed);
    let name = format!("runner-bed-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let network = NetworkSource(Arc::new(counted.clone()));
    let bed = bed_where(folder, Arc::default(), number, &[], |settings| {
        settings.network = Some(network);
        settings.cluster_dns = vec!["10.96.0.10".parse().unwrap()];
    });
    (bed, counted)
}

#[tokio::test]
async fn commands_enter_the_pods_network_and_nothing_of_it_is_left() {
    let (bed, networks) = networked();
    let script = "cat $RESOLV_CONF; sleep 600";
    bed.pod("p", json!({"containers": [shell(script)]}));
    bed.until("p", |pod| pod["status"]["phase"] == "Running")
        .await;
    let log = async || bed.log("p", LogOptions::default()).await;
    let mut text = log().await;
    while !text.contains("ndots") {
        tokio::time::sleep(Duration::from_millis(20)).await;
        text = log().await;
    }
    assert!(text.starts_with("search dev.svc.cluster.local"), "{text}");
    assert!(text.contains("nameserver 10.96.0.10"), "{text}");
    bed.delete("p", 0);
    bed.until("p", Value::is_null).await;
    let gone = async {
        while networks.0.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("in time");
    bed.end().await;
}

#[tokio::test]
async fn a_program_that_is_missing_is_told_as_without_a_network() {
    let (bed, _) = networked();
    let command = json!({"name": "main", "image": "any", "command": ["/no/such/program"]});
    bed.pod(
        "p",
        json!({"restartPolicy": "Never", "containers": [command]}),
    );
    let pod = bed
        .until("p", |pod| pod["status"]["phase"] == "Failed")
        .await;
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(ended["reason"], "StartError", "{ended}");
    bed.end().await;
}

#[tokio::test]
async fn a_pod_without_a_network_does_not_start_and_others_do() {
    let (bed, _) = networked();
    for name in ["first", "second"] {
        bed.pod(name, json!({"containers": [shell("sleep 600")]}));
    }
    bed.until("first", |pod| pod["status"]["phase"] == "Running")
        .await;
    while !bed.told("failed to setup network for sandbox: no room") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_ne!(bed.stored("second")["status"]["phase"], "Running");
    bed.end().await;
}
