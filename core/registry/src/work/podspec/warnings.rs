//! Warnings about Pods and templates that are taken but may not do what their author thinks.
//!
//! Source: `pkg/api/pod/warnings.go`.

use super::resources::quantity;
use super::{overlap, security, visit};
use crate::field::path::Path;
use crate::field::read::Read;
use crate::field::{ip, names};
use model::go_quote;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Warnings about `template` (an object with metadata and spec) at `path`, which is empty for a
/// Pod itself.
pub(crate) fn of_template(template: &Value, path: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    let (spec, metadata) = (template.at("spec"), template.at("metadata"));
    let spec_path = path.child("spec");
    placement(&mut warnings, spec, &spec_path);
    annotations(&mut warnings, metadata, path);
    volumes(&mut warnings, spec, &spec_path);
    overlap::paths(&mut warnings, spec);
    repeated(&mut warnings, spec, &spec_path);
    for name in ["memory", "ephemeral-storage"] {
        fraction(
            &mut warnings,
            spec.at("overhead"),
            name,
            &spec_path.child("overhead"),
        );
    }
    let pod_seccomp = spec.at("securityContext").has("seccompProfile");
    let key = "seccomp.security.alpha.kubernetes.io/pod";
    if !pod_seccomp && metadata.at("annotations").has(key) {
        warnings.push(old_seccomp(path, key));
    }
    for (container, container_path) in visit(spec, &spec_path) {
        let place = (path, &container_path);
        container_warnings(&mut warnings, container, template, place);
    }
    ports(&mut warnings, spec, &spec_path);
    port_names(&mut warnings, spec, &spec_path);
    if spec
        .number("terminationGracePeriodSeconds")
        .is_some_and(|seconds| seconds < 0)
    {
        warnings.push(format!(
            "{}: must be >= 0; negative values are invalid and will be treated as 1",
            spec_path.child("terminationGracePeriodSeconds")
        ));
    }
    selectors(&mut warnings, spec, &spec_path);
    addresses(&mut warnings, spec, &spec_path);
    warnings
}

/// Labels of nodes that have a newer name, with what to say about them.
fn deprecated_label(key: &str) -> Option<&'static str> {
    Some(match key {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        }
        "beta.kubernetes.io/instance-type" => {
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        }
        "app.kubernetes.io/created-by" => "deprecated since v1.9",
        "scheduler.alpha.kubernetes.io/preferAvoidPods" => {
            "deprecated since v1.22; use Taints and Tolerations instead"
        }
        "node-role.kubernetes.io/master" => "use \"node-role.kubernetes.io/control-plane\" instead",
        _ => return None,
    })
}

fn placement(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    for (key, _) in spec.entries("nodeSelector") {
        if let Some(text) = deprecated_label(key) {
            warnings.push(format!("{}: {text}", path.child("nodeSelector").key(key)));
        }
    }
    let node = spec.at("affinity").at("nodeAffinity");
    let node_path = path.child("affinity").child("nodeAffinity");
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let terms = node.at(required).items("nodeSelectorTerms");
    for (i, term) in terms.iter().enumerate() {
        let path = node_path
            .child(required)
            .child("nodeSelectorTerms")
            .index(i);
        node_term(warnings, term, false, &path);
    }
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    for (i, term) in node.items(preferred).iter().enumerate() {
        let path = node_path.child(preferred).index(i).child("preference");
        node_term(warnings, term.at("preference"), true, &path);
    }
    for (i, constraint) in spec.items("topologySpreadConstraints").iter().enumerate() {
        let path = path.child("topologySpreadConstraints").index(i);
        let key = constraint.text("topologyKey");
        if let Some(text) = deprecated_label(key) {
            warnings.push(format!("{}: {key} is {text}", path.child("topologyKey")));
        }
        if !constraint.has("labelSelector") {
            warnings.push(null_selector(&path.child("labelSelector")));
        }
    }
}

fn null_selector(path: &Path) -> String {
    format!("{path}: a null labelSelector results in matching no pod")
}

fn node_term(warnings: &mut Vec<String>, term: &Value, values: bool, path: &Path) {
    for (i, expression) in term.items("matchExpressions").iter().enumerate() {
        let path = path.child("matchExpressions").index(i);
        let key = expression.text("key");
        if let Some(text) = deprecated_label(key) {
            warnings.push(format!("{}: {key} is {text}", path.child("key")));
        }
        if !values {
            continue;
        }
        for (j, value) in expression.texts("values").into_iter().enumerate() {
            for text in names::label_value(value) {
                let path = path.child("values").index(j);
                warnings.push(format!("{path}: {value} is invalid, {text}"));
            }
        }
    }
}

fn annotations(warnings: &mut Vec<String>, metadata: &Value, path: &Path) {
    for (key, text) in [
        (
            "scheduler.alpha.kubernetes.io/critical-pod",
            "non-functional in v1.16+; use the \"priorityClassName\" field instead",
        ),
        (
            "security.alpha.kubernetes.io/sysctls",
            "non-functional in v1.11+; use the \"sysctls\" field instead",
        ),
        (
            "security.alpha.kubernetes.io/unsafe-sysctls",
            "non-functional in v1.11+; use the \"sysctls\" field instead",
        ),
    ] {
        if metadata.at("annotations").has(key) {
            warnings.push(format!("{}: {text}", annotation(path, key)));
        }
    }
}

fn annotation(path: &Path, key: &str) -> Path {
    path.child("metadata").child("annotations").key(key)
}

fn old_seccomp(path: &Path, key: &str) -> String {
    format!(
        "{}: non-functional in v1.27+; use the \"seccompProfile\" field instead",
        annotation(path, key)
    )
}

fn volumes(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    const OLD: [(&str, &str, &str); 9] = [
        (
            "photonPersistentDisk",
            "photonPersistentDisk",
            "deprecated in v1.11, non-functional in v1.16+",
        ),
        (
            "gitRepo",
            "gitRepo",
            "deprecated in v1.11, and disabled by default in v1.33+",
        ),
        (
            "scaleIO",
            "scaleIO",
            "deprecated in v1.16, non-functional in v1.22+",
        ),
        (
            "flocker",
            "flocker",
            "deprecated in v1.22, non-functional in v1.25+",
        ),
        (
            "storageos",
            "storageOS",
            "deprecated in v1.22, non-functional in v1.25+",
        ),
        (
            "quobyte",
            "quobyte",
            "deprecated in v1.22, non-functional in v1.25+",
        ),
        (
            "glusterfs",
            "glusterfs",
            "deprecated in v1.25, non-functional in v1.26+",
        ),
        (
            "cephfs",
            "cephfs",
            "deprecated in v1.28, non-functional in v1.31+",
        ),
        (
            "rbd",
            "rbd",
            "deprecated in v1.28, non-functional in v1.31+",
        ),
    ];
    for (i, volume) in spec.items("volumes").iter().enumerate() {
        let path = path.child("volumes").index(i);
        for (key, shown, text) in OLD {
            if volume.has(key) {
                warnings.push(format!("{}: {text}", path.child(shown)));
            }
        }
        let claim = volume.at("ephemeral").at("volumeClaimTemplate").at("spec");
        let path = path
            .child("ephemeral")
            .child("volumeClaimTemplate")
            .child("spec");
        claim_spec(warnings, claim, &path);
    }
}

/// Sizes of a claim that are no whole bytes.
pub(crate) fn claim_spec(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    for kind in ["requests", "limits"] {
        let list = spec.at("resources").at(kind);
        let path = path.child("resources").child(kind);
        fraction(warnings, list, "storage", &path);
    }
}

fn fraction(warnings: &mut Vec<String>, list: &Value, name: &str, path: &Path) {
    let value = quantity(list.at(name));
    if !value.is_whole() {
        warnings.push(format!(
            "{}: fractional byte value {} is invalid, must be an integer",
            path.key(name),
            go_quote(&value.to_string())
        ));
    }
}

fn repeated(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    for (list, key) in [("hostAliases", "ip"), ("imagePullSecrets", "name")] {
        let mut seen = BTreeSet::new();
        for (i, item) in spec.items(list).iter().enumerate() {
            let value = item.text(key);
            if !seen.insert(value) {
                let path = path.child(list).index(i).child(key);
                warnings.push(format!("{path}: duplicate {key} {}", go_quote(value)));
            }
        }
    }
    for (i, secret) in spec.items("imagePullSecrets").iter().enumerate() {
        if secret.text("name").is_empty() {
            let path = path.child("imagePullSecrets").index(i).child("name");
            warnings.push(format!("{path}: invalid empty name \"\""));
        }
    }
}

fn container_warnings(
    warnings: &mut Vec<String>,
    container: &Value,
    template: &Value,
    (root, path): (&Path, &Path),
) {
    let annotations = template.at("metadata").at("annotations");
    let (name, context) = (container.text("name"), container.at("securityContext"));
    let key = format!("container.seccomp.security.alpha.kubernetes.io/{name}");
    if !context.has("seccompProfile") && annotations.has(&key) {
        warnings.push(old_seccomp(root, &key));
    }
    let key = format!("{}{name}", security::APP_ARMOR);
    if let Some(value) = annotations.optional_text(&key) {
        let pod = template
            .at("spec")
            .at("securityContext")
            .at("appArmorProfile");
        let field = security::app_armor_field(value);
        let in_template = !root.as_str().is_empty();
        let told = pod.is_null() || field.as_ref() != Some(pod);
        if in_template && !context.has("appArmorProfile") && told {
            warnings.push(format!(
                "{}: deprecated since v1.30; use the \"appArmorProfile\" field instead",
                annotation(root, &key)
            ));
        }
    }
    for name in ["memory", "ephemeral-storage"] {
        for kind in ["limits", "requests"] {
            let list = container.at("resources").at(kind);
            let path = path.child("resources").child(kind);
            fraction(warnings, list, name, &path);
        }
    }
    hidden_variables(warnings, container, path);
}

fn hidden_variables(warnings: &mut Vec<String>, container: &Value, path: &Path) {
    let mut seen = BTreeSet::new();
    for (i, variable) in container.items("env").iter().enumerate() {
        let (name, value) = (variable.text("name"), variable.text("value"));
        if seen.insert(name) {
            continue;
        }
        let reference = format!("$({name})");
        let extends = value != reference && value.contains(&reference);
        if variable.has("valueFrom") || !extends {
            warnings.push(format!(
                "{}: hides previous definition of {}, which may be dropped when using apply",
                path.child("env").index(i),
                go_quote(name)
            ));
        }
    }
}

fn ports(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    let mut all: BTreeMap<String, Vec<(Path, &Value)>> = BTreeMap::new();
    for (container, path) in visit(spec, path) {
        for (i, port) in container.items("ports").iter().enumerate() {
            let path = path.child("ports").index(i);
            let (number, protocol) = (
                port.number("containerPort").unwrap_or(0),
                port.text("protocol"),
            );
            let host = port.number("hostPort").unwrap_or(0);
            let address = port.text("hostIP");
            if !address.is_empty() && host == 0 {
                warnings.push(format!(
                    "{path}: hostIP set without hostPort: {{Name:{} HostPort:{host} \
                     ContainerPort:{number} Protocol:{protocol} HostIP:{address}}}",
                    port.text("name")
                ));
            }
            let others = all.entry(format!("{number}/{protocol}")).or_default();
            for (other, other_port) in others.iter() {
                if let Some(kind) = clash(port, other_port) {
                    warnings.push(format!("{path}: {kind} port definition with {other}"));
                }
            }
            others.push((path, port));
        }
    }
}

fn clash(a: &Value, b: &Value) -> Option<&'static str> {
    let host = |port: &Value| port.number("hostPort").unwrap_or(0);
    let any = |port: &Value| port.text("hostIP").is_empty();
    if a.text("hostIP") == b.text("hostIP") && host(a) == host(b) {
        Some("duplicate")
    } else if host(a) == 0 || host(b) == 0 {
        Some("overlapping")
    } else if host(a) == host(b) && any(a) != any(b) {
        Some("dangerously ambiguous")
    } else {
        None
    }
}

fn port_names(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    let mut seen: BTreeMap<&str, Path> = BTreeMap::new();
    for (container, path) in visit(spec, path) {
        for (i, port) in container.items("ports").iter().enumerate() {
            let (path, name) = (path.child("ports").index(i), port.text("name"));
            if name.is_empty() {
                continue;
            }
            if let Some(other) = seen.get(name) {
                warnings.push(format!(
                    "{path}: duplicate port name {} with {other}, services and probes that select \
                     ports by name will use {other}",
                    go_quote(name)
                ));
            } else {
                seen.insert(name, path);
            }
        }
    }
}

fn selectors(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    for key in ["podAffinity", "podAntiAffinity"] {
        let affinity = spec.at("affinity").at(key);
        let path = path.child("affinity").child(key);
        for (i, term) in affinity.items(required).iter().enumerate() {
            if !term.has("labelSelector") {
                let path = path.child(required).index(i).child("labelSelector");
                warnings.push(null_selector(&path));
            }
        }
        for (i, term) in affinity.items(preferred).iter().enumerate() {
            if !term.at("podAffinityTerm").has("labelSelector") {
                let path = path.child(preferred).index(i).child("podAffinityTerm");
                warnings.push(null_selector(&path.child("labelSelector")));
            }
        }
    }
}

fn addresses(warnings: &mut Vec<String>, spec: &Value, path: &Path) {
    let servers = path.child("dnsConfig").child("nameservers");
    for (i, server) in spec
        .at("dnsConfig")
        .texts("nameservers")
        .into_iter()
        .enumerate()
    {
        warnings.extend(ip::ip_warnings(servers.index(i).as_str(), server));
    }
    for (i, alias) in spec.items("hostAliases").iter().enumerate() {
        let path = path.child("hostAliases").index(i).child("ip");
        warnings.extend(ip::ip_warnings(path.as_str(), alias.text("ip")));
    }
}
