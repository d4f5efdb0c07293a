//! What decoding and patching answer.

use serde_json::Value;

/// `apiVersion` and `kind` of a body; empty when it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeMeta {
    /// `apiVersion`
    pub api_version: String,
    /// `kind`
    pub kind: String,
}

/// A body that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object in normal form (see [`crate::Registry::normalise`]); `apiVersion` and `kind` are
    /// those of the kind it was decoded as
    pub value: Value,
    /// What strict decoding refuses and a lenient one warns of, in order of appearance, e.g.
    /// `unknown field "spec.foo"` and `duplicate field "data.k"`
    pub strict: Vec<String>,
}

impl Decoded {
    /// `strict decoding error: unknown field "a", unknown field "b"`; `None` when there is nothing
    /// to complain about.
    pub fn strict_error(&self) -> Option<String> {
        (!self.strict.is_empty())
            .then(|| format!("strict decoding error: {}", self.strict.join(", ")))
    }
}

/// Why a body is no object of the kind, in the words of Go's decoder, e.g.
/// `json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The text, to be put after `X in version "v1" cannot be handled as a X: `
    pub message: String,
}

impl DecodeError {
    /// Takes the text.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

/// Why a strategic merge patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchError {
    /// HTTP status: 400, 422 or 500
    pub code: u16,
    /// The text as kube-apiserver answers it
    pub message: String,
}

impl std::fmt::Display for PatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PatchError {}
