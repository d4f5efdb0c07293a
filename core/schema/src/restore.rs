//! Checks a tree against a struct as Go's converter from unstructured objects does, with its words.

use crate::decode::check_base64;
use crate::leaf;
use crate::types::{Shape, StructId, TypeId, Types};
use crate::{DecodeError, json};
use serde_json::Value;

/// What strict validation refuses, sorted; an error when a value has the wrong type.
pub(crate) fn check(
    types: &Types,
    structure: StructId,
    value: &Value,
) -> Result<Vec<String>, DecodeError> {
    let mut checker = Checker {
        types,
        path: Vec::new(),
        strict: Vec::new(),
    };
    checker.structure(structure, value)?;
    checker.strict.sort();
    Ok(checker.strict)
}

struct Checker<'a> {
    types: &'a Types,
    path: Vec<String>,
    strict: Vec<String>,
}

type Check = Result<(), DecodeError>;

impl Checker<'_> {
    fn value(&mut self, ty: TypeId, value: &Value) -> Check {
        if value.is_null() {
            return Ok(());
        }
        let (ty, shape) = self.types.pointee(ty);
        match shape {
            Shape::Any | Shape::Raw | Shape::Fields | Shape::Schema(..) => Ok(()),
            Shape::Struct(id) => self.structure(id, value),
            Shape::Map(element) => self.map(element, value),
            Shape::List(element) => self.list(element, value),
            Shape::Bytes => bytes(value),
            Shape::Bool | Shape::String | Shape::Int(_) | Shape::Float => {
                self.plain(ty, shape, value)
            }
            _ => match leaf::canonical(shape, value) {
                Ok(_) => Ok(()),
                Err(error) => Err(DecodeError::new(error.text())),
            },
        }
    }

    fn structure(&mut self, id: StructId, value: &Value) -> Check {
        let Value::Object(object) = value else {
            return Err(DecodeError::new(format!(
                "cannot restore struct from: {}",
                go_kind(value)
            )));
        };
        let structure = self.types.structure(id);
        let mut fields: Vec<_> = structure.fields.iter().collect();
        fields.sort_by_key(|field| field.order);
        for field in fields {
            if let Some(value) = object.get(&field.name) {
                self.path.push(self.key(&field.name));
                self.value(field.ty, value)?;
                self.path.pop();
            }
        }
        for key in object.keys().filter(|key| structure.field(key).is_none()) {
            let path = format!("{}{}", self.path.concat(), self.key(key));
            self.strict.push(format!("unknown field \"{path}\""));
        }
        Ok(())
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!(".{key}")
        }
    }

    /// Keys of maps are no part of the path in Go's words.
    fn map(&mut self, element: TypeId, value: &Value) -> Check {
        let Value::Object(map) = value else {
            let kind = go_kind(value);
            return Err(DecodeError::new(format!("cannot restore map from {kind}")));
        };
        map.values()
            .try_for_each(|value| self.value(element, value))
    }

    fn list(&mut self, element: TypeId, value: &Value) -> Check {
        let Value::Array(list) = value else {
            let kind = go_kind(value);
            return Err(DecodeError::new(format!(
                "cannot restore slice from {kind}"
            )));
        };
        for (index, item) in list.iter().enumerate() {
            self.path.push(format!("[{index}]"));
            self.value(element, item)?;
            self.path.pop();
        }
        Ok(())
    }

    fn plain(&self, ty: TypeId, shape: Shape, value: &Value) -> Check {
        let whole = |value: &Value| value.as_f64().is_some_and(|f| f.fract() == 0.0);
        let fits = match shape {
            Shape::Bool => value.is_boolean(),
            Shape::String => value.is_string(),
            Shape::Int(_) => value.is_number() && (value.is_i64() || whole(value)),
            _ => value.is_number(),
        };
        if fits {
            return Ok(());
        }
        let go = &self.types.info(ty).go;
        let convertible = matches!(
            (shape, value),
            (Shape::Int(_), Value::Number(_)) | (Shape::String, Value::Number(_))
        );
        // Go can turn whole numbers into strings, though it never should here, but no fractions.
        if convertible && !(shape == Shape::String && go_type(value) == "float64") {
            let from = go_type(value);
            return Err(DecodeError::new(format!("cannot convert {from} to {go}")));
        }
        Err(DecodeError::new(format!(
            "unrecognized type: {}",
            kind_of(shape)
        )))
    }
}

fn bytes(value: &Value) -> Check {
    match value {
        Value::String(text) => check_base64(text).map_err(|at| {
            let cause = format!("illegal base64 data at input byte {at}");
            DecodeError::new(format!("error decoding from json: {cause}"))
        }),
        Value::Array(_) => Ok(()),
        other => Err(DecodeError::new(format!(
            "cannot restore slice from {}",
            go_kind(other)
        ))),
    }
}

/// Go's kind of an unstructured value.
fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "map",
        Value::Array(_) => "slice",
        other => go_type(other),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        other => json::type_word(other),
    }
}

fn kind_of(shape: Shape) -> &'static str {
    match shape {
        Shape::Bool => "bool",
        Shape::Int(32) => "int32",
        Shape::Int(_) => "int64",
        Shape::Float => "float64",
        _ => "string",
    }
}
