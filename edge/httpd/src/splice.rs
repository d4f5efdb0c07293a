//! Bytes both ways between a client and a backend, after an upgrade.

use crate::wire::{Reader, Writer};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Copies until one side closes or nothing moves for `idle`.
pub(crate) async fn splice(
    client: (&mut Reader, &mut Writer),
    backend: (&mut Reader, &mut Writer),
    idle: Duration,
) {
    let start = Instant::now();
    let last = AtomicU64::new(0);
    let moved = || {
        let now = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        last.store(now, Ordering::Relaxed);
    };
    let (client_reader, client_writer) = client;
    let (backend_reader, backend_writer) = backend;
    let watch = async {
        loop {
            let until = start + Duration::from_millis(last.load(Ordering::Relaxed)) + idle;
            if Instant::now() >= until {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    };
    tokio::select! {
        _ = copy(client_reader, backend_writer, &moved) => {}
        _ = copy(backend_reader, client_writer, &moved) => {}
        () = watch => {}
    }
    client_writer.close().await;
    backend_writer.close().await;
}

async fn copy(from: &mut Reader, to: &mut Writer, moved: &impl Fn()) -> io::Result<()> {
    loop {
        if from.buffer.is_empty() && from.fill().await? == 0 {
            return Ok(());
        }
        moved();
        let n = from.buffer.len();
        let bytes = from.take(n);
        to.send(&bytes).await?;
        moved();
    }
}
