//! Who owns the replicas, as the `scale` subresource tells it and takes it.

use super::entry::{Entry, Owner, find, read, write};
use schema::typed::{Element, FieldSet};
use serde_json::Value;
use std::borrow::Cow;

/// The version of Scale.
pub(crate) const VERSION: &str = "autoscaling/v1";

const IN_SCALE: [&str; 2] = ["spec", "replicas"];

/// Where a kind has its replicas.
pub(crate) struct Replicas<'a> {
    /// The request's `apiVersion`
    pub(crate) version: &'a str,
    /// Names of the fields that lead to them, in each version
    pub(crate) paths: &'a dyn Fn(&str) -> Option<Vec<String>>,
}

fn has(set: &FieldSet<'_>, path: &[String]) -> bool {
    let path: Vec<Element<'_>> = path.iter().map(|name| Element::field(name)).collect();
    set.has(&path)
}

impl Replicas<'_> {
    /// The entries of the Scale, from those of its object.
    ///
    /// # Errors
    /// What is wrong in the object's entries.
    pub(crate) fn to_scale(&self, parent: &[Value]) -> Result<Vec<Value>, String> {
        let mut out = Vec::new();
        for entry in read(parent)? {
            let path = (self.paths)(&entry.owner.api_version);
            if path.is_some_and(|path| has(&entry.set, &path)) {
                let owner = Owner {
                    api_version: Cow::Borrowed(VERSION),
                    ..entry.owner
                };
                let set = FieldSet::of_path(&IN_SCALE);
                out.push(Entry::new(owner, set, entry.time));
            }
        }
        Ok(write(out))
    }

    /// The entries of the object after a write of its Scale.
    ///
    /// # Errors
    /// What is wrong in the entries.
    pub(crate) fn to_parent(
        &self,
        parent: &[Value],
        scale: &[Value],
    ) -> Result<Vec<Value>, String> {
        let parent = read(parent)?;
        let times: Vec<_> = parent
            .iter()
            .map(|e| (e.owner.clone(), e.time.clone()))
            .collect();
        let mut scale = read(scale)?;
        let own_path = (self.paths)(self.version).unwrap_or_default();
        let own_path: Vec<&str> = own_path.iter().map(String::as_str).collect();
        let mut out: Vec<Entry<'_>> = Vec::new();
        for mut entry in parent {
            let Some(path) = (self.paths)(&entry.owner.api_version) else {
                continue;
            };
            if has(&entry.set, &path) {
                match find(&scale, &entry.owner) {
                    Some(at) => {
                        scale.remove(at);
                    }
                    None => {
                        let names: Vec<String> = path;
                        entry.edit(|set| {
                            let names: Vec<&str> = names.iter().map(String::as_str).collect();
                            set.remove_path(&names);
                            true
                        });
                    }
                }
            }
            if !entry.set.is_empty() {
                out.push(entry);
            }
        }
        for entry in scale {
            if !entry.set.has(&IN_SCALE.map(Element::field)) {
                continue;
            }
            let known = find(&out, &entry.owner);
            let mut times = times.iter();
            let time = times.find(|(owner, _)| owner.is_same(&entry.owner));
            let time = time.and_then(|(_, time)| time.clone());
            let owner = Owner {
                api_version: Cow::Borrowed(self.version),
                ..entry.owner
            };
            let made = Entry::new(owner, FieldSet::of_path(&own_path), time);
            match known {
                Some(at) => out[at] = made,
                None => out.push(made),
            }
        }
        Ok(write(out))
    }
}
