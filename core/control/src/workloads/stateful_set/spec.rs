//! A StatefulSet, opened.

use crate::fields::nullable;
use crate::workloads::{PodSet, Workload};
use serde::Deserialize;
use serde_json::Value;
use std::ops::{Deref, Range};

/// One StatefulSet.
pub(super) type StatefulSet = Workload<Spec, Status>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    #[serde(flatten)]
    pods: PodSet,
    #[serde(deserialize_with = "nullable")]
    pub(super) service_name: String,
    #[serde(deserialize_with = "nullable")]
    pod_management_policy: String,
    #[serde(deserialize_with = "nullable")]
    update_strategy: UpdateStrategy,
    #[serde(deserialize_with = "nullable")]
    ordinals: Ordinals,
    revision_history_limit: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub(super) volume_claim_templates: Vec<Value>,
    #[serde(deserialize_with = "nullable")]
    persistent_volume_claim_retention_policy: RetentionPolicy,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RetentionPolicy {
    #[serde(deserialize_with = "nullable")]
    when_deleted: String,
    #[serde(deserialize_with = "nullable")]
    when_scaled: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UpdateStrategy {
    #[serde(rename = "type", deserialize_with = "nullable")]
    kind: String,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RollingUpdate {
    #[serde(deserialize_with = "nullable")]
    partition: i64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Ordinals {
    #[serde(deserialize_with = "nullable")]
    start: i64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    #[serde(deserialize_with = "nullable")]
    pub(super) current_replicas: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) current_revision: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) collision_count: i64,
}

impl Deref for Spec {
    type Target = PodSet;

    fn deref(&self) -> &PodSet {
        &self.pods
    }
}

impl Spec {
    /// Ordinals that should exist.
    pub(super) fn ordinals(&self) -> Range<i64> {
        self.ordinals.start..self.ordinals.start + self.replicas()
    }

    /// One after the other, rather than all at once.
    pub(super) fn is_ordered(&self) -> bool {
        self.pod_management_policy != "Parallel"
    }

    pub(super) fn updates_on_delete(&self) -> bool {
        self.update_strategy.kind == "OnDelete"
    }

    /// Ordinals from the start on that keep the old revision, if the strategy says how many.
    pub(super) fn partition(&self) -> Option<i64> {
        self.update_strategy
            .rolling_update
            .as_ref()
            .map(|rolling| rolling.partition)
    }

    /// Whether the claims go with the set.
    pub(super) fn ends_claims_when_deleted(&self) -> bool {
        self.persistent_volume_claim_retention_policy.when_deleted == "Delete"
    }

    /// Whether the claims of a Pod go when the set is made smaller.
    pub(super) fn ends_claims_when_scaled(&self) -> bool {
        self.persistent_volume_claim_retention_policy.when_scaled == "Delete"
    }

    /// Revisions to keep that no Pod uses; `None` keeps all.
    pub(super) fn history_limit(&self) -> Option<usize> {
        usize::try_from(self.revision_history_limit.unwrap_or(10)).ok()
    }
}
