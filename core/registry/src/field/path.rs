//! Where a field is, and the list of what is wrong with the fields seen so far.

use model::{FieldError, FieldErrorKind, go_quote};
use serde_json::Value;
use std::fmt;

/// Path of a field, e.g. `spec.containers[0].env`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(String);

impl Path {
    /// A path that begins with `name`; an empty name is the object itself.
    pub(crate) fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The object as a whole, where upstream names a field without a name.
    pub(crate) fn nameless() -> Self {
        Self::new("[]")
    }

    /// The field `name` of this one.
    pub(crate) fn child(&self, name: &str) -> Self {
        if self.0.is_empty() {
            return Self::new(name);
        }
        Self(format!("{}.{name}", self.0))
    }

    /// The element at `index` of this list.
    pub(crate) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The entry `key` of this map.
    pub(crate) fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// The path as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Field errors in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Errors(pub(crate) Vec<FieldError>);

impl Errors {
    /// `Required value`
    pub(crate) fn required(&mut self, path: &Path, detail: &str) {
        self.0.push(FieldError::required(path.as_str(), detail));
    }

    /// `Invalid value: …`
    pub(crate) fn invalid(
        &mut self,
        path: &Path,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) {
        let error = FieldError::invalid(path.as_str(), &value.into(), detail);
        self.0.push(error);
    }

    /// `Invalid value: …` with a value that is printed as `shown`, for Go structures.
    pub(crate) fn invalid_shown(&mut self, path: &Path, shown: String, detail: &str) {
        self.0.push(FieldError {
            kind: FieldErrorKind::Invalid,
            field: path.to_string(),
            value: Some(shown),
            detail: detail.to_owned(),
        });
    }

    /// `Invalid value: …` once per text.
    pub(crate) fn invalid_each(&mut self, path: &Path, value: &str, details: Vec<String>) {
        for detail in details {
            self.invalid(path, value, detail);
        }
    }

    /// `Forbidden: …`
    pub(crate) fn forbidden(&mut self, path: &Path, detail: impl Into<String>) {
        self.0.push(FieldError::forbidden(path.as_str(), detail));
    }

    /// `Duplicate value: …`
    pub(crate) fn duplicate(&mut self, path: &Path, value: impl Into<Value>) {
        let error = FieldError::duplicate(path.as_str(), &value.into());
        self.0.push(error);
    }

    /// `Not found: …`
    pub(crate) fn not_found(&mut self, path: &Path, value: impl Into<Value>) {
        let error = FieldError::not_found(path.as_str(), &value.into());
        self.0.push(error);
    }

    /// `Unsupported value: …`; `supported` keeps its order.
    pub(crate) fn not_supported(
        &mut self,
        path: &Path,
        value: impl Into<Value>,
        supported: &[&str],
    ) {
        let error = FieldError::not_supported(path.as_str(), &value.into(), supported);
        self.0.push(error);
    }

    /// `Too long: may not be more than N bytes`
    pub(crate) fn too_long(&mut self, path: &Path, bytes: usize) {
        self.0.push(FieldError {
            kind: FieldErrorKind::TooLong,
            field: path.to_string(),
            value: None,
            detail: format!("may not be more than {bytes} bytes"),
        });
    }

    /// `Too many: ACTUAL: must have at most N items`
    pub(crate) fn too_many(&mut self, path: &Path, actual: usize, most: usize) {
        let items = if most == 1 { "item" } else { "items" };
        self.0.push(FieldError {
            kind: FieldErrorKind::TooMany,
            field: path.to_string(),
            value: Some(actual.to_string()),
            detail: format!("must have at most {most} {items}"),
        });
    }

    /// One of `supported`, which keeps its order; an empty value is `Required value`.
    pub(crate) fn one_of(&mut self, path: &Path, value: &str, supported: &[&str]) {
        if value.is_empty() {
            self.required(path, "");
        } else if !supported.contains(&value) {
            self.not_supported(path, value, supported);
        }
    }

    /// A number that is zero or more.
    pub(crate) fn nonnegative(&mut self, path: &Path, value: i64) {
        if value < 0 {
            self.invalid(path, value, NEGATIVE);
        }
    }

    /// `Invalid value: …: field is immutable` when a field differs from what is stored.
    pub(crate) fn immutable(&mut self, path: &Path, new: &Value, old: &Value) {
        if !super::read::same(new, old) {
            self.invalid(path, new.clone(), IMMUTABLE);
        }
    }

    /// As [`Errors::immutable`], for structures that print in their own way.
    pub(crate) fn immutable_shown(
        &mut self,
        path: &Path,
        new: &Value,
        old: &Value,
        shown: impl FnOnce(&Value) -> String,
    ) {
        if !super::read::same(new, old) {
            self.invalid_shown(path, shown(new), IMMUTABLE);
        }
    }

    /// Takes over errors found elsewhere.
    pub(crate) fn extend(&mut self, errors: Vec<FieldError>) {
        self.0.extend(errors);
    }
}

/// Detail of a number below zero.
pub(crate) const NEGATIVE: &str = "must be greater than or equal to 0";

/// Detail of a change that is never taken.
pub(crate) const IMMUTABLE: &str = "field is immutable";

/// A Go structure as JSON: all fields in their order, with Go's names.
pub(crate) fn go_struct(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}:{value}", go_quote(name)))
        .collect();
    format!("{{{}}}", fields.join(","))
}
