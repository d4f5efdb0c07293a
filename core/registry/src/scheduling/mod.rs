//! PriorityClasses and RuntimeClasses. Source: `pkg/registry/{scheduling,node}`,
//! `pkg/apis/{scheduling,node}/validation`.

mod priority_class;
mod runtime_class;

pub use priority_class::system_classes;
pub(crate) use priority_class::{PriorityClasses, default_class};
pub(crate) use runtime_class::RuntimeClasses;
