//! One place of a schema, as a `JSONSchemaProps` says it, made ready for use: patterns compiled,
//! formats and types as enums.

use super::format::Format;
use super::pattern::Pattern;
use serde_json::Value;
use std::collections::BTreeMap;

/// What `type` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// No `type`
    #[default]
    Any,
    /// `object`
    Object,
    /// `array`
    Array,
    /// `string`
    String,
    /// `integer`
    Integer,
    /// `number`
    Number,
    /// `boolean`
    Boolean,
    /// A word that is no type
    Unknown,
}

impl Shape {
    /// Reads `type`.
    pub(super) fn parse(word: &str) -> Self {
        match word {
            "" => Self::Any,
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => Self::Unknown,
        }
    }
}

/// What `additionalProperties` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Additional {
    /// Nothing
    #[default]
    Absent,
    /// `true` or `false`
    Allowed(bool),
    /// A schema of the values
    Schema(Box<Node>),
}

/// How a list merges, from `x-kubernetes-list-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind<'a> {
    /// One value as a whole; also without the extension
    Atomic,
    /// Each value at most once
    Set,
    /// Objects told apart by these fields
    Map(&'a [String]),
}

/// A rule in CEL, from `x-kubernetes-validations`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// `rule`
    pub rule: String,
    /// `message`
    pub message: String,
    /// `messageExpression`
    pub message_expression: String,
    /// `reason`; `None` when the field is absent
    pub reason: Option<String>,
    /// `fieldPath`
    pub field_path: String,
    /// `optionalOldSelf`
    pub optional_old_self: Option<bool>,
}

/// Limits of values that are no number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    /// `maximum`
    pub maximum: Option<f64>,
    /// `exclusiveMaximum`
    pub exclusive_maximum: bool,
    /// `minimum`
    pub minimum: Option<f64>,
    /// `exclusiveMinimum`
    pub exclusive_minimum: bool,
    /// `multipleOf`
    pub multiple_of: Option<f64>,
    /// `maxLength`
    pub max_length: Option<i64>,
    /// `minLength`
    pub min_length: Option<i64>,
    /// `maxItems`
    pub max_items: Option<i64>,
    /// `minItems`
    pub min_items: Option<i64>,
    /// `uniqueItems`
    pub unique_items: bool,
    /// `maxProperties`
    pub max_properties: Option<i64>,
    /// `minProperties`
    pub min_properties: Option<i64>,
}

/// What no structural schema may say; kept so that a definition's check can name it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forbidden {
    /// `id`
    pub id: String,
    /// `$schema`
    pub schema: String,
    /// `$ref`
    pub reference: Option<String>,
    /// `definitions`
    pub definitions: BTreeMap<String, Node>,
    /// `patternProperties`
    pub pattern_properties: BTreeMap<String, Node>,
    /// `dependencies`, with the schemas among them
    pub dependencies: BTreeMap<String, Option<Node>>,
    /// Whether there is `dependencies`, even an empty one
    pub has_dependencies: bool,
    /// `additionalItems`
    pub additional_items: Additional,
    /// `items`, where it is a list
    pub item_list: Vec<Node>,
}

/// One place of a schema.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// `type`
    pub shape: Shape,
    /// `type` as written
    pub type_name: String,
    /// `format` as written
    pub format_name: String,
    /// `format`, where it is checked
    pub format: Option<Format>,
    /// `title`
    pub title: String,
    /// `description`
    pub description: String,
    /// `default`
    pub default: Option<Value>,
    /// `example`
    pub example: Option<Value>,
    /// `externalDocs`
    pub external_docs: Option<Value>,
    /// `nullable`
    pub nullable: bool,
    /// `properties`
    pub properties: BTreeMap<String, Node>,
    /// `items`
    pub items: Option<Box<Node>>,
    /// `additionalProperties`
    pub additional: Additional,
    /// `required`
    pub required: Vec<String>,
    /// `enum`
    pub choices: Vec<Value>,
    /// `pattern`
    pub pattern: Option<Pattern>,
    /// Numeric limits
    pub bounds: Bounds,
    /// `allOf`
    pub all_of: Vec<Node>,
    /// `anyOf`
    pub any_of: Vec<Node>,
    /// `oneOf`
    pub one_of: Vec<Node>,
    /// `not`
    pub not: Option<Box<Node>>,
    /// `x-kubernetes-preserve-unknown-fields`; a definition's check refuses `false`
    pub preserve_unknown: Option<bool>,
    /// `x-kubernetes-embedded-resource`
    pub embedded: bool,
    /// `x-kubernetes-int-or-string`
    pub int_or_string: bool,
    /// `x-kubernetes-list-type`
    pub list_type: Option<String>,
    /// `x-kubernetes-list-map-keys`
    pub list_map_keys: Vec<String>,
    /// `x-kubernetes-map-type`
    pub map_type: Option<String>,
    /// `x-kubernetes-validations`
    pub rules: Vec<Rule>,
    /// Fields that are refused wherever they stand
    pub forbidden: Option<Box<Forbidden>>,
}

impl Node {
    /// Whether unknown fields are kept here.
    pub fn preserves_unknown(&self) -> bool {
        self.preserve_unknown == Some(true)
    }

    /// The schema of a field: its own, or that of all others.
    pub fn field(&self, name: &str) -> Option<&Node> {
        self.properties
            .get(name)
            .or_else(|| self.additional_schema())
    }

    /// The schema in `additionalProperties`.
    pub fn additional_schema(&self) -> Option<&Node> {
        match &self.additional {
            Additional::Schema(schema) => Some(schema),
            _ => None,
        }
    }

    /// Whether `additionalProperties` lets other fields in.
    pub fn additional_allowed(&self) -> bool {
        matches!(
            self.additional,
            Additional::Schema(_) | Additional::Allowed(true)
        )
    }

    /// Whether there is an embedded resource here or below.
    pub fn has_embedded(&self) -> bool {
        self.embedded || self.children().any(Node::has_embedded)
    }

    /// Whether there is a rule in CEL here or below.
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty() || self.children().any(Node::has_rules)
    }

    /// The places below: fields, items, values of a map.
    pub fn children(&self) -> impl Iterator<Item = &Node> {
        let fields = self.properties.values();
        fields
            .chain(self.items.as_deref())
            .chain(self.additional_schema())
    }

    /// How a list here merges.
    pub fn list_kind(&self) -> ListKind<'_> {
        match self.list_type.as_deref() {
            Some("set") => ListKind::Set,
            Some("map") => ListKind::Map(&self.list_map_keys),
            _ => ListKind::Atomic,
        }
    }

    /// Whether an object here merges as one value: `x-kubernetes-map-type: atomic`.
    pub fn atomic_map(&self) -> bool {
        self.map_type.as_deref() == Some("atomic")
    }
}
