//! RoleBindings and ClusterRoleBindings.

use super::policy_for;
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, items_mut, set_default};
use crate::{Context, Strategy};
use ::access::RBAC_GROUP;
use model::{ApiError, FieldError};
use serde_json::{Value, json};

/// The rules of RoleBindings, and of ClusterRoleBindings.
pub(crate) struct Bindings {
    /// Whether they bind in one namespace
    pub(crate) namespaced: bool,
}

impl Strategy for Bindings {
    fn default(&self, object: &mut Value) {
        default(object);
    }

    fn admit(
        &self,
        object: &mut Value,
        old: Option<&Value>,
        context: &Context<'_>,
    ) -> Result<(), ApiError> {
        admit(object, old, context)
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::path_segment_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        binding(object, self.namespaced)
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        update(object, old, self.namespaced)
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }
}

fn default(object: &mut Value) {
    if let Some(role) = ensure(object, "roleRef") {
        set_default(role, "apiGroup", RBAC_GROUP);
    }
    for subject in items_mut(object, "subjects") {
        if matches!(subject.text("kind"), "User" | "Group") {
            set_default(subject, "apiGroup", RBAC_GROUP);
        }
    }
}

/// Nobody gives others more than they have.
fn admit(object: &Value, old: Option<&Value>, context: &Context<'_>) -> Result<(), ApiError> {
    let Some(policy) = policy_for(context) else {
        return Ok(());
    };
    ::access::check_binding(&policy, context.user, object, old)
}

fn binding(object: &Value, namespaced: bool) -> Vec<FieldError> {
    let mut errors = Errors::default();
    role_ref(&mut errors, object.at("roleRef"), namespaced);
    for (i, each) in object.items("subjects").iter().enumerate() {
        subject(
            &mut errors,
            &Path::new("subjects").index(i),
            each,
            namespaced,
        );
    }
    errors.0
}

fn role_ref(errors: &mut Errors, role: &Value, namespaced: bool) {
    let path = Path::new("roleRef");
    if role.text("apiGroup") != RBAC_GROUP {
        let path = path.child("apiGroup");
        errors.not_supported(&path, role.text("apiGroup"), &[RBAC_GROUP]);
    }
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    if !kinds.contains(&role.text("kind")) {
        errors.not_supported(&path.child("kind"), role.text("kind"), kinds);
    }
    let (path, name) = (path.child("name"), role.text("name"));
    if name.is_empty() {
        errors.required(&path, "");
    } else {
        errors.invalid_each(&path, name, names::path_segment_name(name, false));
    }
}

fn subject(errors: &mut Errors, path: &Path, subject: &Value, namespaced: bool) {
    let (kind, name, group) = (
        subject.text("kind"),
        subject.text("name"),
        subject.text("apiGroup"),
    );
    if name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    match kind {
        "ServiceAccount" => {
            if !name.is_empty() {
                let texts = names::subdomain_name(name, false);
                errors.invalid_each(&path.child("name"), name, texts);
            }
            if !group.is_empty() {
                errors.not_supported(&path.child("apiGroup"), group, &[""]);
            }
            if !namespaced && subject.text("namespace").is_empty() {
                errors.required(&path.child("namespace"), "");
            }
        }
        "User" | "Group" => {
            if group != RBAC_GROUP {
                errors.not_supported(&path.child("apiGroup"), group, &[RBAC_GROUP]);
            }
        }
        _ => {
            let kinds = ["ServiceAccount", "User", "Group"];
            errors.not_supported(&path.child("kind"), kind, &kinds);
        }
    }
}

fn update(object: &Value, old: &Value, namespaced: bool) -> Vec<FieldError> {
    let mut errors = Errors(binding(object, namespaced));
    let role = |value: &Value| {
        let role = value.at("roleRef");
        ["apiGroup", "kind", "name"].map(|key| role.text(key).to_owned())
    };
    let new = role(object);
    if new != role(old) {
        let [group, kind, name] = new;
        let shown = json!({"APIGroup": group, "Kind": kind, "Name": name});
        errors.invalid(&Path::new("roleRef"), shown, "cannot change roleRef");
    }
    errors.0
}
