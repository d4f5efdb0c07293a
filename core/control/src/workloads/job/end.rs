//! Whether a Job is at its end, and why.

use super::failure_policy::{fail_job, success};
use super::indexes::Indexes;
use super::spec::Job;
use super::tracking::Tally;
use crate::fields::text;
use crate::pods::Pod;
use model::Timestamp;

/// How a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) good: bool,
    pub(super) reason: String,
    pub(super) message: String,
}

impl End {
    fn bad(reason: &str, message: impl Into<String>) -> Self {
        Self {
            good: false,
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// All completions are reached.
    pub(super) fn reached() -> Self {
        Self {
            good: true,
            reason: "CompletionsReached".to_owned(),
            message: "Reached expected number of succeeded pods".to_owned(),
        }
    }

    /// The condition that announces it while Pods are still there.
    pub(super) fn interim(&self) -> &'static str {
        if self.good {
            "SuccessCriteriaMet"
        } else {
            "FailureTarget"
        }
    }

    /// The condition that tells it.
    pub(super) fn last(&self) -> &'static str {
        if self.good { "Complete" } else { "Failed" }
    }
}

/// The end that was announced before.
pub(super) fn announced(job: &Job) -> Option<End> {
    let good = job.status.holds("SuccessCriteriaMet");
    let found = good.or_else(|| job.status.holds("FailureTarget"))?;
    Some(End {
        good: good.is_some(),
        reason: text(found, "/reason").to_owned(),
        message: text(found, "/message").to_owned(),
    })
}

/// Indexes of an indexed Job.
pub(super) struct Progress {
    pub(super) done: Indexes,
    pub(super) failed: Option<Indexes>,
}

/// An end that makes no difference to what runs: all of it is stopped.
pub(super) fn early(
    job: &Job,
    pods: &[Pod],
    tally: &Tally,
    (progress, now): (Option<&Progress>, Timestamp),
) -> Option<End> {
    if let Some(end) = announced(job) {
        return Some(end);
    }
    if let Some(why) = fail_job(job, pods) {
        return Some(End::bad("PodFailurePolicy", why));
    }
    if tally.failed > job.spec.backoff_limit() || restarts_exceed(job, pods) {
        let text = "Job has reached the specified backoff limit";
        return Some(End::bad("BackoffLimitExceeded", text));
    }
    if deadline_left(job, now).is_some_and(|left| left <= 0) {
        let text = "Job was active longer than specified deadline";
        return Some(End::bad("DeadlineExceeded", text));
    }
    progress.and_then(|progress| by_index(job, progress))
}

fn by_index(job: &Job, progress: &Progress) -> Option<End> {
    if let Some(failed) = &progress.failed {
        let (failed, done) = (
            super::members::count(failed.len()),
            super::members::count(progress.done.len()),
        );
        if job
            .spec
            .max_failed_indexes
            .is_some_and(|most| failed > most)
        {
            let text = "Job has exceeded the specified maximal number of failed indexes";
            return Some(End::bad("MaxFailedIndexesExceeded", text));
        }
        if failed > 0 && failed + done >= job.spec.completions.unwrap_or(0) {
            return Some(End::bad("FailedIndexes", "Job has failed indexes"));
        }
    }
    success(job, &progress.done).map(|message| End {
        good: true,
        reason: "SuccessPolicy".to_owned(),
        message,
    })
}

/// With `OnFailure`, restarts of containers count instead of Pods.
fn restarts_exceed(job: &Job, pods: &[Pod]) -> bool {
    if job.spec.template["spec"]["restartPolicy"] != "OnFailure" {
        return false;
    }
    let running = pods
        .iter()
        .filter(|pod| matches!(pod.status.phase.as_str(), "Running" | "Pending"));
    let sum: i64 = running.map(Pod::total_restarts).sum();
    match job.spec.backoff_limit() {
        0 => sum > 0,
        limit => sum >= limit,
    }
}

/// Microseconds until the deadline; `None` when there is none now.
pub(super) fn deadline_left(job: &Job, now: Timestamp) -> Option<i64> {
    let seconds = job.spec.active_deadline_seconds?;
    let start = job.start_time().filter(|_| !job.spec.suspend)?;
    Some(start.plus_seconds(seconds).micros() - now.micros())
}
