//! What happens to a Pod next: kubelet's decisions as a machine without I/O.
//!
//! The owner tells the machine what happened ([`Input`]) and when, does what it is told
//! ([`Action`]), and comes back at [`Machine::next_deadline`]. The machine never waits and never
//! asks twice: an action is reported done by the input that answers it.

mod probes;
mod status;
mod unit;

pub(crate) use probes::ProbeKind;
pub(crate) use unit::{Ended, Role, State, Unit};

use crate::spec::PodObject;
use crate::{ImageMap, ImageSource};
use model::Timestamp;
use std::net::IpAddr;

/// Pause before volumes or configuration that were missing are looked for again, in milliseconds.
const RETRY_MILLIS: i64 = 2000;

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// Volumes are there, or kubelet's message why they are not
    Prepared(Result<(), String>),
    /// A container cannot be started until something else changes
    Blocked {
        unit: usize,
        reason: &'static str,
        message: String,
    },
    /// A container runs
    Started { unit: usize, id: String },
    /// A container ended, or could not be run at all
    Exited { unit: usize, ended: Ended },
    /// A probe's outcome
    Probed {
        unit: usize,
        kind: ProbeKind,
        outcome: Result<(), String>,
    },
    /// Whether the container listens where others can reach it: the complaint if it does not
    Listens {
        unit: usize,
        complaint: Option<String>,
    },
    /// The object changed
    Changed(PodObject),
    /// Deletion was asked for, with this many seconds of grace
    Delete { grace_seconds: i64 },
    /// Something that a waiting container may need was written
    Nudge,
    /// A deadline has passed
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Materialise the volumes
    Prepare,
    /// Run a container
    Start { unit: usize, image: ImageSource },
    /// End a container: `preStop`, then `SIGTERM`, then after the grace `SIGKILL`
    Stop { unit: usize, grace_seconds: i64 },
    /// Probe a container once
    Probe { unit: usize, kind: ProbeKind },
    /// Tell the user
    Note {
        warning: bool,
        reason: &'static str,
        message: String,
    },
    /// Everything has ended and deletion was asked for: the object may go
    Finish,
}

/// Why all containers end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Deletion { grace_seconds: i64 },
    Deadline,
}

/// One Pod.
pub(crate) struct Machine {
    pod: PodObject,
    ips: Vec<IpAddr>,
    node_ip: IpAddr,
    units: Vec<Unit>,
    started: Timestamp,
    prepared: Prepared,
    ending: Option<Ending>,
    finished: bool,
    /// The phase in which the Pod was found, when that was its last
    last_phase: Option<String>,
    /// Conditions as they were last written, which may not have come back yet
    written: Vec<serde_json::Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prepared {
    No,
    Asked,
    RetryAt(Timestamp),
    Yes,
}

impl Machine {
    /// Takes up a Pod as it is stored; containers that ran when the node was last seen count as
    /// ended.
    pub(crate) fn new(
        pod: PodObject,
        images: &ImageMap,
        ips: Vec<IpAddr>,
        node_ip: IpAddr,
        now: Timestamp,
    ) -> Self {
        let units = unit::units(&pod, images, now);
        let started = Timestamp::parse(&pod.status.start_time).unwrap_or(now);
        let done = matches!(pod.status.phase.as_str(), "Succeeded" | "Failed");
        Self {
            last_phase: done.then(|| pod.status.phase.clone()),
            pod,
            ips,
            node_ip,
            units,
            started,
            prepared: Prepared::No,
            ending: None,
            finished: false,
            written: Vec::new(),
        }
    }

    /// Whether the Pod had run to its end when it was found: its status is history.
    pub(crate) fn is_history(&self) -> bool {
        self.last_phase.is_some()
    }

    /// Keeps the times of the conditions that were just written.
    pub(crate) fn wrote(&mut self, status: &serde_json::Value) {
        self.written = status["conditions"].as_array().cloned().unwrap_or_default();
    }

    /// The Pod as last seen.
    pub(crate) fn pod(&self) -> &PodObject {
        &self.pod
    }

    /// The containers: init containers first, in their order.
    pub(crate) fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Takes in what happened and says what to do now.
    pub(crate) fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Prepared(result) => self.prepared(result, now, &mut actions),
            Input::Blocked {
                unit,
                reason,
                message,
            } => {
                self.blocked(unit, reason, message, now, &mut actions);
            }
            Input::Started { unit, id } => self.running(unit, id, now, &mut actions),
            Input::Exited { unit, ended } => {
                if let Some(unit) = self.units.get_mut(unit) {
                    unit.exited(ended);
                }
            }
            Input::Probed {
                unit,
                kind,
                outcome,
            } => {
                self.probed(unit, kind, outcome, now, &mut actions);
            }
            Input::Listens { unit, complaint } => self.listens(unit, complaint, &mut actions),
            Input::Changed(pod) => self.pod = pod,
            Input::Delete { grace_seconds } => self.delete(grace_seconds),
            Input::Nudge => self.nudge(now),
            Input::Tick => {}
        }
        self.advance(now, &mut actions);
        actions
    }

    /// When the machine wants an [`Input::Tick`], if nothing else happens before.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        if self.finished {
            return None;
        }
        let prepare = match self.prepared {
            Prepared::RetryAt(at) => Some(at),
            _ => None,
        };
        let limit = self.deadline().filter(|_| self.ending.is_none());
        let units = self
            .units
            .iter()
            .filter_map(|unit| unit.next_deadline(self.ending.is_some()));
        units.chain(prepare).chain(limit).min()
    }

    fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.pod.spec.active_deadline_seconds?;
        (!self.is_over()).then(|| self.started.plus_seconds(seconds))
    }

    fn prepared(&mut self, result: Result<(), String>, now: Timestamp, actions: &mut Vec<Action>) {
        self.prepared = match result {
            Ok(()) => Prepared::Yes,
            Err(message) => {
                actions.push(warn("FailedMount", message));
                Prepared::RetryAt(later(now, RETRY_MILLIS))
            }
        };
    }

    fn blocked(
        &mut self,
        index: usize,
        reason: &'static str,
        message: String,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let Some(unit) = self.units.get_mut(index) else {
            return;
        };
        let told = matches!(&unit.state, State::Waiting { message: old, .. } if *old == message);
        if !told && unit.told.as_ref() != Some(&message) {
            actions.push(warn("Failed", format!("Error: {message}")));
        }
        unit.told = Some(message.clone());
        unit.state = State::Waiting { reason, message };
        unit.retry_at = Some(later(now, RETRY_MILLIS));
    }

    fn running(&mut self, index: usize, id: String, now: Timestamp, actions: &mut Vec<Action>) {
        let ending = self.ending.is_some();
        let Some(unit) = self.units.get_mut(index) else {
            return;
        };
        unit.run(id, now);
        actions.push(note("Created", "Container created".to_owned()));
        actions.push(note("Started", "Container started".to_owned()));
        if ending {
            unit.stopping = None;
        }
    }

    fn probed(
        &mut self,
        index: usize,
        kind: ProbeKind,
        outcome: Result<(), String>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let restart = self.pod.spec.restart_policy;
        let ending = self.ending.is_some();
        let Some(unit) = self.units.get_mut(index) else {
            return;
        };
        let Some(verdict) = unit.probed(kind, outcome, now) else {
            return;
        };
        if let Some(message) = verdict.complaint {
            let text = format!("{} probe failed: {message}", kind.title());
            actions.push(warn("Unhealthy", text));
        }
        if verdict.give_up && unit.stopping.is_none() && !ending {
            let after = match unit.policy(restart) {
                crate::spec::RestartPolicy::Never => "",
                _ => ", will be restarted",
            };
            let name = &unit.spec.name;
            let title = if unit.role == Role::Main {
                "Container"
            } else {
                "Init container"
            };
            let what = kind.title().to_lowercase();
            let message = format!("{title} {name} failed {what} probe{after}");
            let own = kind
                .of(&unit.spec)
                .and_then(|p| p.termination_grace_period_seconds);
            let grace = own.unwrap_or_else(|| self.pod.grace_seconds());
            unit.stopping = Some(grace);
            actions.push(note("Killing", message));
            actions.push(Action::Stop {
                unit: index,
                grace_seconds: grace,
            });
        }
    }

    fn listens(&mut self, index: usize, complaint: Option<String>, actions: &mut Vec<Action>) {
        let Some(unit) = self.units.get_mut(index) else {
            return;
        };
        if let Some(message) = &complaint
            && unit.complaint.as_ref() != Some(message)
        {
            actions.push(warn("NotReachable", message.clone()));
        }
        unit.listen_checked = true;
        unit.complaint = complaint;
    }

    fn delete(&mut self, grace_seconds: i64) {
        let shorter = match self.ending {
            Some(Ending::Deletion { grace_seconds: old }) => grace_seconds < old,
            _ => true,
        };
        if shorter {
            self.ending = Some(Ending::Deletion { grace_seconds });
        }
    }

    fn nudge(&mut self, now: Timestamp) {
        if matches!(self.prepared, Prepared::RetryAt(_)) {
            self.prepared = Prepared::RetryAt(now);
        }
        for unit in &mut self.units {
            if unit.is_blocked() {
                unit.retry_at = Some(now);
            }
        }
    }

    /// Does everything that may be done at `now`.
    fn advance(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.deadline().is_some_and(|at| at <= now) && self.ending.is_none() {
            self.ending = Some(Ending::Deadline);
            let message = "Pod was active on the node longer than the specified deadline";
            actions.push(note("DeadlineExceeded", message.to_owned()));
        }
        if let Some(ending) = self.ending {
            self.wind_up(ending, actions);
        } else if self.is_over() {
            self.stop_sidecars(actions);
        } else if self.is_prepared(now, actions) {
            self.start_due(now, actions);
            self.probe_due(now, actions);
        }
    }

    /// True once the volumes are there; asks for them otherwise.
    fn is_prepared(&mut self, now: Timestamp, actions: &mut Vec<Action>) -> bool {
        match self.prepared {
            Prepared::Yes => return true,
            Prepared::Asked => {}
            Prepared::RetryAt(at) if at > now => {}
            Prepared::No | Prepared::RetryAt(_) => {
                self.prepared = Prepared::Asked;
                actions.push(Action::Prepare);
            }
        }
        false
    }

    /// Init containers one after the other, then all the rest.
    fn start_due(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let title = self.pod.title();
        let policy = self.pod.spec.restart_policy;
        let initialised = self
            .units
            .iter()
            .any(|u| u.role == Role::Main && u.has_run());
        for index in 0..self.units.len() {
            let unit = &mut self.units[index];
            match unit.role {
                Role::Init if initialised || unit.has_succeeded() => continue,
                Role::Init => {
                    unit.start_if_due(index, policy, &title, now, actions);
                    return;
                }
                Role::Sidecar => {
                    unit.start_if_due(index, policy, &title, now, actions);
                    if !initialised && !unit.is_started() {
                        return;
                    }
                }
                Role::Main => unit.start_if_due(index, policy, &title, now, actions),
            }
        }
    }

    fn probe_due(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        for (index, unit) in self.units.iter_mut().enumerate() {
            for kind in unit.probes_due(now) {
                actions.push(Action::Probe { unit: index, kind });
            }
        }
    }

    /// Stops the containers, then the sidecars in reverse order, then reports.
    fn wind_up(&mut self, ending: Ending, actions: &mut Vec<Action>) {
        let grace = match ending {
            Ending::Deletion { grace_seconds } => grace_seconds,
            Ending::Deadline => self.pod.grace_seconds(),
        };
        let mains = self.units.iter().filter(|unit| unit.role != Role::Sidecar);
        let mains_busy = mains.clone().any(Unit::is_active);
        for index in (0..self.units.len()).rev() {
            let unit = &mut self.units[index];
            if unit.role == Role::Sidecar && mains_busy {
                continue;
            }
            unit.stop(index, grace, actions);
            if unit.role == Role::Sidecar && unit.is_active() {
                break;
            }
        }
        let busy = self.units.iter().any(Unit::is_active);
        if matches!(ending, Ending::Deletion { .. }) && !busy && !self.finished {
            self.finished = true;
            actions.push(Action::Finish);
        }
    }

    fn stop_sidecars(&mut self, actions: &mut Vec<Action>) {
        let grace = self.pod.grace_seconds();
        for (index, unit) in self.units.iter_mut().enumerate().rev() {
            unit.stop(index, grace, actions);
        }
    }
}

impl PodObject {
    /// `spec.terminationGracePeriodSeconds`, or what a delete has set in its place.
    fn grace_seconds(&self) -> i64 {
        let of_delete = self.object.meta.deletion_grace_period_seconds;
        let of_spec = self.spec.termination_grace_period_seconds;
        of_delete.or(of_spec).unwrap_or(30)
    }
}

fn later(now: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_micros(now.micros() + millis * 1000)
}

fn note(reason: &'static str, message: String) -> Action {
    Action::Note {
        warning: false,
        reason,
        message,
    }
}

fn warn(reason: &'static str, message: String) -> Action {
    Action::Note {
        warning: true,
        reason,
        message,
    }
}

#[cfg(test)]
mod tests;
