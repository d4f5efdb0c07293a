//! The thread that forgets stale connections.
//!
//! Each pass walks the machine's whole table of tracked connections, which takes some ten
//! milliseconds even when it is empty. The rules must not wait for that, so it is done beside
//! them, for all that came up meanwhile at once.

use super::flush::Flushes;
use crate::node::metrics::NodeMetrics;
use kernel::conntrack::Conntrack;
use proxy::kernel::ConntrackFlush;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Rest after each pass, as a multiple of what it took.
const REST: u32 = 4;
/// The longest rest: clients must not wait for long.
const LONGEST_REST: Duration = Duration::from_millis(200);

/// Forgets what it is told to. Ends with its work done when dropped.
pub(super) struct Forgetter {
    inbox: Option<Sender<Vec<ConntrackFlush>>>,
    thread: Option<JoinHandle<()>>,
}

impl Forgetter {
    /// Starts the thread. `conntrack` may belong to another network namespace.
    pub(super) fn start(conntrack: Conntrack, metrics: Arc<NodeMetrics>) -> io::Result<Self> {
        let (inbox, flushes) = channel();
        let thread = std::thread::Builder::new()
            .name("node-forget".to_owned())
            .spawn(move || run(conntrack, &metrics, &flushes))?;
        Ok(Self {
            inbox: Some(inbox),
            thread: Some(thread),
        })
    }

    /// To be called once new packets find their way. Does not wait.
    pub(super) fn forget(&self, flushes: Vec<ConntrackFlush>) {
        if let Some(inbox) = self.inbox.as_ref().filter(|_| !flushes.is_empty()) {
            let _ = inbox.send(flushes);
        }
    }
}

impl Drop for Forgetter {
    fn drop(&mut self) {
        drop(self.inbox.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut conntrack: Conntrack, metrics: &NodeMetrics, inbox: &Receiver<Vec<ConntrackFlush>>) {
    let mut rest = Duration::ZERO;
    loop {
        let mut flushes = Flushes::default();
        let more = collect(&mut flushes, inbox, Instant::now() + rest);
        if !flushes.is_empty() {
            rest = pass(&flushes, &mut conntrack, metrics)
                .saturating_mul(REST)
                .min(LONGEST_REST);
        }
        if !more {
            return;
        }
    }
}

/// Waits for something to forget, and at least until then; false when nothing more will come.
fn collect(flushes: &mut Flushes, inbox: &Receiver<Vec<ConntrackFlush>>, until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let message = match flushes.is_empty() {
            true => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => inbox.recv_timeout(left),
        };
        match message {
            Ok(more) => flushes.add(more),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Forgets them all; says how long it took.
fn pass(flushes: &Flushes, conntrack: &mut Conntrack, metrics: &NodeMetrics) -> Duration {
    let started = Instant::now();
    let flushed = flushes.run(conntrack);
    let took = started.elapsed();
    match flushed {
        Ok(flushed) => metrics.with(|values| {
            values.conntrack.observe(took);
            values.conntrack_deleted += u64::try_from(flushed.deleted).unwrap_or(0);
        }),
        Err(error) => tracing::warn!(%error, "stale connections of UDP stay"),
    }
    took
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy::kernel::FlushTarget;
    use std::collections::BTreeSet;

    fn flush(to: &str) -> Vec<ConntrackFlush> {
        vec![ConntrackFlush {
            target: FlushTarget::Address(to.parse().unwrap()),
            keep: BTreeSet::new(),
        }]
    }

    #[test]
    fn what_came_up_meanwhile_is_done_in_one_pass_and_the_last_of_it_before_the_end() {
        let (sender, inbox) = channel();
        sender.send(flush("10.96.0.1:53")).unwrap();
        sender.send(flush("10.96.0.2:53")).unwrap();
        let mut flushes = Flushes::default();
        assert!(collect(&mut flushes, &inbox, Instant::now()));
        assert!(inbox.try_recv().is_err(), "both were taken");
        sender.send(flush("10.96.0.3:53")).unwrap();
        drop(sender);
        let mut last = Flushes::default();
        let far = Instant::now() + Duration::from_secs(3600);
        assert!(
            !collect(&mut last, &inbox, far),
            "the end is not waited for"
        );
        assert!(!last.is_empty());
    }
}
