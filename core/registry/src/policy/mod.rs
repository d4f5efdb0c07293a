//! PodDisruptionBudgets. Source: `pkg/registry/policy`, `pkg/apis/policy/validation`.

mod budget;
pub(crate) mod conditions;

pub(crate) use budget::DisruptionBudgets;
