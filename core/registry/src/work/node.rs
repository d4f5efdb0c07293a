//! Nodes. Source: `pkg/registry/core/node`.

use super::keep;
use super::podspec::{resources, tolerations};
use crate::field::path::{Errors, Path, go_struct};
use crate::field::read::{Read, ensure, remove, set};
use crate::field::{ip, names};
use crate::{Context, Strategy, Subresource};
use model::{ApiError, FieldError, go_quote};
use serde_json::{Value, json};

/// The rules of Nodes.
pub(crate) struct Nodes;

impl Strategy for Nodes {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = object.get_mut("spec") {
            pod_cidrs(spec);
        }
        let Some(status) = ensure(object, "status") else {
            return;
        };
        if !status.has("allocatable") && status.has("capacity") {
            let capacity = status.at("capacity").clone();
            set(status, "allocatable", capacity);
        }
        for key in ["capacity", "allocatable"] {
            if let Some(list) = status.get_mut(key) {
                resources::canonical_list(list);
            }
        }
    }

    /// A new Node takes no Pods before it says that it is ready.
    fn admit(
        &self,
        object: &mut Value,
        old: Option<&Value>,
        _: &Context<'_>,
    ) -> Result<(), ApiError> {
        let (key, effect) = ("node.kubernetes.io/not-ready", "NoSchedule");
        if let Some(spec) = ensure(object, "spec").filter(|_| old.is_none()) {
            let mut taints = spec.items("taints").to_vec();
            let held = |taint: &Value| taint.text("key") == key && taint.text("effect") == effect;
            if !taints.iter().any(held) {
                taints.push(json!({"key": key, "effect": effect}));
                set(spec, "taints", taints);
            }
        }
        Ok(())
    }

    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        drop_config(object, "spec", "configSource", None);
        drop_config(object, "status", "config", None);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        keep(object, old, &["status"]);
        drop_config(object, "spec", "configSource", Some(old));
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        whole(&mut errors, object);
        errors.0
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        whole(&mut errors, object);
        change(&mut errors, object, old);
        errors.0
    }

    fn prepare_subresource(
        &self,
        subresource: Subresource,
        object: &mut Value,
        old: &Value,
        _: &Context<'_>,
    ) {
        if subresource == Subresource::Status {
            keep(object, old, &["spec"]);
            drop_config(object, "status", "config", Some(old));
        }
    }

    fn validate_subresource(
        &self,
        subresource: Subresource,
        object: &Value,
        old: &Value,
        _: &Context<'_>,
    ) -> Vec<FieldError> {
        let mut errors = Errors::default();
        if subresource == Subresource::Status {
            change(&mut errors, object, old);
        }
        errors.0
    }

    fn warnings(&self, object: &Value, _: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        let (spec, mut all) = (object.at("spec"), Vec::new());
        if spec.has("configSource") {
            all.push("spec.configSource: the feature is removed".to_owned());
        }
        if !spec.text("externalID").is_empty() {
            all.push(
                "spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned(),
            );
        }
        let path = Path::new("spec").child("podCIDRs");
        for (i, range) in spec.texts("podCIDRs").into_iter().enumerate() {
            all.extend(ip::cidr_warnings(path.index(i).as_str(), range));
        }
        all
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        let off = object.at("spec").flag("unschedulable").unwrap_or(false);
        vec![("spec.unschedulable", off.to_string())]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["spec.unschedulable"]
    }
}

/// `podCIDR` and `podCIDRs` say the same; when both are there and differ, `podCIDR` wins.
fn pod_cidrs(spec: &mut Value) {
    let single = spec.text("podCIDR").to_owned();
    let first = spec
        .texts("podCIDRs")
        .first()
        .map(|range| (*range).to_owned());
    match first {
        None if single.is_empty() => {}
        Some(first) if single.is_empty() => set(spec, "podCIDR", first),
        Some(first) if first == single => {}
        _ => set(spec, "podCIDRs", vec![single]),
    }
}

/// The dynamic kubelet configuration is gone; what is stored of it stays.
fn drop_config(object: &mut Value, part: &str, key: &str, old: Option<&Value>) {
    let in_use = old.is_some_and(|old| old.at(part).has(key));
    if let Some(part) = object.get_mut(part)
        && !in_use
    {
        remove(part, key);
    }
}

/// `ValidateNode`
fn whole(errors: &mut Errors, node: &Value) {
    // Upstream reports taints under metadata.
    let taints = Path::new("metadata").child("taints");
    tolerations::taints(errors, &taints, node.at("spec").items("taints"));
    amounts(errors, node);
    features(errors, node);
    let ranges = node.at("spec").texts("podCIDRs");
    let path = Path::new("spec").child("podCIDRs");
    for (i, range) in ranges.iter().enumerate() {
        errors.extend(ip::check_cidr(path.index(i).as_str(), range));
    }
    let parsed: Vec<bool> = ranges
        .iter()
        .filter_map(|range| Some(ip::parse_cidr(range)?.0.is_ipv4()))
        .collect();
    let dual = parsed.contains(&true) && parsed.contains(&false);
    if ranges.len() > 1 && parsed.len() == ranges.len() && (!dual || ranges.len() > 2) {
        let text = "may specify no more than one CIDR for each IP family";
        errors.invalid(&path, ranges, text);
    }
}

fn amounts(errors: &mut Errors, node: &Value) {
    for kind in ["capacity", "allocatable"] {
        let path = Path::new("status").child(kind);
        for (name, value) in node.at("status").entries(kind) {
            let value = resources::quantity(value);
            resources::amount(errors, &path.child(name), name, value);
        }
    }
}

fn features(errors: &mut Errors, node: &Value) {
    let path = Path::new("status").child("declaredFeatures");
    let features = node.at("status").texts("declaredFeatures");
    for (i, feature) in features.iter().enumerate() {
        let quoted = go_quote(feature);
        if feature.len() > 253 {
            let text =
                format!("invalid feature name {quoted}: must be no more than 253 characters");
            errors.invalid(&path.index(i), *feature, text);
        } else if !is_feature(feature) {
            let text = format!(
                "invalid feature name {quoted}: must start with an UpperCamelCase segment, with \
                 subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), \
                 and contain only alphanumeric characters and slashes"
            );
            errors.invalid(&path.index(i), *feature, text);
        }
        match features.get(i + 1) {
            Some(next) if next == feature => errors.duplicate(&path.index(i + 1), *next),
            Some(next) if feature > next => {
                errors.invalid(
                    &path.index(i + 1),
                    *next,
                    "list must be sorted alphabetically",
                );
            }
            _ => {}
        }
    }
}

fn is_feature(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.split('/').all(|segment| {
            segment.starts_with(|c: char| c.is_ascii_alphabetic())
                && segment.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

/// `ValidateNodeUpdate`
fn change(errors: &mut Errors, node: &Value, old: &Value) {
    amounts(errors, node);
    features(errors, node);
    addresses(errors, node);
    let (spec, before, path) = (node.at("spec"), old.at("spec"), Path::new("spec"));
    let (new, old_ranges) = (spec.texts("podCIDRs"), before.texts("podCIDRs"));
    let ranges = path.child("podCIDRs");
    let text = "node updates may not change podCIDR except from \"\" to valid";
    if !old_ranges.is_empty() && old_ranges.len() != new.len() {
        errors.forbidden(&ranges, text);
    } else {
        for _ in old_ranges.iter().zip(&new).filter(|(old, new)| old != new) {
            errors.forbidden(&ranges, text);
        }
    }
    let (new, old_id) = (spec.text("providerID"), before.text("providerID"));
    if !old_id.is_empty() && old_id != new {
        let text = "node updates may not change providerID except from \"\" to valid";
        errors.forbidden(&path.child("providerID"), text);
    }
    let taints = Path::new("metadata").child("taints");
    tolerations::taints(errors, &taints, spec.items("taints"));
    if spec.text("externalID") != before.text("externalID") {
        errors.forbidden(&path.child("externalID"), "may not be updated");
    }
}

fn addresses(errors: &mut Errors, node: &Value) {
    let mut seen = std::collections::BTreeSet::new();
    let path = Path::new("status").child("addresses");
    for (i, address) in node.at("status").items("addresses").iter().enumerate() {
        let (kind, text) = (address.text("type"), address.text("address"));
        if !seen.insert((kind, text)) {
            errors.duplicate(&path.index(i), "");
            if let Some(last) = errors.0.last_mut() {
                let shown = go_struct(&[("Type", go_quote(kind)), ("Address", go_quote(text))]);
                last.value = Some(shown);
            }
        }
    }
}
