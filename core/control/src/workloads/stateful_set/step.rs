//! One step of a StatefulSet towards what is wanted.

use super::claims;
use super::spec::StatefulSet;
use super::{HASH, KIND, POD_INDEX, POD_NAME, REVISION, parent_and_ordinal};
use crate::fields::set;
use crate::pods::Pod;
use crate::workloads::history::{History, Owner, history};
use crate::workloads::{next_availability, status_write, template};
use crate::{Context, Outcome};
use model::{Object, Resource, Timestamp, View, Write};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A wanted ordinal with its Pod, if there is one.
struct Place {
    ordinal: i64,
    pod: Option<Pod>,
}

struct Step<'a> {
    set: &'a StatefulSet,
    view: &'a dyn View,
    now: Timestamp,
    history: &'a History,
    places: Vec<Place>,
    /// Pods outside the wanted ordinals, highest first
    condemned: Vec<Pod>,
    /// Pods that this step deletes for an update
    replaced: i64,
    writes: Vec<Write>,
}

/// Whether later Pods have to wait.
#[derive(PartialEq, Eq)]
enum Go {
    On,
    Wait,
}

pub(super) fn run(
    context: &Context<'_>,
    set: &StatefulSet,
    pods: Vec<Pod>,
    revisions: &[Arc<Object>],
) -> Outcome {
    let owner = Owner {
        kind: &KIND,
        object: &set.object,
        template: &set.spec.template,
        collisions: set.status.collision_count,
        current: &set.status.current_revision,
        hash_label: HASH,
    };
    let history = match history(context, &owner, revisions) {
        Ok(history) => history,
        Err(collisions) => {
            let mut status = set.object.value()["status"].clone();
            crate::fields::set(&mut status, &["collisionCount"], collisions.into());
            return Outcome::of(status_write(&set.object, status));
        }
    };
    let used: BTreeSet<String> = pods.iter().map(|pod| revision(pod).to_owned()).collect();
    let seconds = set.spec.min_ready_seconds;
    let again_in = next_availability(pods.iter(), seconds, context.now);
    let mut step = Step::new(context, set, &history, pods.clone());
    if !set.object.meta.is_deleting() {
        step.act();
    }
    let status = step.status(&pods);
    let mut writes = history.writes.clone();
    writes.extend(step.writes);
    writes.extend(status_write(&set.object, status));
    writes.extend(history.truncate(set.spec.history_limit(), &used));
    Outcome { writes, again_in }
}

fn revision(pod: &Pod) -> &str {
    pod.object
        .meta
        .labels
        .get(REVISION)
        .map_or("", String::as_str)
}

fn is_running_and_ready(pod: &Pod) -> bool {
    pod.status.phase == "Running" && pod.is_ready()
}

impl<'a> Step<'a> {
    fn new(
        context: &Context<'a>,
        set: &'a StatefulSet,
        history: &'a History,
        pods: Vec<Pod>,
    ) -> Self {
        let wanted = set.spec.ordinals();
        let mut places: Vec<Place> = wanted
            .clone()
            .map(|ordinal| Place { ordinal, pod: None })
            .collect();
        let mut condemned = Vec::new();
        for pod in pods {
            let Some((_, ordinal)) = parent_and_ordinal(pod.name()) else {
                continue;
            };
            let place = usize::try_from(ordinal - wanted.start).ok();
            match place.and_then(|at| places.get_mut(at)) {
                Some(place) => place.pod = Some(pod),
                None => condemned.push((ordinal, pod)),
            }
        }
        condemned.sort_by_key(|(ordinal, _)| -ordinal);
        Self {
            set,
            view: context.view,
            now: context.now,
            history,
            places,
            condemned: condemned.into_iter().map(|(_, pod)| pod).collect(),
            replaced: 0,
            writes: Vec::new(),
        }
    }

    fn act(&mut self) {
        let ordered = self.set.spec.is_ordered();
        for at in 0..self.places.len() {
            if self.settle(at) == Go::Wait && ordered {
                return;
            }
        }
        if self.dismiss(ordered) == Go::Wait && ordered {
            return;
        }
        if !self.set.spec.updates_on_delete() {
            self.update();
        }
    }

    /// Makes the Pod of a place, or sees whether the one there lets the next one start.
    fn settle(&mut self, at: usize) -> Go {
        let place = &self.places[at];
        let Some(pod) = &place.pod else {
            let (pod, name) = (self.new_pod(place.ordinal), self.pod_name(place.ordinal));
            match claims::missing(self.view, self.set, place.ordinal) {
                Ok(claims) => self.writes.extend(claims),
                Err(told) => {
                    self.writes.extend(told);
                    return Go::Wait;
                }
            }
            self.writes.push(Write::Create {
                resource: Resource::PODS,
                object: pod,
            });
            self.tell("Create", &name);
            return Go::Wait;
        };
        if pod.is_terminal() {
            if !pod.is_terminating() {
                let pod = pod.clone();
                self.delete(&pod);
            }
            return Go::Wait;
        }
        self.writes.extend(claims::owned(self.view, self.set, pod));
        if pod.is_terminating() || !is_running_and_ready(pod) || !self.is_available(pod) {
            if !self.set.spec.is_ordered() {
                let patch = self.identity_patch(pod);
                self.writes.extend(patch);
            }
            return Go::Wait;
        }
        let patch = self.identity_patch(pod);
        self.writes.extend(patch);
        Go::On
    }

    fn is_available(&self, pod: &Pod) -> bool {
        pod.is_available(self.set.spec.min_ready_seconds, self.now)
    }

    fn is_unavailable(&self, pod: &Pod) -> bool {
        !self.is_available(pod) || pod.is_terminating()
    }

    /// Deletes Pods that are too many, from the highest ordinal down.
    fn dismiss(&mut self, ordered: bool) -> Go {
        let unhealthy = self.first_unavailable();
        for pod in self.condemned.clone() {
            let owned = claims::owned(self.view, self.set, &pod);
            self.writes.extend(owned);
            if pod.is_terminating() {
                if ordered {
                    return Go::Wait;
                }
                continue;
            }
            let healthy = is_running_and_ready(&pod) && self.is_available(&pod);
            if ordered && !healthy && unhealthy.as_deref() != Some(pod.name()) {
                return Go::Wait;
            }
            self.delete(&pod);
            if ordered {
                return Go::Wait;
            }
        }
        Go::On
    }

    /// Name of the unavailable Pod with the lowest ordinal; a missing one comes before all.
    fn first_unavailable(&self) -> Option<String> {
        for place in &self.places {
            match &place.pod {
                None => return Some(self.pod_name(place.ordinal)),
                Some(pod) if self.is_unavailable(pod) => return Some(pod.name().to_owned()),
                Some(_) => {}
            }
        }
        let mut condemned = self.condemned.iter().rev();
        let found = condemned.find(|pod| self.is_unavailable(pod));
        found.map(|pod| pod.name().to_owned())
    }

    /// Deletes the Pod with the highest ordinal that has another revision, unless one above it is
    /// still on its way.
    fn update(&mut self) {
        let kept = usize::try_from(self.set.spec.partition().unwrap_or(0)).unwrap_or(0);
        for at in (kept..self.places.len()).rev() {
            let Some(pod) = self.places[at].pod.clone() else {
                return;
            };
            if revision(&pod) != self.history.update.name && !pod.is_terminating() {
                self.delete(&pod);
                self.replaced += 1;
                return;
            }
            if self.is_unavailable(&pod) {
                return;
            }
        }
    }

    fn delete(&mut self, pod: &Pod) {
        self.writes.push(Write::Delete {
            key: pod.object.key(),
            uid: Some(pod.object.meta.uid.clone()),
            grace_seconds: None,
            propagation: None,
        });
        self.tell("Delete", pod.name());
    }

    fn tell(&mut self, verb: &str, pod: &str) {
        let set = self.set.name();
        let message = format!("{verb} Pod {pod} in StatefulSet {set} successful");
        let reason = format!("Successful{verb}");
        self.writes
            .push(KIND.note("Normal", &self.set.object, &reason, message));
    }

    fn pod_name(&self, ordinal: i64) -> String {
        format!("{}-{ordinal}", self.set.name())
    }

    /// The label by which Services can name one Pod comes back when it was taken away.
    fn identity_patch(&self, pod: &Pod) -> Option<Write> {
        if pod.object.meta.labels.get(POD_NAME).map(String::as_str) == Some(pod.name()) {
            return None;
        }
        let (_, ordinal) = parent_and_ordinal(pod.name())?;
        Some(Write::MergePatch {
            key: pod.object.key(),
            subresource: "",
            patch: json!({"metadata": {
                "uid": &*pod.object.meta.uid,
                "labels": {POD_NAME: pod.name(), POD_INDEX: ordinal.to_string()},
            }}),
        })
    }

    /// Whether an ordinal is made of the old template.
    fn is_of_current(&self, ordinal: i64) -> bool {
        let offset = ordinal - self.set.spec.ordinals().start;
        match self.set.spec.partition() {
            Some(partition) => offset < partition,
            None => !self.set.spec.updates_on_delete() && offset < self.set.status.current_replicas,
        }
    }

    fn new_pod(&self, ordinal: i64) -> Value {
        let revision = if self.is_of_current(ordinal) {
            &self.history.current
        } else {
            &self.history.update
        };
        let name = self.pod_name(ordinal);
        let mut pod = template::pod(&revision.template(), &self.set.object, &KIND);
        let labels = |label: &'static str| ["metadata", "labels", label];
        set(&mut pod, &labels(REVISION), revision.name.as_str().into());
        set(&mut pod, &labels(POD_NAME), name.as_str().into());
        set(&mut pod, &labels(POD_INDEX), ordinal.to_string().into());
        let prefix = format!("{}-", self.set.name());
        set(&mut pod, &["metadata", "generateName"], prefix.into());
        set(&mut pod, &["spec", "hostname"], name.as_str().into());
        if !self.set.spec.service_name.is_empty() {
            let service = self.set.spec.service_name.as_str();
            set(&mut pod, &["spec", "subdomain"], service.into());
        }
        set(&mut pod, &["metadata", "name"], name.into());
        self.add_claims(&mut pod, ordinal);
        pod
    }

    /// Volumes of the claims that the set's templates make.
    fn add_claims(&self, pod: &mut Value, ordinal: i64) {
        let claims = claims::claims(self.set, ordinal);
        if claims.is_empty() {
            return;
        }
        let volume = |(name, claim): (&&str, &Value)| {
            let claim = &claim["metadata"]["name"];
            json!({"name": name, "persistentVolumeClaim": {"claimName": claim}})
        };
        let mut volumes: Vec<Value> = claims.iter().map(volume).collect();
        let others = crate::fields::elements(pod, "/spec/volumes").iter();
        let others = others.filter(|volume| {
            let name = volume["name"].as_str();
            name.is_none_or(|name| !claims.contains_key(name))
        });
        volumes.extend(others.cloned());
        set(pod, &["spec", "volumes"], volumes.into());
    }

    fn status(&self, pods: &[Pod]) -> Value {
        let count = |holds: &dyn Fn(&Pod) -> bool| {
            i64::try_from(pods.iter().filter(|pod| holds(pod)).count()).unwrap_or(i64::MAX)
        };
        let of = |name: &str| count(&|pod| !pod.is_terminating() && revision(pod) == name);
        let (current, update) = (&self.history.current.name, &self.history.update.name);
        let replicas = count(&|pod| !pod.status.phase.is_empty());
        let ready = count(&is_running_and_ready);
        let available = count(&|pod| is_running_and_ready(pod) && self.is_available(pod));
        let updated = of(update);
        let mut current_replicas = (of(current) - self.replaced).max(0);
        let mut current = current;
        let wanted = self.set.spec.replicas();
        let rolling = !self.set.spec.updates_on_delete();
        if rolling && updated == wanted && ready == wanted && replicas == wanted {
            (current, current_replicas) = (update, updated);
        }
        let mut status = json!({
            "replicas": replicas,
            "availableReplicas": available,
            "currentRevision": current,
            "updateRevision": update,
            "collisionCount": self.history.collisions,
        });
        for (field, value) in [
            ("observedGeneration", self.set.object.meta.generation),
            ("readyReplicas", ready),
            ("currentReplicas", current_replicas),
            ("updatedReplicas", updated),
        ] {
            if value != 0 {
                status[field] = value.into();
            }
        }
        status
    }
}
