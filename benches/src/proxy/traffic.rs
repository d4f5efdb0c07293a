//! What a connection through the proxy costs beside one to the Pod itself.

use super::Options;
use super::net::{self, Net};
use super::stats::{median, spread};
use crate::table::Row;
use anyhow::Result;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Connections of each kind.
const CONNECTIONS: usize = 4000;

pub(super) fn measure(options: &Options) -> Result<Vec<Row>> {
    let net = Net::build()?;
    net.node.run(|| net::load().map(drop))??;
    let mut rows = Vec::new();
    if options.wants("connect") {
        rows.extend(net.client.run(connect)??);
    }
    if options.wants("throughput") {
        rows.push(net.client.run(|| throughput(options.length))??);
    }
    Ok(rows)
}

/// Turn by turn, so that whatever else the machine does meets both.
fn connect() -> Result<Vec<Row>> {
    let [service, pod] = net::live_addresses();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..CONNECTIONS {
        for (address, times) in [service, pod].into_iter().zip(&mut times) {
            let begin = Instant::now();
            let mut stream = TcpStream::connect(address)?;
            times.push(begin.elapsed());
            // The server closes, so that no port of ours waits.
            let _ = stream.read(&mut [0]);
        }
    }
    let [service, pod] = times.map(|times| spread(&times));
    let row = |what: &str, ours, direct| Row {
        what: what.to_owned(),
        unit: "µs",
        ours,
        peer: Some(direct),
        more: false,
    };
    Ok(vec![
        row("connect, p50", service.p50, pod.p50),
        row("connect, p99", service.p99, pod.p99),
    ])
}

fn throughput(length: Duration) -> Result<Row> {
    let addresses = net::sink_addresses();
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        for (address, rates) in addresses.into_iter().zip(&mut rates) {
            rates.push(send(address, length / 5)?);
        }
    }
    let [service, pod] = rates.map(median);
    Ok(Row {
        what: "throughput, one connection".to_owned(),
        unit: "MB/s",
        ours: service,
        peer: Some(pod),
        more: true,
    })
}

/// Sends for a time; megabytes per second.
fn send(address: SocketAddr, length: Duration) -> Result<f64> {
    let mut stream = TcpStream::connect(address)?;
    let block = vec![7; 1 << 18];
    let begin = Instant::now();
    let mut sent = 0.0;
    while begin.elapsed() < length {
        stream.write_all(&block)?;
        sent += block.len() as f64;
    }
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut [0])? > 0 {}
    Ok(sent / 1e6 / begin.elapsed().as_secs_f64())
}
