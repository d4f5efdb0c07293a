//! Asking the rules about an object.

use super::super::correlate::{Correlated, OldItems};
use super::super::node::Node;
use super::super::path::Path;
use super::super::print;
use super::{Compiled, Rules};
use cel::{Activation, EvalError, PER_CALL_LIMIT, Value as CelValue};
use model::{FieldError, FieldErrorKind, go_quote};
use serde_json::Value;

/// Longest text that a `messageExpression` may give, in bytes.
const LONGEST_MESSAGE: usize = 5 * 1024;

const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// What came of it.
pub(in super::super) struct Asked {
    pub(in super::super) errors: Vec<FieldError>,
    /// Errors that are only told, since what they complain about did not change
    pub(in super::super) warnings: Vec<String>,
    /// What is left to spend; below zero nothing more is asked
    pub(in super::super) budget: i64,
}

impl Asked {
    pub(in super::super) fn new(budget: i64) -> Self {
        Self {
            errors: Vec::new(),
            warnings: Vec::new(),
            budget,
        }
    }

    fn stop(&mut self, error: FieldError) {
        self.errors.push(error);
        self.budget = -1;
    }
}

/// What is known of the old object where the asking stands: the value itself, or the nearest one
/// above that correlates.
#[derive(Clone, Copy, Default)]
pub(in super::super) struct Ratchet<'a> {
    current: Option<Correlated<'a>>,
    nearest: Option<Correlated<'a>>,
}

impl<'a> Ratchet<'a> {
    /// At the top of an update.
    pub(in super::super) fn root(schema: &'a Node, new: &'a Value, old: &'a Value) -> Self {
        Self {
            current: Some(Correlated { new, old, schema }),
            nearest: None,
        }
    }

    fn key(self, name: &str) -> Self {
        match self.current {
            None => self,
            Some(_) if self.nearest.is_none() && (name == "apiVersion" || name == "kind") => {
                Self::default()
            }
            Some(current) => Self {
                current: current.key(name),
                nearest: Some(current),
            },
        }
    }

    fn index(self, items: Option<&OldItems<'a>>, at: usize) -> Self {
        match self.current {
            None => self,
            Some(current) => Self {
                current: items.and_then(|items| current.index(items, at)),
                nearest: Some(current),
            },
        }
    }

    fn unchanged(&self) -> bool {
        let known = self.current.or(self.nearest);
        known.is_some_and(|known| known.unchanged())
    }
}

impl Rules {
    /// Asks all rules at and below a place.
    pub(in super::super) fn ask<'a>(
        &self,
        schema: &'a Node,
        value: &'a Value,
        old: Option<&'a Value>,
        (path, ratchet): (&Path<'_>, Ratchet<'a>),
        asked: &mut Asked,
    ) {
        if value.is_null() || asked.budget < 0 {
            return;
        }
        let old = old.filter(|old| !old.is_null());
        if !self.here.is_empty() {
            self.ask_here(value, old, path, &ratchet, asked);
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if asked.budget < 0 {
                        return;
                    }
                    let old = old.and_then(|old| old.get(name));
                    let ratchet = ratchet.key(name);
                    if let (Some(values), Some(schema)) = (&self.values, schema.additional_schema())
                    {
                        values.ask(schema, value, old, (&path.key(name), ratchet), asked);
                    }
                    if let (Some(rules), Some(schema)) =
                        (self.properties.get(name), schema.properties.get(name))
                    {
                        rules.ask(schema, value, old, (&path.field(name), ratchet), asked);
                    }
                }
            }
            Value::Array(items) => self.ask_items(schema, items, old, (path, ratchet), asked),
            _ => {}
        }
    }

    fn ask_items<'a>(
        &self,
        schema: &'a Node,
        items: &'a [Value],
        old: Option<&'a Value>,
        (path, ratchet): (&Path<'_>, Ratchet<'a>),
        asked: &mut Asked,
    ) {
        let (Some(rules), Some(each)) = (&self.items, schema.items.as_deref()) else {
            return;
        };
        let before = old.and_then(|old| OldItems::of(schema, old));
        for (at, item) in items.iter().enumerate() {
            if asked.budget < 0 {
                return;
            }
            let old = before.as_ref().and_then(|before| before.like(item));
            let ratchet = ratchet.index(before.as_ref(), at);
            rules.ask(each, item, old, (&path.index(at), ratchet), asked);
        }
    }

    fn ask_here(
        &self,
        value: &Value,
        old: Option<&Value>,
        path: &Path<'_>,
        ratchet: &Ratchet<'_>,
        asked: &mut Asked,
    ) {
        let place = Place {
            type_name: &self.type_name,
            value,
            path,
            ratchet,
        };
        if asked.budget <= 0 {
            return asked.stop(place.failed(OUT_OF_BUDGET.to_owned()));
        }
        let own = CelValue::from_json(value, &self.decl);
        let before = old.map(|old| CelValue::from_json(old, &self.decl));
        let base = Activation::new().bind("self", own);
        let plain = match &before {
            Some(before) => base.clone().bind("oldSelf", before.clone()),
            None => base.clone(),
        };
        let optional = base.bind(
            "oldSelf",
            match before {
                Some(before) => before.map(CelValue::some),
                None => Ok(CelValue::none()),
            },
        );
        for compiled in &self.here {
            let is_optional = compiled.rule.optional_old_self == Some(true);
            if compiled.uses_old && old.is_none() && !is_optional {
                continue;
            }
            let values = if is_optional { &optional } else { &plain };
            place.ask(compiled, values, &plain, asked);
            if asked.budget < 0 {
                return;
            }
        }
    }
}

/// Where a rule is asked.
struct Place<'p> {
    type_name: &'p str,
    value: &'p Value,
    path: &'p Path<'p>,
    ratchet: &'p Ratchet<'p>,
}

impl Place<'_> {
    fn field(&self) -> String {
        match self.path.is_root() {
            true => "<nil>".to_owned(),
            false => self.path.to_string(),
        }
    }

    /// That a rule could not be asked; the value printed is the schema's type.
    fn failed(&self, detail: String) -> FieldError {
        FieldError {
            kind: FieldErrorKind::Invalid,
            field: self.field(),
            value: Some(go_quote(self.type_name)),
            detail,
        }
    }

    fn ask<'v>(
        &self,
        compiled: &Compiled,
        values: &Activation<'v>,
        plain: &Activation<'v>,
        asked: &mut Asked,
    ) {
        let program = match &compiled.program {
            None => return,
            Some(Err(text)) => {
                asked
                    .errors
                    .push(self.failed(format!("rule compile error: {text}")));
                return;
            }
            Some(Ok(program)) => program,
        };
        let outcome = program.eval(values, PER_CALL_LIMIT);
        let cost = i64::try_from(outcome.cost).unwrap_or(i64::MAX);
        if cost > asked.budget {
            return asked.stop(self.failed(OUT_OF_BUDGET.to_owned()));
        }
        asked.budget -= cost;
        match outcome.result {
            Ok(CelValue::Bool(true)) => {}
            Ok(_) => self.refuse(compiled, plain, asked),
            Err(error) => self.error(compiled, &error, asked),
        }
    }

    fn error(&self, compiled: &Compiled, error: &EvalError, asked: &mut Asked) {
        let rule = rule_text(compiled);
        let text = error.to_string();
        if matches!(error, EvalError::Limit) {
            return asked.stop(self.failed(format!(
                "'{text}': no further validation rules will be run due to call cost exceeds limit \
                 for rule: {rule}"
            )));
        }
        asked
            .errors
            .push(self.failed(if text.starts_with("no such overload") {
            format!(
                "'{text}': call arguments did not match a supported operator, function or macro \
                 signature for rule: {rule}"
            )
        } else {
            format!("{text} evaluating rule: {rule}")
        }));
    }

    fn refuse(&self, compiled: &Compiled, plain: &Activation<'_>, asked: &mut Asked) {
        let mut error = self.failed(String::new());
        if !compiled.field.is_empty() {
            error.field = match self.path.is_root() {
                true => compiled.field.clone(),
                false => format!("{}.{}", self.path, compiled.field),
            };
        }
        match message(compiled, plain, asked) {
            Err(text) => {
                error.detail = text;
                self.tell(compiled, error, asked);
                asked.budget = -1;
                return;
            }
            Ok(text) => error.detail = text.unwrap_or_else(|| default_message(compiled)),
        }
        error.value = match self.value {
            Value::Object(_) | Value::Array(_) => None,
            scalar => Some(print::bad_value(scalar)),
        };
        match compiled.rule.reason.as_deref() {
            Some("FieldValueForbidden") => {
                (error.kind, error.value) = (FieldErrorKind::Forbidden, None);
            }
            Some("FieldValueRequired") => {
                (error.kind, error.value) = (FieldErrorKind::Required, None);
            }
            Some("FieldValueDuplicate") => {
                error.kind = FieldErrorKind::Duplicate;
                error.detail.clear();
            }
            _ => {}
        }
        self.tell(compiled, error, asked);
    }

    /// A transition rule speaks of the change itself; all others only of what changed.
    fn tell(&self, compiled: &Compiled, error: FieldError, asked: &mut Asked) {
        if !compiled.uses_old && self.ratchet.unchanged() {
            asked.warnings.push(error.to_string());
        } else {
            asked.errors.push(error);
        }
    }
}

/// The text of a `messageExpression`; `None` where it has none to use.
///
/// # Errors
/// That it cost too much.
fn message(
    compiled: &Compiled,
    values: &Activation<'_>,
    asked: &mut Asked,
) -> Result<Option<String>, String> {
    let Some(Ok(program)) = &compiled.message else {
        return Ok(None);
    };
    let outcome = program.eval(values, PER_CALL_LIMIT);
    let cost = i64::try_from(outcome.cost).unwrap_or(i64::MAX);
    if cost > asked.budget {
        return Err(
            "messageExpression evaluation failed due to running out of cost budget, no \
                    further validation rules will be run"
                .to_owned(),
        );
    }
    let text = match outcome.result {
        Err(EvalError::Limit) => {
            let text = go_quote(&compiled.rule.message_expression);
            return Err(format!(
                "no further validation rules will be run due to call cost exceeds limit for \
                 messageExpression: {text}"
            ));
        }
        Ok(CelValue::String(text)) => text.as_str().trim().to_owned(),
        _ => String::new(),
    };
    asked.budget -= cost;
    let usable = !text.is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains('\n');
    Ok(usable.then_some(text))
}

fn rule_text(compiled: &Compiled) -> &str {
    match compiled.rule.message.as_str() {
        "" => compiled.rule.rule.trim(),
        message => message.trim(),
    }
}

fn default_message(compiled: &Compiled) -> String {
    match compiled.rule.message.as_str() {
        "" => format!("failed rule: {}", rule_text(compiled)),
        message => message.trim().to_owned(),
    }
}
