//! Jobs. Source: `pkg/registry/batch/job`.

use super::{job_spec, job_status};
use crate::declared::{Check, Declared, template_options};
use crate::field::path::{Errors, IMMUTABLE, Path};
use crate::field::read::{Read, copy_field, ensure, remove, same, set, set_default};
use crate::field::{names, selector};
use crate::work::go_print;
use crate::work::podspec::defaults::CONTAINER_LISTS;
use crate::work::replicas::{self, TEMPLATE};
use serde_json::Value;

/// The rules of Jobs.
pub(crate) struct Jobs;

/// Labels with the Job's name, and with its uid; the older ones first.
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

impl Declared for Jobs {
    fn defaults(&self, object: &mut Value) {
        let Some(spec) = ensure(object, "spec") else {
            return;
        };
        job_spec::defaults(spec);
        set_default(spec, "backoffLimit", backoff_limit(spec));
        set_default(spec, "completionMode", "NonIndexed");
        set_default(spec, "suspend", false);
        let replacement = if spec.has("podFailurePolicy") {
            "Failed"
        } else {
            "TerminatingOrFailed"
        };
        set_default(spec, "podReplacementPolicy", replacement);
        set_default(spec, "manualSelector", false);
        let has_completions = spec.has("completions") || spec.has("parallelism");
        if !has_completions {
            set(spec, "completions", 1);
        }
        set_default(spec, "parallelism", 1);
        take_labels(object);
    }

    fn template(&self) -> Option<&'static [&'static str]> {
        Some(TEMPLATE)
    }

    fn prepare(&self, object: &mut Value, check: &Check<'_>) {
        let manual = object.at("spec").flag("manualSelector") == Some(true);
        if check.old.is_none() && !manual {
            generate_selector(object);
            take_labels(object);
        }
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let labels = |object: &Value| {
            object
                .at("spec")
                .at("template")
                .at("metadata")
                .at("labels")
                .clone()
        };
        let prefixed = check.old.is_none_or(|old| {
            let labels = labels(old);
            labels.has(NAME_LABELS[1]) && labels.has(UID_LABELS[1])
        });
        generated_selector(errors, object, prefixed);
        let options = template_options(check.old, TEMPLATE);
        let (spec, path) = (object.at("spec"), Path::new("spec"));
        job_spec::with_selector(errors, spec, &path, &options);
        host_names(errors, object);
        if let Some(old) = check.old {
            // Upstream checks the spec twice on an update, and tells its faults twice.
            job_spec::with_selector(errors, spec, &path, &options);
            immutable(errors, spec, old);
        }
    }

    fn check_status(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        if let Some(old) = check.old {
            job_status::check(errors, object, old);
        }
    }

    fn tell(&self, object: &Value, check: &Check<'_>) -> Vec<String> {
        let mut all = replicas::name_warning(object, check.old);
        let generation = |object: &Value| object.at("metadata").number("generation");
        if check
            .old
            .is_none_or(|old| generation(old) != generation(object))
        {
            all.extend(job_spec::warning(object.at("spec"), &Path::new("spec")));
        }
        all
    }

    fn orphans(&self) -> bool {
        true
    }

    fn tell_delete(&self) -> Option<&'static str> {
        Some(
            "child pods are preserved by default when jobs are deleted; set \
             propagationPolicy=Background to remove them or set propagationPolicy=Orphan to \
             suppress this warning",
        )
    }

    fn selectable(&self, object: &Value) -> Vec<(&'static str, String)> {
        let count = object.at("status").number("succeeded").unwrap_or(0);
        vec![("status.successful", count.to_string())]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["status.successful"]
    }
}

fn backoff_limit(spec: &Value) -> i64 {
    if spec.has("backoffLimitPerIndex") {
        i64::from(i32::MAX)
    } else {
        6
    }
}

/// Without labels of its own, a Job has those of its template.
fn take_labels(object: &mut Value) {
    let labels = object.at("spec").at("template").at("metadata").at("labels");
    let labels = labels.clone();
    let empty = |map: &Value| map.as_object().is_none_or(serde_json::Map::is_empty);
    let own = object.at("metadata").at("labels");
    if !empty(&labels)
        && empty(own)
        && let Some(metadata) = ensure(object, "metadata")
    {
        set(metadata, "labels", labels);
    }
}

fn generate_selector(object: &mut Value) {
    let text = |key: &str| object.at("metadata").text(key).to_owned();
    let (name, uid) = (text("name"), text("uid"));
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    let template = ensure(spec, "template");
    let metadata = template.and_then(|template| ensure(template, "metadata"));
    if let Some(labels) = metadata.and_then(|metadata| ensure(metadata, "labels")) {
        for (keys, value) in [(NAME_LABELS, &name), (UID_LABELS, &uid)] {
            for key in keys {
                if !labels.has(key) {
                    set(labels, key, value.as_str());
                }
            }
        }
    }
    let found = ensure(spec, "selector");
    if let Some(labels) = found.and_then(|found| ensure(found, "matchLabels"))
        && !labels.has(UID_LABELS[1])
    {
        set(labels, UID_LABELS[1], uid);
    }
}

/// What [`generate_selector`] did must still stand there.
fn generated_selector(errors: &mut Errors, object: &Value, prefixed: bool) {
    let spec = object.at("spec");
    if spec.flag("manualSelector") == Some(true) || !spec.has("selector") {
        return;
    }
    let (metadata, template) = (object.at("metadata"), spec.at("template").at("metadata"));
    let path = Path::new("spec").child("template").child("metadata");
    let (name, uid) = (metadata.text("name"), metadata.text("uid"));
    let mut expected = serde_json::Map::new();
    for i in 0..2 {
        if i == 1 && !prefixed {
            continue;
        }
        for (key, value) in [(UID_LABELS[i], uid), (NAME_LABELS[i], name)] {
            has_label(errors, template, &path, (key, value));
            expected.insert(key.to_owned(), value.into());
        }
    }
    let found = spec.at("selector");
    if selector::is_convertible(found) && !selector::matches(found, &expected.into()) {
        errors.invalid_shown(
            &Path::new("spec").child("selector"),
            selector::go_json(found),
            "`selector` not auto-generated",
        );
    }
}

fn has_label(errors: &mut Errors, metadata: &Value, path: &Path, (key, value): (&str, &str)) {
    let labels = metadata.at("labels");
    let path = path.child("labels");
    match labels.optional_text(key) {
        None => errors.required(&path.key(key), &format!("must be '{value}'")),
        Some(found) if found != value => {
            errors.invalid(&path.key(key), labels.clone(), format!("must be '{value}'"))
        }
        Some(_) => {}
    }
}

/// Pods of indexed Jobs get the index as the end of their host name.
fn host_names(errors: &mut Errors, object: &Value) {
    let spec = object.at("spec");
    let count = spec.number("completions").unwrap_or(0);
    if spec.text("completionMode") != "Indexed" || count <= 0 {
        return;
    }
    let name = object.at("metadata").text("name");
    let longest = format!("{name}-{}", count - 1);
    if !names::dns1123_label(&longest).is_empty() {
        let text = format!("will not able to create pod with invalid DNS label: {longest}");
        errors.invalid(&Path::new("metadata").child("name"), name, text);
    }
}

fn immutable(errors: &mut Errors, spec: &Value, old: &Value) {
    let (before, path) = (old.at("spec"), Path::new("spec"));
    completions(errors, spec, before, &path.child("completions"));
    errors.immutable_shown(
        &path.child("selector"),
        spec.at("selector"),
        before.at("selector"),
        selector::go_json,
    );
    template(errors, spec, old, &path);
    for key in [
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ] {
        let path = path.child(key);
        errors.immutable_shown(&path, spec.at(key), before.at(key), |new| match key {
            "podFailurePolicy" => super::failure_policy::go_json(new),
            "successPolicy" => super::success_policy::go_json(new),
            _ => model::render_value(new),
        });
    }
}

fn completions(errors: &mut Errors, spec: &Value, before: &Value, path: &Path) {
    let (new, old) = (spec.at("completions"), before.at("completions"));
    if spec.text("completionMode") != "Indexed" {
        errors.immutable(path, new, old);
    } else if !same(new, old) && !new.is_null() && new != spec.at("parallelism") {
        let text = "can only be modified in tandem with spec.parallelism";
        errors.invalid(path, new.clone(), text);
    }
}

/// A template may change only while its Job sleeps: where Pods go, and what they need.
fn template(errors: &mut Errors, spec: &Value, old: &Value, path: &Path) {
    let (new, mut fixed) = (spec.at("template"), old.at("spec").at("template").clone());
    let suspended = old.at("spec").flag("suspend") == Some(true);
    let status = old.at("status");
    let asleep = suspended
        && (!status.has("startTime") || job_status::condition_is(old, "Suspended", "True"))
        && status.number("active").unwrap_or(0) == 0;
    if asleep {
        take_scheduling(&mut fixed, new);
    }
    if !asleep {
        let path = path.child("template");
        errors.immutable_shown(&path, new, &fixed, go_print::pod_template);
        return;
    }
    take_resources(&mut fixed, new);
    let path = path.child("template.spec");
    if !same(new.at("spec"), fixed.at("spec")) {
        errors.invalid_shown(&path, go_print::pod_spec(new.at("spec")), IMMUTABLE);
    }
}

fn take_scheduling(fixed: &mut Value, new: &Value) {
    if let Some(spec) = fixed.get_mut("spec") {
        let affinity = new.at("spec").at("affinity").at("nodeAffinity");
        if let Some(held) = ensure(spec, "affinity") {
            remove(held, "nodeAffinity");
            if !affinity.is_null() {
                set(held, "nodeAffinity", affinity.clone());
            }
            let empty = held.as_object().is_none_or(serde_json::Map::is_empty);
            if empty && !new.at("spec").has("affinity") {
                remove(spec, "affinity");
            }
        }
        for key in ["nodeSelector", "tolerations", "schedulingGates"] {
            copy_field(spec, new.at("spec"), key);
        }
    }
    if let Some(metadata) = ensure(fixed, "metadata") {
        for key in ["annotations", "labels"] {
            copy_field(metadata, new.at("metadata"), key);
        }
    }
}

fn take_resources(fixed: &mut Value, new: &Value) {
    for list in CONTAINER_LISTS {
        let wanted = new.at("spec").items(list);
        let held = fixed.get_mut("spec").and_then(|spec| spec.get_mut(list));
        let Some(held) = held.and_then(Value::as_array_mut) else {
            continue;
        };
        if held.len() != wanted.len() || list == "ephemeralContainers" {
            continue;
        }
        for (held, wanted) in held.iter_mut().zip(wanted) {
            if held.text("name") == wanted.text("name") {
                copy_field(held, wanted, "resources");
            }
        }
    }
}
