//! DaemonSets. Source: `pkg/registry/apps/daemonset`, `ValidateDaemonSet*`.

use super::replicas::{self, TEMPLATE, immutable_selector, nonnegative};
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, copy_field, ensure, remove, same, set, set_default};
use crate::field::selector;
use crate::work::podspec;
use serde_json::{Value, json};

/// The rules of DaemonSets.
pub(crate) struct DaemonSets;

/// How often the template changed; a field of the internal type that this annotation carries.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

impl Declared for DaemonSets {
    fn defaults(&self, object: &mut Value) {
        let Some(spec) = ensure(object, "spec") else {
            return;
        };
        if let Some(strategy) = ensure(spec, "updateStrategy") {
            set_default(strategy, "type", "RollingUpdate");
            if strategy.text("type") == "RollingUpdate"
                && let Some(rolling) = ensure(strategy, "rollingUpdate")
            {
                set_default(rolling, "maxUnavailable", 1);
                set_default(rolling, "maxSurge", 0);
            }
        }
        set_default(spec, "revisionHistoryLimit", 10);
    }

    fn template(&self) -> Option<&'static [&'static str]> {
        Some(TEMPLATE)
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        Some(json!({
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        }))
    }

    fn prepare(&self, object: &mut Value, check: &Check<'_>) {
        let generation = match check.old {
            None => template_generation(object).max(1),
            Some(old) => {
                let template = |object: &Value| object.at("spec").at("template").clone();
                let changed = !same(&template(object), &template(old));
                template_generation(old) + i64::from(changed)
            }
        };
        let metadata = ensure(object, "metadata");
        if let Some(annotations) = metadata.and_then(|metadata| ensure(metadata, "annotations")) {
            set(annotations, TEMPLATE_GENERATION, generation.to_string());
        }
    }

    fn prepare_status(&self, object: &mut Value, check: &Check<'_>) {
        let held = check.old.map(|old| old.at("metadata").at("annotations"));
        let metadata = ensure(object, "metadata");
        if let (Some(held), Some(metadata)) = (held, metadata)
            && let Some(annotations) = ensure(metadata, "annotations")
        {
            copy_field(annotations, held, TEMPLATE_GENERATION);
            if annotations
                .as_object()
                .is_some_and(serde_json::Map::is_empty)
            {
                remove(metadata, "annotations");
            }
        }
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        immutable_selector(errors, object, check.old);
        spec(errors, object, check.old);
    }

    fn check_status(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (status, path) = (object.at("status"), Path::new("status"));
        nonnegative(
            errors,
            status,
            &path,
            &[
                "currentNumberScheduled",
                "numberMisscheduled",
                "desiredNumberScheduled",
                "numberReady",
                "observedGeneration",
                "updatedNumberScheduled",
                "numberAvailable",
                "numberUnavailable",
                "collisionCount",
            ],
        );
        replicas::collision_count(errors, status, check.old, &path);
    }
}

fn template_generation(object: &Value) -> i64 {
    let annotations = object.at("metadata").at("annotations");
    let text = annotations.text(TEMPLATE_GENERATION);
    text.parse().unwrap_or(0)
}

fn spec(errors: &mut Errors, object: &Value, old: Option<&Value>) {
    let (spec, path) = (object.at("spec"), Path::new("spec"));
    let found = spec.at("selector");
    let options = replicas::template_options(old);
    let selector_path = path.child("selector");
    selector::label_selector(errors, &selector_path, found, options.loose.selector);
    let (template, template_path) = (spec.at("template"), path.child("template"));
    if selector::is_convertible(found) {
        replicas::labels_match(errors, found, template, &template_path);
    }
    if !found.is_null() && selector::is_empty(found) {
        let text = "empty selector is invalid for daemonset";
        errors.invalid_shown(&selector_path, selector::go_json(found), text);
    }
    podspec::template(errors, template, &template_path, &options);
    replicas::restart_and_deadline(errors, template, &template_path, "DaemonSet");
    nonnegative(errors, spec, &path, &["minReadySeconds"]);
    strategy(
        errors,
        spec.at("updateStrategy"),
        &path.child("updateStrategy"),
    );
    nonnegative(errors, spec, &path, &["revisionHistoryLimit"]);
}

fn strategy(errors: &mut Errors, strategy: &Value, path: &Path) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.text("type") {
        "OnDelete" => {}
        "RollingUpdate" if rolling.is_null() => errors.required(&path.child("rollingUpdate"), ""),
        "RollingUpdate" => rolling_update(errors, rolling, &path.child("rollingUpdate")),
        _ => {
            errors.not_supported(path, "", &["RollingUpdate", "OnDelete"]);
            if let Some(last) = errors.0.last_mut() {
                last.value = Some(replicas::go_strategy(strategy));
            }
        }
    }
}

fn rolling_update(errors: &mut Errors, rolling: &Value, path: &Path) {
    let keys = ["maxUnavailable", "maxSurge"];
    for key in keys {
        replicas::int_or_percent(errors, rolling.at(key), &path.child(key));
    }
    for key in keys {
        replicas::at_most_all(errors, rolling.at(key), &path.child(key));
    }
    match keys.map(|key| replicas::plain_number(rolling.at(key)) != 0) {
        [true, true] => errors.invalid(
            &path.child("maxSurge"),
            rolling.at("maxSurge").clone(),
            "may not be set when maxUnavailable is non-zero",
        ),
        [false, false] => {
            let text = "cannot be 0 when maxSurge is 0";
            errors.required(&path.child("maxUnavailable"), text);
        }
        _ => {}
    }
}
