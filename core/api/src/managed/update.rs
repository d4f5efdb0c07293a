//! Writes that are no apply: who changes a field owns it.

use super::entry::{Entry, Operation, Owner, find};
use super::models::Models;
use super::settle::{Trouble, align_all, settle, strip};
use serde_json::Value;
use std::borrow::Cow;

/// As many who update are told apart; the oldest of more become one.
const MAX_UPDATERS: usize = 10;
const BUCKET: &str = "ancient-changes";

/// The owner that a write makes.
pub(crate) fn updater<'a>(manager: &'a str, version: &'a str, subresource: &'a str) -> Owner<'a> {
    Owner {
        manager: Cow::Borrowed(if manager.is_empty() {
            "unknown"
        } else {
            manager
        }),
        operation: Operation::Update,
        api_version: Cow::Borrowed(version),
        subresource: Cow::Borrowed(subresource),
    }
}

/// Who owns what after a write that made `new` out of `old`.
pub(crate) fn update<'v>(
    models: &Models<'_>,
    objects: (&'v Value, &'v Value),
    mut entries: Vec<Entry<'v>>,
    owner: Owner<'v>,
    now: &str,
) -> Result<Vec<Entry<'v>>, String> {
    align_all(models, &mut entries);
    let changed = settle(models, objects, &mut entries, None, true);
    let changed = changed.map_err(|trouble| match trouble {
        Trouble::Failed(why) => why,
        Trouble::Conflicts(_) => "conflicts with force".to_owned(),
    })?;
    let mut set = changed.modified;
    set.add(changed.added);
    strip(&mut set);
    if !set.is_empty() {
        match find(&entries, &owner) {
            Some(at) => {
                let entry = &mut entries[at];
                entry.edit(|known| {
                    known.add(set);
                    true
                });
                entry.touch(now);
            }
            None => {
                let time = Some(Cow::Owned(now.to_owned()));
                entries.push(Entry::new(owner, set, time));
            }
        }
    }
    cap(&mut entries);
    Ok(entries)
}

/// Joins the oldest of too many updaters, those of each version for themselves.
fn cap(entries: &mut Vec<Entry<'_>>) {
    let is_updater = |entry: &Entry<'_>| entry.owner.operation == Operation::Update;
    let mut count = entries.iter().filter(|entry| is_updater(entry)).count();
    if count <= MAX_UPDATERS {
        return;
    }
    let mut rest: Vec<Entry<'_>> = Vec::with_capacity(entries.len());
    let mut updaters: Vec<Entry<'_>> = Vec::with_capacity(count);
    for entry in entries.drain(..) {
        let list = if is_updater(&entry) {
            &mut updaters
        } else {
            &mut rest
        };
        list.push(entry);
    }
    updaters.sort_by_cached_key(|entry| {
        let time = entry.time.as_deref().unwrap_or_default();
        (time.to_owned(), entry.owner.identifier())
    });
    // The first of each version waits for another one to be joined with.
    let mut kept: Vec<Entry<'_>> = Vec::new();
    for entry in updaters {
        let version = &entry.owner.api_version;
        let first = kept
            .iter_mut()
            .find(|first| first.owner.api_version == *version);
        match first {
            Some(bucket) if count > MAX_UPDATERS => {
                let Entry {
                    owner, time, set, ..
                } = entry;
                bucket.owner = Owner {
                    manager: Cow::Borrowed(BUCKET),
                    operation: Operation::Update,
                    api_version: owner.api_version,
                    subresource: Cow::Borrowed(""),
                };
                bucket.edit(|known| {
                    known.add(set);
                    true
                });
                bucket.time = time;
                count -= 1;
            }
            None if count > MAX_UPDATERS => kept.push(entry),
            _ => rest.push(entry),
        }
    }
    rest.extend(kept);
    *entries = rest;
}
