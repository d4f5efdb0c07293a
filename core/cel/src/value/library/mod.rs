//! Values of the Kubernetes libraries.

mod access;
mod format;
mod ip;
mod quantity;
mod semver;
mod url;

pub(crate) use access::Check;
pub use access::{AccessRequest, Authorizer, Decision};
pub(crate) use format::NamedFormat;
pub(crate) use ip::{Cidr, Ip};
pub(crate) use quantity::Quantity;
pub(crate) use semver::Semver;
pub(crate) use url::Url;

use crate::error::EvalError;
use std::fmt;
use std::rc::Rc;

/// A value of a Kubernetes library.
#[derive(Clone, Debug)]
pub enum Library<'v> {
    /// `net.IP`.
    Ip(Ip),
    /// `net.CIDR`.
    Cidr(Cidr),
    /// `kubernetes.Quantity`.
    Quantity(Quantity),
    /// `kubernetes.URL`.
    Url(Rc<Url>),
    /// `kubernetes.Semver`.
    Semver(Rc<Semver>),
    /// `kubernetes.NamedFormat`.
    Format(&'static NamedFormat),
    /// `kubernetes.authorization.Authorizer`, and the checks that are made with it.
    Check(Rc<Check<'v>>),
    /// `kubernetes.authorization.Decision`.
    Decision(Rc<Decision>),
}

impl<'v> Library<'v> {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Library::Ip(_) => "net.IP",
            Library::Cidr(_) => "net.CIDR",
            Library::Quantity(_) => "kubernetes.Quantity",
            Library::Url(_) => "kubernetes.URL",
            Library::Semver(_) => "kubernetes.Semver",
            Library::Format(_) => "kubernetes.NamedFormat",
            Library::Check(check) => check.type_name(),
            Library::Decision(_) => "kubernetes.authorization.Decision",
        }
    }

    pub(super) fn size(&self) -> u64 {
        match self {
            Library::Ip(ip) => ip.octets(),
            Library::Cidr(cidr) => u64::from(cidr.bits.div_ceil(8)),
            _ => 1,
        }
    }

    pub(super) fn equal(&self, other: &Library<'v>) -> Result<bool, EvalError> {
        Ok(match (self, other) {
            (Library::Ip(a), Library::Ip(b)) => a == b,
            (Library::Cidr(a), Library::Cidr(b)) => a == b,
            (Library::Quantity(a), Library::Quantity(b)) => a == b,
            (Library::Url(a), Library::Url(b)) => a == b,
            (Library::Semver(a), Library::Semver(b)) => a == b,
            (Library::Format(a), Library::Format(b)) => a.name == b.name,
            (Library::Check(a), Library::Check(b)) => a == b,
            (Library::Decision(a), Library::Decision(b)) => a == b,
            _ => return Err(EvalError::no_overload()),
        })
    }

    /// What `string()` makes of it.
    pub(super) fn as_text(&self) -> Option<String> {
        match self {
            Library::Ip(ip) => Some(ip.to_string()),
            Library::Cidr(cidr) => Some(cidr.to_string()),
            _ => None,
        }
    }
}

impl fmt::Display for Library<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_text() {
            Some(text) => f.write_str(&text),
            None => f.write_str(self.type_name()),
        }
    }
}
