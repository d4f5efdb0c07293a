//! What a JSON value is declared to be: the piece of an OpenAPI schema that expressions see.
//!
//! One [`Decl`] answers three questions: which [`Type`] the checker sees, how large the value
//! can become (the cost estimate's question), and how its JSON is read when evaluated.

mod size;

use crate::escape::{escape, is_reserved};
use crate::types::{ObjectType, Type};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A declared value.
///
/// Made of a schema's facts by the functions below, from the leaves up.
#[derive(Debug, Clone)]
pub struct Decl {
    pub(crate) shape: Shape,
    pub(crate) nullable: bool,
    /// The most elements, characters or entries that a value can have.
    pub(crate) max_elements: u64,
    /// The fewest bytes that a value takes in JSON.
    pub(crate) min_size: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Bool,
    Int,
    Double,
    String,
    Bytes,
    Duration,
    Date,
    DateTime,
    IntOrString,
    List(Arc<Decl>, ListKind),
    Map(Arc<Decl>),
    Object(ObjectDecl),
    /// Kept without a schema; the checker does not see it.
    Preserved,
    /// Any JSON, read as it is.
    Any,
}

/// How a list compares, from `x-kubernetes-list-type`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListKind {
    /// In order.
    #[default]
    Atomic,
    /// Without order, items are scalars.
    Set,
    /// Without order, items are identified by these keys.
    Map(Vec<String>),
}

/// A string's format as far as expressions care, from `format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Any other format: a string.
    #[default]
    Plain,
    /// `byte`: bytes.
    Byte,
    /// `duration`: a duration.
    Duration,
    /// `date`: a timestamp.
    Date,
    /// `date-time`: a timestamp.
    DateTime,
}

#[derive(Debug, Clone)]
pub(crate) struct ObjectDecl {
    /// By the names that JSON uses.
    pub(crate) fields: BTreeMap<String, Arc<Decl>>,
}

/// One property of an object.
#[derive(Debug, Clone)]
pub struct Property {
    /// The name in JSON.
    pub name: String,
    /// The value.
    pub decl: Arc<Decl>,
    /// Listed under `required`.
    pub required: bool,
    /// Has a `default` that is not null.
    pub defaulted: bool,
}

impl Decl {
    fn new(shape: Shape, max_elements: u64, min_size: u64) -> Decl {
        Decl {
            shape,
            nullable: false,
            max_elements,
            min_size,
        }
    }

    /// `type: boolean`.
    pub fn boolean() -> Decl {
        Decl::new(Shape::Bool, 0, 4)
    }

    /// `type: integer`.
    pub fn integer() -> Decl {
        Decl::new(Shape::Int, 0, 1)
    }

    /// `type: number`.
    pub fn number() -> Decl {
        Decl::new(Shape::Double, 0, 1)
    }

    /// `type: string`, with its `format`, `maxLength` and `enum` (empty when there is none).
    pub fn string(format: Format, max_length: Option<i64>, enumerated: &[Json]) -> Decl {
        let most = size::string_length(format, max_length, enumerated);
        match format {
            Format::Plain => Decl::new(Shape::String, most, 2),
            Format::Byte => Decl::new(Shape::Bytes, most, 2),
            Format::Duration => Decl::new(Shape::Duration, most, 3),
            Format::Date => Decl::new(Shape::Date, most, 12),
            Format::DateTime => Decl::new(Shape::DateTime, most, 21),
        }
    }

    /// `x-kubernetes-int-or-string: true`, with its `maxLength`.
    pub fn int_or_string(max_length: Option<i64>) -> Decl {
        let most = size::string_length(Format::Plain, max_length, &[]);
        Decl::new(Shape::IntOrString, most, 1)
    }

    /// `type: array`, with its `items`, `maxItems` and list type.
    pub fn list(items: Arc<Decl>, max_items: Option<i64>, kind: ListKind) -> Decl {
        let most = size::list_items(max_items, items.min_size);
        Decl::new(Shape::List(items, kind), most, 2)
    }

    /// `type: object` with `additionalProperties` that has a schema, and `maxProperties`.
    pub fn map(values: Arc<Decl>, max_properties: Option<i64>) -> Decl {
        let most = size::map_entries(max_properties, values.min_size);
        Decl::new(Shape::Map(values), most, 2)
    }

    /// `type: object` with these `properties` (none: an object without fields).
    pub fn object(properties: impl IntoIterator<Item = Property>) -> Decl {
        let mut fields = BTreeMap::new();
        let mut min_size = 2u64;
        for property in properties {
            if property.required && !property.defaulted && property.decl.is_exposed() {
                let name = property.name.len() as u64;
                min_size = min_size.saturating_add(name + 4);
                min_size = min_size.saturating_add(property.decl.min_size);
            }
            fields.insert(property.name, property.decl);
        }
        Decl::new(Shape::Object(ObjectDecl { fields }), 0, min_size)
    }

    /// No type, `x-kubernetes-preserve-unknown-fields: true`: expressions do not see it.
    pub fn preserved() -> Decl {
        Decl::new(Shape::Preserved, 0, 1)
    }

    /// Any JSON, of the type `dyn`: what has no schema at all.
    pub fn any() -> Decl {
        Decl::new(Shape::Any, 0, 1)
    }

    /// The same, `nullable: true` or not.
    pub fn nullable(mut self, nullable: bool) -> Decl {
        self.nullable = nullable;
        self
    }

    /// The same object with `apiVersion`, `kind` and `metadata` {`name`, `generateName`}: what the
    /// root of a custom resource and `x-kubernetes-embedded-resource` have. Anything that is not
    /// an object stays as it is.
    pub fn resource(mut self) -> Decl {
        if let Shape::Object(object) = &mut self.shape {
            let string = Arc::new(Decl::string(Format::Plain, None, &[]));
            let names = ["name", "generateName"].map(|name| Property {
                name: name.to_owned(),
                decl: string.clone(),
                required: false,
                defaulted: false,
            });
            let fields = &mut object.fields;
            fields.insert("apiVersion".to_owned(), string.clone());
            fields.insert("kind".to_owned(), string.clone());
            fields.insert("metadata".to_owned(), Arc::new(Decl::object(names)));
        }
        self
    }

    /// Whether expressions can see it: a list or map of what is not seen is not seen either.
    pub fn is_exposed(&self) -> bool {
        match &self.shape {
            Shape::Preserved => false,
            Shape::List(item, _) | Shape::Map(item) => item.is_exposed(),
            _ => true,
        }
    }

    /// The fewest bytes that a value takes in JSON.
    pub fn min_serialized_size(&self) -> u64 {
        self.min_size
    }

    /// The most elements, characters or entries that a value can have; 0 for objects and scalars.
    pub fn max_elements(&self) -> u64 {
        self.max_elements
    }

    /// The type that the checker sees; objects are called `name`, `name.field` and so on.
    pub fn to_type(&self, name: &str) -> Type {
        match &self.shape {
            Shape::Bool => Type::Bool,
            Shape::Int => Type::Int,
            Shape::Double => Type::Double,
            Shape::String => Type::String,
            Shape::Bytes => Type::Bytes,
            Shape::Duration => Type::Duration,
            Shape::Date | Shape::DateTime => Type::Timestamp,
            Shape::IntOrString | Shape::Preserved | Shape::Any => Type::Dyn,
            Shape::List(item, _) => Type::list(item.to_type(&format!("{name}.@idx"))),
            Shape::Map(value) => Type::map(Type::String, value.to_type(&format!("{name}.@elem"))),
            Shape::Object(object) => object.to_type(name),
        }
    }

    /// The declaration one step further: a field by its escaped name, `@items`, `@values`, `@keys`.
    pub(crate) fn step(&self, name: &str) -> Option<&Decl> {
        match (&self.shape, name) {
            (Shape::List(inner, _) | Shape::Map(inner), "@items" | "@values") => Some(inner),
            (Shape::Map(_), "@keys") => Some(size::key()),
            (Shape::Object(object), name) => {
                let real = crate::escape::unescape(name)?;
                let decl = object.fields.get(real.as_ref())?;
                // The size of a reserved word's field that is written plainly is not known.
                (decl.is_exposed() && escape(&real).as_deref() == Some(name)).then_some(decl)
            }
            _ => None,
        }
    }
}

impl ObjectDecl {
    fn to_type(&self, name: &str) -> Type {
        let mut fields = BTreeMap::new();
        for (field, decl) in &self.fields {
            if let Some(escaped) = escape(field)
                && decl.is_exposed()
            {
                let inner = decl.to_type(&format!("{name}.{escaped}"));
                if is_reserved(field) {
                    fields.insert(field.clone(), inner.clone());
                }
                fields.insert(escaped.into_owned(), inner);
            }
        }
        Type::Object(Arc::new(ObjectType {
            name: name.to_owned(),
            fields,
        }))
    }
}
