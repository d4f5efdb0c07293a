//! One step of a Job towards its end.

use super::end::{self, End, Progress};
use super::members::{Members, count, delay, index};
use super::spec::{Job, Status, Why};
use super::tracking::{Tally, tally, track};
use super::{FINALIZER, INDEX, KIND, delete, indexes, release};
use crate::fields::set;
use crate::pods::Pod;
use crate::workloads::{free_pod_name, status_write, template};
use crate::{Context, Outcome};
use model::{Resource, Write};
use serde_json::{Value, json};
use std::time::Duration;

/// Pods that one step makes or deletes at most
const BURST: i64 = 500;

struct Step<'a> {
    context: &'a Context<'a>,
    job: &'a Job,
    members: Members<'a>,
    tally: Tally,
    progress: Option<Progress>,
    status: Status,
    active: i64,
    /// Writes before the status, and after it
    first: Vec<Write>,
    last: Vec<Write>,
    again_in: Option<Duration>,
}

pub(super) fn run(context: &Context<'_>, job: &Job, pods: &[Pod]) -> Outcome {
    let members = Members::of(pods);
    let progress = job.spec.is_indexed().then(|| Progress {
        done: indexes::done(job, pods),
        failed: indexes::exhausted(job, pods),
    });
    let mut tally = tally(job, pods);
    if let Some(progress) = &progress {
        tally.succeeded = count(progress.done.len());
    }
    let mut step = Step {
        context,
        job,
        active: count(members.active.len()),
        members,
        tally,
        progress,
        status: job.status.clone(),
        first: Vec::new(),
        last: Vec::new(),
        again_in: None,
    };
    step.start();
    let end = step.advance();
    step.finish(end)
}

impl Step<'_> {
    fn why<'a>(&self, reason: &'a str, message: &'a str) -> Why<'a> {
        Why {
            reason,
            message,
            now: self.context.now,
        }
    }

    fn start(&mut self) {
        if self.status.start_time.is_none() && !self.job.spec.suspend {
            self.status.start_time = Some(self.context.now.rfc3339());
        }
        let left = end::deadline_left(self.job, self.context.now);
        self.again_in = left
            .and_then(|left| u64::try_from(left).ok())
            .map(Duration::from_micros);
    }

    /// Makes and deletes Pods; says whether the Job is at its end.
    fn advance(&mut self) -> Option<End> {
        let now = (self.progress.as_ref(), self.context.now);
        let early = end::early(self.job, self.members.all, &self.tally, now);
        if early.is_some() {
            // Those on their way out count as failed once they are gone.
            for pod in &self.members.active {
                self.first.push(delete(&pod.object, None));
            }
            self.goes(self.active, self.members.ready);
            return early;
        }
        if !self.job.object.meta.is_deleting() {
            self.manage();
        }
        let complete = match self.job.spec.completions {
            None => self.tally.succeeded > 0 && self.active == 0,
            Some(wanted) => self.tally.succeeded >= wanted && self.active == 0,
        };
        if complete {
            return Some(End::reached());
        }
        if !self.job.object.meta.is_deleting() {
            self.tell_suspension();
        }
        None
    }

    /// So many Pods leave the active ones.
    fn goes(&mut self, pods: i64, ready: i64) {
        self.active -= pods;
        self.members.ready -= ready;
        self.members.terminating += pods;
    }

    fn manage(&mut self) {
        let spec = &self.job.spec;
        let wanted = match spec.completions {
            _ if spec.suspend => 0,
            None if self.tally.succeeded > 0 => self.active,
            None => spec.parallelism(),
            Some(all) => (all - self.tally.succeeded).min(spec.parallelism()).max(0),
        };
        if self.active > wanted {
            self.shrink((self.active - wanted).min(BURST));
            return;
        }
        let held = if spec.replaces_failed_only() {
            self.members.terminating
        } else {
            0
        };
        let missing = wanted - held - self.active;
        if missing <= 0 || spec.suspend {
            return;
        }
        if spec.backoff_limit_per_index.is_none() {
            let seconds = delay(self.job, self.members.all, self.context.now);
            if seconds > 0 {
                let wait = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                self.again_in = Some(self.again_in.map_or(wait, |other| other.min(wait)));
                return;
            }
        }
        self.grow(missing.min(BURST));
    }

    /// Those that are the least loss go first: not yet running, not ready, younger.
    fn shrink(&mut self, excess: i64) {
        let mut pods = self.members.active.clone();
        pods.sort_by_key(|pod| {
            let created = pod.object.meta.creation_timestamp.clone();
            let running = pod.status.phase == "Running";
            let bound = !pod.spec.node_name.is_empty();
            (
                bound,
                running,
                pod.is_ready(),
                std::cmp::Reverse(created),
                pod.object.meta.uid.clone(),
            )
        });
        let excess = usize::try_from(excess).unwrap_or(0);
        let gone: Vec<&Pod> = pods.into_iter().take(excess).collect();
        let ready = count(gone.iter().filter(|pod| pod.is_ready()).count());
        for pod in &gone {
            self.first.push(release(&pod.object));
            self.first.push(delete(&pod.object, None));
            let message = format!("Deleted pod: {}", pod.name());
            let note = KIND.note("Normal", &self.job.object, "SuccessfulDelete", message);
            self.first.push(note);
        }
        self.goes(count(gone.len()), ready);
    }

    fn grow(&mut self, missing: i64) {
        let mut names = Vec::new();
        for index in self.places(missing) {
            let prefix = match index {
                None => format!("{}-", self.job.name()),
                Some(index) => format!("{}-{index}-", self.job.name()),
            };
            let namespace = &self.job.object.meta.namespace;
            let name = free_pod_name(self.context, namespace, &prefix, &names);
            let object = self.pod(&prefix, &name, index);
            self.first.push(Write::Create {
                resource: Resource::PODS,
                object,
            });
            let message = format!("Created pod: {name}");
            let note = KIND.note("Normal", &self.job.object, "SuccessfulCreate", message);
            self.first.push(note);
            names.push(name);
            self.active += 1;
        }
    }

    /// The index of each Pod to make; none in Jobs without indexes.
    fn places(&self, missing: i64) -> Vec<Option<i64>> {
        let missing = usize::try_from(missing).unwrap_or(0);
        let Some(progress) = &self.progress else {
            return vec![None; missing];
        };
        let taken = self.members.active.iter();
        let taken: indexes::Indexes = taken.filter_map(|pod| index(self.job, pod)).collect();
        let failed = progress.failed.clone().unwrap_or_default();
        let all = 0..self.job.spec.completions.unwrap_or(0);
        let free = |index: &i64| {
            !taken.contains(index) && !progress.done.contains(index) && !failed.contains(index)
        };
        all.filter(free).take(missing).map(Some).collect()
    }

    fn pod(&self, prefix: &str, name: &str, index: Option<i64>) -> Value {
        let mut template = self.job.spec.template.clone();
        let held = crate::fields::elements(&template, "/metadata/finalizers");
        let mut finalizers = held.to_vec();
        if !finalizers.iter().any(|one| one == FINALIZER) {
            finalizers.push(FINALIZER.into());
        }
        set(
            &mut template,
            &["metadata", "finalizers"],
            finalizers.into(),
        );
        if let Some(index) = index {
            add_index(&mut template, self.job.name(), index);
        }
        let mut pod = template::pod(&template, &self.job.object, &KIND);
        set(&mut pod, &["metadata", "generateName"], prefix.into());
        set(&mut pod, &["metadata", "name"], name.into());
        pod
    }

    fn tell_suspension(&mut self) {
        let (suspended, now) = (self.job.spec.suspend, self.context.now.rfc3339());
        let (reason, message) = if suspended {
            ("JobSuspended", "Job suspended")
        } else {
            ("JobResumed", "Job resumed")
        };
        let why = self.why(reason, message);
        if !self.status.set_condition("Suspended", suspended, why) {
            return;
        }
        self.status.start_time = (!suspended).then_some(now);
        let reason = if suspended { "Suspended" } else { "Resumed" };
        let note = KIND.note("Normal", &self.job.object, reason, message.to_owned());
        self.last.push(note);
    }

    fn finish(mut self, end: Option<End>) -> Outcome {
        self.status.active = self.active;
        self.status.ready = Some(self.members.ready);
        self.status.terminating = Some(self.members.terminating);
        let all = self.members.all;
        let released = track(self.job, all, &mut self.status, end.is_some());
        if let Some(progress) = &self.progress {
            self.status.succeeded = count(progress.done.len());
            self.status.completed_indexes = indexes::print(&progress.done);
            self.status.failed_indexes = progress.failed.as_ref().map(indexes::print);
        }
        if let Some(end) = end {
            self.conclude(&end);
        }
        let mut writes = self.first;
        writes.extend(status_write(&self.job.object, self.status.value()));
        writes.extend(released);
        writes.extend(self.last);
        Outcome {
            writes,
            again_in: self.again_in,
        }
    }

    fn conclude(&mut self, end: &End) {
        let why = Why {
            reason: &end.reason,
            message: &end.message,
            now: self.context.now,
        };
        self.status.set_condition(end.interim(), true, why);
        let uncounted = &self.status.uncounted_terminated_pods;
        let waiting = !uncounted.succeeded.is_empty()
            || !uncounted.failed.is_empty()
            || self.members.terminating > 0;
        if waiting {
            return;
        }
        self.status.set_condition(end.last(), true, why);
        self.again_in = None;
        let object = &self.job.object;
        self.last.push(if end.good {
            self.status.completion_time = Some(self.context.now.rfc3339());
            KIND.note("Normal", object, "Completed", "Job completed".to_owned())
        } else {
            KIND.note("Warning", object, &end.reason, end.message.clone())
        });
    }
}

/// A Pod of an indexed Job knows its index: by annotation, label, host name and variable.
fn add_index(template: &mut Value, job: &str, index: i64) {
    for map in ["annotations", "labels"] {
        set(
            template,
            &["metadata", map, INDEX],
            index.to_string().into(),
        );
    }
    set(
        template,
        &["spec", "hostname"],
        format!("{job}-{index}").into(),
    );
    let path = format!("metadata.labels['{INDEX}']");
    for list in ["initContainers", "containers"] {
        let containers = template["spec"].get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let name = "JOB_COMPLETION_INDEX";
            let mut env = crate::fields::elements(container, "/env").to_vec();
            if env.iter().any(|one| one["name"] == name) {
                continue;
            }
            env.push(json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}));
            set(container, &["env"], env.into());
        }
    }
}
