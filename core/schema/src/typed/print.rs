//! Values as Go prints them in the texts of errors.

use model::go_quote;
use serde_json::{Number, Value};

/// `%v` of the value inside: `map[a:b]`, `[a b]`, `<nil>`.
pub fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(bit) => bit.to_string(),
        Value::Number(number) => float(number),
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(go_value).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let items = map.iter().map(|(k, v)| format!("{k}:{}", go_value(v)));
            format!("map[{}]", items.collect::<Vec<_>>().join(" "))
        }
    }
}

/// `%#v` of the value inside: `map[string]interface {}{"a":"b"}`.
pub(super) fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => go_quote(text),
        Value::Bool(bit) => bit.to_string(),
        Value::Number(number) => float(number),
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let items = map
                .iter()
                .map(|(k, v)| format!("{}:{}", go_quote(k), go_syntax(v)));
            let items = items.collect::<Vec<_>>().join(", ");
            format!("map[string]interface {{}}{{{items}}}")
        }
    }
}

/// `%T` of the value inside.
pub(super) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value inside a path: `"TCP"`, `80`.
pub(super) fn to_string(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => go_quote(text),
        Value::Bool(bit) => bit.to_string(),
        Value::Number(number) => float(number),
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(to_string).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(map) => map
            .iter()
            .map(|(k, v)| format!("{k}={}", to_string(v)))
            .collect(),
    }
}

/// `%v` of a number.
fn float(number: &Number) -> String {
    match number.as_i64() {
        Some(whole) => whole.to_string(),
        None => exponent_from(number, -4, 6),
    }
}

/// A number as `encoding/json` writes it.
pub(super) fn json_number(number: &Number) -> String {
    match number.as_i64() {
        Some(whole) => whole.to_string(),
        None => exponent_from(number, -6, 21),
    }
}

/// The shortest digits of a float, with an exponent outside of a range.
fn exponent_from(number: &Number, low: i32, high: i32) -> String {
    let value = number.as_f64().unwrap_or(0.0);
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (low..high).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn floats_have_exponents_where_go_has_them() {
        for (value, want) in [
            (json!(1_000_000), "1000000"),
            (json!(1e5), "100000"),
            (json!(1e6), "1e+06"),
            (json!(123_456_789.0), "1.23456789e+08"),
            (json!(0.00001), "1e-05"),
            (json!(0.0001), "0.0001"),
            (json!(80.0), "80"),
        ] {
            assert_eq!(go_value(&value), want);
        }
    }
}
