//! One step of a path to a field.

use super::order;
use super::print::to_string;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// One step of a path: how a field or an element is told from its siblings.
#[derive(Clone, Debug)]
pub enum Element<'a> {
    /// A field of a struct or a key of a map
    Field(Cow<'a, str>),
    /// An element of a list, by the values of its keys, sorted by the keys' names
    Key(Vec<(Cow<'a, str>, Cow<'a, Value>)>),
    /// An element of a set, by its value
    Value(Cow<'a, Value>),
    /// An element by its place; old managedFields may have it
    Index(i64),
}

impl<'a> Element<'a> {
    /// The step into a field.
    pub fn field(name: &'a str) -> Self {
        Self::Field(Cow::Borrowed(name))
    }

    /// Its name, when it is a field.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Field(name) => Some(name),
            _ => None,
        }
    }

    /// The same, borrowing nothing.
    pub(crate) fn into_owned(self) -> Element<'static> {
        match self {
            Self::Field(name) => Element::Field(Cow::Owned(name.into_owned())),
            Self::Value(value) => Element::Value(Cow::Owned(value.into_owned())),
            Self::Index(index) => Element::Index(index),
            Self::Key(keys) => Element::Key(
                keys.into_iter()
                    .map(|(name, value)| {
                        let name = Cow::Owned(name.into_owned());
                        (name, Cow::Owned(value.into_owned()))
                    })
                    .collect(),
            ),
        }
    }

    /// Reads a key of `fieldsV1`; `None` for kinds of steps that nobody knows.
    ///
    /// # Errors
    /// What is wrong with the key.
    pub(crate) fn parse(key: &'a str) -> Result<Option<Self>, String> {
        let Some((kind, rest)) = key.split_at_checked(2) else {
            return Err("key must be 2 characters long:".to_owned());
        };
        match kind {
            "f:" => Ok(Some(Self::field(rest))),
            "v:" => Ok(Some(Self::Value(Cow::Owned(floats(first_value(rest)?))))),
            "k:" => {
                let map: Map<String, Value> =
                    serde_json::from_str(rest).map_err(|error| error.to_string())?;
                let keys = map
                    .into_iter()
                    .map(|(name, value)| (Cow::Owned(name), Cow::Owned(floats(value))));
                Ok(Some(Self::Key(keys.collect())))
            }
            "i:" => {
                let index = rest.parse().map_err(|_| format!("invalid index: {rest}"))?;
                Ok(Some(Self::Index(index)))
            }
            _ if kind.ends_with(':') => Ok(None),
            _ => Err(format!("missing colon: {key}")),
        }
    }

    /// The key of `fieldsV1`.
    pub(crate) fn to_key(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Value(value) => format!("v:{}", json(value)),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(keys) => {
                let parts: Vec<String> = keys
                    .iter()
                    .map(|(name, value)| format!("{}:{}", quoted(name), json(value)))
                    .collect();
                format!("k:{{{}}}", parts.join(","))
            }
        }
    }
}

/// Go reads the numbers of `fieldsV1` as floats, which shows where conflicts print them.
fn floats(value: Value) -> Value {
    match &value {
        Value::Number(number) => number.as_f64().map_or(value, Value::from),
        _ => value,
    }
}

/// The first value in a text; what comes after it does not count.
fn first_value(text: &str) -> Result<Value, String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    match values.next() {
        Some(value) => value.map_err(|error: serde_json::Error| error.to_string()),
        None => Err("no value".to_owned()),
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// As Go's encoder writes it, which makes no HTML.
fn json(value: &Value) -> String {
    let text = match value {
        Value::Number(number) => super::print::json_number(number),
        other => other.to_string(),
    };
    if !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 10);
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out
}

impl Ord for Element<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => keys(a, b),
            (Self::Value(a), Self::Value(b)) => order::compare(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl Element<'_> {
    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

type Keys<'a> = [(Cow<'a, str>, Cow<'a, Value>)];

fn keys(a: &Keys<'_>, b: &Keys<'_>) -> Ordering {
    for ((name_a, a), (name_b, b)) in a.iter().zip(b) {
        match name_a.cmp(name_b).then_with(|| order::compare(a, b)) {
            Ordering::Equal => {}
            other => return other,
        }
    }
    a.len().cmp(&b.len())
}

impl PartialOrd for Element<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Element<'_> {}

/// `.name`, `[port=80,protocol="TCP"]`, `[="a"]`, `[0]`.
impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Value(value) => write!(f, "[={}]", to_string(value)),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(keys) => {
                let parts: Vec<String> = keys
                    .iter()
                    .map(|(name, value)| format!("{name}={}", to_string(value)))
                    .collect();
                write!(f, "[{}]", parts.join(","))
            }
        }
    }
}

/// A path as conflicts name it: `.spec.ports[port=80,protocol="TCP"].name`.
pub fn path_text(path: &[Element<'_>]) -> String {
    path.iter().map(ToString::to_string).collect()
}
