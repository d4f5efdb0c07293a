//! Rules of what each version of a definition says beside its schema.

use super::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use model::{FieldError, FieldErrorKind};
use serde_json::Value;
use std::collections::BTreeSet;

const COLUMN_TYPES: &str = "boolean,date,integer,number,string";
const COLUMN_FORMATS: &str = "byte,date,date-time,double,float,int32,int64,password";
/// A version may not have more selectable fields.
const MOST_SELECTABLE: usize = 8;

/// `name`
pub(super) fn check_name(errors: &mut Errors, path: &Path, name: &str) {
    names::label(errors, &path.child("name"), name);
}

/// `deprecationWarning`
pub(super) fn check_deprecation(errors: &mut Errors, path: &Path, version: &Value) {
    let Some(warning) = version.optional_text("deprecationWarning") else {
        return;
    };
    let path = path.child("deprecationWarning");
    if !version.flag("deprecated").unwrap_or(false) {
        errors.invalid(&path, warning, "can only be set for deprecated versions");
        return;
    }
    if warning.len() > 256 {
        errors.invalid(&path, warning, "must be <= 256 characters long");
    }
    if warning.is_empty() {
        errors.invalid(&path, warning, "must not be an empty string");
    }
    let unprintable = |c: char| c.is_control() || (c.is_whitespace() && c != ' ');
    if let Some((index, _)) = warning.char_indices().find(|(_, c)| unprintable(*c)) {
        let text =
            "must only contain printable UTF-8 characters; non-printable character found at index";
        errors.invalid(&path, warning, format!("{text} {index}"));
    }
}

/// `subresources`: only `scale` has rules.
pub(super) fn check_subresources(errors: &mut Errors, path: &Path, subresources: &Value) {
    let Some(scale) = subresources.get("scale").filter(|scale| !scale.is_null()) else {
        return;
    };
    for (key, root) in [
        ("specReplicasPath", ".spec."),
        ("statusReplicasPath", ".status."),
    ] {
        let path = path.child("scale").child(key);
        let value = scale.text(key);
        if value.is_empty() {
            errors.required(&path, "");
        } else if check_simple_path(errors, &path, value) && !value.starts_with(root) {
            let text = format!("should be a json path under {}", root.trim_end_matches('.'));
            errors.invalid(&path, value, text);
        }
    }
    let selector = scale.text("labelSelectorPath");
    let path = path.child("scale").child("labelSelectorPath");
    if !selector.is_empty()
        && check_simple_path(errors, &path, selector)
        && ![".spec.", ".status."]
            .iter()
            .any(|root| selector.starts_with(root))
    {
        errors.invalid(
            &path,
            selector,
            "should be a json path under either .spec or .status",
        );
    }
}

/// `validateSimpleJSONPath`; says whether the path is one.
fn check_simple_path(errors: &mut Errors, path: &Path, value: &str) -> bool {
    if value.starts_with('.') {
        return true;
    }
    errors.invalid(path, value, "must be a simple json path starting with .");
    false
}

/// `additionalPrinterColumns`
pub(super) fn check_columns(errors: &mut Errors, path: &Path, columns: &[Value]) {
    for (index, column) in columns.iter().enumerate() {
        check_column(
            errors,
            &path.child("additionalPrinterColumns").index(index),
            column,
        );
    }
}

fn check_column(errors: &mut Errors, path: &Path, column: &Value) {
    if column.text("name").is_empty() {
        errors.required(&path.child("name"), "");
    }
    let among = |list: &str, word: &str| list.split(',').any(|known| known == word);
    let (kind, format) = (column.text("type"), column.text("format"));
    let kinds = format!("must be one of {COLUMN_TYPES}");
    if kind.is_empty() {
        errors.required(&path.child("type"), &kinds);
    } else if !among(COLUMN_TYPES, kind) {
        errors.invalid(&path.child("type"), kind, kinds);
    }
    if !format.is_empty() && !among(COLUMN_FORMATS, format) {
        let text = format!("must be one of {COLUMN_FORMATS}");
        errors.invalid(&path.child("format"), format, text);
    }
    match column.text("jsonPath") {
        "" => errors.required(&path.child("JSONPath"), ""),
        value => {
            check_simple_path(errors, &path.child("JSONPath"), value);
        }
    }
}

/// `selectableFields`, whose paths must lead to plain values in the version's `schema`. `kept` says
/// that there were too many before, and the same ones.
pub(super) fn check_selectable(
    errors: &mut Errors,
    path: &Path,
    fields: &[Value],
    schema: &Value,
    kept: bool,
) {
    let path = path.child("selectableFields");
    let mut seen: BTreeSet<Vec<String>> = BTreeSet::new();
    for (index, field) in fields.iter().enumerate() {
        let path = path.index(index).child("jsonPath");
        let json_path = field.text("jsonPath");
        if json_path.is_empty() {
            errors.required(&path, "");
            continue;
        }
        let found = match follow(json_path, schema) {
            Ok(found) => found,
            Err(why) => {
                errors.invalid(&path, json_path, format!("is an invalid path: {why}"));
                continue;
            }
        };
        let (names, kind) = found;
        if names.first().is_some_and(|first| first == "metadata") {
            errors.invalid(&path, json_path, "must not point to fields in metadata");
        }
        if !matches!(kind, "string" | "boolean" | "integer") {
            let text = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            errors.invalid(&path, json_path, text);
        }
        if !seen.insert(names) {
            errors.duplicate(&path, json_path);
        }
    }
    if seen.len() > MOST_SELECTABLE && !kept {
        errors.0.push(FieldError {
            kind: FieldErrorKind::TooMany,
            field: path.to_string(),
            value: Some(seen.len().to_string()),
            detail: format!("must have at most {MOST_SELECTABLE} items"),
        });
    }
}

/// Whether an update keeps too many fields that were stored before.
pub(super) fn keeps_too_many(new: &[Value], old: &[Value]) -> bool {
    old.len() > MOST_SELECTABLE && new == old
}

/// Follows a path such as `.spec.color` through a schema (`cel.ValidFieldPath`): the names, and the
/// type that it ends at.
fn follow<'a>(json_path: &str, schema: &'a Value) -> Result<(Vec<String>, &'a str), String> {
    let invalid = || "does not refer to a valid field".to_owned();
    let mut names = Vec::new();
    let mut here = schema;
    let mut tokens = Tokens(json_path);
    while let Some(token) = tokens.next() {
        match token {
            "." => {}
            "[" => return Err("array notation is not allowed".to_owned()),
            other => return Err(format!("expected [ or . but got: {other}")),
        }
        let name = tokens.next().ok_or("unexpected end of JSON path")?;
        let properties = here.get("properties").filter(|p| p.is_object());
        let values = here
            .get("additionalProperties")
            .filter(|values| !values.is_null());
        here = match (properties, values) {
            (Some(properties), _) => properties.get(name).ok_or_else(invalid)?,
            (None, Some(values)) => values,
            (None, None) => return Err(invalid()),
        };
        names.push(name.to_owned());
    }
    Ok((names, here.text("type")))
}

/// Delimiters and what is between them.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let first = self.0.chars().next()?;
        let end = match first {
            '.' | '[' | ']' => 1,
            _ => self.0.find(['.', '[', ']']).unwrap_or(self.0.len()),
        };
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(check: impl FnOnce(&mut Errors)) -> Vec<String> {
        let mut errors = Errors::default();
        check(&mut errors);
        errors.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn selectable_fields_lead_to_plain_values() {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {"a": {"type": "string"}, "l": {"type": "array"}}},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
        }});
        for (path, wrong) in [
            (".spec.a", ""),
            (
                ".spec.b",
                "is an invalid path: does not refer to a valid field",
            ),
            (
                "spec.a",
                "is an invalid path: expected [ or . but got: spec",
            ),
            (
                ".spec['a']",
                "is an invalid path: array notation is not allowed",
            ),
            (".spec.", "is an invalid path: unexpected end of JSON path"),
            (
                ".spec.l",
                "must point to a field of type string, boolean or integer",
            ),
            (".metadata.name", "must not point to fields in metadata"),
        ] {
            let fields = [json!({"jsonPath": path})];
            let found = texts(|errors| {
                check_selectable(errors, &Path::new("v"), &fields, &schema, false);
            });
            assert!(found.concat().contains(wrong), "{found:?}");
            assert_eq!(found.is_empty(), wrong.is_empty(), "{path}");
        }
    }

    #[test]
    fn scale_paths_begin_where_they_must() {
        let scale = json!({"scale": {
            "specReplicasPath": ".status.x", "statusReplicasPath": "x", "labelSelectorPath": ".x"}});
        let found = texts(|errors| check_subresources(errors, &Path::new("s"), &scale));
        assert_eq!(
            found,
            [
                "s.scale.specReplicasPath: Invalid value: \".status.x\": should be a json path under .spec",
                "s.scale.statusReplicasPath: Invalid value: \"x\": must be a simple json path starting with .",
                "s.scale.labelSelectorPath: Invalid value: \".x\": should be a json path under either .spec or .status",
            ]
        );
    }
}
