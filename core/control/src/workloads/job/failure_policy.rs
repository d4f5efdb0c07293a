//! `spec.podFailurePolicy` and `spec.successPolicy`.

use super::indexes::{self, Indexes};
use super::members::failed;
use super::spec::Job;
use crate::fields::elements;
use crate::pods::Pod;
use serde_json::Value;

/// What the policy says about a failed Pod.
pub(super) enum Verdict {
    Count,
    Ignore,
    /// The whole Job fails, for this reason
    FailJob(String),
}

/// Asks the first rule that fits.
pub(super) fn judge(job: &Job, pod: &Pod) -> Verdict {
    let Some(policy) = &job.spec.pod_failure_policy else {
        return Verdict::Count;
    };
    let value = pod.object.value();
    for (i, rule) in elements(policy, "/rules").iter().enumerate() {
        let Some(why) = matched(rule, &value) else {
            continue;
        };
        return match rule["action"].as_str() {
            Some("Ignore") => Verdict::Ignore,
            Some("FailJob") => {
                Verdict::FailJob(format!("{why} matching FailJob rule at index {i}"))
            }
            _ => Verdict::Count,
        };
    }
    Verdict::Count
}

/// Why the Job as a whole fails by its policy.
pub(super) fn fail_job(job: &Job, pods: &[Pod]) -> Option<String> {
    let mut failed = pods.iter().filter(|pod| failed(job, pod));
    failed.find_map(|pod| match judge(job, pod) {
        Verdict::FailJob(why) => Some(why),
        Verdict::Count | Verdict::Ignore => None,
    })
}

fn matched(rule: &Value, pod: &Value) -> Option<String> {
    let named = |pod: &Value| {
        let text = |key: &str| pod["metadata"][key].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("namespace"), text("name"))
    };
    if rule["onExitCodes"].is_object() {
        let (container, code) = exit_code(&rule["onExitCodes"], pod)?;
        return Some(format!(
            "Container {container} for pod {} failed with exit code {code}",
            named(pod)
        ));
    }
    let conditions = elements(pod, "/status/conditions");
    elements(rule, "/onPodConditions")
        .iter()
        .find_map(|pattern| {
            let mut conditions = conditions.iter();
            let found = conditions
                .find(|one| one["type"] == pattern["type"] && one["status"] == pattern["status"])?;
            let kind = found["type"].as_str().unwrap_or_default();
            Some(format!("Pod {} has condition {kind}", named(pod)))
        })
}

/// The first container whose exit code fits.
fn exit_code(requirement: &Value, pod: &Value) -> Option<(String, i64)> {
    let listed = |code: i64| {
        let mut values = elements(requirement, "/values").iter();
        values.any(|value| value.as_i64() == Some(code))
    };
    let fits = |code: i64| match requirement["operator"].as_str() {
        Some("In") => listed(code),
        Some("NotIn") => !listed(code),
        _ => false,
    };
    let statuses = ["/status/containerStatuses", "/status/initContainerStatuses"];
    let mut statuses = statuses.iter().flat_map(|list| elements(pod, list));
    statuses.find_map(|status| {
        let name = status["name"].as_str()?;
        let wanted = requirement["containerName"].as_str();
        let code = status["state"]["terminated"]["exitCode"].as_i64()?;
        let counts = wanted.is_none_or(|wanted| wanted == name) && code != 0 && fits(code);
        counts.then(|| (name.to_owned(), code))
    })
}

/// What a rule of the success policy says once it is met.
pub(super) fn success(job: &Job, done: &Indexes) -> Option<String> {
    let policy = job.spec.success_policy.as_ref()?;
    let most = job.spec.completions.unwrap_or(0);
    let rules = elements(policy, "/rules").iter().enumerate();
    rules.into_iter().find_map(|(i, rule)| {
        let listed = rule["succeededIndexes"].as_str();
        let relevant: Indexes = match listed {
            Some(text) => indexes::parse(text, most),
            None => (0..most).collect(),
        };
        let have = super::members::count(relevant.intersection(done).count());
        let need = rule["succeededCount"].as_i64();
        let need = need.unwrap_or_else(|| super::members::count(relevant.len()));
        (have >= need).then(|| format!("Matched rules at index {i}"))
    })
}
