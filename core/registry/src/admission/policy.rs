//! The rules of ValidatingAdmissionPolicies.

use super::constraints;
use super::expressions::{Compiler, Declared, Gives, Refusal};
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, copy_field, same, set, set_default};
use crate::{Context, Strategy, Subresource};
use model::{FieldError, FieldErrorKind};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The rules of ValidatingAdmissionPolicies.
pub(crate) struct ValidatingPolicies;

const FAILURE_POLICIES: [&str; 2] = ["Fail", "Ignore"];
const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
const MOST_CONDITIONS: usize = 64;
const MOST_ANNOTATIONS: usize = 20;
const LONGEST_ANNOTATION: usize = 5 * 1024;

impl Strategy for ValidatingPolicies {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = object.get_mut("spec").filter(|spec| spec.is_object()) {
            set_default(spec, "failurePolicy", "Fail");
            constraints::default(spec, "matchConstraints");
        }
    }

    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        set(object, "status", json!({}));
        if let Some(meta) = object.get_mut("metadata") {
            set(meta, "generation", 1);
        }
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        copy_field(object, old, "status");
        super::binding::count_up(object, old);
    }

    fn prepare_subresource(
        &self,
        _: Subresource,
        object: &mut Value,
        old: &Value,
        _: &Context<'_>,
    ) {
        copy_field(object, old, "spec");
        super::binding::keep_metadata(object, old);
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        policy(object, true)
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let (new, old) = (object.at("spec"), old.at("spec"));
        let unchanged = same(new.at("paramKind"), old.at("paramKind"))
            && same(new.at("matchConditions"), old.at("matchConditions"));
        policy(object, !unchanged)
    }

    fn validate_subresource(
        &self,
        _: Subresource,
        object: &Value,
        _: &Value,
        _: &Context<'_>,
    ) -> Vec<FieldError> {
        status(object.at("status"))
    }

    fn warnings(&self, object: &Value, _: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        super::binding::static_suffix(object)
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

struct Checker<'o> {
    errors: Errors,
    compiler: Compiler,
    object: &'o Value,
    params: bool,
}

fn policy(object: &Value, conditions: bool) -> Vec<FieldError> {
    let spec = object.at("spec");
    let mut checker = Checker {
        errors: Errors::default(),
        compiler: Compiler::new(!spec.items("variables").is_empty()),
        object,
        params: spec.has("paramKind"),
    };
    checker.spec(&Path::new("spec"), spec, conditions);
    checker.errors.0
}

impl Checker<'_> {
    fn spec(&mut self, path: &Path, spec: &Value, conditions: bool) {
        let failure = spec.text("failurePolicy");
        if !spec.has("failurePolicy") {
            self.errors.required(&path.child("failurePolicy"), "");
        } else if !FAILURE_POLICIES.contains(&failure) {
            let path = path.child("failurePolicy");
            self.errors.not_supported(&path, failure, &FAILURE_POLICIES);
        }
        if self.params {
            param_kind(
                &mut self.errors,
                &path.child("paramKind"),
                spec.at("paramKind"),
            );
        }
        let constraints_path = path.child("matchConstraints");
        if spec.has("matchConstraints") {
            let given = spec.at("matchConstraints");
            constraints::check(&mut self.errors, &constraints_path, given);
            if given.items("resourceRules").is_empty() {
                let path = constraints_path.child("resourceRules");
                self.errors.required(&path, "");
            }
        } else {
            self.errors.required(&constraints_path, "");
        }
        if conditions {
            self.conditions(
                &path.child("matchConditions"),
                spec.items("matchConditions"),
            );
        }
        for (i, variable) in spec.items("variables").iter().enumerate() {
            self.variable(&path.child("variables").index(i), variable);
        }
        self.validations(path, spec);
    }

    fn declared(&self, authorizer: bool) -> Declared {
        Declared {
            params: self.params,
            authorizer,
        }
    }

    fn refused(&mut self, path: &Path, text: &str, refusal: Refusal) {
        if refusal.internal {
            self.errors.0.push(FieldError {
                kind: FieldErrorKind::Internal,
                field: path.to_string(),
                value: None,
                detail: refusal.text,
            });
        } else {
            self.errors.invalid(path, text, refusal.text);
        }
    }

    fn conditions(&mut self, path: &Path, conditions: &[Value]) {
        if conditions.len() > MOST_CONDITIONS {
            self.errors
                .too_many(path, conditions.len(), MOST_CONDITIONS);
        }
        let stateless = Compiler::new(false);
        let mut seen = BTreeSet::new();
        for (i, condition) in conditions.iter().enumerate() {
            let path = path.index(i);
            let text = condition.text("expression").trim();
            if text.is_empty() {
                self.errors.required(&path.child("expression"), "");
            } else if let Err(refusal) = stateless.compile(text, Gives::Bool, self.declared(true)) {
                self.refused(&path.child("expression"), text, refusal);
            }
            let name = condition.text("name");
            let path = path.child("name");
            if name.is_empty() {
                self.errors.required(&path, "");
                continue;
            }
            self.errors
                .invalid_each(&path, name, names::qualified_name(name));
            if !seen.insert(name) {
                self.errors.duplicate(&path, name);
            }
        }
    }

    fn variable(&mut self, path: &Path, variable: &Value) {
        let (name, text) = (variable.text("name"), variable.text("expression"));
        if name.trim().is_empty() {
            self.errors
                .required(&path.child("name"), "name is not specified");
        } else if !is_identifier(name) {
            let detail = "must be a valid CEL identifier";
            self.errors.invalid(&path.child("name"), name, detail);
        }
        let path = path.child("expression");
        if text.trim().is_empty() {
            self.errors.required(&path, "expression is not specified");
            return;
        }
        let declared = self.declared(true);
        if let Err(refusal) = self.compiler.variable(name, text, declared) {
            self.refused(&path, text, refusal);
        }
    }

    fn validations(&mut self, path: &Path, spec: &Value) {
        let (validations, annotations) =
            (spec.items("validations"), spec.items("auditAnnotations"));
        if validations.is_empty() && annotations.is_empty() {
            let detail = "validations or auditAnnotations must contain at least one item";
            self.errors.required(&path.child("validations"), detail);
            self.errors
                .required(&path.child("auditAnnotations"), detail);
            return;
        }
        for (i, validation) in validations.iter().enumerate() {
            self.validation(&path.child("validations").index(i), validation);
        }
        let path = path.child("auditAnnotations");
        if annotations.len() > MOST_ANNOTATIONS {
            let detail = format!("must not have more than {MOST_ANNOTATIONS} auditAnnotations");
            self.errors.invalid(&path, json!(annotations), detail);
        }
        let mut seen = BTreeSet::new();
        for (i, annotation) in annotations.iter().enumerate() {
            let path = path.index(i);
            self.annotation(&path, annotation);
            if !seen.insert(annotation.text("key")) {
                self.errors
                    .duplicate(&path.child("key"), annotation.text("key"));
            }
        }
    }

    fn validation(&mut self, path: &Path, validation: &Value) {
        let text = validation.text("expression");
        let expression = path.child("expression");
        if text.trim().is_empty() {
            self.errors
                .required(&expression, "expression is not specified");
        } else if let Err(refusal) = self
            .compiler
            .compile(text, Gives::Bool, self.declared(true))
        {
            self.refused(&expression, text, refusal);
        }
        let text = validation.text("messageExpression");
        let expression = path.child("messageExpression");
        if !text.is_empty() && text.trim().is_empty() {
            self.errors
                .invalid(&expression, text, "must be non-empty if specified");
        } else if !text.is_empty()
            && let Err(refusal) = self
                .compiler
                .compile(text, Gives::Text, self.declared(false))
        {
            self.refused(&expression, text, refusal);
        }
        let message = validation.text("message");
        if !message.is_empty() && message.trim().is_empty() {
            let path = path.child("message");
            self.errors
                .invalid(&path, message, "must be non-empty if specified");
        } else if message.trim().contains(['\n', '\r']) {
            let path = path.child("message");
            self.errors
                .invalid(&path, message, "must not contain line breaks");
        }
        let reason = validation.text("reason");
        if validation.has("reason") && !REASONS.contains(&reason) {
            self.errors
                .not_supported(&path.child("reason"), reason, &REASONS);
        }
    }

    fn annotation(&mut self, path: &Path, annotation: &Value) {
        let (name, key) = (
            self.object.at("metadata").text("name"),
            annotation.text("key"),
        );
        if name.is_empty() {
            let detail = "requires metadata.name be non-empty";
            self.errors.invalid(&path.child("key"), key, detail);
        } else {
            let qualified = format!("{name}/{key}");
            let texts = names::qualified_name(&qualified);
            self.errors
                .invalid_each(&path.child("key"), &qualified, texts);
        }
        let text = annotation.text("valueExpression");
        let path = path.child("valueExpression");
        let trimmed = text.trim();
        if trimmed.is_empty() {
            self.errors
                .required(&path, "valueExpression is not specified");
        } else if trimmed.len() > LONGEST_ANNOTATION {
            let detail = format!("must not exceed {LONGEST_ANNOTATION} bytes in length");
            self.errors.required(&path, &detail);
        } else {
            let declared = self.declared(true);
            if let Err(refusal) = self.compiler.compile(trimmed, Gives::TextOrNull, declared) {
                self.refused(&path, text, refusal);
            }
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(inner)
        && !cel::is_reserved(name)
}

fn param_kind(errors: &mut Errors, path: &Path, kind: &Value) {
    let version_path = path.child("apiVersion");
    let version = kind.text("apiVersion");
    if version.is_empty() {
        errors.required(&version_path, "");
    } else if version.matches('/').count() > 1 {
        let detail = format!("unexpected GroupVersion string: {version}");
        errors.invalid(&version_path, version, detail);
    } else {
        let (group, plain) = match version {
            "/" => ("", ""),
            version => version.split_once('/').unwrap_or(("", version)),
        };
        let texts = names::dns1123_subdomain(group);
        if !group.is_empty() && !texts.is_empty() {
            errors.invalid(&version_path, group, texts.join(","));
        }
        if plain.is_empty() {
            errors.invalid(&version_path, version, "version must be specified");
        } else {
            let texts = names::dns1035_label(plain);
            if !texts.is_empty() {
                errors.invalid(&version_path, plain, texts.join(","));
            }
        }
    }
    let name = kind.text("kind");
    let texts = names::dns1035_label(&name.to_lowercase());
    if name.is_empty() {
        errors.required(&path.child("kind"), "");
    } else if !texts.is_empty() {
        let texts = texts.join(",");
        let detail = format!("may have mixed case, but should otherwise match: {texts}");
        errors.invalid(&path.child("kind"), name, detail);
    }
}

/// What the controller says about the expressions.
fn status(status: &Value) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let path = Path::new("status")
        .child("typeChecking")
        .child("expressionWarnings");
    let warnings = status.at("typeChecking").items("expressionWarnings");
    for (i, warning) in warnings.iter().enumerate() {
        let path = path.index(i);
        if warning.text("warning").is_empty() {
            errors.required(&path.child("warning"), "");
        }
        if warning.text("fieldRef").trim().is_empty() {
            errors.required(&path.child("fieldRef"), "");
        }
    }
    errors.0
}
