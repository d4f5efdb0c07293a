//! Statuses of Ingresses, written once each.

use gateway::{Publish, RouteTable};
use model::{NamespacedName, ObjectKey, Resource, Snapshot, Write};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Statuses that were sent and have not come back as events.
#[derive(Default)]
pub(crate) struct Sent(BTreeMap<NamespacedName, Value>);

impl Sent {
    /// The writes of the statuses that are not as they should be and were not sent; they count as
    /// sent from now on.
    pub(crate) fn writes(
        &mut self,
        table: &RouteTable,
        snapshot: &Snapshot,
        publish: &Publish,
    ) -> Vec<(NamespacedName, Write)> {
        let mut statuses = gateway::statuses(table, snapshot, publish);
        statuses.retain(|(id, status)| self.0.get(id) != Some(status));
        self.0.extend(statuses.iter().cloned());
        let write = |id: &NamespacedName, status| Write::MergePatch {
            key: ObjectKey::new(Resource::INGRESSES, &id.namespace, &id.name),
            subresource: "status",
            patch: json!({ "status": status }),
        };
        let each = statuses.into_iter();
        each.map(|(id, status)| (id.clone(), write(&id, status)))
            .collect()
    }

    /// Statuses that did not come back are sent again.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}
