//! Requests and limits: names, amounts, what goes together, sums over containers, QoS.
//!
//! Source: `ValidateContainerResourceRequirements`, `component-helpers/resource`,
//! `pkg/apis/core/helper/qos`.

use crate::field::names::qualified_name;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use schema::quantity::Quantity;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Which half of resource requirements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `requests`
    Requests,
    /// `limits`
    Limits,
}

impl Kind {
    fn field(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Limits => "limits",
        }
    }
}

/// Resources with their amounts.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

/// A quantity out of JSON: text or number; zero when it is none.
pub(crate) fn quantity(value: &Value) -> Quantity {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Quantity::ZERO,
    };
    Quantity::parse(&text).unwrap_or(Quantity::ZERO)
}

/// Rewrites a resource list in canonical form, rounded up to thousandths.
pub(crate) fn canonical_list(list: &mut Value) {
    for value in list
        .as_object_mut()
        .into_iter()
        .flatten()
        .map(|(_, value)| value)
    {
        let text = match &*value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        if let Ok(parsed) = Quantity::parse(&text) {
            *value = parsed.rounded_to_milli().to_string().into();
        }
    }
}

/// A resource list, read.
pub(crate) fn amounts(list: &Value) -> Amounts {
    let entries = list.as_object().into_iter().flatten();
    entries
        .map(|(name, value)| (name.clone(), quantity(value)))
        .collect()
}

fn add(sums: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = sums.get(name).copied().unwrap_or(Quantity::ZERO);
        sums.insert(name.clone(), sum.plus(*amount));
    }
}

fn raise(sums: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        if sums.get(name).is_none_or(|sum| sum < amount) {
            sums.insert(name.clone(), *amount);
        }
    }
}

/// True for an init container that keeps running beside the others.
pub(crate) fn is_sidecar(container: &Value) -> bool {
    container.text("restartPolicy") == "Always"
}

/// What all containers of a pod need together, init containers taken one after the other.
pub(crate) fn aggregate(spec: &Value, kind: Kind) -> Amounts {
    let of = |container: &Value| amounts(container.at("resources").at(kind.field()));
    let mut sums = Amounts::new();
    for container in spec.items("containers") {
        add(&mut sums, &of(container));
    }
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in spec.items("initContainers") {
        let mut need = of(container);
        if is_sidecar(container) {
            add(&mut sums, &need);
            add(&mut sidecars, &need);
            need = sidecars.clone();
        } else {
            add(&mut need, &sidecars);
        }
        raise(&mut most, &need);
    }
    raise(&mut sums, &most);
    sums
}

/// Resources that a pod as a whole may name.
pub(crate) fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || is_huge_page(name)
}

/// Memory in pages of a size.
pub(crate) fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// A resource that Kubernetes itself knows.
pub(crate) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// True when limits may be higher than requests.
pub(crate) fn is_overcommit_allowed(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// A resource of a device plugin.
pub(crate) fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && qualified_name(&format!("requests.{name}")).is_empty()
}

/// A resource that quotas and ranges may name without a domain.
pub(crate) fn is_standard(name: &str) -> bool {
    const STANDARD: [&str; 20] = [
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "storage",
        "requests.storage",
        "services.nodeports",
        "services.loadbalancers",
    ];
    STANDARD.contains(&name) || is_huge_page(name) || name.starts_with("requests.hugepages-")
}

/// A resource of which there are only whole ones.
pub(crate) fn is_integer(name: &str) -> bool {
    const INTEGER: [&str; 9] = [
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    ];
    INTEGER.contains(&name) || is_extended(name)
}

/// The amount of one resource: not negative, whole where only whole ones make sense.
pub(crate) fn amount(errors: &mut Errors, path: &Path, name: &str, value: Quantity) {
    if value.signum() < 0 {
        errors.invalid(path, value.to_string(), crate::field::path::NEGATIVE);
    }
    if is_integer(name) && !value.is_whole() {
        errors.invalid(path, value.to_string(), "must be an integer");
    }
}

/// A name of a resource, anywhere.
pub(crate) fn resource_name(errors: &mut Errors, path: &Path, name: &str) {
    let texts = qualified_name(name);
    if !texts.is_empty() {
        errors.invalid_each(path, name, texts);
        return;
    }
    if !name.contains('/') && !is_standard(name) {
        errors.invalid(
            path,
            name,
            "must be a standard resource type or fully qualified",
        );
    }
}

/// A name of a resource that containers can have.
pub(crate) fn container_resource_name(errors: &mut Errors, path: &Path, name: &str) {
    resource_name(errors, path, name);
    let standard = ["cpu", "memory", "ephemeral-storage"];
    match name.split('/').count() {
        1 if !standard.contains(&name) && !is_huge_page(name) => {
            errors.invalid(path, name, "must be a standard resource for containers");
        }
        1 => {}
        _ if !is_native(name) && !is_extended(name) => {
            errors.invalid(path, name, "doesn't follow extended resource name standard");
        }
        _ => {}
    }
}

fn pod_resource_name(errors: &mut Errors, path: &Path, name: &str) {
    let before = errors.0.len();
    resource_name(errors, path, name);
    if errors.0.len() == before && !is_pod_level(name) {
        errors.not_supported(path, name, &["cpu", "hugepages-", "memory"]);
    }
}

/// For whom requirements are checked.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    /// Names in `spec.resourceClaims`
    pub(crate) claims: &'a BTreeSet<String>,
    /// Huge pages that are no multiple of their size are taken, since the old object has some
    pub(crate) loose_huge_pages: bool,
    /// The requirements are the pod's own
    pub(crate) pod_level: bool,
}

/// `resources` of a container or pod.
pub(crate) fn requirements(errors: &mut Errors, path: &Path, resources: &Value, rules: Rules<'_>) {
    let (limits, requests) = (resources.at("limits"), resources.at("requests"));
    let limit_path = path.child("limits");
    for (name, value) in limits.as_object().into_iter().flatten() {
        entry(errors, &limit_path.key(name), name, quantity(value), rules);
    }
    let request_path = path.child("requests");
    for (name, value) in requests.as_object().into_iter().flatten() {
        let request = quantity(value);
        entry(errors, &request_path.key(name), name, request, rules);
        let limit = limits.has(name).then(|| quantity(limits.at(name)));
        request_against_limit(errors, path, name, request, limit);
    }
    let has = |test: fn(&str) -> bool| {
        let names = [limits, requests]
            .into_iter()
            .filter_map(Value::as_object)
            .flatten();
        names.into_iter().any(|(name, _)| test(name))
    };
    if has(is_huge_page) && !has(|name| matches!(name, "cpu" | "memory")) {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
    claim_names(
        errors,
        &path.child("claims"),
        resources.items("claims"),
        rules.claims,
    );
}

fn entry(errors: &mut Errors, path: &Path, name: &str, value: Quantity, rules: Rules<'_>) {
    if rules.pod_level {
        pod_resource_name(errors, path, name);
    } else {
        container_resource_name(errors, path, name);
    }
    amount(errors, path, name, value);
    if let Some(size) = name.strip_prefix("hugepages-")
        && !rules.loose_huge_pages
        && !is_divisible(size, value)
    {
        let detail = format!("{value} is not positive integer multiple of {name}");
        errors.invalid(path, value.to_string(), detail);
    }
}

fn is_divisible(size: &str, value: Quantity) -> bool {
    Quantity::parse(size).is_ok_and(|size| size.signum() > 0 && value.is_multiple_of(&size))
}

/// True when some container asks for huge pages that are no multiple of their size.
pub(crate) fn has_odd_huge_pages(spec: &Value) -> bool {
    let containers = ["containers", "initContainers"].map(|list| spec.items(list));
    containers.into_iter().flatten().any(|container| {
        let resources = container.at("resources");
        let mut all = resources
            .entries("limits")
            .chain(resources.entries("requests"));
        all.any(|(name, value)| {
            let size = name.strip_prefix("hugepages-");
            size.is_some_and(|size| !is_divisible(size, quantity(value)))
        })
    })
}

fn request_against_limit(
    errors: &mut Errors,
    path: &Path,
    name: &str,
    request: Quantity,
    limit: Option<Quantity>,
) {
    let request_path = path.child("requests");
    let overcommit = is_overcommit_allowed(name);
    match limit {
        Some(limit) if request != limit && !overcommit => errors.invalid(
            &request_path,
            request.to_string(),
            format!("must be equal to {name} limit of {limit}"),
        ),
        Some(limit) if request > limit => errors.invalid(
            &request_path,
            request.to_string(),
            format!("must be less than or equal to {name} limit of {limit}"),
        ),
        None if !overcommit => errors.required(
            &path.child("limits"),
            "Limit must be set for non overcommitable resources",
        ),
        _ => {}
    }
}

fn claim_names(errors: &mut Errors, path: &Path, claims: &[Value], known: &BTreeSet<String>) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (i, claim) in claims.iter().enumerate() {
        let (path, name) = (path.index(i), claim.text("name"));
        if name.is_empty() {
            errors.required(&path, "");
            continue;
        }
        let request = claim.text("request");
        if seen.contains(name) {
            errors.duplicate(&path, name);
        } else {
            let key = claim_key(errors, &path, name, request);
            let part = format!("{name}/");
            if seen.contains(&key) {
                errors.duplicate(&path, key.as_str());
            } else if request.is_empty() && seen.iter().any(|key| key.starts_with(&part)) {
                errors.duplicate(&path, name);
            }
            seen.insert(key);
        }
        if !known.contains(name) {
            unknown_claim(errors, &path, name, known);
        }
    }
}

fn claim_key(errors: &mut Errors, path: &Path, name: &str, request: &str) -> String {
    if request.is_empty() {
        return name.to_owned();
    }
    let texts = crate::field::names::dns1123_label(request);
    errors.invalid_each(&path.child("request"), request, texts);
    format!("{name}/{request}")
}

fn unknown_claim(errors: &mut Errors, path: &Path, name: &str, known: &BTreeSet<String>) {
    errors.not_found(path, name);
    let mut detail = "must be one of the names in pod.spec.resourceClaims".to_owned();
    if known.is_empty() {
        detail.push_str(" which is empty");
    } else {
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        detail.push_str(&format!(": {}", names.join(", ")));
    }
    if let Some(last) = errors.0.last_mut() {
        last.detail = detail;
    }
}

/// `spec.resources`: the pod's own requirements and that they hold the containers'.
pub(crate) fn pod_resources(errors: &mut Errors, path: &Path, spec: &Value, rules: Rules<'_>) {
    let resources = spec.at("resources");
    if resources.is_null() {
        return;
    }
    if spec.at("os").text("name") == "windows" {
        errors.forbidden(path, "may not be set for a windows pod");
        return;
    }
    if !resources.items("claims").is_empty() {
        errors.forbidden(
            &path.child("claims"),
            "claims may not be set for Resources at pod-level",
        );
    }
    requirements(errors, path, resources, rules);
    consistency(errors, path, spec);
}

fn consistency(errors: &mut Errors, path: &Path, spec: &Value) {
    let own = |kind: Kind| amounts(spec.at("resources").at(kind.field()));
    let (requests, limits) = (own(Kind::Requests), own(Kind::Limits));
    let least = |kind: &str, sum: &Quantity| {
        format!("must be greater than or equal to aggregate container {kind} of {sum}")
    };
    for (name, sum) in aggregate(spec, Kind::Requests) {
        if let Some(request) = requests.get(&name).filter(|request| sum > **request) {
            let path = path.child("requests").key(&name);
            errors.invalid(&path, request.to_string(), least("requests", &sum));
        }
    }
    for (name, sum) in aggregate(spec, Kind::Limits) {
        if let Some(limit) = limits.get(&name).filter(|limit| sum > **limit)
            && is_huge_page(&name)
        {
            let path = path.child("limits").key(&name);
            errors.invalid(&path, limit.to_string(), least("limits", &sum));
        }
    }
    for (i, container) in spec.items("containers").iter().enumerate() {
        for (name, amount) in amounts(container.at("resources").at("limits")) {
            if let Some(limit) = limits.get(&name).filter(|limit| amount > **limit) {
                let path = path.child("containers").index(i).key(&name).child("limits");
                let detail = format!("must be less than or equal to pod limits of {limit}");
                errors.invalid(&path, amount.to_string(), detail);
            }
        }
    }
}

/// `status.qosClass` of a pod with this spec.
pub(crate) fn qos_class(spec: &Value) -> &'static str {
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    let mut guaranteed = true;
    let own = spec.at("resources");
    let sets: Vec<&Value> = if own.is_null() {
        let containers = spec.items("containers").iter();
        containers
            .chain(spec.items("initContainers"))
            .map(|container| container.at("resources"))
            .collect()
    } else {
        vec![own]
    };
    let pod_level = !own.is_null();
    for resources in sets {
        add(&mut requests, &counted(resources.at("requests")));
        let limit = counted(resources.at("limits"));
        let asked = !pod_level || resources.entries("limits").next().is_some();
        guaranteed &= !asked || limit.len() == 2;
        add(&mut limits, &limit);
    }
    if requests.is_empty() && limits.is_empty() {
        return "BestEffort";
    }
    let equal = |(name, request): (&String, &Quantity)| limits.get(name) == Some(request);
    if guaranteed && requests.iter().all(equal) && requests.len() == limits.len() {
        return "Guaranteed";
    }
    "Burstable"
}

/// The amounts of CPU and memory that are more than nothing.
fn counted(list: &Value) -> Amounts {
    let mut amounts = amounts(list);
    amounts.retain(|name, amount| matches!(name.as_str(), "cpu" | "memory") && amount.signum() > 0);
    amounts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn qos_classes() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        for (resources, want) in [
            (json!({}), "BestEffort"),
            (json!({"limits": {"cpu": "0"}}), "BestEffort"),
            (json!({"requests": {"cpu": "1"}}), "Burstable"),
            (json!({"limits": both, "requests": both}), "Guaranteed"),
            (
                json!({"limits": both, "requests": {"cpu": "1"}}),
                "Burstable",
            ),
            (
                json!({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}),
                "Burstable",
            ),
        ] {
            let spec = json!({"containers": [{"name": "c", "resources": resources}]});
            assert_eq!(qos_class(&spec), want, "{spec}");
        }
    }

    #[test]
    fn init_containers_count_one_at_a_time() {
        let spec = json!({
            "containers": [{"resources": {"requests": {"cpu": "1"}}}],
            "initContainers": [
                {"resources": {"requests": {"cpu": "3"}}},
                {"restartPolicy": "Always", "resources": {"requests": {"cpu": "500m"}}},
                {"resources": {"requests": {"cpu": "2"}}},
            ],
        });
        let sums = aggregate(&spec, Kind::Requests);
        assert_eq!(sums["cpu"].to_string(), "3");
    }
}
