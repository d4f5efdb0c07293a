//! Objects in another form of theirs. An Event has two: core `v1` and `events.k8s.io/v1`. They are one
//! stored object, in which some fields have another name.

use crate::{Kind, Registry};
use model::Resource;
use serde_json::{Map, Value};

/// Names in core `v1`, and in `events.k8s.io/v1`.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

impl Registry {
    /// Brings a custom object of any version into the form in which objects of `stored` are stored;
    /// does nothing to others.
    pub fn store(&self, stored: &Kind, value: &mut Value) {
        if let Some(custom) = stored.custom() {
            custom.store(stored, value);
        }
    }

    /// Rewrites an object of one kind as the other kind that is stored in the same place (core and
    /// `events.k8s.io` Events); does nothing when they are the same.
    ///
    /// A custom object of any version becomes one of `to`: it gets the form of the schema of the
    /// version that it names, defaults included, and then another `apiVersion`, where `from` does
    /// not matter.
    pub fn convert(&self, from: &Kind, to: &Kind, value: &mut Value) {
        if let Some(custom) = to.custom() {
            custom.read(to, value);
            return;
        }
        if from.resource != to.resource {
            return;
        }
        if from.resource == Resource::AUTOSCALERS && from.version != to.version {
            crate::autoscaler::convert(&to.version, value);
            value["apiVersion"] = to.api_version().into();
            self.normalise(to, value);
            return;
        }
        if from.group == to.group {
            return;
        }
        let Some(object) = value.as_object_mut() else {
            return;
        };
        for (core, events) in EVENT_FIELDS {
            if to.group.is_empty() {
                rename(object, events, core);
            } else {
                rename(object, core, events);
            }
        }
        object.insert("apiVersion".to_owned(), to.api_version().into());
        object.insert("kind".to_owned(), to.kind.as_str().into());
        self.normalise(to, value);
    }
}

fn rename(object: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = object.remove(from) {
        object.insert(to.to_owned(), value);
    }
}
