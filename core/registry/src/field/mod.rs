//! Rules that fields of many kinds share, with the texts of apimachinery's validators.

pub(crate) mod ip;
pub(crate) mod names;
