//! Rules that fields of many kinds share, with the texts of apimachinery's validators.

pub(crate) mod diff;
pub(crate) mod ip;
pub(crate) mod names;
pub(crate) mod path;
pub(crate) mod read;
pub(crate) mod selector;
pub(crate) mod words;
