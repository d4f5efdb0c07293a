//! A Deployment, opened.

use crate::fields::{nullable, set, set_strings};
use crate::workloads::{PodSet, Workload};
use model::{Object, Write};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

/// One Deployment with a status and annotations that are being changed.
#[derive(Clone, Debug)]
pub(super) struct Deployment {
    pub(super) object: Arc<Object>,
    pub(super) spec: Spec,
    pub(super) status: Status,
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    #[serde(flatten)]
    pods: PodSet,
    #[serde(deserialize_with = "nullable")]
    pub(super) paused: bool,
    #[serde(deserialize_with = "nullable")]
    strategy: Strategy,
    revision_history_limit: Option<i64>,
    progress_deadline_seconds: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Strategy {
    #[serde(rename = "type", deserialize_with = "nullable")]
    kind: String,
    #[serde(deserialize_with = "nullable")]
    rolling_update: RollingUpdate,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RollingUpdate {
    max_surge: Option<Value>,
    max_unavailable: Option<Value>,
}

/// `status`; zero counts are left out when written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    #[serde(deserialize_with = "nullable")]
    pub(super) observed_generation: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) replicas: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) updated_replicas: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) ready_replicas: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) available_replicas: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) unavailable_replicas: i64,
    pub(super) terminating_replicas: Option<i64>,
    pub(super) collision_count: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub(super) conditions: Vec<Value>,
}

impl Deref for Spec {
    type Target = PodSet;

    fn deref(&self) -> &PodSet {
        &self.pods
    }
}

impl Spec {
    pub(super) fn is_rolling(&self) -> bool {
        self.strategy.kind != "Recreate"
    }

    /// Pods over the wanted number that a rollout may make.
    pub(super) fn max_surge(&self) -> i64 {
        if self.is_rolling() {
            self.fence_posts().0
        } else {
            0
        }
    }

    /// Pods under the wanted number that a rollout may leave.
    pub(super) fn max_unavailable(&self) -> i64 {
        if !self.is_rolling() || self.replicas() == 0 {
            return 0;
        }
        self.fence_posts().1.min(self.replicas())
    }

    /// Surge rounds up and unavailable down; both must not be zero.
    fn fence_posts(&self) -> (i64, i64) {
        let rolling = &self.strategy.rolling_update;
        let surge = scaled(rolling.max_surge.as_ref(), self.replicas(), true);
        let unavailable = scaled(rolling.max_unavailable.as_ref(), self.replicas(), false);
        if surge == 0 && unavailable == 0 {
            (0, 1)
        } else {
            (surge, unavailable)
        }
    }

    pub(super) fn deadline(&self) -> Option<i64> {
        let limit = self.progress_deadline_seconds;
        limit.filter(|seconds| *seconds != i64::from(i32::MAX))
    }

    pub(super) fn has_deadline(&self) -> bool {
        self.deadline().is_some()
    }

    pub(super) fn history_limit(&self) -> Option<i64> {
        let limit = self.revision_history_limit;
        limit.filter(|count| *count != i64::from(i32::MAX))
    }
}

/// A number, or a percentage of `total`.
pub(crate) fn scaled(value: Option<&Value>, total: i64, up: bool) -> i64 {
    match value {
        Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
        Some(Value::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let hundredths = percent * total;
            if up {
                (hundredths + 99) / 100
            } else {
                hundredths / 100
            }
        }
        _ => 0,
    }
}

impl Deployment {
    pub(super) fn parse(object: &Arc<Object>) -> Option<Self> {
        let opened = Workload::<Spec, Status>::parse(object)?;
        Some(Self {
            object: opened.object,
            spec: opened.spec,
            status: opened.status,
            annotations: object.meta.annotations.clone(),
        })
    }

    /// The write of status and annotations, if they differ from what is stored.
    pub(super) fn write(&self) -> Option<Write> {
        let mut value = self.object.value();
        let status = self.status.value();
        if value.get("status") == Some(&status) && self.annotations == self.object.meta.annotations
        {
            return None;
        }
        set(&mut value, &["status"], status);
        set_strings(&mut value, "annotations", &self.annotations);
        Some(Write::UpdateSubresource {
            resource: self.object.resource,
            subresource: "status",
            object: value,
        })
    }
}

impl Status {
    fn value(&self) -> Value {
        let mut out = json!({});
        for (field, count) in [
            ("observedGeneration", self.observed_generation),
            ("replicas", self.replicas),
            ("updatedReplicas", self.updated_replicas),
            ("readyReplicas", self.ready_replicas),
            ("availableReplicas", self.available_replicas),
            ("unavailableReplicas", self.unavailable_replicas),
        ] {
            if count != 0 {
                out[field] = count.into();
            }
        }
        for (field, count) in [
            ("terminatingReplicas", self.terminating_replicas),
            ("collisionCount", self.collision_count),
        ] {
            if let Some(count) = count {
                out[field] = count.into();
            }
        }
        if !self.conditions.is_empty() {
            out["conditions"] = self.conditions.clone().into();
        }
        out
    }
}
