//! What a write does to the fields that others own.

use super::conflict::{Conflict, conflicts_of};
use super::entry::{Entry, Owner, align};
use super::models::Models;
use schema::typed::{Comparison, FieldSet, compare};
use serde_json::Value;
use std::collections::BTreeMap;

/// Why fields cannot be settled.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Others own what would change
    Conflicts(Vec<Conflict>),
    /// The objects cannot be compared
    Failed(String),
}

/// Metadata that nobody owns.
const UNOWNED: [&[&str]; 12] = [
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// Takes out of a set what nobody owns.
pub(crate) fn strip(set: &mut FieldSet<'_>) {
    for path in UNOWNED {
        set.remove_path(path);
    }
}

/// Brings what is owned in line with the schemas of today.
pub(crate) fn align_all(models: &Models<'_>, entries: &mut Vec<Entry<'_>>) {
    entries.retain_mut(|entry| match models.typed_at(&entry.owner.api_version) {
        Some(ty) => {
            align(entry, ty);
            true
        }
        None => false,
    });
}

/// Takes from everyone but `who` what a write changes or removes. Without force, what someone owns
/// must not change. Entries of versions that are gone go, too.
pub(crate) fn settle<'v>(
    models: &Models<'_>,
    (old, new): (&'v Value, &'v Value),
    entries: &mut Vec<Entry<'_>>,
    who: Option<&Owner<'_>>,
    force: bool,
) -> Result<Comparison<'v>, Trouble> {
    let failed =
        |why: &dyn std::fmt::Display| Trouble::Failed(format!("failed to compare objects: {why}"));
    let mut own = compare(models.typed(models.kind), old, new).map_err(|e| failed(&e))?;
    models.filter_all(&mut own, models.version);
    let mut others: BTreeMap<String, Comparison<'static>> = BTreeMap::new();
    for entry in entries.iter() {
        let version = &*entry.owner.api_version;
        if version == models.version || others.contains_key(version) {
            continue;
        }
        let Some(kind) = models.kind_at(version) else {
            continue;
        };
        let old = models.convert(old, models.kind, kind);
        let new = models.convert(new, models.kind, kind);
        let mut found = compare(models.typed(kind), &old, &new).map_err(|e| failed(&e))?;
        models.filter_all(&mut found, version);
        others.insert(version.to_owned(), found.into_owned());
    }
    let is_who = |entry: &Entry<'_>| who.is_some_and(|who| entry.owner.is_same(who));
    if !force {
        let mut conflicts = Vec::new();
        for entry in entries.iter().filter(|entry| !is_who(entry)) {
            match at(&own, &others, models, entry) {
                Some(comparison) => conflicts.extend(conflicts_of(entry, comparison)),
                None => continue,
            }
        }
        if !conflicts.is_empty() {
            return Err(Trouble::Conflicts(conflicts));
        }
    }
    entries.retain_mut(|entry| {
        if !is_who(entry) {
            let Some(found) = at(&own, &others, models, entry) else {
                return false;
            };
            entry.edit(|set| {
                // Each of them must run.
                let modified = set.subtract(&found.modified);
                let added = set.subtract(&found.added);
                set.subtract(&found.removed) | modified | added
            });
        }
        !entry.set.is_empty()
    });
    Ok(own)
}

/// What changed, in the version of an entry.
fn at<'b, 'v: 'b>(
    own: &'b Comparison<'v>,
    others: &'b BTreeMap<String, Comparison<'static>>,
    models: &Models<'_>,
    entry: &Entry<'_>,
) -> Option<&'b Comparison<'v>> {
    let version = &*entry.owner.api_version;
    if version == models.version {
        return Some(own);
    }
    others.get(version)
}
