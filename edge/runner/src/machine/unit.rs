//! One container of a Pod, through all its runs.

use super::probes::{ProbeKind, Probing, Verdict};
use super::{Action, later, note, warn};
use crate::spec::{Container, ContainerStatus, PodObject, RestartPolicy};
use crate::{ImageMap, ImageSource};
use model::Timestamp;

/// First and longest back-off, in milliseconds (kubelet's `containerBackOff`).
const BACKOFF_FIRST_MILLIS: i64 = 10_000;
const BACKOFF_MAX_MILLIS: i64 = 300_000;

fn never() -> Timestamp {
    Timestamp::from_micros(i64::MAX)
}

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the next one
    Init,
    /// An init container that stays (`restartPolicy: Always`)
    Sidecar,
    /// One of `spec.containers`
    Main,
}

/// The end of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) exit_code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) started: Timestamp,
    pub(crate) finished: Timestamp,
    pub(crate) id: String,
}

/// What a container does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Waiting {
        reason: &'static str,
        message: String,
    },
    /// Handed over to be started
    Starting,
    Running {
        since: Timestamp,
        id: String,
    },
    Ended(Ended),
}

/// One container.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) spec: Container,
    pub(crate) role: Role,
    pub(crate) image: Option<ImageSource>,
    pub(crate) state: State,
    pub(crate) last: Option<Ended>,
    pub(crate) restarts: u32,
    /// Grace of the stop that is under way
    pub(crate) stopping: Option<i64>,
    pub(crate) retry_at: Option<Timestamp>,
    /// Whether it was looked at where the container listens, and what is wrong with that
    pub(crate) listen_checked: bool,
    pub(crate) complaint: Option<String>,
    /// The last message about why it cannot start
    pub(crate) told: Option<String>,
    probing: Probing,
    backoff: Option<Backoff>,
    ever_ran: bool,
}

#[derive(Clone, Copy, Debug)]
struct Backoff {
    millis: i64,
    set: Timestamp,
}

/// The containers of a Pod, with what its stored status says of them.
pub(super) fn units(pod: &PodObject, images: &ImageMap, now: Timestamp) -> Vec<Unit> {
    let spec = &pod.spec;
    let inits = spec.init_containers.iter().map(|container| {
        let stays = container.restart_policy == Some(RestartPolicy::Always);
        let role = if stays { Role::Sidecar } else { Role::Init };
        (container, role, &pod.status.init_container_statuses)
    });
    let mains = spec.containers.iter();
    let mains = mains.map(|container| (container, Role::Main, &pod.status.container_statuses));
    let has_init = !spec.init_containers.is_empty();
    inits
        .chain(mains)
        .map(|(container, role, statuses)| {
            let waits = has_init && role == Role::Main;
            let mut unit = Unit::new(container.clone(), role, images, waits);
            if let Some(status) = statuses.iter().find(|status| status.name == container.name) {
                unit.take_up(status, spec.restart_policy, now);
            }
            unit
        })
        .collect()
}

impl Unit {
    fn new(spec: Container, role: Role, images: &ImageMap, waits: bool) -> Self {
        let reason = if waits {
            "PodInitializing"
        } else {
            "ContainerCreating"
        };
        Self {
            image: image(&spec, images),
            probing: Probing::default(),
            spec,
            role,
            state: State::Waiting {
                reason,
                message: String::new(),
            },
            last: None,
            restarts: 0,
            stopping: None,
            retry_at: None,
            listen_checked: false,
            complaint: None,
            told: None,
            backoff: None,
            ever_ran: false,
        }
    }

    /// Goes on where an earlier run of the node stopped. What ran then does so no longer.
    fn take_up(&mut self, status: &ContainerStatus, policy: RestartPolicy, now: Timestamp) {
        let time = |text: &str| Timestamp::parse(text).unwrap_or(now);
        let ended = if let Some(ended) = &status.state.terminated {
            Some(Ended {
                exit_code: ended.exit_code,
                signal: None,
                reason: ended.reason.clone(),
                message: ended.message.clone(),
                started: time(&ended.started_at),
                finished: time(&ended.finished_at),
                id: ended.container_id.clone(),
            })
        } else {
            status.state.running.as_ref().map(|running| Ended {
                exit_code: 137,
                signal: None,
                reason: "Unknown".to_owned(),
                message: "The node was stopped while the container ran.".to_owned(),
                started: time(&running.started_at),
                finished: now,
                id: String::new(),
            })
        };
        self.restarts = status.restart_count;
        self.ever_ran = ended.is_some();
        let Some(ended) = ended else {
            return;
        };
        let again = match self.role {
            Role::Init => ended.exit_code != 0,
            _ => self.policy(policy).restarts(ended.exit_code),
        };
        if again && ended.reason == "Unknown" {
            // It did not fail: there is nothing to back off from.
            self.restarts += 1;
            self.last = Some(ended);
        } else {
            self.state = State::Ended(ended);
        }
    }

    /// The container's own restart policy, or the Pod's. Init containers are run again unless
    /// the Pod's policy is `Never`.
    pub(crate) fn policy(&self, of_pod: RestartPolicy) -> RestartPolicy {
        match (self.spec.restart_policy, self.role, of_pod) {
            (Some(own), _, _) => own,
            (None, Role::Init, RestartPolicy::Always) => RestartPolicy::OnFailure,
            (None, _, of_pod) => of_pod,
        }
    }

    /// True from the start until the end of a run.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.state, State::Starting | State::Running { .. })
    }

    pub(crate) fn has_run(&self) -> bool {
        self.ever_ran
    }

    pub(crate) fn has_succeeded(&self) -> bool {
        matches!(&self.state, State::Ended(ended) if ended.exit_code == 0)
    }

    /// Running, and past its startup probe.
    pub(crate) fn is_started(&self) -> bool {
        matches!(self.state, State::Running { .. }) && self.probing.started(&self.spec)
    }

    /// `ready` of the container status.
    pub(crate) fn is_ready(&self) -> bool {
        if self.role == Role::Init {
            return self.has_succeeded();
        }
        let unseen = self.must_be_seen() && !self.listen_checked;
        self.is_started() && self.probing.ready(&self.spec) && self.complaint.is_none() && !unseen
    }

    /// Whether readiness waits for a look at where the process listens: without a readiness
    /// probe nothing else says that it can be reached.
    pub(crate) fn must_be_seen(&self) -> bool {
        let listens = self
            .spec
            .ports
            .iter()
            .any(|p| p.protocol == model::Protocol::Tcp);
        matches!(self.image, Some(ImageSource::Command(_)))
            && listens
            && self.spec.readiness_probe.is_none()
    }

    /// Waits for configuration that may come.
    pub(crate) fn is_blocked(&self) -> bool {
        matches!(
            self.state,
            State::Waiting {
                reason: "CreateContainerConfigError",
                ..
            }
        )
    }

    pub(super) fn run(&mut self, id: String, now: Timestamp) {
        self.state = State::Running { since: now, id };
        self.ever_ran = true;
        self.told = None;
        self.complaint = None;
        self.listen_checked = false;
        self.probing.begin(&self.spec, now);
    }

    pub(super) fn exited(&mut self, ended: Ended) {
        self.stopping = None;
        self.retry_at = None;
        self.complaint = None;
        self.ever_ran = true;
        self.state = State::Ended(ended);
    }

    pub(super) fn probed(
        &mut self,
        kind: ProbeKind,
        outcome: Result<(), String>,
        now: Timestamp,
    ) -> Option<Verdict> {
        let running = matches!(self.state, State::Running { .. });
        let verdict = self.probing.record(kind, &self.spec, outcome, now);
        verdict.filter(|_| running)
    }

    pub(super) fn probes_due(&mut self, now: Timestamp) -> Vec<ProbeKind> {
        if !matches!(self.state, State::Running { .. }) || self.stopping.is_some() {
            return Vec::new();
        }
        self.probing.due(&self.spec, now)
    }

    pub(super) fn next_deadline(&self, ending: bool) -> Option<Timestamp> {
        match self.state {
            State::Running { .. } if self.stopping.is_none() && !ending => {
                self.probing.next(&self.spec)
            }
            State::Waiting { .. } if !ending => self.retry_at.filter(|at| *at < never()),
            _ => None,
        }
    }

    /// Asks for a stop, unless one with no longer grace is under way.
    pub(super) fn stop(&mut self, index: usize, grace_seconds: i64, actions: &mut Vec<Action>) {
        if !self.is_active() || self.stopping.is_some_and(|old| old <= grace_seconds) {
            return;
        }
        if self.stopping.is_none() {
            let message = format!("Stopping container {}", self.spec.name);
            actions.push(note("Killing", message));
        }
        self.stopping = Some(grace_seconds);
        actions.push(Action::Stop {
            unit: index,
            grace_seconds,
        });
    }

    /// Starts the container when it has not run, or has to run again and has waited long enough.
    pub(super) fn start_if_due(
        &mut self,
        index: usize,
        policy: RestartPolicy,
        title: &str,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        match &self.state {
            State::Starting | State::Running { .. } => return,
            State::Waiting { .. } if self.retry_at.is_some_and(|at| at > now) => return,
            State::Waiting { .. } => {}
            State::Ended(ended) => {
                if !self.policy(policy).restarts(ended.exit_code) {
                    return;
                }
                let finished = ended.finished;
                let ended = ended.clone();
                if let Some(wait) = self.backing_off(finished, now) {
                    self.crash_loop(ended, wait, title, now, actions);
                    return;
                }
                self.last = Some(ended);
                self.restarts += 1;
                self.lengthen(finished, now);
            }
        }
        if matches!(
            self.state,
            State::Waiting {
                reason: "CrashLoopBackOff",
                ..
            }
        ) {
            self.restarts += 1;
            self.lengthen(now, now);
        }
        self.retry_at = None;
        self.start(index, actions);
    }

    fn start(&mut self, index: usize, actions: &mut Vec<Action>) {
        if let Some(image) = self.image.clone() {
            self.state = State::Starting;
            actions.push(Action::Start { unit: index, image });
            return;
        }
        let name = &self.spec.image;
        let message = format!(
            "Container image {name:?} stands for no program of this machine, and there is no \
             container runtime to pull it: start with --image '{name}=COMMAND' for a program, \
             with --image '{name}=portolan/echo' for the built-in echo server, or give the \
             container a command"
        );
        if self.told.as_ref() != Some(&message) {
            actions.push(warn("ErrImageNeverPull", message.clone()));
            actions.push(warn("Failed", "Error: ErrImageNeverPull".to_owned()));
        }
        self.told = Some(message.clone());
        self.state = State::Waiting {
            reason: "ErrImageNeverPull",
            message,
        };
        // The image map is fixed: there is nothing to wait for.
        self.retry_at = Some(never());
    }

    /// Milliseconds of the back-off, when it is not over yet.
    fn backing_off(&self, finished: Timestamp, now: Timestamp) -> Option<i64> {
        let backoff = self.backoff?;
        let forgotten = finished.micros() - backoff.set.micros() > BACKOFF_MAX_MILLIS * 2000;
        let over = now >= later(finished, backoff.millis);
        (!forgotten && !over).then_some(backoff.millis)
    }

    /// Sets the pause that the next end will cause.
    fn lengthen(&mut self, since: Timestamp, now: Timestamp) {
        let millis = match self.backoff {
            Some(old) if since.micros() - old.set.micros() <= BACKOFF_MAX_MILLIS * 2000 => {
                (old.millis * 2).min(BACKOFF_MAX_MILLIS)
            }
            _ => BACKOFF_FIRST_MILLIS,
        };
        self.backoff = Some(Backoff { millis, set: now });
    }

    fn crash_loop(
        &mut self,
        ended: Ended,
        wait: i64,
        title: &str,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let name = &self.spec.name;
        let message = format!("Back-off restarting failed container {name} in pod {title}");
        actions.push(warn("BackOff", message));
        let pause = pause(wait / 1000);
        self.retry_at = Some(later(ended.finished, wait).max(now));
        self.last = Some(ended);
        self.state = State::Waiting {
            reason: "CrashLoopBackOff",
            message: format!("back-off {pause} restarting failed container={name} pod={title}"),
        };
    }
}

/// A Go duration of whole seconds: `10s`, `2m40s`.
fn pause(seconds: i64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, rest) => format!("{rest}s"),
        (minutes, rest) => format!("{minutes}m{rest}s"),
    }
}

/// What runs: the mapped image; or, when nothing maps it, the container's own command.
fn image(spec: &Container, images: &ImageMap) -> Option<ImageSource> {
    let mapped = images.lookup(&spec.image);
    match mapped {
        Some(ImageSource::Echo) => Some(ImageSource::Echo),
        _ if !spec.command.is_empty() => {
            let words = spec.command.iter().chain(&spec.args).cloned();
            Some(ImageSource::Command(words.collect()))
        }
        Some(ImageSource::Command(words)) => {
            let words = words.into_iter().chain(spec.args.iter().cloned());
            Some(ImageSource::Command(words.collect()))
        }
        None => None,
    }
}
