//! What is wrong with a value.

use std::fmt;

/// Why a value does not fit its type; one sentence for each place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub(super) list: Vec<(String, String)>,
}

impl Faults {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            list: vec![(String::new(), message.into())],
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The same, one step further up.
    pub(super) fn at(mut self, step: impl fmt::Display) -> Self {
        for (path, _) in &mut self.list {
            path.insert_str(0, &step.to_string());
        }
        self
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.list.extend(more.list);
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |(path, message): &(String, String)| {
            if path.is_empty() {
                message.clone()
            } else {
                format!("{path}: {message}")
            }
        };
        match self.list.as_slice() {
            [only] => f.write_str(&text(only)),
            several => {
                f.write_str("errors:")?;
                several
                    .iter()
                    .try_for_each(|fault| write!(f, "\n  {}", text(fault)))
            }
        }
    }
}

impl std::error::Error for Faults {}
