//! CustomResourceDefinitions and the objects of the kinds that they make.

mod custom;

pub use custom::CustomObjects;
pub(crate) use custom::{columns, row};
