//! Policies and what they say, without a server.

use super::decide::Policies;
use super::{Attributes, ValidatingBindings, ValidatingPolicies};
use crate::{Operation, Strategy};
use model::{Object, Resource, User, View};
use schema::Registry;
use serde_json::{Value, json};
use std::sync::Arc;

/// A few stored objects.
struct Stored(Vec<Arc<Object>>);

impl View for Stored {
    fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let mut all = self.0.iter();
        let same = |object: &&Arc<Object>| {
            object.resource == resource
                && &*object.meta.namespace == namespace
                && &*object.meta.name == name
        };
        all.find(same).cloned()
    }

    fn list(&self, resource: Resource, namespace: Option<&str>) -> Vec<Arc<Object>> {
        let fits = |object: &&Arc<Object>| {
            object.resource == resource && namespace.is_none_or(|n| &*object.meta.namespace == n)
        };
        self.0.iter().filter(fits).cloned().collect()
    }

    fn owned_by(&self, _: &str) -> Vec<Arc<Object>> {
        Vec::new()
    }

    fn resources(&self) -> Vec<Resource> {
        Vec::new()
    }
}

fn stored(resource: Resource, value: &Value) -> Arc<Object> {
    Arc::new(Object::from_value(resource, value).expect("an object"))
}

fn spec(more: &Value) -> Value {
    let mut spec = json!({
        "matchConstraints": {"resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
            "resources": ["configmaps"]
        }]},
    });
    for (key, value) in more.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    spec
}

fn policies(policy: &Value, binding: &Value) -> Policies {
    let mut policy = json!({"metadata": {"name": "p"}, "spec": spec(policy)});
    ValidatingPolicies.default(&mut policy);
    let mut binding = json!({"metadata": {"name": "b"}, "spec": binding});
    binding["spec"]["policyName"] = "p".into();
    ValidatingBindings.default(&mut binding);
    let mut policies = Policies::default();
    policies.apply(&stored(Resource::VALIDATING_POLICIES, &policy), true);
    policies.apply(
        &stored(Resource::VALIDATING_POLICY_BINDINGS, &binding),
        true,
    );
    policies
}

/// The warnings, or the reason and message of the refusal.
fn ask(policies: &Policies, object: Value, view: &Stored) -> Result<Vec<String>, String> {
    let registry = Registry::builtin();
    let kind = registry
        .by_resource("", "v1", "configmaps")
        .expect("built in");
    let attributes = Attributes {
        operation: Operation::Create,
        kind,
        subresource: "",
        name: object["metadata"]["name"].as_str().unwrap_or_default(),
        namespace: "ns",
        object: Some(object.clone()),
        old: None,
        dry_run: false,
        user: &User::default(),
    };
    let answer = policies.admit(&attributes, view, &registry);
    answer.map_err(|error| format!("{} {} {}", error.code, error.reason, error.message))
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
           "metadata": {"name": name, "namespace": "ns"}, "data": {"n": "3"}})
}

fn denied(name: &str, text: &str) -> Result<Vec<String>, String> {
    Err(format!(
        "422 Invalid configmaps \"{name}\" is forbidden: ValidatingAdmissionPolicy 'p' with \
         binding 'b' denied request: {text}"
    ))
}

#[test]
fn a_policy_denies_with_its_message() {
    let policies = policies(
        &json!({
            "variables": [{"name": "n", "expression": "int(object.data.n)"}],
            "validations": [
                {"expression": "object.metadata.name != 'plain'"},
                {"expression": "object.metadata.name != 'said'", "message": "said so"},
                {"expression": "object.metadata.name != 'told' || variables.n > 3",
                 "messageExpression": "'n is ' + string(variables.n)"},
                {"expression": "object.metadata.name != 'broken' || object.data.none == ''"},
            ],
        }),
        &json!({"validationActions": ["Deny"]}),
    );
    let view = Stored(Vec::new());
    let answer = |name: &str| ask(&policies, config_map(name), &view);
    assert_eq!(answer("fine"), Ok(Vec::new()));
    assert_eq!(
        answer("plain"),
        denied(
            "plain",
            "failed expression: object.metadata.name != 'plain'"
        )
    );
    assert_eq!(answer("said"), denied("said", "said so"));
    assert_eq!(answer("told"), denied("told", "n is 3"));
    let text = "expression 'object.metadata.name != 'broken' || object.data.none == ''' resulted \
                in error: no such key: none";
    assert_eq!(answer("broken"), denied("broken", text));
}

#[test]
fn a_policy_may_warn_instead() {
    let policies = policies(
        &json!({"validations": [{"expression": "false", "message": "never"}]}),
        &json!({"validationActions": ["Warn", "Audit"]}),
    );
    let answer = ask(&policies, config_map("x"), &Stored(Vec::new()));
    let text = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': never";
    assert_eq!(answer, Ok(vec![text.to_owned()]));
}

#[test]
fn parameters_come_from_the_binding() {
    let policies = policies(
        &json!({
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "validations": [{"expression": "int(object.data.n) <= int(params.data.max)"}],
        }),
        &json!({
            "validationActions": ["Deny"],
            "paramRef": {"name": "limits", "parameterNotFoundAction": "Deny"},
        }),
    );
    let missing = "failed to configure binding: no params found for policy binding with `Deny` \
                   parameterNotFoundAction";
    let answer = ask(&policies, config_map("x"), &Stored(Vec::new()));
    assert_eq!(answer, denied("x", missing));
    let limits = |max: &str| {
        let mut limits = config_map("limits");
        limits["data"]["max"] = max.into();
        Stored(vec![stored(Resource::CONFIG_MAPS, &limits)])
    };
    assert_eq!(
        ask(&policies, config_map("x"), &limits("5")),
        Ok(Vec::new())
    );
    let text = "failed expression: int(object.data.n) <= int(params.data.max)";
    assert_eq!(
        ask(&policies, config_map("x"), &limits("2")),
        denied("x", text)
    );
}

#[test]
fn failures_can_be_ignored() {
    let policies = policies(
        &json!({
            "failurePolicy": "Ignore",
            "matchConditions": [{"name": "n", "expression": "object.metadata.name != 'skip'"}],
            "validations": [{"expression": "object.data.none == ''"}, {"expression": "false"}],
        }),
        &json!({"validationActions": ["Deny"]}),
    );
    let view = Stored(Vec::new());
    assert_eq!(ask(&policies, config_map("skip"), &view), Ok(Vec::new()));
    let answer = ask(&policies, config_map("x"), &view);
    assert_eq!(answer, denied("x", "failed expression: false"));
}
