//! Nobody grants what they do not have, unless they hold `escalate` or `bind`.
//!
//! Source: `pkg/registry/rbac/escalation_check.go`, `pkg/registry/rbac/*/policybased/storage.go`.

use crate::attributes::refused;
use crate::policy::Naming;
use crate::rule::go_list;
use crate::{Attributes, MASTERS, Policy, RBAC_GROUP, Rule, cover};
use model::{ApiError, Resource, User, go_quote};
use serde_json::Value;
use std::collections::BTreeSet;

/// Whether a user may write this Role or ClusterRole; `old` is what is stored. `request_name` is
/// the name in the path, which is empty on create.
///
/// # Errors
/// 403 that names the rights the user does not have.
pub fn check_role(
    policy: &Policy,
    user: &User,
    request_name: &str,
    role: &Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    let is_cluster = role["kind"] == "ClusterRole";
    let resource = if is_cluster { "clusterroles" } else { "roles" };
    let namespace = text(&role["metadata"]["namespace"]);
    if may(
        policy,
        user,
        "escalate",
        (resource, namespace, request_name),
    ) || only_collected(role, old)
    {
        return Ok(());
    }
    let name = text(&role["metadata"]["name"]);
    let forbid = |why: &str| refused(RBAC_GROUP, resource, name, why);
    let rules: Vec<Rule> = serde_json::from_value(role["rules"].clone()).unwrap_or_default();
    confirm(policy, user, namespace, &rules).map_err(|why| forbid(&why))?;
    let aggregates = |role: &Value| {
        let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array();
        selectors.is_some_and(|list| !list.is_empty())
    };
    if is_cluster && (aggregates(role) || old.is_some_and(aggregates)) {
        confirm(policy, user, namespace, &everything())
            .map_err(|_| forbid("must have cluster-admin privileges to use the aggregationRule"))?;
    }
    Ok(())
}

/// Whether a user may write this RoleBinding or ClusterRoleBinding; `old` is what is stored.
///
/// # Errors
/// 404 when the role does not exist, 403 that names the rights the user does not have.
pub fn check_binding(
    policy: &Policy,
    user: &User,
    binding: &Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    let namespace = text(&binding["metadata"]["namespace"]);
    let role = &binding["roleRef"];
    let (kind, role_name) = (text(&role["kind"]), text(&role["name"]));
    let target = match kind {
        "ClusterRole" => Resource::CLUSTER_ROLES,
        "Role" => Resource::ROLES,
        _ => {
            let text = format!("unsupported role reference kind: {}", go_quote(kind));
            return Err(ApiError::new(500, "", text));
        }
    };
    let asked = (target.plural(), namespace, role_name);
    if only_collected(binding, old) || may(policy, user, "bind", asked) {
        return Ok(());
    }
    let resource = if namespace.is_empty() {
        Resource::CLUSTER_ROLE_BINDINGS
    } else {
        Resource::ROLE_BINDINGS
    };
    let rules = policy.role(kind, namespace, role_name);
    // It is the role that is missing; the original names the resource of the request.
    let rules = rules.ok_or_else(|| ApiError::not_found(resource, role_name))?;
    confirm(policy, user, namespace, rules).map_err(|why| {
        let name = text(&binding["metadata"]["name"]);
        refused(RBAC_GROUP, resource.plural(), name, &why)
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn may(policy: &Policy, user: &User, verb: &str, target: (&str, &str, &str)) -> bool {
    let (resource, namespace, name) = target;
    let asked = Attributes {
        verb: verb.to_owned(),
        namespace: namespace.to_owned(),
        group: RBAC_GROUP.to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        is_resource: true,
        ..Attributes::default()
    };
    user.groups.iter().any(|group| group == MASTERS) || policy.authorize(user, &asked).allowed
}

fn everything() -> Vec<Rule> {
    let any = || vec!["*".to_owned()];
    vec![
        Rule {
            verbs: any(),
            api_groups: any(),
            resources: any(),
            ..Rule::default()
        },
        Rule {
            verbs: any(),
            non_resource_urls: any(),
            ..Rule::default()
        },
    ]
}

/// Whether nothing changes but what garbage collection needs to write.
fn only_collected(new: &Value, old: Option<&Value>) -> bool {
    let Some(old) = old else { return false };
    let bare = |value: &Value| {
        let mut value = value.clone();
        if let Some(metadata) = value["metadata"].as_object_mut() {
            for key in ["ownerReferences", "finalizers", "managedFields", "selfLink"] {
                metadata.remove(key);
            }
        }
        value
    };
    bare(new) == bare(old)
}

/// Whether the user holds all of `rules` in the namespace; the refusal says which are missing.
fn confirm(policy: &Policy, user: &User, namespace: &str, rules: &[Rule]) -> Result<(), String> {
    let owned = policy.rules(user, namespace, Naming::Api);
    let missing = cover::uncovered(&owned.rules, rules);
    if missing.is_empty() {
        return Ok(());
    }
    let texts = cover::compact(missing)
        .iter()
        .map(Rule::compact_text)
        .collect::<BTreeSet<_>>();
    let texts: Vec<String> = texts.into_iter().collect();
    let mut text = format!(
        "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        go_quote(&user.name),
        go_list(&user.groups),
        texts.join("\n")
    );
    if !owned.error.is_empty() {
        text.push_str(&format!("; resolution errors: [{}]", owned.error));
    }
    Err(text)
}
