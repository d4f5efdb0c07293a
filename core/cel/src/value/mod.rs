//! Values of expressions.

mod compare;
mod convert;
mod equal;
mod json;
mod library;
mod list;
mod map;
mod show;
mod time;

pub(crate) use compare::compare;
pub(crate) use convert::{convert, go_quote};
pub(crate) use equal::equal;
pub use library::{AccessRequest, Authorizer, Decision};
pub(crate) use library::{Check, Cidr, Ip, Library, NamedFormat, Quantity, Semver, Url};
pub(crate) use list::List;
pub(crate) use map::{Key, Map};
pub(crate) use time::{Timestamp, parse_duration, parse_timestamp};

use crate::activation::Fields;
use crate::ast::Literal;
use crate::decl::Decl;
use crate::error::EvalError;
use serde_json::Value as Json;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) type Outcome<'v> = Result<Value<'v>, EvalError>;

/// A string that lies in an input or was computed.
#[derive(Debug, Clone)]
pub enum Str<'v> {
    /// In an input.
    Borrowed(&'v str),
    /// Computed, or written in the expression.
    Shared(Arc<str>),
}

impl Str<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Str::Borrowed(text) => text,
            Str::Shared(text) => text,
        }
    }

    /// The length in characters.
    pub(crate) fn length(&self) -> usize {
        self.as_str().chars().count()
    }
}

/// A value; large ones are read in place from the JSON that lives for `'v`.
#[derive(Clone, Debug)]
pub enum Value<'v> {
    /// `null`.
    Null,
    /// `bool`.
    Bool(bool),
    /// `int`.
    Int(i64),
    /// `uint`.
    Uint(u64),
    /// `double`.
    Double(f64),
    /// `string`.
    String(Str<'v>),
    /// `bytes`.
    Bytes(Arc<[u8]>),
    /// `google.protobuf.Timestamp`.
    Timestamp(Timestamp),
    /// `google.protobuf.Duration`, in nanoseconds.
    Duration(i64),
    /// A type, by its name.
    Type(&'static str),
    /// `list`.
    List(List<'v>),
    /// `map`, and objects.
    Map(Map<'v>),
    /// `optional_type`.
    Optional(Option<Rc<Value<'v>>>),
    /// A value of a Kubernetes library.
    Library(Library<'v>),
    /// JSON that was kept without a schema.
    Preserved(&'v Json),
}

impl<'v> Value<'v> {
    /// Reads `json` as it is declared.
    ///
    /// # Errors
    /// When it is not what it is declared to be.
    pub fn from_json(json: &'v Json, decl: &'v Decl) -> Result<Value<'v>, EvalError> {
        json::read(json, decl)
    }

    /// Reads any JSON as it is: whole numbers are `int`, others `double`.
    pub fn from_any(json: &'v Json) -> Value<'v> {
        json::read_any(json)
    }

    /// `optional.none()`.
    pub fn none() -> Value<'v> {
        Value::Optional(None)
    }

    /// `optional.of(value)`.
    pub fn some(value: Value<'v>) -> Value<'v> {
        Value::Optional(Some(Rc::new(value)))
    }

    /// An object that computes its fields.
    pub fn from_fields(fields: Rc<dyn Fields<'v> + 'v>) -> Value<'v> {
        Value::Map(Map::Fields(fields))
    }

    /// A computed string.
    pub fn text(text: impl Into<Arc<str>>) -> Value<'v> {
        Value::String(Str::Shared(text.into()))
    }

    /// The string that it is.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null_type",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint",
            Value::Double(_) => "double",
            Value::String(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::Timestamp(_) => "google.protobuf.Timestamp",
            Value::Duration(_) => "google.protobuf.Duration",
            Value::Type(_) => "type",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Optional(_) => "optional_type",
            Value::Library(library) => library.type_name(),
            Value::Preserved(_) => "unknown",
        }
    }

    /// The size that costs reckon with: characters, octets, items or entries, 1 for others.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Value::String(text) => text.length() as u64,
            Value::Bytes(octets) => octets.len() as u64,
            Value::List(list) => list.len() as u64,
            Value::Map(map) => map.len() as u64,
            Value::Optional(Some(inner)) => inner.size(),
            Value::Library(library) => library.size(),
            _ => 1,
        }
    }

    pub(crate) fn list(items: Vec<Value<'v>>) -> Value<'v> {
        Value::List(List::of(items))
    }

    pub(crate) fn entries(entries: impl IntoIterator<Item = (Key, Value<'v>)>) -> Value<'v> {
        Value::Map(Map::Owned(Rc::new(entries.into_iter().collect())))
    }

    /// What expressions ask about rights with: the variable `authorizer`.
    pub fn authorizer(authorizer: Rc<dyn Authorizer + 'v>) -> Value<'v> {
        Value::Library(Library::Check(Rc::new(Check::new(authorizer))))
    }

    /// A check of one resource that only lacks its verb: `authorizer.requestResource`.
    pub fn resource_check(
        authorizer: Rc<dyn Authorizer + 'v>,
        request: AccessRequest,
    ) -> Value<'v> {
        let check = Check::of_resource(authorizer, request);
        Value::Library(Library::Check(Rc::new(check)))
    }

    pub(crate) fn texts(items: impl IntoIterator<Item = String>) -> Value<'v> {
        Value::list(items.into_iter().map(Value::text).collect())
    }

    pub(crate) fn literal(literal: &Literal) -> Value<'v> {
        match literal {
            Literal::Null => Value::Null,
            Literal::Bool(b) => Value::Bool(*b),
            Literal::Int(i) => Value::Int(*i),
            Literal::Uint(u) => Value::Uint(*u),
            Literal::Double(d) => Value::Double(*d),
            Literal::String(s) => Value::String(Str::Shared(s.clone())),
            Literal::Bytes(b) => Value::Bytes(b.clone()),
        }
    }

    /// Whether `optional.ofNonZeroValue` takes it for nothing.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Bool(b) => !b,
            Value::Int(i) => *i == 0,
            Value::Uint(u) => *u == 0,
            Value::Double(d) => *d == 0.0,
            Value::Timestamp(t) => t.is_zero(),
            Value::Duration(d) => *d == 0,
            Value::String(_) | Value::Bytes(_) => self.size() == 0,
            // Lists and objects of the API do not say so of themselves.
            Value::List(List::Owned(_)) | Value::Map(Map::Owned(_)) => self.size() == 0,
            _ => false,
        }
    }
}

impl fmt::Display for Value<'_> {
    /// As error texts show a key or index.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show::show(self, f)
    }
}
