//! Roles and bindings (`rbac.authorization.k8s.io/v1`).
//!
//! Source: `pkg/apis/rbac/v1/defaults.go`, `pkg/apis/rbac/validation`, `pkg/registry/rbac`.

mod binding;
mod review;
mod role;
#[cfg(test)]
mod tests;

pub(crate) use binding::Bindings;
pub use review::review_errors;
pub(crate) use role::{ClusterRoles, Roles};

use crate::Context;
use ::access::{MASTERS, Policy};

/// What is stored about access, unless the user may grant anything.
fn policy_for(context: &Context<'_>) -> Option<Policy> {
    let is_master = context.user.groups.iter().any(|group| group == MASTERS);
    (!is_master).then(|| Policy::of_view(context.view))
}
