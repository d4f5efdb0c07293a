//! Patches of every form, on a Deployment, a Service and a custom object: the first byte picks.
#![no_main]

use fuzz::Server;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use std::cell::RefCell;

const FORMS: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

thread_local! {
    static SERVER: RefCell<Server> = RefCell::new(start());
}

fn start() -> Server {
    let mut server = Server::default();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    server.must("/api/v1/namespaces", &namespace);
    let template = json!({
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}], "env": [{"name": "x", "value": "y"}]}]},
    });
    server.must("/apis/apps/v1/namespaces/n/deployments", &json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }));
    server.must("/api/v1/namespaces/n/services", &json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
        "spec": {"selector": {"a": "b"}, "ports": [{"name": "h", "port": 80}, {"name": "s", "port": 443}]},
    }));
    define(&mut server);
    server
}

fn define(server: &mut Server) {
    let schema: Value = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                 "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "integer", "default": 1}}}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }}}});
    server.must("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "ws.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "ws", "kind": "W", "listKind": "WList", "singular": "w"},
                 "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]},
    }));
    let status = json!({"status": {
        "acceptedNames": {"plural": "ws", "kind": "W", "listKind": "WList", "singular": "w"}, "storedVersions": ["v1"],
        "conditions": [{"type": "Established", "status": "True", "reason": "r", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                       {"type": "NamesAccepted", "status": "True", "reason": "r", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }});
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ws.example.com/status";
    let _ = server.send("PATCH", path, FORMS[1], status.to_string().as_bytes());
    server.must("/apis/example.com/v1/namespaces/n/ws", &json!({
        "apiVersion": "example.com/v1", "kind": "W", "metadata": {"name": "a"},
        "spec": {"list": [{"k": "x"}], "set": ["s"], "free": {"deep": [1, {"a": null}]}},
    }));
}

fuzz_target!(|data: &[u8]| {
    let Some((pick, patch)) = data.split_first() else { return };
    let form = FORMS[usize::from(pick & 3)];
    let place = match (pick >> 2) % 5 {
        0 => "/apis/apps/v1/namespaces/n/deployments/a",
        1 => "/api/v1/namespaces/n/services/a",
        2 => "/apis/example.com/v1/namespaces/n/ws/a",
        3 => "/apis/apps/v1/namespaces/n/deployments/a/scale",
        _ => "/api/v1/namespaces/n/services/a/status",
    };
    SERVER.with_borrow_mut(|server| {
        for options in ["?fieldManager=f&force=true", "?fieldManager=g&dryRun=All&fieldValidation=Warn"] {
            let _ = server.send("PATCH", &format!("{place}{options}"), form, patch);
        }
        if server.engine.version() > 500 {
            *server = start();
        }
    });
});
