//! Loads: writers as fast as they can, writers at a pace, watchers.

use crate::client::{Connection, Protocol, Target};
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Method;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// Calls back with each text.
type Texts = fn(&[u8], &mut dyn FnMut(&str)) -> usize;

/// How to write one object and how to watch them, for one kind of server.
#[derive(Clone, Copy)]
pub(crate) struct Dialect {
    /// Path of a write
    pub(crate) write: &'static str,
    /// Body of a write of an object of a name with a text in it
    pub(crate) body: fn(&str, &str) -> Bytes,
    /// Method, path and body of a watch
    pub(crate) watch: fn() -> (Method, &'static str, Bytes),
    /// Finds the texts of objects in the bytes of a watch, and how many bytes were used up
    pub(crate) texts: Texts,
}

async fn connections(target: &Target, protocol: Protocol, count: usize) -> Result<Vec<Connection>> {
    let first = Connection::open(target, protocol).await?;
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(match first.share() {
            Some(shared) => shared,
            None => Connection::open(target, protocol).await?,
        });
    }
    Ok(all)
}

/// Writes a second by so many clients at once, each waiting for its answers.
pub(crate) async fn writes(
    target: &Target,
    protocol: Protocol,
    dialect: Dialect,
    clients: usize,
    length: Duration,
) -> Result<f64> {
    let mut tasks = Vec::new();
    let all = connections(target, protocol, clients).await?;
    let start = Instant::now();
    let local = LocalSet::new();
    for (client, mut connection) in all.into_iter().enumerate() {
        let prefix = if protocol == Protocol::Http1 {
            "a"
        } else {
            "b"
        };
        tasks.push(local.spawn_local(async move {
            let mut made = 0u32;
            while start.elapsed() < length {
                let name = format!("{prefix}-{clients}-{client}-{made}");
                let body = (dialect.body)(&name, "v");
                connection.send(Method::POST, dialect.write, body).await?;
                made += 1;
            }
            Ok::<_, anyhow::Error>(made)
        }));
    }
    local.await;
    let took = start.elapsed().as_secs_f64();
    let mut made = 0;
    for task in tasks {
        made += task.await??;
    }
    Ok(f64::from(made) / took)
}

/// Makes objects, each with a text of `size` bytes.
pub(crate) async fn fill(
    target: &Target,
    dialect: Dialect,
    write: &'static str,
    count: usize,
    size: usize,
) -> Result<()> {
    let text = "x".repeat(size);
    let bodies = (0..count).map(move |number| {
        let body = (dialect.body)(&format!("fill-{number}"), &text);
        (write.to_owned(), body)
    });
    post(target, bodies).await
}

/// Posts bodies to paths, several at once, in order as far as that goes.
pub(crate) async fn post(
    target: &Target,
    bodies: impl Iterator<Item = (String, Bytes)> + 'static,
) -> Result<()> {
    let bodies = Rc::new(RefCell::new(bodies));
    let local = LocalSet::new();
    let mut tasks = Vec::new();
    for mut connection in connections(target, Protocol::Http1, 32).await? {
        let bodies = bodies.clone();
        let next = move || bodies.borrow_mut().next();
        tasks.push(local.spawn_local(async move {
            while let Some((path, body)) = next() {
                connection.send(Method::POST, &path, body).await?;
            }
            Ok::<_, anyhow::Error>(())
        }));
    }
    local.await;
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// From the sending of a write to the event at each of `watchers`, at `rate` writes a second.
pub(crate) async fn delivery(
    target: &Target,
    dialect: Dialect,
    watchers: usize,
    rate: u32,
    length: Duration,
) -> Result<Vec<Duration>> {
    let epoch = Instant::now();
    let seen: Rc<RefCell<Vec<Duration>>> = Rc::default();
    let local = LocalSet::new();
    for _ in 0..watchers {
        let mut connection = Connection::open(target, Protocol::Http1).await?;
        let (method, path, body) = (dialect.watch)();
        let mut stream = connection.stream(method, path, body).await?;
        let seen = seen.clone();
        local.spawn_local(async move {
            let _open = connection;
            let mut rest = Vec::new();
            while let Some(Ok(frame)) = stream.frame().await {
                let now = epoch.elapsed();
                rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                let used = (dialect.texts)(&rest, &mut |text| {
                    let sent = text.strip_prefix("t").and_then(|nanos| nanos.parse().ok());
                    if let Some(sent) = sent.map(Duration::from_nanos) {
                        seen.borrow_mut().push(now.saturating_sub(sent));
                    }
                });
                rest.drain(..used);
            }
        });
    }
    let written = local
        .run_until(paced(target, dialect, rate, length, epoch))
        .await?;
    local
        .run_until(tokio::time::sleep(Duration::from_secs(1)))
        .await;
    let mut all = seen.take();
    all.sort_unstable();
    let wanted = written * watchers;
    anyhow::ensure!(
        all.len() == wanted,
        "{} of {wanted} events arrived",
        all.len()
    );
    Ok(all)
}

/// Writes at a pace, by enough clients that none waits for another.
async fn paced(
    target: &Target,
    dialect: Dialect,
    rate: u32,
    length: Duration,
    epoch: Instant,
) -> Result<usize> {
    const CLIENTS: u32 = 16;
    let mut tasks = Vec::new();
    let start = Instant::now();
    for (client, mut connection) in (0u32..).zip(connections(target, Protocol::Http1, 16).await?) {
        tasks.push(tokio::task::spawn_local(async move {
            let mut made = 0;
            let step = Duration::from_secs(1) * CLIENTS / rate;
            let mut due = start + Duration::from_secs(1) * client / rate;
            while due < start + length {
                tokio::time::sleep_until(due.into()).await;
                due += step;
                let text = format!("t{}", epoch.elapsed().as_nanos());
                let body = (dialect.body)(&format!("w-{client}-{made}"), &text);
                connection.send(Method::POST, dialect.write, body).await?;
                made += 1;
            }
            Ok::<_, anyhow::Error>(made)
        }));
    }
    let mut made = 0;
    for task in tasks {
        made += task.await??;
    }
    Ok(made)
}

/// How long reading a whole answer takes: the median of `times`, and its bytes.
pub(crate) async fn read(
    target: &Target,
    method: Method,
    path: &str,
    body: Bytes,
    times: usize,
) -> Result<(Duration, usize)> {
    let mut connection = Connection::open(target, Protocol::Http1).await?;
    let (mut took, mut size) = (Vec::new(), 0);
    for _ in 0..times {
        let start = Instant::now();
        size = connection
            .send(method.clone(), path, body.clone())
            .await?
            .len();
        took.push(start.elapsed());
    }
    took.sort_unstable();
    Ok((*took.get(times / 2).context("nothing was read")?, size))
}
