//! Who may do what: RBAC over stored Roles and bindings, impersonation, access reviews, and
//! ServiceAccount tokens as values.
//!
//! ```text
//! method, path ─► Attributes ─┐
//! Roles, bindings ─► Policy ──┴─ authorize(user, attributes) ─► Decision ─► 403 or on
//! ```
//!
//! **Invariants.** A [`Policy`] that was kept up to date with [`Policy::apply`] equals one that is
//! read anew with [`Policy::of_view`]. Nobody is allowed anything by accident: what cannot be read
//! grants nothing. Texts are those of kube-apiserver 1.36
//! (`plugin/pkg/auth/authorizer/rbac`, `pkg/registry/rbac`, `apiserver/pkg/endpoints/filters`).
//!
//! **Does not** know keys or HTTP: signatures are made and checked by the caller.
#![forbid(unsafe_code)]

mod attributes;
mod bootstrap;
mod cover;
mod escalation;
mod impersonation;
mod policy;
mod rule;
mod subject;
pub mod token;

pub use attributes::{Asked, Attributes, forbidden};
pub use bootstrap::bootstrap;
pub use escalation::{check_binding, check_role};
pub use impersonation::{Impersonated, Wanted, impersonate};
pub use policy::{Decision, Policy, Rules};
pub use rule::Rule;
pub use subject::{Subject, service_account_of, service_account_user};

#[cfg(test)]
mod tests;

/// The group that may do everything, whatever is stored.
pub const MASTERS: &str = "system:masters";
/// Everyone who said who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Everyone who did not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The user of requests without credentials.
pub const ANONYMOUS: &str = "system:anonymous";
/// The API group of Roles and bindings.
pub const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
