//! What only the top of a schema may not say.

use super::super::node::Node;
use super::super::path::Path;
use super::super::print;
use super::invalid;
use model::FieldError;
use serde_json::{Map, Value, json};

/// All fields of a schema as the API writes them and as the original's own type calls them, in its
/// order.
const FIELDS: [(&str, &str); 44] = [
    ("id", "ID"),
    ("$schema", "Schema"),
    ("$ref", "Ref"),
    ("description", "Description"),
    ("type", "Type"),
    ("nullable", "Nullable"),
    ("format", "Format"),
    ("title", "Title"),
    ("default", "Default"),
    ("maximum", "Maximum"),
    ("exclusiveMaximum", "ExclusiveMaximum"),
    ("minimum", "Minimum"),
    ("exclusiveMinimum", "ExclusiveMinimum"),
    ("maxLength", "MaxLength"),
    ("minLength", "MinLength"),
    ("pattern", "Pattern"),
    ("maxItems", "MaxItems"),
    ("minItems", "MinItems"),
    ("uniqueItems", "UniqueItems"),
    ("multipleOf", "MultipleOf"),
    ("enum", "Enum"),
    ("maxProperties", "MaxProperties"),
    ("minProperties", "MinProperties"),
    ("required", "Required"),
    ("items", "Items"),
    ("allOf", "AllOf"),
    ("oneOf", "OneOf"),
    ("anyOf", "AnyOf"),
    ("not", "Not"),
    ("properties", "Properties"),
    ("additionalProperties", "AdditionalProperties"),
    ("patternProperties", "PatternProperties"),
    ("dependencies", "Dependencies"),
    ("additionalItems", "AdditionalItems"),
    ("definitions", "Definitions"),
    ("externalDocs", "ExternalDocs"),
    ("example", "Example"),
    (
        "x-kubernetes-preserve-unknown-fields",
        "XPreserveUnknownFields",
    ),
    ("x-kubernetes-embedded-resource", "XEmbeddedResource"),
    ("x-kubernetes-int-or-string", "XIntOrString"),
    ("x-kubernetes-list-map-keys", "XListMapKeys"),
    ("x-kubernetes-list-type", "XListType"),
    ("x-kubernetes-map-type", "XMapType"),
    ("x-kubernetes-validations", "XValidations"),
];

/// With the status subresource the schema of `status` is taken out of `properties`, so that nothing
/// else at the root may restrict it.
const WITH_STATUS: [&str; 22] = [
    "Description",
    "Type",
    "Format",
    "Title",
    "Maximum",
    "ExclusiveMaximum",
    "Minimum",
    "ExclusiveMinimum",
    "MaxLength",
    "MinLength",
    "Pattern",
    "MaxItems",
    "MinItems",
    "UniqueItems",
    "MultipleOf",
    "Required",
    "Items",
    "Properties",
    "ExternalDocs",
    "Example",
    "XPreserveUnknownFields",
    "XValidations",
];

/// Checks the root of a version that has the status subresource.
pub(super) fn with_status(
    node: &Node,
    schema: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let said = |(name, _): &&(&str, &str)| match schema.get(*name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty() || *name == "$ref",
        Some(_) => true,
    };
    for (_, name) in FIELDS.iter().filter(said) {
        if *name == "Type" {
            if node.type_name != "object" {
                let detail = "only \"object\" is allowed as the type at the root of the schema if \
                              the status subresource is enabled";
                let value = node.type_name.as_str().into();
                errors.push(invalid(&path.field("type"), &value, detail));
                return;
            }
            continue;
        }
        if !WITH_STATUS.contains(name) {
            let allowed = WITH_STATUS.join(" ");
            let detail = format!(
                "only [{allowed}] fields are allowed at the root of the schema if the status \
                 subresource is enabled"
            );
            let mut error = invalid(path, &Value::Null, detail);
            error.value = Some(print_schema(schema));
            errors.push(error);
            return;
        }
    }
}

/// The schema as the original prints it in an error: every field of its own type, by its own name.
fn print_schema(schema: &Value) -> String {
    let empty = Map::new();
    let from = schema.as_object().unwrap_or(&empty);
    let fields = FIELDS.iter().map(|(name, own)| {
        let value = from.get(*name).filter(|value| !value.is_null());
        format!("\"{own}\":{}", print_field(own, value))
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn print_field(own: &str, value: Option<&Value>) -> String {
    match (own, value) {
        ("ID" | "Schema" | "Description" | "Type" | "Format" | "Title" | "Pattern", None) => {
            "\"\"".to_owned()
        }
        (
            "Nullable" | "ExclusiveMaximum" | "ExclusiveMinimum" | "UniqueItems"
            | "XEmbeddedResource" | "XIntOrString",
            None,
        ) => "false".to_owned(),
        (_, None) => "null".to_owned(),
        ("Not", Some(value)) => print_schema(value),
        ("AllOf" | "OneOf" | "AnyOf", Some(Value::Array(list))) => print_schemas(list),
        ("Items", Some(Value::Array(list))) => {
            format!(
                "{{\"Schema\":null,\"JSONSchemas\":{}}}",
                print_schemas(list)
            )
        }
        ("Items", Some(value)) => {
            format!(
                "{{\"Schema\":{},\"JSONSchemas\":null}}",
                print_schema(value)
            )
        }
        ("AdditionalProperties" | "AdditionalItems", Some(Value::Bool(allows))) => {
            format!("{{\"Allows\":{allows},\"Schema\":null}}")
        }
        ("AdditionalProperties" | "AdditionalItems", Some(value)) => {
            format!("{{\"Allows\":true,\"Schema\":{}}}", print_schema(value))
        }
        ("Properties" | "PatternProperties" | "Definitions", Some(Value::Object(map))) => {
            let entries = map.iter().map(|(name, schema)| {
                let name = print::json(&name.as_str().into());
                format!("{name}:{}", print_schema(schema))
            });
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        ("ExternalDocs", Some(docs)) => print::json(&json!({
            "Description": docs.get("description").unwrap_or(&"".into()),
            "URL": docs.get("url").unwrap_or(&"".into()),
        })),
        ("XValidations", Some(Value::Array(rules))) => {
            let rules = rules.iter().map(print_rule).collect::<Vec<_>>();
            format!("[{}]", rules.join(","))
        }
        (_, Some(value)) => print::json(value),
    }
}

fn print_schemas(list: &[Value]) -> String {
    let schemas: Vec<String> = list.iter().map(print_schema).collect();
    format!("[{}]", schemas.join(","))
}

fn print_rule(rule: &Value) -> String {
    let field = |name: &str, zero: Value| print::json(rule.get(name).unwrap_or(&zero));
    format!(
        "{{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{},\"FieldPath\":{},\
         \"OptionalOldSelf\":{}}}",
        field("rule", "".into()),
        field("message", "".into()),
        field("messageExpression", "".into()),
        field("reason", Value::Null),
        field("fieldPath", "".into()),
        field("optionalOldSelf", Value::Null),
    )
}

/// The first field found that no structural schema has.
pub(in super::super) fn unsupported(node: &Node) -> Option<String> {
    if let Some(forbidden) = node.forbidden.as_deref() {
        let words = [
            (!forbidden.id.is_empty(), "id"),
            (!forbidden.schema.is_empty(), "schema"),
            (
                forbidden
                    .reference
                    .as_deref()
                    .is_some_and(|r| !r.is_empty()),
                "$ref",
            ),
            (
                !forbidden.pattern_properties.is_empty(),
                "patternProperties",
            ),
            (!forbidden.dependencies.is_empty(), "dependencies"),
            (
                !matches!(forbidden.additional_items, super::Additional::Absent),
                "additionalItems",
            ),
            (!forbidden.definitions.is_empty(), "definitions"),
        ];
        if let Some((_, word)) = words.iter().find(|(is_said, _)| *is_said) {
            return Some(format!("OpenAPIV3Schema '{word}' is not supported"));
        }
    }
    let branches = node.not.as_deref().into_iter();
    let branches = branches
        .chain(&node.all_of)
        .chain(&node.any_of)
        .chain(&node.one_of);
    if let Some(text) = branches.into_iter().find_map(unsupported) {
        return Some(text);
    }
    if node.preserve_unknown == Some(false) {
        let field = "x-kubernetes-preserve-unknown-fields";
        return Some(format!(
            "internal error: '{field}' must be true or undefined"
        ));
    }
    if node
        .forbidden
        .as_ref()
        .is_some_and(|f| !f.item_list.is_empty())
    {
        return Some("OpenAPIV3Schema 'items' must be a schema, but is an array".to_owned());
    }
    node.children().find_map(unsupported)
}
