//! A Job, opened.

use super::MANAGER;
use crate::fields::nullable;
use crate::workloads::{PodSet, Workload};
use model::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::Deref;

/// One Job.
pub(crate) type Job = Workload<Spec, Status>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    #[serde(flatten)]
    pods: PodSet,
    pub(super) completions: Option<i64>,
    parallelism: Option<i64>,
    backoff_limit: Option<i64>,
    pub(super) backoff_limit_per_index: Option<i64>,
    pub(super) max_failed_indexes: Option<i64>,
    pub(super) active_deadline_seconds: Option<i64>,
    pub(super) ttl_seconds_after_finished: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    completion_mode: String,
    #[serde(deserialize_with = "nullable")]
    pod_replacement_policy: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) suspend: bool,
    pub(super) pod_failure_policy: Option<Value>,
    pub(super) success_policy: Option<Value>,
    #[serde(deserialize_with = "nullable")]
    managed_by: String,
}

/// `status`; zero counts are left out when written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    #[serde(deserialize_with = "nullable")]
    pub(super) conditions: Vec<Value>,
    pub(super) start_time: Option<String>,
    pub(super) completion_time: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) active: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) succeeded: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) failed: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) completed_indexes: String,
    pub(super) failed_indexes: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) uncounted_terminated_pods: Uncounted,
    pub(super) ready: Option<i64>,
    pub(super) terminating: Option<i64>,
}

/// Pods whose end is known but not yet counted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Uncounted {
    #[serde(deserialize_with = "nullable")]
    pub(super) succeeded: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) failed: Vec<String>,
}

impl Deref for Spec {
    type Target = PodSet;

    fn deref(&self) -> &PodSet {
        &self.pods
    }
}

impl Spec {
    /// Pods at the same time.
    pub(super) fn parallelism(&self) -> i64 {
        self.parallelism.unwrap_or(1)
    }

    /// Failures that are taken.
    pub(super) fn backoff_limit(&self) -> i64 {
        self.backoff_limit.unwrap_or(6)
    }

    pub(super) fn is_indexed(&self) -> bool {
        self.completion_mode == "Indexed"
    }

    /// A Pod is replaced only once it failed, not when it begins to go.
    pub(super) fn replaces_failed_only(&self) -> bool {
        self.pod_replacement_policy == "Failed"
    }
}

impl Job {
    pub(super) fn is_managed_elsewhere(&self) -> bool {
        !matches!(self.spec.managed_by.as_str(), "" | MANAGER)
    }

    /// Whether the Job came to its end, well or not.
    pub(crate) fn is_finished(&self) -> bool {
        self.finish_condition().is_some()
    }

    /// Whether the Job came to a good end.
    pub(crate) fn is_complete(&self) -> bool {
        self.finish_condition()
            .is_some_and(|one| one["type"] == "Complete")
    }

    /// The condition that says so.
    fn finish_condition(&self) -> Option<&Value> {
        let kinds = ["Complete", "Failed"];
        let mut conditions = self.status.conditions.iter();
        conditions.find(|one| {
            let kind = one["type"].as_str().unwrap_or_default();
            one["status"] == "True" && kinds.contains(&kind)
        })
    }

    /// When the Job came to its end.
    pub(crate) fn finish_time(&self) -> Option<Timestamp> {
        let time = self.finish_condition()?["lastTransitionTime"].as_str()?;
        Timestamp::parse(time)
    }

    /// `status.startTime`
    pub(crate) fn start_time(&self) -> Option<Timestamp> {
        self.status.start_time.as_deref().and_then(Timestamp::parse)
    }
}

impl Status {
    /// The condition of a type, if it is true.
    pub(super) fn holds(&self, kind: &str) -> Option<&Value> {
        let mut conditions = self.conditions.iter();
        conditions.find(|one| one["type"] == kind && one["status"] == "True")
    }

    /// Adds a condition, or changes its status; says whether anything changed.
    pub(super) fn set_condition(&mut self, kind: &str, status: bool, why: Why<'_>) -> bool {
        let status = if status { "True" } else { "False" };
        let new = json!({
            "type": kind, "status": status, "reason": why.reason, "message": why.message,
            "lastProbeTime": why.now.rfc3339(), "lastTransitionTime": why.now.rfc3339(),
        });
        match self.conditions.iter_mut().find(|one| one["type"] == kind) {
            Some(old) if old["status"] == status => return false,
            Some(old) => *old = new,
            None if status == "False" => return false,
            None => self.conditions.push(new),
        }
        true
    }

    /// As it is written.
    pub(super) fn value(&self) -> Value {
        let mut out = json!({});
        if !self.conditions.is_empty() {
            out["conditions"] = self.conditions.clone().into();
        }
        for (field, time) in [
            ("startTime", &self.start_time),
            ("completionTime", &self.completion_time),
            ("failedIndexes", &self.failed_indexes),
        ] {
            if let Some(time) = time {
                out[field] = time.as_str().into();
            }
        }
        for (field, count) in [
            ("active", self.active),
            ("succeeded", self.succeeded),
            ("failed", self.failed),
        ] {
            if count != 0 {
                out[field] = count.into();
            }
        }
        if !self.completed_indexes.is_empty() {
            out["completedIndexes"] = self.completed_indexes.as_str().into();
        }
        let mut uncounted = json!({});
        for (field, pods) in [
            ("succeeded", &self.uncounted_terminated_pods.succeeded),
            ("failed", &self.uncounted_terminated_pods.failed),
        ] {
            if !pods.is_empty() {
                uncounted[field] = pods.clone().into();
            }
        }
        out["uncountedTerminatedPods"] = uncounted;
        for (field, count) in [("ready", self.ready), ("terminating", self.terminating)] {
            if let Some(count) = count {
                out[field] = count.into();
            }
        }
        out
    }
}

/// Why a condition is as it is, and since when.
#[derive(Clone, Copy)]
pub(super) struct Why<'a> {
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
    pub(super) now: Timestamp,
}
