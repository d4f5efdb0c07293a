//! HorizontalPodAutoscalers as a whole.

use super::{ReferenceRules, behavior, has_bad_version, metrics, reference};
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, set, set_default};
use crate::work::replicas;
use serde_json::{Value, json};

/// The rules of HorizontalPodAutoscalers, in the shape of `autoscaling/v2`.
pub(crate) struct Autoscalers;

impl Declared for Autoscalers {
    fn defaults(&self, object: &mut Value) {
        let Some(spec) = ensure(object, "spec") else {
            return;
        };
        set_default(spec, "minReplicas", 1);
        if spec.items("metrics").is_empty() {
            let target = json!({"type": "Utilization", "averageUtilization": 80});
            let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
            set(spec, "metrics", vec![metric]);
        }
        if let Some(behavior) = spec.get_mut("behavior").filter(|b| b.is_object()) {
            behavior::defaults(behavior);
        }
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        Some(json!({"desiredReplicas": 0, "currentMetrics": null}))
    }

    fn counted(&self) -> &'static [&'static str] {
        &[]
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (spec, path) = (object.at("spec"), Path::new("spec"));
        let old = check.old.map(|old| old.at("spec"));
        bounds(errors, spec, old, &path);
        let target = spec.at("scaleTargetRef");
        let kept = old.is_some_and(|old| {
            let before = old.at("scaleTargetRef");
            let same = |key: &str| before.text(key) == target.text(key);
            same("apiVersion") && same("kind")
        });
        let rules = ReferenceRules {
            any_version: kept,
            core_group: target.text("kind") == "ReplicationController",
        };
        reference(errors, target, &path.child("scaleTargetRef"), rules);
        let described = |metric: &Value| {
            metric.text("type") == "Object"
                && metric.has("object")
                && has_bad_version(metric.at("object").at("describedObject"))
        };
        let rules = ReferenceRules {
            any_version: old.is_some_and(|old| old.items("metrics").iter().any(described)),
            core_group: true,
        };
        metrics::check(errors, spec, &path.child("metrics"), rules);
        behavior::check(errors, spec.at("behavior"), &path.child("behavior"));
    }

    fn check_status(&self, errors: &mut Errors, object: &Value, _: &Check<'_>) {
        let (status, path) = (object.at("status"), Path::new("status"));
        replicas::nonnegative(
            errors,
            status,
            &path,
            &["currentReplicas", "desiredReplicas"],
        );
    }

    fn tell_last(&self, _: &Value, check: &Check<'_>) -> Vec<String> {
        let text = "this server stores HorizontalPodAutoscalers, but nothing here measures Pods or \
                    scales by them";
        check.once(text)
    }
}

fn bounds(errors: &mut Errors, spec: &Value, old: Option<&Value>, path: &Path) {
    let (least, most) = (
        spec.number("minReplicas"),
        spec.number("maxReplicas").unwrap_or(0),
    );
    let was_zero = old.is_some_and(|old| old.number("minReplicas") == Some(0));
    let lowest = i64::from(!was_zero);
    if let Some(least) = least.filter(|least| *least < lowest) {
        let text = format!("must be greater than or equal to {lowest}");
        errors.invalid(&path.child("minReplicas"), least, text);
    }
    let most_path = path.child("maxReplicas");
    if most == 0 {
        errors.required(&most_path, "must be set and greater than 0");
    } else if most < 0 {
        errors.invalid(&most_path, most, "must be greater than or equal to 1");
    }
    if least.is_some_and(|least| most < least) {
        let text = "must be greater than or equal to `minReplicas`";
        errors.invalid(&most_path, most, text);
    }
}
