//! Admission policies in CEL (`admissionregistration.k8s.io/v1`): their rules, and what they say to
//! a write.
//!
//! Source: `pkg/apis/admissionregistration/validation`, `pkg/registry/admissionregistration`,
//! `apiserver/pkg/admission/plugin/policy/validating`.

mod access;
mod binding;
mod compiled;
mod constraints;
mod decide;
mod expressions;
mod matching;
mod params;
mod policy;
mod request;
#[cfg(test)]
mod tests;
mod variables;

pub use decide::Policies;
pub use request::Attributes;

pub(crate) use binding::ValidatingBindings;
pub(crate) use policy::ValidatingPolicies;

/// The API group of policies.
pub(crate) const GROUP: &str = "admissionregistration.k8s.io";
