//! Rules of custom objects: those that their CustomResourceDefinition states.

use crate::strategy::{Context, Strategy};
use model::Timestamp;
use schema::Kind;
use serde_json::{Value, json};
use std::sync::Arc;

/// The strategy of a custom kind, in one of its versions.
#[derive(Clone)]
pub struct CustomObjects {
    kind: Arc<Kind>,
}

impl CustomObjects {
    /// Of a kind that a CustomResourceDefinition made.
    pub fn new(kind: Arc<Kind>) -> Self {
        Self { kind }
    }

    fn has_status(&self) -> bool {
        self.kind.custom().is_some_and(|custom| custom.has_status())
    }
}

impl Strategy for CustomObjects {
    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        if self.has_status()
            && let Some(map) = object.as_object_mut()
        {
            map.remove("status");
        }
        object["metadata"]["generation"] = 1.into();
    }
}

/// The columns of a custom kind's Table.
pub(crate) fn columns(_: &Kind) -> Vec<Value> {
    let column = |name: &str, kind: &str, format: &str| json!({"name": name, "type": kind, "format": format, "description": "", "priority": 0});
    vec![column("Name", "string", "name"), column("Age", "date", "")]
}

/// The cells of a custom object, one for each of [`columns`].
pub(crate) fn row(_: &Kind, object: &Value, now: Timestamp) -> Vec<Value> {
    vec![crate::print::name(object), crate::print::age(object, now)]
}
