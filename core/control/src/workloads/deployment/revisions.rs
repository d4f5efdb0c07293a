//! Which ReplicaSet is the new one, and the revisions that `kubectl rollout` reads.

use super::rollout::{Rollout, Set};
use super::{HASH_LABEL, KIND};
use crate::fields::set;
use crate::workloads::{APPS, template};
use model::Resource;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
const MAX_HISTORY_CHARS: usize = 2000;
/// Annotations of a Deployment that its ReplicaSets do not take over
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// Templates that differ in nothing but the hash label, which the Deployment's has not.
pub(super) fn same_template(set: &Value, deployment: &Value) -> bool {
    let mut plain = set.clone();
    crate::fields::remove(&mut plain, &["metadata", "labels", HASH_LABEL]);
    let mut wanted = deployment.clone();
    crate::fields::remove(&mut wanted, &["metadata", "labels", HASH_LABEL]);
    without_empty(&mut plain);
    without_empty(&mut wanted);
    plain == wanted
}

/// Go knows no difference between a missing and an empty list or map.
pub(in crate::workloads) fn without_empty(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(without_empty);
            map.retain(|_, value| {
                !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty())
            });
            if map.get("labels").is_some_and(|labels| *labels == json!({})) {
                map.remove("labels");
            }
            map.remove("creationTimestamp");
        }
        Value::Array(list) => list.iter_mut().for_each(without_empty),
        _ => {}
    }
}

impl Set {
    fn annotation_number(&self, name: &str) -> Option<i64> {
        self.annotations().get(name)?.parse().ok()
    }

    /// The revision; zero when it has none.
    pub(super) fn revision(&self) -> i64 {
        self.annotation_number(REVISION).unwrap_or(0)
    }

    /// The Deployment's size when this set was last scaled.
    pub(super) fn desired(&self) -> Option<i64> {
        self.annotation_number(DESIRED)
    }

    /// The Deployment's greatest size when this set was last scaled.
    pub(super) fn max(&self) -> Option<i64> {
        self.annotation_number(MAX)
    }

    /// Notes the Deployment's sizes; says whether they were others.
    pub(super) fn set_sizes(&mut self, desired: i64, max: i64) -> bool {
        let mut annotations = self.annotations();
        let before = annotations.clone();
        annotations.insert(DESIRED.to_owned(), desired.to_string());
        annotations.insert(MAX.to_owned(), max.to_string());
        let changed = annotations != before;
        self.set_annotations(&annotations);
        changed
    }

    /// Takes over the Deployment's annotations and a newer revision; says whether anything changed.
    fn annotate(&mut self, from: &BTreeMap<String, String>, revision: i64) -> bool {
        let mut annotations = self.annotations();
        let before = annotations.clone();
        let copied = from
            .iter()
            .filter(|(name, _)| !NOT_COPIED.contains(&name.as_str()));
        annotations.extend(copied.map(|(name, value)| (name.clone(), value.clone())));
        let old = annotations.get(REVISION).cloned();
        let old_number: Option<i64> = old.as_ref().map_or(Some(0), |old| old.parse().ok());
        if old_number.is_some_and(|old| old < revision) {
            annotations.insert(REVISION.to_owned(), revision.to_string());
            if let Some(old) = old {
                let history = annotations.remove(HISTORY).unwrap_or_default();
                annotations.insert(HISTORY.to_owned(), lengthened(&history, &old));
            }
        }
        let changed = annotations != before;
        self.set_annotations(&annotations);
        changed
    }
}

/// The history with one more revision, shortened from its beginning.
fn lengthened(history: &str, revision: &str) -> String {
    let mut all: Vec<&str> = history.split(',').filter(|one| !one.is_empty()).collect();
    all.push(revision);
    while all.len() > 1 && all.join(",").len() > MAX_HISTORY_CHARS {
        all.remove(0);
    }
    all.join(",")
}

impl Rollout<'_> {
    /// Brings revisions up to date; with `create` the new ReplicaSet is made if it is missing.
    /// Returns false when the attempt has to end, for a hash that is taken.
    pub(super) fn sync_revision(&mut self, create: bool) -> bool {
        let olds = self.sets.iter().enumerate();
        let olds = olds.filter(|(at, _)| Some(*at) != self.new);
        let revision = 1 + olds.map(|(_, set)| set.revision()).max().unwrap_or(0);
        match self.new {
            Some(at) => self.update_new(at, revision),
            None if create => return self.create_new(revision),
            None => {}
        }
        true
    }

    fn update_new(&mut self, at: usize, revision: i64) {
        let set = &mut self.sets[at];
        let seconds = self.deployment.spec.min_ready_seconds;
        if set.annotate(&self.deployment.annotations, revision) {
            set.dirty = true;
        }
        if set.min_ready_seconds != seconds {
            set.set_min_ready(seconds);
        }
        let revision = set.annotations().remove(REVISION);
        let name = set.name.clone();
        self.set_revision(revision);
        let deployment = &mut self.deployment;
        if deployment.spec.has_deadline() && deployment.status.condition("Progressing").is_none() {
            let message = format!("Found new replica set \"{name}\"");
            let now = self.context.now;
            deployment.set_condition("Progressing", "True", "FoundNewReplicaSet", message, now);
        }
    }

    fn set_revision(&mut self, revision: Option<String>) {
        let annotations = &mut self.deployment.annotations;
        annotations.extend(revision.map(|revision| (REVISION.to_owned(), revision)));
    }

    fn create_new(&mut self, revision: i64) -> bool {
        let deployment = &self.deployment;
        let meta = &deployment.object.meta;
        let collisions = deployment.status.collision_count.unwrap_or(0);
        let hash = template::hash(&deployment.spec.template, collisions);
        let name = set_name(&meta.name, &hash);
        let taken = self
            .context
            .view
            .get(Resource::REPLICA_SETS, &meta.namespace, &name);
        if taken.is_some() {
            self.deployment.status.collision_count = Some(collisions + 1);
            return false;
        }
        let mut set = Set::made(self.new_value(&name, &hash), name);
        set.annotate(&deployment.annotations, revision);
        let wanted = deployment.spec.replicas();
        set.set_sizes(wanted, wanted + deployment.spec.max_surge());
        let size = self.grown_size(0);
        set.set_replicas(size);
        if size > 0 {
            let message = format!("Scaled up replica set {} from 0 to {size}", set.name);
            let object = &deployment.object;
            self.notes
                .push(KIND.note("Normal", object, "ScalingReplicaSet", message));
        }
        let message = format!("Created new replica set \"{}\"", set.name);
        self.sets.push(set);
        self.new = Some(self.sets.len() - 1);
        self.set_revision(Some(revision.to_string()));
        let now = self.context.now;
        if self.deployment.spec.has_deadline() {
            let reason = "NewReplicaSetCreated";
            self.deployment
                .set_condition("Progressing", "True", reason, message, now);
        }
        true
    }

    fn new_value(&self, name: &str, hash: &str) -> Value {
        let deployment = &self.deployment;
        let meta = &deployment.object.meta;
        let mut template = deployment.spec.template.clone();
        set(
            &mut template,
            &["metadata", "labels", HASH_LABEL],
            hash.into(),
        );
        let stored = deployment.object.value();
        let mut selector = stored["spec"]["selector"].clone();
        set(&mut selector, &["matchLabels", HASH_LABEL], hash.into());
        let mut spec = json!({"selector": selector, "template": template});
        if deployment.spec.min_ready_seconds != 0 {
            spec["minReadySeconds"] = deployment.spec.min_ready_seconds.into();
        }
        json!({
            "apiVersion": APPS,
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": &*meta.namespace,
                "labels": spec["template"]["metadata"]["labels"],
                "ownerReferences": [KIND.reference(meta)],
            },
            "spec": spec,
        })
    }
}

fn set_name(deployment: &str, hash: &str) -> String {
    const MAX_NAME: usize = 253;
    let room = MAX_NAME - 1 - hash.len();
    let prefix: String = deployment.chars().take(room).collect();
    format!("{prefix}-{hash}")
}
