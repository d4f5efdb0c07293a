//! The versions of a kind: their types, and objects in each of them.

use super::reset::Reset;
use schema::typed::{Comparison, FieldSet, Type};
use schema::{Kind, Registry};
use serde_json::Value;

/// What a request needs to know about the kind that it writes, in all its versions.
pub(crate) struct Models<'a> {
    registry: &'a Registry,
    /// The kind of the request
    pub(crate) kind: &'a Kind,
    /// Its `apiVersion`
    pub(crate) version: &'a str,
    reset: Reset,
}

impl<'a> Models<'a> {
    pub(crate) fn new(
        registry: &'a Registry,
        kind: &'a Kind,
        version: &'a str,
        subresource: &str,
    ) -> Self {
        Self {
            registry,
            kind,
            version,
            reset: Reset::new(kind, subresource),
        }
    }

    /// The kind in a version; `None` for one that is not served, or is another group's.
    pub(crate) fn kind_at(&self, version: &str) -> Option<&'a Kind> {
        if version == self.version {
            return Some(self.kind);
        }
        let found = self.registry.by_kind(version, &self.kind.kind)?;
        let same = found.group == self.kind.group && found.resource == self.kind.resource;
        same.then_some(&**found)
    }

    pub(crate) fn typed(&self, kind: &'a Kind) -> Type<'a> {
        self.registry.typed(kind)
    }

    /// The type of a version.
    pub(crate) fn typed_at(&self, version: &str) -> Option<Type<'a>> {
        Some(self.typed(self.kind_at(version)?))
    }

    /// An object of one version in another one.
    pub(crate) fn convert(&self, value: &Value, from: &Kind, to: &Kind) -> Value {
        let mut value = value.clone();
        if from.version != to.version {
            self.registry.convert(from, to, &mut value);
        }
        value
    }

    /// Takes out of a set what the path cannot write.
    pub(crate) fn filter(&self, set: &mut FieldSet<'_>, version: &str) {
        // A custom kind tells what it resets in its own version only.
        if version == self.version || self.kind.custom().is_none() {
            self.reset.filter(set);
        }
    }

    pub(crate) fn filter_all(&self, comparison: &mut Comparison<'_>, version: &str) {
        for set in [
            &mut comparison.removed,
            &mut comparison.modified,
            &mut comparison.added,
        ] {
            self.filter(set, version);
        }
    }
}
