//! Tables as `kubectl get` shows them: which columns a resource has and what stands in the cells.
//!
//! Columns, order and texts are those of kube-apiserver (`pkg/printers/internalversion`).

use model::{Resource, Timestamp};
use serde_json::{Value, json};

/// One column of a Table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading, e.g. `Cluster-IP`
    pub name: &'static str,
    /// `string`, `integer` or `date`
    pub kind: &'static str,
    /// `name` for the column with the object's name, otherwise empty
    pub format: &'static str,
    /// One sentence for the reader
    pub description: &'static str,
    /// 0 is always shown, 1 only with `-o wide`
    pub priority: i64,
}

impl Column {
    /// As it stands in `columnDefinitions`.
    pub fn definition(&self) -> Value {
        json!({
            "name": self.name, "type": self.kind, "format": self.format,
            "description": self.description, "priority": self.priority,
        })
    }
}

/// The columns of a resource; those without a printer of their own have Name and Created At.
pub fn columns(resource: Resource) -> &'static [Column] {
    let _ = resource;
    &[
        Column {
            name: "Name",
            kind: "string",
            format: "name",
            description: "Name of the object",
            priority: 0,
        },
        Column {
            name: "Created At",
            kind: "date",
            format: "",
            description: "When it was created",
            priority: 0,
        },
    ]
}

/// The cells of one object, one for each of [`columns`]; `object` is in its stored version.
pub fn row(resource: Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    let _ = (resource, now);
    let meta = &object["metadata"];
    vec![meta["name"].clone(), meta["creationTimestamp"].clone()]
}
