//! LimitRanges.

use super::EntriesOf;
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, items_mut, set};
use crate::work::podspec::resources::{
    Amounts, amounts, canonical_list, container_resource_name, is_overcommit_allowed, resource_name,
};
use schema::quantity::Quantity;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The rules of LimitRanges.
pub(crate) struct LimitRanges;

const LISTS: [&str; 5] = [
    "max",
    "min",
    "default",
    "defaultRequest",
    "maxLimitRequestRatio",
];
const TYPES: [&str; 3] = ["Pod", "Container", "PersistentVolumeClaim"];

impl Declared for LimitRanges {
    fn defaults(&self, object: &mut Value) {
        let Some(spec) = ensure(object, "spec") else {
            return;
        };
        for item in items_mut(spec, "limits") {
            for key in LISTS {
                if let Some(list) = item.get_mut(key) {
                    canonical_list(list);
                }
            }
            if item.text("type") == "Container" {
                fill(item);
            }
        }
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        None
    }

    fn counted(&self) -> &'static [&'static str] {
        &[]
    }

    fn check(&self, errors: &mut Errors, object: &Value, _: &Check<'_>) {
        let list = Path::new("spec").child("limits");
        let mut seen = BTreeSet::new();
        for (i, item) in object.at("spec").items("limits").iter().enumerate() {
            let path = list.index(i);
            let kind = item.text("type");
            type_name(errors, kind, &path.child("type"));
            if !seen.insert(kind) {
                errors.duplicate(&path.child("type"), kind);
            }
            Item { item, path }.check(errors);
        }
    }

    fn create_on_update(&self) -> bool {
        true
    }
}

/// Limits default to the most, requests to the limits or the least.
fn fill(item: &mut Value) {
    for (from, to) in [
        ("max", "default"),
        ("default", "defaultRequest"),
        ("min", "defaultRequest"),
    ] {
        let source = item.at(from).clone();
        let Some(target) = ensure(item, to) else {
            continue;
        };
        for (name, value) in source.entries_of() {
            if !target.has(name) {
                set(target, name, value.clone());
            }
        }
    }
    for key in ["default", "defaultRequest"] {
        if item.at(key) == &json!({})
            && let Some(map) = item.as_object_mut()
        {
            map.remove(key);
        }
    }
}

fn type_name(errors: &mut Errors, kind: &str, path: &Path) {
    let texts = names::qualified_name(kind);
    if !texts.is_empty() {
        errors.invalid_each(path, kind, texts);
    } else if !kind.contains('/') && !TYPES.contains(&kind) {
        let text = "must be a standard limit type or fully qualified";
        errors.invalid(path, kind, text);
    }
}

struct Item<'a> {
    item: &'a Value,
    path: Path,
}

impl Item<'_> {
    fn check(&self, errors: &mut Errors) {
        let kind = self.item.text("type");
        for key in LISTS {
            let names = self.item.entries(key).map(|(name, _)| name);
            if kind == "Pod" && key.starts_with("default") {
                if names.count() > 0 {
                    let text = "may not be specified when `type` is 'Pod'";
                    errors.forbidden(&self.path.child(key), text);
                }
                continue;
            }
            for name in names {
                let path = self.path.child(key).key(name);
                match kind {
                    "Pod" | "Container" => container_resource_name(errors, &path, name),
                    _ => resource_name(errors, &path, name),
                }
            }
        }
        let storage = |key: &str| self.item.at(key).has("storage");
        if kind == "PersistentVolumeClaim" && !storage("min") && !storage("max") {
            let text = "either minimum or maximum storage value is required, but neither was \
                        provided";
            errors.required(&self.path.child("limits"), text);
        }
        let lists = LISTS.map(|key| match (kind, key) {
            ("Pod", "default" | "defaultRequest") => Amounts::new(),
            _ => amounts(self.item.at(key)),
        });
        let names: BTreeSet<&String> = lists.iter().flat_map(Amounts::keys).collect();
        for name in names {
            let values = lists.each_ref().map(|list| list.get(name).copied());
            self.relations(errors, name, values);
        }
    }

    fn relations(&self, errors: &mut Errors, name: &str, values: [Option<Quantity>; 5]) {
        let [max, min, default, request, ratio] = values;
        let path = |key: &str| self.path.child(key).key(name);
        let mut order = |low: Option<Quantity>,
                         high: Option<Quantity>,
                         at: (&str, Option<Quantity>),
                         texts: [&str; 2]| {
            if let (Some(low), Some(high), Some(shown)) = (low, high, at.1)
                && low > high
            {
                let text = format!(
                    "{} value {low} is greater than {} value {high}",
                    texts[0], texts[1]
                );
                errors.invalid(&path(at.0), shown.to_string(), text);
            }
        };
        order(min, max, ("min", min), ["min", "max"]);
        order(
            min,
            request,
            ("defaultRequest", request),
            ["min", "default request"],
        );
        order(
            request,
            max,
            ("defaultRequest", request),
            ["default request", "max"],
        );
        order(
            request,
            default,
            ("defaultRequest", request),
            ["default request", "default limit"],
        );
        order(min, default, ("default", min), ["min", "default"]);
        order(default, max, ("default", max), ["default", "max"]);
        if let Some(ratio) = ratio {
            let path = path("maxLimitRequestRatio");
            if ratio < Quantity::from_int(1) {
                let text = format!("ratio {ratio} is less than 1");
                errors.invalid(&path, ratio.to_string(), text);
            }
            if let (Some(min), Some(max)) = (min, max) {
                let most = max.to_f64() / min.to_f64();
                if ratio.to_f64() > most {
                    let text = format!("ratio {ratio} is greater than max/min = {most:.6}");
                    errors.invalid(&path, ratio.to_string(), text);
                }
            }
        }
        if let (Some(default), Some(request)) = (default, request)
            && !is_overcommit_allowed(name)
            && default != request
        {
            let text = format!(
                "default value {default} must equal to defaultRequest value {request} in {name}"
            );
            errors.invalid(&path("defaultRequest"), request.to_string(), text);
        }
    }
}
