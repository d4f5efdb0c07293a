//! Whom a binding is for.

use model::{User, go_quote};
use serde::Deserialize;

const ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// The user name of a ServiceAccount.
pub fn service_account_user(namespace: &str, name: &str) -> String {
    format!("{ACCOUNT_PREFIX}{namespace}:{name}")
}

/// Namespace and name of the ServiceAccount that a user name stands for.
pub fn service_account_of(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(ACCOUNT_PREFIX)?.split_once(':')?;
    (is_label(namespace) && is_subdomain(name)).then_some((namespace, name))
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|b| inner(*b) || *b == b'-')
        && bytes.first().is_some_and(|b| inner(*b))
        && bytes.last().is_some_and(|b| inner(*b))
}

/// A DNS subdomain (RFC 1123), without the limit of 63 bytes for its labels.
pub(crate) fn is_subdomain(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(|b| inner(*b) || *b == b'-')
            && bytes.first().is_some_and(|b| inner(*b))
            && bytes.last().is_some_and(|b| inner(*b))
    };
    (1..=253).contains(&text.len()) && text.split('.').all(label)
}

/// One of a binding's `subjects`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Subject {
    /// `User`, `Group` or `ServiceAccount`
    pub kind: String,
    /// Its name
    pub name: String,
    /// Of a ServiceAccount; empty means that of the binding
    pub namespace: String,
}

/// How a subject is found: by the name of a user, or by a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    User(String),
    Group(String),
}

impl Subject {
    /// Whom it means in a binding of `namespace` (empty for a ClusterRoleBinding); `None` for a
    /// kind that means nobody.
    pub(crate) fn who(&self, namespace: &str) -> Option<Who> {
        match self.kind.as_str() {
            "User" => Some(Who::User(self.name.clone())),
            "Group" => Some(Who::Group(self.name.clone())),
            "ServiceAccount" => {
                let own = if self.namespace.is_empty() {
                    namespace
                } else {
                    &self.namespace
                };
                (!own.is_empty()).then(|| Who::User(service_account_user(own, &self.name)))
            }
            _ => None,
        }
    }

    /// Whether the user is meant.
    pub(crate) fn is(&self, user: &User, namespace: &str) -> bool {
        match self.who(namespace) {
            Some(Who::User(name)) => user.name == name,
            Some(Who::Group(name)) => user.groups.contains(&name),
            None => false,
        }
    }

    /// `User "jane"`, as reasons show it.
    pub(crate) fn describe(&self, namespace: &str) -> String {
        if self.kind != "ServiceAccount" {
            return format!("{} {}", self.kind, go_quote(&self.name));
        }
        let own = if self.namespace.is_empty() {
            namespace
        } else {
            &self.namespace
        };
        let text = format!("{}/{own}", self.name);
        format!("{} {}", self.kind, go_quote(&text))
    }
}

/// The groups of every ServiceAccount of a namespace.
pub(crate) fn account_groups(namespace: &str) -> Vec<String> {
    vec![
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
    ]
}
