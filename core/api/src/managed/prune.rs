//! What a manager no longer names goes, unless someone else owns it.

use super::entry::Entry;
use super::models::Models;
use schema::Kind;
use schema::typed::{FieldSet, field_set, remove};
use serde_json::Value;
use std::collections::BTreeMap;

/// An object in one of its versions.
struct Versioned<'a> {
    value: Value,
    kind: &'a Kind,
}

/// Takes out of the merged object what the manager's `last` entry had and nobody has now.
pub(super) fn prune(
    models: &Models<'_>,
    merged: Value,
    entries: &[Entry<'_>],
    last: Option<&Entry<'_>>,
) -> Value {
    let Some(last) = last.filter(|last| !last.set.is_empty()) else {
        return merged;
    };
    let Some(kind) = models.kind_at(&last.owner.api_version) else {
        return merged;
    };
    let merged = Versioned {
        value: models.convert(&merged, models.kind, kind),
        kind,
    };
    let ty = models.typed(kind);
    let named = last.set.with_named(Some(ty));
    let pruned = Versioned {
        value: remove(ty, &merged.value, &named),
        kind,
    };
    let pruned = keep_owned(models, &merged, pruned, entries);
    let pruned = models.convert(&pruned.value, pruned.kind, kind);
    let pruned = keep_dangling(models, &merged, &pruned, &named);
    models.convert(&pruned, kind, models.kind)
}

/// Gives back what someone owns, version by version, that of `last` first.
fn keep_owned<'a>(
    models: &Models<'a>,
    merged: &Versioned<'a>,
    mut pruned: Versioned<'a>,
    entries: &[Entry<'_>],
) -> Versioned<'a> {
    let mut owned: BTreeMap<&str, FieldSet<'_>> = BTreeMap::new();
    for entry in entries {
        let set = owned.entry(&entry.owner.api_version).or_default();
        set.add(entry.set.clone());
    }
    let first = merged.kind.api_version();
    let first = owned.remove_entry(first.as_str());
    for (version, set) in first.into_iter().chain(owned) {
        let Some(kind) = models.kind_at(version) else {
            continue;
        };
        let all = models.convert(&merged.value, merged.kind, kind);
        let left = models.convert(&pruned.value, pruned.kind, kind);
        let ty = Some(models.typed(kind));
        let mut gone = field_set(models.typed(kind), &all).with_named(ty);
        gone.subtract(&field_set(models.typed(kind), &left).with_named(ty));
        gone.subtract(&set.with_named(ty));
        let value = remove(models.typed(kind), &all, &gone);
        pruned = Versioned { value, kind };
    }
    pruned
}

/// Gives back what went only because something around it did: the manager never owned it.
fn keep_dangling(
    models: &Models<'_>,
    merged: &Versioned<'_>,
    pruned: &Value,
    last: &FieldSet<'_>,
) -> Value {
    let ty = models.typed(merged.kind);
    let mut gone = field_set(ty, &merged.value).with_named(Some(ty));
    gone.subtract(&field_set(ty, pruned).with_named(Some(ty)));
    remove(ty, &merged.value, &gone.intersection(last))
}
