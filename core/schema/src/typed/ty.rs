//! How values are owned: by field, by key, by element, or as a whole.

use super::custom::{Node, Place};
use crate::types::{Field, Shape, StructId, StructInfo, TypeId, Types};
use crate::{Kind, Registry};
use serde_json::Value;
use std::borrow::Cow;

/// The type of a value, as far as ownership of its fields goes.
#[derive(Clone, Copy, Debug)]
pub struct Type<'a>(Inner<'a>);

#[derive(Clone, Copy, Debug)]
enum Inner<'a> {
    /// A struct of the tables
    Struct(&'a Types, StructId),
    /// A field of such a struct, or an element of one
    Plain(&'a Types, TypeId, Option<&'a Field>),
    /// A place of a CustomResourceDefinition's schema
    Custom(&'a Types, &'a Node),
    /// A plain string
    Text,
    /// Anything, owned as a whole
    Untyped,
    /// Anything; maps are owned by key
    Deduced,
}

/// What a scalar must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Numeric,
    String,
    Boolean,
    /// Any of them
    Untyped,
}

/// What a value of a type may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Atom<'a> {
    pub(super) scalar: Option<Scalar>,
    pub(super) list: Option<ListType<'a>>,
    pub(super) map: Option<MapType<'a>>,
}

/// How a list is owned.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListType<'a> {
    pub(super) atomic: bool,
    /// Names of the keys; none for a set
    pub(super) keys: &'a [String],
    pub(super) element: Type<'a>,
}

/// How a struct or a map is owned.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapType<'a> {
    pub(super) atomic: bool,
    fields: Fields<'a>,
    /// The type of what is no field
    pub(super) element: Option<Type<'a>>,
}

#[derive(Clone, Copy, Debug)]
enum Fields<'a> {
    None,
    Struct(&'a Types, &'a StructInfo),
    Custom(&'a Types, &'a Node),
}

/// The rule that a value falls under.
#[derive(Clone, Copy)]
pub(super) enum Rule<'a> {
    Map(MapType<'a>),
    Scalar(Scalar),
    List(ListType<'a>),
    None,
}

impl Rule<'_> {
    /// Whether two values of one type fall under the same rule.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Registry {
    /// The type of a kind's objects.
    pub fn typed<'a>(&'a self, kind: &'a Kind) -> Type<'a> {
        match (kind.custom(), kind.structure()) {
            (Some(custom), _) => custom.ownership().root(&self.types),
            (None, Some(id)) => Type(Inner::Struct(&self.types, id)),
            (None, None) => Type(Inner::Deduced),
        }
    }
}

impl<'a> Type<'a> {
    /// Anything, of which maps are owned by key.
    pub(super) const DEDUCED: Self = Self(Inner::Deduced);

    pub(super) fn custom(types: &'a Types, node: &'a Node) -> Self {
        Self(Inner::Custom(types, node))
    }

    /// What a value of the type may be.
    pub(super) fn atom(self) -> Atom<'a> {
        match self.0 {
            Inner::Struct(types, id) => Atom {
                map: Some(structure(types, id, None)),
                ..Atom::default()
            },
            Inner::Plain(types, ty, field) => plain(types, ty, field),
            Inner::Custom(types, node) => custom(types, node),
            Inner::Text => scalar(Scalar::String),
            Inner::Untyped => Atom {
                scalar: Some(Scalar::Untyped),
                list: Some(untyped_list()),
                map: Some(map_of(true, Self(Inner::Untyped))),
            },
            Inner::Deduced => anything(),
        }
    }

    /// The rule for a value; that for a missing one is the first that the type has.
    pub(super) fn rule(self, value: Option<&Value>) -> Rule<'a> {
        let atom = self.atom();
        match (value, atom) {
            (
                Some(Value::Bool(_) | Value::Number(_) | Value::String(_)),
                Atom {
                    scalar: Some(scalar),
                    ..
                },
            ) => Rule::Scalar(scalar),
            (
                Some(Value::Array(_)),
                Atom {
                    list: Some(list), ..
                },
            ) => Rule::List(list),
            (_, Atom { map: Some(map), .. }) => Rule::Map(map),
            (
                _,
                Atom {
                    scalar: Some(scalar),
                    ..
                },
            ) => Rule::Scalar(scalar),
            (
                _,
                Atom {
                    list: Some(list), ..
                },
            ) => Rule::List(list),
            _ => Rule::None,
        }
    }
}

impl<'a> MapType<'a> {
    /// The type of a declared field.
    pub(super) fn field(&self, name: &str) -> Option<Type<'a>> {
        match self.fields {
            Fields::None => None,
            Fields::Struct(types, info) => {
                let field = info.field(name)?;
                Some(Type(Inner::Plain(types, field.ty, Some(field))))
            }
            Fields::Custom(types, node) => {
                let (place, _) = node.fields.get(name)?;
                Some(placed(types, place))
            }
        }
    }

    /// The type of what has this name; `None` when nothing may have it.
    pub(super) fn member(&self, name: &str) -> Option<Type<'a>> {
        self.field(name).or(self.element)
    }

    /// The default of a declared field.
    pub(super) fn default(&self, name: &str) -> Option<Cow<'a, Value>> {
        match self.fields {
            Fields::None => None,
            Fields::Struct(types, info) => {
                let field = info.field(name)?;
                let told = field.default.as_ref().map(Cow::Borrowed);
                told.or_else(|| zero(types, field).map(Cow::Owned))
            }
            Fields::Custom(_, node) => {
                let (_, default) = node.fields.get(name)?;
                default.as_ref().map(Cow::Borrowed)
            }
        }
    }

    /// Whether nothing at all is known about what is in there.
    pub(super) fn is_deduced(&self) -> bool {
        matches!(self.fields, Fields::None) && matches!(self.element, Some(Type(Inner::Deduced)))
    }
}

/// OpenAPI tells zero values as defaults of fields that are always there.
fn zero(types: &Types, field: &Field) -> Option<Value> {
    match types.shape(field.ty) {
        _ if field.omitempty => None,
        Shape::Bool => Some(false.into()),
        Shape::Int(_) | Shape::Float => Some(0.into()),
        Shape::String => Some("".into()),
        _ => None,
    }
}

fn scalar<'a>(scalar: Scalar) -> Atom<'a> {
    Atom {
        scalar: Some(scalar),
        ..Atom::default()
    }
}

fn untyped_list<'a>() -> ListType<'a> {
    ListType {
        atomic: true,
        keys: &[],
        element: Type(Inner::Untyped),
    }
}

fn map_of(atomic: bool, element: Type<'_>) -> MapType<'_> {
    MapType {
        atomic,
        fields: Fields::None,
        element: Some(element),
    }
}

/// Any value; lists are owned as a whole.
fn anything<'a>() -> Atom<'a> {
    Atom {
        scalar: Some(Scalar::Untyped),
        list: Some(untyped_list()),
        map: Some(map_of(false, Type(Inner::Deduced))),
    }
}

fn structure<'a>(types: &'a Types, id: StructId, field: Option<&Field>) -> MapType<'a> {
    let info = types.structure(id);
    let atomic = match field.map_or("", |field| field.map.as_str()) {
        "atomic" => true,
        "granular" => false,
        _ => info.atomic,
    };
    MapType {
        atomic,
        fields: Fields::Struct(types, info),
        element: info.fields.is_empty().then_some(Type(Inner::Deduced)),
    }
}

fn plain<'a>(types: &'a Types, ty: TypeId, field: Option<&'a Field>) -> Atom<'a> {
    let (_, shape) = types.pointee(ty);
    match shape {
        Shape::Struct(id) => Atom {
            map: Some(structure(types, id, field)),
            ..Atom::default()
        },
        Shape::Map(item) => Atom {
            map: Some(map_of(
                field.is_some_and(|field| field.map == "atomic"),
                Type(Inner::Plain(types, item, None)),
            )),
            ..Atom::default()
        },
        Shape::List(item) => Atom {
            list: Some(list_of(types, item, field)),
            ..Atom::default()
        },
        Shape::Bool => scalar(Scalar::Boolean),
        Shape::Int(_) | Shape::Float => scalar(Scalar::Numeric),
        Shape::String | Shape::Bytes | Shape::Duration => scalar(Scalar::String),
        Shape::Time | Shape::MicroTime | Shape::Quantity => scalar(Scalar::Untyped),
        Shape::Raw => Type(Inner::Untyped).atom(),
        Shape::Fields => Atom {
            map: Some(map_of(false, Type(Inner::Deduced))),
            ..Atom::default()
        },
        Shape::Any | Shape::IntOrString | Shape::Pointer(_) | Shape::Schema(..) => anything(),
    }
}

fn list_of<'a>(types: &'a Types, item: TypeId, field: Option<&'a Field>) -> ListType<'a> {
    let (atomic, keys) = match field {
        None => (true, &[][..]),
        Some(field) => match field.list.as_str() {
            "map" => (false, field.keys.as_slice()),
            "set" => (false, &[][..]),
            "" if field.merge && field.merge_key.is_empty() => (false, &[][..]),
            "" if field.merge => (false, std::slice::from_ref(&field.merge_key)),
            _ => (true, &[][..]),
        },
    };
    ListType {
        atomic,
        keys,
        element: Type(Inner::Plain(types, item, None)),
    }
}

fn custom<'a>(types: &'a Types, node: &'a Node) -> Atom<'a> {
    let element = |place: &'a Place| placed(types, place);
    Atom {
        scalar: node.scalar,
        list: node.list.as_ref().map(|list| ListType {
            atomic: list.atomic,
            keys: &list.keys,
            element: element(&list.element),
        }),
        map: node.map.as_ref().map(|map| MapType {
            atomic: map.atomic,
            fields: if node.fields.is_empty() {
                Fields::None
            } else {
                Fields::Custom(types, node)
            },
            element: map.element.as_ref().map(element),
        }),
    }
}

fn placed<'a>(types: &'a Types, place: &'a Place) -> Type<'a> {
    match place {
        Place::Node(node) => Type(Inner::Custom(types, node)),
        Place::Text => Type(Inner::Text),
        Place::Untyped => Type(Inner::Untyped),
        Place::Deduced => Type(Inner::Deduced),
        Place::Meta => match types.by_name.get("meta/v1.ObjectMeta") {
            Some(id) => Type(Inner::Struct(types, *id)),
            None => Type(Inner::Deduced),
        },
    }
}
