//! Field sets as `fieldsV1` writes them.

use super::{Element, FieldSet};
use serde_json::{Map, Value};

impl<'a> FieldSet<'a> {
    /// Reads `fieldsV1`.
    ///
    /// # Errors
    /// What is wrong in it.
    pub fn parse(fields: &'a Value) -> Result<Self, String> {
        Ok(read(fields)?.0)
    }

    /// Writes `fieldsV1`.
    pub fn to_value(&self) -> Value {
        Value::Object(self.write())
    }

    fn write(&self) -> Map<String, Value> {
        let nodes = self.nodes.iter().map(|node| {
            let mut below = node.below.write();
            if node.member && !below.is_empty() {
                below.insert(".".to_owned(), Value::Object(Map::new()));
            }
            (node.element.to_key(), Value::Object(below))
        });
        nodes.collect()
    }
}

/// What is below a step, and whether the step itself is in the set. Go writes an empty object, too,
/// for a step with nothing below.
fn read(fields: &Value) -> Result<(FieldSet<'_>, bool), String> {
    let mut set = FieldSet::default();
    let mut member = false;
    let map = match fields {
        Value::Object(map) => map,
        Value::Null => return Ok((set, true)),
        _ => return Err("expect { or n".to_owned()),
    };
    for (key, value) in map {
        if key == "." {
            member = true;
            continue;
        }
        if let Some(element) = Element::parse(key)? {
            let (below, is_member) = read(value)?;
            set.put(element, is_member, below);
        }
    }
    member |= set.is_empty();
    Ok((set, member))
}
