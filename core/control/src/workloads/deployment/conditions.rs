//! Conditions and progress of a Deployment.

use super::rollout::Rollout;
use super::spec::{Deployment, Status};
use crate::fields::text;
use model::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

const PROGRESSING: &str = "Progressing";
const FAILURE: &str = "ReplicaFailure";
const DONE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

impl Status {
    pub(super) fn condition(&self, kind: &str) -> Option<&Value> {
        self.conditions.iter().find(|one| one["type"] == kind)
    }

    fn remove(&mut self, kind: &str) {
        self.conditions.retain(|one| one["type"] != kind);
    }

    /// Puts a condition last, unless status and reason are as they were; the time of transition
    /// stays when the status does.
    fn put(&mut self, mut new: Value) {
        let kind = text(&new, "/type").to_owned();
        if let Some(old) = self.condition(&kind)
            && old["status"] == new["status"]
        {
            if old["reason"] == new["reason"] {
                return;
            }
            new["lastTransitionTime"] = old["lastTransitionTime"].clone();
        }
        self.remove(&kind);
        self.conditions.push(new);
    }
}

fn condition(kind: &str, status: &str, reason: &str, message: String, now: Timestamp) -> Value {
    let now = now.rfc3339();
    json!({
        "type": kind, "status": status, "lastUpdateTime": now, "lastTransitionTime": now,
        "reason": reason, "message": message,
    })
}

impl Deployment {
    pub(super) fn set_condition(
        &mut self,
        kind: &str,
        status: &str,
        reason: &str,
        message: String,
        now: Timestamp,
    ) {
        self.status
            .put(condition(kind, status, reason, message, now));
    }

    /// All wanted Pods are new and available, and no old one is left.
    pub(super) fn is_complete(&self, status: &Status) -> bool {
        let wanted = self.spec.replicas();
        status.updated_replicas == wanted
            && status.replicas == wanted
            && status.available_replicas == wanted
            && status.observed_generation >= self.object.meta.generation
    }

    /// Pausing and resuming suspend the deadline.
    pub(super) fn note_pause(&mut self, now: Timestamp) {
        if !self.spec.has_deadline() {
            return;
        }
        let reason = self
            .status
            .condition(PROGRESSING)
            .map(|one| text(one, "/reason"));
        if reason == Some(TIMED_OUT) {
            return;
        }
        let was_paused = reason == Some(PAUSED);
        if self.spec.paused && !was_paused {
            let message = "Deployment is paused".to_owned();
            self.set_condition(PROGRESSING, "Unknown", PAUSED, message, now);
        } else if !self.spec.paused && was_paused {
            let message = "Deployment is resumed".to_owned();
            self.set_condition(PROGRESSING, "Unknown", "DeploymentResumed", message, now);
        }
    }
}

impl Rollout<'_> {
    /// Counts of all ReplicaSets and the Available condition.
    pub(super) fn counted(&self) -> Status {
        let sets = || self.sets.iter();
        let available: i64 = sets().map(|set| set.status.available_replicas).sum();
        let wanted: i64 = sets().map(|set| set.replicas).sum();
        let mut status = Status {
            observed_generation: self.deployment.object.meta.generation,
            replicas: sets().map(|set| set.status.replicas).sum(),
            updated_replicas: self.new_set().map_or(0, |set| set.status.replicas),
            ready_replicas: sets().map(|set| set.status.ready_replicas).sum(),
            available_replicas: available,
            unavailable_replicas: (wanted - available).max(0),
            terminating_replicas: self.terminating(),
            collision_count: self.deployment.status.collision_count,
            conditions: self.deployment.status.conditions.clone(),
        };
        let spec = &self.deployment.spec;
        let (word, reason, message) = if available >= spec.replicas() - spec.max_unavailable() {
            (
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.",
            )
        } else {
            (
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        };
        let now = self.context.now;
        status.put(condition(
            "Available",
            word,
            reason,
            message.to_owned(),
            now,
        ));
        status
    }

    /// `None` when a ReplicaSet that was looked at does not tell.
    fn terminating(&self) -> Option<i64> {
        let counts = self.sets.iter().map(|set| match &set.status {
            status if status.terminating_replicas.is_some() => status.terminating_replicas,
            status if status.observed_generation == 0 => Some(0),
            _ => None,
        });
        counts.sum()
    }

    /// [`Rollout::counted`] with progress and failures of a rollout.
    pub(super) fn progressed(&self) -> Status {
        let mut status = self.counted();
        let deployment = &self.deployment;
        if !deployment.spec.has_deadline() {
            status.remove(PROGRESSING);
        }
        let current = deployment.status.condition(PROGRESSING);
        let reason = current.map_or("", |one| text(one, "/reason"));
        let was_complete = status.replicas == status.updated_replicas && reason == DONE;
        if deployment.spec.has_deadline() && !was_complete {
            self.judge_progress(&mut status, current);
        }
        match self.failure() {
            Some(failure) => status.put(failure),
            None => status.remove(FAILURE),
        }
        status
    }

    fn judge_progress(&self, status: &mut Status, current: Option<&Value>) {
        let deployment = &self.deployment;
        let subject = match self.new_set() {
            Some(set) => format!("ReplicaSet \"{}\"", set.name),
            None => format!("Deployment \"{}\"", deployment.object.meta.name),
        };
        let now = self.context.now;
        if deployment.is_complete(status) {
            let message = format!("{subject} has successfully progressed.");
            status.put(condition(PROGRESSING, "True", DONE, message, now));
        } else if has_progressed(&deployment.status, status) {
            let message = format!("{subject} is progressing.");
            let mut new = condition(PROGRESSING, "True", "ReplicaSetUpdated", message, now);
            if let Some(current) = current.filter(|one| one["status"] == "True") {
                new["lastTransitionTime"] = current["lastTransitionTime"].clone();
            }
            status.remove(PROGRESSING);
            status.put(new);
        } else if self.timed_out(status) {
            let message = format!("{subject} has timed out progressing.");
            status.put(condition(PROGRESSING, "False", TIMED_OUT, message, now));
        }
    }

    fn timed_out(&self, status: &Status) -> bool {
        let Some(condition) = status.condition(PROGRESSING) else {
            return false;
        };
        match text(condition, "/reason") {
            DONE => false,
            TIMED_OUT => true,
            _ => self
                .deadline(condition)
                .is_some_and(|deadline| deadline < self.context.now),
        }
    }

    fn deadline(&self, condition: &Value) -> Option<Timestamp> {
        let since = Timestamp::parse(text(condition, "/lastUpdateTime"))?;
        Some(since.plus_seconds(self.deployment.spec.deadline()?))
    }

    /// When to look again whether the deadline has passed.
    pub(super) fn next_check(&self, status: &Status) -> Option<Duration> {
        let condition = status.condition(PROGRESSING)?;
        if self.deployment.is_complete(status) || text(condition, "/reason") == TIMED_OUT {
            return None;
        }
        let left = self.deadline(condition)?.micros() - self.context.now.micros();
        let left = Duration::from_micros(u64::try_from(left).unwrap_or(0));
        Some(left + Duration::from_secs(1))
    }

    /// Why Pods could not be made, of the new ReplicaSet first.
    fn failure(&self) -> Option<Value> {
        let all = self.new_set().into_iter().chain(&self.sets);
        let mut found = all.filter_map(|set| {
            let mut conditions = set.status.conditions.iter();
            conditions.find(|one| one["type"] == FAILURE)
        });
        let mut condition = found.next()?.clone();
        condition["lastUpdateTime"] = condition["lastTransitionTime"].clone();
        Some(condition)
    }
}

fn has_progressed(old: &Status, new: &Status) -> bool {
    new.updated_replicas > old.updated_replicas
        || new.replicas - new.updated_replicas < old.replicas - old.updated_replicas
        || new.ready_replicas > old.ready_replicas
        || new.available_replicas > old.available_replicas
}
