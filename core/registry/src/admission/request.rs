//! A write, as admission sees it.

use crate::Operation;
use model::{ApiError, Resource, User, go_quote};
use schema::Kind;
use serde_json::{Value, json};

/// What is asked about: a write that passed all rules of its kind.
pub struct Attributes<'a> {
    /// What is done
    pub operation: Operation,
    /// The kind of the request's path
    pub kind: &'a Kind,
    /// Subresource of the path; empty for the object itself
    pub subresource: &'a str,
    /// Name of the object
    pub name: &'a str,
    /// Namespace; empty at the cluster scope
    pub namespace: &'a str,
    /// The proposed object in the kind of the request; `None` on delete
    pub object: Option<Value>,
    /// The stored object in the kind of the request; `None` on create
    pub old: Option<Value>,
    /// Nothing will be stored
    pub dry_run: bool,
    /// Who asks
    pub user: &'a User,
}

impl Attributes<'_> {
    pub(super) fn verb(&self) -> &'static str {
        match self.operation {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
        }
    }

    pub(super) fn is_namespace(&self) -> bool {
        self.kind.resource == Resource::NAMESPACES
    }

    /// A Namespace is in itself.
    pub(super) fn admission_namespace(&self) -> &str {
        if self.is_namespace() {
            self.name
        } else {
            self.namespace
        }
    }

    /// `request`; `matched` is the kind that the policy's rules matched.
    pub(super) fn request(&self, matched: &Kind) -> Value {
        // A subresource may have a kind of its own, as `scale` has.
        let kind = |kind: &Kind| {
            let sub = kind.subresource(self.subresource).map(|sub| &sub.kind);
            match sub.filter(|own| !own.kind.is_empty()) {
                Some(own) => named(&own.group, &own.version, "kind", &own.kind),
                None => named(&kind.group, &kind.version, "kind", &kind.kind),
            }
        };
        let resource = |kind: &Kind| named(&kind.group, &kind.version, "resource", &kind.plural);
        let options = match self.operation {
            Operation::Create => "CreateOptions",
            Operation::Update => "UpdateOptions",
            Operation::Delete => "DeleteOptions",
        };
        let mut request = json!({
            "uid": "", "kind": kind(matched), "resource": resource(matched),
            "requestKind": kind(self.kind), "requestResource": resource(self.kind),
            "operation": self.verb(), "dryRun": self.dry_run,
            "userInfo": self.user_info(), "object": null, "oldObject": null,
            "options": {"kind": options, "apiVersion": "meta.k8s.io/v1"},
        });
        let namespace = self.admission_namespace();
        let optional = [
            ("name", self.name),
            ("subResource", self.subresource),
            ("requestSubResource", self.subresource),
            ("namespace", namespace),
        ];
        for (field, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
            request[field] = value.into();
        }
        request
    }

    fn user_info(&self) -> Value {
        let mut info = json!({"username": self.user.name});
        if !self.user.uid.is_empty() {
            info["uid"] = self.user.uid.as_str().into();
        }
        if !self.user.groups.is_empty() {
            info["groups"] = json!(self.user.groups);
        }
        if !self.user.extra.is_empty() {
            info["extra"] = json!(self.user.extra);
        }
        info
    }

    /// The refusal of the request.
    pub(super) fn denied(&self, reason: &str, text: &str) -> ApiError {
        let (code, reason) = match reason {
            "Forbidden" => (403, "Forbidden"),
            "Unauthorized" => (401, "Unauthorized"),
            "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
            _ => (422, "Invalid"),
        };
        let resource = Resource::new(&self.kind.group, &self.kind.plural);
        let name = if self.name.is_empty() {
            "Unknown"
        } else {
            self.name
        };
        let message = format!("{resource} {} is forbidden: {text}", go_quote(name));
        let mut details = json!({"name": name});
        if !self.kind.group.is_empty() {
            details["group"] = self.kind.group.as_str().into();
        }
        details["kind"] = self.kind.plural.as_str().into();
        details["causes"] = json!([{"message": text}]);
        let mut error = ApiError::new(code, reason, message);
        error.details = Some(details);
        error
    }
}

fn named(group: &str, version: &str, field: &str, name: &str) -> Value {
    json!({"group": group, "version": version, field: name})
}
