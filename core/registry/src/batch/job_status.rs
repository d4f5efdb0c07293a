//! Changes of a Job's status, by its controller or by another one (`managedBy`).
//!
//! A rule holds only where what it is about changes, so that a status that breaks it for now can
//! still be written in other places.

use super::indexes;
use crate::field::path::{Errors, IMMUTABLE, Path};
use crate::field::read::{Read, same};
use model::{FieldError, FieldErrorKind, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;

/// Whether a condition of the Job has this status.
pub(super) fn condition_is(job: &Value, kind: &str, status: &str) -> bool {
    let mut conditions = job.at("status").items("conditions").iter();
    conditions.any(|one| one.text("type") == kind && one.text("status") == status)
}

/// The conditions that the rules are about.
#[derive(Clone, Copy, PartialEq)]
struct Conditions {
    complete: bool,
    failed: bool,
    failure_target: bool,
    criteria_met: bool,
}

impl Conditions {
    fn of(job: &Value) -> Self {
        let holds = |kind| condition_is(job, kind, "True");
        Self {
            complete: holds("Complete"),
            failed: holds("Failed"),
            failure_target: holds("FailureTarget"),
            criteria_met: holds("SuccessCriteriaMet"),
        }
    }

    fn finished(self) -> bool {
        self.complete || self.failed
    }
}

/// One change under check.
struct Change<'a> {
    job: &'a Value,
    old: &'a Value,
    new: Conditions,
    was: Conditions,
    path: Path,
}

/// Checks a change of the status.
pub(super) fn check(errors: &mut Errors, job: &Value, old: &Value) {
    let change = Change {
        job,
        old,
        new: Conditions::of(job),
        was: Conditions::of(old),
        path: Path::new("status"),
    };
    counters(errors, &change);
    uncounted(errors, &change);
    times(errors, &change);
    conditions(errors, &change);
    finished(errors, &change);
    listed_indexes(errors, &change);
    monotone(errors, &change);
}

impl Change<'_> {
    fn status(&self) -> &Value {
        self.job.at("status")
    }

    fn changes(&self, key: &str) -> bool {
        !same(self.status().at(key), self.old.at("status").at(key))
    }

    fn number(&self, key: &str) -> i64 {
        self.status().number(key).unwrap_or(0)
    }

    fn finish_changes(&self) -> bool {
        self.new.finished() != self.was.finished()
    }

    fn complete_changes(&self) -> bool {
        self.new.complete != self.was.complete
    }

    fn bad_conditions(&self, errors: &mut Errors, detail: impl Into<String>) {
        errors.0.push(FieldError::new(
            FieldErrorKind::Invalid,
            self.path.child("conditions").as_str(),
            None,
            detail,
        ));
    }
}

fn counters(errors: &mut Errors, change: &Change<'_>) {
    for key in ["active", "succeeded", "failed", "ready", "terminating"] {
        errors.nonnegative(&change.path.child(key), change.number(key));
    }
    let (ready, active) = (change.number("ready"), change.number("active"));
    if (change.changes("ready") || change.changes("active")) && ready > active {
        let text = "cannot set more ready pods than active";
        errors.invalid(&change.path.child("ready"), ready, text);
    }
}

fn uncounted(errors: &mut Errors, change: &Change<'_>) {
    let pods = change.status().at("uncountedTerminatedPods");
    let path = change.path.child("uncountedTerminatedPods");
    let mut seen = BTreeSet::new();
    for key in ["succeeded", "failed"] {
        for (i, uid) in pods.texts(key).into_iter().enumerate() {
            let path = path.child(key).index(i);
            if uid.is_empty() {
                errors.invalid(&path, uid, "must not be empty");
            } else if !seen.insert(uid) {
                errors.duplicate(&path, uid);
            }
        }
    }
    let relevant = change.finish_changes() || change.changes("uncountedTerminatedPods");
    if relevant && change.new.finished() && !seen.is_empty() {
        let list = |key: &str| match pods.at(key) {
            Value::Null => "null".to_owned(),
            list => list.to_string(),
        };
        let fields = [("Succeeded", list("succeeded")), ("Failed", list("failed"))];
        let shown = crate::field::path::go_struct(&fields);
        errors.invalid_shown(&path, shown, "must be empty for finished job");
    }
}

fn times(errors: &mut Errors, change: &Change<'_>) {
    let status = change.status();
    let (start, end) = (status.at("startTime"), status.at("completionTime"));
    let path = change.path.child("completionTime");
    let start_changes = change.changes("startTime");
    let end_changes = change.changes("completionTime");
    if (change.complete_changes() || end_changes) && !end.is_null() && !change.new.complete {
        let text = "cannot set completionTime when there is no Complete=True condition";
        errors.invalid(&path, end.clone(), text);
    }
    if (change.complete_changes() || end_changes) && end.is_null() && change.new.complete {
        errors.required(&path, "completionTime is required for Complete jobs");
    }
    let parsed = |time: &Value| time.as_str().and_then(Timestamp::parse);
    if (start_changes || end_changes)
        && parsed(end)
            .zip(parsed(start))
            .is_some_and(|(end, start)| end < start)
    {
        let text = "must be equal to or after `startTime`";
        errors.invalid(&path, end.clone(), text);
    }
    let before = change.old.at("status");
    if !end.is_null() && before.has("completionTime") && end_changes {
        errors.invalid(&path, end.clone(), IMMUTABLE);
    }
    let suspended = change.job.at("spec").flag("suspend") == Some(true);
    let resuming = condition_is(change.old, "Suspended", "True")
        && condition_is(change.job, "Suspended", "False");
    if start_changes && !resuming && before.has("startTime") && !suspended {
        let text = "field is immutable for unsuspended job once set";
        errors.invalid(&change.path.child("startTime"), start.clone(), text);
    }
}

fn conditions(errors: &mut Errors, change: &Change<'_>) {
    let (new, was) = (change.new, change.was);
    let changed = |get: fn(Conditions) -> bool| get(new) != get(was);
    let (complete, failed) = (change.complete_changes(), changed(|c| c.failed));
    let rules = [
        (
            (complete || failed) && new.complete && new.failed,
            "cannot set Complete=True and Failed=true conditions",
        ),
        (
            (complete || changed(|c| c.failure_target)) && new.complete && new.failure_target,
            "cannot set Complete=True and FailureTarget=true conditions",
        ),
        (
            (failed || change.changes("failedIndexes")) && new.failed && !new.failure_target,
            "cannot set Failed=True condition without the FailureTarget=true condition",
        ),
        (
            (complete || changed(|c| c.criteria_met)) && new.complete && !new.criteria_met,
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        ),
        (
            new.criteria_met && new.failed,
            "cannot set SuccessCriteriaMet=True and Failed=true conditions",
        ),
        (
            new.criteria_met && new.failure_target,
            "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
        ),
        (
            change.job.at("spec").has("successPolicy") && !new.criteria_met && new.complete,
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
        ),
        (
            was.criteria_met && !new.criteria_met,
            "cannot disable the SuccessCriteriaMet=True condition",
        ),
        (
            was.complete && !was.criteria_met && new.criteria_met,
            "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
        ),
    ];
    for (broken, text) in rules {
        if broken {
            change.bad_conditions(errors, text);
        }
    }
    for (was, is, kind) in [
        (was.failed, new.failed, "Failed"),
        (was.complete, new.complete, "Complete"),
        (was.failure_target, new.failure_target, "FailureTarget"),
    ] {
        if was && !is {
            let text = format!("cannot disable the terminal {kind}=True condition");
            change.bad_conditions(errors, text);
        }
    }
}

fn finished(errors: &mut Errors, change: &Change<'_>) {
    if !change.new.finished() {
        return;
    }
    for key in ["active", "terminating"] {
        let count = change.number(key);
        if (change.finish_changes() || change.changes(key)) && count > 0 {
            let text = format!("{key}>0 is invalid for finished job");
            errors.invalid(&change.path.child(key), count, text);
        }
    }
    let spec = change.job.at("spec");
    let asleep = spec.flag("suspend") == Some(true) && spec.number("completions") == Some(0);
    let relevant = change.finish_changes() || change.changes("startTime");
    if relevant && !asleep && !change.status().has("startTime") {
        let path = change.path.child("startTime");
        errors.required(&path, "startTime is required for finished job");
    }
}

fn listed_indexes(errors: &mut Errors, change: &Change<'_>) {
    let spec = change.job.at("spec");
    let (per_index, completions) = (spec.has("backoffLimitPerIndex"), spec.number("completions"));
    let done = change.status().text("completedIndexes");
    let failed = change.status().optional_text("failedIndexes");
    let done_path = change.path.child("completedIndexes");
    let failed_path = change.path.child("failedIndexes");
    let (done_changes, failed_changes) = (
        change.changes("completedIndexes"),
        change.changes("failedIndexes"),
    );
    if let Some(completions) = completions {
        if done_changes && let Err(why) = indexes::count(done, completions) {
            let text = format!("error parsing completedIndexes: {why}");
            errors.invalid(&done_path, done, text);
        }
        if let Some(failed) = failed.filter(|_| failed_changes && per_index)
            && let Err(why) = indexes::count(failed, completions)
        {
            let text = format!("error parsing failedIndexes: {why}");
            errors.invalid(&failed_path, failed, text);
        }
        let shared = failed.and_then(|failed| indexes::overlap(done, failed, completions));
        if let Some(index) = shared.filter(|_| done_changes || failed_changes) {
            let text = format!("failedIndexes and completedIndexes overlap at index: {index}");
            errors.invalid(&failed_path, failed.unwrap_or_default(), text);
        }
    }
    if done_changes && !done.is_empty() && spec.text("completionMode") != "Indexed" {
        let text = "cannot set non-empty completedIndexes when non-indexed completion mode";
        errors.invalid(&done_path, done, text);
    }
    if let Some(failed) = failed.filter(|_| failed_changes && !per_index) {
        let text = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        errors.invalid(&failed_path, failed, text);
    }
}

/// Counters that never go down.
fn monotone(errors: &mut Errors, change: &Change<'_>) {
    let spec = change.job.at("spec");
    let elastic = spec.text("completionMode") == "Indexed"
        && same(spec.at("completions"), spec.at("parallelism"));
    for (key, held) in [("failed", true), ("succeeded", !elastic)] {
        let before = change.old.at("status").number(key).unwrap_or(0);
        if held && change.number(key) < before {
            let text = format!("cannot decrease the {key} counter");
            errors.invalid(&change.path.child(key), change.number(key), text);
        }
    }
}
