//! A YAML document as a JSON tree, with the keys that are there more than once.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use std::fmt;

/// A value and what strict reading complains about.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) value: Value,
    /// Line and name of each further key of a name
    pub(super) repeated: Vec<(u64, String)>,
}

impl Tree {
    fn leaf<E>(value: impl Into<Value>) -> Result<Self, E> {
        Ok(Self {
            value: value.into(),
            repeated: Vec::new(),
        })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Tree::leaf(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Tree::leaf(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Tree::leaf(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        // Go writes 80.0 into its JSON as 80.
        if value.fract() == 0.0 && value.abs() < 1e15 {
            return Tree::leaf(value as i64);
        }
        Tree::leaf(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        Tree::leaf(value)
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Tree, E> {
        Tree::leaf(value)
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Tree::leaf(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Tree::leaf(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let (mut list, mut repeated) = (Vec::new(), Vec::new());
        while let Some(item) = items.next_element::<Tree>()? {
            list.push(item.value);
            repeated.extend(item.repeated);
        }
        Ok(Tree {
            value: Value::Array(list),
            repeated,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let (mut map, mut repeated) = (Map::new(), Vec::new());
        while let Some(key) = members.next_key::<Spanned<Key>>()? {
            let line = key.referenced.line();
            let Key(name) = key.value;
            let member = members.next_value::<Tree>()?;
            repeated.extend(member.repeated);
            if map.insert(name.clone(), member.value).is_some() {
                repeated.push((line, name));
            }
        }
        Ok(Tree {
            value: Value::Object(map),
            repeated,
        })
    }
}

/// A key, as the text that JSON needs.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number or a boolean")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Key, E> {
        Ok(Key(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Key, E> {
        Ok(Key(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Key, E> {
        Ok(Key(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Key, E> {
        Ok(Key(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Key, E> {
        Ok(Key(value.to_owned()))
    }
}
