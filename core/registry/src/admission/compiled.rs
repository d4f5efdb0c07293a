//! A policy with its expressions compiled.

use super::expressions::{Compiler, Declared, Gives, Refusal};
use crate::field::read::Read;
use cel::Program;
use serde_json::Value;

/// An expression, and its program or why there is none.
#[derive(Debug)]
pub(super) struct Expression {
    pub(super) text: String,
    pub(super) program: Result<Program, String>,
}

/// One of a policy's validations.
#[derive(Debug)]
pub(super) struct Validation {
    pub(super) expression: Expression,
    pub(super) message_expression: Option<Expression>,
    pub(super) message: String,
    pub(super) reason: String,
}

/// A policy, ready to be asked.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    /// Failures let the request pass.
    pub(super) ignores_failures: bool,
    pub(super) param_kind: Value,
    pub(super) constraints: Value,
    pub(super) conditions: Vec<Expression>,
    pub(super) variables: Vec<(String, Expression)>,
    pub(super) validations: Vec<Validation>,
    pub(super) annotations: Vec<Expression>,
}

impl Expression {
    fn new(text: &str, program: Result<Program, Refusal>) -> Self {
        Self {
            text: text.to_owned(),
            program: program.map_err(|refusal| refusal.text),
        }
    }
}

impl Policy {
    pub(super) fn new(object: &Value) -> Self {
        let spec = object.at("spec");
        let declared = |authorizer| Declared {
            params: spec.has("paramKind"),
            authorizer,
        };
        let variables = spec.items("variables");
        let mut compiler = Compiler::new(!variables.is_empty());
        let stateless = Compiler::new(false);
        let conditions = spec.items("matchConditions").iter().map(|condition| {
            let text = condition.text("expression");
            Expression::new(text, stateless.compile(text, Gives::Bool, declared(true)))
        });
        let conditions = conditions.collect();
        let variables = variables.iter().map(|variable| {
            let (name, text) = (variable.text("name"), variable.text("expression"));
            let program = compiler.variable(name, text, declared(true));
            (name.to_owned(), Expression::new(text, program))
        });
        let variables = variables.collect();
        let validations = spec.items("validations").iter();
        let validations = validations.map(|given| validation(&compiler, given, &declared));
        let annotations = spec.items("auditAnnotations").iter().map(|annotation| {
            let text = annotation.text("valueExpression");
            let program = compiler.compile(text, Gives::TextOrNull, declared(true));
            Expression::new(text, program)
        });
        Self {
            name: object.at("metadata").text("name").to_owned(),
            ignores_failures: spec.text("failurePolicy") == "Ignore",
            param_kind: spec.at("paramKind").clone(),
            constraints: spec.at("matchConstraints").clone(),
            conditions,
            variables,
            validations: validations.collect(),
            annotations: annotations.collect(),
        }
    }
}

fn validation(
    compiler: &Compiler,
    given: &Value,
    declared: &dyn Fn(bool) -> Declared,
) -> Validation {
    let text = given.text("expression");
    let message = given.text("messageExpression");
    Validation {
        expression: Expression::new(text, compiler.compile(text, Gives::Bool, declared(true))),
        message_expression: (!message.is_empty()).then(|| {
            let program = compiler.compile(message, Gives::Text, declared(false));
            Expression::new(message, program)
        }),
        message: given.text("message").trim().to_owned(),
        reason: given.text("reason").to_owned(),
    }
}
