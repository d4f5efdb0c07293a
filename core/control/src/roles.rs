//! ClusterRoles that gather the rules of others (`clusterrole-aggregation-controller`).

use crate::fields::{elements, nullable};
use crate::labels::Selector;
use crate::{Context, Controller, Key, Outcome};
use model::{Event, Object, Resource, View, Write};
use serde::Deserialize;
use serde_json::{Value, json};

/// Rules of ClusterRoles with an `aggregationRule`.
pub(crate) const AGGREGATION: Controller = Controller {
    name: "clusterrole-aggregation-controller",
    keys,
    reconcile: aggregate,
    refused: crate::silent,
};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Stored {
    aggregation_rule: Option<Aggregation>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Aggregation {
    #[serde(deserialize_with = "nullable")]
    cluster_role_selectors: Vec<Selector>,
}

fn selectors(role: &Object) -> Option<Vec<Selector>> {
    let stored: Stored = serde_json::from_slice(&role.bytes).ok()?;
    Some(stored.aggregation_rule?.cluster_role_selectors)
}

/// Each role that gathers depends on all roles: there are few of them.
fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    if event.object.resource != Resource::CLUSTER_ROLES {
        return Vec::new();
    }
    let all = view.list(Resource::CLUSTER_ROLES, None);
    let gathering = all.iter().filter(|role| selectors(role).is_some());
    gathering.map(|role| role.key()).collect()
}

fn aggregate(context: &Context<'_>, key: &Key) -> Outcome {
    let Some(role) = context.view.get(key.resource, "", &key.name) else {
        return Outcome::default();
    };
    let Some(selectors) = selectors(&role) else {
        return Outcome::default();
    };
    let wanted = gathered(context.view, &role, &selectors);
    if elements(&role.value(), "/rules") == wanted.as_slice() {
        return Outcome::default();
    }
    Outcome::of([Write::MergePatch {
        key: role.key(),
        subresource: "",
        patch: json!({"rules": wanted}),
    }])
}

/// Rules of the selected roles, in order of selectors and names, each once.
fn gathered(view: &dyn View, role: &Object, selectors: &[Selector]) -> Vec<Value> {
    let all = view.list(Resource::CLUSTER_ROLES, None);
    let mut rules: Vec<Value> = Vec::new();
    for selector in selectors {
        let fits = |other: &&std::sync::Arc<Object>| {
            other.meta.name != role.meta.name
                // Here, nothing asked for is everything.
                && (selector.is_empty() || selector.matches(&other.meta.labels))
        };
        for other in all.iter().filter(fits) {
            for rule in elements(&other.value(), "/rules") {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    rules
}
