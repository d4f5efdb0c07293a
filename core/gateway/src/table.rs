//! The route table: host → locations, compiled for lookup.

use crate::global::{Global, Settings};
use crate::pattern::Pattern;
use crate::policy::{Canary, Policy};
use crate::template::Template;
use model::{Ingress, NamespacedName, PathType, Problem, ServiceBackendPort};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Name of the host that serves what no other host does.
pub const CATCH_ALL: &str = "_";

/// A port of a Service, as an Ingress names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceRef {
    /// The Service
    pub service: NamespacedName,
    /// Its port; `None` is the first one
    pub port: Option<ServiceBackendPort>,
}

impl std::fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.service, self.port_text())
    }
}

impl ServiceRef {
    /// The port as written.
    pub fn port_text(&self) -> String {
        match &self.port {
            Some(ServiceBackendPort::Number(number)) => number.to_string(),
            Some(ServiceBackendPort::Name(name)) => name.clone(),
            None => String::new(),
        }
    }

    /// Upstream name in logs and metrics: `namespace-service-port`.
    pub fn upstream_name(&self) -> String {
        let service = &self.service;
        format!(
            "{}-{}-{}",
            service.namespace,
            service.name,
            self.port_text()
        )
    }
}

/// Where a location came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The Ingress
    pub ingress: NamespacedName,
    /// Path in the object, e.g. `spec.rules[0].http.paths[1]`
    pub field: String,
    /// Path as written
    pub path: String,
    /// Its type as written
    pub path_type: PathType,
}

/// A rewrite of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRewrite {
    /// Found anywhere in the path; its groups fill the target
    pub pattern: Pattern,
    /// The target
    pub target: Template,
}

/// A canary of a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryRoute {
    /// Its Service
    pub backend: ServiceRef,
    /// Which requests it gets
    pub rules: Arc<Canary>,
}

/// One place that requests are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Path that it matches
    pub path: String,
    /// Whether it matches that path only
    pub exact: bool,
    /// The Ingress's rule; `None` for the built-in default
    pub origin: Option<Origin>,
    /// Whether it stands for paths that no rule has
    pub is_default: bool,
    /// The Service; `None` answers 404
    pub backend: Option<ServiceRef>,
    /// Annotations
    pub policy: Arc<Policy>,
    /// Rewriting of the path
    pub rewrite: Option<PathRewrite>,
    /// A second Service that gets some of the requests
    pub canary: Option<CanaryRoute>,
    /// Whether `no-tls-redirect-locations` holds for it
    pub no_tls_redirect: bool,
    /// Whether `no-auth-locations` holds for it
    pub no_auth: bool,
}

impl Location {
    /// Appends a variable that depends on the location.
    pub(crate) fn variable(&self, name: &str, out: &mut Vec<u8>) {
        let ingress = self.origin.as_ref().map(|origin| &origin.ingress);
        let text = match name {
            "namespace" => ingress.map(|id| id.namespace.to_string()),
            "ingress_name" => ingress.map(|id| id.name.to_string()),
            "service_name" => self.backend.as_ref().map(|b| b.service.name.to_string()),
            "service_port" => self.backend.as_ref().map(ServiceRef::port_text),
            "location_path" => self.origin.as_ref().map(|origin| origin.path.clone()),
            "proxy_upstream_name" | "proxy_host" => Some(self.upstream_name()),
            _ => None,
        };
        out.extend_from_slice(text.unwrap_or_default().as_bytes());
    }

    /// Upstream name in logs and metrics.
    pub fn upstream_name(&self) -> String {
        self.backend.as_ref().map_or_else(
            || "upstream-default-backend".to_owned(),
            ServiceRef::upstream_name,
        )
    }
}

/// Which certificate a host shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsChoice {
    /// The default one, although the Ingress asks for TLS
    Default,
    /// `tls.crt` and `tls.key` of a Secret
    Secret(NamespacedName),
}

/// How a host's locations are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Matcher {
    /// Exact paths first, then the longest prefix
    Tree(Tree),
    /// The first pattern that matches
    Patterns(Vec<(Pattern, usize)>),
}

/// Exact paths and prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) exact: HashMap<Vec<u8>, usize>,
    pub(crate) prefixes: HashMap<Vec<u8>, usize>,
    /// Lengths that occur among the prefixes, longest first
    pub(crate) lengths: Vec<usize>,
}

impl Matcher {
    /// Index of the location for a decoded path.
    pub(crate) fn find(&self, path: &[u8]) -> Option<usize> {
        match self {
            Self::Tree(tree) => tree.find(path),
            Self::Patterns(patterns) => patterns
                .iter()
                .find(|(pattern, _)| pattern.is_match(path))
                .map(|(_, index)| *index),
        }
    }
}

impl Tree {
    fn find(&self, path: &[u8]) -> Option<usize> {
        if let Some(&index) = self.exact.get(path) {
            return Some(index);
        }
        self.lengths
            .iter()
            .filter_map(|&length| path.get(..length))
            .find_map(|prefix| self.prefixes.get(prefix).copied())
    }
}

/// Everything about one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTable {
    /// Host name, `*.`-wildcard or [`CATCH_ALL`]
    pub name: Arc<str>,
    /// Locations in the order of ingress-nginx
    pub locations: Vec<Arc<Location>>,
    pub(crate) matcher: Matcher,
    /// `app-root`: where `/` is redirected to
    pub app_root: Option<String>,
    /// Certificate; `None` when no Ingress of the host asks for TLS
    pub tls: Option<TlsChoice>,
    /// Other names of the host; those beginning with `~` are patterns
    pub aliases: Vec<String>,
    /// Whether the name with `www.` (or without) redirects here
    pub www: bool,
    /// What is wrong with the rules of this host
    pub problems: Vec<Problem>,
}

impl HostTable {
    /// Whether paths are matched as patterns.
    pub fn is_regex(&self) -> bool {
        matches!(self.matcher, Matcher::Patterns(_))
    }

    /// The location for a decoded path.
    pub fn find(&self, path: &[u8]) -> Option<&Arc<Location>> {
        self.matcher
            .find(path)
            .and_then(|index| self.locations.get(index))
    }
}

/// An Ingress that is ours, with its annotations read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) ingress: Arc<Ingress>,
    pub(crate) policy: Arc<Policy>,
}

/// What became of an Ingress of our class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The version that is served; older than the object when that is not acceptable
    pub(crate) served: Option<Arc<Served>>,
    /// What is wrong with the object itself
    pub(crate) problems: Vec<Problem>,
    /// `namespace/name` of the ConfigMaps that its annotations name
    pub(crate) reads: Vec<String>,
}

/// A redirect between a name with `www.` and without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WwwRedirect {
    /// Host that is redirected to
    pub to: Arc<str>,
    /// Certificate of the redirecting name
    pub tls: Option<TlsChoice>,
}

/// All hosts. Cheap to clone: hosts are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTable {
    /// Settings that it was planned with
    pub settings: Arc<Settings>,
    /// The controller's ConfigMap
    pub global: Arc<Global>,
    /// Hosts by name
    pub hosts: BTreeMap<Arc<str>, Arc<HostTable>>,
    /// Aliases by name
    pub aliases: BTreeMap<String, Arc<str>>,
    /// Pattern aliases, in order of host
    pub(crate) alias_patterns: Vec<(Pattern, Arc<str>)>,
    /// Names that redirect to their `www.` counterpart or back
    pub www: BTreeMap<String, WwwRedirect>,
    pub(crate) entries: BTreeMap<NamespacedName, Entry>,
    /// Names of the Ingresses that have rules for a host
    pub(crate) by_host: BTreeMap<Arc<str>, BTreeSet<NamespacedName>>,
    /// What is wrong with Ingresses that are not ours, or with none in particular
    pub(crate) problems: Vec<Problem>,
}

impl RouteTable {
    /// The host table for a lower-case name: exact, alias, wildcard of one label, pattern alias,
    /// else the catch-all.
    pub fn host(&self, name: &str) -> Option<&Arc<HostTable>> {
        self.named(name).or_else(|| self.hosts.get(CATCH_ALL))
    }

    fn named(&self, name: &str) -> Option<&Arc<HostTable>> {
        if name == CATCH_ALL {
            return None;
        }
        if let Some(found) = self.hosts.get(name) {
            return Some(found);
        }
        if let Some(host) = self.aliases.get(name) {
            return self.hosts.get(host);
        }
        if let Some(found) = wildcard(name).and_then(|wild| self.hosts.get(wild.as_str())) {
            return Some(found);
        }
        let alias = self
            .alias_patterns
            .iter()
            .find(|(pattern, _)| pattern.is_match(name.as_bytes()))?;
        self.hosts.get(&alias.1)
    }

    /// The certificate that `name` has, itself or by a wildcard of one label.
    pub fn tls(&self, name: &str) -> Option<&TlsChoice> {
        let own = |name: &str| {
            let by_www = || self.www.get(name).and_then(|www| www.tls.as_ref());
            let host = self.hosts.get(name);
            let host = host.or_else(|| self.hosts.get(self.aliases.get(name)?));
            host.map_or_else(by_www, |host| host.tls.as_ref())
        };
        own(name).or_else(|| own(&wildcard(name)?))
    }

    /// All Services that locations send to.
    pub fn services(&self) -> BTreeSet<ServiceRef> {
        let locations = self.hosts.values().flat_map(|host| &host.locations);
        let mut out = BTreeSet::new();
        for location in locations {
            out.extend(location.backend.clone());
            out.extend(location.canary.iter().map(|canary| canary.backend.clone()));
            out.extend(
                location
                    .policy
                    .errors
                    .backend
                    .iter()
                    .map(|service| ServiceRef {
                        service: service.clone(),
                        port: None,
                    }),
            );
        }
        out
    }
}

/// `a.b.c` → `*.b.c`, when the first label is one that nginx accepts for a wildcard.
fn wildcard(name: &str) -> Option<String> {
    let (label, rest) = name.split_once('.')?;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!label.is_empty() && label.chars().all(word)).then(|| format!("*.{rest}"))
}
