//! What policies ask about rights.

use access::{Attributes as Asked, MASTERS, Policy, service_account_user};
use cel::{AccessRequest, Authorizer, Decision};
use model::{User, View};
use std::cell::OnceCell;

/// Answers with the stored Roles and bindings, read when first asked.
pub(super) struct Rights<'a> {
    view: &'a dyn View,
    user: &'a User,
    policy: OnceCell<Policy>,
}

impl<'a> Rights<'a> {
    pub(super) fn new(view: &'a dyn View, user: &'a User) -> Self {
        Self {
            view,
            user,
            policy: OnceCell::new(),
        }
    }
}

fn account(namespace: &str, name: &str) -> User {
    let groups = [
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".to_owned(),
    ];
    User {
        name: service_account_user(namespace, name),
        groups: groups.into(),
        ..User::default()
    }
}

impl Authorizer for Rights<'_> {
    fn decide(&self, request: &AccessRequest) -> Decision {
        let asked = Asked {
            verb: request.verb.clone(),
            namespace: request.namespace.clone(),
            group: request.group.clone(),
            resource: request.resource.clone(),
            subresource: request.subresource.clone(),
            name: request.name.clone(),
            path: request.path.clone().unwrap_or_default(),
            is_resource: request.path.is_none(),
        };
        let other = request.service_account.as_ref();
        let other = other.map(|(namespace, name)| account(namespace, name));
        let user = other.as_ref().unwrap_or(self.user);
        if user.groups.iter().any(|group| group == MASTERS) {
            return Decision {
                allowed: true,
                ..Decision::default()
            };
        }
        let policy = self.policy.get_or_init(|| Policy::of_view(self.view));
        let found = policy.authorize(user, &asked);
        Decision {
            allowed: found.allowed,
            reason: found.reason,
            error: None,
        }
    }
}
