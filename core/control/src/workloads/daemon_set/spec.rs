//! A DaemonSet, opened.

use super::GENERATION_OF_SET;
use crate::fields::nullable;
use crate::workloads::deployment::scaled;
use crate::workloads::{PodSet, Workload};
use serde::Deserialize;
use serde_json::Value;
use std::ops::Deref;

/// One DaemonSet.
pub(super) type DaemonSet = Workload<Spec, Status>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    #[serde(flatten)]
    pods: PodSet,
    #[serde(deserialize_with = "nullable")]
    update_strategy: UpdateStrategy,
    revision_history_limit: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UpdateStrategy {
    #[serde(rename = "type", deserialize_with = "nullable")]
    kind: String,
    #[serde(deserialize_with = "nullable")]
    rolling_update: RollingUpdate,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RollingUpdate {
    max_unavailable: Option<Value>,
    max_surge: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
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
    pub(super) fn updates_on_delete(&self) -> bool {
        self.update_strategy.kind == "OnDelete"
    }

    /// Nodes that may be without an available Pod during an update.
    pub(super) fn max_unavailable(&self, nodes: i64) -> i64 {
        scaled(
            self.update_strategy.rolling_update.max_unavailable.as_ref(),
            nodes,
            true,
        )
    }

    /// Nodes that may have a new Pod beside the old one during an update.
    pub(super) fn max_surge(&self, nodes: i64) -> i64 {
        scaled(
            self.update_strategy.rolling_update.max_surge.as_ref(),
            nodes,
            true,
        )
    }

    /// Revisions to keep that no Pod uses.
    pub(super) fn history_limit(&self) -> Option<usize> {
        usize::try_from(self.revision_history_limit.unwrap_or(10)).ok()
    }
}

impl DaemonSet {
    /// How often the template changed.
    pub(super) fn template_generation(&self) -> &str {
        let annotations = &self.object.meta.annotations;
        annotations
            .get(GENERATION_OF_SET)
            .map_or("1", String::as_str)
    }
}
