//! Objects by the rules of server-side apply (KEP-555, `sigs.k8s.io/structured-merge-diff/v6`):
//! which fields an object has, what differs between two, one merged over another, and fields taken
//! out again.
//!
//! A [`Type`] says how a value is owned: by field, by key, by element, or as a whole. It comes from
//! the built-in structs, from the schema of a CustomResourceDefinition, or, where nothing is
//! known, from the value itself.
//!
//! **Invariant:** nothing here panics, whatever the values and field sets are.

mod compare;
mod custom;
mod element;
mod fault;
mod field_set;
mod fields;
mod list;
mod merge;
mod order;
mod print;
mod reconcile;
mod remove;
mod set;
mod ty;
mod validate;

pub use compare::{Comparison, compare};
pub use custom::Schema;
pub use element::{Element, path_text};
pub use fault::Faults;
pub use field_set::field_set;
pub use merge::merge;
pub use order::equal;
pub use print::go_value;
pub use reconcile::reconcile;
pub use remove::remove;
pub use set::FieldSet;
pub use ty::Type;
pub use validate::{Duplicates, validate};

#[cfg(test)]
mod tests;
