//! Refusals in the API's own form: `Status` with reason, message and causes.

use serde_json::{Value, json};

/// Kind of a field error; the words are those of `k8s.io/apimachinery` field errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FieldErrorKind {
    /// `FieldValueNotFound`
    NotFound,
    /// `FieldValueRequired`
    Required,
    /// `FieldValueDuplicate`
    Duplicate,
    /// `FieldValueInvalid`
    Invalid,
    /// `FieldValueNotSupported`
    NotSupported,
    /// `FieldValueForbidden`
    Forbidden,
    /// `FieldValueTooLong`
    TooLong,
    /// `FieldValueTooMany`
    TooMany,
    /// `InternalError`
    Internal,
    /// `FieldValueTypeInvalid`
    TypeInvalid,
}

impl FieldErrorKind {
    /// The cause's `reason` in a Status.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Internal => "InternalError",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Internal => "Internal error",
            Self::TypeInvalid => "Invalid value",
        }
    }
}

/// One field of one object that cannot be as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// What is wrong with it
    pub kind: FieldErrorKind,
    /// Path as in `spec.ports[0].port`
    pub field: String,
    /// The bad value as the message prints it, already rendered; `None` prints no value
    pub value: Option<String>,
    /// What would be right
    pub detail: String,
}

impl FieldError {
    /// An error with the value printed as Go's `%v`/JSON forms do (see [`render_value`]).
    pub fn new(
        kind: FieldErrorKind,
        field: impl Into<String>,
        value: Option<&Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            field: field.into(),
            value: value.map(render_value),
            detail: detail.into(),
        }
    }

    /// `Required value`
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Required, field, None, detail)
    }

    /// `Invalid value: …`
    pub fn invalid(field: impl Into<String>, value: &Value, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Invalid, field, Some(value), detail)
    }

    /// `Forbidden: …`
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Forbidden, field, None, detail)
    }

    /// `Duplicate value: …`
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::new(FieldErrorKind::Duplicate, field, Some(value), "")
    }

    /// `Not found: …`
    pub fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self::new(FieldErrorKind::NotFound, field, Some(value), "")
    }

    /// `Unsupported value: "X": supported values: "A", "B"`; `supported` keeps its order.
    pub fn not_supported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let detail = if supported.is_empty() {
            String::new()
        } else {
            let quoted: Vec<String> = supported.iter().map(|s| go_quote(s)).collect();
            format!("supported values: {}", quoted.join(", "))
        };
        Self::new(FieldErrorKind::NotSupported, field, Some(value), detail)
    }

    /// The message of the cause: everything but the field.
    pub fn body(&self) -> String {
        let mut text = self.kind.words().to_owned();
        if let Some(value) = &self.value {
            text.push_str(": ");
            text.push_str(value);
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// Prints a value as field errors do: strings quoted as Go's `%q`, scalars bare, the rest as JSON.
pub fn render_value(value: &Value) -> String {
    match value {
        Value::String(text) => go_quote(text),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

/// Quotes as Go's `strconv.Quote`.
pub fn go_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c if is_invisible(c) && (c as u32) < 0x1_0000 => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c if is_invisible(c) => out.push_str(&format!("\\U{:08x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Blanks other than the space, controls, marks of format and private characters: what Go escapes.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(
            c as u32,
            0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f
                | 0xe000..=0xf8ff | 0xfeff | 0xfff9..=0xfffb | 0xfffe | 0xffff
                | 0xe0001..=0xe007f | 0xf_0000..=0x10_ffff
        )
}

/// One entry of `details.causes`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Cause {
    /// `reason`
    pub reason: String,
    /// `message`
    pub message: String,
    /// `field`
    pub field: String,
}

/// A refusal: what the API answers as a `Status` with `status: Failure`.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// HTTP status code
    pub code: u16,
    /// `reason`; empty leaves it out
    pub reason: &'static str,
    /// `message`
    pub message: String,
    /// `details`, as JSON; `None` leaves it out
    pub details: Option<Value>,
    /// Texts of `Warning` headers that were due before the refusal
    pub warnings: Vec<String>,
    /// `metadata.continue`: where a list whose version is gone can go on; `None` leaves it out
    pub list_continue: Option<Box<str>>,
}

impl ApiError {
    /// An error without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
            warnings: Vec::new(),
            list_continue: None,
        }
    }

    /// 404 `services "x" not found`; `group` is empty for the core group.
    pub fn not_found(resource: crate::Resource, name: &str) -> Self {
        let message = format!("{resource} {} not found", go_quote(name));
        Self {
            details: Some(details(name, resource.group(), resource.plural())),
            ..Self::new(404, "NotFound", message)
        }
    }

    /// 422 with one cause per field error; `kind` is the kind's name.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let texts = dedup(errors.iter().map(ToString::to_string).collect());
        let list = match texts.len() {
            1 => texts.concat(),
            _ => format!("[{}]", texts.join(", ")),
        };
        let qualified = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let mut object = details(name, group, kind);
        object["causes"] = errors
            .iter()
            .map(|e| json!({"reason": e.kind.reason(), "message": e.body(), "field": e.field}))
            .collect();
        let message = format!("{qualified} {} is invalid: {list}", go_quote(name));
        Self {
            details: Some(object),
            ..Self::new(422, "Invalid", message)
        }
    }

    /// The same refusal, with warnings that stay due.
    pub fn warned(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        if let Some(token) = &self.list_continue {
            status["metadata"]["continue"] = (&**token).into();
        }
        status
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

fn details(name: &str, group: &str, kind: &str) -> Value {
    let mut object = json!({});
    if !kind.is_empty() {
        object["kind"] = kind.into();
    }
    if !name.is_empty() {
        object["name"] = name.into();
    }
    if !group.is_empty() {
        object["group"] = group.into();
    }
    object
}

/// Go's aggregate error prints equal messages once.
fn dedup(texts: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    texts
        .into_iter()
        .filter(|text| seen.insert(text.clone()))
        .collect()
}
