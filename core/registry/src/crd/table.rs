//! Tables of custom objects: `additionalPrinterColumns`, or the age.

use crate::print;
use model::Timestamp;
use schema::{Column, Kind, jsonpath};
use serde_json::{Value, json};

/// The columns of a custom kind's Table.
pub(crate) fn columns(kind: &Kind) -> Vec<Value> {
    let name = json!({
        "name": "Name", "type": "string", "format": "name",
        "description": "Name of the object", "priority": 0,
    });
    let mut columns = vec![name];
    let more = kind.custom().map(|custom| custom.columns());
    columns.extend(more.unwrap_or_default().iter().map(|column| {
        json!({
            "name": column.name, "type": column.kind, "format": column.format,
            "description": column.description, "priority": column.priority,
        })
    }));
    columns
}

/// The cells of a custom object, one for each of [`columns`].
pub(crate) fn row(kind: &Kind, object: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![print::name(object)];
    let more = kind.custom().map(|custom| custom.columns());
    let more = more.unwrap_or_default().iter();
    cells.extend(more.map(|column| cell(column, object, now)));
    cells
}

fn cell(column: &Column, object: &Value, now: Timestamp) -> Value {
    let found = column.path.find(object).unwrap_or_default();
    let Some(value) = found.first() else {
        return Value::Null;
    };
    let value: &Value = value;
    match column.kind.as_str() {
        "string" => jsonpath::print(value).into(),
        "integer" => match (value.as_i64(), value.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(number)) => (number as i64).into(),
            _ => Value::Null,
        },
        "number" if value.is_number() => value.clone(),
        "boolean" if value.is_boolean() => value.clone(),
        "date" => match value.as_str() {
            None => Value::Null,
            Some(text) if Timestamp::parse(text).is_none() && !text.is_empty() => {
                "<invalid>".into()
            }
            Some(_) => print::since(value, now).into(),
        },
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Registry;

    #[test]
    fn cells_follow_the_columns() {
        let column = |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
        let columns_wanted = [
            column("A", "string", ".spec.a"),
            column("N", "integer", ".spec.n"),
            column("D", "date", ".spec.d"),
            column("B", "boolean", ".spec.b"),
            column("M", "string", ".spec.m"),
            column("L", "string", ".spec.l"),
            column("X", "date", ".spec.a"),
        ];
        let definition = json!({
            "metadata": {"name": "ws.x.io"},
            "spec": {"group": "x.io", "scope": "Cluster", "versions": [
                {"name": "v1", "served": true, "storage": true, "additionalPrinterColumns": columns_wanted}]},
            "status": {"acceptedNames": {"plural": "ws", "kind": "W"},
                "conditions": [{"type": "Established", "status": "True"}]},
        });
        let registry = Registry::builtin().with_definition("ws.x.io", Some(&definition));
        let kind = registry.by_resource("x.io", "v1", "ws").expect("kind");
        let now = Timestamp::parse("2026-01-01T01:00:00Z").expect("time");
        let object = json!({"metadata": {"name": "w"}, "spec": {
            "a": "text", "n": 2.9, "d": "2026-01-01T00:00:00Z", "b": "no", "l": ["x", 1]}});
        let want = json!(["w", "text", 2, "60m", null, null, "[\"x\",1]", "<invalid>"]);
        assert_eq!(Value::from(row(kind, &object, now)), want);
        assert_eq!(columns(kind).len(), 8);
    }
}
