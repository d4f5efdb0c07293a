//! Workloads: from Deployments, CronJobs and their like down to Pods.

pub(crate) mod cron_job;
pub(crate) mod daemon_set;
pub(crate) mod deployment;
pub(crate) mod job;
pub(crate) mod replica_set;
pub(crate) mod stateful_set;

mod claim;
mod history;

mod template;
mod workload;

use crate::Context;
use crate::fields::set;
use crate::pods::Pod;
use model::{ApiError, Object, Resource, Timestamp, View, Write};
use serde_json::Value;
use std::time::Duration;

pub(crate) use claim::{patch_owners, references};
pub(crate) use deployment::scaled;
use workload::{Kind, PodSet, Workload};

const APPS: &str = "apps/v1";
const BATCH: &str = "batch/v1";

/// A write of the status, when it differs from what is stored.
pub(crate) fn status_write(object: &Object, status: Value) -> Option<Write> {
    let mut value = object.value();
    if value.get("status").unwrap_or(&Value::Null) == &status {
        return None;
    }
    set(&mut value, &["status"], status);
    Some(Write::UpdateSubresource {
        resource: object.resource,
        subresource: "status",
        object: value,
    })
}

/// A name for a new Pod: the prefix and five letters that no Pod of the namespace has.
fn free_pod_name(context: &Context<'_>, namespace: &str, prefix: &str, taken: &[String]) -> String {
    const MAX_PREFIX: usize = 58;
    let prefix: String = prefix.chars().take(MAX_PREFIX).collect();
    let mut seed = taken.len() as u64;
    loop {
        let text = format!("{namespace}/{prefix}/{}/{seed}", context.now.micros());
        let name = format!(
            "{prefix}{}",
            five_letters(crate::hash::fnv128a(text.as_bytes()))
        );
        let free = context.view.get(Resource::PODS, namespace, &name).is_none();
        if free && !taken.contains(&name) {
            return name;
        }
        seed += 1;
    }
}

fn five_letters(mut number: u128) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    number ^= number >> 64;
    let mut out = String::new();
    for _ in 0..5 {
        let at = usize::try_from(number % LETTERS.len() as u128).unwrap_or(0);
        out.push(char::from(LETTERS[at]));
        number /= LETTERS.len() as u128;
    }
    out
}

/// When the next ready Pod will have been so for `seconds`; `None` when all are.
fn next_availability<'a>(
    pods: impl Iterator<Item = &'a Pod>,
    seconds: i64,
    now: Timestamp,
) -> Option<Duration> {
    let waiting = pods.filter(|pod| pod.is_ready() && !pod.is_available(seconds, now));
    let times = waiting.filter_map(|pod| {
        let left = pod.ready_changed()?.plus_seconds(seconds).micros() - now.micros();
        Some(Duration::from_micros(u64::try_from(left).unwrap_or(0)))
    });
    times.min()
}

/// Whether a create was refused because the namespace is going away.
fn namespace_terminating(error: &ApiError) -> bool {
    let causes = error.details.as_ref().map(|details| &details["causes"]);
    causes.and_then(Value::as_array).is_some_and(|causes| {
        let mut reasons = causes.iter().map(|cause| &cause["reason"]);
        reasons.any(|reason| reason == "NamespaceTerminating")
    })
}

/// How many Pods the workload behind a Pod wants: that of its Deployment, where there is one.
pub(crate) fn deployment_replicas(view: &dyn View, owner: &Object) -> Option<i64> {
    let above = deployment::KIND.owner_of(owner).and_then(|above| {
        let namespace = &owner.meta.namespace;
        view.get(Resource::DEPLOYMENTS, namespace, &above.name)
    });
    let value = above.map_or_else(|| owner.value(), |above| above.value());
    value.pointer("/spec/replicas").and_then(Value::as_i64)
}
