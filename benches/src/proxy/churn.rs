//! Connections while the ruleset changes: none may fail.

use super::Options;
use super::net::{self, Net, SIZE};
use super::ours::Node;
use super::stats::spread;
use super::{cluster, net::wait_until};
use crate::table::Row;
use anyhow::{Result, anyhow};
use model::{Event, EventKind};
use std::io::Read;
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
    let (node, seen) = during(&net, net.node.run(net::first)??, load_often)?;
    rows.extend(rows_of("loading 10000 Services", &seen));
    let (_, seen) = during(&net, node, |node| changes(node, options.length))?;
    rows.extend(rows_of("100 endpoints a second", &seen));
    Ok(rows)
}

/// Loads everything, three times anew.
fn load_often(node: &mut Node) -> Result<()> {
    let events = cluster::events(SIZE).collect::<Result<Vec<_>>>()?;
    let others: Vec<Event> = events
        .into_iter()
        .filter(|event| !net::is_live(event))
        .collect();
    let gone = others.iter().map(|event| Event {
        kind: EventKind::Deleted,
        ..event.clone()
    });
    let gone: Vec<Event> = gone.collect();
    for _ in 0..3 {
        node.take(&others)?;
        node.take(&gone)?;
    }
    node.take(&others)?;
    Ok(())
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
fn during(
    net: &Net,
    mut node: Node,
    work: impl FnOnce(&mut Node) -> Result<()> + Send,
) -> Result<(Node, Seen)> {
    let [service, _] = net::live_addresses();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| net.client.run(|| connect_until(service, &over)));
        let done = work(&mut node);
        over.store(true, Ordering::Relaxed);
        let seen = client
            .join()
            .map_err(|_| anyhow!("the client panicked"))??;
        done.map(|()| (node, seen))
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
            Ok(mut stream) => {
                seen.times.push(begin.elapsed());
                let _ = stream.read(&mut [0]);
            }
            Err(_) => seen.failed += 1,
        }
        // The server closes first, so ports are free again at once; a rest leaves time to others.
        std::thread::sleep(Duration::from_micros(500));
    }
    seen
}

/// Replaces an endpoint of some Service every ten milliseconds; every tenth time, an endpoint of
/// the one that is used begins or ends to terminate.
fn changes(node: &mut Node, length: Duration) -> Result<()> {
    let begin = Instant::now();
    for number in 0_u32.. {
        wait_until(begin + EVERY * number);
        if begin.elapsed() >= length {
            break;
        }
        let number = number as usize;
        let event = match number % 10 {
            0 => net::live(number.is_multiple_of(20).then_some(number / 20 % 3))?,
            _ => cluster::slice(
                SIZE,
                100 + number * 7919 % (SIZE.services - 100),
                Some(number),
            )?,
        };
        node.take(&[event])?;
    }
    Ok(())
}
