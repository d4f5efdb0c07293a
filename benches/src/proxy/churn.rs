//! Connections while the ruleset changes: none may fail.

use super::Options;
use super::net::{self, Net, SIZE};
use super::ours::Node;
use super::stats::spread;
use super::{cluster, net::wait_until};
use crate::table::Row;
use anyhow::Result;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time between two changes of an endpoint.
const EVERY: Duration = Duration::from_millis(10);
/// A connection that takes longer has failed.
const PATIENCE: Duration = Duration::from_millis(900);

pub(super) fn measure(options: &Options) -> Result<Vec<Row>> {
    let net = Net::build()?;
    let mut rows = Vec::new();
    // The Service that is used first, the mass of the others while it is used.
    let first = || -> Result<Node> {
        let mut node = Node::new()?;
        let events = [cluster::service(17)?, net::live(None)?];
        node.take(events.iter())?;
        Ok(node)
    };
    let loading = || -> Result<()> {
        let mut node = first()?;
        let events = net::events()?;
        for _ in 0..3 {
            node.take(events.iter())?;
        }
        Ok(())
    };
    net.node.run(|| first().map(drop))??;
    rows.extend(rows_of("loading 10000 Services", &during(&net, loading)?));
    let changing = || changes(options.length);
    rows.extend(rows_of("100 endpoints a second", &during(&net, changing)?));
    Ok(rows)
}

/// What clients saw.
struct Seen {
    times: Vec<Duration>,
    failed: usize,
}

fn rows_of(what: &str, seen: &Seen) -> Vec<Row> {
    let spread = spread(&seen.times);
    let row = |name: &str, unit, ours| Row {
        what: format!("{what}: {name}"),
        unit,
        ours,
        peer: None,
        more: false,
    };
    vec![
        row("connections", "", seen.times.len() as f64),
        row("failed connections", "", seen.failed as f64),
        row("connect, p99", "µs", spread.p99),
        row("connect, worst", "µs", spread.worst),
    ]
}

/// Connects over and over while `work` goes on in the node's namespace.
fn during(net: &Net, work: impl FnOnce() -> Result<()> + Send) -> Result<Seen> {
    let [service, _] = net::live_addresses();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| net.client.run(|| connect_until(service, &over)));
        let done = net.node.run(work);
        over.store(true, Ordering::Relaxed);
        let seen = client
            .join()
            .map_err(|_| anyhow::anyhow!("the client panicked"))??;
        done??;
        Ok(seen)
    })
}

fn connect_until(service: SocketAddr, over: &AtomicBool) -> Seen {
    let mut seen = Seen {
        times: Vec::new(),
        failed: 0,
    };
    while !over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        match TcpStream::connect_timeout(&service, PATIENCE) {
            Ok(_) => seen.times.push(begin.elapsed()),
            Err(_) => seen.failed += 1,
        }
        // A hundred or so a second leave ports for a long run.
        std::thread::sleep(Duration::from_millis(1));
    }
    seen
}

/// Replaces an endpoint of some Service every ten milliseconds; every tenth time, an endpoint of
/// the one that is used begins or ends to terminate.
fn changes(length: Duration) -> Result<()> {
    let mut node = net::load()?;
    let begin = Instant::now();
    for number in 0_u32.. {
        wait_until(begin + EVERY * number);
        if begin.elapsed() >= length {
            break;
        }
        let number = number as usize;
        let event = match number % 10 {
            0 => net::live((number % 20 == 0).then_some(number / 20 % 3))?,
            _ => cluster::slice(
                SIZE,
                100 + number * 7919 % (SIZE.services - 100),
                Some(number),
            )?,
        };
        node.take([&event].into_iter())?;
    }
    Ok(())
}
