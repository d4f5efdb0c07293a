//! PodDisruptionBudgets: how many of their Pods may go now.

use crate::fields::{nullable, number};
use crate::labels::Selector;
use crate::pods::Pod;
use crate::workloads::{deployment_replicas, scaled, status_write};
use crate::{Context, Controller, Key, Outcome};
use model::{Event, EventNote, Object, Resource, Timestamp, View, Write};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "disruption-controller";
const CONDITION: &str = "DisruptionAllowed";
/// An evicted Pod that is not gone by then counts again.
const PATIENCE_SECONDS: i64 = 120;

/// Keeps the status of PodDisruptionBudgets.
pub(crate) const CONTROLLER: Controller = Controller {
    name: NAME,
    keys,
    reconcile: |context, key| reconcile(context, key).unless_ending(context, key),
    refused: crate::silent,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Budget {
    #[serde(deserialize_with = "nullable")]
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    min_available: Option<Value>,
    max_unavailable: Option<Value>,
    selector: Option<Selector>,
}

impl Spec {
    /// No selector chooses nothing, an empty one everything.
    fn chooses(&self, labels: &BTreeMap<String, String>) -> bool {
        let selector = self.selector.as_ref();
        selector.is_some_and(|selector| selector.is_empty() || selector.matches(labels))
    }
}

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    match object.resource {
        Resource::DISRUPTION_BUDGETS => vec![object.key()],
        Resource::PODS => {
            let budgets = view.list(Resource::DISRUPTION_BUDGETS, Some(&object.meta.namespace));
            let concerns = |budget: &&Arc<Object>| {
                let parsed: Budget = budget.parse().unwrap_or_default();
                let versions = [Some(object), event.old.as_ref()];
                let mut versions = versions.into_iter().flatten();
                versions.any(|pod| parsed.spec.chooses(&pod.meta.labels))
            };
            budgets
                .iter()
                .filter(concerns)
                .map(|one| one.key())
                .collect()
        }
        // What makes the Pods says how many there should be.
        Resource::REPLICA_SETS
        | Resource::REPLICATION_CONTROLLERS
        | Resource::STATEFUL_SETS
        | Resource::DEPLOYMENTS => {
            let budgets = view.list(Resource::DISRUPTION_BUDGETS, Some(&object.meta.namespace));
            budgets.iter().map(|one| one.key()).collect()
        }
        _ => Vec::new(),
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let Some(object) = context.view.get(key.resource, &key.namespace, &key.name) else {
        return Outcome::default();
    };
    let budget: Budget = object.parse().unwrap_or_default();
    let pods = context.view.list(Resource::PODS, Some(&key.namespace));
    let mut pods: Vec<Pod> = pods.iter().filter_map(Pod::parse).collect();
    pods.retain(|pod| budget.spec.chooses(&pod.object.meta.labels));
    let old = object.value()["status"].clone();
    let (disrupted, again_in) = disrupted(&old, &pods, context.now);
    let healthy = pods.iter().filter(|pod| {
        pod.is_ready() && !pod.is_terminating() && !disrupted.contains_key(pod.name())
    });
    let healthy = count(healthy.count());
    let mut writes = Vec::new();
    let status = match expected(context.view, &budget.spec, &pods) {
        Ok((expected, desired)) => {
            let allowed = healthy - desired;
            let allowed = if expected <= 0 { 0 } else { allowed.max(0) };
            let mut status = json!({
                "observedGeneration": object.meta.generation,
                "disruptionsAllowed": allowed, "currentHealthy": healthy,
                "desiredHealthy": desired, "expectedPods": expected,
            });
            if !disrupted.is_empty() {
                status["disruptedPods"] = json!(disrupted);
            }
            let (holds, reason) = match allowed {
                0 => ("False", "InsufficientPods"),
                _ => ("True", "SufficientPods"),
            };
            let why = (holds, reason, String::new());
            status["conditions"] = conditions(&old, object.meta.generation, why, context.now);
            status
        }
        Err(why) => {
            let news = context.memory.is_news(NAME, &object.key(), &why);
            if news {
                let message = format!("Failed to calculate the number of expected pods: {why}");
                writes.push(note(&object, "CalculateExpectedPodCountFailed", message));
            }
            let mut status = old.clone();
            status["disruptionsAllowed"] = 0.into();
            let generation = number(&old, "/observedGeneration").unwrap_or(0);
            let why = ("False", "SyncFailed", why);
            status["conditions"] = conditions(&old, generation, why, context.now);
            status
        }
    };
    if pods.is_empty() && context.memory.is_news(NAME, &object.key(), "no pods") {
        writes.push(note_normal(&object, "NoPods", "No matching pods found"));
    }
    writes.extend(status_write(&object, status));
    Outcome { writes, again_in }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn note(object: &Arc<Object>, reason: &str, message: String) -> Write {
    Write::Note(EventNote {
        regarding: object.clone(),
        kind: "Warning",
        reason: reason.to_owned(),
        message,
        component: "controllermanager",
    })
}

fn note_normal(object: &Arc<Object>, reason: &str, message: &str) -> Write {
    Write::Note(EventNote {
        regarding: object.clone(),
        kind: "Normal",
        reason: reason.to_owned(),
        message: message.to_owned(),
        component: "controllermanager",
    })
}

/// Evicted Pods that are still there, with the time, and when to look again.
fn disrupted(
    status: &Value,
    pods: &[Pod],
    now: Timestamp,
) -> (BTreeMap<String, String>, Option<Duration>) {
    let (mut found, mut soonest) = (BTreeMap::new(), None);
    for pod in pods.iter().filter(|pod| !pod.is_terminating()) {
        let Some(time) = status["disruptedPods"][pod.name()].as_str() else {
            continue;
        };
        let until = Timestamp::parse(time).map(|time| time.plus_seconds(PATIENCE_SECONDS));
        let Some(until) = until.filter(|until| *until > now) else {
            continue;
        };
        found.insert(pod.name().to_owned(), time.to_owned());
        let left = u64::try_from(until.micros() - now.micros()).unwrap_or(0);
        let left = Duration::from_micros(left);
        soonest = Some(soonest.map_or(left, |other: Duration| other.min(left)));
    }
    (found, soonest)
}

/// How many Pods there should be, and how many of them healthy.
fn expected(view: &dyn View, spec: &Spec, pods: &[Pod]) -> Result<(i64, i64), String> {
    if let Some(most) = &spec.max_unavailable {
        let all = scale(view, pods)?;
        return Ok((all, (all - scaled(Some(most), all, true)).max(0)));
    }
    match &spec.min_available {
        Some(Value::Number(least)) => Ok((count(pods.len()), least.as_i64().unwrap_or(0))),
        Some(least) => {
            let all = scale(view, pods)?;
            Ok((all, scaled(Some(least), all, true)))
        }
        None => Ok((0, 0)),
    }
}

/// The Pods that all controllers of these Pods want together.
fn scale(view: &dyn View, pods: &[Pod]) -> Result<i64, String> {
    let mut scales = BTreeMap::new();
    for pod in pods {
        let Some(owner) = pod.object.meta.controller() else {
            continue;
        };
        if scales.contains_key(&owner.uid) {
            continue;
        }
        let none = || format!("found no controllers for pod {:?}", pod.name());
        let (resource, _) = view
            .resource_of(&owner.api_version, &owner.kind)
            .ok_or_else(none)?;
        let namespace = &pod.object.meta.namespace;
        let found = view.get(resource, namespace, &owner.name);
        let found = found.filter(|found| *found.meta.uid == *owner.uid);
        let found = found.ok_or_else(none)?;
        let replicas = deployment_replicas(view, &found).ok_or_else(none)?;
        scales.insert(owner.uid.clone(), replicas);
    }
    Ok(scales.values().sum())
}

type Why = (&'static str, &'static str, String);

fn conditions(old: &Value, generation: i64, why: Why, now: Timestamp) -> Value {
    let mut list = crate::fields::elements(old, "/conditions").to_vec();
    let (status, reason, message) = why;
    let mut new = json!({
        "type": CONDITION, "status": status, "reason": reason, "message": message,
        "observedGeneration": generation, "lastTransitionTime": now.rfc3339(),
    });
    match list.iter_mut().find(|one| one["type"] == CONDITION) {
        None => list.push(new),
        Some(before) => {
            if before["status"] == status {
                new["lastTransitionTime"] = before["lastTransitionTime"].clone();
            }
            *before = new;
        }
    }
    list.into()
}
