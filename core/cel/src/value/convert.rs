//! Conversions between types, and numbers as text.

use super::{Outcome, Value, parse_duration, parse_timestamp};
use crate::error::EvalError;
use std::sync::Arc;

/// The value as the type called `to`.
///
/// # Errors
/// When it is none: `type conversion error from 'string' to 'int'`.
pub(crate) fn convert<'v>(value: Value<'v>, to: &str) -> Outcome<'v> {
    let from = value.type_name();
    if from == shown(to) {
        return Ok(value);
    }
    let converted = match to {
        "bool" => to_bool(&value),
        "bytes" => value
            .as_str()
            .map(|text| Value::Bytes(Arc::from(text.as_bytes()))),
        "int" => return to_int(value),
        "uint" => return to_uint(value),
        "double" => to_double(&value),
        "string" => return to_text(value),
        "duration" => match &value {
            Value::String(text) => parse_duration(text.as_str()).map(Value::Duration),
            _ => None,
        },
        "timestamp" => return to_timestamp(value),
        _ => None,
    };
    converted.ok_or_else(|| failed(&value, to))
}

/// The name of a type in error texts.
fn shown(to: &str) -> &str {
    match to {
        "duration" => "google.protobuf.Duration",
        "timestamp" => "google.protobuf.Timestamp",
        other => other,
    }
}

fn failed(value: &Value<'_>, to: &str) -> EvalError {
    let (from, to) = (value.type_name(), shown(to));
    EvalError::new(format!("type conversion error from '{from}' to '{to}'"))
}

fn to_bool<'v>(value: &Value<'v>) -> Option<Value<'v>> {
    match value.as_str()? {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(Value::Bool(true)),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(Value::Bool(false)),
        _ => None,
    }
}

fn overflow(unsigned: bool) -> EvalError {
    EvalError::new(if unsigned {
        "unsigned integer overflow"
    } else {
        "integer overflow"
    })
}

fn to_int(value: Value<'_>) -> Outcome<'_> {
    Ok(Value::Int(match &value {
        Value::Uint(u) => i64::try_from(*u).map_err(|_| overflow(false))?,
        Value::Double(d) => {
            // The ends of the range are not exact as doubles, so they are left out.
            if !(*d > i64::MIN as f64 && *d < i64::MAX as f64) {
                return Err(overflow(false));
            }
            *d as i64
        }
        Value::Duration(nanos) => *nanos,
        Value::Timestamp(time) => time.seconds,
        Value::String(text) => match parse_go_int(text.as_str()) {
            Some(int) => int,
            None => return Err(failed(&value, "int")),
        },
        _ => return Err(failed(&value, "int")),
    }))
}

/// Decimal digits with a sign.
fn parse_go_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn to_uint(value: Value<'_>) -> Outcome<'_> {
    Ok(Value::Uint(match &value {
        Value::Int(i) => u64::try_from(*i).map_err(|_| overflow(true))?,
        Value::Double(d) => {
            if !(*d >= 0.0 && *d < u64::MAX as f64) {
                return Err(overflow(true));
            }
            *d as u64
        }
        Value::String(text) if !text.as_str().starts_with('+') => match text.as_str().parse() {
            Ok(uint) => uint,
            Err(_) => return Err(failed(&value, "uint")),
        },
        _ => return Err(failed(&value, "uint")),
    }))
}

fn to_double<'v>(value: &Value<'v>) -> Option<Value<'v>> {
    Some(Value::Double(match value {
        Value::Int(i) => *i as f64,
        Value::Uint(u) => *u as f64,
        Value::String(text) => text.as_str().parse().ok()?,
        _ => return None,
    }))
}

fn to_timestamp(value: Value<'_>) -> Outcome<'_> {
    match &value {
        Value::Int(seconds) => match super::Timestamp::new(*seconds, 0, 0) {
            Some(time) => Ok(Value::Timestamp(time)),
            None => Err(EvalError::new("timestamp overflow")),
        },
        Value::String(text) => match parse_timestamp(text.as_str()) {
            Some(time) => Ok(Value::Timestamp(time)),
            None => Err(failed(&value, "timestamp")),
        },
        _ => Err(failed(&value, "timestamp")),
    }
}

pub(crate) fn to_text(value: Value<'_>) -> Outcome<'_> {
    let text = match &value {
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Uint(u) => u.to_string(),
        Value::Double(d) => shortest(*d),
        Value::Bytes(octets) => match std::str::from_utf8(octets) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                return Err(EvalError::new(
                    "invalid UTF-8 in bytes, cannot convert to string",
                ));
            }
        },
        Value::Duration(nanos) => format!("{}s", plain(*nanos as f64 / 1e9)),
        Value::Timestamp(time) => time.to_string(),
        Value::Type(name) => (*name).to_owned(),
        Value::Library(library) => match library.as_text() {
            Some(text) => text,
            None => return Err(failed(&value, "string")),
        },
        _ => return Err(failed(&value, "string")),
    };
    Ok(Value::text(text))
}

/// A double without an exponent.
fn plain(double: f64) -> String {
    format!("{double}")
}

/// A double in the shortest form that reads back the same, with an exponent where Go has one.
pub(super) fn shortest(double: f64) -> String {
    if double.is_nan() {
        return "NaN".to_owned();
    }
    if double.is_infinite() {
        return if double > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{double:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let power: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&power) || double == 0.0 {
        return plain(double);
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.abs())
}

/// A text in double quotes, escaped as Go does.
pub(crate) fn go_quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            c if c.is_control() && (c as u32) < 0x80 => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
