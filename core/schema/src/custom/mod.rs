//! Kinds that CustomResourceDefinitions make.

mod definition;

pub(crate) use definition::kinds_of;

use crate::{DecodeError, json};
use serde_json::Value;

/// Reads the body of a custom object.
pub(crate) fn decode(text: &[u8]) -> Result<(Value, Vec<String>), DecodeError> {
    let value = json::parse(text).map_err(|error| DecodeError::new(error.message))?;
    Ok((value, Vec::new()))
}

/// What one version of a CustomResourceDefinition says about its objects.
#[derive(Debug, PartialEq, Eq)]
pub struct Custom {
    /// Name of the CustomResourceDefinition
    pub definition: String,
    /// `spec.versions[i]` as it is stored
    pub version: Value,
    /// The version in which objects are stored
    pub storage_version: String,
    /// `spec.preserveUnknownFields`
    pub preserve_unknown_fields: bool,
}

impl Custom {
    /// `schema.openAPIV3Schema` of the version; null when there is none.
    pub fn schema(&self) -> &Value {
        &self.version["schema"]["openAPIV3Schema"]
    }

    /// Whether `subresources.status` is there.
    pub fn has_status(&self) -> bool {
        self.version["subresources"]["status"].is_object()
    }

    /// `apiVersion` of stored objects of a kind in `group`.
    pub fn stored_api_version(&self, group: &str) -> String {
        format!("{group}/{}", self.storage_version)
    }
}
