//! One agent on its node: how it is started, asked and waited for.

use super::bed::{Bed, Goal};
use crate::client::{Connection, Protocol, Target};
use crate::process::Process;
use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use hyper::Method;
use kernel::lab::{self, Answer, Asking};
use kernel::netns::Namespace;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{ScopedJoinHandle, scope, sleep};
use std::time::{Duration, Instant};

/// An agent is at rest when it has neither synced nor run a program for so long: more than the
/// second that kube-proxy waits between syncs.
const REST: Duration = Duration::from_secs(2);
/// Time between two looks at an agent.
const LOOK: Duration = Duration::from_millis(100);
/// How long one question to a Service, or to an agent, may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is run.
#[derive(Clone, Copy)]
pub(super) enum Program<'a> {
    Portolan(&'a Path),
    KubeProxy(&'a Path),
}

impl Program<'_> {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Portolan(_) => "portolan run",
            Self::KubeProxy(_) => "kube-proxy",
        }
    }

    /// The same switches for both. DNS is no part of kube-proxy's work, and the limits of
    /// connection tracking belong to the machine.
    fn command(self, node: &str, kubeconfig: &Path) -> Command {
        let mut command = match self {
            Self::Portolan(binary) => {
                let mut command = Command::new(binary);
                command.args(["run", "--role=node", "--dns=false"]);
                command
            }
            Self::KubeProxy(binary) => Command::new(binary),
        };
        command.args(["--proxy-mode=nftables", "--cluster-cidr=10.128.0.0/9"]);
        command.arg(format!("--hostname-override={node}"));
        command.args([
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0s",
            "--conntrack-tcp-timeout-close-wait=0s",
        ]);
        command.arg("--kubeconfig").arg(kubeconfig);
        command
    }
}

/// How many syncs there were, and the time of all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Syncs {
    pub(super) count: f64,
    pub(super) seconds: f64,
}

impl Syncs {
    fn parse(metrics: &str) -> Option<Self> {
        let value = |key: &str| {
            let name =
                format!("kubeproxy_sync_proxy_rules_duration_seconds_{key}{{ip_family=\"IPv4\"}} ");
            let mut lines = metrics.lines();
            lines.find_map(|line| line.strip_prefix(&name)?.trim().parse().ok())
        };
        Some(Self {
            count: value("count")?,
            seconds: value("sum")?,
        })
    }
}

/// An agent.
pub(super) struct Agent<'a> {
    bed: &'a mut Bed,
    node: usize,
    program: Program<'a>,
    process: Option<Process>,
}

impl<'a> Agent<'a> {
    /// One that does not run yet.
    pub(super) fn new(bed: &'a mut Bed, node: usize, program: Program<'a>) -> Self {
        Self {
            bed,
            node,
            program,
            process: None,
        }
    }

    /// The running process.
    pub(super) fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the agent does not run")
    }

    /// Starts it: time until a Service answers.
    pub(super) fn start(&mut self) -> Result<Duration> {
        self.timed(&self.bed.live(), Self::spawn)
    }

    /// Ends it, replaces an endpoint, starts it again: time until that one answers.
    pub(super) fn restart(&mut self) -> Result<Duration> {
        self.process = None;
        let (slice, goal) = self.bed.other()?;
        self.bed.write(&Method::PUT, &[slice])?;
        self.timed(&goal, Self::spawn)
    }

    /// Replaces the only endpoint of a Service: time until the new one answers.
    pub(super) fn replace(&mut self) -> Result<Duration> {
        let (slice, goal) = self.bed.other()?;
        self.timed(&goal, |agent| agent.bed.write(&Method::PUT, &[slice]))
    }

    /// Adds a Service and its slice: time until it answers.
    pub(super) fn add(&mut self) -> Result<Duration> {
        let (events, goal) = self.bed.more()?;
        self.timed(&goal, |agent| agent.bed.write(&Method::POST, &events))
    }

    fn spawn(&mut self) -> Result<Instant> {
        let (name, namespace) = self.bed.node(self.node)?;
        let mut command = self.program.command(name, &self.bed.kubeconfig());
        // A file name has no spaces.
        let log = self.program.name().replace(' ', "-");
        let begin = Instant::now();
        let process = namespace.run(|| {
            Process::start(&log, |dir| {
                command.env("HOME", dir);
                command
            })
        })??;
        self.process = Some(process);
        Ok(begin)
    }

    /// Time from the instant that `act` gives until the goal is reached.
    fn timed(
        &mut self,
        goal: &Goal,
        act: impl FnOnce(&mut Self) -> Result<Instant>,
    ) -> Result<Duration> {
        let namespace = self.bed.node(self.node)?.1.clone();
        let over = AtomicBool::new(false);
        scope(|scope| {
            let asker = scope.spawn(|| ask_until(&namespace, goal, &over));
            let begin = act(self).and_then(|begin| self.watch(&asker, begin).map(|()| begin));
            over.store(true, Ordering::Relaxed);
            let reached = asker.join().map_err(|_| anyhow!("the asker panicked"))?;
            let begin = begin?;
            Ok(reached.context("nobody answered")?.duration_since(begin))
        })
    }

    /// Looks after the process until the asker has its answer.
    fn watch<T>(&mut self, asker: &ScopedJoinHandle<'_, T>, begin: Instant) -> Result<()> {
        let (name, patience) = (self.program.name(), self.patience());
        let process = self.process.as_mut().context("the agent does not run")?;
        while !asker.is_finished() {
            process.check().context(name)?;
            ensure!(
                begin.elapsed() < patience,
                "{name}: no answer within {patience:?}: {}",
                process.log()
            );
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// As much as kube-proxy may need, and far more than that.
    fn patience(&self) -> Duration {
        Duration::from_secs(60) + Duration::from_millis(10) * self.bed.size().total() as u32
    }

    /// Waits for the end of its first sync.
    pub(super) fn synced(&mut self) -> Result<Syncs> {
        let begin = Instant::now();
        loop {
            match self.syncs() {
                Ok(syncs) if syncs.count >= 1.0 => return Ok(syncs),
                other => ensure!(
                    begin.elapsed() < self.patience(),
                    "{}: no sync: {other:?}",
                    self.program.name()
                ),
            }
            sleep(LOOK);
        }
    }

    /// Waits until it is at rest.
    pub(super) fn settle(&mut self) -> Result<Syncs> {
        let begin = Instant::now();
        let (mut last, mut since) = (self.syncs()?, Instant::now());
        while since.elapsed() < REST {
            sleep(LOOK);
            let now = self.syncs()?;
            if now != last || self.process()?.is_parent()? {
                (last, since) = (now, Instant::now());
            }
            ensure!(
                begin.elapsed() < self.patience(),
                "{} never rests",
                self.program.name()
            );
        }
        Ok(last)
    }

    fn syncs(&self) -> Result<Syncs> {
        let (_, namespace) = self.bed.node(self.node)?;
        let target = Target {
            address: "127.0.0.1:10249".to_owned(),
            tls: None,
        };
        let body = self.bed.wait(namespace, 5 * PATIENCE, async || {
            let mut connection = Connection::open(&target, Protocol::Http1).await?;
            let path = "/metrics";
            connection.send(Method::GET, path, Bytes::new()).await
        })?;
        Syncs::parse(&String::from_utf8_lossy(&body)).context("no syncs in its metrics")
    }
}

/// Connects until the right one answers; says when, or `None` when it is over before.
fn ask_until(from: &Namespace, goal: &Goal, over: &AtomicBool) -> Option<Instant> {
    let begin = Instant::now();
    while !over.load(Ordering::Relaxed) {
        // One hundredth is precise enough, and takes little from who is measured.
        let step = begin.elapsed() / 100;
        let asking = Asking {
            from,
            source: None,
            protocol: lab::Protocol::Tcp,
            to: goal.to,
            // What is dropped is not sent again for a second, so a new connection is the better
            // question: one that comes through needs no time here.
            patience: step.clamp(Duration::from_millis(1), LOOK),
        };
        if let Ok(stream) = asking.connect() {
            let through = Instant::now();
            let patient = stream.set_read_timeout(Some(PATIENCE)).is_ok();
            if patient && Answer::on_stream(&stream).who() == Some(&goal.who) {
                return Some(through);
            }
        }
        sleep(step.clamp(Duration::from_micros(200), LOOK));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_are_those_of_ipv4() {
        let text = "# TYPE kubeproxy_sync_proxy_rules_duration_seconds histogram\n\
            kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"1\"} 1\n\
            kubeproxy_sync_proxy_rules_duration_seconds_sum{ip_family=\"IPv6\"} 9\n\
            kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv6\"} 8\n\
            kubeproxy_sync_proxy_rules_duration_seconds_sum{ip_family=\"IPv4\"} 31.5\n\
            kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 2\n";
        let wanted = Syncs {
            count: 2.0,
            seconds: 31.5,
        };
        assert_eq!(Syncs::parse(text), Some(wanted));
        assert_eq!(Syncs::parse(""), None);
    }
}
