//! Formats of strings and numbers.

/// A format that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `int32`
    Int32,
    /// `int64`
    Int64,
}

impl Format {
    /// The format that is checked for a type, or `None`.
    pub(super) fn of(_type_name: &str, _name: &str, _int_or_string: bool) -> Option<Self> {
        None
    }
}
