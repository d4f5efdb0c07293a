//! Golden cases: objects in; what the controllers write, and what is there in the end.
//!
//! Beside `x.yaml` there may be `x.then`: further steps as YAML documents, each one of
//! `create: OBJECT`, `patch: {kind, namespace, name, body}`, `all: {kind, namespace, body}`, `delete: {kind, namespace, name,
//! propagation, grace}` or `pass: SECONDS`.

use crate::lab::Lab;
use control::{Settings, TokenSigner};
use model::{ObjectKey, Write};
use serde_json::{Value, json};
use std::sync::Arc;

fn settings() -> Settings {
    Settings {
        node: None,
        load_balancer_pool: "127.97.0.0/29".parse().ok(),
        ca_pem: "PEM".to_owned(),
        token_signer: Some(TokenSigner(Arc::new(|whom| Some(whom.account.to_owned())))),
    }
}

/// Deserialises text fields that a case names.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn key(step: &Value) -> ObjectKey {
    let resource = testkit::resource_of(step);
    ObjectKey::new(resource, text(step, "namespace"), text(step, "name"))
}

fn propagation(step: &Value) -> Option<&'static str> {
    match text(step, "propagation") {
        "Foreground" => Some("Foreground"),
        "Orphan" => Some("Orphan"),
        _ => None,
    }
}

fn perform(lab: &mut Lab, step: &Value) {
    lab.log.push(format!("--- {step}"));
    if let Some(object) = step.get("create") {
        lab.create(object);
    } else if let Some(patch) = step.get("patch") {
        lab.act(Write::MergePatch {
            key: key(patch),
            subresource: "",
            patch: patch["body"].clone(),
        });
    } else if let Some(all) = step.get("all") {
        for object in lab.list(testkit::resource_of(all)) {
            lab.act(Write::MergePatch {
                key: ObjectKey::new(
                    testkit::resource_of(all),
                    text(all, "namespace"),
                    text(&object["metadata"], "name"),
                ),
                subresource: "",
                patch: all["body"].clone(),
            });
        }
    } else if let Some(delete) = step.get("delete") {
        lab.act(Write::Delete {
            key: key(delete),
            uid: None,
            grace_seconds: delete["grace"].as_i64(),
            propagation: propagation(delete),
        });
    } else if let Some(seconds) = step["pass"].as_i64() {
        lab.pass(seconds);
    } else {
        panic!("no such step: {step}");
    }
    lab.settle();
}

#[test]
fn controllers_bring_the_cluster_where_it_should_be() {
    testkit::run_cases("tests/cases", |case| {
        let mut lab = Lab::new(Settings {
            node: case.yaml.contains("# node: ").then(|| "here".to_owned()),
            ..settings()
        });
        for object in case.objects() {
            lab.create(&object);
        }
        lab.settle();
        for step in testkit::documents(&case.input("then").unwrap_or_default()) {
            perform(&mut lab, &step);
        }
        assert_eq!(lab.unrest(), Vec::<String>::new(), "{}", case.name);
        let mut log = lab.log.join("\n");
        log.push('\n');
        vec![("writes", log), ("objects", lab.dump())]
    });
}

#[test]
fn a_step_that_nobody_knows_is_a_mistake_of_the_case() {
    let caught = std::panic::catch_unwind(|| {
        perform(&mut Lab::new(settings()), &json!({"nonsense": 1}));
    });
    assert!(caught.is_err());
}
