//! The structs and fields, as values.

use serde_json::Value;
use std::collections::BTreeMap;

/// Index of a type in [`Types`].
pub(crate) type TypeId = usize;

/// Index of a struct in [`Types`].
pub(crate) type StructId = usize;

/// What a value of a type looks like in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    String,
    /// A whole number of so many bits, signed
    Int(u32),
    Float,
    /// `[]byte`: base64 in a string
    Bytes,
    /// `interface{}`: anything
    Any,
    Struct(StructId),
    List(TypeId),
    /// Keys are strings
    Map(TypeId),
    Pointer(TypeId),
    /// `metav1.Time`
    Time,
    /// `metav1.MicroTime`
    MicroTime,
    /// `metav1.Duration`
    Duration,
    /// `resource.Quantity`
    Quantity,
    /// `intstr.IntOrString`
    IntOrString,
    /// `runtime.RawExtension`: any JSON, kept
    Raw,
    /// `metav1.FieldsV1`: any JSON, kept
    Fields,
    /// A JSON schema, or something else in its place; the struct is `JSONSchemaProps`
    Schema(SchemaOr, StructId),
}

/// What may stand in the place of a JSON schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemaOr {
    /// A list of schemas
    Schemas,
    /// `true` or `false`
    Bool,
    /// A list of strings
    Texts,
}

/// One Go type.
#[derive(Debug)]
pub(crate) struct TypeInfo {
    pub(crate) shape: Shape,
    /// As Go prints it: `[]v1.ServicePort`, `v1.Protocol`, `int32`
    pub(crate) go: String,
    /// Allowed values, sorted; empty when any value is allowed
    pub(crate) values: Vec<String>,
}

/// One Go struct.
#[derive(Debug)]
pub(crate) struct StructInfo {
    /// Package and name: `core/v1.ServicePort`
    pub(crate) name: String,
    /// Sorted by JSON name
    pub(crate) fields: Vec<Field>,
    /// Always replaced as a whole by apply
    pub(crate) atomic: bool,
    /// `Some(discriminator)` when at most one of the other fields may be set
    pub(crate) union: Option<String>,
}

impl StructInfo {
    /// The name without package.
    pub(crate) fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The field with a JSON name.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        let at = self
            .fields
            .binary_search_by(|field| field.name.as_str().cmp(name));
        at.ok().and_then(|at| self.fields.get(at))
    }
}

/// One field of a struct.
#[derive(Debug, Default)]
pub(crate) struct Field {
    /// JSON name
    pub(crate) name: String,
    pub(crate) ty: TypeId,
    /// Place in the Go struct
    pub(crate) order: usize,
    pub(crate) omitempty: bool,
    pub(crate) omitzero: bool,
    pub(crate) required: bool,
    /// Number in the protobuf message, after those of the messages that JSON inlines; empty when it
    /// is not in there
    pub(crate) wire: Vec<u32>,
    /// `patchStrategy` contains `merge`
    pub(crate) merge: bool,
    /// `patchStrategy` contains `retainKeys`
    pub(crate) retain_keys: bool,
    /// `patchMergeKey`; empty when there is none
    pub(crate) merge_key: String,
    /// `listType`: `map`, `set`, `atomic`; empty when not said
    pub(crate) list: String,
    /// `listMapKey`
    pub(crate) keys: Vec<String>,
    /// `mapType` or `structType`: `atomic`, `granular`; empty when not said
    pub(crate) map: String,
    /// A pointer without a description
    pub(crate) bare: bool,
    /// Default that OpenAPI tells
    pub(crate) default: Option<Value>,
}

/// All types.
#[derive(Debug, Default)]
pub(crate) struct Types {
    pub(crate) infos: Vec<TypeInfo>,
    pub(crate) structs: Vec<StructInfo>,
    /// Struct by package and name
    pub(crate) by_name: BTreeMap<String, StructId>,
}

impl Types {
    pub(crate) fn info(&self, id: TypeId) -> &TypeInfo {
        &self.infos[id]
    }

    pub(crate) fn shape(&self, id: TypeId) -> Shape {
        self.infos[id].shape
    }

    /// The shape behind pointers.
    pub(crate) fn pointee(&self, mut id: TypeId) -> (TypeId, Shape) {
        while let Shape::Pointer(inner) = self.shape(id) {
            id = inner;
        }
        (id, self.shape(id))
    }

    pub(crate) fn structure(&self, id: StructId) -> &StructInfo {
        &self.structs[id]
    }
}
