//! What others own and an apply would change, in the original's words.

use super::entry::{Entry, Operation, Owner};
use model::{ApiError, go_quote};
use schema::typed::{Comparison, FieldSet, path_text};
use serde_json::json;
use std::collections::BTreeMap;

/// A field that someone else owns.
#[derive(Clone, Debug)]
pub(crate) struct Conflict {
    /// By which owners are ordered
    identifier: String,
    /// Who owns it, as the text says it
    owner: String,
    /// `.spec.replicas`
    path: String,
}

impl Conflict {
    /// `.spec.replicas`
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// `"kubectl" with subresource "status" using v1`.
fn name(owner: &Owner<'_>) -> String {
    let mut text = go_quote(&owner.manager);
    if !owner.subresource.is_empty() {
        text += &format!(" with subresource {}", go_quote(&owner.subresource));
    }
    if owner.operation == Operation::Update {
        text += &format!(" using {}", owner.api_version);
    }
    text
}

/// The fields of an entry that would change.
pub(crate) fn conflicts_of(entry: &Entry<'_>, comparison: &Comparison<'_>) -> Vec<Conflict> {
    let mut shared: FieldSet<'_> = entry.set.intersection(&comparison.modified);
    shared.add(entry.set.intersection(&comparison.added));
    let mut conflicts = Vec::new();
    shared.each(&mut |path| {
        conflicts.push(Conflict {
            identifier: entry.owner.identifier(),
            owner: name(&entry.owner),
            path: path_text(path),
        });
    });
    conflicts
}

/// 409 `Apply failed with 1 conflict: …`
pub(crate) fn refusal(conflicts: &[Conflict]) -> ApiError {
    let causes: Vec<_> = conflicts
        .iter()
        .map(|conflict| {
            json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {}", conflict.owner),
                "field": conflict.path,
            })
        })
        .collect();
    let mut error = ApiError::new(409, "Conflict", message(conflicts));
    error.details = Some(json!({"causes": causes}));
    error
}

fn message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        let Conflict { owner, path, .. } = only;
        return format!("Apply failed with 1 conflict: conflict with {owner}: {path}");
    }
    let mut owners: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
    for conflict in conflicts {
        let owner = owners
            .entry(&conflict.identifier)
            .or_insert((&conflict.owner, Vec::new()));
        owner.1.push(&conflict.path);
    }
    let mut lines = Vec::new();
    for (owner, paths) in owners.values() {
        lines.push(format!("conflicts with {owner}:"));
        lines.extend(paths.iter().map(|path| format!("- {path}")));
    }
    format!(
        "Apply failed with {} conflicts: {}",
        conflicts.len(),
        lines.join("\n")
    )
}
