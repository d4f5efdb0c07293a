//! Admission of Pods: service account, topology labels, priority and default tolerations.
//!
//! Source: `plugin/pkg/admission/{serviceaccount,podtopologylabels,priority,
//! defaulttolerationseconds}`.

use super::podspec::defaults::CONTAINER_LISTS;
use crate::Context;
use crate::field::read::{Read, ensure, items_mut, same, set};
use crate::{quota, scheduling};
use model::{ApiError, Object, Resource, go_quote};
use serde_json::{Value, json};
use std::sync::Arc;

/// 403 `pods "x" is forbidden: …`
pub(crate) fn forbidden(resource: Resource, object: &Value, message: &str) -> ApiError {
    let metadata = object.at("metadata");
    let name = [
        metadata.text("name"),
        metadata.text("generateName"),
        "Unknown",
    ]
    .into_iter()
    .find(|name| !name.is_empty())
    .unwrap_or_default();
    let mut details = json!({"kind": resource.plural(), "name": name});
    if !resource.group().is_empty() {
        set(&mut details, "group", resource.group());
    }
    ApiError {
        details: Some(details),
        ..ApiError::new(
            403,
            "Forbidden",
            format!("{resource} {} is forbidden: {message}", go_quote(name)),
        )
    }
}

const MIRROR: &str = "kubernetes.io/config.mirror";

/// Where the token of the service account is mounted.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_VOLUME: &str = "kube-api-access-";

/// A new Pod.
pub(crate) fn create(pod: &mut Value, context: &Context<'_>) -> Result<(), ApiError> {
    quota::apply_defaults(pod, context);
    if pod.at("metadata").at("annotations").has(MIRROR) {
        mirror(pod)?;
    } else {
        service_account(pod, context)?;
    }
    topology_labels(pod, context);
    priority(pod, context)?;
    tolerations(pod);
    runtime_class(pod, context)?;
    Ok(())
}

/// A changed Pod: what a create would have set is kept.
pub(crate) fn update(pod: &mut Value, old: &Value) {
    for key in ["priority", "preemptionPolicy"] {
        let before = old.at("spec").at(key);
        if let Some(spec) = pod.get_mut("spec")
            && !spec.has(key)
            && !before.is_null()
        {
            set(spec, key, before.clone());
        }
    }
    tolerations(pod);
}

fn mirror(pod: &Value) -> Result<(), ApiError> {
    let spec = pod.at("spec");
    let refuse = |text: &str| Err(forbidden(Resource::PODS, pod, text));
    if !spec.text("serviceAccountName").is_empty() {
        return refuse("a mirror pod may not reference service accounts");
    }
    if names_secret(spec) {
        return refuse("a mirror pod may not reference secrets");
    }
    let sources = spec.items("volumes").iter();
    let mut sources = sources.flat_map(|volume| volume.at("projected").items("sources"));
    if sources.any(|source| source.has("serviceAccountToken")) {
        return refuse("a mirror pod may not use ServiceAccountToken volume projections");
    }
    Ok(())
}

fn names_secret(spec: &Value) -> bool {
    let volumes = spec.items("volumes").iter();
    let containers = CONTAINER_LISTS.iter().flat_map(|list| spec.items(list));
    !spec.items("imagePullSecrets").is_empty()
        || volumes.into_iter().any(|volume| {
            let mut projected = volume.at("projected").items("sources").iter();
            volume.has("secret") || projected.any(|source| source.has("secret"))
        })
        || containers.into_iter().any(|container| {
            let mut env = container.items("env").iter();
            let mut from = container.items("envFrom").iter();
            env.any(|variable| variable.at("valueFrom").has("secretKeyRef"))
                || from.any(|source| source.has("secretRef"))
        })
}

fn service_account(pod: &mut Value, context: &Context<'_>) -> Result<(), ApiError> {
    let Some(spec) = ensure(pod, "spec") else {
        return Ok(());
    };
    if spec.text("serviceAccountName").is_empty() {
        set(spec, "serviceAccountName", "default");
    }
    let name = spec.text("serviceAccountName").to_owned();
    set(spec, "serviceAccount", name.as_str());
    let namespace = pod.at("metadata").text("namespace");
    let found = context
        .view
        .get(Resource::SERVICE_ACCOUNTS, namespace, &name);
    let Some(account) = found.as_deref().map(Object::value) else {
        let text = format!(
            "error looking up service account {namespace}/{name}: serviceaccount {} not found",
            go_quote(&name)
        );
        return Err(forbidden(Resource::PODS, pod, &text));
    };
    let spec = pod.at("spec");
    let mount = spec
        .flag("automountServiceAccountToken")
        .or_else(|| account.flag("automountServiceAccountToken"))
        .unwrap_or(true);
    if mount && let Some(spec) = pod.get_mut("spec") {
        mount_token(spec, context);
    }
    let secrets = account.items("imagePullSecrets");
    if pod.at("spec").items("imagePullSecrets").is_empty()
        && !secrets.is_empty()
        && let Some(spec) = pod.get_mut("spec")
    {
        let names: Vec<Value> = secrets
            .iter()
            .map(|secret| json!({"name": secret.text("name")}))
            .collect();
        set(spec, "imagePullSecrets", names);
    }
    let text = account.at("metadata").at("annotations");
    let enforced = text.text("kubernetes.io/enforce-mountable-secrets");
    if matches!(enforced, "1" | "t" | "T" | "true" | "TRUE" | "True") {
        mountable_secrets(pod, &account)?;
    }
    Ok(())
}

/// With the annotation, a Pod may use only the secrets that its service account lists.
fn mountable_secrets(pod: &Value, account: &Value) -> Result<(), ApiError> {
    let listed = |key: &str, name: &str| {
        account
            .items(key)
            .iter()
            .any(|secret| secret.text("name") == name)
    };
    let owner = account.at("metadata").text("name");
    let not_listed =
        format!("is not allowed because service account {owner} does not reference that");
    let refuse = |what: String| Err(forbidden(Resource::PODS, pod, &what));
    let spec = pod.at("spec");
    for volume in spec
        .items("volumes")
        .iter()
        .filter(|volume| volume.has("secret"))
    {
        let name = volume.at("secret").text("secretName");
        if !listed("secrets", name) {
            return refuse(format!(
                "volume with secret.secretName=\"{name}\" {not_listed} secret"
            ));
        }
    }
    for (list, kind) in [
        ("initContainers", "init container"),
        ("containers", "container"),
    ] {
        for container in spec.items(list) {
            let owner = format!("{kind} {}", container.text("name"));
            for variable in container.items("env") {
                let reference = variable.at("valueFrom").at("secretKeyRef");
                let name = reference.text("name");
                if !reference.is_null() && !listed("secrets", name) {
                    return refuse(format!(
                        "{owner} with envVar {} referencing secret.secretName=\"{name}\" \
                         {not_listed} secret",
                        variable.text("name")
                    ));
                }
            }
            for source in container.items("envFrom") {
                let name = source.at("secretRef").text("name");
                if source.has("secretRef") && !listed("secrets", name) {
                    return refuse(format!(
                        "{owner} with envFrom referencing secret.secretName=\"{name}\" \
                         {not_listed} secret"
                    ));
                }
            }
        }
    }
    for (i, secret) in spec.items("imagePullSecrets").iter().enumerate() {
        let name = secret.text("name");
        if !listed("imagePullSecrets", name) {
            return refuse(format!(
                "imagePullSecrets[{i}].name=\"{name}\" {not_listed} imagePullSecret"
            ));
        }
    }
    Ok(())
}

/// Mounts the token where no container has something at its path yet.
fn mount_token(spec: &mut Value, context: &Context<'_>) {
    let existing = spec
        .items("volumes")
        .iter()
        .map(|volume| volume.text("name"))
        .find(|name| name.starts_with(TOKEN_VOLUME))
        .map(str::to_owned);
    let name = existing
        .clone()
        .unwrap_or_else(|| format!("{TOKEN_VOLUME}{}", suffix(context)));
    let mut needed = false;
    for list in ["initContainers", "containers"] {
        for container in items_mut(spec, list) {
            let mounts = container.items("volumeMounts");
            if mounts
                .iter()
                .any(|mount| mount.text("mountPath") == TOKEN_PATH)
            {
                continue;
            }
            let mount = json!({"name": name, "readOnly": true, "mountPath": TOKEN_PATH});
            push(container, "volumeMounts", mount);
            needed = true;
        }
    }
    if needed && existing.is_none() {
        push(spec, "volumes", token_volume(&name));
    }
}

fn token_volume(name: &str) -> Value {
    json!({
        "name": name,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                {"configMap": {
                    "name": "kube-root-ca.crt",
                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                }},
                {"downwardAPI": {"items": [{
                    "path": "namespace",
                    "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                }]}},
            ],
        },
    })
}

/// Five letters as in generated names.
fn suffix(context: &Context<'_>) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut number = (context.random)();
    (0..5)
        .map(|_| {
            let at = usize::try_from(number % 27).unwrap_or(0);
            number /= 27;
            char::from(LETTERS[at])
        })
        .collect()
}

fn push(value: &mut Value, key: &str, item: Value) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    match map.get_mut(key) {
        Some(Value::Array(list)) => list.push(item),
        _ => {
            map.insert(key.to_owned(), Value::Array(vec![item]));
        }
    }
}

/// Labels that a Pod gets from the Node it is bound to.
pub(crate) fn node_topology(node: &str, context: &Context<'_>) -> Vec<(String, String)> {
    let found: Option<Arc<Object>> = context.view.get(Resource::NODES, "", node);
    let labels = found.iter().flat_map(|node| node.meta.labels.iter());
    labels
        .filter(|(key, _)| {
            matches!(
                key.as_str(),
                "topology.kubernetes.io/zone" | "topology.kubernetes.io/region"
            )
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn topology_labels(pod: &mut Value, context: &Context<'_>) {
    let node = pod.at("spec").text("nodeName");
    if node.is_empty() {
        return;
    }
    for (key, value) in node_topology(node, context) {
        let metadata = ensure(pod, "metadata");
        if let Some(labels) = metadata.and_then(|metadata| ensure(metadata, "labels")) {
            set(labels, &key, value);
        }
    }
}

/// The value and the preemption policy of the class that the Pod names, or of the default one.
fn priority(pod: &mut Value, context: &Context<'_>) -> Result<(), ApiError> {
    let name = pod.at("spec").text("priorityClassName").to_owned();
    let class = if name.is_empty() {
        scheduling::default_class(context.view)
    } else {
        let stored = context.view.get(Resource::PRIORITY_CLASSES, "", &name);
        let known = stored
            .map(|class| class.value())
            .or_else(|| system_class(&name));
        let Some(class) = known else {
            let text = format!("no PriorityClass with name {name} was found");
            return Err(forbidden(Resource::PODS, pod, &text));
        };
        Some(class)
    };
    let class = class.unwrap_or(Value::Null);
    let value = class.number("value").unwrap_or(0);
    let policy = match class.text("preemptionPolicy") {
        "" => "PreemptLowerPriority",
        policy => policy,
    };
    let spec = pod.at("spec");
    if let Some(given) = spec.number("priority").filter(|given| *given != value) {
        let text = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority \
             admission controller computed {value} from the given PriorityClass name"
        );
        return Err(forbidden(Resource::PODS, pod, &text));
    }
    let given = spec.optional_text("preemptionPolicy");
    if let Some(given) = given.filter(|given| *given != policy) {
        let text = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; \
             priority admission controller computed {policy} from the given PriorityClass name"
        );
        return Err(forbidden(Resource::PODS, pod, &text));
    }
    if let Some(spec) = pod.get_mut("spec") {
        let name = class.at("metadata").text("name");
        if !name.is_empty() {
            set(spec, "priorityClassName", name);
        }
        set(spec, "priority", value);
        set(spec, "preemptionPolicy", policy);
    }
    Ok(())
}

fn system_class(name: &str) -> Option<Value> {
    let mut classes = scheduling::system_classes().into_iter();
    classes.find(|class| class.at("metadata").text("name") == name)
}

/// Overhead and scheduling of the RuntimeClass that the Pod names.
fn runtime_class(pod: &mut Value, context: &Context<'_>) -> Result<(), ApiError> {
    let Some(name) = pod.at("spec").optional_text("runtimeClassName") else {
        if pod.at("spec").has("overhead") {
            let text = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
            return Err(forbidden(Resource::PODS, pod, text));
        }
        return Ok(());
    };
    let class = context.view.get(Resource::RUNTIME_CLASSES, "", name);
    let Some(class) = class.map(|class| class.value()) else {
        let text = format!("pod rejected: RuntimeClass {} not found", go_quote(name));
        return Err(forbidden(Resource::PODS, pod, &text));
    };
    overhead(pod, &class)?;
    runtime_scheduling(pod, class.at("scheduling"))
}

fn overhead(pod: &mut Value, class: &Value) -> Result<(), ApiError> {
    let (own, fixed) = (
        pod.at("spec").at("overhead"),
        class.at("overhead").at("podFixed"),
    );
    if !class.has("overhead") {
        if own.is_null() {
            return Ok(());
        }
        let text =
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
        return Err(forbidden(Resource::PODS, pod, text));
    }
    if !own.is_null() && !same(own, fixed) {
        let text = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
        return Err(forbidden(Resource::PODS, pod, text));
    }
    let fixed = fixed.clone();
    if let Some(spec) = pod.get_mut("spec") {
        set(spec, "overhead", fixed);
    }
    Ok(())
}

fn runtime_scheduling(pod: &mut Value, scheduling: &Value) -> Result<(), ApiError> {
    for (key, value) in scheduling.entries("nodeSelector") {
        let value = value.as_str().unwrap_or_default();
        let own = pod.at("spec").at("nodeSelector").optional_text(key);
        if let Some(own) = own.filter(|own| *own != value) {
            let text = format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; \
                 pod.spec.nodeSelector[{key}] = {own}"
            );
            return Err(forbidden(Resource::PODS, pod, &text));
        }
        let spec = pod.get_mut("spec");
        if let Some(selector) = spec.and_then(|spec| ensure(spec, "nodeSelector")) {
            set(selector, key, value);
        }
    }
    for toleration in scheduling.items("tolerations") {
        let held = pod.at("spec").items("tolerations").contains(toleration);
        if let Some(spec) = pod.get_mut("spec")
            && !held
        {
            push(spec, "tolerations", toleration.clone());
        }
    }
    Ok(())
}

/// Nodes that are not ready or not reachable are tolerated for five minutes.
fn tolerations(pod: &mut Value) {
    for key in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        let tolerated = pod
            .at("spec")
            .items("tolerations")
            .iter()
            .any(|toleration| {
                matches!(toleration.text("key"), "") | (toleration.text("key") == key)
                    && matches!(toleration.text("effect"), "" | "NoExecute")
            });
        if let Some(spec) = pod.get_mut("spec")
            && !tolerated
        {
            let toleration = json!({
                "key": key,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            });
            push(spec, "tolerations", toleration);
        }
    }
}
