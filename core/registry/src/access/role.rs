//! Roles and ClusterRoles.

use super::policy_for;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::{names, selector};
use crate::{Context, Strategy};
use model::{ApiError, FieldError};
use serde_json::Value;

/// The rules of Roles.
pub(crate) struct Roles;

/// The rules of ClusterRoles.
pub(crate) struct ClusterRoles;

impl Strategy for Roles {
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
        let mut errors = Errors::default();
        rules(&mut errors, object, true);
        errors.0
    }

    fn validate_update(&self, object: &Value, _: &Value, context: &Context<'_>) -> Vec<FieldError> {
        self.validate(object, context)
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }
}

impl Strategy for ClusterRoles {
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
        cluster_role(object, false)
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut selectors = old
            .at("aggregationRule")
            .items("clusterRoleSelectors")
            .iter();
        cluster_role(object, selectors.any(|s| !selector::is_usable(s)))
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }
}

/// Nobody writes a role that grants more than they have.
fn admit(object: &Value, old: Option<&Value>, context: &Context<'_>) -> Result<(), ApiError> {
    let Some(policy) = policy_for(context) else {
        return Ok(());
    };
    ::access::check_role(&policy, context.user, context.name, object, old)
}

fn cluster_role(object: &Value, loose: bool) -> Vec<FieldError> {
    let mut errors = Errors::default();
    rules(&mut errors, object, false);
    if !object.has("aggregationRule") {
        return errors.0;
    }
    let path = Path::new("aggregationRule").child("clusterRoleSelectors");
    let selectors = object.at("aggregationRule").items("clusterRoleSelectors");
    if selectors.is_empty() {
        errors.required(
            &path,
            "at least one clusterRoleSelector required if aggregationRule is non-nil",
        );
    }
    for (i, each) in selectors.iter().enumerate() {
        let path = path.index(i);
        selector::label_selector(&mut errors, &path, each, loose);
        if !selector::is_convertible(each) {
            errors.invalid_shown(&path, "null".to_owned(), "invalid label selector.");
        }
    }
    errors.0
}

fn rules(errors: &mut Errors, object: &Value, namespaced: bool) {
    for (i, rule) in object.items("rules").iter().enumerate() {
        check_rule(errors, &Path::new("rules").index(i), rule, namespaced);
    }
}

fn check_rule(errors: &mut Errors, path: &Path, rule: &Value, namespaced: bool) {
    let empty = |key: &str| rule.items(key).is_empty();
    if empty("verbs") {
        let path = path.child("verbs");
        errors.required(&path, "verbs must contain at least one value");
    }
    if !empty("nonResourceURLs") {
        let path = path.child("nonResourceURLs");
        let urls = || rule.at("nonResourceURLs").clone();
        if namespaced {
            let text = "namespaced rules cannot apply to non-resource URLs";
            errors.invalid(&path, urls(), text);
        }
        if !(empty("apiGroups") && empty("resources") && empty("resourceNames")) {
            let text = "rules cannot apply to both regular resources and non-resource URLs";
            errors.invalid(&path, urls(), text);
        }
        return;
    }
    if empty("apiGroups") {
        let text = "resource rules must supply at least one api group";
        errors.required(&path.child("apiGroups"), text);
    }
    if empty("resources") {
        let text = "resource rules must supply at least one resource";
        errors.required(&path.child("resources"), text);
    }
}
