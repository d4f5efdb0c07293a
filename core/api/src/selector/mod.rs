//! Label and field selectors, with apimachinery's words for the bad ones.

mod field;
mod label;

pub use field::FieldSelector;
pub use label::LabelSelector;
