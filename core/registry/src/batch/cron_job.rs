//! CronJobs. Source: `pkg/registry/batch/cronjob`.

use super::job_spec;
use crate::declared::{Check, Declared, template_options};
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, same, set_default};
use crate::field::selector;
use crate::work::replicas;
use model::Cron;
use serde_json::Value;

/// The rules of CronJobs.
pub(crate) struct CronJobs;

const TEMPLATE: &[&str] = &["spec", "jobTemplate", "spec", "template"];

/// The names of Jobs have 11 characters more.
const NAME_LENGTH: usize = 52;

/// One step of a time zone's name may be this long.
const ZONE_PART: usize = 14;

impl Declared for CronJobs {
    fn defaults(&self, object: &mut Value) {
        let Some(spec) = ensure(object, "spec") else {
            return;
        };
        set_default(spec, "concurrencyPolicy", "Allow");
        set_default(spec, "suspend", false);
        set_default(spec, "successfulJobsHistoryLimit", 3);
        set_default(spec, "failedJobsHistoryLimit", 1);
        let template = ensure(spec, "jobTemplate");
        if let Some(spec) = template.and_then(|template| ensure(template, "spec")) {
            job_spec::defaults(spec);
        }
    }

    fn template(&self) -> Option<&'static [&'static str]> {
        Some(TEMPLATE)
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (spec, path) = (object.at("spec"), Path::new("spec"));
        let old = check.old.map(|old| old.at("spec"));
        schedule(errors, spec, old, &path.child("schedule"));
        if let Some(seconds) = spec.number("startingDeadlineSeconds") {
            errors.nonnegative(&path.child("startingDeadlineSeconds"), seconds);
        }
        if old.is_none_or(|old| !same(old.at("timeZone"), spec.at("timeZone"))) {
            time_zone(errors, spec, &path.child("timeZone"));
        }
        let policies = ["Allow", "Forbid", "Replace"];
        let policy = spec.text("concurrencyPolicy");
        errors.one_of(&path.child("concurrencyPolicy"), policy, &policies);
        job_template(
            errors,
            spec,
            check.old,
            &path.child("jobTemplate").child("spec"),
        );
        for key in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
            if let Some(limit) = spec.number(key) {
                errors.nonnegative(&path.child(key), limit);
            }
        }
        let name = object.at("metadata").text("name");
        if check.old.is_none() && name.len() > NAME_LENGTH {
            let text = format!("must be no more than {NAME_LENGTH} characters");
            errors.invalid(&Path::new("metadata").child("name"), name, text);
        }
    }

    fn tell(&self, object: &Value, check: &Check<'_>) -> Vec<String> {
        let mut all = replicas::name_warning(object, check.old);
        let generation = |object: &Value| object.at("metadata").number("generation");
        if check
            .old
            .is_none_or(|old| generation(old) != generation(object))
        {
            let path = Path::new("spec").child("jobTemplate").child("spec");
            all.extend(job_spec::warning(
                object.at("spec").at("jobTemplate").at("spec"),
                &path,
            ));
        }
        all
    }

    fn tell_last(&self, object: &Value, check: &Check<'_>) -> Vec<String> {
        let mut all = Vec::new();
        let spec = object.at("spec");
        if check.old.is_some() && spec.text("schedule").contains("TZ") {
            all.push(
                "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
                 https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more \
                 details"
                    .to_owned(),
            );
        }
        let zone = spec.text("timeZone");
        if check.old.is_none() && !zone.is_empty() && !is_utc(zone) {
            all.push(format!(
                "spec.timeZone: this server knows no time zone but UTC; it makes no Jobs for the \
                 time zone {}",
                model::go_quote(zone)
            ));
        }
        all
    }
}

/// Names of the one time zone whose rules are known here.
fn is_utc(zone: &str) -> bool {
    let names = [
        "utc", "etc/utc", "etc/uct", "uct", "gmt", "etc/gmt", "zulu", "etc/zulu",
    ];
    names.contains(&zone.to_ascii_lowercase().as_str())
}

fn schedule(errors: &mut Errors, spec: &Value, old: Option<&Value>, path: &Path) {
    let text = spec.text("schedule");
    if text.is_empty() {
        return errors.required(path, "");
    }
    if let Err(why) = Cron::parse(text) {
        errors.invalid(path, text, why);
    }
    if !text.contains("TZ") {
        return;
    }
    let allowed = old.is_some_and(|old| old.text("schedule").contains("TZ"));
    if !allowed {
        let text_of = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.invalid(path, text, text_of);
    } else if spec.has("timeZone") {
        let text_of = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
        errors.invalid(path, text, text_of);
    }
}

fn time_zone(errors: &mut Errors, spec: &Value, path: &Path) {
    let Some(zone) = spec.optional_text("timeZone") else {
        return;
    };
    if zone.is_empty() {
        let text = "timeZone must be nil or non-empty string";
        return errors.invalid(path, zone, text);
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_+".contains(&b);
    let bad = |part: &str| {
        matches!(part, "." | "..")
            || part.starts_with('-')
            || part.is_empty()
            || part.len() > ZONE_PART
            || !part.bytes().all(allowed)
    };
    if zone.split('/').any(bad) {
        errors.invalid(path, zone, format!("unknown time zone {zone}"));
    } else if zone.eq_ignore_ascii_case("Local") {
        let text = "timeZone must be an explicit time zone as defined in \
                    https://www.iana.org/time-zones";
        errors.invalid(path, zone, text);
    }
}

fn job_template(errors: &mut Errors, spec: &Value, old: Option<&Value>, path: &Path) {
    let spec = spec.at("jobTemplate").at("spec");
    job_spec::check(errors, spec, path, &template_options(old, TEMPLATE));
    let found = spec.at("selector");
    if !found.is_null() {
        errors.invalid_shown(
            &path.child("selector"),
            selector::go_json(found),
            "`selector` will be auto-generated",
        );
    }
    if spec.flag("manualSelector") == Some(true) {
        let path = path.child("manualSelector");
        errors.not_supported(&path, true, &["nil", "false"]);
    }
}
