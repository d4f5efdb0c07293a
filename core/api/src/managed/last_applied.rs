//! The annotation in which `kubectl apply` notes what it applied, for objects that move from there
//! to server-side apply: its manager may take over what the annotation says, and the annotation
//! follows what it applies.

use super::apply::{Applied, encoded};
use super::conflict::Conflict;
use super::models::Models;
use crate::meta;
use schema::typed::{Duplicates, compare, field_set, path_text, validate};
use serde_json::Value;
use std::collections::BTreeSet;

/// The one manager for which this counts.
pub(crate) const MANAGER: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// As much as all annotations of an object may have.
const MAX_BYTES: usize = 256 * 1024;

fn annotation(object: &Value) -> Option<&str> {
    let text = object["metadata"]["annotations"][ANNOTATION].as_str()?;
    Some(text).filter(|text| !text.is_empty())
}

/// The conflicts that are left when the manager may change what the annotation says, where it says
/// the truth.
pub(super) fn remaining(
    models: &Models<'_>,
    live: &Value,
    conflicts: Vec<Conflict>,
) -> Vec<Conflict> {
    match allowed(models, live) {
        Some(allowed) => conflicts
            .into_iter()
            .filter(|conflict| !allowed.contains(conflict.path()))
            .collect(),
        None => conflicts,
    }
}

fn allowed(models: &Models<'_>, live: &Value) -> Option<BTreeSet<String>> {
    let last: Value = serde_json::from_str(annotation(live)?).ok()?;
    if last["apiVersion"] != models.version {
        return None;
    }
    let ty = models.typed(models.kind);
    validate(ty, &last, Duplicates::Refuse).ok()?;
    let mut set = field_set(ty, &last);
    let changes = compare(ty, &last, live).ok()?;
    set.subtract(&changes.modified);
    set.subtract(&changes.added);
    set.subtract(&changes.removed);
    let mut paths = BTreeSet::new();
    set.each(&mut |path| {
        paths.insert(path_text(path));
    });
    Some(paths)
}

/// Writes the configuration into the annotation, where there is one.
pub(super) fn follow(applied: &mut Applied<'_>, live: &Value, config: &Value) {
    let object = applied.object.as_ref().unwrap_or(live);
    if annotation(object).is_none() {
        return;
    }
    let mut noted = config.clone();
    if let Some(annotations) = meta::of_mut(&mut noted)
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(ANNOTATION);
    }
    let text = encoded(&noted);
    let object = applied.object.get_or_insert_with(|| live.clone());
    let Some(annotations) = meta::of_mut(object)
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    annotations.insert(ANNOTATION.to_owned(), text.into());
    let bytes: usize = annotations
        .iter()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if bytes > MAX_BYTES {
        annotations.remove(ANNOTATION);
    }
}
