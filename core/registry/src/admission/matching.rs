//! Which requests a policy or binding is for.

use super::Attributes;
use crate::field::read::Read;
use crate::field::selector;
use model::{Resource, View};
use schema::{Kind, Registry};
use serde_json::Value;
use std::sync::Arc;

/// What matching looks at besides the request.
pub(super) struct Surroundings<'a> {
    pub(super) view: &'a dyn View,
    pub(super) registry: &'a Registry,
}

/// The kind that the rules match, which is the request's own or, unless the match is exact, another
/// version of it. `None`: not for this request.
///
/// # Errors
/// Why it cannot be told.
pub(super) fn matched(
    constraints: &Value,
    attributes: &Attributes<'_>,
    surroundings: &Surroundings<'_>,
) -> Result<Option<Arc<Kind>>, String> {
    let namespace = namespace_matches(constraints, attributes, surroundings.view);
    if namespace == Ok(false) || !object_matches(constraints, attributes) {
        return Ok(None);
    }
    let exact = constraints.text("matchPolicy") == "Exact";
    let excluded = constraints.items("excludeResourceRules");
    if rules_match(excluded, exact, attributes, surroundings).is_some() {
        return Ok(None);
    }
    let rules = constraints.items("resourceRules");
    let found = if rules.is_empty() {
        Some(Arc::new(attributes.kind.clone()))
    } else {
        rules_match(rules, exact, attributes, surroundings)
    };
    if found.is_some() {
        namespace?;
    }
    Ok(found)
}

/// Objects at the cluster scope that are no Namespaces match always.
fn namespace_matches(
    constraints: &Value,
    attributes: &Attributes<'_>,
    view: &dyn View,
) -> Result<bool, String> {
    let selector = constraints.at("namespaceSelector");
    let namespace = attributes.admission_namespace();
    if namespace.is_empty() || selector::is_empty(selector) {
        return Ok(true);
    }
    let labels = match (&attributes.object, attributes.is_namespace()) {
        (Some(object), true) => object.at("metadata").at("labels").clone(),
        _ => match view.get(Resource::NAMESPACES, "", namespace) {
            Some(found) => found.value().at("metadata").at("labels").clone(),
            None => return Err(format!("namespaces \"{namespace}\" not found")),
        },
    };
    Ok(selector::matches(selector, &labels))
}

fn object_matches(constraints: &Value, attributes: &Attributes<'_>) -> bool {
    let selector = constraints.at("objectSelector");
    if selector::is_empty(selector) {
        return true;
    }
    let objects = attributes.object.iter().chain(&attributes.old);
    let mut labels = objects.map(|object| object.at("metadata").at("labels"));
    labels.any(|labels| selector::matches(selector, labels))
}

fn rules_match(
    rules: &[Value],
    exact: bool,
    attributes: &Attributes<'_>,
    surroundings: &Surroundings<'_>,
) -> Option<Arc<Kind>> {
    let own = attributes.kind;
    if rules.iter().any(|rule| rule_matches(rule, own, attributes)) {
        return Some(Arc::new(own.clone()));
    }
    if exact {
        return None;
    }
    let others = surroundings.registry.kinds().filter(|kind| {
        let same = kind.group == own.group && kind.version == own.version;
        kind.resource == own.resource && !same
    });
    let mut others = others.filter(|kind| {
        rules
            .iter()
            .any(|rule| rule_matches(rule, kind, attributes))
    });
    others.next().cloned()
}

fn has(rule: &Value, field: &str, wanted: &str) -> bool {
    let items = rule.texts(field);
    items.contains(&"*") || items.contains(&wanted)
}

fn rule_matches(rule: &Value, kind: &Kind, attributes: &Attributes<'_>) -> bool {
    let cluster = attributes.is_namespace() || attributes.namespace.is_empty();
    let in_scope = match rule.text("scope") {
        "Namespaced" => !cluster,
        "Cluster" => cluster,
        _ => true,
    };
    let names = rule.texts("resourceNames");
    in_scope
        && has(rule, "operations", attributes.verb())
        && has(rule, "apiGroups", &kind.group)
        && has(rule, "apiVersions", &kind.version)
        && resource_matches(rule, &kind.plural, attributes.subresource)
        && (names.is_empty() || names.contains(&attributes.name))
}

fn resource_matches(rule: &Value, plural: &str, subresource: &str) -> bool {
    rule.texts("resources").into_iter().any(|text| {
        let (resource, sub) = text.split_once('/').unwrap_or((text, ""));
        let resource_fits = resource == "*" || resource == plural;
        resource_fits && (sub == "*" || sub == subresource)
    })
}
