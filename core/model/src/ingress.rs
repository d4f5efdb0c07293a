//! Ingresses and IngressClasses.

use crate::lenient::nullable;
use crate::service::LoadBalancer;
use crate::{LbIngress, Meta, NamespacedName, Object};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// `pathType`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub enum PathType {
    /// The whole path, case-sensitively
    Exact,
    /// Element by element
    Prefix,
    /// Up to the class
    ImplementationSpecific,
}

/// `service.port`: number or name
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceBackendPort {
    /// Port number of the Service
    Number(u16),
    /// Port name of the Service
    Name(String),
}

/// `backend`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngressBackend {
    /// A Service in the Ingress's namespace
    Service {
        /// `service.name`
        name: String,
        /// `service.port`; `None` when neither name nor number is set
        port: Option<ServiceBackendPort>,
    },
    /// Another object, which no data plane here serves
    Resource(Value),
}

/// `rules[].http.paths[]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressPath {
    /// `path`; empty when unset
    pub path: String,
    /// `pathType`
    pub path_type: PathType,
    /// `backend`; `None` when it names nothing
    pub backend: Option<IngressBackend>,
}

/// `rules[]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressRule {
    /// `host`; empty for all
    pub host: String,
    /// `http.paths`
    pub paths: Vec<IngressPath>,
    /// Whether `http` is there at all
    pub has_http: bool,
}

/// `tls[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressTls {
    /// `hosts`
    #[serde(deserialize_with = "nullable")]
    pub hosts: Vec<String>,
    /// `secretName`; empty when unset
    #[serde(deserialize_with = "nullable")]
    pub secret_name: String,
}

/// One Ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// Namespace and name
    pub id: NamespacedName,
    /// Metadata, with the annotations
    pub meta: Arc<Meta>,
    /// `spec.ingressClassName`
    pub class_name: Option<String>,
    /// `spec.defaultBackend`
    pub default_backend: Option<IngressBackend>,
    /// `spec.rules`
    pub rules: Vec<IngressRule>,
    /// `spec.tls`
    pub tls: Vec<IngressTls>,
    /// `status.loadBalancer.ingress`
    pub load_balancer: Vec<LbIngress>,
}

/// One IngressClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressClass {
    /// Metadata
    pub meta: Arc<Meta>,
    /// `spec.controller`
    pub controller: String,
    /// Annotation `ingressclass.kubernetes.io/is-default-class: "true"`
    pub is_default: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw {
    #[serde(deserialize_with = "nullable")]
    spec: Spec,
    #[serde(deserialize_with = "nullable")]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    ingress_class_name: Option<String>,
    default_backend: Option<RawBackend>,
    #[serde(deserialize_with = "nullable")]
    rules: Vec<RawRule>,
    #[serde(deserialize_with = "nullable")]
    tls: Vec<IngressTls>,
    #[serde(deserialize_with = "nullable")]
    controller: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(deserialize_with = "nullable")]
    load_balancer: LoadBalancer,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawRule {
    #[serde(deserialize_with = "nullable")]
    host: String,
    http: Option<RawHttp>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawHttp {
    #[serde(deserialize_with = "nullable")]
    paths: Vec<RawPath>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawPath {
    #[serde(deserialize_with = "nullable")]
    path: String,
    path_type: Option<PathType>,
    #[serde(deserialize_with = "nullable")]
    backend: RawBackend,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawBackend {
    service: Option<RawService>,
    resource: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawService {
    #[serde(deserialize_with = "nullable")]
    name: String,
    #[serde(deserialize_with = "nullable")]
    port: RawPort,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawPort {
    #[serde(deserialize_with = "nullable")]
    name: String,
    #[serde(deserialize_with = "nullable")]
    number: u16,
}

impl Ingress {
    /// Reads a stored Ingress.
    ///
    /// # Errors
    /// The JSON error when a field has the wrong type.
    pub fn parse(object: &Object) -> Result<Self, serde_json::Error> {
        let raw: Raw = object.parse()?;
        Ok(Self {
            id: object.id(),
            meta: object.meta.clone(),
            class_name: raw.spec.ingress_class_name,
            default_backend: raw.spec.default_backend.and_then(backend),
            rules: raw.spec.rules.into_iter().map(rule).collect(),
            tls: raw.spec.tls,
            load_balancer: raw.status.load_balancer.ingress,
        })
    }
}

impl IngressClass {
    /// The annotation that marks the default class.
    pub const DEFAULT_ANNOTATION: &'static str = "ingressclass.kubernetes.io/is-default-class";

    /// Reads a stored IngressClass.
    ///
    /// # Errors
    /// The JSON error when a field has the wrong type.
    pub fn parse(object: &Object) -> Result<Self, serde_json::Error> {
        let raw: Raw = object.parse()?;
        let default = object.meta.annotations.get(Self::DEFAULT_ANNOTATION);
        Ok(Self {
            meta: object.meta.clone(),
            controller: raw.spec.controller,
            is_default: default.is_some_and(|value| value == "true"),
        })
    }
}

fn rule(raw: RawRule) -> IngressRule {
    let has_http = raw.http.is_some();
    let paths = raw.http.unwrap_or_default().paths;
    IngressRule {
        host: raw.host,
        paths: paths.into_iter().map(path).collect(),
        has_http,
    }
}

fn path(raw: RawPath) -> IngressPath {
    IngressPath {
        path: raw.path,
        path_type: raw.path_type.unwrap_or(PathType::ImplementationSpecific),
        backend: backend(raw.backend),
    }
}

fn backend(raw: RawBackend) -> Option<IngressBackend> {
    if let Some(service) = raw.service {
        let port = match (service.port.name, service.port.number) {
            (name, 0) if name.is_empty() => None,
            (name, number) if name.is_empty() => Some(ServiceBackendPort::Number(number)),
            (name, _) => Some(ServiceBackendPort::Name(name)),
        };
        return Some(IngressBackend::Service {
            name: service.name,
            port,
        });
    }
    raw.resource.map(IngressBackend::Resource)
}
