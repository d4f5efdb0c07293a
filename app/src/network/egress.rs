//! The way out: TCP connections and UDP datagrams to addresses outside of the cluster end at the
//! edge, and go on from this machine's own network.

mod udp;

use super::{EDGE_V4, NodeNetwork};
use anyhow::Context;
use kernel::nftables::Table;
use nft::{Base, ChainKind, CmpOp, Data, Expr, Family, Hook, MetaKey, Op, Reg, Rule, Transaction};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The edge's address for IPv6, of a range for use within one site (RFC 4193).
pub(super) const EDGE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x169, 0x254, 0, 0, 0, 0, 1));

/// `IPPROTO_TCP`
const TCP: u8 = 6;

/// Where the edge listens; nobody else is there.
const PORT: u16 = 15001;

/// Connections at once; further ones wait in the kernel.
const CONNECTIONS: usize = 1024;

/// How long an address outside may take to answer.
const CONNECT: Duration = Duration::from_secs(10);

/// Begins to carry connections out. Must be called within a tokio runtime.
///
/// # Errors
/// What the kernel refuses.
pub(crate) fn start(network: &Arc<NodeNetwork>) -> anyhow::Result<()> {
    let v6 = network.addresses.node.iter().any(IpAddr::is_ipv6);
    let edges = [Some(EDGE_V4), v6.then_some(EDGE_V6)];
    let mut rules = Transaction::default();
    let base = Base {
        kind: ChainKind::Nat,
        hook: Hook::Prerouting,
        priority: -100,
    };
    rules.ops.push(Op::AddChain("out".into(), Some(base)));
    for edge in edges.into_iter().flatten() {
        let at = SocketAddr::new(edge, PORT);
        let listener = network.edge.tcp_listen(at);
        let listener = listener.with_context(|| format!("listen on {at} at the edge"))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        tokio::spawn(accept(listener, network.clone()));
        udp::start(network, at).with_context(|| format!("UDP on {at} at the edge"))?;
        for protocol in [TCP, udp::UDP] {
            rules
                .ops
                .push(Op::AddRule("out".into(), towards(at, protocol)));
        }
    }
    let applied = network.edge.run(|| Table::open("portolan")?.apply(&rules));
    Ok(applied??)
}

/// Leads everything of one family and protocol to the edge.
fn towards(at: SocketAddr, protocol: u8) -> Rule {
    let (family, number) = match at {
        // `NFPROTO_IPV4` and `NFPROTO_IPV6`
        SocketAddr::V4(_) => (Family::Ipv4, 2),
        SocketAddr::V6(_) => (Family::Ipv6, 10),
    };
    let (first, port) = (Reg(0), Reg(4));
    let is = |key: MetaKey, value: u8| {
        let load = Expr::Meta { key, dreg: first };
        let compare = Expr::Cmp {
            op: CmpOp::Eq,
            sreg: first,
            data: Data::new(&[value]),
            len: 1,
        };
        [load, compare]
    };
    let constant = |dreg: Reg, data: Data| Expr::Immediate { dreg, data };
    let mut exprs = Vec::new();
    exprs.extend(is(MetaKey::NfProto, number));
    exprs.extend(is(MetaKey::L4Proto, protocol));
    exprs.push(constant(first, Data::new(&[]).address(at.ip())));
    exprs.push(constant(port, Data::new(&[]).port(at.port())));
    exprs.push(Expr::Dnat {
        family,
        address: first,
        port,
    });
    Rule {
        exprs,
        comment: None,
    }
}

async fn accept(listener: TcpListener, network: Arc<NodeNetwork>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let network = network.clone();
                tokio::spawn(async move {
                    carry(stream, &network).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "the edge cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn carry(mut inner: TcpStream, network: &NodeNetwork) {
    match timeout(CONNECT, dial(&inner, network)).await {
        Ok(Ok(mut outer)) => {
            let _ = (inner.set_nodelay(true), outer.set_nodelay(true));
            if copy_bidirectional(&mut inner, &mut outer).await.is_ok() {
                return;
            }
        }
        Ok(Err(error)) => tracing::debug!(%error, "a connection does not get out"),
        Err(_) => tracing::debug!("an address outside does not answer"),
    }
    // The other end sees a reset, as from a server that is not there.
    let _ = socket2::SockRef::from(&inner).set_linger(Some(Duration::ZERO));
}

async fn dial(inner: &TcpStream, network: &NodeNetwork) -> io::Result<TcpStream> {
    let socket = socket2::SockRef::from(inner);
    let wanted = match inner.local_addr()? {
        SocketAddr::V4(_) => socket.original_dst_v4()?,
        SocketAddr::V6(_) => socket.original_dst_v6()?,
    };
    let wanted = wanted.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    if !is_outside(wanted.ip(), network) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    TcpStream::connect(wanted).await
}

/// Whether an address is beyond this machine's loopback and the cluster.
fn is_outside(ip: IpAddr, network: &NodeNetwork) -> bool {
    let edge = ip == EDGE_V4 || ip == EDGE_V6;
    let nowhere = ip.is_loopback() || ip.is_unspecified() || ip.is_multicast();
    !edge && !nowhere && !network.reaches(ip)
}
