//! Reads JSON strictly: every field that nobody asked for is an error, and so is every value that
//! cannot be. All errors are told at once.

use super::duration::parse_duration;
use model::Cidr;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Path of the field, e.g. `iptables.masqueradeBit`
    pub field: String,
    /// What is wrong
    pub message: String,
    /// What to do about it
    pub cure: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return write!(f, "{} Cure: {}", self.message, self.cure);
        }
        write!(f, "{}: {} Cure: {}", self.field, self.message, self.cure)
    }
}

impl std::error::Error for ConfigError {}

/// One object with the fields that were not asked for yet.
pub(super) struct Reader<'a> {
    path: String,
    left: BTreeMap<&'a str, &'a Value>,
    asked: Vec<&'static str>,
}

/// Errors so far.
#[derive(Default)]
pub(super) struct Errors(pub(super) Vec<ConfigError>);

impl Errors {
    pub(super) fn add(&mut self, field: &str, message: String, cure: &str) {
        self.0.push(ConfigError {
            field: field.to_owned(),
            message,
            cure: cure.to_owned(),
        });
    }
}

impl<'a> Reader<'a> {
    /// The fields of an object; null counts as unset.
    pub(super) fn new(path: &str, object: &'a Map<String, Value>) -> Self {
        let set = object.iter().filter(|(_, value)| !value.is_null());
        Self {
            path: path.to_owned(),
            left: set.map(|(name, value)| (name.as_str(), value)).collect(),
            asked: Vec::new(),
        }
    }

    /// Path of a field.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() {
            return name.to_owned();
        }
        format!("{}.{name}", self.path)
    }

    /// A field, if it is set.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.asked.push(name);
        self.left.remove(name)
    }

    fn typed<T>(
        &mut self,
        name: &'static str,
        what: &str,
        errors: &mut Errors,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(name)?;
        let found = read(value);
        if found.is_none() {
            let message = format!("{value} is not {what}.");
            errors.add(&self.path(name), message, &format!("Write {what}."));
        }
        found
    }

    pub(super) fn text(&mut self, name: &'static str, errors: &mut Errors) -> String {
        let text = self.typed(name, "a text", errors, Value::as_str);
        text.unwrap_or_default().to_owned()
    }

    pub(super) fn switch(&mut self, name: &'static str, errors: &mut Errors) -> Option<bool> {
        self.typed(name, "true or false", errors, Value::as_bool)
    }

    pub(super) fn float(&mut self, name: &'static str, errors: &mut Errors) -> Option<f64> {
        self.typed(name, "a number", errors, Value::as_f64)
    }

    /// A whole number between two bounds, both included.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        (low, high): (i64, i64),
        errors: &mut Errors,
    ) -> Option<i64> {
        let number = self.typed(name, "a whole number", errors, Value::as_i64)?;
        if (low..=high).contains(&number) {
            return Some(number);
        }
        let rule = if high == i64::from(i32::MAX) {
            format!("must be greater than or equal to {low}")
        } else {
            format!("must be within the range [{low}, {high}]")
        };
        let message = format!("Invalid value: {number}: {rule}.");
        errors.add(&self.path(name), message, "Write a number in that range.");
        None
    }

    /// A duration such as `1m30s`.
    pub(super) fn duration(&mut self, name: &'static str, errors: &mut Errors) -> Option<Duration> {
        let text = self.typed(name, "a duration such as 1m30s", errors, Value::as_str)?;
        match parse_duration(text) {
            Some((false, duration)) => Some(duration),
            Some((true, _)) => {
                let message = format!("Invalid value: {text}: must be greater than or equal to 0.");
                errors.add(&self.path(name), message, "Write a duration such as 30s.");
                None
            }
            None => {
                let message = format!("{text:?} is not a duration.");
                errors.add(&self.path(name), message, "Write a duration such as 1m30s.");
                None
            }
        }
    }

    pub(super) fn texts(&mut self, name: &'static str, errors: &mut Errors) -> Vec<String> {
        let all = |value: &Value| -> Option<Vec<String>> {
            let texts = value.as_array()?.iter();
            texts.map(|text| Some(text.as_str()?.to_owned())).collect()
        };
        self.typed(name, "a list of texts", errors, all)
            .unwrap_or_default()
    }

    /// An object within this one; empty if it is not set.
    pub(super) fn object(&mut self, name: &'static str, errors: &mut Errors) -> Reader<'a> {
        let object = self.typed(name, "an object", errors, Value::as_object);
        match object {
            Some(object) => Reader::new(&self.path(name), object),
            None => Reader {
                path: self.path(name),
                left: BTreeMap::new(),
                asked: Vec::new(),
            },
        }
    }

    /// Tells of the fields that nobody asked for.
    pub(super) fn finish(self, errors: &mut Errors) {
        for name in self.left.keys() {
            let same = |asked: &&&str| asked.eq_ignore_ascii_case(name);
            let cure = match self.asked.iter().find(same) {
                Some(asked) => format!("Write {asked}."),
                None => format!("Leave it away; there are {}.", self.asked.join(", ")),
            };
            errors.add(&self.path(name), "Unknown field.".to_owned(), &cure);
        }
    }
}

/// An address, with a port or without.
pub(super) fn address_and_port(
    field: &str,
    text: &str,
    default_port: u16,
    errors: &mut Errors,
) -> Option<SocketAddr> {
    let bare = || {
        text.parse()
            .ok()
            .map(|ip: IpAddr| SocketAddr::new(ip, default_port))
    };
    let found = text.parse().ok().or_else(bare);
    let found = found.filter(|at: &SocketAddr| at.port() != 0);
    if found.is_none() {
        let message = format!("Invalid value: {text:?}: must be IP:port.");
        errors.add(
            field,
            message,
            "Write an address and a port such as 0.0.0.0:10256.",
        );
    }
    found
}

/// A range of addresses.
pub(super) fn range(field: &str, text: &str, errors: &mut Errors) -> Option<Cidr> {
    let found = text.trim().parse().ok();
    if found.is_none() {
        let message = format!("Invalid value: {text:?}: must be a valid CIDR.");
        errors.add(field, message, "Write a range such as 10.244.0.0/16.");
    }
    found
}
