//! The Pods of a Job, sorted by what they are for it.

use super::spec::Job;
use super::{INDEX, is_held};
use crate::pods::Pod;
use model::Timestamp;

/// Delay before the first new attempt; it doubles with each further failure.
const FIRST_DELAY: i64 = 10;
const LONGEST_DELAY: i64 = 600;

/// The Pods of one Job.
pub(super) struct Members<'a> {
    pub(super) all: &'a [Pod],
    /// Neither at their end nor on their way out
    pub(super) active: Vec<&'a Pod>,
    pub(super) terminating: i64,
    pub(super) ready: i64,
}

impl<'a> Members<'a> {
    pub(super) fn of(all: &'a [Pod]) -> Self {
        let active: Vec<&Pod> = all.iter().filter(|pod| pod.is_active()).collect();
        let going = all
            .iter()
            .filter(|pod| pod.is_terminating() && !pod.is_terminal());
        Self {
            all,
            terminating: count(going.count()),
            ready: count(active.iter().filter(|pod| pod.is_ready()).count()),
            active,
        }
    }
}

pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Ran to a good end.
pub(super) fn succeeded(pod: &Pod) -> bool {
    pod.status.phase == "Succeeded"
}

/// Ran to a bad end, or is taken away before its end.
pub(super) fn failed(job: &Job, pod: &Pod) -> bool {
    if pod.status.phase == "Failed" {
        return true;
    }
    let gone = pod.is_terminating() && !succeeded(pod);
    gone && !job.spec.replaces_failed_only()
}

/// `batch.kubernetes.io/job-completion-index`, below the number of completions.
pub(super) fn index(job: &Job, pod: &Pod) -> Option<i64> {
    let text = pod.object.meta.annotations.get(INDEX)?;
    let index: i64 = text.parse().ok()?;
    let below = job.spec.completions.unwrap_or(0);
    (0..below).contains(&index).then_some(index)
}

/// When a Pod came to its end.
fn end(pod: &Pod) -> Option<Timestamp> {
    let finished = pod.finished_at();
    let ready = pod.condition("Ready").filter(|one| one.status == "False");
    let unready = ready.and_then(|_| pod.ready_changed());
    let created = Timestamp::parse(&pod.object.meta.creation_timestamp);
    finished.or(unready).or(created)
}

/// Seconds until the next attempt may begin, after failures since the last success.
pub(super) fn delay(job: &Job, pods: &[Pod], now: Timestamp) -> i64 {
    let last_success = pods
        .iter()
        .filter(|pod| succeeded(pod))
        .filter_map(end)
        .max();
    let failures: Vec<Timestamp> = pods
        .iter()
        .filter(|pod| failed(job, pod))
        .filter_map(end)
        .filter(|time| last_success.is_none_or(|success| *time > success))
        .collect();
    let Some(last) = failures.iter().max() else {
        return 0;
    };
    let doublings = u32::try_from(failures.len() - 1)
        .unwrap_or(u32::MAX)
        .min(10);
    let delay = (FIRST_DELAY << doublings).min(LONGEST_DELAY);
    let left = last.plus_seconds(delay).micros() - now.micros();
    // The next whole second after it.
    (left.max(0) + 999_999) / 1_000_000
}

/// Pods that are to be counted.
pub(super) fn held(pods: &[Pod]) -> impl Iterator<Item = &Pod> {
    pods.iter().filter(|pod| is_held(&pod.object))
}
