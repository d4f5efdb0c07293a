//! Containers, init containers and ephemeral containers.

use super::{Scope, env, probes, resources, security};
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::words;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// All three lists.
pub(crate) fn validate(errors: &mut Errors, scope: &Scope<'_>) {
    regular(errors, scope);
    init(errors, scope);
    ephemeral(errors, scope);
}

fn regular(errors: &mut Errors, scope: &Scope<'_>) {
    let path = scope.path.child("containers");
    let containers = scope.spec.items("containers");
    if containers.is_empty() {
        errors.required(&path, "");
        return;
    }
    let mut seen = BTreeSet::new();
    for (i, container) in containers.iter().enumerate() {
        let path = path.index(i);
        common(errors, scope, container, &path);
        let name = container.text("name");
        if !seen.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        probes::lifecycle_and_probes(errors, scope, container, &path);
        restart_rules(errors, container, &path);
    }
    host_ports(errors, containers, &path);
}

fn init(errors: &mut Errors, scope: &Scope<'_>) {
    let list = scope.path.child("initContainers");
    let regular = scope.spec.items("containers").iter();
    let mut seen: BTreeSet<&str> = regular.map(|container| container.text("name")).collect();
    for (i, container) in scope.spec.items("initContainers").iter().enumerate() {
        let path = list.index(i);
        common(errors, scope, container, &path);
        init_restart_policy(errors, container, &path);
        let name = container.text("name");
        if seen.contains(name) {
            errors.duplicate(&path.child("name"), name);
        } else if !name.is_empty() {
            seen.insert(name);
        }
        host_ports(errors, std::slice::from_ref(container), &list);
        if resources::is_sidecar(container) {
            probes::lifecycle_and_probes(errors, scope, container, &path);
            continue;
        }
        for key in [
            "lifecycle",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
        ] {
            if container.has(key) {
                errors.forbidden(
                    &path.child(key),
                    "may not be set for init containers without restartPolicy=Always",
                );
            }
        }
        init_resize(errors, scope, container, &path);
    }
}

fn init_resize(errors: &mut Errors, scope: &Scope<'_>, container: &Value, path: &Path) {
    if scope.options.loose.init_restart {
        return;
    }
    for (j, policy) in container.items("resizePolicy").iter().enumerate() {
        if policy.text("restartPolicy") == "RestartContainer" {
            errors.invalid(
                &path.child("resizePolicy").index(j).child("restartPolicy"),
                "RestartContainer",
                "must not be set to 'RestartContainer' for non-sidecar initContainers",
            );
        }
    }
}

fn init_restart_policy(errors: &mut Errors, container: &Value, path: &Path) {
    if container.has("restartPolicy") {
        restart_rules(errors, container, path);
    } else if !container.items("restartPolicyRules").is_empty() {
        errors.required(&path.child("restartPolicy"), RULES_NEED_POLICY);
    }
}

const RULES_NEED_POLICY: &str = "must specify restartPolicy when restart rules are used";

fn restart_rules(errors: &mut Errors, container: &Value, path: &Path) {
    let rules = container.items("restartPolicyRules");
    match container.optional_text("restartPolicy") {
        None if !rules.is_empty() => {
            errors.required(&path.child("restartPolicy"), RULES_NEED_POLICY);
        }
        None => return,
        Some(policy) => {
            let supported = ["Always", "Never", "OnFailure"];
            if !supported.contains(&policy) {
                errors.not_supported(&path.child("restartPolicy"), policy, &supported);
            }
        }
    }
    let path = path.child("restartPolicyRules");
    if rules.len() > 20 {
        errors.too_many(&path, rules.len(), 20);
    }
    for (i, rule) in rules.iter().enumerate() {
        restart_rule(errors, rule, &path.index(i));
    }
}

fn restart_rule(errors: &mut Errors, rule: &Value, path: &Path) {
    let (actions, action) = (["Restart", "RestartAllContainers"], rule.text("action"));
    if !actions.contains(&action) {
        errors.not_supported(&path.child("action"), action, &actions);
    }
    let (path, codes) = (path.child("exitCodes"), rule.at("exitCodes"));
    if codes.is_null() {
        errors.required(&path, "must be specified");
        return;
    }
    let operator = codes.text("operator");
    if !["In", "NotIn"].contains(&operator) {
        errors.not_supported(&path.child("operator"), operator, &["In", "NotIn"]);
    }
    let values = codes.items("values").len();
    if values > 255 {
        errors.too_many(&path.child("values"), values, 255);
    }
}

/// Fields that an ephemeral container may not have.
const NOT_EPHEMERAL: [&str; 7] = [
    "ports",
    "resources",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "resizePolicy",
];

fn ephemeral(errors: &mut Errors, scope: &Scope<'_>) {
    const NOT_SET: &str = "cannot be set for an Ephemeral Container";
    let list = scope.path.child("ephemeralContainers");
    let others = ["containers", "initContainers"].map(|key| scope.spec.items(key));
    let others: BTreeSet<&str> = others
        .into_iter()
        .flatten()
        .map(|container| container.text("name"))
        .collect();
    let mut seen = others.clone();
    for (i, container) in scope.spec.items("ephemeralContainers").iter().enumerate() {
        let path = list.index(i);
        common(errors, scope, container, &path);
        padded_image(errors, container, &path);
        let name = container.text("name");
        if !seen.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        let target = container.text("targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            errors.not_found(&path.child("targetContainerName"), target);
        }
        for key in NOT_EPHEMERAL
            .into_iter()
            .chain(["restartPolicy", "restartPolicyRules"])
        {
            let empty = match container.at(key) {
                Value::Null => true,
                Value::Array(list) => list.is_empty(),
                Value::Object(map) => key == "resources" && map.is_empty(),
                _ => false,
            };
            if !empty {
                errors.forbidden(&path.child(key), NOT_SET);
            }
        }
        for (j, mount) in container.items("volumeMounts").iter().enumerate() {
            for key in ["subPath", "subPathExpr"] {
                if !mount.text(key).is_empty() {
                    let path = path.child("volumeMounts").index(j).child(key);
                    errors.forbidden(&path, NOT_SET);
                }
            }
        }
    }
}

/// Images of Pods may not be padded.
pub(crate) fn padded_image(errors: &mut Errors, container: &Value, path: &Path) {
    let image = container.text("image");
    if image.trim() != image {
        errors.invalid(
            &path.child("image"),
            image,
            "must not have leading or trailing whitespace",
        );
    }
}

fn common(errors: &mut Errors, scope: &Scope<'_>, container: &Value, path: &Path) {
    let name = container.text("name");
    if name.is_empty() {
        errors.required(&path.child("name"), "");
    } else {
        errors.invalid_each(&path.child("name"), name, names::dns1123_label(name));
    }
    if container.text("image").is_empty() {
        errors.required(&path.child("image"), "");
    }
    errors.one_of(
        &path.child("terminationMessagePolicy"),
        container.text("terminationMessagePolicy"),
        &["File", "FallbackToLogsOnError"],
    );
    ports(errors, container.items("ports"), &path.child("ports"));
    env::validate(errors, container, path);
    volume_mounts(errors, scope, container, path);
    volume_devices(errors, scope, container, path);
    pull_policy(
        errors,
        &path.child("imagePullPolicy"),
        container.text("imagePullPolicy"),
    );
    resources::requirements(
        errors,
        &path.child("resources"),
        container.at("resources"),
        scope.resource_rules(),
    );
    resize_policy(errors, scope, container, &path.child("resizePolicy"));
    let context = container.at("securityContext");
    security::container(
        errors,
        context,
        &path.child("securityContext"),
        scope.host_users(),
    );
}

/// `imagePullPolicy` and `pullPolicy`
pub(crate) fn pull_policy(errors: &mut Errors, path: &Path, policy: &str) {
    errors.one_of(path, policy, &["Always", "IfNotPresent", "Never"]);
}

fn ports(errors: &mut Errors, ports: &[Value], path: &Path) {
    let mut seen = BTreeSet::new();
    for (i, port) in ports.iter().enumerate() {
        let path = path.index(i);
        let name = port.text("name");
        if !name.is_empty() {
            let texts = names::port_name(name);
            if !texts.is_empty() {
                errors.invalid_each(&path.child("name"), name, texts);
            } else if !seen.insert(name) {
                errors.duplicate(&path.child("name"), name);
            }
        }
        match port.number("containerPort").unwrap_or(0) {
            0 => errors.required(&path.child("containerPort"), ""),
            number => port_number(errors, &path.child("containerPort"), number),
        }
        let host = port.number("hostPort").unwrap_or(0);
        if host != 0 {
            port_number(errors, &path.child("hostPort"), host);
        }
        errors.one_of(
            &path.child("protocol"),
            port.text("protocol"),
            &["SCTP", "TCP", "UDP"],
        );
    }
}

fn port_number(errors: &mut Errors, path: &Path, number: i64) {
    for text in names::port_number(number) {
        errors.invalid(path, number, text);
    }
}

/// Each host port can be taken once per protocol and address.
fn host_ports(errors: &mut Errors, containers: &[Value], path: &Path) {
    let mut seen = BTreeSet::new();
    for (i, container) in containers.iter().enumerate() {
        for (j, port) in container.items("ports").iter().enumerate() {
            let number = port.number("hostPort").unwrap_or(0);
            if number == 0 {
                continue;
            }
            let text = format!("{}/{}/{number}", port.text("protocol"), port.text("hostIP"));
            if seen.contains(&text) {
                let path = path.index(i).child("ports").index(j).child("hostPort");
                errors.duplicate(&path, text);
            } else {
                seen.insert(text);
            }
        }
    }
}

/// Paths by volume name; of two mounts of one volume the last counts.
fn by_name<'a>(list: &'a [Value], key: &str) -> BTreeMap<&'a str, &'a str> {
    list.iter()
        .map(|item| (item.text("name"), item.text(key)))
        .collect()
}

fn volume_mounts(errors: &mut Errors, scope: &Scope<'_>, container: &Value, path: &Path) {
    let devices = by_name(container.items("volumeDevices"), "devicePath");
    let list = path.child("volumeMounts");
    let mut seen = BTreeSet::new();
    for (i, mount) in container.items("volumeMounts").iter().enumerate() {
        let path = list.index(i);
        let (name, target) = (mount.text("name"), mount.text("mountPath"));
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        }
        if !scope.volumes.contains_key(name) {
            errors.not_found(&path.child("name"), name);
        }
        if target.is_empty() {
            errors.required(&path.child("mountPath"), "");
        }
        if !seen.insert(target) {
            errors.invalid(&path.child("mountPath"), target, "must be unique");
        }
        if devices.contains_key(name) {
            let path = path.child("name");
            errors.invalid(&path, name, "must not already exist in volumeDevices");
        }
        if devices.values().any(|device| *device == target) {
            errors.invalid(
                &path.child("mountPath"),
                target,
                "must not already exist as a path in volumeDevices",
            );
        }
        // Upstream reports the following ones at the list.
        sub_paths(errors, mount, &path, &list);
        mount_modes(errors, container, mount, &list);
    }
}

fn sub_paths(errors: &mut Errors, mount: &Value, path: &Path, list: &Path) {
    let (plain, expression) = (mount.text("subPath"), mount.text("subPathExpr"));
    if !plain.is_empty() {
        words::descending_path(errors, &list.child("subPath"), plain);
    }
    if expression.is_empty() {
        return;
    }
    if !plain.is_empty() {
        errors.invalid(
            &path.child("subPathExpr"),
            expression,
            "subPathExpr and subPath are mutually exclusive",
        );
    }
    words::descending_path(errors, &list.child("subPathExpr"), expression);
}

fn mount_modes(errors: &mut Errors, container: &Value, mount: &Value, list: &Path) {
    let propagation = mount.optional_text("mountPropagation");
    if let Some(mode) = propagation {
        let path = list.child("mountPropagation");
        let supported = ["Bidirectional", "HostToContainer", "None"];
        if !supported.contains(&mode) {
            errors.not_supported(&path, mode, &supported);
        }
        let privileged = container.at("securityContext").flag("privileged") == Some(true);
        if mode == "Bidirectional" && !privileged {
            errors.forbidden(
                &path,
                "Bidirectional mount propagation is available only to privileged containers",
            );
        }
    }
    let path = list.child("recursiveReadOnly");
    match mount.optional_text("recursiveReadOnly") {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.flag("readOnly") != Some(true) {
                errors.forbidden(&path, "may only be specified when readOnly is true");
            }
            if propagation.is_some_and(|mode| mode != "None") {
                errors.forbidden(
                    &path,
                    "may only be specified when mountPropagation is None or not specified",
                );
            }
        }
        Some(other) => {
            errors.not_supported(&path, other, &["Disabled", "Enabled", "IfPossible"]);
        }
    }
}

fn volume_devices(errors: &mut Errors, scope: &Scope<'_>, container: &Value, path: &Path) {
    let mounts = by_name(container.items("volumeMounts"), "mountPath");
    let list = path.child("volumeDevices");
    let (mut paths, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for (i, device) in container.items("volumeDevices").iter().enumerate() {
        let path = list.index(i);
        let (name_path, device_path) = (path.child("name"), path.child("devicePath"));
        let (name, target) = (device.text("name"), device.text("devicePath"));
        if name.is_empty() {
            errors.required(&name_path, "");
        }
        if seen.contains(name) {
            errors.invalid(&name_path, name, "must be unique");
        }
        match scope.volumes.get(name) {
            None => errors.not_found(&name_path, name),
            Some(volume) if !volume.has("persistentVolumeClaim") && !volume.has("ephemeral") => {
                errors.invalid(
                    &name_path,
                    name,
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for \
                     block mode",
                );
            }
            Some(_) => {}
        }
        if target.is_empty() {
            errors.required(&device_path, "");
        }
        if paths.contains(target) {
            errors.invalid(&device_path, target, "must be unique");
        }
        if target.split('/').any(|step| step == "..") {
            errors.invalid(&device_path, target, "can not contain backsteps ('..')");
        } else {
            paths.insert(target);
        }
        if mounts.contains_key(name) {
            errors.invalid(&name_path, name, "must not already exist in volumeMounts");
        }
        if mounts.values().any(|mount| *mount == target) {
            errors.invalid(
                &device_path,
                target,
                "must not already exist as a path in volumeMounts",
            );
        }
        if !name.is_empty() {
            seen.insert(name);
        }
    }
}

fn resize_policy(errors: &mut Errors, scope: &Scope<'_>, container: &Value, path: &Path) {
    let mut seen = BTreeSet::new();
    for (i, policy) in container.items("resizePolicy").iter().enumerate() {
        let (name, restart) = (policy.text("resourceName"), policy.text("restartPolicy"));
        if !seen.insert(name) {
            errors.duplicate(&path.index(i), name);
        }
        errors.one_of(path, name, &["cpu", "memory"]);
        errors.one_of(path, restart, &["NotRequired", "RestartContainer"]);
        if scope.spec.text("restartPolicy") == "Never" && restart != "NotRequired" {
            errors.invalid(
                path,
                restart,
                "must be 'NotRequired' when pod `restartPolicy` is 'Never'",
            );
        }
    }
}
