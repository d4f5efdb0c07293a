//! Values out of JSON, as they are declared.

use super::{List, Map, Outcome, Str, Value, time};
use crate::decl::{Decl, ListKind, Shape};
use crate::error::EvalError;
use base64::Engine;
use serde_json::Value as Json;
use std::sync::{Arc, LazyLock};

static ANY: LazyLock<Decl> = LazyLock::new(Decl::any);
static ATOMIC: ListKind = ListKind::Atomic;

/// The name of a JSON value's type in error texts.
fn go_type(json: &Json) -> &'static str {
    match json {
        Json::Null => "<nil>",
        Json::Bool(_) => "bool",
        Json::Number(n) if n.is_f64() => "float64",
        Json::Number(_) => "int64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    }
}

fn invalid(text: &str) -> EvalError {
    EvalError::new(format!("invalid data, {text}"))
}

pub(super) fn read<'v>(json: &'v Json, decl: &'v Decl) -> Outcome<'v> {
    if json.is_null() && !matches!(decl.shape, Shape::Any) {
        if decl.nullable {
            return Ok(Value::Null);
        }
        return Err(invalid("got null for schema with nullable=false"));
    }
    match (&decl.shape, json) {
        (Shape::Any, _) => Ok(read_any(json)),
        (Shape::Preserved, _) => Ok(Value::Preserved(json)),
        (Shape::IntOrString, _) => int_or_string(json),
        (Shape::Object(_) | Shape::Map(_), Json::Object(map)) => {
            Ok(Value::Map(Map::Json(map, decl)))
        }
        (Shape::Object(_) | Shape::Map(_), _) => Err(invalid(
            "expected a map for the provided schema with type=object",
        )),
        (Shape::List(item, kind), Json::Array(items)) => {
            Ok(Value::List(List::Json(items, item, kind)))
        }
        (Shape::List(..), _) => Err(invalid(
            "expected an array for the provided schema with type=array",
        )),
        (Shape::Bool, Json::Bool(b)) => Ok(Value::Bool(*b)),
        (Shape::Bool, _) => Err(unexpected("bool", json)),
        (Shape::Int, _) => match json.as_i64() {
            Some(int) => Ok(Value::Int(int)),
            None => Err(unexpected("int", json)),
        },
        (Shape::Double, Json::Number(n)) => Ok(Value::Double(n.as_f64().unwrap_or(0.0))),
        (Shape::Double, _) => Err(unexpected("float", json)),
        (shape, Json::String(text)) => string(shape, text),
        (_, _) => Err(unexpected("string", json)),
    }
}

fn unexpected(wanted: &str, found: &Json) -> EvalError {
    invalid(&format!("expected {wanted}, got {}", go_type(found)))
}

fn int_or_string(json: &Json) -> Outcome<'_> {
    if let Some(text) = json.as_str() {
        return Ok(Value::String(Str::Borrowed(text)));
    }
    match json.as_i64() {
        Some(int) => Ok(Value::Int(int)),
        None => Err(invalid(
            "expected XIntOrString value to be either a string or integer",
        )),
    }
}

fn string<'v>(shape: &Shape, text: &'v str) -> Outcome<'v> {
    match shape {
        Shape::Duration => match time::parse_loose_duration(text) {
            Ok(nanos) => Ok(Value::Duration(nanos)),
            Err(why) => Err(EvalError::new(format!("Invalid duration {text}: {why}"))),
        },
        Shape::Date => match time::parse_date(text) {
            Some(date) => Ok(Value::Timestamp(date)),
            None => Err(EvalError::new(format!(
                "Invalid date formatted string {text}: parsing time {text:?} as \"2006-01-02\": \
                 cannot parse {text:?} as \"2006\""
            ))),
        },
        Shape::DateTime => match time::parse_date_time(text) {
            Some(time) => Ok(Value::Timestamp(time)),
            None => Err(EvalError::new(format!(
                "Invalid date-time formatted string {text}: parsing time {text:?} as \
                 \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
            ))),
        },
        Shape::Bytes => match base64::engine::general_purpose::STANDARD.decode(text) {
            Ok(octets) => Ok(Value::Bytes(Arc::from(octets))),
            Err(_) => Err(EvalError::new(format!(
                "Invalid byte formatted string {text}: illegal base64 data at input byte 0"
            ))),
        },
        _ => Ok(Value::String(Str::Borrowed(text))),
    }
}

pub(super) fn read_any(json: &Json) -> Value<'_> {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match n.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Double(n.as_f64().unwrap_or(0.0)),
        },
        Json::String(text) => Value::String(Str::Borrowed(text)),
        Json::Array(items) => Value::List(List::Json(items, &ANY, &ATOMIC)),
        Json::Object(map) => Value::Map(Map::Json(map, &ANY)),
    }
}
