//! Versions and schemas as Go prints its internal types: all fields in their order, by Go's names.

use super::internal::{Spec, Version};
use crate::field::read::Read;
use serde_json::Value;

/// `Invalid value` of `spec.versions`.
pub(super) fn versions(spec: &Spec<'_>) -> String {
    if spec.versions.is_empty() {
        return "null".to_owned();
    }
    let all: Vec<String> = spec.versions.iter().map(version).collect();
    escaped(format!("[{}]", all.join(",")))
}

/// Go writes these characters as escapes, also inside strings, where alone they can stand.
fn escaped(text: String) -> String {
    let text = text.replace('<', "\\u003c").replace('>', "\\u003e");
    text.replace('&', "\\u0026")
}

fn version(version: &Version<'_>) -> String {
    let raw = version.raw;
    let flag = |key: &str| raw.flag(key).unwrap_or(false).to_string();
    object(&[
        ("Name", text(raw, "name")),
        ("Served", flag("served")),
        ("Storage", flag("storage")),
        ("Deprecated", flag("deprecated")),
        (
            "DeprecationWarning",
            raw.at("deprecationWarning").to_string(),
        ),
        ("Schema", optional(version.schema, validation)),
        ("Subresources", optional(version.subresources, subresources)),
        ("AdditionalPrinterColumns", list(version.columns, column)),
        ("SelectableFields", list(version.selectable, selectable)),
    ])
}

fn object(fields: &[(&str, String)]) -> String {
    crate::field::path::go_struct(fields)
}

fn optional(value: Option<&Value>, print: fn(&Value) -> String) -> String {
    value.map_or_else(|| "null".to_owned(), print)
}

/// A pointer to something that is printed in a form of its own.
fn pointer(value: &Value, key: &str, print: fn(&Value) -> String) -> String {
    optional(value.get(key).filter(|value| !value.is_null()), print)
}

fn list(items: &[Value], print: fn(&Value) -> String) -> String {
    if items.is_empty() {
        return "null".to_owned();
    }
    let items: Vec<String> = items.iter().map(print).collect();
    format!("[{}]", items.join(","))
}

/// A string that is printed even when it is empty.
fn text(value: &Value, key: &str) -> String {
    Value::from(value.text(key)).to_string()
}

fn validation(value: &Value) -> String {
    object(&[("OpenAPIV3Schema", pointer(value, "openAPIV3Schema", schema))])
}

fn subresources(value: &Value) -> String {
    object(&[
        ("Status", pointer(value, "status", |_| "{}".to_owned())),
        ("Scale", pointer(value, "scale", scale)),
    ])
}

fn scale(value: &Value) -> String {
    object(&[
        ("SpecReplicasPath", text(value, "specReplicasPath")),
        ("StatusReplicasPath", text(value, "statusReplicasPath")),
        (
            "LabelSelectorPath",
            value.at("labelSelectorPath").to_string(),
        ),
    ])
}

fn column(value: &Value) -> String {
    object(&[
        ("Name", text(value, "name")),
        ("Type", text(value, "type")),
        ("Format", text(value, "format")),
        ("Description", text(value, "description")),
        (
            "Priority",
            value.number("priority").unwrap_or(0).to_string(),
        ),
        ("JSONPath", text(value, "jsonPath")),
    ])
}

fn selectable(value: &Value) -> String {
    object(&[("JSONPath", text(value, "jsonPath"))])
}

/// A `JSONSchemaProps`.
fn schema(value: &Value) -> String {
    let any = |key: &str| value.at(key).to_string();
    let flag = |key: &str| value.flag(key).unwrap_or(false).to_string();
    let text = |key: &str| text(value, key);
    let schemas = |key: &str| list(value.items(key), schema);
    object(&[
        ("ID", text("id")),
        ("Schema", text("$schema")),
        ("Ref", any("$ref")),
        ("Description", text("description")),
        ("Type", text("type")),
        ("Nullable", flag("nullable")),
        ("Format", text("format")),
        ("Title", text("title")),
        ("Default", any("default")),
        ("Maximum", any("maximum")),
        ("ExclusiveMaximum", flag("exclusiveMaximum")),
        ("Minimum", any("minimum")),
        ("ExclusiveMinimum", flag("exclusiveMinimum")),
        ("MaxLength", any("maxLength")),
        ("MinLength", any("minLength")),
        ("Pattern", text("pattern")),
        ("MaxItems", any("maxItems")),
        ("MinItems", any("minItems")),
        ("UniqueItems", flag("uniqueItems")),
        ("MultipleOf", any("multipleOf")),
        ("Enum", any("enum")),
        ("MaxProperties", any("maxProperties")),
        ("MinProperties", any("minProperties")),
        ("Required", any("required")),
        ("Items", pointer(value, "items", schema_or_list)),
        ("AllOf", schemas("allOf")),
        ("OneOf", schemas("oneOf")),
        ("AnyOf", schemas("anyOf")),
        ("Not", pointer(value, "not", schema)),
        ("Properties", map(value, "properties", schema)),
        (
            "AdditionalProperties",
            pointer(value, "additionalProperties", schema_or_bool),
        ),
        ("PatternProperties", map(value, "patternProperties", schema)),
        ("Dependencies", map(value, "dependencies", schema_or_texts)),
        (
            "AdditionalItems",
            pointer(value, "additionalItems", schema_or_bool),
        ),
        ("Definitions", map(value, "definitions", schema)),
        (
            "ExternalDocs",
            pointer(value, "externalDocs", documentation),
        ),
        ("Example", any("example")),
        (
            "XPreserveUnknownFields",
            any("x-kubernetes-preserve-unknown-fields"),
        ),
        ("XEmbeddedResource", flag("x-kubernetes-embedded-resource")),
        ("XIntOrString", flag("x-kubernetes-int-or-string")),
        ("XListMapKeys", any("x-kubernetes-list-map-keys")),
        ("XListType", any("x-kubernetes-list-type")),
        ("XMapType", any("x-kubernetes-map-type")),
        (
            "XValidations",
            list(value.items("x-kubernetes-validations"), rule),
        ),
    ])
}

fn map(value: &Value, key: &str, print: fn(&Value) -> String) -> String {
    let Some(entries) = value.at(key).as_object().filter(|map| !map.is_empty()) else {
        return "null".to_owned();
    };
    let entries: Vec<String> = entries
        .iter()
        .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), print(value)))
        .collect();
    format!("{{{}}}", entries.join(","))
}

fn schema_or_list(value: &Value) -> String {
    let one = if value.is_array() {
        "null".to_owned()
    } else {
        schema(value)
    };
    let all = value.as_array().map_or(&[][..], Vec::as_slice);
    object(&[("Schema", one), ("JSONSchemas", list(all, schema))])
}

fn schema_or_bool(value: &Value) -> String {
    let (allows, one) = match value {
        Value::Bool(bit) => (*bit, "null".to_owned()),
        other => (true, schema(other)),
    };
    object(&[("Allows", allows.to_string()), ("Schema", one)])
}

fn schema_or_texts(value: &Value) -> String {
    let one = if value.is_array() {
        "null".to_owned()
    } else {
        schema(value)
    };
    let texts = if value.is_array() {
        value.to_string()
    } else {
        "null".to_owned()
    };
    object(&[("Schema", one), ("Property", texts)])
}

fn documentation(value: &Value) -> String {
    object(&[
        ("Description", text(value, "description")),
        ("URL", text(value, "url")),
    ])
}

fn rule(value: &Value) -> String {
    object(&[
        ("Rule", text(value, "rule")),
        ("Message", text(value, "message")),
        ("MessageExpression", text(value, "messageExpression")),
        ("Reason", value.at("reason").to_string()),
        ("FieldPath", text(value, "fieldPath")),
        ("OptionalOldSelf", value.at("optionalOldSelf").to_string()),
    ])
}
