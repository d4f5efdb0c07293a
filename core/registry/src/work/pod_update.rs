//! What may change in a Pod that exists: little of its spec, ephemeral containers and resources
//! through their own subresources.
//!
//! Source: `ValidatePodUpdate`, `ValidatePodEphemeralContainersUpdate`, `ValidatePodResize`.

use super::pod::{metadata_and_spec, reset_metadata};
use super::podspec::options::Options;
use super::podspec::{self, affinity, containers, resources, security, tolerations};
use super::{carry_generation, go_print, keep};
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, copy_field, ensure, items_mut, remove, same, set};
use serde_json::Value;

const MIRROR: &str = "kubernetes.io/config.mirror";

/// A change of the Pod itself.
pub(super) fn validate(errors: &mut Errors, pod: &Value, old: &Value) {
    let options = Options::update(true, old.at("spec"), old.at("metadata"));
    metadata_and_spec(errors, pod, &options);
    annotations(errors, pod, old, &options);
    let (spec, before, path) = (pod.at("spec"), old.at("spec"), Path::new("spec"));
    for list in ["containers", "initContainers"] {
        if spec.items(list).len() != before.items(list).len() {
            let text = "pod updates may not add or remove containers";
            errors.forbidden(&path.child(list), text);
            return;
        }
        for (i, container) in spec.items(list).iter().enumerate() {
            let path = path.child(list).index(i);
            if container.text("image").is_empty() {
                errors.required(&path.child("image"), "");
            }
            containers::padded_image(errors, container, &path);
        }
    }
    deadline(errors, spec, before, &path.child("activeDeadlineSeconds"));
    tolerations::only_added(
        errors,
        &path.child("tolerations"),
        spec.items("tolerations"),
        before.items("tolerations"),
    );
    gates(errors, spec, before, &path.child("schedulingGates"));
    if same(spec, before) {
        return;
    }
    let munged = munged(errors, spec, before, &path);
    if !same(&munged, before) {
        let diff = go_print::pod_spec_diff(before, &munged);
        errors.forbidden(
            &path,
            format!(
                "pod updates may not change fields other than `spec.containers[*].image`,\
                 `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` \
                 (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` \
                 (allow it to be set to 1 if it was previously negative)\n{diff}"
            ),
        );
    }
}

/// Annotations that may not come, change or go.
pub(super) fn annotations(errors: &mut Errors, pod: &Value, old: &Value, options: &Options) {
    let path = Path::new("metadata").child("annotations");
    let (new, before) = (
        pod.at("metadata").at("annotations"),
        old.at("metadata").at("annotations"),
    );
    for (key, value) in before.as_object().into_iter().flatten() {
        if new.get(key) != Some(value) {
            fixed_annotation(errors, key, "remove or update", &path.key(key));
        }
    }
    for (key, _) in new.as_object().into_iter().flatten() {
        if !before.has(key) {
            fixed_annotation(errors, key, "add", &path.key(key));
        }
    }
    podspec::annotations(errors, pod.at("metadata"), pod.at("spec"), &path, options);
}

fn fixed_annotation(errors: &mut Errors, key: &str, verb: &str, path: &Path) {
    if key.starts_with(security::APP_ARMOR) {
        errors.forbidden(path, format!("may not {verb} AppArmor annotations"));
    }
    if key == MIRROR {
        errors.forbidden(path, format!("may not {verb} mirror pod annotation"));
    }
}

fn deadline(errors: &mut Errors, spec: &Value, before: &Value, path: &Path) {
    let old = before.number("activeDeadlineSeconds");
    match (spec.number("activeDeadlineSeconds"), old) {
        (Some(new), old) => {
            for text in names::in_range(new, 0, i64::from(i32::MAX)) {
                errors.invalid(path, new, text);
            }
            if old.is_some_and(|old| old < new) {
                errors.invalid(path, new, "must be less than or equal to previous value");
            }
        }
        (None, Some(_)) => {
            let text = "must not update from a positive integer to nil value";
            errors.invalid(path, Value::Null, text);
        }
        (None, None) => {}
    }
}

fn gates(errors: &mut Errors, spec: &Value, before: &Value, path: &Path) {
    let old = before.items("schedulingGates");
    for (i, gate) in spec.items("schedulingGates").iter().enumerate() {
        let name = gate.text("name");
        if !old.iter().any(|gate| gate.text("name") == name) {
            errors.forbidden(
                &path.index(i).child("name"),
                format!("only deletion is allowed, but found new scheduling gate '{name}'"),
            );
        }
    }
}

/// The new spec with everything that may change put back.
fn munged(errors: &mut Errors, spec: &Value, before: &Value, path: &Path) -> Value {
    let mut munged = spec.clone();
    for list in ["containers", "initContainers"] {
        let images = before.items(list).iter();
        for (container, old) in items_mut(&mut munged, list).zip(images) {
            copy_field(container, old, "image");
        }
    }
    for key in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        copy_field(&mut munged, before, key);
    }
    let grace = "terminationGracePeriodSeconds";
    if before.number(grace).is_some_and(|seconds| seconds < 0) && munged.number(grace) == Some(1) {
        copy_field(&mut munged, before, grace);
    }
    if !before.items("schedulingGates").is_empty() {
        node_choice(errors, &mut munged, before, path);
    }
    munged
}

/// While a Pod is gated, the choice of its Node may get narrower.
fn node_choice(errors: &mut Errors, munged: &mut Value, before: &Value, path: &Path) {
    let selector = munged.at("nodeSelector");
    let narrower = before
        .entries("nodeSelector")
        .filter(|(key, value)| selector.get(*key) != Some(*value))
        .count();
    for _ in 0..narrower {
        errors.invalid(
            &path.child("nodeSelector"),
            selector.clone(),
            "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        );
    }
    copy_field(munged, before, "nodeSelector");
    let old = before.at("affinity").at("nodeAffinity");
    let new = munged.at("affinity").at("nodeAffinity");
    if same(old, new) {
        return;
    }
    let path = path.child("affinity").child("nodeAffinity");
    affinity::node_affinity_narrowed(errors, &path, new, old);
    let affinity = munged.at("affinity");
    let others = affinity.has("podAffinity") || affinity.has("podAntiAffinity");
    if before.at("affinity").is_null() && !others {
        remove(munged, "affinity");
    } else if let Some(affinity) = ensure(munged, "affinity") {
        copy_field(affinity, before.at("affinity"), "nodeAffinity");
    }
}

/// Keeps all but `spec.ephemeralContainers`.
pub(super) fn keep_ephemeral_containers(object: &mut Value, old: &Value) {
    let containers = object.at("spec").at("ephemeralContainers").clone();
    keep(object, old, &["spec", "status"]);
    reset_metadata(object, old);
    if let Some(spec) = ensure(object, "spec") {
        match containers {
            Value::Null => {
                remove(spec, "ephemeralContainers");
            }
            containers => set(spec, "ephemeralContainers", containers),
        }
    }
    let changed = !same(object.at("spec"), old.at("spec"));
    carry_generation(object, old, changed);
}

/// A change of ephemeral containers: they may come, and never change or go.
pub(super) fn validate_ephemeral_containers(errors: &mut Errors, pod: &Value, old: &Value) {
    if old.at("metadata").at("annotations").has(MIRROR) {
        let text = "static pods do not support ephemeral containers";
        errors.forbidden(&Path::nameless(), text);
        return;
    }
    let options = Options::update(true, old.at("spec"), old.at("metadata"));
    metadata_and_spec(errors, pod, &options);
    annotations(errors, pod, old, &options);
    let path = Path::new("spec").child("ephemeralContainers");
    let new = pod.at("spec").items("ephemeralContainers");
    for before in old.at("spec").items("ephemeralContainers") {
        let name = before.text("name");
        let quoted = model::go_quote(name);
        match new.iter().find(|container| container.text("name") == name) {
            None => errors.forbidden(
                &path,
                format!("existing ephemeral containers {quoted} may not be removed\n"),
            ),
            Some(now) if !same(before, now) => {
                let diff = go_print::ephemeral_container_diff(before, now);
                errors.forbidden(
                    &path,
                    format!("existing ephemeral containers {quoted} may not be changed\n{diff}"),
                );
            }
            Some(_) => {}
        }
    }
}

/// Keeps all but resources and resize policies.
pub(super) fn keep_resources(object: &mut Value, old: &Value) {
    let lists = ["containers", "initContainers"];
    let count = |pod: &Value, list: &str| pod.at("spec").items(list).len();
    if lists
        .iter()
        .any(|list| count(object, list) != count(old, list))
    {
        return;
    }
    let new = object.at("spec").clone();
    keep(object, old, &["spec", "status"]);
    reset_metadata(object, old);
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    copy_field(spec, &new, "resources");
    for list in lists {
        let renamed = spec
            .items(list)
            .iter()
            .zip(new.items(list))
            .any(|(old, new)| old.text("name") != new.text("name"));
        if renamed {
            copy_field(spec, &new, list);
            continue;
        }
        for (container, new) in items_mut(spec, list).zip(new.items(list)) {
            copy_field(container, new, "resources");
            copy_field(container, new, "resizePolicy");
        }
    }
    let changed = !same(object.at("spec"), old.at("spec"));
    carry_generation(object, old, changed);
}

/// A change of CPU and memory.
pub(super) fn validate_resize(errors: &mut Errors, pod: &Value, old: &Value) {
    let (spec, before, path) = (pod.at("spec"), old.at("spec"), Path::new("spec"));
    let refused = if old.at("metadata").at("annotations").has(MIRROR) {
        Some("static pods cannot be resized")
    } else if before.at("os").text("name") == "windows" {
        Some("windows pods cannot be resized")
    } else {
        None
    };
    if let Some(text) = refused {
        errors.forbidden(&Path::nameless(), text);
        return;
    }
    let options = Options::update(true, before, old.at("metadata"));
    metadata_and_spec(errors, pod, &options);
    let class = old.at("status").text("qosClass");
    if class != resources::qos_class(spec) {
        let text = "Pod QOS Class may not change as a result of resizing";
        errors.invalid(&path, pod.at("status").text("qosClass"), text);
    }
    let statuses = old.at("status").items("containerStatuses");
    let running = statuses
        .iter()
        .find(|status| status.at("state").has("running"));
    if running.is_some_and(|status| !status.has("resources")) {
        errors.forbidden(&path, "Pod running on node without support for resize");
    }
    pod_level_removed(errors, spec, before, &path.child("resources"));
    let ordered = errors.0.len();
    container_order(errors, spec, before, &path);
    if errors.0.len() > ordered {
        return;
    }
    for list in ["initContainers", "containers"] {
        for (i, (new, old)) in spec.items(list).iter().zip(before.items(list)).enumerate() {
            let path = path.child(list).index(i).child("resources");
            let (new, old) = (new.at("resources"), old.at("resources"));
            removed(errors, new, old, &path, "resource");
        }
    }
    only_cpu_and_memory(errors, spec, before, &path);
}

fn pod_level_removed(errors: &mut Errors, spec: &Value, before: &Value, path: &Path) {
    let (new, old) = (spec.at("resources"), before.at("resources"));
    if !old.is_null() && new.is_null() {
        errors.forbidden(path, "pod-level resources cannot be removed");
    } else {
        removed(errors, new, old, path, "pod-level resource");
    }
}

fn removed(errors: &mut Errors, new: &Value, old: &Value, path: &Path, what: &str) {
    for kind in ["requests", "limits"] {
        if old.entries(kind).any(|(name, _)| !new.at(kind).has(name)) {
            errors.forbidden(
                &path.child(kind),
                format!("{what} {kind} cannot be removed"),
            );
        }
    }
}

fn container_order(errors: &mut Errors, spec: &Value, before: &Value, path: &Path) {
    for list in ["containers", "initContainers"] {
        let (new, old, path) = (spec.items(list), before.items(list), path.child(list));
        if new.len() != old.len() {
            let text = format!("{list} may not be added or removed on resize");
            errors.forbidden(&path, text);
            continue;
        }
        for (i, (new, old)) in new.iter().zip(old).enumerate() {
            if new.text("name") != old.text("name") {
                let text = format!("{list} may not be renamed or reordered on resize");
                errors.forbidden(&path.index(i).child("name"), text);
            }
        }
    }
}

fn only_cpu_and_memory(errors: &mut Errors, spec: &Value, before: &Value, path: &Path) {
    let mut munged = spec.clone();
    for list in ["containers", "initContainers"] {
        for (i, (container, old)) in items_mut(&mut munged, list)
            .zip(before.items(list))
            .enumerate()
        {
            let changed = !same(container, old);
            put_back_cpu_and_memory(container, old);
            let init = list == "initContainers";
            if !same(container, old) {
                if init {
                    let text = "only cpu and memory resources for init or sidecar containers are \
                                mutable";
                    errors.forbidden(&path.child(list).index(i), text);
                } else {
                    errors.forbidden(path, "only cpu and memory resources are mutable");
                }
            }
            let restarts = container
                .items("resizePolicy")
                .iter()
                .any(|policy| policy.text("restartPolicy") == "RestartContainer");
            if init && changed && restarts && !resources::is_sidecar(container) {
                let text = "non-sidecar init containers with a resize policy of RestartContainer \
                            cannot be resized";
                errors.forbidden(&path.child(list).index(i), text);
            }
        }
    }
    put_back_cpu_and_memory(&mut munged, before);
    if !errors.0.is_empty() {
        return;
    }
    if !same(munged.at("resources"), before.at("resources")) {
        let text = "only cpu and memory resources are mutable at pod-level";
        errors.forbidden(path, text);
    } else if !same(&munged, before) {
        errors.forbidden(path, "only cpu and memory resources are mutable");
    }
}

/// CPU and memory of `holder.resources` as they were, so that what else changed shows.
fn put_back_cpu_and_memory(holder: &mut Value, old: &Value) {
    for kind in ["limits", "requests"] {
        let before = old.at("resources").at(kind);
        let there = holder.at("resources").has(kind);
        if before.is_null() && !there {
            continue;
        }
        let Some(list) = ensure(holder, "resources").and_then(|r| ensure(r, kind)) else {
            continue;
        };
        for name in ["cpu", "memory"] {
            copy_field(list, before, name);
        }
        if list.as_object().is_some_and(serde_json::Map::is_empty) && before.is_null() {
            ensure(holder, "resources").and_then(|resources| remove(resources, kind));
        }
    }
    let empty = holder
        .at("resources")
        .as_object()
        .is_some_and(serde_json::Map::is_empty);
    if empty && !old.has("resources") {
        remove(holder, "resources");
    }
}
