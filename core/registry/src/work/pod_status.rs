//! The status of Pods, as kubelets write it.

use super::podspec::options::Options;
use super::podspec::security;
use super::{pod_update, podspec};
use crate::field::path::{Errors, IMMUTABLE, Path, go_struct};
use crate::field::read::{Read, copy_field, ensure, items_mut, remove, set};
use crate::field::{ip, names};
use model::go_quote;
use serde_json::{Value, json};

/// `podIP` and `podIPs` say the same; when both are there and differ, `podIP` wins.
pub(super) fn addresses(status: &mut Value) {
    let single = status.text("podIP").to_owned();
    let first = status.items("podIPs").first();
    let first = first.map(|address| address.text("ip").to_owned());
    match first {
        None if single.is_empty() => {}
        Some(first) if single.is_empty() && !first.is_empty() => set(status, "podIP", first),
        Some(first) if first == single => {}
        _ => set(status, "podIPs", vec![json!({"ip": single})]),
    }
}

/// Keeps all but the status and some metadata.
pub(super) fn prepare(object: &mut Value, old: &Value) {
    super::keep(object, old, &["spec"]);
    if let Some(metadata) = ensure(object, "metadata") {
        for key in ["deletionTimestamp", "ownerReferences", "generation"] {
            copy_field(metadata, old.at("metadata"), key);
        }
    }
    let before = old.at("status");
    let Some(status) = ensure(object, "status") else {
        return;
    };
    if status.text("qosClass").is_empty() {
        copy_field(status, before, "qosClass");
    }
    if !before.has("nodeAllocatableResourceClaimStatuses") {
        remove(status, "nodeAllocatableResourceClaimStatuses");
    }
    if status.number("observedGeneration").unwrap_or(0) == 0 {
        copy_field(status, before, "observedGeneration");
    }
    let mut left: Vec<&Value> = before.items("conditions").iter().collect();
    for condition in items_mut(status, "conditions") {
        let kind = condition.text("type").to_owned();
        let Some(at) = left.iter().position(|old| old.text("type") == kind) else {
            continue;
        };
        let old = left.remove(at);
        if condition.number("observedGeneration").unwrap_or(0) == 0 {
            copy_field(condition, old, "observedGeneration");
        }
    }
}

/// Addresses that are taken but not in their canonical form.
pub(super) fn warnings(status: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for key in ["podIPs", "hostIPs"] {
        let path = Path::new("status").child(key);
        for (i, address) in ips(status, key).iter().enumerate() {
            let path = path.index(i).child("ip");
            all.extend(ip::ip_warnings(path.as_str(), address));
        }
    }
    all
}

/// `ValidatePodStatusUpdate`
pub(super) fn validate(errors: &mut Errors, pod: &Value, old: &Value) {
    let options = Options::update(true, old.at("spec"), old.at("metadata"));
    pod_update::annotations(errors, pod, old, &options);
    let (status, before, path) = (pod.at("status"), old.at("status"), Path::new("status"));
    conditions(errors, status, &path.child("conditions"));
    nominated_node(errors, pod, old, &path.child("nominatedNodeName"));
    not_below_zero(errors, status, &path);
    if status.text("qosClass") != before.text("qosClass") {
        let class = status.text("qosClass");
        errors.invalid(&path.child("qosClass"), class, IMMUTABLE);
    }
    transitions(errors, pod, old, &path);
    claim_statuses(errors, pod, &path.child("resourceClaimStatuses"));
    pod_ips(errors, status, before, &path.child("podIPs"));
    host_ips(errors, status, before, &path.child("hostIPs"));
    let os = pod.at("spec").at("os").text("name");
    for list in STATUS_LISTS {
        users(errors, status.items(list), os, &path.child(list));
    }
    for (list, containers) in [
        ("containerStatuses", "containers"),
        ("initContainerStatuses", "initContainers"),
    ] {
        let containers = pod.at("spec").items(containers);
        allocated(errors, status.items(list), containers, &path.child(list));
    }
    let ephemeral = path.child(STATUS_LISTS[2]);
    for (i, found) in status.items(STATUS_LISTS[2]).iter().enumerate() {
        if !found.items("allocatedResourcesStatus").is_empty() {
            errors.forbidden(
                &ephemeral.index(i).child("allocatedResourcesStatus"),
                "must not be specified in container status",
            );
        }
    }
}

const STATUS_LISTS: [&str; 3] = [
    "containerStatuses",
    "initContainerStatuses",
    "ephemeralContainerStatuses",
];

fn not_below_zero(errors: &mut Errors, holder: &Value, path: &Path) {
    let generation = holder.number("observedGeneration").unwrap_or(0);
    if generation < 0 {
        errors.invalid(
            &path.child("observedGeneration"),
            generation,
            "must be a non-negative integer",
        );
    }
}

fn conditions(errors: &mut Errors, status: &Value, list: &Path) {
    for (i, condition) in status.items("conditions").iter().enumerate() {
        let (path, kind) = (list.index(i), condition.text("type"));
        not_below_zero(errors, condition, &path);
        if !matches!(kind, "PodScheduled" | "Ready" | "Initialized") {
            errors.invalid_each(&path.child("Type"), kind, names::qualified_name(kind));
        }
    }
}

fn nominated_node(errors: &mut Errors, pod: &Value, old: &Value, path: &Path) {
    let name = pod.at("status").text("nominatedNodeName");
    if name.is_empty() || name == old.at("status").text("nominatedNodeName") {
        return;
    }
    errors.invalid_each(path, name, names::dns1123_subdomain(name));
    if !old.at("spec").text("nodeName").is_empty() {
        errors.forbidden(
            path,
            "may not be set on pods that are already bound to a node",
        );
    }
}

/// A container that has ended may start again only where the restart policy says so.
fn transitions(errors: &mut Errors, pod: &Value, old: &Value, path: &Path) {
    let spec = old.at("spec");
    for list in STATUS_LISTS {
        if list != STATUS_LISTS[2] && all_could_restart(spec) {
            continue;
        }
        let new = pod.at("status").items(list);
        for (i, before) in old.at("status").items(list).iter().enumerate() {
            let ended = before.at("state").at("terminated");
            if ended.is_null() {
                continue;
            }
            let name = before.text("name");
            let runs = |now: &&Value| {
                now.text("name") == name && now.at("state").at("terminated").is_null()
            };
            let code = ended.number("exitCode").unwrap_or(0);
            let containers = match list {
                "containerStatuses" => spec.items("containers"),
                "initContainerStatuses" => spec.items("initContainers"),
                _ => &[],
            };
            let container = containers.iter().find(|c| c.text("name") == name);
            let allowed = container.is_some_and(|container| may_restart(spec, container, code));
            if new.iter().any(|now| runs(&now)) && !allowed {
                errors.forbidden(
                    &path.child(list).index(i).child("state"),
                    "may not be transitioned to non-terminated state",
                );
            }
        }
    }
}

/// True when a rule restarts all containers, so that any of them may come back.
fn all_could_restart(spec: &Value) -> bool {
    ["containers", "initContainers"]
        .iter()
        .flat_map(|list| spec.items(list))
        .flat_map(|container| container.items("restartPolicyRules"))
        .any(|rule| rule.text("action") == "RestartAllContainers")
}

fn may_restart(spec: &Value, container: &Value, code: i64) -> bool {
    for rule in container.items("restartPolicyRules") {
        let codes = rule.at("exitCodes");
        let listed = codes
            .items("values")
            .iter()
            .any(|value| value.as_i64() == Some(code));
        let hit = match codes.text("operator") {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        };
        if hit && rule.text("action") == "Restart" {
            return true;
        }
    }
    let own = container.text("restartPolicy");
    let policy = if own.is_empty() {
        spec.text("restartPolicy")
    } else {
        own
    };
    match policy {
        "OnFailure" => code != 0,
        "Never" => false,
        _ => true,
    }
}

fn claim_statuses(errors: &mut Errors, pod: &Value, list: &Path) {
    let claims = podspec::claims::names(pod.at("spec"));
    let mut seen = std::collections::BTreeSet::new();
    for (i, status) in pod
        .at("status")
        .items("resourceClaimStatuses")
        .iter()
        .enumerate()
    {
        let (path, name) = (list.index(i), status.text("name"));
        if !claims.contains(name) {
            let text = "must match the name of an entry in `spec.resourceClaims`";
            errors.invalid(&path.child("name"), name, text);
        }
        if !seen.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        let claim = status.text("resourceClaimName");
        if !claim.is_empty() {
            let texts = names::dns1123_subdomain(claim);
            errors.invalid_each(&path.child("resourceClaimName"), claim, texts);
        }
    }
}

fn ips(status: &Value, key: &str) -> Vec<String> {
    let list = status.items(key).iter();
    list.map(|address| address.text("ip").to_owned()).collect()
}

fn pod_ips(errors: &mut Errors, status: &Value, before: &Value, path: &Path) {
    each_ip(errors, &ips(status, "podIPs"), &ips(before, "podIPs"), path);
}

fn host_ips(errors: &mut Errors, status: &Value, before: &Value, path: &Path) {
    let all = ips(status, "hostIPs");
    let Some(first) = all.first() else {
        return;
    };
    if first != status.text("hostIP") {
        let path = path.index(0).child("ip");
        errors.invalid(&path, first.as_str(), "must be equal to `hostIP`");
    }
    each_ip(errors, &all, &ips(before, "hostIPs"), path);
}

fn each_ip(errors: &mut Errors, all: &[String], before: &[String], path: &Path) {
    for (i, address) in all.iter().enumerate() {
        if !before.contains(address) {
            errors.extend(ip::check_ip(path.index(i).as_str(), address));
        }
    }
    let valid = all.iter().all(|address| ip::parse_ip(address).is_some());
    let v4 = all.iter().filter(|address| ip::is_ipv4(address)).count();
    let dual = v4 > 0 && v4 < all.len();
    if all.len() > 1 && valid && (!dual || all.len() > 2) {
        let shown: Vec<String> = all
            .iter()
            .map(|address| go_struct(&[("IP", go_quote(address))]))
            .collect();
        errors.invalid_shown(
            path,
            format!("[{}]", shown.join(",")),
            "may specify no more than one IP for each IP family",
        );
    }
}

fn users(errors: &mut Errors, statuses: &[Value], os: &str, list: &Path) {
    for (i, status) in statuses.iter().enumerate() {
        let user = status.at("user").at("linux");
        if user.is_null() {
            continue;
        }
        let path = list.index(i).child("user").child("linux");
        if os == "windows" {
            errors.forbidden(&path, "cannot be set for a windows pod");
            continue;
        }
        for key in ["uid", "gid"] {
            let id = user.number(key).unwrap_or(0);
            security::numeric_id(errors, &path.child(key), id);
        }
        for (j, group) in user.items("supplementalGroups").iter().enumerate() {
            let path = path.child("supplementalGroups").index(j);
            security::numeric_id(errors, &path, group.as_i64().unwrap_or(0));
        }
    }
}

fn allocated(errors: &mut Errors, statuses: &[Value], containers: &[Value], list: &Path) {
    for (i, status) in statuses.iter().enumerate() {
        let name = status.text("name");
        let Some(container) = containers.iter().find(|c| c.text("name") == name) else {
            continue;
        };
        for (j, resource) in status.items("allocatedResourcesStatus").iter().enumerate() {
            let path = list.index(i).child("allocatedResourcesStatus").index(j);
            known_resource(
                errors,
                container,
                resource.text("name"),
                &path.child("name"),
            );
            health(errors, resource, &path.child("resources"));
        }
    }
}

fn known_resource(errors: &mut Errors, container: &Value, name: &str, path: &Path) {
    let resources = container.at("resources");
    let (known, text) = if name.starts_with("claim:") {
        let mut claims = resources.items("claims").iter();
        let known = claims.any(|claim| match claim.text("request") {
            "" => name == format!("claim:{}", claim.text("name")),
            request => name == format!("claim:{}/{request}", claim.text("name")),
        });
        let text = "must match one of the container's resource claims in a format \
                    'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty";
        (known, text)
    } else {
        let known = resources.at("requests").has(name);
        (known, "must match one of the container's resource requests")
    };
    if !known {
        errors.invalid(path, name, text);
    }
}

fn health(errors: &mut Errors, resource: &Value, list: &Path) {
    let mut seen = std::collections::BTreeSet::new();
    for (k, one) in resource.items("resources").iter().enumerate() {
        let (path, state) = (list.index(k), one.text("health"));
        let known = ["Healthy", "Unhealthy", "Unknown"];
        if !known.contains(&state) {
            errors.not_supported(&path.child("health"), state, &known);
        }
        let id = one.text("resourceID");
        if !seen.insert(id) {
            errors.duplicate(&path.child("resourceID"), id);
        }
    }
}
