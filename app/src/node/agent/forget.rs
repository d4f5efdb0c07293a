//! The thread that forgets stale connections.
//!
//! Each pass walks the machine's whole table of tracked connections, which takes some ten
//! milliseconds even when it is empty. The rules must not wait for that, so it is done beside
//! them, for all that came up meanwhile at once.

use super::{flush, lock};
use crate::node::metrics::NodeMetrics;
use kernel::conntrack::Conntrack;
use proxy::kernel::{ConntrackFlush, Forgetting};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Rest after each pass, as a multiple of what it took.
const REST: u32 = 4;
/// The longest rest: clients must not wait for long.
const LONGEST_REST: Duration = Duration::from_millis(200);

/// Forgets what it is told to. Ends with its work done when dropped.
pub(super) struct Forgetter {
    forgetting: Arc<Mutex<Forgetting>>,
    wake: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Forgetter {
    /// Starts the thread. `conntrack` may belong to another network namespace.
    pub(super) fn start(conntrack: Conntrack, metrics: Arc<NodeMetrics>) -> io::Result<Self> {
        let forgetting = Arc::<Mutex<Forgetting>>::default();
        let (wake, woken) = channel();
        let work = forgetting.clone();
        let thread = std::thread::Builder::new()
            .name("node-forget".to_owned())
            .spawn(move || run(&work, conntrack, &metrics, &woken))?;
        Ok(Self {
            forgetting,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// To be called before the rules change: a pass that runs must not take those that come now
    /// for strangers. Does not wait.
    pub(super) fn plan(&self, flushes: Vec<ConntrackFlush>) {
        if !flushes.is_empty() {
            lock(&self.forgetting).plan(flushes);
        }
    }

    /// To be called once new packets find their way. Does not wait.
    pub(super) fn ready(&self) {
        let due = {
            let mut forgetting = lock(&self.forgetting);
            forgetting.ready();
            forgetting.is_due()
        };
        if let Some(wake) = self.wake.as_ref().filter(|_| due) {
            let _ = wake.send(());
        }
    }
}

impl Drop for Forgetter {
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    forgetting: &Mutex<Forgetting>,
    mut conntrack: Conntrack,
    metrics: &NodeMetrics,
    woken: &Receiver<()>,
) {
    let mut rest = Duration::ZERO;
    loop {
        let more = wait(forgetting, woken, Instant::now() + rest);
        if lock(forgetting).is_due() {
            rest = pass(forgetting, &mut conntrack, metrics)
                .saturating_mul(REST)
                .min(LONGEST_REST);
        }
        if !more {
            return;
        }
    }
}

/// Waits for something to forget, and at least until then; false when nothing more will come.
fn wait(forgetting: &Mutex<Forgetting>, woken: &Receiver<()>, until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let due = lock(forgetting).is_due();
        let message = match due {
            false => woken.recv().map_err(|_| RecvTimeoutError::Disconnected),
            true => woken.recv_timeout(left),
        };
        match message {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Forgets what waits; says how long it took.
fn pass(
    forgetting: &Mutex<Forgetting>,
    conntrack: &mut Conntrack,
    metrics: &NodeMetrics,
) -> Duration {
    let started = Instant::now();
    let flushed = flush::pass(forgetting, conntrack);
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

    fn forget(forgetting: &Mutex<Forgetting>, sender: &Sender<()>, to: &str) {
        let flush = ConntrackFlush {
            target: FlushTarget::Address(to.parse().unwrap()),
            keep: BTreeSet::new(),
            due: true,
        };
        let mut forgetting = forgetting.lock().unwrap();
        forgetting.plan(vec![flush]);
        forgetting.ready();
        sender.send(()).unwrap();
    }

    #[test]
    fn what_came_up_meanwhile_is_done_in_one_pass_and_the_last_of_it_before_the_end() {
        let forgetting = Mutex::default();
        let (sender, woken) = channel();
        forget(&forgetting, &sender, "10.96.0.1:53");
        forget(&forgetting, &sender, "10.96.0.2:53");
        assert!(wait(&forgetting, &woken, Instant::now()));
        assert!(woken.try_recv().is_err(), "both were heard");
        forgetting.lock().unwrap().begin();
        forget(&forgetting, &sender, "10.96.0.3:53");
        drop(sender);
        let far = Instant::now() + Duration::from_secs(3600);
        let more = wait(&forgetting, &woken, far);
        assert!(!more, "the end is not waited for");
        assert!(forgetting.lock().unwrap().is_due());
    }
}
