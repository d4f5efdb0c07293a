//! What a definition's check says about rules: their texts, whether they compile, what they cost.

use super::super::check::root::unsupported;
use super::super::node::Node;
use super::super::path::Path;
use super::super::print;
use super::{Compiled, Envs, Typed, field_path};
use cel::{Decl, Program};
use model::{FieldError, FieldErrorKind, go_quote};
use serde_json::Value;

const VALIDATIONS: &str = "x-kubernetes-validations";

/// What one expression may cost, for all places where it is asked.
const RULE_LIMIT: u64 = 10_000_000;
/// What all expressions of a schema may cost.
const SCHEMA_LIMIT: u64 = 100_000_000;
/// Largest object that the estimates reckon with, in bytes.
const REQUEST_SIZE: u64 = 3 * 1024 * 1024;

/// `reason`s that a rule may have, sorted.
const REASONS: [&str; 4] = [
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

/// The cost of all expressions of a schema so far.
#[derive(Default)]
pub(in super::super) struct Budget {
    total: u64,
    /// The four that cost most, of those that matter
    most: Vec<(u64, String)>,
}

impl Budget {
    fn add(&mut self, path: &Path<'_>, cost: u64) {
        self.total = self.total.saturating_add(cost);
        if cost < SCHEMA_LIMIT / 100 {
            return;
        }
        self.most.push((cost, path.to_string()));
        self.most.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
        self.most.truncate(4);
    }

    /// Tells when a schema costs too much as a whole.
    pub(in super::super) fn tell(&self, path: &Path<'_>, errors: &mut Vec<FieldError>) {
        if self.total <= SCHEMA_LIMIT {
            return;
        }
        for (_, field) in &self.most {
            let detail = "contributed to estimated rule cost total exceeding cost limit for \
                          entire OpenAPIv3 schema";
            errors.push(FieldError::forbidden(field.clone(), detail));
        }
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        let detail = too_costly(what, self.total, SCHEMA_LIMIT);
        errors.push(FieldError::forbidden(path.to_string(), detail));
    }
}

fn too_costly(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = if factor > 100.0 {
        "more than 100x".to_owned()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding \
         maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}

/// The rules of one place, to be checked.
pub(in super::super) struct CheckRules<'a> {
    pub(in super::super) node: &'a Node,
    /// `None` where expressions are not looked at
    pub(in super::super) typed: Option<&'a Typed<'a>>,
    pub(in super::super) path: &'a Path<'a>,
    /// How often the place can be in an object; `None` when nothing bounds it
    pub(in super::super) cardinality: Option<u64>,
    /// The place above at which old values are lost sight of
    pub(in super::super) uncorrelated: Option<&'a Path<'a>>,
    /// Whether a rule's own cost is not refused
    pub(in super::super) lenient_cost: bool,
    pub(in super::super) budget: &'a mut Budget,
}

fn invalid(path: &Path<'_>, value: String, detail: impl Into<String>) -> FieldError {
    FieldError {
        kind: FieldErrorKind::Invalid,
        field: path.to_string(),
        value: Some(value),
        detail: detail.into(),
    }
}

fn has_newline(text: &str) -> bool {
    text.contains(['\n', '\r'])
}

impl CheckRules<'_> {
    /// Checks the texts of the rules.
    pub(in super::super) fn texts(&self, errors: &mut Vec<FieldError>) {
        let all = self.path.field(VALIDATIONS);
        for (index, rule) in self.node.rules.iter().enumerate() {
            let at = all.index(index);
            let (text, message) = (rule.rule.trim(), rule.message.trim());
            let at_message = at.field("message");
            if text.is_empty() {
                let at = at.field("rule").to_string();
                errors.push(FieldError::required(at, "rule is not specified"));
            } else if !rule.message.is_empty() && message.is_empty() {
                let value = go_quote(&rule.message);
                errors.push(invalid(
                    &at_message,
                    value,
                    "must be non-empty if specified",
                ));
            } else if has_newline(message) {
                let value = go_quote(&rule.message);
                errors.push(invalid(&at_message, value, "must not contain line breaks"));
            } else if has_newline(text) && message.is_empty() {
                let detail = "message must be specified if rule contains line breaks";
                errors.push(FieldError::required(at_message.to_string(), detail));
            }
            if !rule.message_expression.is_empty() && rule.message_expression.trim().is_empty() {
                let at = at.field("messageExpression").to_string();
                let detail = "messageExpression must be non-empty if specified";
                errors.push(FieldError::required(at, detail));
            }
            if let Some(reason) = rule.reason.as_deref().filter(|r| !REASONS.contains(r)) {
                let at = at.field("reason").to_string();
                errors.push(FieldError::not_supported(at, &reason.into(), &REASONS));
            }
            self.field_path(&rule.field_path, &at.field("fieldPath"), errors);
        }
    }

    fn field_path(&self, text: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
        if text.is_empty() {
            return;
        }
        let value = || go_quote(text);
        if text.trim().is_empty() {
            errors.push(invalid(at, value(), "must be non-empty if specified"));
        }
        if has_newline(text) {
            errors.push(invalid(at, value(), "must not contain line breaks"));
        }
        // Where a schema cannot be read as a structural one, the path is not looked at.
        if field_path::resolve(self.node, text).is_none() && unsupported(self.node).is_none() {
            errors.push(invalid(at, value(), "must be a valid path"));
        }
    }

    /// Compiles the rules and checks what they cost.
    pub(in super::super) fn programs(&mut self, errors: &mut Vec<FieldError>) {
        let Some(typed) = self.typed.filter(|_| !self.node.rules.is_empty()) else {
            return;
        };
        let all = self.path.field(VALIDATIONS);
        let decl = typed.decl.clone().filter(|decl| decl.is_exposed());
        let Some(decl) = decl else {
            errors.push(FieldError {
                kind: FieldErrorKind::Internal,
                field: all.to_string(),
                value: None,
                detail: "internal error: failed to construct type information for \
                         x-kubernetes-validations rules: unable to convert structural schema to \
                         CEL declarations"
                    .to_owned(),
            });
            return;
        };
        let envs = Envs::of(&decl);
        for (index, rule) in self.node.rules.iter().enumerate() {
            let compiled = Compiled::of(self.node, rule, &envs);
            self.program(&compiled, &decl, &all.index(index), errors);
        }
    }

    fn program(
        &mut self,
        compiled: &Compiled,
        decl: &Decl,
        at: &Path<'_>,
        errors: &mut Vec<FieldError>,
    ) {
        let at_rule = at.field("rule");
        match &compiled.program {
            Some(Ok(program)) => self.cost(program, decl, true, &at_rule, errors),
            Some(Err(text)) => {
                errors.push(invalid(&at_rule, print_rule(compiled), text.clone()));
            }
            None => {}
        }
        let at_message = at.field("messageExpression");
        match &compiled.message {
            Some(Ok(program)) => self.cost(program, decl, false, &at_message, errors),
            Some(Err(text)) => {
                errors.push(invalid(&at_message, print_rule(compiled), text.clone()));
            }
            None => {}
        }
        if compiled.uses_old {
            if let Some(above) = self.uncorrelated {
                let detail = format!(
                    "oldSelf cannot be used on the uncorrelatable portion of the schema within \
                     {above}"
                );
                errors.push(invalid(&at_rule, go_quote(&compiled.rule.rule), detail));
            }
        } else if let Some(flag) = compiled.rule.optional_old_self {
            let at = at.field("optionalOldSelf");
            let detail = "may not be set if oldSelf is not used in rule";
            errors.push(invalid(&at, flag.to_string(), detail));
        }
    }

    /// A rule's cost counts as often as its place can be; a message is made once.
    fn cost(
        &mut self,
        program: &Program,
        decl: &Decl,
        is_rule: bool,
        at: &Path<'_>,
        errors: &mut Vec<FieldError>,
    ) {
        let mut cost = program.estimate_cost(Some(decl)).max;
        let mut what = "estimated messageExpression cost";
        if is_rule {
            let most = REQUEST_SIZE / (decl.min_serialized_size() + 1);
            cost = cost.saturating_mul(self.cardinality.unwrap_or(most));
            what = "estimated rule cost";
        }
        if !self.lenient_cost && cost > RULE_LIMIT {
            let detail = too_costly(what, cost, RULE_LIMIT);
            errors.push(FieldError::forbidden(at.to_string(), detail));
        }
        self.budget.add(at, cost);
    }
}

/// A rule as the original prints its own type.
fn print_rule(compiled: &Compiled) -> String {
    let rule = &compiled.rule;
    let text = |text: &str| print::json(&text.into());
    let reason = rule.reason.as_deref().map_or(Value::Null, Value::from);
    let optional = rule.optional_old_self.map_or(Value::Null, Value::from);
    format!(
        "{{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{},\"FieldPath\":{},\
         \"OptionalOldSelf\":{optional}}}",
        text(&rule.rule),
        text(&rule.message),
        text(&rule.message_expression),
        print::json(&reason),
        text(&rule.field_path),
    )
}
