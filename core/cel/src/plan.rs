//! From a checked expression to steps that can be evaluated: constants are computed, regular
//! expressions compiled, chains of selections flattened.
//!
//! What is constant costs nothing when evaluated, so this decides costs too.

use crate::ast::{Call, Comprehension, Expr, Kind, Literal, op};
use crate::check::functions::Overload;
use crate::check::{Checked, Reference};
use crate::error::EvalError;
use crate::types::Type;
use crate::value::{Key, Value, convert};
use regex::Regex;
use std::sync::Arc;

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Constant(Constant),
    /// A value and what is selected from it.
    Attribute(Box<Attribute>),
    Conditional(Box<[Step; 3]>),
    And(Box<[Step; 2]>),
    Or(Box<[Step; 2]>),
    Equal(Box<[Step; 2]>, bool),
    /// `a in [constants]`.
    Member(Box<Step>, Arc<[Constant]>),
    OptionalOr(Box<[Step; 2]>),
    OptionalOrValue(Box<[Step; 2]>),
    Call(Box<Function>),
    List(Vec<(Step, bool)>),
    Map(Vec<(Step, Step, bool)>),
    Fold(Box<Fold>),
}

/// A value that is known before evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    Literal(Literal),
    Type(&'static str),
    Duration(i64),
    Timestamp(i64, u32, i32),
    List(Arc<[Constant]>),
    Map(Arc<[(Constant, Constant)]>),
}

#[derive(Debug, Clone)]
pub(crate) struct Attribute {
    pub(crate) base: Base,
    pub(crate) qualifiers: Vec<Qualifier>,
    /// `has()`: whether the last is there.
    pub(crate) test: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Base {
    Variable(String),
    Step(Step),
}

#[derive(Debug, Clone)]
pub(crate) struct Qualifier {
    pub(crate) by: Step,
    pub(crate) optional: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The only overload that fits, if it is one.
    pub(crate) overload: Option<&'static Overload>,
    pub(crate) args: Vec<Step>,
    /// Compiled beforehand.
    pub(crate) regex: Option<Regex>,
}

#[derive(Debug, Clone)]
pub(crate) struct Fold {
    pub(crate) range: Step,
    pub(crate) var: String,
    pub(crate) var2: Option<String>,
    pub(crate) accumulator: String,
    pub(crate) init: Step,
    pub(crate) condition: Step,
    pub(crate) step: Step,
    pub(crate) result: Step,
    /// The step reads the accumulator once, to add to it.
    pub(crate) grows: bool,
}

/// Regular expressions larger than this are refused, in bytes when compiled.
const LARGEST_REGEX: usize = 1 << 20;

/// Compiles a regular expression.
///
/// # Errors
/// The text for the user.
pub(crate) fn regex(pattern: &str) -> Result<Regex, String> {
    if let Some(count) = excessive_repeat(pattern) {
        return Err(format!(
            "error parsing regexp: invalid repeat count: `{count}`"
        ));
    }
    let mut builder = regex::RegexBuilder::new(pattern);
    let compiled = builder.size_limit(LARGEST_REGEX).build();
    compiled.map_err(|error| format!("error parsing regexp: {}", why_no_regex(pattern, &error)))
}

/// Go repeats nothing more than a thousand times: `{1001}`.
fn excessive_repeat(pattern: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, c) in pattern.char_indices() {
        if c == '{' && !escaped {
            let end = pattern[at..]
                .find('}')
                .map_or(pattern.len(), |end| at + end + 1);
            let count = &pattern[at..end];
            let numbers = count[1..].trim_end_matches('}').split(',');
            let mut numbers = numbers.filter_map(|number| number.parse::<u32>().ok());
            if numbers.any(|number| number > 1000) {
                return Some(count);
            }
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// Why a pattern is no regular expression, in Go's words where there are any.
fn why_no_regex(pattern: &str, error: &regex::Error) -> String {
    let whole = error.to_string();
    let why = whole.lines().last().unwrap_or_default();
    let why = why.strip_prefix("error: ").unwrap_or(why);
    let marker = whole
        .lines()
        .find(|line| line.trim_start().starts_with('^'));
    let column = marker
        .and_then(|line| line.find('^'))
        .map_or(0, |at| at.saturating_sub(4));
    let from = pattern
        .char_indices()
        .nth(column)
        .map_or(pattern, |(at, _)| &pattern[at..]);
    let first = |count: usize| from.chars().take(count).collect::<String>();
    if why.contains("unclosed character class") {
        return format!("missing closing ]: `{from}`");
    }
    if why.contains("unclosed group") {
        return format!("missing closing ): `{pattern}`");
    }
    if why.contains("unopened group") {
        return format!("unexpected ): `{pattern}`");
    }
    if why.contains("repetition operator missing expression") {
        return format!("missing argument to repetition operator: `{}`", first(1));
    }
    if why.contains("escape sequence") || why.contains("backreferences") {
        return format!("invalid escape sequence: `{}`", first(2));
    }
    if why.contains("look-around") {
        return format!("invalid or unsupported Perl syntax: `{}`", first(3));
    }
    if why.contains("invalid character class range") {
        return format!("invalid character class range: `{}`", first(3));
    }
    format!("{why}: `{pattern}`")
}

pub(crate) fn plan(expr: &Expr, checked: &Checked) -> Result<Step, EvalError> {
    Planner { checked }.plan(expr)
}

struct Planner<'c> {
    checked: &'c Checked,
}

impl Planner<'_> {
    fn plan(&self, expr: &Expr) -> Result<Step, EvalError> {
        Ok(match &expr.kind {
            Kind::Unspecified | Kind::Struct(_) => {
                return Err(EvalError::new("unsupported expression"));
            }
            Kind::Literal(literal) => Step::Constant(Constant::Literal(literal.clone())),
            Kind::Ident(name) => self.identifier(expr.id, name),
            Kind::Select(select) => {
                let operand = self.plan(&select.operand)?;
                let field = Literal::String(Arc::from(select.field.as_str()));
                let by = Step::Constant(Constant::Literal(field));
                let mut attribute = attribute(operand);
                attribute.qualifiers.push(Qualifier {
                    by,
                    optional: false,
                });
                attribute.test |= select.test;
                Step::Attribute(Box::new(attribute))
            }
            Kind::Call(call) => self.call(expr.id, call)?,
            Kind::List(elements) => {
                let items = elements.iter();
                let items = items.map(|e| Ok((self.plan(&e.value)?, e.optional)));
                constant_list(items.collect::<Result<_, EvalError>>()?)
            }
            Kind::Map(entries) => {
                let entries = entries.iter();
                let entries = entries.map(|entry| {
                    let key = self.plan(&entry.key)?;
                    Ok((key, self.plan(&entry.value)?, entry.optional))
                });
                constant_map(entries.collect::<Result<_, EvalError>>()?)?
            }
            Kind::Comprehension(comprehension) => self.fold(comprehension)?,
        })
    }

    fn identifier(&self, id: usize, name: &str) -> Step {
        if let Some(Reference::Type) = &self.checked.references[id]
            && let Type::Type(Some(of)) = &self.checked.types[id]
        {
            return Step::Constant(Constant::Type(runtime_name(of)));
        }
        Step::Attribute(Box::new(Attribute {
            base: Base::Variable(name.to_owned()),
            qualifiers: Vec::new(),
            test: false,
        }))
    }

    fn fold(&self, of: &Comprehension) -> Result<Step, EvalError> {
        let grows = matches!(&of.init.kind, Kind::List(items) if items.is_empty())
            || matches!(&of.init.kind, Kind::Map(entries) if entries.is_empty());
        Ok(Step::Fold(Box::new(Fold {
            range: self.plan(&of.range)?,
            var: of.var.clone(),
            var2: of.var2.clone(),
            accumulator: of.accumulator.clone(),
            init: self.plan(&of.init)?,
            condition: self.plan(&of.condition)?,
            step: self.plan(&of.step)?,
            result: self.plan(&of.result)?,
            grows: grows && of.accumulator == crate::ast::ACCUMULATOR,
        })))
    }

    fn call(&self, id: usize, call: &Call) -> Result<Step, EvalError> {
        let nodes = call.target.iter().chain(&call.args);
        let mut args = Vec::with_capacity(call.args.len() + 1);
        for node in nodes {
            args.push(self.plan(node)?);
        }
        let name = call.function.as_str();
        let args = match (name, <[Step; 2]>::try_from(args)) {
            (op::AND, Ok(pair)) => return Ok(Step::And(Box::new(pair))),
            (op::OR, Ok(pair)) => return Ok(Step::Or(Box::new(pair))),
            (op::EQUALS, Ok(pair)) => return Ok(Step::Equal(Box::new(pair), true)),
            (op::NOT_EQUALS, Ok(pair)) => return Ok(Step::Equal(Box::new(pair), false)),
            ("or", Ok(pair)) => return Ok(Step::OptionalOr(Box::new(pair))),
            ("orValue", Ok(pair)) => return Ok(Step::OptionalOrValue(Box::new(pair))),
            (op::INDEX, Ok(pair)) => return Ok(index(pair, false)),
            (op::OPT_INDEX | op::OPT_SELECT, Ok(pair)) => return Ok(index(pair, true)),
            (_, Ok(pair)) => pair.into(),
            (_, Err(args)) => args,
        };
        if name == op::CONDITIONAL
            && let Ok(parts) = <[Step; 3]>::try_from(args.clone())
        {
            return Ok(Step::Conditional(Box::new(parts)));
        }
        let overload = match &self.checked.references[id] {
            Some(Reference::Overloads(overloads)) if overloads.len() == 1 => Some(overloads[0]),
            _ => None,
        };
        optimize(Function {
            name: name.to_owned(),
            overload,
            args,
            regex: None,
        })
    }
}

/// The step as something to select from.
fn attribute(step: Step) -> Attribute {
    match step {
        Step::Attribute(attribute) if !attribute.test => *attribute,
        step => Attribute {
            base: Base::Step(step),
            qualifiers: Vec::new(),
            test: false,
        },
    }
}

fn index([operand, by]: [Step; 2], optional: bool) -> Step {
    let mut attribute = attribute(operand);
    attribute.qualifiers.push(Qualifier { by, optional });
    Step::Attribute(Box::new(attribute))
}

fn constant_list(items: Vec<(Step, bool)>) -> Step {
    let constants = items.iter().map(|(step, optional)| match step {
        Step::Constant(constant) if !optional => Some(constant.clone()),
        _ => None,
    });
    match constants.collect::<Option<Vec<Constant>>>() {
        Some(constants) => Step::Constant(Constant::List(constants.into())),
        None => Step::List(items),
    }
}

fn constant_map(entries: Vec<(Step, Step, bool)>) -> Result<Step, EvalError> {
    let constants = entries.iter().map(|entry| match entry {
        (Step::Constant(key), Step::Constant(value), false) => Some((key.clone(), value.clone())),
        _ => None,
    });
    let Some(constants) = constants.collect::<Option<Vec<_>>>() else {
        return Ok(Step::Map(entries));
    };
    for (key, _) in &constants {
        if Key::of(&key.value()).is_none() {
            let name = key.value().type_name();
            return Err(EvalError::new(format!("unsupported key type: {name}")));
        }
    }
    Ok(Step::Constant(Constant::Map(constants.into())))
}

/// Computes what can be computed beforehand.
fn optimize(mut function: Function) -> Result<Step, EvalError> {
    let in_list = function.overload.is_some_and(|o| o.id == "in_list");
    if in_list && let [_, Step::Constant(Constant::List(items))] = function.args.as_slice() {
        if items.is_empty() {
            return Ok(Step::Constant(Constant::Literal(Literal::Bool(false))));
        }
        if items.iter().all(Constant::is_simple) {
            let items = items.clone();
            function.args.truncate(1);
            if let Some(item) = function.args.pop() {
                return Ok(Step::Member(Box::new(item), items));
            }
        }
    }
    if let ("matches" | "find" | "findAll", [_, Step::Constant(Constant::Literal(literal)), ..]) =
        (function.name.as_str(), function.args.as_slice())
        && let Literal::String(pattern) = literal
    {
        function.regex = Some(regex(pattern).map_err(EvalError::new)?);
    }
    if let [Step::Constant(constant)] = function.args.as_slice()
        && is_conversion(&function.name)
        && let Some(converted) = constant.converted(&function.name)?
    {
        return Ok(Step::Constant(converted));
    }
    Ok(Step::Call(Box::new(function)))
}

fn is_conversion(name: &str) -> bool {
    matches!(
        name,
        "bool"
            | "bytes"
            | "double"
            | "duration"
            | "dyn"
            | "int"
            | "string"
            | "timestamp"
            | "type"
            | "uint"
    )
}

impl Constant {
    pub(crate) fn value<'v>(&self) -> Value<'v> {
        match self {
            Constant::Literal(literal) => Value::literal(literal),
            Constant::Type(name) => Value::Type(name),
            Constant::Duration(nanos) => Value::Duration(*nanos),
            Constant::Timestamp(seconds, nanos, offset) => {
                Value::Timestamp(crate::value::Timestamp {
                    seconds: *seconds,
                    nanos: *nanos,
                    offset: *offset,
                })
            }
            Constant::List(items) => Value::list(items.iter().map(Constant::value).collect()),
            Constant::Map(entries) => Value::entries(
                entries
                    .iter()
                    .filter_map(|(key, value)| Some((Key::of(&key.value())?, value.value()))),
            ),
        }
    }

    fn of(value: Value<'_>) -> Option<Constant> {
        Some(match value {
            Value::Null => Constant::Literal(Literal::Null),
            Value::Bool(b) => Constant::Literal(Literal::Bool(b)),
            Value::Int(i) => Constant::Literal(Literal::Int(i)),
            Value::Uint(u) => Constant::Literal(Literal::Uint(u)),
            Value::Double(d) => Constant::Literal(Literal::Double(d)),
            Value::String(text) => Constant::Literal(Literal::String(Arc::from(text.as_str()))),
            Value::Bytes(octets) => Constant::Literal(Literal::Bytes(octets)),
            Value::Type(name) => Constant::Type(name),
            Value::Duration(nanos) => Constant::Duration(nanos),
            Value::Timestamp(t) => Constant::Timestamp(t.seconds, t.nanos, t.offset),
            _ => return None,
        })
    }

    fn converted(&self, to: &str) -> Result<Option<Constant>, EvalError> {
        let value: Value<'_> = self.value();
        Ok(match to {
            "dyn" => Some(self.clone()),
            "type" => Some(Constant::Type(value.type_name())),
            _ => Constant::of(convert(value, to)?),
        })
    }

    fn is_simple(&self) -> bool {
        matches!(
            self,
            Constant::Literal(
                Literal::Bool(_)
                    | Literal::Int(_)
                    | Literal::Uint(_)
                    | Literal::Double(_)
                    | Literal::String(_)
                    | Literal::Null
            )
        )
    }
}

/// The name that `type()` gives for values of a type.
fn runtime_name(of: &Type) -> &'static str {
    match of {
        Type::Bool => "bool",
        Type::Int => "int",
        Type::Uint => "uint",
        Type::Double => "double",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Null => "null_type",
        Type::Timestamp => "google.protobuf.Timestamp",
        Type::Duration => "google.protobuf.Duration",
        Type::List(_) => "list",
        Type::Map(..) => "map",
        Type::Optional(_) => "optional_type",
        Type::Opaque(name) | Type::Struct(name) => name,
        _ => "type",
    }
}
