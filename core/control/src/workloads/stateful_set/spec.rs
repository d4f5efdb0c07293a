//! A StatefulSet, opened.

use crate::fields::nullable;
use crate::labels::Selector;
use model::Object;
use serde::Deserialize;
use serde_json::Value;
use std::ops::Range;
use std::sync::Arc;

/// One StatefulSet.
#[derive(Clone, Debug)]
pub(super) struct StatefulSet {
    pub(super) object: Arc<Object>,
    pub(super) spec: Spec,
    pub(super) status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(deserialize_with = "nullable")]
    spec: Spec,
    #[serde(deserialize_with = "nullable")]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    replicas: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub(super) selector: Selector,
    #[serde(deserialize_with = "nullable")]
    pub(super) template: Value,
    #[serde(deserialize_with = "nullable")]
    pub(super) service_name: String,
    #[serde(deserialize_with = "nullable")]
    pod_management_policy: String,
    #[serde(deserialize_with = "nullable")]
    update_strategy: UpdateStrategy,
    #[serde(deserialize_with = "nullable")]
    pub(super) min_ready_seconds: i64,
    #[serde(deserialize_with = "nullable")]
    ordinals: Ordinals,
    revision_history_limit: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub(super) volume_claim_templates: Vec<Value>,
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

impl StatefulSet {
    pub(super) fn parse(object: &Arc<Object>) -> Option<Self> {
        let raw: Raw = object.parse().ok()?;
        Some(Self {
            object: object.clone(),
            spec: raw.spec,
            status: raw.status,
        })
    }

    /// `metadata.name`
    pub(super) fn name(&self) -> &str {
        &self.object.meta.name
    }
}

impl Spec {
    /// `spec.replicas`
    pub(super) fn replicas(&self) -> i64 {
        self.replicas.unwrap_or(1)
    }

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

    /// Revisions to keep that no Pod uses; `None` keeps all.
    pub(super) fn history_limit(&self) -> Option<usize> {
        usize::try_from(self.revision_history_limit.unwrap_or(10)).ok()
    }
}
