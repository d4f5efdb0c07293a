//! The environment and the command line of a container, as kubelet makes them.

use crate::quantity;
use crate::spec::{Container, EnvFrom, EnvSource, EnvVar, FieldRef, PodObject, ResourceFieldRef};
use crate::tokens::Tokens;
use base64::Engine as _;
use model::{Resource, Service, Timestamp, View};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Variables by name.
pub(crate) type Env = BTreeMap<String, String>;

/// What a Pod's variables may refer to.
pub(crate) struct Source<'a> {
    pub(crate) pod: &'a PodObject,
    pub(crate) view: &'a dyn View,
    pub(crate) pod_ips: &'a [IpAddr],
    pub(crate) node_ip: IpAddr,
    /// Tokens of the Pod's ServiceAccount
    pub(crate) tokens: &'a Tokens,
    pub(crate) now: Timestamp,
    /// CPUs and bytes of memory of this machine: the limits of containers that set none
    pub(crate) capacity: Capacity,
}

/// What the machine has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    pub(crate) cpus: u64,
    pub(crate) memory_bytes: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entries {
    data: Option<BTreeMap<String, String>>,
}

impl Source<'_> {
    /// Every variable of a container; `base` is there unless the Pod says otherwise.
    ///
    /// # Errors
    /// kubelet's message for `CreateContainerConfigError`.
    pub(crate) fn env(&self, container: &Container, base: Env) -> Result<Env, String> {
        let services = self.service_env();
        let mut own = Env::new();
        for from in &container.env_from {
            own.extend(self.env_from(from)?);
        }
        for var in &container.env {
            if let Some(value) = self.value(var, container, &own, &services)? {
                own.insert(var.name.clone(), value);
            }
        }
        let mut all = base;
        all.extend(services);
        all.extend(own);
        Ok(all)
    }

    fn value(
        &self,
        var: &EnvVar,
        container: &Container,
        own: &Env,
        services: &Env,
    ) -> Result<Option<String>, String> {
        if !var.value.is_empty() {
            let known = |name: &str| own.get(name).or_else(|| services.get(name)).cloned();
            return Ok(Some(expand(&var.value, known)));
        }
        match &var.value_from {
            Some(source) => self.value_from(source, container),
            None => Ok(Some(String::new())),
        }
    }

    fn value_from(
        &self,
        source: &EnvSource,
        container: &Container,
    ) -> Result<Option<String>, String> {
        if let Some(field) = &source.field_ref {
            return self.field(field).map(Some);
        }
        if let Some(field) = &source.resource_field_ref {
            return self.resource(field, container).map(Some);
        }
        let (resource, key) = match (&source.config_map_key_ref, &source.secret_key_ref) {
            (Some(key), _) => (Resource::CONFIG_MAPS, key),
            (None, Some(key)) => (Resource::SECRETS, key),
            (None, None) => return Ok(Some(String::new())),
        };
        let optional = key.optional == Some(true);
        let Some(data) = self.entries(resource, &key.name, optional)? else {
            return Ok(None);
        };
        match data.get(&key.key) {
            Some(value) => Ok(Some(value.clone())),
            None if optional => Ok(None),
            None => {
                let kind = if resource == Resource::SECRETS {
                    "Secret"
                } else {
                    "ConfigMap"
                };
                let namespace = &self.pod.object.meta.namespace;
                let (name, key) = (&key.name, &key.key);
                Err(format!(
                    "couldn't find key {key} in {kind} {namespace}/{name}"
                ))
            }
        }
    }

    fn env_from(&self, from: &EnvFrom) -> Result<Env, String> {
        let (resource, source) = match (&from.config_map_ref, &from.secret_ref) {
            (Some(source), _) => (Resource::CONFIG_MAPS, source),
            (None, Some(source)) => (Resource::SECRETS, source),
            (None, None) => return Ok(Env::new()),
        };
        let data = self.entries(resource, &source.name, source.optional == Some(true))?;
        let data = data.unwrap_or_default().into_iter();
        Ok(data
            .map(|(key, value)| (format!("{}{key}", from.prefix), value))
            .collect())
    }

    /// The texts of a ConfigMap or Secret; `None` when it is not there and need not be.
    fn entries(
        &self,
        resource: Resource,
        name: &str,
        optional: bool,
    ) -> Result<Option<BTreeMap<String, String>>, String> {
        let bytes = entries(self.view, resource, &self.pod.object.meta.namespace, name)?;
        match bytes {
            Some(data) => Ok(Some(
                data.into_iter()
                    .filter_map(|(key, value)| Some((key, String::from_utf8(value).ok()?)))
                    .collect(),
            )),
            None if optional => Ok(None),
            None => Err(not_found(resource, name)),
        }
    }

    /// `fieldRef`.
    pub(crate) fn field(&self, field: &FieldRef) -> Result<String, String> {
        let meta = &self.pod.object.meta;
        let join = |ips: &[IpAddr]| {
            let texts: Vec<String> = ips.iter().map(ToString::to_string).collect();
            texts.join(",")
        };
        let path = field.field_path.as_str();
        if let Some((map, key)) = subscript(path) {
            let map = match map {
                "metadata.labels" => &meta.labels,
                "metadata.annotations" => &meta.annotations,
                _ => return Err(format!("fieldPath {path:?} does not support subscript")),
            };
            return Ok(map.get(key).cloned().unwrap_or_default());
        }
        Ok(match path {
            "metadata.name" => meta.name.to_string(),
            "metadata.namespace" => meta.namespace.to_string(),
            "metadata.uid" => meta.uid.to_string(),
            "metadata.labels" => format_map(&meta.labels),
            "metadata.annotations" => format_map(&meta.annotations),
            "spec.nodeName" => self.pod.spec.node_name.clone(),
            "spec.serviceAccountName" => self.pod.spec.service_account_name.clone(),
            "status.hostIP" | "status.hostIPs" => self.node_ip.to_string(),
            "status.podIP" => join(self.pod_ips.get(..1).unwrap_or_default()),
            "status.podIPs" => join(self.pod_ips),
            _ => return Err(format!("unsupported fieldPath: {path}")),
        })
    }

    /// `resourceFieldRef`.
    pub(crate) fn resource(
        &self,
        field: &ResourceFieldRef,
        container: &Container,
    ) -> Result<String, String> {
        let spec = &self.pod.spec;
        let mut all = spec.containers.iter().chain(&spec.init_containers);
        let container = match field.container_name.as_str() {
            "" => container,
            name => all
                .find(|c| c.name == name)
                .ok_or_else(|| format!("container {name} not found"))?,
        };
        let unsupported = || format!("unsupported container resource : {}", field.resource);
        let (list, name) = field.resource.split_once('.').ok_or_else(unsupported)?;
        let set = match list {
            "limits" => container.resources.limits.get(name),
            "requests" => container.resources.requests.get(name),
            _ => return Err(unsupported()),
        };
        let whole = match (name, list) {
            ("cpu", "limits") => i128::from(self.capacity.cpus) * 1000,
            ("memory", "limits") => i128::from(self.capacity.memory_bytes) * 1000,
            ("cpu" | "memory" | "ephemeral-storage", _) => 0,
            _ if name.starts_with("hugepages-") => 0,
            _ => return Err(unsupported()),
        };
        let value = set.and_then(quantity::milli).unwrap_or(whole);
        let divisor = field.divisor.as_ref().and_then(quantity::milli);
        Ok(quantity::divide(value, divisor.unwrap_or(1000)))
    }

    /// `{SVC}_SERVICE_HOST` and its relatives: of the Pod's namespace when service links are on,
    /// and of `default/kubernetes` always.
    fn service_env(&self) -> Env {
        let namespace = &self.pod.object.meta.namespace;
        let mut env = Env::new();
        let mut add = |object: std::sync::Arc<model::Object>| {
            if let Ok(service) = Service::parse(&object) {
                env.extend(service_variables(&service));
            }
        };
        if let Some(api) = self.view.get(Resource::SERVICES, "default", "kubernetes") {
            add(api);
        }
        if self.pod.spec.enable_service_links != Some(false) {
            let services = self.view.list(Resource::SERVICES, Some(namespace));
            services.into_iter().for_each(add);
        }
        env
    }
}

/// The bytes of a ConfigMap (`binaryData` included) or Secret by key; `None` when it is not there.
pub(crate) fn entries(
    view: &dyn View,
    resource: Resource,
    namespace: &str,
    name: &str,
) -> Result<Option<BTreeMap<String, Vec<u8>>>, String> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Binary {
        binary_data: Option<BTreeMap<String, String>>,
    }
    let Some(object) = view.get(resource, namespace, name) else {
        return Ok(None);
    };
    let unreadable = |error: serde_json::Error| format!("{}: {error}", object.key());
    let data = object.parse::<Entries>().map_err(unreadable)?.data;
    let data = data.unwrap_or_default();
    let decode = |(key, text): (String, String)| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim());
        let bytes = bytes.map_err(|e| format!("{} key {key}: {e}", object.key()))?;
        Ok((key, bytes))
    };
    if resource == Resource::SECRETS {
        return data
            .into_iter()
            .map(decode)
            .collect::<Result<_, _>>()
            .map(Some);
    }
    let binary = object.parse::<Binary>().map_err(unreadable)?.binary_data;
    let binary = binary.unwrap_or_default().into_iter().map(decode);
    let mut all: BTreeMap<String, Vec<u8>> = binary.collect::<Result<_, String>>()?;
    all.extend(data.into_iter().map(|(key, text)| (key, text.into_bytes())));
    Ok(Some(all))
}

pub(crate) fn not_found(resource: Resource, name: &str) -> String {
    let kind = if resource == Resource::SECRETS {
        "secret"
    } else {
        "configmap"
    };
    format!("{kind} \"{name}\" not found")
}

fn service_variables(service: &Service) -> Env {
    let mut env = Env::new();
    let (Some(ip), Some(first)) = (service.cluster_ips.first(), service.ports.first()) else {
        return env;
    };
    let upper = |text: &str| text.replace('-', "_").to_uppercase();
    let name = upper(&service.id.name);
    env.insert(format!("{name}_SERVICE_HOST"), ip.to_string());
    env.insert(format!("{name}_SERVICE_PORT"), first.port.to_string());
    for (index, port) in service.ports.iter().enumerate() {
        if !port.name.is_empty() {
            let key = format!("{name}_SERVICE_PORT_{}", upper(&port.name));
            env.insert(key, port.port.to_string());
        }
        let protocol = port.protocol.as_str();
        let scheme = protocol.to_lowercase();
        let url = format!("{scheme}://{}", std::net::SocketAddr::new(*ip, port.port));
        if index == 0 {
            env.insert(format!("{name}_PORT"), url.clone());
        }
        let prefix = format!("{name}_PORT_{}_{protocol}", port.port);
        env.insert(format!("{prefix}_PROTO"), scheme);
        env.insert(format!("{prefix}_PORT"), port.port.to_string());
        env.insert(format!("{prefix}_ADDR"), ip.to_string());
        env.insert(prefix, url);
    }
    env
}

/// `metadata.labels['key']`.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

/// One `key="value"` a line, as downward API files have maps.
fn format_map(map: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{key}={}", model::go_quote(value)))
        .collect();
    lines.join("\n")
}

/// Replaces `$(NAME)` by what `known` has; unknown names stay as they are and `$$` is one `$`.
pub(crate) fn expand(text: &str, known: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = reference(rest) {
            match known(name) {
                Some(value) => out.push_str(&value),
                None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

fn reference(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('(')?.split_once(')')
}

#[cfg(test)]
mod tests;
