//! Structural schemas: what is said about schemas, and about values by them. The texts are those of
//! kube-apiserver for the same definitions and objects.

use model::{FieldError, FieldErrorKind};
use schema::structural::{CheckOptions, Part, Structural, Tolerance, check};
use serde_json::Value;
use std::fmt::Write;

/// The rules of ObjectMeta are not this crate's: one of them stands for all.
fn meta(metadata: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if metadata["name"] == "Bad_Name" {
        let value = &metadata["name"];
        let detail = "is no name";
        let kind = FieldErrorKind::Invalid;
        errors.push(FieldError::new(
            kind,
            format!("{path}.name"),
            Some(value),
            detail,
        ));
    }
}

fn told(errors: &[FieldError]) -> String {
    let mut text = String::new();
    let mut lines: Vec<String> = errors.iter().map(|error| format!("  {error}\n")).collect();
    lines.sort_unstable();
    lines.dedup();
    if lines.is_empty() {
        text.push_str("  fine\n");
    }
    text.extend(lines);
    text
}

#[test]
fn definitions_are_refused_in_the_words_of_the_original() {
    testkit::run_cases("tests/structural/definitions", |case| {
        let mut text = String::new();
        for document in case.objects() {
            let options = CheckOptions {
                path: "schema",
                status_subresource: document["status"] == true,
                unchanged: false,
                tolerance: Tolerance::default(),
                meta,
            };
            let name = document["name"].as_str().unwrap_or_default();
            let errors = check(&document["schema"], options);
            let _ = write!(text, "{name}\n{}", told(&errors));
        }
        vec![("told", text)]
    });
}

#[test]
fn values_are_refused_in_the_words_of_the_original() {
    testkit::run_cases("tests/structural/values", |case| {
        let documents = case.objects();
        let (first, rest) = documents.split_first().expect("a schema");
        let schema = Structural::parse(first).expect("a structural schema");
        let mut text = String::new();
        for document in rest {
            let mut new = document["new"].clone();
            let mut old = document.get("old").cloned();
            if let Some(old) = &mut old {
                schema.receive(old).expect("an old object");
            }
            let _ = writeln!(text, "{new}");
            let sent = new.clone();
            let part = match document["part"].as_str() {
                Some("status") => Part::Status,
                _ => Part::Whole,
            };
            match schema.receive(&mut new) {
                Err(error) => {
                    let _ = writeln!(text, "  undecodable: {error}");
                    continue;
                }
                Ok(unknown) => unknown.iter().for_each(|path| {
                    let _ = writeln!(text, "  unknown field \"{path}\"");
                }),
            }
            if new != sent {
                let _ = writeln!(text, "  becomes {new}");
            }
            let mut errors = Vec::new();
            let warnings = schema.validate(&new, old.as_ref(), part, meta, &mut errors);
            text.push_str(&told(&errors));
            for warning in warnings {
                let _ = writeln!(text, "  warning: {warning}");
            }
        }
        vec![("told", text)]
    });
}

mod laws {
    use super::meta;
    use proptest::prelude::*;
    use schema::structural::{CheckOptions, Part, Structural, Tolerance, check};
    use serde_json::{Value, json};

    const NAMES: [&str; 6] = ["a", "b", "metadata", "kind", "apiVersion", "n"];

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-c]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let key = proptest::sample::select(&NAMES[..]).prop_map(str::to_owned);
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(key, inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Schemas of all shapes, most of them structural.
    fn any_schema() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!({"type": "string", "default": "a", "maxLength": 2})),
            Just(json!({"type": "integer", "minimum": 1, "format": "int32"})),
            Just(json!({"type": "number", "multipleOf": 0.5})),
            Just(json!({"type": "boolean", "nullable": true})),
            Just(json!({"x-kubernetes-int-or-string": true, "default": 1})),
            Just(json!({"x-kubernetes-preserve-unknown-fields": true})),
            Just(json!({"type": "string", "enum": ["a", "b"], "pattern": "^[a-b]$"})),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let key = proptest::sample::select(&NAMES[..]).prop_map(str::to_owned);
            let fields = proptest::collection::btree_map(key, inner.clone(), 0..4);
            prop_oneof![
                fields
                    .clone()
                    .prop_map(|p| json!({"type": "object", "properties": p})),
                fields.prop_map(|p| json!({
                    "type": "object", "properties": p, "default": {},
                    "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                })),
                inner.clone().prop_map(|items| json!({
                    "type": "array", "items": items, "x-kubernetes-list-type": "set",
                })),
                inner
                    .clone()
                    .prop_map(|v| json!({"type": "object", "additionalProperties": v})),
                inner.prop_map(|a| json!({
                    "type": "object", "x-kubernetes-embedded-resource": true,
                    "x-kubernetes-preserve-unknown-fields": true, "properties": {"a": a},
                })),
            ]
        })
    }

    proptest! {
        #[test]
        fn receiving_twice_is_receiving_once(schema in any_schema(), value in any_json()) {
            let schema = json!({"type": "object", "properties": {"spec": schema}});
            let schema = Structural::parse(&schema).expect("not deep");
            let mut object = json!({"spec": value});
            if schema.receive(&mut object).is_ok() {
                let once = object.clone();
                prop_assert_eq!(schema.receive(&mut object), Ok(vec![]));
                prop_assert_eq!(object, once);
            }
        }

        #[test]
        fn any_value_is_answered(schema in any_schema(), new in any_json(), old in any_json()) {
            let schema = Structural::parse(&schema).expect("not deep");
            for part in [Part::Whole, Part::Status] {
                let (mut created, mut updated) = (Vec::new(), Vec::new());
                schema.validate(&new, None, part, meta, &mut created);
                schema.validate(&new, Some(&old), part, meta, &mut updated);
                // An update is never told more of values than a creation.
                prop_assert!(updated.len() <= created.len(), "{updated:?} {created:?}");
                let mut same = Vec::new();
                schema.validate(&new, Some(&new), part, meta, &mut same);
                prop_assert!(same.len() <= updated.len().max(created.len()));
            }
        }

        #[test]
        fn any_json_is_a_schema_or_refused(schema in any_json(), made in any_schema()) {
            let options = CheckOptions {
                path: "schema", status_subresource: true, unchanged: false,
                tolerance: Tolerance::default(), meta,
            };
            prop_assert!(!check(&schema, options).is_empty() || schema.is_object());
            // What the old definition breaks already, the new one may go on breaking.
            let tolerance = Tolerance::of(&[&made]);
            let lenient = check(&made, CheckOptions { tolerance, ..options });
            prop_assert!(lenient.len() <= check(&made, options).len());
            let parsed = Structural::parse(&made).expect("not deep");
            prop_assert!(parsed.open_api_v3().is_object() && parsed.open_api_v2().is_object());
        }
    }
}
