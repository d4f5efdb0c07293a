//! CronJobs: Jobs by the clock.

use super::job::{Job, KIND as JOB};
use super::{BATCH, Kind, status_write};
use crate::fields::{nullable, set, text};
use crate::{Context, Controller, Key, Outcome};
use model::{Cron, Event, Object, Resource, Timestamp, View, Write};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const KIND: Kind = Kind {
    resource: Resource::CRON_JOBS,
    api_version: BATCH,
    kind: "CronJob",
    component: "cronjob-controller",
};

/// When the Job was due, as it stands on the Job.
const DUE: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// Times that were missed are looked through up to this many.
const MOST_MISSED: usize = 1_000;
/// More missed times than this are told.
const MANY_MISSED: usize = 100;

/// Makes the Jobs of CronJobs.
pub(crate) const CONTROLLER: Controller = Controller {
    name: KIND.component,
    keys,
    reconcile: |context, key| reconcile(context, key).unless_ending(context, key),
    refused: |context, key, write, error| {
        let object = context.view.get(key.resource, &key.namespace, &key.name);
        match (object, write) {
            (Some(object), Write::Create { .. }) if !super::namespace_terminating(error) => {
                let message = format!("Error creating job: {error}");
                Outcome::of([KIND.note("Warning", &object, "FailedCreate", message)])
            }
            _ => Outcome::default(),
        }
    },
};

type CronJob = super::Workload<Spec, Status>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(deserialize_with = "nullable")]
    schedule: String,
    time_zone: Option<String>,
    starting_deadline_seconds: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    concurrency_policy: String,
    #[serde(deserialize_with = "nullable")]
    suspend: bool,
    #[serde(deserialize_with = "nullable")]
    job_template: Value,
    successful_jobs_history_limit: Option<usize>,
    failed_jobs_history_limit: Option<usize>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(deserialize_with = "nullable")]
    active: Vec<Value>,
    last_schedule_time: Option<String>,
    last_successful_time: Option<String>,
}

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    match object.resource {
        Resource::CRON_JOBS => vec![object.key()],
        Resource::JOBS => KIND.keys_of_owned(event, view, |_| false),
        _ => Vec::new(),
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let object = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(cron) = object.as_ref().and_then(CronJob::parse) else {
        return Outcome::default();
    };
    let mut jobs = context.view.list(Resource::JOBS, Some(&key.namespace));
    jobs.retain(|job| {
        let owner = job.meta.controller();
        owner.is_some_and(|owner| *owner.uid == *cron.object.meta.uid)
    });
    let mut pass = Pass {
        context,
        jobs: jobs.iter().filter_map(Job::parse).collect(),
        status: cron.status.clone(),
        cron: &cron,
        writes: Vec::new(),
        again_in: None,
    };
    pass.take_stock();
    pass.clean_up();
    if !cron.object.meta.is_deleting() {
        pass.schedule();
    }
    pass.finish()
}

struct Pass<'a> {
    context: &'a Context<'a>,
    cron: &'a CronJob,
    jobs: Vec<Job>,
    status: Status,
    writes: Vec<Write>,
    again_in: Option<Duration>,
}

fn due(job: &Job) -> Option<Timestamp> {
    Timestamp::parse(job.object.meta.annotations.get(DUE)?)
}

fn is_reference_to(reference: &Value, object: &Object) -> bool {
    reference["uid"] == *object.meta.uid
}

impl Pass<'_> {
    fn note(&mut self, kind: &'static str, reason: &str, message: String) {
        let note = KIND.note(kind, &self.cron.object, reason, message);
        self.writes.push(note);
    }

    /// As [`Pass::note`], once for each message.
    fn note_once(&mut self, reason: &str, message: String) {
        let key = self.cron.object.key();
        if self.context.memory.is_news(KIND.component, &key, &message) {
            self.note("Warning", reason, message);
        }
    }

    /// What became of the Jobs since the last pass.
    fn take_stock(&mut self) {
        let before = std::mem::take(&mut self.status.active);
        for reference in before {
            let job = self
                .jobs
                .iter()
                .find(|job| is_reference_to(&reference, &job.object));
            let name = text(&reference, "/name").to_owned();
            match job {
                Some(job) if job.is_finished() => {
                    let how = if job.is_complete() {
                        "Complete"
                    } else {
                        "Failed"
                    };
                    let message = format!("Saw completed job: {name}, condition: {how}");
                    self.note("Normal", "SawCompletedJob", message);
                }
                Some(_) => self.status.active.push(reference),
                None => {
                    let message = format!("Active job went missing: {name}");
                    self.note("Normal", "MissingJob", message);
                }
            }
        }
        for job in &self.jobs {
            self.status.take_over(job);
        }
    }

    /// Deletes the oldest Jobs beyond the limits of the history.
    fn clean_up(&mut self) {
        let spec = &self.cron.spec;
        for (good, limit) in [
            (true, spec.successful_jobs_history_limit),
            (false, spec.failed_jobs_history_limit),
        ] {
            let Some(limit) = limit else { continue };
            let kept = self.jobs.iter().filter(|job| {
                job.is_finished() && job.is_complete() == good && !job.object.meta.is_deleting()
            });
            let mut ended: Vec<Arc<Object>> = {
                let mut jobs: Vec<&Job> = kept.collect();
                jobs.sort_by_key(|job| (job.start_time(), job.object.meta.name.clone()));
                jobs.into_iter().map(|job| job.object.clone()).collect()
            };
            let excess = ended.len().saturating_sub(limit);
            for job in ended.drain(..excess) {
                self.delete(&job);
            }
        }
    }

    fn delete(&mut self, job: &Arc<Object>) {
        self.writes.push(Write::Delete {
            key: job.key(),
            uid: Some(job.meta.uid.clone()),
            grace_seconds: None,
            propagation: Some("Background"),
        });
        self.status.active.retain(|one| !is_reference_to(one, job));
        let message = format!("Deleted job {}", job.meta.name);
        self.note("Normal", "SuccessfulDelete", message);
    }

    fn schedule(&mut self) {
        let spec = &self.cron.spec;
        let zone = spec.time_zone.as_deref().unwrap_or("UTC");
        if spec.suspend {
            return;
        }
        if !is_utc(zone) || spec.schedule.contains("TZ=") {
            let message = format!("invalid timeZone: {zone:?}: this server knows UTC alone");
            return self.note_once("UnknownTimeZone", message);
        }
        let schedule = match Cron::parse(&spec.schedule) {
            Ok(schedule) => schedule,
            Err(why) => {
                let message = format!("unparseable schedule: {:?} : {why}", spec.schedule);
                return self.note_once("UnparseableSchedule", message);
            }
        };
        let missed = self.missed(&schedule);
        if missed.len() > MANY_MISSED {
            let message = "too many missed start times. Set or decrease \
                           .spec.startingDeadlineSeconds or check clock skew";
            self.note_once("TooManyMissedTimes", message.to_owned());
        }
        if let Some(time) = missed.last() {
            self.start(*time);
        }
        let next = schedule.next(self.context.now);
        self.again_in = next.map(|next| {
            let left = next.micros() - self.context.now.micros();
            Duration::from_micros(u64::try_from(left).unwrap_or(0)) + Duration::from_millis(100)
        });
    }

    /// Times that are past since the last one, of which only the latest matters.
    fn missed(&self, schedule: &Cron) -> Vec<Timestamp> {
        let last = self.status.last_schedule_time.as_deref();
        let created = &*self.cron.object.meta.creation_timestamp;
        let now = self.context.now;
        let mut from = Timestamp::parse(last.unwrap_or(created)).unwrap_or(now);
        if let Some(seconds) = self.cron.spec.starting_deadline_seconds {
            from = from.max(now.plus_seconds(-seconds));
        }
        let mut missed = Vec::new();
        while let Some(next) = schedule.next(from).filter(|next| *next <= now) {
            if missed.len() >= MOST_MISSED {
                // Of so many, those of the last day are enough.
                missed.clear();
                from = from.max(now.plus_seconds(-86_400));
                if next < from {
                    continue;
                }
            }
            missed.push(next);
            from = next;
        }
        missed
    }

    /// Makes the Job of one time, if nothing stands against it.
    fn start(&mut self, time: Timestamp) {
        let name = format!("{}-{}", self.cron.name(), time.seconds() / 60);
        let namespace = self.cron.object.meta.namespace.clone();
        let view = self.context.view;
        if view.get(Resource::JOBS, &namespace, &name).is_some() {
            return;
        }
        let active: Vec<Arc<Object>> = self
            .jobs
            .iter()
            .filter(|job| !job.is_finished() && !job.object.meta.is_deleting())
            .map(|job| job.object.clone())
            .collect();
        match self.cron.spec.concurrency_policy.as_str() {
            "Forbid" if !active.is_empty() => {
                let message = "Not starting job because prior execution is running and \
                               concurrency policy is Forbid";
                return self.note_once("JobAlreadyActive", message.to_owned());
            }
            "Replace" => active.iter().for_each(|job| self.delete(job)),
            _ => {}
        }
        self.writes.push(Write::Create {
            resource: Resource::JOBS,
            object: self.job(&name, time),
        });
        self.note("Normal", "SuccessfulCreate", format!("Created job {name}"));
        self.status.last_schedule_time = Some(time.rfc3339());
    }

    fn job(&self, name: &str, time: Timestamp) -> Value {
        let template = &self.cron.spec.job_template;
        let mut metadata = json!({
            "name": name,
            "namespace": &*self.cron.object.meta.namespace,
            "ownerReferences": [KIND.reference(&self.cron.object.meta)],
        });
        for field in ["labels", "annotations"] {
            let value = &template["metadata"][field];
            if value.is_object() {
                metadata[field] = value.clone();
            }
        }
        set(&mut metadata, &["annotations", DUE], time.rfc3339().into());
        json!({
            "apiVersion": BATCH, "kind": JOB.kind, "metadata": metadata, "spec": template["spec"],
        })
    }

    fn finish(mut self) -> Outcome {
        self.writes
            .extend(status_write(&self.cron.object, self.status.value()));
        Outcome {
            writes: self.writes,
            again_in: self.again_in,
        }
    }
}

fn is_utc(zone: &str) -> bool {
    let zone = zone.to_ascii_lowercase();
    let zone = zone.strip_prefix("etc/").unwrap_or(&zone);
    matches!(zone, "" | "utc" | "uct" | "gmt" | "zulu")
}

impl Status {
    /// What one Job says about the times and what runs.
    fn take_over(&mut self, job: &Job) {
        let meta = &job.object.meta;
        let due = due(job);
        let listed = self
            .active
            .iter()
            .any(|reference| is_reference_to(reference, &job.object));
        if due.is_some() && !listed && !job.is_finished() && !meta.is_deleting() {
            self.active.push(json!({
                "apiVersion": BATCH, "kind": JOB.kind, "name": &*meta.name,
                "namespace": &*meta.namespace, "uid": &*meta.uid,
                "resourceVersion": meta.resource_version.to_string(),
            }));
        }
        let later = |have: &Option<String>, time: Timestamp| {
            let have = have.as_deref().and_then(Timestamp::parse);
            have.is_none_or(|have| time > have)
        };
        if let Some(due) = due.filter(|due| later(&self.last_schedule_time, *due)) {
            self.last_schedule_time = Some(due.rfc3339());
        }
        let done = job.finish_time().filter(|_| job.is_complete());
        if let Some(done) = done.filter(|done| later(&self.last_successful_time, *done)) {
            self.last_successful_time = Some(done.rfc3339());
        }
    }

    fn value(&self) -> Value {
        let mut out = json!({});
        if !self.active.is_empty() {
            out["active"] = self.active.clone().into();
        }
        for (field, time) in [
            ("lastScheduleTime", &self.last_schedule_time),
            ("lastSuccessfulTime", &self.last_successful_time),
        ] {
            if let Some(time) = time {
                out[field] = time.as_str().into();
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_has_several_names() {
        assert!(is_utc("UTC") && is_utc("Etc/UTC") && is_utc(""));
        assert!(!is_utc("Europe/Berlin"));
    }
}
