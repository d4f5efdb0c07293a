//! What a URL means: which kind, namespace, object and subresource, or another of the server's paths.

use crate::answer;
use model::{ApiError, Resource};
use schema::{Kind, Registry};
use std::sync::Arc;

/// A path below `/api` or `/apis` that names objects.
#[derive(Clone, Debug)]
pub struct ResourcePath {
    /// The kind behind the plural
    pub kind: Arc<Kind>,
    /// Namespace; empty for cluster-scoped objects and for lists of all namespaces
    pub namespace: String,
    /// Name; empty for collections
    pub name: String,
    /// `status`, `log`…; empty for the object itself. What follows `proxy` is not kept here
    pub subresource: String,
    /// Whether the old form `/api/v1/watch/…` was used
    pub watch: bool,
}

impl ResourcePath {
    /// Text of a `Warning` header for each request about the resource, whatever the answer.
    pub fn deprecation(&self) -> Option<String> {
        registry::strategy(&self.kind)
            .deprecation()
            .map(str::to_owned)
    }
}

/// What the path of a request names.
#[derive(Clone, Debug)]
pub enum Route {
    /// Objects
    Resource(ResourcePath),
    /// Anything else: discovery, OpenAPI, health, version
    Other,
    /// Below a known group and version, but nothing there
    Nothing,
    /// A path below a custom object that its definition does not have
    NoSubresource(ResourcePath),
}

impl Route {
    /// Parses a percent-decoded path split at `/`.
    pub fn parse(registry: &Registry, segments: &[String]) -> Self {
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Self::Other,
        };
        let rest: Vec<&str> = match rest {
            [head @ .., ""] => head.to_vec(),
            all => all.to_vec(),
        };
        if rest.is_empty() || !is_known(registry, group, version) {
            return Self::Other;
        }
        if let Some(found) = resource(registry, group, version, &rest) {
            return Self::Resource(found);
        }
        if !is_custom(registry, group) {
            return Self::Nothing;
        }
        // The original asks its custom kinds first, and then finds no handler at all.
        let object = match rest.split_last() {
            Some((_, above)) if above.len() > 1 => resource(registry, group, version, above),
            _ => None,
        };
        let object = object.filter(|path| !path.name.is_empty() && path.subresource.is_empty());
        object.map_or(Self::Other, Self::NoSubresource)
    }
}

/// Kinds that are only asked have no objects to name.
fn has_objects(kind: &Kind) -> bool {
    ["get", "update", "patch", "delete"]
        .iter()
        .any(|verb| kind.has_verb(verb))
}

impl Route {
    /// What the path names for a method: custom objects of all namespaces can only be read.
    #[must_use]
    pub fn with_method(self, method: &str) -> Self {
        match self {
            Self::Resource(path)
                if method != "GET"
                    && path.kind.custom().is_some()
                    && path.kind.namespaced
                    && path.namespace.is_empty() =>
            {
                Self::Other
            }
            other => other,
        }
    }
}

/// Whether the group exists by CustomResourceDefinitions alone.
fn is_custom(registry: &Registry, group: &str) -> bool {
    let mut kinds = registry.kinds().filter(|kind| kind.group == group);
    kinds.all(|kind| kind.custom().is_some())
}

fn is_known(registry: &Registry, group: &str, version: &str) -> bool {
    registry.has_version(group, version)
}

fn resource(
    registry: &Registry,
    group: &str,
    version: &str,
    rest: &[&str],
) -> Option<ResourcePath> {
    let (watch, rest) = match rest {
        ["watch", rest @ ..] => (true, rest),
        _ => (false, rest),
    };
    let lookup = |plural: &str| registry.by_resource(group, version, plural).cloned();
    let path = |kind, namespace: &str, name: &str, subresource: &str| {
        Some(ResourcePath {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
            watch,
        })
    };
    if let ["namespaces", namespace, plural, rest @ ..] = rest
        && let Some(kind) = lookup(plural).filter(|kind| kind.namespaced)
    {
        return match rest {
            [] => path(kind, namespace, "", ""),
            [name] if has_objects(&kind) => path(kind, namespace, name, ""),
            [name, sub] if kind.subresource(sub).is_some() => path(kind, namespace, name, sub),
            [name, "proxy", ..] if kind.subresource("proxy").is_some() => {
                path(kind, namespace, name, "proxy")
            }
            _ => None,
        };
    }
    let (plural, rest) = rest.split_first()?;
    let kind = lookup(plural)?;
    match rest {
        [] if kind.namespaced && !kind.has_verb("list") => None,
        [] => path(kind, "", "", ""),
        [name] if !kind.namespaced && has_objects(&kind) => path(kind, "", name, ""),
        [name, sub] if !kind.namespaced && kind.subresource(sub).is_some() => {
            path(kind, "", name, sub)
        }
        [name, "proxy", ..] if !kind.namespaced && kind.subresource("proxy").is_some() => {
            path(kind, "", name, "proxy")
        }
        _ => None,
    }
}

/// What a request does to the objects that its path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET of one object
    Get,
    /// GET of a collection
    List,
    /// GET with `watch`
    Watch,
    /// POST
    Create,
    /// PUT
    Update,
    /// PATCH
    Patch,
    /// DELETE of one object
    Delete,
    /// DELETE of a collection
    DeleteCollection,
    /// GET, POST of a stream: `log`, `exec`, `attach`, `portforward`; any method on `proxy`
    Connect,
}

impl Verb {
    /// The verb as discovery and access control spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get | Self::Connect => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// The verb of a method on a path; `watch` says that the query asks for a watch.
    ///
    /// # Errors
    /// 405 when the kind does not have the verb there.
    pub fn of(method: &str, path: &ResourcePath, watch: bool) -> Result<Self, ApiError> {
        if path.subresource == "proxy" {
            return match method {
                "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => {
                    Ok(Self::Connect)
                }
                _ => Err(answer::method_not_allowed()),
            };
        }
        let custom = path.kind.custom().is_some();
        let verb = match (method, path.name.is_empty()) {
            // The original's handler of custom objects goes by the method alone.
            ("POST", false) if custom && path.subresource.is_empty() => Self::Create,
            ("PUT" | "PATCH", true) if custom => {
                return Err(answer::bad_request("name must be provided"));
            }
            ("GET", false) if path.watch => Self::Watch,
            ("GET", false) => Self::Get,
            ("GET", true) if path.watch || watch => Self::Watch,
            ("GET", true) => Self::List,
            ("POST", true) => Self::Create,
            ("POST", false) if !path.subresource.is_empty() => Self::Create,
            ("PUT", false) => Self::Update,
            ("PATCH", false) => Self::Patch,
            ("DELETE", false) => Self::Delete,
            ("DELETE", true) => Self::DeleteCollection,
            _ => return Err(path.refused(&method.to_lowercase())),
        };
        path.check(verb, method)
    }
}

impl ResourcePath {
    /// 405
    fn refused(&self, verb: &str) -> ApiError {
        if self.kind.custom().is_none() {
            return answer::method_not_allowed();
        }
        answer::method_not_supported(Resource::new(&self.kind.group, &self.kind.plural), verb)
    }

    fn check(&self, verb: Verb, method: &str) -> Result<Verb, ApiError> {
        let refused = Err(self.refused(verb.as_str()));
        if !self.subresource.is_empty() {
            if matches!(
                self.subresource.as_str(),
                "log" | "exec" | "attach" | "portforward"
            ) {
                let readable = self.subresource == "log";
                return if method == "GET" || (method == "POST" && !readable) {
                    Ok(Verb::Connect)
                } else {
                    refused
                };
            }
            let known = self.kind.subresource(&self.subresource);
            let has = |name: &str| known.is_some_and(|sub| sub.verbs.iter().any(|v| v == name));
            return if has(verb.as_str()) {
                Ok(verb)
            } else {
                refused
            };
        }
        let whole = self.kind.namespaced && self.namespace.is_empty();
        if whole && !matches!(verb, Verb::List | Verb::Watch) {
            return refused;
        }
        // A definition that is going away offers fewer verbs than it still answers.
        if self.kind.has_verb(verb.as_str()) || self.kind.custom().is_some() {
            Ok(verb)
        } else {
            refused
        }
    }
}
