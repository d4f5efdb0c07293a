//! Operators on numbers, times, strings and lists.

use super::call::{Answer, Called};
use crate::ast::op;
use crate::error::EvalError;
use crate::value::{Outcome, Value, compare};
use std::cmp::Ordering;
use std::sync::Arc;

pub(super) fn call<'p, 'v>(mut called: Called<'p, 'v>) -> Answer<'p, 'v> {
    let name = called.function.name.as_str();
    match (name, called.args.len()) {
        (op::NOT | op::NEGATE, 1) | ("_<_" | "_<=_" | "_>_" | "_>=_", 2) => {}
        (op::ADD | "_-_" | "_*_" | "_/_" | "_%_", 2) => {}
        _ => return Err(called),
    }
    let Some(last) = called.args.pop() else {
        return Err(called);
    };
    let Some(left) = called.args.pop() else {
        return Ok(unary(name, last));
    };
    if !takes(name, &left) {
        return Ok(Err(EvalError::new(format!("no such overload: {name}"))));
    }
    Ok(match name {
        op::ADD => add(left, last),
        "_-_" => subtract(left, last),
        "_*_" => multiply(left, last),
        "_/_" | "_%_" => divide(name, left, last),
        _ => order(name, &left, &last),
    })
}

/// Whether values like `left` have the operator at all.
fn takes(name: &str, left: &Value<'_>) -> bool {
    let number = matches!(left, Value::Int(_) | Value::Uint(_) | Value::Double(_));
    let time = matches!(left, Value::Duration(_) | Value::Timestamp(_));
    let text = matches!(left, Value::String(_) | Value::Bytes(_));
    match name {
        op::ADD => number || time || text || matches!(left, Value::List(_)),
        "_-_" => number || time,
        "_*_" | "_/_" => number,
        "_%_" => matches!(left, Value::Int(_) | Value::Uint(_)),
        _ => number || time || text || matches!(left, Value::Bool(_)),
    }
}

fn unary<'v>(name: &str, value: Value<'v>) -> Outcome<'v> {
    match (name, value) {
        (op::NOT, Value::Bool(b)) => Ok(Value::Bool(!b)),
        (op::NOT, _) => Err(EvalError::no_overload()),
        (_, Value::Int(i)) => i.checked_neg().map(Value::Int).ok_or_else(int_overflow),
        (_, Value::Double(d)) => Ok(Value::Double(-d)),
        _ => Err(EvalError::new(format!("no such overload: {name}"))),
    }
}

fn int_overflow() -> EvalError {
    EvalError::new("integer overflow")
}

fn uint_overflow() -> EvalError {
    EvalError::new("unsigned integer overflow")
}

fn duration_overflow() -> EvalError {
    EvalError::new("duration overflow")
}

fn timestamp_overflow() -> EvalError {
    EvalError::new("timestamp overflow")
}

fn order<'v>(name: &str, left: &Value<'v>, right: &Value<'v>) -> Outcome<'v> {
    let Some(order) = compare(left, right) else {
        let nan = |v: &Value<'_>| matches!(v, Value::Double(d) if d.is_nan());
        if nan(left) || nan(right) {
            return Err(EvalError::new("NaN values cannot be ordered"));
        }
        return Err(EvalError::no_overload());
    };
    Ok(Value::Bool(match name {
        "_<_" => order == Ordering::Less,
        "_<=_" => order != Ordering::Greater,
        "_>_" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}

pub(super) fn add<'v>(left: Value<'v>, right: Value<'v>) -> Outcome<'v> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => a.checked_add(b).map(Value::Int).ok_or_else(int_overflow),
        (Value::Uint(a), Value::Uint(b)) => {
            a.checked_add(b).map(Value::Uint).ok_or_else(uint_overflow)
        }
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::String(a), Value::String(b)) => Ok(Value::text([a.as_str(), b.as_str()].concat())),
        (Value::Bytes(a), Value::Bytes(b)) => Ok(Value::Bytes(Arc::from([a, b].concat()))),
        (Value::List(a), Value::List(b)) => Ok(Value::List(a.join(b)?)),
        (Value::Duration(a), Value::Duration(b)) => a
            .checked_add(b)
            .map(Value::Duration)
            .ok_or_else(duration_overflow),
        (Value::Timestamp(t), Value::Duration(d)) | (Value::Duration(d), Value::Timestamp(t)) => t
            .plus(d)
            .map(Value::Timestamp)
            .ok_or_else(timestamp_overflow),
        _ => Err(EvalError::no_overload()),
    }
}

fn subtract<'v>(left: Value<'v>, right: Value<'v>) -> Outcome<'v> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => a.checked_sub(b).map(Value::Int).ok_or_else(int_overflow),
        (Value::Uint(a), Value::Uint(b)) => {
            a.checked_sub(b).map(Value::Uint).ok_or_else(uint_overflow)
        }
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        (Value::Duration(a), Value::Duration(b)) => a
            .checked_sub(b)
            .map(Value::Duration)
            .ok_or_else(duration_overflow),
        (Value::Timestamp(a), Value::Timestamp(b)) => a
            .since(&b)
            .map(Value::Duration)
            .ok_or_else(duration_overflow),
        (Value::Timestamp(t), Value::Duration(d)) => {
            let back = d.checked_neg().and_then(|d| t.plus(d));
            back.map(Value::Timestamp).ok_or_else(timestamp_overflow)
        }
        _ => Err(EvalError::no_overload()),
    }
}

fn multiply<'v>(left: Value<'v>, right: Value<'v>) -> Outcome<'v> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => a.checked_mul(b).map(Value::Int).ok_or_else(int_overflow),
        (Value::Uint(a), Value::Uint(b)) => {
            a.checked_mul(b).map(Value::Uint).ok_or_else(uint_overflow)
        }
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        _ => Err(EvalError::no_overload()),
    }
}

fn divide<'v>(name: &str, left: Value<'v>, right: Value<'v>) -> Outcome<'v> {
    let rest = name == "_%_";
    let zero = if rest {
        "modulus by zero"
    } else {
        "division by zero"
    };
    match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => {
            Err(EvalError::new(zero))
        }
        (Value::Int(a), Value::Int(b)) => {
            let result = if rest {
                a.checked_rem(b)
            } else {
                a.checked_div(b)
            };
            result.map(Value::Int).ok_or_else(int_overflow)
        }
        (Value::Uint(a), Value::Uint(b)) => Ok(Value::Uint(if rest { a % b } else { a / b })),
        (Value::Double(a), Value::Double(b)) if !rest => Ok(Value::Double(a / b)),
        _ => Err(EvalError::no_overload()),
    }
}
