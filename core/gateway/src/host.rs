//! Compiles one host out of the Ingresses that have rules for it.

use crate::global::{Global, Settings};
use crate::pattern::Pattern;
use crate::policy::Policy;
use crate::problem;
use crate::table::{
    CATCH_ALL, CanaryRoute, HostTable, Location, Matcher, Origin, PathRewrite, Served, ServiceRef,
    Tree,
};
use crate::tls;
use model::{Ingress, IngressBackend, NamespacedName, PathType, Problem, Severity, Snapshot};
use std::sync::Arc;

/// What a host is compiled from.
pub(crate) struct HostInput<'a> {
    pub(crate) name: &'a Arc<str>,
    /// Ingresses in order of precedence: the ones with rules for the host, and for the catch-all
    /// also those with nothing but a default backend
    pub(crate) ingresses: &'a [Arc<Served>],
    pub(crate) settings: &'a Settings,
    pub(crate) global: &'a Global,
    pub(crate) snapshot: &'a Snapshot,
}

struct Draft {
    location: Location,
    prefix: bool,
}

/// Compiles a host.
pub(crate) fn plan_host(input: &HostInput<'_>) -> HostTable {
    let mut problems = Vec::new();
    let mut drafts = vec![root(input)];
    let mut www = false;
    for served in input.ingresses.iter().filter(|s| s.policy.canary.is_none()) {
        add_rules(input, served, &mut drafts, &mut problems);
        www |= served.policy.redirect.www
            && drafts
                .iter()
                .any(|draft| is_from(&draft.location, &served.ingress.id));
    }
    for served in input.ingresses.iter().filter(|s| s.policy.canary.is_some()) {
        add_canaries(input, served, &mut drafts);
    }
    drafts.sort_by(|a, b| {
        let (a, b) = (&a.location.path, &b.location.path);
        b.len().cmp(&a.len()).then_with(|| b.cmp(a))
    });
    let locations = split_prefixes(drafts);
    let (locations, matcher) = compile(locations, input.global, &mut problems, input);
    let app_root = locations
        .iter()
        .find_map(|location| location.policy.rewrite.app_root.clone());
    HostTable {
        name: input.name.clone(),
        matcher,
        app_root,
        tls: tls::choose(input.name, input.ingresses, input.snapshot, &mut problems),
        aliases: aliases(input),
        www,
        problems,
        locations: locations.into_iter().map(Arc::new).collect(),
    }
}

fn is_from(location: &Location, id: &NamespacedName) -> bool {
    let origin = location.origin.as_ref();
    !location.is_default && origin.is_some_and(|origin| origin.ingress == *id)
}

fn aliases(input: &HostInput<'_>) -> Vec<String> {
    let mut lists = input
        .ingresses
        .iter()
        .filter(|served| served.policy.canary.is_none() && has_rule(&served.ingress, input.name));
    lists
        .find(|served| !served.policy.aliases.is_empty())
        .map(|served| served.policy.aliases.clone())
        .unwrap_or_default()
}

pub(crate) fn has_rule(ingress: &Ingress, host: &str) -> bool {
    ingress
        .rules
        .iter()
        .any(|rule| rule_host(&rule.host) == host)
}

/// The host of a rule; one without is for the catch-all.
pub(crate) fn rule_host(host: &str) -> &str {
    if host.is_empty() { CATCH_ALL } else { host }
}

/// The `/` location that every host has: the first Ingress's default backend, or the controller's.
fn root(input: &HostInput<'_>) -> Draft {
    let fallback = input.settings.default_backend.as_ref();
    let fallback = fallback.map(|service| ServiceRef {
        service: service.clone(),
        port: None,
    });
    let mut first = input.ingresses.iter().filter(|served| {
        let has_rules = has_rule(&served.ingress, input.name);
        served.policy.canary.is_none()
            && if &**input.name == CATCH_ALL {
                served.ingress.rules.is_empty() && default_service(&served.ingress).is_some()
            } else {
                has_rules
            }
    });
    let served = first.next();
    let backend = served
        .and_then(|served| default_service(&served.ingress))
        .or(fallback);
    let policy = served.map(|served| served.policy.clone());
    let policy = match (policy, &**input.name == CATCH_ALL) {
        (Some(policy), true) => Arc::new(without_redirects(&policy)),
        (Some(policy), false) => policy,
        (None, _) => Arc::new(plain_policy()),
    };
    let origin = served.map(|served| Origin {
        ingress: served.ingress.id.clone(),
        field: "spec.defaultBackend".to_owned(),
        path: "/".to_owned(),
        path_type: PathType::Prefix,
    });
    let location = Location {
        path: "/".to_owned(),
        exact: false,
        origin,
        is_default: served.is_none() || &**input.name != CATCH_ALL,
        backend,
        policy,
        rewrite: None,
        canary: None,
        no_tls_redirect: false,
        no_auth: false,
    };
    Draft {
        location,
        prefix: true,
    }
}

/// The catch-all Ingress's redirects and rewrites do not reach the catch-all server.
fn without_redirects(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    policy.redirect = crate::policy::Redirect::default();
    policy.rewrite = crate::policy::Rewrite::default();
    policy
}

fn plain_policy() -> Policy {
    let mut policy = Policy::default();
    policy.proxy.connect_timeout = 5;
    policy.proxy.send_timeout = 60;
    policy.proxy.read_timeout = 60;
    policy.proxy.body_size = 1 << 20;
    policy.proxy.request_buffering = true;
    policy.proxy.next.error = true;
    policy.proxy.next.timeout = true;
    policy.proxy.next.tries = 3;
    policy
}

fn default_service(ingress: &Ingress) -> Option<ServiceRef> {
    match &ingress.default_backend {
        Some(IngressBackend::Service { name, port }) => Some(ServiceRef {
            service: NamespacedName::new(&ingress.id.namespace, name),
            port: port.clone(),
        }),
        _ => None,
    }
}

fn add_rules(
    input: &HostInput<'_>,
    served: &Arc<Served>,
    drafts: &mut Vec<Draft>,
    problems: &mut Vec<Problem>,
) {
    let ingress = &served.ingress;
    for (r, rule) in ingress.rules.iter().enumerate() {
        if rule_host(&rule.host) != &**input.name {
            continue;
        }
        for (p, path) in rule.paths.iter().enumerate() {
            let field = format!("spec.rules[{r}].http.paths[{p}]");
            let Some(IngressBackend::Service { name, port }) = &path.backend else {
                problems.push(resource_backend(ingress, &field));
                continue;
            };
            let written = if path.path.is_empty() {
                "/"
            } else {
                &path.path
            };
            let location = Location {
                path: written.to_owned(),
                exact: path.path_type == PathType::Exact,
                origin: Some(Origin {
                    ingress: ingress.id.clone(),
                    field,
                    path: written.to_owned(),
                    path_type: path.path_type,
                }),
                is_default: false,
                backend: Some(ServiceRef {
                    service: NamespacedName::new(&ingress.id.namespace, name),
                    port: port.clone(),
                }),
                policy: served.policy.clone(),
                rewrite: None,
                canary: None,
                no_tls_redirect: false,
                no_auth: false,
            };
            add(location, drafts, ingress, problems);
        }
    }
}

/// Gives the locations that a canary Ingress names their second Service; the first canary counts.
fn add_canaries(input: &HostInput<'_>, served: &Arc<Served>, drafts: &mut [Draft]) {
    let Some(rules) = &served.policy.canary else {
        return;
    };
    let ingress = &served.ingress;
    let of_host = |rule: &&model::IngressRule| rule_host(&rule.host) == &**input.name;
    for path in ingress.rules.iter().filter(of_host).flat_map(|r| &r.paths) {
        let Some(IngressBackend::Service { name, port }) = &path.backend else {
            continue;
        };
        let backend = ServiceRef {
            service: NamespacedName::new(&ingress.id.namespace, name),
            port: port.clone(),
        };
        let written = if path.path.is_empty() {
            "/"
        } else {
            &path.path
        };
        let prefix = path.path_type != PathType::Exact;
        let main = drafts.iter_mut().find(|draft| {
            draft.location.path == written
                && draft.prefix == prefix
                && !draft.location.is_default
                && draft.location.backend.as_ref() != Some(&backend)
        });
        if let Some(draft) = main {
            let route = CanaryRoute {
                backend,
                rules: Arc::new(rules.clone()),
            };
            draft.location.canary.get_or_insert(route);
        }
    }
}

fn resource_backend(ingress: &Ingress, field: &str) -> Problem {
    problem::ingress(
        ingress,
        format!("{field}.backend"),
        Severity::Error,
        "NoServiceBackend",
        "The backend is no Service, so the path answers 404.".to_owned(),
        "Name a Service of the same namespace in backend.service.",
    )
}

/// Adds a location unless an earlier Ingress has the same path and type.
fn add(
    location: Location,
    drafts: &mut Vec<Draft>,
    ingress: &Ingress,
    problems: &mut Vec<Problem>,
) {
    let same_path = drafts
        .iter_mut()
        .find(|draft| draft.location.path == location.path);
    let prefix = !location.exact;
    let Some(draft) = same_path.filter(|draft| draft.prefix == prefix) else {
        // nginx's rule looks at the first location of a path only; a later one of the same path
        // and type would be refused by nginx itself, so it is a conflict for us as well.
        let twice = drafts
            .iter()
            .find(|draft| draft.location.path == location.path && draft.prefix == prefix);
        match twice {
            Some(first) => problems.push(conflict(ingress, &location, &first.location)),
            None => drafts.push(Draft { location, prefix }),
        }
        return;
    };
    if draft.location.is_default {
        draft.location = location;
        return;
    }
    problems.push(conflict(ingress, &location, &draft.location));
}

fn conflict(ingress: &Ingress, location: &Location, winner: &Location) -> Problem {
    let name = |location: &Location| location.origin.as_ref().map(|o| o.ingress.to_string());
    let field = location.origin.as_ref().map(|o| o.field.clone());
    problem::ingress(
        ingress,
        format!("{}.path", field.unwrap_or_default()),
        Severity::Warning,
        "PathConflict",
        format!(
            "The path {} of this host already belongs to Ingress {}, which is older.",
            location.path,
            name(winner).unwrap_or_default()
        ),
        "Use another path or host, or remove one of the two rules.",
    )
}

fn needs_rewrite(location: &Location) -> bool {
    let target = location.policy.rewrite.target.as_deref();
    target.is_some_and(|target| target != location.path)
}

/// A Prefix path becomes `= /foo` and `/foo/`, unless it is a pattern or rewritten.
fn split_prefixes(drafts: Vec<Draft>) -> Vec<Location> {
    let exact: Vec<String> = drafts
        .iter()
        .filter(|draft| !draft.prefix)
        .map(|draft| draft.location.path.clone())
        .collect();
    let mut out = Vec::new();
    for Draft { location, prefix } in drafts {
        let keep = location.path == "/"
            || !prefix
            || needs_rewrite(&location)
            || location.policy.rewrite.use_regex;
        if keep {
            out.push(location);
            continue;
        }
        let mut open = location.clone();
        if !open.path.ends_with('/') {
            open.path.push('/');
        }
        out.push(open);
        if !exact.contains(&location.path) {
            out.push(Location {
                exact: true,
                ..location
            });
        }
    }
    out
}

fn compile(
    mut locations: Vec<Location>,
    global: &Global,
    problems: &mut Vec<Problem>,
    input: &HostInput<'_>,
) -> (Vec<Location>, Matcher) {
    let starts = |list: &[String], path: &str| list.iter().any(|item| path.starts_with(item));
    for location in &mut locations {
        location.no_tls_redirect = starts(&global.no_tls_redirect, &location.path);
        location.no_auth = starts(&global.no_auth, &location.path);
    }
    let regex = locations
        .iter()
        .any(|location| needs_rewrite(location) || location.policy.rewrite.use_regex);
    if !regex {
        let tree = tree(&locations);
        return (locations, Matcher::Tree(tree));
    }
    let mut kept = Vec::new();
    let mut patterns = Vec::new();
    for mut location in locations {
        let pattern = Pattern::ignoring_case(&format!("^{}", location.path));
        match pattern.and_then(|pattern| rewrite(&mut location).map(|()| pattern)) {
            Ok(pattern) => {
                patterns.push((pattern, kept.len()));
                kept.push(location);
            }
            Err(error) => problems.extend(invalid_pattern(input, &location, &error)),
        }
    }
    (kept, Matcher::Patterns(patterns))
}

fn rewrite(location: &mut Location) -> Result<(), String> {
    if needs_rewrite(location)
        && let Some(target) = &location.policy.rewrite.template
    {
        location.rewrite = Some(PathRewrite {
            pattern: Pattern::ignoring_case(&location.path)?,
            target: target.clone(),
        });
    }
    Ok(())
}

fn invalid_pattern(input: &HostInput<'_>, location: &Location, error: &str) -> Option<Problem> {
    let origin = location.origin.as_ref()?;
    let served = input
        .ingresses
        .iter()
        .find(|served| served.ingress.id == origin.ingress)?;
    Some(problem::ingress(
        &served.ingress,
        format!("{}.path", origin.field),
        Severity::Error,
        "InvalidRegex",
        format!(
            "Paths of this host are regular expressions, and {:?} is none: {error}.",
            location.path
        ),
        "Correct the pattern, or escape the characters that have a meaning in patterns.",
    ))
}

fn tree(locations: &[Location]) -> Tree {
    let mut tree = Tree::default();
    for (index, location) in locations.iter().enumerate() {
        let key = location.path.as_bytes().to_vec();
        let map = if location.exact {
            &mut tree.exact
        } else {
            &mut tree.prefixes
        };
        map.entry(key).or_insert(index);
    }
    // Prefix `/foo/` also matches `/foo`, as the Ingress API has it (nginx would redirect).
    for (index, location) in locations.iter().enumerate() {
        let bare = location.path.strip_suffix('/').unwrap_or_default();
        if !location.exact && !bare.is_empty() {
            let key = bare.as_bytes().to_vec();
            tree.exact.entry(key).or_insert(index);
        }
    }
    let mut lengths: Vec<usize> = tree.prefixes.keys().map(Vec::len).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    lengths.dedup();
    tree.lengths = lengths;
    tree
}
