//! Defaults of a PodSpec, in Pods and in templates.
//!
//! Source: `pkg/apis/core/v1/defaults.go` and the generated walk over it.

use super::resources::{Kind, aggregate, canonical_list, is_overcommit_allowed, is_pod_level};
use crate::field::read::{Read, ensure, items_mut, remove, set, set_default, set_default_number};
use schema::quantity;
use serde_json::{Value, json};

/// The mode of files in secret, configMap, downwardAPI and projected volumes: 0644.
const FILE_MODE: i64 = 0o644;

/// The lists of a PodSpec that hold containers.
pub(crate) const CONTAINER_LISTS: [&str; 3] =
    ["initContainers", "containers", "ephemeralContainers"];

/// Defaults that Pods and templates share (`SetDefaults_PodSpec` and what lies under it).
pub(crate) fn pod_spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    set_default(spec, "dnsPolicy", "ClusterFirst");
    set_default(spec, "restartPolicy", "Always");
    ensure(spec, "securityContext");
    set_default(spec, "terminationGracePeriodSeconds", 30);
    set_default(spec, "schedulerName", "default-scheduler");
    service_account_alias(spec);
    for name in CONTAINER_LISTS {
        items_mut(spec, name).for_each(container);
    }
    items_mut(spec, "volumes").for_each(volume);
    if let Some(overhead) = spec.get_mut("overhead") {
        canonical_list(overhead);
    }
    if let Some(resources) = spec.get_mut("resources") {
        resource_lists(resources);
    }
}

/// `serviceAccount` is the old name of `serviceAccountName`; both say the same.
fn service_account_alias(spec: &mut Value) {
    let mut name = spec.text("serviceAccountName").to_owned();
    if name.is_empty() {
        name = spec.text("serviceAccount").to_owned();
    }
    if name.is_empty() {
        return;
    }
    set(spec, "serviceAccountName", name.as_str());
    set(spec, "serviceAccount", name);
}

/// Defaults of Pods only (`SetDefaults_Pod`), before [`pod_spec`].
pub(crate) fn pod_only(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    for name in ["containers", "initContainers"] {
        items_mut(spec, name).for_each(requests_from_limits);
    }
    huge_page_limits(spec);
    pod_requests(spec);
    set_default(spec, "enableServiceLinks", true);
    if spec.flag("hostNetwork") == Some(true) {
        for name in ["containers", "initContainers"] {
            items_mut(spec, name).for_each(host_ports);
        }
    }
    if spec
        .number("terminationGracePeriodSeconds")
        .is_some_and(|seconds| seconds < 0)
    {
        set(spec, "terminationGracePeriodSeconds", 1);
    }
}

fn requests_from_limits(container: &mut Value) {
    let limits = container.at("resources").at("limits").clone();
    let Some(limits) = limits.as_object().filter(|limits| !limits.is_empty()) else {
        return;
    };
    let resources = container.get_mut("resources");
    let Some(requests) = resources.and_then(|resources| ensure(resources, "requests")) else {
        return;
    };
    for (name, quantity) in limits {
        if !requests.has(name) {
            set(requests, name, quantity.clone());
        }
    }
}

/// Requests at pod level: from the containers, else from the limits.
fn pod_requests(spec: &mut Value) {
    let limits = spec.at("resources").at("limits").clone();
    let Some(limits) = limits.as_object().filter(|limits| !limits.is_empty()) else {
        return;
    };
    let sums = aggregate(spec, Kind::Requests);
    let Some(requests) = spec
        .get_mut("resources")
        .and_then(|r| ensure(r, "requests"))
    else {
        return;
    };
    for (name, sum) in sums {
        if !requests.has(&name) && is_pod_level(&name) && is_overcommit_allowed(&name) {
            set(requests, &name, sum.to_string());
        }
    }
    for (name, limit) in limits {
        if !requests.has(name) && is_pod_level(name) {
            set(requests, name, limit.clone());
        }
    }
}

fn huge_page_limits(spec: &mut Value) {
    let resources = spec.at("resources");
    let (limits, requests) = (resources.at("limits"), resources.at("requests"));
    let none = |list: &Value| list.as_object().is_none_or(serde_json::Map::is_empty);
    if none(limits) && none(requests) {
        return;
    }
    let requests = requests.clone();
    let sums = aggregate(spec, Kind::Limits);
    let Some(resources) = spec.get_mut("resources") else {
        return;
    };
    for (name, sum) in sums {
        if !name.starts_with("hugepages-") || requests.has(&name) {
            continue;
        }
        if let Some(limits) = ensure(resources, "limits")
            && !limits.has(&name)
        {
            set(limits, &name, sum.to_string());
        }
    }
}

/// On the host's network each container port is the host's.
fn host_ports(container: &mut Value) {
    for port in items_mut(container, "ports") {
        let number = port.number("containerPort").unwrap_or(0);
        if port.number("hostPort").unwrap_or(0) == 0 && number != 0 {
            set(port, "hostPort", number);
        }
    }
}

fn container(container: &mut Value) {
    if !container.is_object() {
        return;
    }
    let policy = pull_policy(container.text("image"));
    set_default(container, "imagePullPolicy", policy);
    set_default(container, "terminationMessagePath", "/dev/termination-log");
    set_default(container, "terminationMessagePolicy", "File");
    for port in items_mut(container, "ports") {
        set_default(port, "protocol", "TCP");
    }
    items_mut(container, "env").for_each(env);
    if let Some(resources) = ensure(container, "resources") {
        resource_lists(resources);
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = container.get_mut(name) {
            probe(found);
        }
    }
    for hook in ["postStart", "preStop"] {
        let lifecycle = container.get_mut("lifecycle");
        if let Some(hook) = lifecycle.and_then(|lifecycle| lifecycle.get_mut(hook)) {
            http_get(hook);
        }
    }
}

fn env(env: &mut Value) {
    let Some(from) = env.get_mut("valueFrom") else {
        return;
    };
    field_ref(from);
    if let Some(file) = from.get_mut("fileKeyRef") {
        set_default(file, "optional", false);
    }
}

fn field_ref(holder: &mut Value) {
    if let Some(field) = holder.get_mut("fieldRef") {
        set_default(field, "apiVersion", "v1");
    }
    if let Some(resource) = holder.get_mut("resourceFieldRef") {
        set_default(resource, "divisor", "0");
        canonical_field(resource, "divisor");
    }
}

fn probe(probe: &mut Value) {
    if !probe.is_object() {
        return;
    }
    set_default_number(probe, "timeoutSeconds", 1);
    set_default_number(probe, "periodSeconds", 10);
    set_default_number(probe, "successThreshold", 1);
    set_default_number(probe, "failureThreshold", 3);
    http_get(probe);
    if let Some(grpc) = probe.get_mut("grpc") {
        set_default(grpc, "service", "");
    }
}

fn http_get(handler: &mut Value) {
    if let Some(get) = handler.get_mut("httpGet") {
        set_default(get, "path", "/");
        set_default(get, "scheme", "HTTP");
    }
}

/// `limits` and `requests` with canonical quantities, no finer than thousandths.
fn resource_lists(resources: &mut Value) {
    for name in ["limits", "requests"] {
        if let Some(list) = resources.get_mut(name) {
            canonical_list(list);
        }
    }
}

fn canonical_field(value: &mut Value, key: &str) {
    if let Ok(text) = quantity::canonical(value.text(key)) {
        set(value, key, text);
    }
}

fn volume(volume: &mut Value) {
    let Some(map) = volume.as_object_mut() else {
        return;
    };
    map.retain(|key, value| key == "name" || !value.is_null());
    if map.keys().all(|key| key == "name") {
        map.insert("emptyDir".to_owned(), json!({}));
        return;
    }
    for (key, source) in map {
        volume_source(key, source);
    }
}

/// Sources of a PersistentVolume, which stand beside its other fields.
pub(crate) fn volume_sources(spec: &mut Value) {
    for (key, source) in spec.as_object_mut().into_iter().flatten() {
        if source.is_object() {
            volume_source(key, source);
        }
    }
}

fn volume_source(kind: &str, source: &mut Value) {
    match kind {
        "hostPath" => set_default(source, "type", ""),
        "secret" | "configMap" => set_default(source, "defaultMode", FILE_MODE),
        "downwardAPI" => {
            set_default(source, "defaultMode", FILE_MODE);
            items_mut(source, "items").for_each(field_ref);
        }
        "projected" => projected(source),
        "emptyDir" => canonical_field(source, "sizeLimit"),
        "image" => {
            let policy = pull_policy(source.text("reference"));
            set_default(source, "pullPolicy", policy);
        }
        "ephemeral" => {
            let claim = source.get_mut("volumeClaimTemplate");
            if let Some(spec) = claim.and_then(|claim| claim.get_mut("spec")) {
                claim_spec(spec);
            }
        }
        "iscsi" => set_default(source, "iscsiInterface", "default"),
        _ => network_disk(kind, source),
    }
}

fn network_disk(kind: &str, source: &mut Value) {
    let defaults: &[(&str, Value)] = match kind {
        "rbd" => &[
            ("pool", "rbd".into()),
            ("user", "admin".into()),
            ("keyring", "/etc/ceph/keyring".into()),
        ],
        "scaleIO" => &[
            ("storageMode", "ThinProvisioned".into()),
            ("fsType", "xfs".into()),
        ],
        "azureDisk" => &[
            ("cachingMode", "ReadWrite".into()),
            ("fsType", "ext4".into()),
            ("readOnly", false.into()),
            ("kind", "Shared".into()),
        ],
        _ => &[],
    };
    for (key, value) in defaults {
        set_default(source, key, value.clone());
    }
}

fn projected(source: &mut Value) {
    set_default(source, "defaultMode", FILE_MODE);
    for source in items_mut(source, "sources") {
        if let Some(downward) = source.get_mut("downwardAPI") {
            items_mut(downward, "items").for_each(field_ref);
        }
        if let Some(token) = source.get_mut("serviceAccountToken") {
            set_default(token, "expirationSeconds", 3600);
        }
    }
}

/// Defaults of a PersistentVolumeClaim's spec.
pub(crate) fn claim_spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    set_default(spec, "volumeMode", "Filesystem");
    if let Some(resources) = ensure(spec, "resources") {
        resource_lists(resources);
    }
}

/// `Always` for the tag `latest` and for none, else `IfNotPresent`.
fn pull_policy(image: &str) -> &'static str {
    if image_tag(image) == Some("latest") {
        "Always"
    } else {
        "IfNotPresent"
    }
}

/// The tag, `latest` when there is neither tag nor digest; `None` when the name is no reference.
fn image_tag(image: &str) -> Option<&str> {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let after_slash = name.rfind('/').map_or(0, |at| at + 1);
    let (repository, tag) = match name[after_slash..].find(':') {
        Some(at) => (
            &name[..after_slash + at],
            Some(&name[after_slash + at + 1..]),
        ),
        None => (name, None),
    };
    if !is_repository(repository) || digest.is_some_and(|digest| !digest.contains(':')) {
        return None;
    }
    match (tag, digest) {
        (Some(tag), _) => Some(tag).filter(|tag| is_tag(tag)),
        (None, Some(_)) => Some(""),
        (None, None) => Some("latest"),
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

fn is_repository(repository: &str) -> bool {
    let (host, path) = match repository.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => ("", repository),
    };
    let host_byte = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
    let path_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    let part = |part: &str| {
        let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        part.bytes().all(path_byte)
            && part.bytes().next().is_some_and(edge)
            && part.bytes().last().is_some_and(edge)
    };
    host.bytes().all(host_byte) && path.split('/').all(part)
}

/// Annotations that once stood for init containers and are dropped from every Pod and template.
pub(crate) fn drop_init_annotations(metadata: &mut Value) {
    const OLD: [&str; 4] = [
        "pod.beta.kubernetes.io/init-containers",
        "pod.alpha.kubernetes.io/init-containers",
        "pod.beta.kubernetes.io/init-container-statuses",
        "pod.alpha.kubernetes.io/init-container-statuses",
    ];
    if let Some(annotations) = metadata.get_mut("annotations") {
        OLD.iter().for_each(|name| {
            remove(annotations, name);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for (image, want) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("portolan/echo", "Always"),
            ("registry.example.com:5000/a/b", "Always"),
            ("registry.example.com:5000/a/b:v1", "IfNotPresent"),
            ("nginx@sha256:abc", "IfNotPresent"),
            ("nginx:latest@sha256:abc", "Always"),
            ("NGINX", "IfNotPresent"),
            ("", "IfNotPresent"),
            ("a//b", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), want, "{image}");
        }
    }
}
