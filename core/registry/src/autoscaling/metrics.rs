//! `spec.metrics`: what to scale by.

use super::{ReferenceRules, reference};
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::work::podspec::resources::{container_resource_name, quantity};
use serde_json::Value;

/// Types with the field that each fills, in the order in which upstream looks for them.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];
const TYPES: [&str; 5] = [
    "ContainerResource",
    "External",
    "Object",
    "Pods",
    "Resource",
];

/// Checks all metrics of a spec.
pub(super) fn check(errors: &mut Errors, spec: &Value, list: &Path, rules: ReferenceRules) {
    let metrics = spec.items("metrics");
    for (i, metric) in metrics.iter().enumerate() {
        check_one(errors, metric, &list.index(i), rules);
    }
    let outside = |metric: &Value| matches!(metric.text("type"), "Object" | "External");
    if spec.number("minReplicas") == Some(0) && !metrics.iter().any(outside) {
        errors.forbidden(
            list,
            "must specify at least one Object or External metric to support scaling to zero \
             replicas",
        );
    }
}

fn check_one(errors: &mut Errors, metric: &Value, path: &Path, rules: ReferenceRules) {
    let kind = metric.text("type");
    let kind_path = path.child("type");
    if kind.is_empty() {
        errors.required(&kind_path, "must specify a metric source type");
    }
    let known = TYPES.contains(&kind);
    if !known {
        errors.not_supported(&kind_path, kind, &TYPES);
    }
    let present = SOURCES.iter().filter(|(_, field)| metric.has(field));
    let present: Vec<&str> = present.map(|(_, field)| *field).collect();
    if let Some(first) = present.first() {
        source(errors, first, metric.at(first), (&path.child(first), rules));
    }
    let expected = SOURCES.iter().find(|(name, _)| *name == kind);
    match expected.map(|(_, field)| *field) {
        Some(field) if !metric.has(field) => {
            let text = "must populate information for the given metric source";
            errors.required(&path.child(field), text);
        }
        Some(_) => {}
        None => errors.not_supported(&kind_path, kind, &TYPES),
    }
    if present.len() == 1 {
        return;
    }
    for field in present {
        if Some(field) != expected.map(|(_, field)| *field) {
            let text = "must populate the given metric source only";
            errors.forbidden(&path.child(field), text);
        }
    }
}

fn source(errors: &mut Errors, field: &str, found: &Value, (path, rules): (&Path, ReferenceRules)) {
    let (wanted, target_path) = (found.at("target"), path.child("target"));
    match field {
        "object" => {
            let described = path.child("describedObject");
            reference(errors, found.at("describedObject"), &described, rules);
            identifier(errors, found.at("metric"), &path.child("metric"));
            target(errors, wanted, &target_path);
            let text = "must set either a target value or averageValue";
            one_of(
                errors,
                wanted,
                &target_path,
                (["value", "averageValue"], text),
            );
        }
        "external" => {
            identifier(errors, found.at("metric"), &path.child("metric"));
            target(errors, wanted, &target_path);
            let text = "must set either a target value for metric or a per-pod target";
            one_of(
                errors,
                wanted,
                &target_path,
                (["value", "averageValue"], text),
            );
            if wanted.has("value") && wanted.has("averageValue") {
                let text = "may not set both a target value for metric and a per-pod target";
                errors.forbidden(&target_path.child("value"), text);
            }
        }
        "pods" => {
            identifier(errors, found.at("metric"), &path.child("metric"));
            target(errors, wanted, &target_path);
            let text = "must specify a positive target averageValue";
            one_of(errors, wanted, &target_path, (["averageValue"; 2], text));
        }
        _ => resource(errors, field, found, path),
    }
}

fn resource(errors: &mut Errors, field: &str, found: &Value, path: &Path) {
    let (name, container) = (found.text("name"), found.text("container"));
    let of_container = field == "containerResource";
    if name.is_empty() {
        errors.required(&path.child("name"), "must specify a resource name");
    } else if of_container {
        container_resource_name(errors, &path.child("name"), name);
    }
    if of_container && container.is_empty() {
        errors.required(&path.child("container"), "must specify a container");
    } else if of_container {
        let texts = names::dns1123_label(container);
        errors.invalid_each(&path.child("container"), container, texts);
    }
    let (wanted, path) = (found.at("target"), path.child("target"));
    target(errors, wanted, &path);
    let keys = ["averageValue", "averageUtilization"];
    let text = "must set either a target raw value or a target utilization";
    one_of(errors, wanted, &path, (keys, text));
    if keys.iter().all(|key| wanted.has(key)) {
        let text = "may not set both a target raw value and a target utilization";
        errors.forbidden(&path.child("averageValue"), text);
    }
}

/// At least one of two fields; the second is named when both are missing.
fn one_of(errors: &mut Errors, target: &Value, path: &Path, (keys, text): ([&str; 2], &str)) {
    if keys.iter().all(|key| !target.has(key)) {
        errors.required(&path.child(keys[1]), text);
    }
}

fn target(errors: &mut Errors, target: &Value, path: &Path) {
    let kind = target.text("type");
    if kind.is_empty() {
        errors.required(&path.child("type"), "must specify a metric target type");
    }
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        let text = "must be either Utilization, Value, or AverageValue";
        errors.invalid(&path.child("type"), kind, text);
    }
    for key in ["value", "averageValue"] {
        let amount = target.at(key);
        if !amount.is_null() && quantity(amount).signum() != 1 {
            let shown = quantity(amount).to_string();
            errors.invalid(&path.child(key), shown, "must be positive");
        }
    }
    if let Some(percent) = target.number("averageUtilization").filter(|p| *p < 1) {
        let text = "must be greater than 0";
        errors.invalid(&path.child("averageUtilization"), percent, text);
    }
}

fn identifier(errors: &mut Errors, metric: &Value, path: &Path) {
    let name = metric.text("name");
    if name.is_empty() {
        errors.required(&path.child("name"), "must specify a metric name");
    } else {
        let texts = names::path_segment_name(name, false);
        errors.invalid_each(&path.child("name"), name, texts);
    }
}
