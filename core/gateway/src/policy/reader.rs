//! Reads annotations the way ingress-nginx does: a value is checked first and parsed then, and what
//! a bad one costs (the whole Ingress, its locations, or just a default) is up to the group.

use crate::problem;
use model::{Ingress, Problem, Severity};

/// Prefix of the annotations.
pub const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// Why an annotation gives no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// It is not there
    Missing,
    /// It is empty or of the wrong type, where nothing checks it
    Content,
    /// Its value is refused
    Invalid(&'static str),
}

/// What a group of annotations costs the Ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fail {
    /// The whole Ingress is not served, because of this annotation
    Drop(&'static str),
    /// The Ingress's locations answer 503, for this reason
    Deny(String),
    /// The group has its default
    Default,
}

impl From<Miss> for Fail {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Invalid(name) => Self::Drop(name),
            Miss::Missing | Miss::Content => Self::Default,
        }
    }
}

/// Treats a refused value like a missing one: the caller's default holds.
pub(crate) fn lenient<T>(got: Result<T, Miss>) -> Option<T> {
    got.ok()
}

/// Gives `None` for a missing value, and an error only for a refused one.
pub(crate) fn strict<T>(got: Result<T, Miss>) -> Result<Option<T>, Fail> {
    match got {
        Ok(value) => Ok(Some(value)),
        Err(Miss::Invalid(name)) => Err(Fail::Drop(name)),
        Err(Miss::Missing | Miss::Content) => Ok(None),
    }
}

pub(crate) struct Reader<'a> {
    pub(crate) ingress: &'a Ingress,
    pub(crate) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(ingress: &'a Ingress) -> Self {
        Self {
            ingress,
            problems: Vec::new(),
        }
    }

    fn raw(&self, name: &str) -> Option<&'a str> {
        let annotations = &self.ingress.meta.annotations;
        annotations
            .get(&format!("{PREFIX}{name}"))
            .map(String::as_str)
    }

    /// The value under `name`, or under `alias` when that is empty or missing.
    pub(crate) fn text_or(
        &mut self,
        name: &'static str,
        alias: &'static str,
        valid: impl Fn(&str) -> bool,
    ) -> Result<String, Miss> {
        if self.raw(name).unwrap_or_default().is_empty()
            && self.raw(alias).is_some_and(|value| !value.is_empty())
        {
            return self.text(alias, valid);
        }
        self.text(name, valid)
    }

    pub(crate) fn text(
        &mut self,
        name: &'static str,
        valid: impl Fn(&str) -> bool,
    ) -> Result<String, Miss> {
        let value = self.raw(name).ok_or(Miss::Missing)?;
        if !value.is_empty() && !valid(value) {
            self.refused(name, value);
            return Err(Miss::Invalid(name));
        }
        let lines: Vec<&str> = value.split('\n').map(str::trim).collect();
        let text = lines.join("\n");
        if text.is_empty() {
            return Err(Miss::Content);
        }
        Ok(text)
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, Miss> {
        let value = self.raw(name).ok_or(Miss::Missing)?;
        match parse_bool(value) {
            Some(flag) => Ok(flag),
            None if value.is_empty() => Err(Miss::Content),
            None => {
                self.refused(name, value);
                Err(Miss::Invalid(name))
            }
        }
    }

    pub(crate) fn number(&mut self, name: &'static str) -> Result<i64, Miss> {
        let value = self.raw(name).ok_or(Miss::Missing)?;
        match value.parse::<i64>() {
            Ok(number) => Ok(number),
            Err(_) if value.is_empty() => Err(Miss::Content),
            Err(_) => {
                self.refused(name, value);
                Err(Miss::Invalid(name))
            }
        }
    }

    fn refused(&mut self, name: &str, value: &str) {
        self.warn(
            name,
            "InvalidAnnotation",
            format!("The value {value:?} is not valid for this annotation."),
            "Correct the value; what happens until then is told beside.",
        );
    }

    /// Notes a problem with an annotation.
    pub(crate) fn warn(&mut self, name: &str, reason: &'static str, message: String, cure: &str) {
        self.problems.push(problem::ingress(
            self.ingress,
            annotation_field(name),
            Severity::Warning,
            reason,
            message,
            cure,
        ));
    }
}

/// The path of an annotation in the object.
pub(crate) fn annotation_field(name: &str) -> String {
    format!("metadata.annotations[{PREFIX}{name}]")
}

/// Go's `strconv.ParseBool`.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
