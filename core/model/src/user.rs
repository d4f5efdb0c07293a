//! Who asks.

use std::collections::BTreeMap;

/// The identity behind a request (`authentication.k8s.io/v1` UserInfo).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// `username`
    pub name: String,
    /// `uid`; empty for users that have none
    pub uid: String,
    /// `groups`, in the order in which they were given
    pub groups: Vec<String>,
    /// `extra`: what else the credentials say
    pub extra: BTreeMap<String, Vec<String>>,
}
