//! "May they?" and "what may I?" (`authorization.k8s.io/v1`).

use super::{Reviewer, texts};
use crate::selector::{FieldSelector, LabelSelector};
use access::Attributes;
use model::{ApiError, User};
use serde_json::{Map, Value, json};

impl Reviewer<'_> {
    pub(super) fn access(&self, mut review: Value) -> Result<Value, ApiError> {
        let errors = registry::review_errors(&review);
        if !errors.is_empty() {
            // The kind is not known where the original makes this error.
            return Err(ApiError::invalid("authorization.k8s.io", "", "", &errors));
        }
        let spec = &review["spec"];
        let user = match review["kind"].as_str() {
            Some("SelfSubjectAccessReview") => self.user.clone(),
            _ => subject(spec),
        };
        let decision = self.policy.authorize(&user, &attributes(spec));
        let mut status = json!({"allowed": decision.allowed});
        if !decision.reason.is_empty() {
            status["reason"] = decision.reason.into();
        }
        let ignored = ignored(&spec["resourceAttributes"]);
        if !ignored.is_empty() {
            status["evaluationError"] = ignored.join("; ").into();
        }
        review["status"] = status;
        Ok(review)
    }

    pub(super) fn rules(&self, review: &Value) -> Result<Value, ApiError> {
        let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
        if namespace.is_empty() {
            return Err(crate::answer::bad_request("no namespace on request"));
        }
        let found = self.policy.rules_for(self.user, namespace);
        let (mut resources, mut paths) = (Vec::new(), Vec::new());
        for rule in &found.rules {
            let mut entry = Map::new();
            entry.insert("verbs".to_owned(), json!(rule.verbs));
            let lists = [
                ("apiGroups", &rule.api_groups),
                ("resources", &rule.resources),
                ("resourceNames", &rule.resource_names),
            ];
            let own = |entry: &Map<String, Value>, lists: &[(&str, &Vec<String>)]| {
                let mut entry = entry.clone();
                for (key, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
                    entry.insert((*key).to_owned(), json!(list));
                }
                Value::Object(entry)
            };
            if !rule.resources.is_empty() {
                resources.push(own(&entry, &lists));
            }
            if !rule.non_resource_urls.is_empty() {
                paths.push(own(&entry, &[("nonResourceURLs", &rule.non_resource_urls)]));
            }
        }
        let mut status =
            json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
        if !found.error.is_empty() {
            status["evaluationError"] = found.error.into();
        }
        Ok(json!({
            "apiVersion": review["apiVersion"], "kind": review["kind"],
            "metadata": {}, "spec": {}, "status": status,
        }))
    }
}

fn subject(spec: &Value) -> User {
    let text = |key: &str| spec[key].as_str().unwrap_or_default().to_owned();
    User {
        name: text("user"),
        uid: text("uid"),
        groups: texts(&spec["groups"]),
        ..User::default()
    }
}

fn attributes(spec: &Value) -> Attributes {
    let of = |part: &Value, key: &str| part[key].as_str().unwrap_or_default().to_owned();
    let path = &spec["nonResourceAttributes"];
    if path.is_object() {
        return Attributes {
            verb: of(path, "verb"),
            path: of(path, "path"),
            ..Attributes::default()
        };
    }
    let resource = &spec["resourceAttributes"];
    let text = |key: &str| of(resource, key);
    Attributes {
        verb: text("verb"),
        namespace: text("namespace"),
        group: text("group"),
        resource: text("resource"),
        subresource: text("subresource"),
        name: text("name"),
        path: String::new(),
        is_resource: true,
    }
}

/// Which selectors could not be understood. Access does not depend on them, so that the answer is
/// right anyway.
fn ignored(resource: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    for (key, is_good) in [
        ("fieldSelector", field_requirement as fn(&Value) -> bool),
        ("labelSelector", label_requirement),
    ] {
        let given = &resource[key];
        let raw = given["rawSelector"].as_str().unwrap_or_default();
        let (good, bad): (Vec<&Value>, Vec<&Value>) = given["requirements"]
            .as_array()
            .into_iter()
            .flatten()
            .partition(|one| is_good(one));
        let raw_is_bad = !raw.is_empty()
            && match key {
                "fieldSelector" => FieldSelector::parse(raw).is_err(),
                _ => LabelSelector::parse(raw).is_err(),
            };
        if raw_is_bad || !bad.is_empty() {
            let part = if good.is_empty() { "" } else { "partially " };
            notes.push(format!(
                "spec.resourceAttributes.{key} {part}ignored due to parse error"
            ));
        }
    }
    notes
}

/// Field selectors know equality of one value only.
fn field_requirement(requirement: &Value) -> bool {
    let values = requirement["values"].as_array().map_or(0, Vec::len);
    values == 1 && matches!(requirement["operator"].as_str(), Some("In" | "NotIn"))
}

fn label_requirement(requirement: &Value) -> bool {
    matches!(
        requirement["operator"].as_str(),
        Some("In" | "NotIn" | "Exists" | "DoesNotExist")
    )
}
