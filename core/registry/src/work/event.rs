//! Events: one storage, two shapes. They are stored as `v1` and are judged in that shape; which
//! rules apply depends on the version of the request.
//!
//! Source: `pkg/registry/core/event`, `pkg/apis/core/validation/events.go`.

use crate::field::names;
use crate::field::path::{Errors, IMMUTABLE, Path, go_struct};
use crate::field::read::{Read, same};
use crate::field::selector;
use crate::{Context, Strategy};
use model::{FieldError, Timestamp, go_quote};
use serde_json::Value;

/// The rules of Events, in the shape of `v1`.
pub(crate) struct Events;

impl Strategy for Events {
    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, context: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        legacy(&mut errors, object, context.api_version);
        if context.api_version != "v1" {
            strict_create(&mut errors, object);
        }
        errors.0
    }

    fn validate_update(
        &self,
        object: &Value,
        old: &Value,
        context: &Context<'_>,
    ) -> Vec<FieldError> {
        let mut errors = Errors::default();
        legacy(&mut errors, object, context.api_version);
        if context.api_version != "v1" {
            strict_update(&mut errors, object, old);
        }
        errors.0
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        let about = object.at("involvedObject");
        let controller = object.text("reportingComponent");
        let source = match object.at("source").text("component") {
            "" => controller,
            component => component,
        };
        let text = |key: &str| about.text(key).to_owned();
        vec![
            ("involvedObject.kind", text("kind")),
            ("involvedObject.namespace", text("namespace")),
            ("involvedObject.name", text("name")),
            ("involvedObject.uid", text("uid")),
            ("involvedObject.apiVersion", text("apiVersion")),
            ("involvedObject.resourceVersion", text("resourceVersion")),
            ("involvedObject.fieldPath", text("fieldPath")),
            ("reason", object.text("reason").to_owned()),
            ("reportingComponent", controller.to_owned()),
            ("source", source.to_owned()),
            ("type", object.text("type").to_owned()),
        ]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ]
    }
}

/// Rules of both shapes.
fn legacy(errors: &mut Errors, event: &Value, api_version: &str) {
    let namespace = event.at("metadata").text("namespace");
    let about = event.at("involvedObject").text("namespace");
    let mismatch = if !event.has("eventTime") {
        match about {
            "" => !matches!(namespace, "" | "default"),
            about => about != namespace,
        }
    } else {
        about.is_empty() && !matches!(namespace, "default" | "kube-system")
    };
    if mismatch {
        let path = Path::new("involvedObject").child("namespace");
        errors.invalid(&path, about, "does not match event.namespace");
    }
    if event.has("eventTime") {
        reporter(errors, event, api_version);
        limits(errors, event);
    }
    let texts = names::dns1123_subdomain(namespace);
    errors.invalid_each(&Path::new("namespace"), namespace, texts);
}

fn reporter(errors: &mut Errors, event: &Value, api_version: &str) {
    let path = Path::new(if api_version == "v1" {
        "reportingComponent"
    } else {
        "reportingController"
    });
    let controller = event.text("reportingComponent");
    if controller.is_empty() {
        errors.required(&path, "");
    }
    selector::label_key(errors, &path, controller);
}

fn limits(errors: &mut Errors, event: &Value) {
    for (key, most, required) in [
        ("reportingInstance", 128, true),
        ("action", 128, true),
        ("reason", 128, true),
        ("message", 1024, false),
    ] {
        let (path, text) = (Path::new(key), event.text(key));
        if required && text.is_empty() {
            errors.required(&path, "");
        }
        if text.len() > most {
            errors.invalid(&path, "", format!("can have at most {most} characters"));
        }
    }
}

/// Rules of new Events in the shape of `events.k8s.io/v1`.
fn strict_create(errors: &mut Errors, event: &Value) {
    series(errors, event);
    if !event.has("eventTime") {
        errors.required(&Path::new("eventTime"), "");
    }
    let kind = event.text("type");
    if !matches!(kind, "Normal" | "Warning") {
        errors.invalid(&Path::new("type"), "", format!("has invalid value: {kind}"));
    }
    let source = event.at("source");
    let sourced = !source.text("component").is_empty() || !source.text("host").is_empty();
    for (key, unset) in [
        ("firstTimestamp", !event.has("firstTimestamp")),
        ("lastTimestamp", !event.has("lastTimestamp")),
        ("count", event.number("count").unwrap_or(0) == 0),
        ("source", !sourced),
    ] {
        if !unset {
            errors.invalid(&Path::new(key), "", "needs to be unset");
        }
    }
}

fn series(errors: &mut Errors, event: &Value) {
    let series = event.at("series");
    if series.is_null() {
        return;
    }
    if series.number("count").unwrap_or(0) < 2 {
        errors.invalid(&Path::new("series.count"), "", "should be at least 2");
    }
    if !series.has("lastObservedTime") {
        errors.required(&Path::new("series.lastObservedTime"), "");
    }
}

/// Only the series and metadata of an Event may change.
fn strict_update(errors: &mut Errors, event: &Value, old: &Value) {
    if event.at("series") != old.at("series") {
        series(errors, event);
    }
    for key in ["involvedObject", "source", "related"] {
        let (new, old) = (event.at(key), old.at(key));
        let empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
        if same(new, old) || (key != "related" && empty(new) && empty(old)) {
            continue;
        }
        let shown = match key {
            "source" => go_source(new),
            _ if new.is_null() => "null".to_owned(),
            _ => go_reference(new),
        };
        errors.invalid_shown(&Path::new(key), shown, IMMUTABLE);
    }
    // `reason` is looked at twice, and told twice.
    for key in ["reason", "message", "reason", "type", "action"] {
        if event.text(key) != old.text(key) {
            errors.invalid(&Path::new(key), event.text(key), IMMUTABLE);
        }
    }
    for (key, shown) in [
        ("reportingComponent", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ] {
        if event.text(key) != old.text(key) {
            errors.invalid(&Path::new(shown), event.text(key), IMMUTABLE);
        }
    }
    for key in ["firstTimestamp", "lastTimestamp", "eventTime"] {
        if moment(event.at(key)) != moment(old.at(key)) {
            errors.invalid(&Path::new(key), event.at(key).clone(), IMMUTABLE);
        }
    }
    let (new, old) = (
        event.number("count").unwrap_or(0),
        old.number("count").unwrap_or(0),
    );
    if new != old {
        errors.invalid(&Path::new("count"), new, IMMUTABLE);
    }
}

fn moment(value: &Value) -> Option<Timestamp> {
    Timestamp::parse(value.as_str()?)
}

fn go_source(source: &Value) -> String {
    go_struct(&[
        ("Component", go_quote(source.text("component"))),
        ("Host", go_quote(source.text("host"))),
    ])
}

fn go_reference(reference: &Value) -> String {
    let text = |key: &str| go_quote(reference.text(key));
    go_struct(&[
        ("Kind", text("kind")),
        ("Namespace", text("namespace")),
        ("Name", text("name")),
        ("UID", text("uid")),
        ("APIVersion", text("apiVersion")),
        ("ResourceVersion", text("resourceVersion")),
        ("FieldPath", text("fieldPath")),
    ])
}
