//! Rows of bindings; Roles have no printer of their own.

use super::cells::{age, items, name, text};
use model::Timestamp;
use serde_json::Value;

/// A RoleBinding or ClusterRoleBinding.
pub(super) fn binding(binding: &Value, now: Timestamp) -> Vec<Value> {
    let role = &binding["roleRef"];
    let role = format!("{}/{}", text(&role["kind"]), text(&role["name"]));
    let subjects = items(&binding["subjects"]);
    let of = |kind: &str| -> Value {
        let found = subjects.iter().filter(|s| text(&s["kind"]) == kind);
        let names: Vec<String> = found.map(subject).collect();
        names.join(", ").into()
    };
    vec![
        name(binding),
        role.into(),
        age(binding, now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
}

fn subject(subject: &Value) -> String {
    let name = text(&subject["name"]);
    match text(&subject["kind"]) {
        "ServiceAccount" => format!("{}/{name}", text(&subject["namespace"])),
        _ => name.to_owned(),
    }
}
