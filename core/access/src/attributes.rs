//! What a request does, as access control sees it, and the refusal of one.
//!
//! Source: `apiserver/pkg/endpoints/request/requestinfo.go`, `handlers/responsewriters/errors.go`.

use model::{ApiError, User, go_quote};
use serde_json::json;

/// A request's verb and what it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list`, `create`…; the lower-case method where no resource is named
    pub verb: String,
    /// Namespace; empty at the cluster scope. A Namespace is in itself
    pub namespace: String,
    /// API group; empty for the core group
    pub group: String,
    /// Plural of the kind
    pub resource: String,
    /// `status`, `log`…
    pub subresource: String,
    /// Name; empty for collections
    pub name: String,
    /// The decoded path, where no resource is named
    pub path: String,
    /// Whether a resource is named
    pub is_resource: bool,
}

/// What the query of a request says about its verb.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// `watch`
    pub watch: bool,
    /// The name that a field selector asks for with `metadata.name=…`
    pub name: Option<&'a str>,
}

impl Attributes {
    /// Reads method and percent-decoded path of a request.
    pub fn of_request(method: &str, path: &str, asked: Asked<'_>) -> Self {
        let mut parts = path.trim_matches('/').split('/');
        let other = || Self {
            verb: method.to_lowercase(),
            path: path.to_owned(),
            ..Self::default()
        };
        let group = match parts.next() {
            Some("api") => Some(""),
            Some("apis") => parts.next(),
            _ => None,
        };
        let (Some(group), Some(_version)) = (group, parts.next()) else {
            return other();
        };
        let rest: Vec<&str> = parts.collect();
        if rest.is_empty() {
            return other();
        }
        let mut found = Self {
            group: group.to_owned(),
            path: path.to_owned(),
            is_resource: true,
            ..Self::default()
        };
        found.read(method, &rest);
        found.settle(asked);
        found
    }

    fn read(&mut self, method: &str, parts: &[&str]) {
        let (special, mut parts) = match parts {
            [verb @ ("proxy" | "watch"), rest @ ..] if !rest.is_empty() => (Some(*verb), rest),
            _ => (None, parts),
        };
        self.verb = special
            .unwrap_or(match method {
                "POST" => "create",
                "GET" | "HEAD" => "get",
                "PUT" => "update",
                "PATCH" => "patch",
                "DELETE" => "delete",
                _ => "",
            })
            .to_owned();
        if let ["namespaces", namespace, rest @ ..] = parts {
            self.namespace = (*namespace).to_owned();
            if let [first, ..] = rest
                && !matches!(*first, "status" | "finalize")
            {
                parts = rest;
            }
        }
        let part = |index: usize| parts.get(index).copied().unwrap_or_default().to_owned();
        self.resource = part(0);
        self.name = part(1);
        if self.verb != "proxy" {
            self.subresource = part(2);
        }
    }

    /// What depends on there being a name.
    fn settle(&mut self, asked: Asked<'_>) {
        if !self.name.is_empty() {
            return;
        }
        match self.verb.as_str() {
            "get" => {
                self.verb = if asked.watch { "watch" } else { "list" }.to_owned();
                let is_segment =
                    |name: &&str| !matches!(*name, "." | "..") && !name.contains(['/', '%']);
                if let Some(name) = asked.name.filter(is_segment) {
                    self.name = name.to_owned();
                }
            }
            "delete" => self.verb = "deletecollection".to_owned(),
            _ => {}
        }
    }

    /// What the user cannot do, in words.
    fn sentence(&self, user: &str) -> String {
        let user = go_quote(user);
        if !self.is_resource {
            return format!(
                "User {user} cannot {} path {}",
                self.verb,
                go_quote(&self.path)
            );
        }
        let resource = if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        };
        let scope = if self.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {}", go_quote(&self.namespace))
        };
        format!(
            "User {user} cannot {} resource {} in API group {} {scope}",
            self.verb,
            go_quote(&resource),
            go_quote(&self.group),
        )
    }
}

/// 403 with the sentence that everyone knows; `reason` is appended when it says something.
pub fn forbidden(user: &User, asked: &Attributes, reason: &str) -> ApiError {
    let sentence = asked.sentence(&user.name);
    let mut text = sentence.replace('&', "&amp;").replace('<', "&lt;");
    text = text.replace('>', "&gt;");
    if !reason.is_empty() {
        text = format!("{text}: {reason}");
    }
    refused(&asked.group, &asked.resource, &asked.name, &text)
}

/// 403 about an object: `kind.group "name" is forbidden: why`.
pub(crate) fn refused(group: &str, resource: &str, name: &str, why: &str) -> ApiError {
    let qualified = if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}.{group}")
    };
    let message = match (qualified.as_str(), name) {
        ("", _) => format!("forbidden: {why}"),
        (_, "") => format!("{qualified} is forbidden: {why}"),
        _ => format!("{qualified} {} is forbidden: {why}", go_quote(name)),
    };
    let mut error = ApiError::new(403, "Forbidden", message);
    let mut details = json!({});
    for (key, text) in [("name", name), ("group", group), ("kind", resource)] {
        if !text.is_empty() {
            details[key] = text.into();
        }
    }
    error.details = Some(details);
    error
}
