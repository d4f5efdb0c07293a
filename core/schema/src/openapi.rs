//! OpenAPI documents as pure values.

use crate::Registry;
use serde_json::{Value, json};

impl Registry {
    /// `GET /openapi/v3`: which documents there are.
    pub fn openapi_v3_index(&self) -> Value {
        json!({"paths": {}})
    }

    /// `GET /openapi/v3/PATH`, where `path` is `api/v1` or `apis/GROUP/VERSION`.
    pub fn openapi_v3(&self, path: &str) -> Option<Value> {
        let _ = path;
        None
    }

    /// `GET /openapi/v2` as JSON.
    pub fn openapi_v2(&self) -> Value {
        json!({"swagger": "2.0"})
    }

    /// `GET /openapi/v2` as `application/com.github.proto-openapi.spec.v2@v1.0+protobuf`.
    pub fn openapi_v2_protobuf(&self) -> Vec<u8> {
        Vec::new()
    }
}
