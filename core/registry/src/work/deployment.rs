//! Deployments. Source: `pkg/registry/apps/deployment`, `ValidateDeployment*`.

use super::replicas::{self, TEMPLATE, immutable_selector, nonnegative};
use crate::declared::{Check, Declared};
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, copy_field, ensure, same, set_default};
use crate::field::selector;
use serde_json::Value;

/// The rules of Deployments.
pub(crate) struct Deployments;

impl Declared for Deployments {
    fn defaults(&self, object: &mut Value) {
        let Some(spec) = ensure(object, "spec") else {
            return;
        };
        set_default(spec, "replicas", 1);
        set_default(spec, "revisionHistoryLimit", 10);
        set_default(spec, "progressDeadlineSeconds", 600);
        if let Some(strategy) = ensure(spec, "strategy") {
            set_default(strategy, "type", "RollingUpdate");
            if strategy.text("type") == "RollingUpdate"
                && let Some(rolling) = ensure(strategy, "rollingUpdate")
            {
                set_default(rolling, "maxUnavailable", "25%");
                set_default(rolling, "maxSurge", "25%");
            }
        }
    }

    fn template(&self) -> Option<&'static [&'static str]> {
        Some(TEMPLATE)
    }

    fn is_change(&self, object: &Value, old: &Value) -> bool {
        let annotations = |object: &Value| object.at("metadata").at("annotations").clone();
        !same(object.at("spec"), old.at("spec"))
            || !same_map(&annotations(object), &annotations(old))
    }

    fn prepare_status(&self, object: &mut Value, check: &Check<'_>) {
        if let (Some(metadata), Some(old)) = (ensure(object, "metadata"), check.old) {
            copy_field(metadata, old.at("metadata"), "labels");
        }
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        spec(errors, object, check.old);
        immutable_selector(errors, object, check.old);
    }

    fn check_status(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (status, path) = (object.at("status"), Path::new("status"));
        check_status(errors, status, &path);
        replicas::collision_count(errors, status, check.old, &path);
    }

    fn tell(&self, object: &Value, check: &Check<'_>) -> Vec<String> {
        replicas::name_warning(object, check.old)
    }
}

/// Equal maps, nothing being an empty one.
fn same_map(a: &Value, b: &Value) -> bool {
    let empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
    a == b || (empty(a) && empty(b))
}

fn spec(errors: &mut Errors, object: &Value, old: Option<&Value>) {
    let (spec, path) = (object.at("spec"), Path::new("spec"));
    nonnegative(errors, spec, &path, &["replicas"]);
    replicas::check_selector(errors, spec, &path, "deployment");
    if selector::is_convertible(spec.at("selector")) {
        let options = replicas::template_options(old);
        replicas::matching_template(errors, spec, &path, &options, "ReplicaSet");
    } else {
        let shown = selector::go_json(spec.at("selector"));
        errors.invalid_shown(&path.child("selector"), shown, "invalid label selector");
    }
    strategy(errors, spec.at("strategy"), &path.child("strategy"));
    let keys = [
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ];
    nonnegative(errors, spec, &path, &keys);
    let ready = spec.number("minReadySeconds").unwrap_or(0);
    if let Some(deadline) = spec.number("progressDeadlineSeconds")
        && deadline <= ready
    {
        let text = "must be greater than minReadySeconds";
        errors.invalid(&path.child("progressDeadlineSeconds"), deadline, text);
    }
}

fn strategy(errors: &mut Errors, strategy: &Value, path: &Path) {
    let rolling = strategy.at("rollingUpdate");
    let path_rolling = path.child("rollingUpdate");
    match strategy.text("type") {
        "Recreate" if !rolling.is_null() => errors.forbidden(
            &path_rolling,
            "may not be specified when strategy `type` is 'Recreate'",
        ),
        "Recreate" => {}
        "RollingUpdate" if rolling.is_null() => {
            errors.required(&path_rolling, "this should be defaulted and never be nil")
        }
        "RollingUpdate" => rolling_update(errors, rolling, &path_rolling),
        _ => {
            errors.not_supported(path, "", &["Recreate", "RollingUpdate"]);
            if let Some(last) = errors.0.last_mut() {
                last.value = Some(replicas::go_strategy(strategy));
            }
        }
    }
}

fn rolling_update(errors: &mut Errors, rolling: &Value, path: &Path) {
    let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
    let unavailable_path = path.child("maxUnavailable");
    replicas::int_or_percent(errors, unavailable, &unavailable_path);
    replicas::int_or_percent(errors, surge, &path.child("maxSurge"));
    if replicas::plain_number(unavailable) == 0 && replicas::plain_number(surge) == 0 {
        let text = "may not be 0 when `maxSurge` is 0";
        errors.invalid(&unavailable_path, unavailable.clone(), text);
    }
    replicas::at_most_all(errors, unavailable, &unavailable_path);
}

fn check_status(errors: &mut Errors, status: &Value, path: &Path) {
    nonnegative(
        errors,
        status,
        path,
        &[
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
            "collisionCount",
        ],
    );
    let keys = ["updatedReplicas", "readyReplicas", "availableReplicas"];
    let limit = ("replicas", "cannot be greater than status.replicas");
    replicas::at_most(errors, status, path, &keys, limit);
    let limit = ("readyReplicas", "cannot be greater than readyReplicas");
    replicas::at_most(errors, status, path, &["availableReplicas"], limit);
}
