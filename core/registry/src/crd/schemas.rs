//! What a definition's schemas have to keep; the rules of a schema itself are `schema::structural`'s.

use super::internal::Spec;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use schema::structural::{self, CheckOptions, Tolerance};
use serde_json::Value;

/// Checks every schema; `old` is the stored spec.
pub(super) fn check(errors: &mut Errors, spec: &Spec<'_>, old: Option<&Value>) {
    let preserves = spec.raw.flag("preserveUnknownFields") == Some(true);
    let stored_schemas: Vec<&Value> = old.map(Spec::new).map_or_else(Vec::new, |old| {
        let all = old.schemas().into_iter();
        all.map(|schema| schema.value.at("openAPIV3Schema"))
            .collect()
    });
    let tolerance = Tolerance::of(&stored_schemas);
    for schema in spec.schemas() {
        let Some(value) = schema.value.get("openAPIV3Schema") else {
            continue;
        };
        let path = schema.path.child("openAPIV3Schema");
        let options = CheckOptions {
            path: path.as_str(),
            status_subresource: schema.has_status,
            unchanged: old.and_then(|old| stored(old, schema.version)) == Some(value),
            tolerance,
            meta: super::embedded::check_metadata,
        };
        errors.extend(structural::check(value, options));
        if preserves && has(value, &|schema| schema.has("default")) {
            let path = Path::new("spec").child("preserveUnknownFields");
            let text = "must be false in order to use defaults in the schema";
            errors.invalid(&path, true, text);
        }
    }
}

/// The stored schema of a version.
fn stored<'a>(spec: &'a Value, version: &str) -> Option<&'a Value> {
    let mut versions = spec.items("versions").iter();
    let version = versions.find(|one| one.text("name") == version)?;
    version.at("schema").get("openAPIV3Schema")
}

/// Whether a schema or one inside it has something.
fn has(schema: &Value, found: &dyn Fn(&Value) -> bool) -> bool {
    let mut any = false;
    walk(schema, &mut |schema| any |= found(schema));
    any
}

/// Visits a schema and all inside it.
fn walk(schema: &Value, visit: &mut dyn FnMut(&Value)) {
    visit(schema);
    for key in ["items", "not", "additionalProperties", "additionalItems"] {
        match schema.get(key) {
            Some(inner @ Value::Object(_)) => walk(inner, visit),
            Some(Value::Array(all)) => all.iter().for_each(|inner| walk(inner, visit)),
            _ => {}
        }
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        schema
            .items(key)
            .iter()
            .for_each(|inner| walk(inner, visit));
    }
    for key in ["properties", "patternProperties", "definitions"] {
        schema
            .entries(key)
            .for_each(|(_, inner)| walk(inner, visit));
    }
}

/// Formats that nothing checks, each as often as the internal form has it.
pub(super) fn unknown_formats(spec: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut visit = |schema: &Value| {
        let format = schema.text("format");
        if !format.is_empty() && !is_known_format(schema.text("type"), format) {
            found.push(format.to_owned());
        }
    };
    for schema in Spec::new(spec).schemas() {
        walk(schema.value.at("openAPIV3Schema"), &mut visit);
    }
    found
}

/// Formats of strings, without their hyphens.
const STRING_FORMATS: &str = " bsonobjectid uri email hostname ipv4 ipv6 cidr mac uuid uuid3 uuid4 \
                              uuid5 isbn isbn10 isbn13 creditcard ssn hexcolor rgbcolor byte \
                              password date duration datetime k8sshortname k8slongname ";

fn is_known_format(kind: &str, format: &str) -> bool {
    match kind {
        "" | "string" => {
            let plain = format.replace('-', "");
            !plain.contains(' ') && STRING_FORMATS.contains(&format!(" {plain} "))
        }
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn formats_that_nothing_checks_are_found() {
        let property = |kind: &str, format: &str| json!({"type": kind, "format": format});
        let schema = json!({"type": "object", "properties": {
            "a": property("string", "date-time"), "b": property("string", "ip"),
            "c": property("integer", "int16"), "d": {"type": "array", "items": property("number", "double")},
            "e": property("string", "k8s-short-name"), "f": property("boolean", "x"),
        }});
        let spec = json!({"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]});
        assert_eq!(unknown_formats(&spec), ["ip", "int16", "x"]);
    }
}
