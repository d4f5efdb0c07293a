//! The API server's door in the node's namespace: what connects there talks to the API server.

use super::NodeNetwork;
use anyhow::Context;
use std::net::{SocketAddr, TcpListener};

/// Port of the API server inside, as kubeadm has it.
const PORT: u16 = 6443;

/// Sockets that listen on the node's addresses.
pub(crate) struct Gate {
    /// They listen already, and do not block
    pub(crate) listeners: Vec<TcpListener>,
    /// The primary address
    pub(crate) address: SocketAddr,
}

impl Gate {
    /// Listens inside.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open(network: &NodeNetwork) -> anyhow::Result<Self> {
        let mut listeners = Vec::new();
        for ip in &network.addresses().node {
            let at = SocketAddr::new(*ip, PORT);
            let listening = network.namespace().tcp_listen(at).and_then(|listener| {
                listener.set_nonblocking(true)?;
                Ok(listener)
            });
            listeners.push(listening.with_context(|| format!("listen on {at} inside"))?);
        }
        let primary = network.addresses().primary();
        let primary = primary.context("the node has no address")?;
        Ok(Self {
            listeners,
            address: SocketAddr::new(primary, PORT),
        })
    }
}
