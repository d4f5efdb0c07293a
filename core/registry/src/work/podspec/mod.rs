//! A PodSpec, in a Pod and in every template of one.
//!
//! Source: `ValidatePodSpec` of `pkg/apis/core/validation/validation.go`, with the feature gates of
//! 1.36 at their defaults.

pub(crate) mod affinity;
pub(crate) mod claims;
pub(crate) mod containers;
pub(crate) mod defaults;
pub(crate) mod disk_volumes;
pub(crate) mod env;
pub(crate) mod network;
pub(crate) mod options;
pub(crate) mod os;
mod overlap;
pub(crate) mod probes;
mod projected;
pub(crate) mod resources;
pub(crate) mod security;
pub(crate) mod spread;
pub(crate) mod tolerations;
pub(crate) mod volumes;
pub(crate) mod warnings;

use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::selector;
use options::Options;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What the checks of one PodSpec share.
pub(crate) struct Scope<'a> {
    pub(crate) spec: &'a Value,
    /// The Pod's metadata; `None` in templates
    pub(crate) metadata: Option<&'a Value>,
    pub(crate) path: Path,
    pub(crate) options: &'a Options,
    /// Valid volumes by name
    pub(crate) volumes: BTreeMap<&'a str, &'a Value>,
    /// Names in `spec.resourceClaims`
    pub(crate) claims: BTreeSet<String>,
}

impl Scope<'_> {
    /// `spec.hostUsers`, true by default
    pub(crate) fn host_users(&self) -> bool {
        self.spec.flag("hostUsers").unwrap_or(true)
    }

    /// `spec.terminationGracePeriodSeconds`
    pub(crate) fn grace_period(&self) -> Option<i64> {
        self.spec.number("terminationGracePeriodSeconds")
    }

    /// The rules for resource requirements of containers.
    pub(crate) fn resource_rules(&self) -> resources::Rules<'_> {
        resources::Rules {
            claims: &self.claims,
            loose_huge_pages: self.options.loose.huge_pages,
            pod_level: false,
        }
    }
}

/// Checks a PodSpec; `metadata` is the Pod's and `None` in templates.
pub(crate) fn validate(
    errors: &mut Errors,
    spec: &Value,
    metadata: Option<&Value>,
    path: &Path,
    options: &Options,
) {
    let mut scope = Scope {
        spec,
        metadata,
        path: path.clone(),
        options,
        volumes: BTreeMap::new(),
        claims: claims::names(spec),
    };
    if !spec.has("terminationGracePeriodSeconds") {
        errors.required(&path.child("terminationGracePeriodSeconds"), "");
    }
    scope.volumes = volumes::validate(errors, &scope);
    claims::validate(errors, &scope);
    containers::validate(errors, &scope);
    let rules = resources::Rules {
        pod_level: true,
        ..scope.resource_rules()
    };
    resources::pod_resources(errors, &path.child("resources"), spec, rules);
    host_network_ports(errors, &scope);
    policies(errors, &scope);
    selector::labels(errors, &path.child("nodeSelector"), spec.at("nodeSelector"));
    security::pod(errors, &scope);
    affinity::validate(errors, &scope);
    network::dns_config(errors, &scope);
    gates(errors, &scope);
    spread::validate(errors, &scope);
    os::host_process(errors, &scope);
    security::host_users(errors, &scope);
    network::hostname_override(errors, &scope);
    referenced_names(errors, &scope);
    numbers_and_hosts(errors, &scope);
    let tolerations = spec.items("tolerations");
    tolerations::validate(errors, &path.child("tolerations"), tolerations);
    network::host_aliases(errors, &scope);
    if spec.has("overhead") {
        let overhead = serde_json::json!({"limits": spec.at("overhead")});
        let path = path.child("overhead");
        resources::requirements(errors, &path, &overhead, scope.resource_rules());
    }
    os::validate(errors, &scope);
    env::file_key_volumes(errors, &scope);
}

/// Each container of the spec with its path, init containers first.
pub(crate) fn visit<'a>(
    spec: &'a Value,
    path: &'a Path,
) -> impl Iterator<Item = (&'a Value, Path)> + 'a {
    defaults::CONTAINER_LISTS.into_iter().flat_map(move |list| {
        let path = path.child(list);
        let containers = spec.items(list).iter().enumerate();
        containers.map(move |(i, container)| (container, path.index(i)))
    })
}

fn policies(errors: &mut Errors, scope: &Scope<'_>) {
    let text = |key: &str| scope.spec.text(key);
    let path = |key: &str| scope.path.child(key);
    errors.one_of(
        &path("restartPolicy"),
        text("restartPolicy"),
        &["Always", "OnFailure", "Never"],
    );
    errors.one_of(
        &path("dnsPolicy"),
        text("dnsPolicy"),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    if scope.spec.has("preemptionPolicy") {
        errors.one_of(
            &path("preemptionPolicy"),
            text("preemptionPolicy"),
            &["PreemptLowerPriority", "Never"],
        );
    }
}

fn host_network_ports(errors: &mut Errors, scope: &Scope<'_>) {
    if scope.spec.flag("hostNetwork") != Some(true) {
        return;
    }
    let path = scope.path.child("containers");
    for (i, container) in scope.spec.items("containers").iter().enumerate() {
        for (j, port) in container.items("ports").iter().enumerate() {
            let host = port.number("hostPort").unwrap_or(0);
            let own = port.number("containerPort").unwrap_or(0);
            if (scope.options.is_pod || host != 0) && host != own {
                errors.invalid(
                    &path.index(i).child("ports").index(j).child("hostPort"),
                    host,
                    "must match `containerPort` when `hostNetwork` is true",
                );
            }
        }
    }
}

fn gates(errors: &mut Errors, scope: &Scope<'_>) {
    let path = scope.path.child("readinessGates");
    for (i, gate) in scope.spec.items("readinessGates").iter().enumerate() {
        let kind = gate.text("conditionType");
        let path = path.index(i).child("conditionType");
        errors.invalid_each(&path, kind, names::qualified_name(kind));
    }
    let path = scope.path.child("schedulingGates");
    let mut seen = BTreeSet::new();
    for (i, gate) in scope.spec.items("schedulingGates").iter().enumerate() {
        let name = gate.text("name");
        errors.invalid_each(&path.index(i), name, names::qualified_name(name));
        if !seen.insert(name) {
            errors.duplicate(&path.index(i), name);
        }
    }
}

/// Names of other objects, which are subdomains.
fn referenced_names(errors: &mut Errors, scope: &Scope<'_>) {
    for key in ["serviceAccountName", "nodeName", "priorityClassName"] {
        let name = scope.spec.text(key);
        if !name.is_empty() {
            let texts = names::dns1123_subdomain(name);
            errors.invalid_each(&scope.path.child(key), name, texts);
        }
    }
    if let Some(name) = scope.spec.optional_text("runtimeClassName") {
        let texts = names::dns1123_subdomain(name);
        errors.invalid_each(&scope.path.child("runtimeClassName"), name, texts);
    }
}

fn numbers_and_hosts(errors: &mut Errors, scope: &Scope<'_>) {
    if let Some(seconds) = scope.spec.number("activeDeadlineSeconds") {
        for text in names::in_range(seconds, 1, i64::from(i32::MAX)) {
            errors.invalid(&scope.path.child("activeDeadlineSeconds"), seconds, text);
        }
    }
    for key in ["hostname", "subdomain"] {
        let name = scope.spec.text(key);
        if !name.is_empty() {
            errors.invalid_each(&scope.path.child(key), name, names::dns1123_label(name));
        }
    }
}

/// Rules for annotations that say something about the spec (`ValidatePodSpecificAnnotations`).
pub(crate) fn annotations(
    errors: &mut Errors,
    metadata: &Value,
    spec: &Value,
    path: &Path,
    options: &Options,
) {
    let annotations = metadata.at("annotations");
    const MIRROR: &str = "kubernetes.io/config.mirror";
    if annotations.has(MIRROR) && spec.text("nodeName").is_empty() {
        errors.invalid(
            &path.key(MIRROR),
            annotations.text(MIRROR),
            "must set spec.nodeName if mirror pod annotation is set",
        );
    }
    if !options.loose.deletion_cost && !has_valid_deletion_cost(metadata) {
        errors.invalid(
            &path.key(options::DELETION_COST),
            annotations.text(options::DELETION_COST),
            "must be a 32bit integer",
        );
    }
    security::annotations(errors, annotations, spec, path);
}

/// Whether the deletion cost, when there is one, is a number of 32 bits.
pub(crate) fn has_valid_deletion_cost(metadata: &Value) -> bool {
    match metadata
        .at("annotations")
        .optional_text(options::DELETION_COST)
    {
        None => true,
        Some(text) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let canonical = digits == "0" || !digits.starts_with('0');
            canonical && !text.starts_with('+') && text != "-0" && text.parse::<i32>().is_ok()
        }
    }
}

/// A template of Pods (`ValidatePodTemplateSpec`).
pub(crate) fn template(errors: &mut Errors, template: &Value, path: &Path, options: &Options) {
    let (metadata, spec) = (template.at("metadata"), template.at("spec"));
    selector::labels(errors, &path.child("labels"), metadata.at("labels"));
    let annotation_path = path.child("annotations");
    selector::annotations(errors, &annotation_path, metadata.at("annotations"));
    annotations(errors, metadata, spec, &annotation_path, options);
    let spec_path = path.child("spec");
    validate(errors, spec, None, &spec_path, options);
    security::annotations_match(errors, metadata, spec, &spec_path);
    if !spec.items("ephemeralContainers").is_empty() {
        errors.forbidden(
            &spec_path.child("ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        );
    }
}

/// Drops fields of features that are off by default and that the old object does not use.
pub(crate) fn drop_disabled(spec: &mut Value, old: Option<&Value>) {
    use crate::field::read::{items_mut, remove};
    let nothing = Value::Null;
    let old = old.unwrap_or(&nothing);
    if !old.has("schedulingGroup") {
        remove(spec, "schedulingGroup");
    }
    let path = Path::default();
    let signals = visit(old, &path).any(|(c, _)| c.at("lifecycle").has("stopSignal"));
    for list in defaults::CONTAINER_LISTS {
        for container in items_mut(spec, list) {
            let lifecycle = container.get_mut("lifecycle");
            if !signals && lifecycle.and_then(|l| remove(l, "stopSignal")).is_some() {
                let left = container.at("lifecycle");
                if left.as_object().is_none_or(serde_json::Map::is_empty) {
                    remove(container, "lifecycle");
                }
            }
        }
    }
    let uses = |key: &str| {
        let volumes = old.items("volumes").iter();
        let sources = volumes.flat_map(|volume| volume.at("projected").items("sources"));
        sources.into_iter().any(|source| source.has(key))
    };
    for key in ["clusterTrustBundle", "podCertificate"] {
        if uses(key) {
            continue;
        }
        for volume in items_mut(spec, "volumes") {
            if let Some(projected) = volume.get_mut("projected") {
                items_mut(projected, "sources").for_each(|source| {
                    remove(source, key);
                });
            }
        }
    }
}

/// `ValidateContainersOnlyForPod`: images may not be padded.
pub(crate) fn padded_images(errors: &mut Errors, spec: &Value, path: &Path) {
    for list in ["containers", "initContainers"] {
        let path = path.child(list);
        for (i, container) in spec.items(list).iter().enumerate() {
            containers::padded_image(errors, container, &path.index(i));
        }
    }
}
