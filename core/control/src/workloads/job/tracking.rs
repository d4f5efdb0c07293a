//! Counting of Pods that came to their end, each exactly once: its uid is written into the status
//! first, then its finalizer is taken off, then the counter goes up.

use super::failure_policy::{Verdict, judge};
use super::members::{failed, held, index, succeeded};
use super::release;
use super::spec::{Job, Status};
use crate::pods::Pod;
use model::Write;
use std::collections::BTreeSet;

/// So many Pods are counted at a time.
const MOST: usize = 500;

/// Pods that are not counted yet: new ones, and those whose uid stands in the status.
pub(super) struct Tally {
    pub(super) succeeded: i64,
    pub(super) failed: i64,
}

/// Counts as of now, with what is still to be written.
pub(super) fn tally(job: &Job, pods: &[Pod]) -> Tally {
    let uncounted = &job.status.uncounted_terminated_pods;
    let known = |list: &[String], pod: &Pod| list.iter().any(|uid| **uid == *pod.object.meta.uid);
    let new: Vec<&Pod> = held(pods)
        .filter(|pod| !known(&uncounted.succeeded, pod) && !known(&uncounted.failed, pod))
        .collect();
    let good = new.iter().filter(|pod| succeeded(pod)).count() + uncounted.succeeded.len();
    let counts = |pod: &&&Pod| failed(job, pod) && !matches!(judge(job, pod), Verdict::Ignore);
    let bad = new.iter().filter(counts).count() + uncounted.failed.len();
    Tally {
        succeeded: job.status.succeeded + super::members::count(good),
        failed: job.status.failed + super::members::count(bad),
    }
}

/// Moves what can be counted into the status, and says which finalizers to take off. `ending`: the
/// Job comes to its end, so that every Pod counts.
pub(super) fn track(job: &Job, pods: &[Pod], status: &mut Status, ending: bool) -> Vec<Write> {
    let present: BTreeSet<&str> = held(pods).map(|pod| &*pod.object.meta.uid).collect();
    let gone = |list: &mut Vec<String>| {
        let before = list.len();
        list.retain(|uid| present.contains(uid.as_str()));
        super::members::count(before - list.len())
    };
    let good = gone(&mut status.uncounted_terminated_pods.succeeded);
    status.failed += gone(&mut status.uncounted_terminated_pods.failed);
    if !job.spec.is_indexed() {
        status.succeeded += good;
    }
    let mut writes = Vec::new();
    for pod in held(pods).take(MOST) {
        let bad = failed(job, pod);
        if !(job.object.meta.is_deleting() || ending || succeeded(pod) || bad) {
            continue;
        }
        note_end(job, pod, status, bad || ending);
        writes.push(release(&pod.object));
    }
    writes
}

fn note_end(job: &Job, pod: &Pod, status: &mut Status, bad: bool) {
    let uncounted = &mut status.uncounted_terminated_pods;
    let uid = pod.object.meta.uid.to_string();
    if uncounted.succeeded.contains(&uid) || uncounted.failed.contains(&uid) {
        return;
    }
    if succeeded(pod) {
        if !job.spec.is_indexed() {
            uncounted.succeeded.push(uid);
        }
    } else if bad {
        let placed = !job.spec.is_indexed() || index(job, pod).is_some();
        if placed && !matches!(judge(job, pod), Verdict::Ignore) {
            uncounted.failed.push(uid);
        }
    }
}
