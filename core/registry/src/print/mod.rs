//! Columns and rows of Tables, as `kubectl get` prints them.

use model::{Resource, Timestamp};
use serde_json::{Value, json};

/// `columnDefinitions` of a resource's Table.
pub fn columns(resource: Resource) -> Vec<Value> {
    let _ = resource;
    vec![
        json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}),
        json!({"name": "Created At", "type": "date", "format": "", "description": "", "priority": 0}),
    ]
}

/// The cells of one object, in the order of [`columns`]; ages are counted from `now`.
pub fn row(resource: Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    let _ = (resource, now);
    vec![
        object["metadata"]["name"].clone(),
        object["metadata"]["creationTimestamp"].clone(),
    ]
}
