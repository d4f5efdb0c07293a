//! Deployments. Source: `pkg/registry/apps/deployment`, `ValidateDeployment*`.

use super::replicas::{self, nonnegative};
use super::{carry_generation, keep, set_generation};
use crate::field::path::{Errors, IMMUTABLE, Path, go_struct};
use crate::field::read::{Read, copy_field, ensure, same, set, set_default};
use crate::field::{names, selector};
use crate::{Context, Strategy, Subresource};
use model::{FieldError, go_quote};
use serde_json::{Value, json};

/// The rules of Deployments.
pub(crate) struct Deployments;

impl Strategy for Deployments {
    fn default(&self, object: &mut Value) {
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
        replicas::default_template(object);
    }

    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        set(object, "status", json!({}));
        set_generation(object, 1);
        replicas::drop_disabled(object, None);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        keep(object, old, &["status"]);
        replicas::drop_disabled(object, Some(old));
        let annotations = |object: &Value| object.at("metadata").at("annotations").clone();
        let changed = !same(object.at("spec"), old.at("spec"))
            || !same_map(&annotations(object), &annotations(old));
        carry_generation(object, old, changed);
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        spec(&mut errors, object, None);
        errors.0
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        spec(&mut errors, object, Some(old));
        immutable_selector(&mut errors, object, old);
        errors.0
    }

    fn prepare_subresource(
        &self,
        subresource: Subresource,
        object: &mut Value,
        old: &Value,
        _: &Context<'_>,
    ) {
        if subresource == Subresource::Status {
            keep(object, old, &["spec"]);
            if let Some(metadata) = ensure(object, "metadata") {
                copy_field(metadata, old.at("metadata"), "labels");
            }
            carry_generation(object, old, false);
        }
    }

    fn validate_subresource(
        &self,
        subresource: Subresource,
        object: &Value,
        old: &Value,
        _: &Context<'_>,
    ) -> Vec<FieldError> {
        let mut errors = Errors::default();
        if subresource == Subresource::Status {
            let (status, path) = (object.at("status"), Path::new("status"));
            check_status(&mut errors, status, &path);
            replicas::collision_count(&mut errors, status, old.at("status"), &path);
        }
        errors.0
    }

    fn warnings(&self, object: &Value, old: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        let mut all = Vec::new();
        if old.is_none() {
            all.extend(replicas::name_warning(object));
        }
        all.extend(replicas::template_warnings(object, old));
        all
    }
}

/// Equal maps, nothing being an empty one.
fn same_map(a: &Value, b: &Value) -> bool {
    let empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
    a == b || (empty(a) && empty(b))
}

/// `spec.selector` never changes.
pub(super) fn immutable_selector(errors: &mut Errors, object: &Value, old: &Value) {
    let new = object.at("spec").at("selector");
    if !same(new, old.at("spec").at("selector")) {
        let path = Path::new("spec").child("selector");
        errors.invalid_shown(&path, selector::go_json(new), IMMUTABLE);
    }
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
                last.value = Some(go_strategy(strategy));
            }
        }
    }
}

fn go_strategy(strategy: &Value) -> String {
    let rolling = strategy.at("rollingUpdate");
    let number = |key: &str| match rolling.at(key) {
        Value::Null => "0".to_owned(),
        value => value.to_string(),
    };
    let shown = if rolling.is_null() {
        "null".to_owned()
    } else {
        go_struct(&[
            ("MaxUnavailable", number("maxUnavailable")),
            ("MaxSurge", number("maxSurge")),
        ])
    };
    go_struct(&[
        ("Type", go_quote(strategy.text("type"))),
        ("RollingUpdate", shown),
    ])
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
