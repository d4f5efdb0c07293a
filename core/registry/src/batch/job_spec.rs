//! Specs of Jobs, in Jobs and in the templates of CronJobs (`validateJobSpec`).

use super::{failure_policy, success_policy};
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, items_mut, set_default};
use crate::field::{names, selector};
use crate::work::podspec::{self, options::Options};
use serde_json::Value;

/// Parallel Pods of an indexed Job, and indexes of it that may fail.
const MOST_INDEXED: i64 = 100_000;
/// Beyond this many completions, fewer may run and fail.
const MANY_COMPLETIONS: i64 = 100_000;
const FEWER: i64 = 10_000;
const MANAGED_BY_LENGTH: usize = 63;

/// Defaults that every spec gets, in CronJobs too.
pub(super) fn defaults(spec: &mut Value) {
    if let Some(policy) = spec.get_mut("podFailurePolicy") {
        for rule in items_mut(policy, "rules") {
            for pattern in items_mut(rule, "onPodConditions") {
                set_default(pattern, "status", "True");
            }
        }
    }
}

/// A spec whose selector and template are of one Job.
pub(super) fn with_selector(errors: &mut Errors, spec: &Value, path: &Path, options: &Options) {
    check(errors, spec, path, options);
    let (found, selector_path) = (spec.at("selector"), path.child("selector"));
    if found.is_null() {
        errors.required(&selector_path, "");
    } else {
        selector::label_selector(errors, &selector_path, found, options.loose.selector);
    }
    let labels = spec.at("template").at("metadata").at("labels");
    let fits = selector::is_empty(found) && !found.is_null() || selector::matches(found, labels);
    if selector::is_convertible(found) && !fits {
        errors.invalid(
            &path.child("template").child("metadata").child("labels"),
            labels.clone(),
            "`selector` does not match template `labels`",
        );
    }
}

/// Everything but the selector.
pub(super) fn check(errors: &mut Errors, spec: &Value, path: &Path, options: &Options) {
    numbers(errors, spec, path);
    managed_by(errors, spec, &path.child("managedBy"));
    completion_mode(errors, spec, path);
    if spec.has("podFailurePolicy") {
        failure_policy::check(errors, spec, &path.child("podFailurePolicy"));
    }
    let success = spec.at("successPolicy");
    if !success.is_null() {
        let path = path.child("successPolicy");
        if is_indexed(spec) {
            success_policy::check(errors, spec, &path);
        } else {
            let shown = success_policy::go_json(success);
            errors.invalid_shown(&path, shown, "requires indexed completion mode");
        }
    }
    replacement_policy(errors, spec, &path.child("podReplacementPolicy"));
    let template_path = path.child("template");
    podspec::template(errors, spec.at("template"), &template_path, options);
    restart_policy(
        errors,
        spec,
        &template_path.child("spec").child("restartPolicy"),
    );
}

/// A warning about Jobs that are too large to be tracked.
pub(super) fn warning(spec: &Value, path: &Path) -> Option<String> {
    let number = |key: &str| spec.number(key).unwrap_or(0);
    let large = number("completions") > MANY_COMPLETIONS && number("parallelism") > FEWER;
    (is_indexed(spec) && large).then(|| {
        format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a \
             parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes \
             when a big number of indexes fail"
        )
    })
}

fn is_indexed(spec: &Value) -> bool {
    spec.text("completionMode") == "Indexed"
}

fn numbers(errors: &mut Errors, spec: &Value, path: &Path) {
    for key in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        if let Some(value) = spec.number(key) {
            errors.nonnegative(&path.child(key), value);
        }
    }
    if spec.has("maxFailedIndexes") && !spec.has("backoffLimitPerIndex") {
        let text = "when maxFailedIndexes is specified";
        errors.required(&path.child("backoffLimitPerIndex"), text);
    }
}

fn managed_by(errors: &mut Errors, spec: &Value, path: &Path) {
    if let Some(name) = spec.optional_text("managedBy") {
        errors.extend(names::check_domain_prefixed_path(path.as_str(), name));
        if name.len() > MANAGED_BY_LENGTH {
            errors.too_long(path, MANAGED_BY_LENGTH);
        }
    }
}

fn completion_mode(errors: &mut Errors, spec: &Value, path: &Path) {
    let mode = spec.optional_text("completionMode");
    if let Some(other) = mode.filter(|mode| !matches!(*mode, "NonIndexed" | "Indexed")) {
        let path = path.child("completionMode");
        errors.not_supported(&path, other, &["NonIndexed", "Indexed"]);
    }
    match mode {
        Some("Indexed") => indexed(errors, spec, path),
        None | Some("NonIndexed") => {
            for key in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if let Some(value) = spec.number(key) {
                    errors.invalid(&path.child(key), value, "requires indexed completion mode");
                }
            }
        }
        Some(_) => {}
    }
}

fn indexed(errors: &mut Errors, spec: &Value, path: &Path) {
    let completions = spec.number("completions");
    let (parallelism, failed) = (spec.number("parallelism"), spec.number("maxFailedIndexes"));
    if completions.is_none() {
        let text = "when completion mode is Indexed";
        errors.required(&path.child("completions"), text);
    }
    if let Some(value) = parallelism.filter(|value| *value > MOST_INDEXED) {
        let text =
            format!("must be less than or equal to {MOST_INDEXED} when completion mode is Indexed");
        errors.invalid(&path.child("parallelism"), value, text);
    }
    let failed_path = path.child("maxFailedIndexes");
    if let (Some(failed), Some(completions)) = (failed, completions)
        && failed > completions
    {
        let text = "must be less than or equal to completions";
        errors.invalid(&failed_path, failed, text);
    }
    if let Some(value) = failed.filter(|value| *value > MOST_INDEXED) {
        let text = format!("must be less than or equal to {MOST_INDEXED}");
        errors.invalid(&failed_path, value, text);
    }
    let many = completions.is_some_and(|count| count > MANY_COMPLETIONS);
    if !many || !spec.has("backoffLimitPerIndex") {
        return;
    }
    if failed.is_none() {
        let text = format!("must be specified when completions is above {MANY_COMPLETIONS}");
        errors.required(&failed_path, &text);
    }
    for (key, value) in [("parallelism", parallelism), ("maxFailedIndexes", failed)] {
        if let Some(value) = value.filter(|value| *value > FEWER) {
            let text = format!(
                "must be less than or equal to {FEWER} when completions are above \
                 {MANY_COMPLETIONS} and used with backoff limit per index"
            );
            errors.invalid(&path.child(key), value, text);
        }
    }
}

fn replacement_policy(errors: &mut Errors, spec: &Value, path: &Path) {
    let Some(policy) = spec.optional_text("podReplacementPolicy") else {
        return;
    };
    let supported: &[&str] = if spec.has("podFailurePolicy") {
        &["Failed"]
    } else {
        &["Failed", "TerminatingOrFailed"]
    };
    if !supported.contains(&policy) {
        errors.not_supported(path, policy, supported);
    }
}

fn restart_policy(errors: &mut Errors, spec: &Value, path: &Path) {
    let policy = spec.at("template").at("spec").text("restartPolicy");
    match policy {
        "" | "Always" => errors.required(path, "valid values: \"OnFailure\", \"Never\""),
        "Never" => {}
        "OnFailure" if spec.has("podFailurePolicy") => {
            let text = "only \"Never\" is supported when podFailurePolicy is specified";
            errors.invalid(path, policy, text);
        }
        "OnFailure" => {}
        _ => errors.not_supported(path, policy, &["OnFailure", "Never"]),
    }
}
