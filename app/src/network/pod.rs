//! Pods' namespaces, as the runner asks for them.

use super::{NEAR_V6, NodeNetwork, any_port, at_once, socket, width};
use anyhow::Context;
use kernel::link::{Links, Route};
use kernel::netns::{self, HostName, Namespace};
use runner::{Files, Kind, Network, Place};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Link of a Pod to the node, in the Pod.
const INSIDE: &str = "eth0";

/// A Pod's namespace. When it is dropped, its link goes, and the namespace with its last process.
pub(crate) struct PodNetwork {
    namespace: Namespace,
    host: HostName,
    node: Namespace,
    /// Link to the Pod, in the node
    link: u32,
}

impl NodeNetwork {
    /// Makes a Pod's namespace.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(crate) fn pod_network(&self, ips: &[IpAddr], host: &str) -> anyhow::Result<PodNetwork> {
        let host = HostName::create(host).context("make a namespace for the host name")?;
        let namespace = Namespace::create().context("make a network namespace")?;
        at_once(&namespace)?;
        any_port(&namespace)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("pod{number}");
        let mut node = Links::open(&self.node)?;
        node.add_veth(&name, INSIDE, &namespace)?;
        let link = node.index(&name)?;
        // From here on a failure takes the link away again.
        let pod = PodNetwork {
            namespace,
            host,
            node: self.node.clone(),
            link,
        };
        self.route(&mut node, &pod, ips)?;
        Ok(pod)
    }

    fn route(&self, node: &mut Links, pod: &PodNetwork, ips: &[IpAddr]) -> anyhow::Result<()> {
        let mut inside = Links::open(&pod.namespace)?;
        let eth0 = inside.index(INSIDE)?;
        for ip in ips {
            inside.add_address(eth0, *ip, width(*ip))?;
            node.add_route(&Route::to(*ip, width(*ip)).device(pod.link))?;
        }
        if let Some(gateway) = self.addresses.node.iter().find(|ip| ip.is_ipv4()) {
            inside.add_route(&Route::to(*gateway, 32).device(eth0))?;
            inside.add_route(&Route::default_v4().via(*gateway).device(eth0))?;
        }
        if self.addresses.node.iter().any(IpAddr::is_ipv6) {
            node.add_address(pod.link, NEAR_V6, 64)?;
            inside.add_route(&Route::default_v6().via(NEAR_V6).device(eth0))?;
        }
        Ok(())
    }
}

impl Network for NodeNetwork {
    fn node(&self) -> Arc<dyn Place> {
        Arc::new(NodePlace(self.namespace().clone()))
    }

    fn pod(&self, ips: &[IpAddr], host: &str) -> Result<Arc<dyn Place>, String> {
        let made = self.pod_network(ips, host);
        let made = made.map_err(|error| format!("{error:#}"))?;
        Ok(Arc::new(made))
    }
}

/// The node as a place for probes and Pods with `hostNetwork`.
struct NodePlace(Namespace);

impl Place for NodePlace {
    fn socket(&self, address: SocketAddr, kind: Kind) -> io::Result<OwnedFd> {
        socket(&self.0, address, kind == Kind::Datagram)
    }

    fn enter(&self, files: &Files) -> Vec<String> {
        enter(&self.0, None, files)
    }
}

impl Place for PodNetwork {
    fn socket(&self, address: SocketAddr, kind: Kind) -> io::Result<OwnedFd> {
        socket(&self.namespace, address, kind == Kind::Datagram)
    }

    fn enter(&self, files: &Files) -> Vec<String> {
        enter(&self.namespace, Some(&self.host), files)
    }
}

/// `portolan enter …`, by the file of the running program: an update in its place changes nothing.
fn enter(namespace: &Namespace, host: Option<&HostName>, files: &Files) -> Vec<String> {
    let mut words = vec![
        format!("/proc/{}/exe", std::process::id()),
        "enter".to_owned(),
        format!("--netns={}", namespace.path().display()),
        format!("--resolv-conf={}", files.resolv_conf.display()),
        format!("--hosts={}", files.hosts.display()),
    ];
    words.extend(host.map(|host| format!("--uts={}", host.path().display())));
    // Programs need not know that they run within a user namespace, where this process is root.
    words.extend(netns::origin().map(|user| format!("--user={}:{}", user.uid, user.gid)));
    words.push("--".to_owned());
    words
}

impl Drop for PodNetwork {
    fn drop(&mut self) {
        let removed = Links::open(&self.node).and_then(|mut node| node.delete(self.link));
        if let Err(error) = removed {
            tracing::debug!(%error, "the link of a Pod is gone already");
        }
    }
}
