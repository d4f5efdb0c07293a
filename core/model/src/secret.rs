//! Secrets, ConfigMaps and Namespaces.

use crate::lenient::nullable;
use crate::{Meta, NamespacedName, Object};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One Secret. Values stay in base64 as stored, until someone who is entitled to decodes them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Namespace and name
    pub id: NamespacedName,
    /// Metadata
    pub meta: Arc<Meta>,
    /// `type`
    pub kind: String,
    /// `data`, base64
    pub data: BTreeMap<String, String>,
}

/// Prints no values.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Secret {} {:?}",
            self.id,
            self.data.keys().collect::<Vec<_>>()
        )
    }
}

/// One ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMap {
    /// Namespace and name
    pub id: NamespacedName,
    /// Metadata
    pub meta: Arc<Meta>,
    /// `data`
    pub data: BTreeMap<String, String>,
}

/// One Namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Metadata
    pub meta: Arc<Meta>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(rename = "type", deserialize_with = "nullable")]
    kind: String,
    #[serde(deserialize_with = "nullable")]
    data: BTreeMap<String, String>,
}

impl Secret {
    /// Reads a stored Secret.
    ///
    /// # Errors
    /// The JSON error when a field has the wrong type.
    pub fn parse(object: &Object) -> Result<Self, serde_json::Error> {
        let raw: Raw = object.parse()?;
        let id = object.id();
        Ok(Self {
            id,
            meta: object.meta.clone(),
            kind: raw.kind,
            data: raw.data,
        })
    }
}

impl ConfigMap {
    /// Reads a stored ConfigMap.
    ///
    /// # Errors
    /// The JSON error when a field has the wrong type.
    pub fn parse(object: &Object) -> Result<Self, serde_json::Error> {
        let raw: Raw = object.parse()?;
        let id = object.id();
        Ok(Self {
            id,
            meta: object.meta.clone(),
            data: raw.data,
        })
    }
}
