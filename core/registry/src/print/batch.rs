//! Rows of Jobs and CronJobs.

use super::cells::{age, human_duration, items, name, number, since, text};
use super::workload::{containers, selector_or};
use model::Timestamp;
use serde_json::Value;

pub(super) fn job(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &object["spec"];
    let [names, images] = containers(&spec["template"]);
    vec![
        name(object),
        status(object).into(),
        completions(object).into(),
        duration(&object["status"], now).into(),
        age(object, now),
        names,
        images,
        selector_or(&spec["selector"]),
    ]
}

fn status(job: &Value) -> &'static str {
    let holds = |kind: &str| {
        let mut conditions = items(&job["status"]["conditions"]).iter();
        conditions.any(|one| one["type"] == kind && one["status"] == "True")
    };
    match () {
        () if holds("Complete") => "Complete",
        () if holds("Failed") => "Failed",
        () if !job["metadata"]["deletionTimestamp"].is_null() => "Terminating",
        () if holds("Suspended") => "Suspended",
        () if holds("FailureTarget") => "FailureTarget",
        () if holds("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let (spec, done) = (&job["spec"], number(&job["status"]["succeeded"]));
    if let Some(wanted) = spec["completions"].as_i64() {
        return format!("{done}/{wanted}");
    }
    match number(&spec["parallelism"]) {
        parallel if parallel > 1 => format!("{done}/1 of {parallel}"),
        _ => format!("{done}/1"),
    }
}

fn duration(status: &Value, now: Timestamp) -> String {
    let time = |key: &str| Timestamp::parse(text(&status[key]));
    let Some(start) = time("startTime") else {
        return String::new();
    };
    let end = time("completionTime").unwrap_or(now);
    human_duration(end.micros() - start.micros())
}

pub(super) fn cron_job(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let job = &spec["jobTemplate"]["spec"];
    let [names, images] = containers(&job["template"]);
    let last = &status["lastScheduleTime"];
    let last = if last.is_null() {
        "<none>".to_owned()
    } else {
        since(last, now)
    };
    let suspend = match spec["suspend"].as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    };
    vec![
        name(object),
        text(&spec["schedule"]).into(),
        spec["timeZone"].as_str().unwrap_or("<none>").into(),
        suspend.into(),
        items(&status["active"]).len().into(),
        last.into(),
        age(object, now),
        names,
        images,
        selector_or(&job["selector"]),
    ]
}
