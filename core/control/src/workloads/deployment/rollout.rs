//! One step of a rollout.

use super::revisions::same_template;
use super::spec::{Deployment, Status};
use crate::fields::{set, set_strings};
use crate::workloads::replica_set::{self, ReplicaSet};
use crate::{Context, Outcome};
use model::{ObjectKey, Resource, Write};
use serde_json::Value;
use std::collections::BTreeMap;

/// A ReplicaSet that is being changed.
pub(super) struct Set {
    pub(super) name: String,
    pub(super) replicas: i64,
    pub(super) min_ready_seconds: i64,
    pub(super) status: replica_set::Status,
    /// Has to be written
    pub(super) dirty: bool,
    stored: Option<ReplicaSet>,
    value: Value,
}

impl Set {
    fn open(stored: ReplicaSet) -> Self {
        Self {
            name: stored.name().to_owned(),
            replicas: stored.replicas(),
            min_ready_seconds: stored.spec.min_ready_seconds,
            status: stored.status.clone(),
            dirty: false,
            value: stored.object.value(),
            stored: Some(stored),
        }
    }

    /// One that does not exist yet.
    pub(super) fn made(value: Value, name: String) -> Self {
        Self {
            name,
            replicas: 0,
            min_ready_seconds: 0,
            status: replica_set::Status::default(),
            dirty: true,
            stored: None,
            value,
        }
    }

    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        let stored = self.value.pointer("/metadata/annotations");
        stored
            .and_then(|stored| serde_json::from_value(stored.clone()).ok())
            .unwrap_or_default()
    }

    pub(super) fn set_annotations(&mut self, annotations: &BTreeMap<String, String>) {
        set_strings(&mut self.value, "annotations", annotations);
    }

    pub(super) fn set_replicas(&mut self, count: i64) {
        self.replicas = count;
        self.dirty = true;
        set(&mut self.value, &["spec", "replicas"], count.into());
    }

    pub(super) fn set_min_ready(&mut self, seconds: i64) {
        self.min_ready_seconds = seconds;
        self.dirty = true;
        set(
            &mut self.value,
            &["spec", "minReadySeconds"],
            seconds.into(),
        );
    }

    /// Order by age, then name; one that does not exist yet is the youngest.
    pub(super) fn age_key(&self) -> (bool, String, String) {
        let created = self.stored.as_ref();
        let created = created.map(|one| one.object.meta.creation_timestamp.to_string());
        (
            created.is_none(),
            created.unwrap_or_default(),
            self.name.clone(),
        )
    }

    fn uid(&self) -> Option<&str> {
        self.stored.as_ref().map(|one| &*one.object.meta.uid)
    }

    fn is_deleting(&self) -> bool {
        let stored = self.stored.as_ref();
        stored.is_some_and(|one| one.object.meta.is_deleting())
    }

    /// Has nothing to lose and is not needed.
    fn is_idle(&self) -> bool {
        let generation = self
            .stored
            .as_ref()
            .map_or(0, |one| one.object.meta.generation);
        self.replicas == 0
            && self.status.replicas == 0
            && generation <= self.status.observed_generation
    }

    fn write(self) -> Option<Write> {
        if !self.dirty {
            return None;
        }
        let (resource, object) = (Resource::REPLICA_SETS, self.value);
        Some(match self.stored {
            None => Write::Create { resource, object },
            Some(_) => Write::Update { resource, object },
        })
    }
}

/// The state of one step.
pub(super) struct Rollout<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) deployment: Deployment,
    /// Oldest first
    pub(super) sets: Vec<Set>,
    /// Where in `sets` the one with the present template is
    pub(super) new: Option<usize>,
    pub(super) notes: Vec<Write>,
    deletes: Vec<Write>,
}

impl<'a> Rollout<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        deployment: Deployment,
        sets: Vec<ReplicaSet>,
    ) -> Self {
        let template = &deployment.spec.template;
        let mut opened: Vec<(bool, Set)> = sets
            .into_iter()
            .map(|set| (same_template(&set.spec.template, template), Set::open(set)))
            .collect();
        opened.sort_by_cached_key(|(_, set)| set.age_key());
        let new = opened.iter().position(|(same, _)| *same);
        Self {
            context,
            sets: opened.into_iter().map(|(_, set)| set).collect(),
            new,
            notes: Vec::new(),
            deletes: Vec::new(),
            deployment,
        }
    }

    pub(super) fn new_set(&self) -> Option<&Set> {
        self.new.and_then(|at| self.sets.get(at))
    }

    /// Positions of the old sets, oldest first.
    pub(super) fn old(&self) -> Vec<usize> {
        (0..self.sets.len())
            .filter(|at| Some(*at) != self.new)
            .collect()
    }

    pub(super) fn run(mut self) -> Outcome {
        if self.deployment.object.meta.is_deleting() {
            self.sync_revision(false);
            let status = self.counted();
            return self.finish(status, false);
        }
        self.deployment.note_pause(self.context.now);
        if self.deployment.spec.paused || self.is_scaling() {
            self.sync_revision(false);
            self.scale();
            if self.deployment.spec.paused {
                self.clean_up();
            }
            let status = self.counted();
            return self.finish(status, false);
        }
        let went_on = if self.deployment.spec.is_rolling() {
            self.roll()
        } else {
            self.recreate()
        };
        if !went_on {
            let status = self.deployment.status.clone();
            return self.finish(status, false);
        }
        let status = self.progressed();
        self.finish(status, true)
    }

    /// The Deployment's size changed since its ReplicaSets were last scaled.
    fn is_scaling(&self) -> bool {
        let active = self.sets.iter().filter(|set| set.replicas > 0);
        let mut desired = active.filter_map(Set::desired);
        desired.any(|desired| desired != self.deployment.spec.replicas())
    }

    fn roll(&mut self) -> bool {
        if !self.sync_revision(true) {
            return false;
        }
        if !self.grow_new() && !self.shrink_old() && self.was_complete() {
            self.clean_up();
        }
        true
    }

    fn recreate(&mut self) -> bool {
        self.sync_revision(false);
        let active: Vec<usize> = self
            .old()
            .into_iter()
            .filter(|at| self.sets[*at].replicas > 0)
            .collect();
        for at in &active {
            self.scale_set(*at, 0, false);
        }
        if !active.is_empty() || self.old_pods_left() {
            return true;
        }
        if self.new.is_none() && !self.sync_revision(true) {
            return false;
        }
        if let Some(at) = self.new {
            self.scale_set(at, self.deployment.spec.replicas(), false);
        }
        if self.was_complete() {
            self.clean_up();
        }
        true
    }

    fn was_complete(&self) -> bool {
        self.deployment.is_complete(&self.deployment.status)
    }

    /// Any Pod of an old set that has not ended.
    fn old_pods_left(&self) -> bool {
        self.old().into_iter().any(|at| {
            let set = &self.sets[at];
            let pods = set.uid().map(|uid| self.context.view.owned_by(uid));
            let mut pods = pods.unwrap_or_default().into_iter();
            set.status.replicas > 0
                || pods.any(|object| {
                    let pod = crate::pods::Pod::parse(&object);
                    object.resource == Resource::PODS && pod.is_some_and(|pod| !pod.is_terminal())
                })
        })
    }

    /// Deletes the oldest revisions beyond the limit.
    fn clean_up(&mut self) {
        let Some(limit) = self.deployment.spec.history_limit() else {
            return;
        };
        let mut old = self.old();
        old.retain(|at| !self.sets[*at].is_deleting());
        old.sort_by_key(|at| (self.sets[*at].revision(), self.sets[*at].age_key()));
        let excess = old
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(0));
        for at in old.into_iter().take(excess) {
            let set = &self.sets[at];
            let namespace = &self.deployment.object.meta.namespace;
            if set.is_idle() {
                self.deletes.push(Write::Delete {
                    key: ObjectKey::new(Resource::REPLICA_SETS, namespace, &set.name),
                    uid: set.uid().map(Into::into),
                    grace_seconds: None,
                    propagation: None,
                });
            }
        }
    }

    fn finish(mut self, status: Status, watch_progress: bool) -> Outcome {
        let again_in = watch_progress.then(|| self.next_check(&status)).flatten();
        self.deployment.status = status;
        let mut writes: Vec<Write> = self.sets.into_iter().filter_map(Set::write).collect();
        writes.extend(self.notes);
        writes.extend(self.deletes);
        writes.extend(self.deployment.write());
        Outcome { writes, again_in }
    }
}
