//! Paths as errors print them, kept as a linked list on the stack: nothing is allocated unless an
//! error is told.

use std::fmt;

/// Where a walk stands.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// At the top
    Root,
    /// A prefix that is already text
    Text(&'a str),
    /// A field of what `Path` names
    Field(&'a Path<'a>, &'a str),
    /// A field that is printed with a dot even at the top
    Dotted(&'a Path<'a>, &'a str),
    /// A map's value, printed `[key]`
    Key(&'a Path<'a>, &'a str),
    /// A list's item
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(super) fn field(&'a self, name: &'a str) -> Self {
        Path::Field(self, name)
    }

    pub(super) fn dotted(&'a self, name: &'a str) -> Self {
        Path::Dotted(self, name)
    }

    pub(super) fn key(&'a self, name: &'a str) -> Self {
        Path::Key(self, name)
    }

    pub(super) fn index(&'a self, at: usize) -> Self {
        Path::Index(self, at)
    }

    /// Whether nothing is written.
    pub(super) fn is_root(&self) -> bool {
        matches!(self, Path::Root | Path::Text(""))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Text(text) => f.write_str(text),
            Path::Field(parent, name) if parent.is_root() => f.write_str(name),
            Path::Field(parent, name) | Path::Dotted(parent, name) => write!(f, "{parent}.{name}"),
            Path::Key(parent, name) => write!(f, "{parent}[{name}]"),
            Path::Index(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}
