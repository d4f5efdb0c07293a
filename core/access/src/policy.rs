//! Roles and bindings, indexed so that a check looks at the bindings of one user only.
//!
//! Source: `plugin/pkg/auth/authorizer/rbac/rbac.go`, `pkg/registry/rbac/validation/rule.go`.

use crate::subject::Who;
use crate::{Attributes, MASTERS, RBAC_GROUP, Rule, Subject};
use model::{Object, Resource, User, View, go_quote};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The answer to "may they?".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether they may
    pub allowed: bool,
    /// Which binding allows it, or what could not be read; may be empty
    pub reason: String,
}

/// All rules that apply to a user in a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// The rules, cluster-wide ones first
    pub rules: Vec<Rule>,
    /// What could not be read, as one text; empty when all could
    pub error: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct RoleRef {
    kind: String,
    name: String,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Binding {
    namespace: String,
    name: String,
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// The bindings of one namespace, or those of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bindings {
    by_name: BTreeMap<String, Arc<Binding>>,
    by_subject: BTreeMap<Who, BTreeMap<String, Arc<Binding>>>,
}

impl Bindings {
    fn insert(&mut self, binding: Binding) {
        let binding = Arc::new(binding);
        for who in binding
            .subjects
            .iter()
            .filter_map(|s| s.who(&binding.namespace))
        {
            let known = self.by_subject.entry(who).or_default();
            known.insert(binding.name.clone(), binding.clone());
        }
        self.by_name.insert(binding.name.clone(), binding);
    }

    fn remove(&mut self, name: &str) {
        let Some(binding) = self.by_name.remove(name) else {
            return;
        };
        for who in binding
            .subjects
            .iter()
            .filter_map(|s| s.who(&binding.namespace))
        {
            if let Some(known) = self.by_subject.get_mut(&who) {
                known.remove(name);
                if known.is_empty() {
                    self.by_subject.remove(&who);
                }
            }
        }
    }

    /// Bindings that mean the user, in order of their names.
    fn of<'a>(&'a self, user: &User) -> impl Iterator<Item = &'a Arc<Binding>> {
        let name = Who::User(user.name.clone());
        let groups = user.groups.iter().map(|group| Who::Group(group.clone()));
        let mut found = BTreeMap::new();
        for who in std::iter::once(name).chain(groups) {
            found.extend(self.by_subject.get(&who).into_iter().flatten());
        }
        found.into_values()
    }
}

/// All that is stored about who may do what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// By namespace (empty for ClusterRoles) and name
    roles: BTreeMap<String, BTreeMap<String, Arc<[Rule]>>>,
    /// By namespace; empty for ClusterRoleBindings
    bindings: BTreeMap<String, Bindings>,
}

/// How a missing role is named: as the authorizer's caches do, or as the API does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    Authorizer,
    Api,
}

/// A rule with where it comes from, or why a role could not be read.
type Visit<'a> = Result<(&'a Rule, &'a dyn Fn() -> String), String>;

impl Policy {
    /// Resources whose changes [`Policy::apply`] must see.
    pub const RESOURCES: [Resource; 4] = [
        Resource::ROLES,
        Resource::CLUSTER_ROLES,
        Resource::ROLE_BINDINGS,
        Resource::CLUSTER_ROLE_BINDINGS,
    ];

    /// Reads everything that is stored.
    pub fn of_view(view: &dyn View) -> Self {
        let mut policy = Self::default();
        for resource in Self::RESOURCES {
            for object in view.list(resource, None) {
                policy.apply(&object, true);
            }
        }
        policy
    }

    /// Takes an object in, in the place of what had its name before, or out when it was deleted.
    /// Objects of other resources change nothing.
    pub fn apply(&mut self, object: &Object, exists: bool) {
        let namespace = object.meta.namespace.to_string();
        let name = object.meta.name.to_string();
        match object.resource {
            Resource::ROLES | Resource::CLUSTER_ROLES => {
                let roles = self.roles.entry(namespace).or_default();
                if exists {
                    roles.insert(name, rules_of(object));
                } else {
                    roles.remove(&name);
                }
            }
            Resource::ROLE_BINDINGS | Resource::CLUSTER_ROLE_BINDINGS => {
                let bindings = self.bindings.entry(namespace.clone()).or_default();
                bindings.remove(&name);
                if exists && let Some(binding) = binding_of(object) {
                    bindings.insert(binding);
                }
            }
            _ => return,
        }
        self.roles.retain(|_, roles| !roles.is_empty());
        self.bindings.retain(|_, all| !all.by_name.is_empty());
    }

    /// Whether the user may do it.
    pub fn authorize(&self, user: &User, asked: &Attributes) -> Decision {
        if user.groups.iter().any(|group| group == MASTERS) {
            return Decision {
                allowed: true,
                reason: String::new(),
            };
        }
        let (mut allowed, mut errors) = (None, Vec::new());
        self.visit(user, &asked.namespace, Naming::Authorizer, |seen| {
            match seen {
                Ok((rule, source)) if rule.allows(asked) => allowed = Some(source()),
                Ok(_) => {}
                Err(error) => errors.push(error),
            }
            allowed.is_none()
        });
        match allowed {
            Some(source) => Decision {
                allowed: true,
                reason: format!("RBAC: allowed by {source}"),
            },
            None if errors.is_empty() => Decision::default(),
            None => Decision {
                allowed: false,
                reason: format!("RBAC: {}", aggregate(errors)),
            },
        }
    }

    /// All rules of the user in a namespace, for SelfSubjectRulesReview. Administrators by group
    /// have those of their bindings only.
    pub fn rules_for(&self, user: &User, namespace: &str) -> Rules {
        self.rules(user, namespace, Naming::Authorizer)
    }

    pub(crate) fn rules(&self, user: &User, namespace: &str, naming: Naming) -> Rules {
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        self.visit(user, namespace, naming, |seen| {
            match seen {
                Ok((rule, _)) => rules.push(rule.clone()),
                Err(error) => errors.push(error),
            }
            true
        });
        let error = aggregate(errors);
        Rules { rules, error }
    }

    /// The rules of a role; `None` when there is no such role.
    pub(crate) fn role(&self, kind: &str, namespace: &str, name: &str) -> Option<&Arc<[Rule]>> {
        let namespace = if kind == "Role" { namespace } else { "" };
        self.roles.get(namespace)?.get(name)
    }

    /// Shows each rule of the user until `visitor` has seen enough.
    fn visit(
        &self,
        user: &User,
        namespace: &str,
        naming: Naming,
        mut visitor: impl FnMut(Visit<'_>) -> bool,
    ) {
        let places = ["", namespace];
        let count = if namespace.is_empty() { 1 } else { 2 };
        for place in &places[..count] {
            let bindings = self.bindings.get(*place);
            for binding in bindings.into_iter().flat_map(|all| all.of(user)) {
                let source = || describe(binding, user);
                let go_on = match self.resolve(binding, naming) {
                    Ok(rules) => rules.iter().all(|rule| visitor(Ok((rule, &source)))),
                    Err(error) => visitor(Err(error)),
                };
                if !go_on {
                    return;
                }
            }
        }
    }

    fn resolve(&self, binding: &Binding, naming: Naming) -> Result<&Arc<[Rule]>, String> {
        let RoleRef { kind, name } = &binding.role;
        let found = self.role(kind, &binding.namespace, name);
        found.ok_or_else(|| missing(kind, name, naming))
    }
}

fn missing(kind: &str, name: &str, naming: Naming) -> String {
    let plural = if naming == Naming::Api { "s" } else { "" };
    let kind = kind.to_lowercase();
    format!("{kind}{plural}.{RBAC_GROUP} {} not found", go_quote(name))
}

fn describe(binding: &Binding, user: &User) -> String {
    let Binding {
        namespace,
        name,
        role,
        subjects,
    } = binding;
    let (kind, shown) = if namespace.is_empty() {
        ("ClusterRoleBinding", name.clone())
    } else {
        ("RoleBinding", format!("{name}/{namespace}"))
    };
    let subject = subjects.iter().find(|subject| subject.is(user, namespace));
    format!(
        "{kind} {} of {} {} to {}",
        go_quote(&shown),
        role.kind,
        go_quote(&role.name),
        subject
            .map(|subject| subject.describe(namespace))
            .unwrap_or_default()
    )
}

/// Go's aggregate error: one text bare, several in brackets, equal ones once.
pub(crate) fn aggregate(errors: Vec<String>) -> String {
    let mut kept: Vec<String> = Vec::new();
    for error in errors {
        if !kept.contains(&error) {
            kept.push(error);
        }
    }
    match kept.len() {
        0 | 1 => kept.concat(),
        _ => format!("[{}]", kept.join(", ")),
    }
}

#[derive(Deserialize)]
struct StoredRole {
    #[serde(default)]
    rules: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredBinding {
    #[serde(default)]
    role_ref: RoleRef,
    #[serde(default)]
    subjects: Option<Vec<Subject>>,
}

/// A role that cannot be read grants nothing.
fn rules_of(object: &Object) -> Arc<[Rule]> {
    let stored = serde_json::from_slice::<StoredRole>(&object.bytes);
    let rules = stored.ok().and_then(|role| role.rules);
    rules.unwrap_or_default().into()
}

fn binding_of(object: &Object) -> Option<Binding> {
    let stored: StoredBinding = serde_json::from_slice(&object.bytes).ok()?;
    Some(Binding {
        namespace: object.meta.namespace.to_string(),
        name: object.meta.name.to_string(),
        role: stored.role_ref,
        subjects: stored.subjects.unwrap_or_default(),
    })
}
