//! Types of expressions, as the checker sees them and as error texts show them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The type of an expression.
///
/// Source: the Common Expression Language's type system, as the API server uses it.
#[derive(Clone, Debug)]
pub enum Type {
    /// What an ill-typed expression has; assignable to anything, so that one mistake is told once.
    Error,
    /// Known only when evaluated.
    Dyn,
    /// `null_type`.
    Null,
    /// `bool`.
    Bool,
    /// 64-bit signed.
    Int,
    /// 64-bit unsigned.
    Uint,
    /// IEEE 754 double.
    Double,
    /// Unicode string.
    String,
    /// Octets.
    Bytes,
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `google.protobuf.Duration`.
    Duration,
    /// The type of a type.
    Type(Option<Arc<Type>>),
    /// A list of its parameter.
    List(Arc<Type>),
    /// A map from the first to the second.
    Map(Arc<Type>, Arc<Type>),
    /// `optional_type(T)`.
    Optional(Arc<Type>),
    /// An object with declared fields.
    Object(Arc<ObjectType>),
    /// A type of a library that only functions look into; equal by name.
    Opaque(&'static str),
    /// A library type that counts as an object without fields in the cost model; equal by name.
    Struct(&'static str),
    /// A parameter of a generic function, or a variable not bound yet.
    Param(Arc<str>),
}

/// An object's name and fields, the fields by the names that expressions use.
#[derive(Debug)]
pub struct ObjectType {
    /// The name that error texts show.
    pub name: String,
    /// Fields by their escaped names.
    pub fields: BTreeMap<String, Type>,
}

impl Type {
    /// A list of `item`.
    pub fn list(item: Type) -> Type {
        Type::List(Arc::new(item))
    }

    /// A map from `key` to `value`.
    pub fn map(key: Type, value: Type) -> Type {
        Type::Map(Arc::new(key), Arc::new(value))
    }

    /// An optional `inner`.
    pub fn optional(inner: Type) -> Type {
        Type::Optional(Arc::new(inner))
    }

    /// A type parameter.
    pub(crate) fn param(name: &str) -> Type {
        Type::Param(Arc::from(name))
    }

    pub(crate) fn is_dyn(&self) -> bool {
        matches!(self, Type::Dyn)
    }

    /// Whether its kind is all that there is to it.
    fn is_plain(&self) -> bool {
        use Type::{Bool, Bytes, Double, Duration, Dyn, Error, Int, Null, String, Timestamp, Uint};
        matches!(
            self,
            Error | Dyn | Null | Bool | Int | Uint | Double | String | Bytes | Timestamp | Duration
        )
    }

    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Type::Error)
    }

    pub(crate) fn is_dyn_or_error(&self) -> bool {
        self.is_dyn() || self.is_error()
    }
}

impl PartialEq for Type {
    fn eq(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Type(a), Type::Type(b)) => a == b,
            (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => a == b,
            (Type::Map(a, b), Type::Map(c, d)) => a == c && b == d,
            (Type::Object(a), Type::Object(b)) => Arc::ptr_eq(a, b) || a.name == b.name,
            (Type::Opaque(a), Type::Opaque(b)) | (Type::Struct(a), Type::Struct(b)) => a == b,
            (Type::Param(a), Type::Param(b)) => a == b,
            _ => self.is_plain() && std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Error => f.write_str("!error!"),
            Type::Dyn => f.write_str("dyn"),
            Type::Null => f.write_str("null"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Uint => f.write_str("uint"),
            Type::Double => f.write_str("double"),
            Type::String => f.write_str("string"),
            Type::Bytes => f.write_str("bytes"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::Duration => f.write_str("duration"),
            Type::Type(None) => f.write_str("type"),
            Type::Type(Some(t)) => write!(f, "type({t})"),
            Type::List(t) => write!(f, "list({t})"),
            Type::Map(k, v) => write!(f, "map({k}, {v})"),
            Type::Optional(t) => write!(f, "optional_type({t})"),
            Type::Object(o) => f.write_str(&o.name),
            Type::Opaque(name) | Type::Struct(name) => f.write_str(name),
            Type::Param(name) => f.write_str(name),
        }
    }
}
