//! What an object counts for in quotas, and what all objects of a namespace use together.

use super::limits::of_pod;
use crate::field::read::Read;
use crate::work::podspec::resources::{
    Amounts, Kind, is_extended, is_huge_page, qos_class, quantity,
};
use model::{Object, Resource, View};
use schema::quantity::Quantity;
use serde_json::Value;

/// The domain of resources that belong to a storage class.
const CLASS_SUFFIX: &str = ".storageclass.storage.k8s.io/";

const ONE: fn() -> Quantity = || Quantity::from_int(1);

/// Whether an object of a resource can count in a quota that limits `name`.
pub(super) fn is_relevant(resource: Resource, name: &str) -> bool {
    if name == count_name(resource) {
        return true;
    }
    match resource {
        Resource::PODS => is_of_pods(name),
        Resource::SERVICES => {
            matches!(
                name,
                "services" | "services.nodeports" | "services.loadbalancers"
            )
        }
        Resource::VOLUME_CLAIMS => {
            matches!(name, "persistentvolumeclaims" | "requests.storage")
                || name.contains(CLASS_SUFFIX)
        }
        Resource::CONFIG_MAPS
        | Resource::SECRETS
        | Resource::RESOURCE_QUOTAS
        | Resource::REPLICATION_CONTROLLERS => name == resource.plural(),
        _ => false,
    }
}

fn is_of_pods(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "pods",
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
    ];
    let extended = name.strip_prefix("requests.").is_some_and(is_extended);
    NAMES.contains(&name)
        || is_huge_page(name)
        || name.starts_with("requests.hugepages-")
        || extended
}

/// `count/deployments.apps`
pub(super) fn count_name(resource: Resource) -> String {
    format!("count/{resource}")
}

/// What one object counts for, by the names that quotas limit.
pub(super) fn of_object(resource: Resource, object: &Value) -> Amounts {
    let mut used = Amounts::from([(count_name(resource), ONE())]);
    match resource {
        Resource::PODS => pod(&mut used, object),
        Resource::SERVICES => service(&mut used, object.at("spec")),
        Resource::VOLUME_CLAIMS => claim(&mut used, object),
        Resource::CONFIG_MAPS
        | Resource::SECRETS
        | Resource::RESOURCE_QUOTAS
        | Resource::REPLICATION_CONTROLLERS => {
            used.insert(resource.plural().to_owned(), ONE());
        }
        _ => {}
    }
    used
}

fn pod(used: &mut Amounts, pod: &Value) {
    if matches!(pod.at("status").text("phase"), "Succeeded" | "Failed") {
        return;
    }
    let spec = pod.at("spec");
    let (requests, limits) = (of_pod(spec, Kind::Requests), of_pod(spec, Kind::Limits));
    used.extend(compute(&requests, &limits));
}

/// Requests and limits by the names that quotas limit.
fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut used = Amounts::from([("pods".to_owned(), ONE())]);
    for (name, amount) in requests {
        let plain = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage");
        if plain || is_huge_page(name) {
            used.insert(name.clone(), *amount);
        }
        if plain || is_huge_page(name) || is_extended(name) {
            used.insert(format!("requests.{name}"), *amount);
        }
    }
    for name in ["cpu", "memory", "ephemeral-storage"] {
        if let Some(amount) = limits.get(name) {
            used.insert(format!("limits.{name}"), *amount);
        }
    }
    used
}

fn service(used: &mut Amounts, spec: &Value) {
    let ports = i64::try_from(spec.items("ports").len()).unwrap_or(0);
    let allocated = spec.flag("allocateLoadBalancerNodePorts") != Some(false);
    let with_port = spec.items("ports").iter();
    let with_port = with_port.filter(|port| port.number("nodePort").unwrap_or(0) != 0);
    let (nodes, balancers) = match spec.text("type") {
        "NodePort" => (ports, 0),
        "LoadBalancer" if allocated => (ports, 1),
        "LoadBalancer" => (i64::try_from(with_port.count()).unwrap_or(0), 1),
        _ => (0, 0),
    };
    used.insert("services".to_owned(), ONE());
    used.insert("services.nodeports".to_owned(), Quantity::from_int(nodes));
    let balancers = Quantity::from_int(balancers);
    used.insert("services.loadbalancers".to_owned(), balancers);
}

fn claim(used: &mut Amounts, claim: &Value) {
    let spec = claim.at("spec");
    used.insert("persistentvolumeclaims".to_owned(), ONE());
    let annotated = claim
        .at("metadata")
        .at("annotations")
        .optional_text("volume.beta.kubernetes.io/storage-class");
    let class = annotated.unwrap_or_else(|| spec.text("storageClassName"));
    let storage = spec.at("resources").at("requests").at("storage");
    if !class.is_empty() {
        used.insert(
            format!("{class}{CLASS_SUFFIX}persistentvolumeclaims"),
            ONE(),
        );
    }
    if storage.is_null() {
        return;
    }
    let allocated = claim.at("status").at("allocatedResources").at("storage");
    let amount = std::cmp::max_by(quantity(storage), quantity(allocated), |a, b| {
        a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)
    });
    used.insert("requests.storage".to_owned(), amount);
    if !class.is_empty() {
        used.insert(format!("{class}{CLASS_SUFFIX}requests.storage"), amount);
    }
}

/// Whether a quota's scopes take an object in.
pub(super) fn is_in_scope(resource: Resource, object: &Value, quota: &Value) -> bool {
    let spec = quota.at("spec");
    let plain = spec.texts("scopes");
    let mut scopes = plain
        .into_iter()
        .map(|scope| matches_scope(resource, object, scope, None));
    let mut selected = spec
        .at("scopeSelector")
        .items("matchExpressions")
        .iter()
        .map(|one| matches_scope(resource, object, one.text("scopeName"), Some(one)));
    scopes.all(|yes| yes) && selected.all(|yes| yes)
}

fn matches_scope(resource: Resource, object: &Value, scope: &str, by: Option<&Value>) -> bool {
    let spec = object.at("spec");
    if resource == Resource::VOLUME_CLAIMS && scope == "VolumeAttributesClass" {
        return chosen(spec.text("volumeAttributesClassName"), by);
    }
    if resource != Resource::PODS {
        return false;
    }
    let ends = spec.number("activeDeadlineSeconds").is_some_and(|s| s >= 0);
    let best_effort = qos_class(spec) == "BestEffort";
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        "PriorityClass" => chosen(spec.text("priorityClassName"), by),
        "CrossNamespacePodAffinity" => crosses_namespaces(spec),
        _ => false,
    }
}

/// Whether a class fits `In`, `NotIn`, `Exists` or `DoesNotExist`.
fn chosen(class: &str, by: Option<&Value>) -> bool {
    let Some(by) = by else {
        return !class.is_empty();
    };
    let listed = by.texts("values").contains(&class);
    match by.text("operator") {
        "In" => listed,
        "NotIn" => !listed,
        "DoesNotExist" => class.is_empty(),
        _ => !class.is_empty(),
    }
}

fn crosses_namespaces(spec: &Value) -> bool {
    let terms = crate::work::podspec::affinity::pod_terms(spec);
    let crosses =
        |term: &&Value| !term.items("namespaces").is_empty() || term.has("namespaceSelector");
    terms.iter().any(crosses)
}

/// The names that containers of a Pod must state when a quota limits them, and who does not.
pub(super) fn missing(pod: &Value, limited: &[&str]) -> Option<String> {
    const ENFORCED: [&str; 6] = [
        "cpu",
        "limits.cpu",
        "limits.memory",
        "memory",
        "requests.cpu",
        "requests.memory",
    ];
    let spec = pod.at("spec");
    let own = spec.at("resources");
    if own.entries("requests").chain(own.entries("limits")).count() > 0 {
        return None;
    }
    let mut texts = Vec::new();
    for name in ENFORCED.iter().filter(|name| limited.contains(name)) {
        let mut without: Vec<&str> = ["containers", "initContainers"]
            .iter()
            .flat_map(|list| spec.items(list))
            .filter(|container| {
                let resources = container.at("resources");
                let of = |key: &str| crate::work::podspec::resources::amounts(resources.at(key));
                !compute(&of("requests"), &of("limits")).contains_key(*name)
            })
            .map(|container| container.text("name"))
            .collect();
        without.sort_unstable();
        without.dedup();
        if !without.is_empty() {
            texts.push(format!("{name} for: {}", without.join(",")));
        }
    }
    (!texts.is_empty()).then(|| format!("must specify {}", texts.join("; ")))
}

/// What a quota limits, used by all objects of its namespace.
pub(super) fn of_namespace(view: &dyn View, quota: &Value, except: Option<&str>) -> Amounts {
    let namespace = quota.at("metadata").text("namespace");
    let names: Vec<&str> = quota
        .at("spec")
        .entries("hard")
        .map(|(name, _)| name)
        .collect();
    let mut used: Amounts = names
        .iter()
        .map(|name| ((*name).to_owned(), Quantity::ZERO))
        .collect();
    for resource in counted(view, &names) {
        for object in view.list(resource, Some(namespace)) {
            if except == Some(&*object.meta.uid) {
                continue;
            }
            let value = object.value();
            if !is_in_scope(resource, &value, quota) {
                continue;
            }
            for (name, amount) in of_object(resource, &value) {
                if let Some(sum) = used.get_mut(&name) {
                    *sum = sum.plus(amount);
                }
            }
        }
    }
    used
}

/// Resources whose objects count for one of the names.
fn counted(view: &dyn View, names: &[&str]) -> Vec<Resource> {
    const ALWAYS: [Resource; 7] = [
        Resource::PODS,
        Resource::SERVICES,
        Resource::VOLUME_CLAIMS,
        Resource::CONFIG_MAPS,
        Resource::SECRETS,
        Resource::RESOURCE_QUOTAS,
        Resource::REPLICATION_CONTROLLERS,
    ];
    let mut all = view.resources();
    all.extend(ALWAYS);
    all.sort();
    all.dedup();
    all.retain(|resource| names.iter().any(|name| is_relevant(*resource, name)));
    all
}

/// `status` of a ResourceQuota: what it limits, and what of it is used.
pub fn status(view: &dyn View, quota: &Object) -> Value {
    let value = quota.value();
    let used: serde_json::Map<String, Value> = of_namespace(view, &value, None)
        .into_iter()
        .map(|(name, amount)| (name, amount.to_string().into()))
        .collect();
    let hard = value.at("spec").at("hard");
    if hard.as_object().is_none_or(serde_json::Map::is_empty) {
        return serde_json::json!({});
    }
    serde_json::json!({"hard": hard, "used": used})
}

/// Whether a change of objects of this resource can change what a quota counts.
pub fn counts(quota: &Object, resource: Resource) -> bool {
    let value = quota.value();
    let mut names = value.at("spec").entries("hard").map(|(name, _)| name);
    names.any(|name| is_relevant(resource, name))
}
