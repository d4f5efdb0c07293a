//! Whether a value fits its type.

use super::list::element_of;
use super::print::{go_syntax, go_type, go_value};
use super::ty::{ListType, MapType, Rule, Scalar};
use super::{Element, Faults, Type};
use serde_json::Value;
use std::collections::BTreeSet;

/// What to do about elements of a list that cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// They are faults
    Refuse,
    /// Stored objects may have them
    Allow,
}

/// Checks a value against a type.
///
/// # Errors
/// What does not fit, in the words of kube-apiserver: `.spec.foo: field not declared in schema`.
pub fn validate(ty: Type<'_>, value: &Value, duplicates: Duplicates) -> Result<(), Faults> {
    let faults = check(ty, value, duplicates);
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

fn check(ty: Type<'_>, value: &Value, duplicates: Duplicates) -> Faults {
    match ty.rule(Some(value)) {
        Rule::Map(map) => check_map(map, value, duplicates),
        Rule::List(list) => check_list(list, value, duplicates),
        Rule::Scalar(scalar) => {
            check_scalar(scalar, value).map_or_else(Faults::default, Faults::new)
        }
        Rule::None => Faults::new("schema error: invalid atom: inlined"),
    }
}

pub(super) fn check_scalar(scalar: Scalar, value: &Value) -> Option<String> {
    let fits = match (scalar, value) {
        (_, Value::Null)
        | (Scalar::Numeric, Value::Number(_))
        | (Scalar::String, Value::String(_))
        | (Scalar::Boolean, Value::Bool(_)) => true,
        (Scalar::Untyped, other) => !other.is_object() && !other.is_array(),
        _ => false,
    };
    (!fits).then(|| match scalar {
        Scalar::Numeric => format!("expected numeric (int or float), got {}", go_type(value)),
        Scalar::String => format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            go_syntax(value)
        ),
        Scalar::Boolean => format!("expected boolean, got &{{{}}}", go_value(value)),
        Scalar::Untyped => format!("expected any scalar, got &{{{}}}", go_value(value)),
    })
}

fn check_list(list: ListType<'_>, value: &Value, duplicates: Duplicates) -> Faults {
    let items = match value {
        Value::Array(items) => items,
        Value::Null => return Faults::default(),
        other => return Faults::new(format!("expected list, got &{{{}}}", go_value(other))),
    };
    let mut faults = Faults::default();
    let mut seen = BTreeSet::new();
    for (place, item) in items.iter().enumerate() {
        let element = if list.atomic {
            Element::Index(i64::try_from(place).unwrap_or(i64::MAX))
        } else {
            match element_of(&list, item) {
                Ok(element) => element,
                Err(why) => {
                    faults.extend(Faults::new(format!("element {place}: {why}")));
                    return faults;
                }
            }
        };
        if !list.atomic && !seen.insert(element.clone()) && duplicates == Duplicates::Refuse {
            faults.extend(Faults::new(format!("duplicate entries for key {element}")));
        }
        faults.extend(check(list.element, item, duplicates).at(&element));
    }
    faults
}

fn check_map(map: MapType<'_>, value: &Value, duplicates: Duplicates) -> Faults {
    let members = match value {
        Value::Object(members) => members,
        Value::Null => return Faults::default(),
        other => return Faults::new(format!("expected map, got &{{{}}}", go_value(other))),
    };
    let mut faults = Faults::default();
    for (name, value) in members {
        let step = Element::field(name);
        let Some(ty) = map.member(name) else {
            faults.extend(Faults::new("field not declared in schema").at(&step));
            return faults;
        };
        faults.extend(check(ty, value, duplicates).at(&step));
    }
    faults
}
