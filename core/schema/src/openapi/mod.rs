//! OpenAPI documents as pure values: which paths and parameters there are, and the fields of every
//! kind. Descriptions are left out.

mod paths;
mod protobuf;
mod schemas;

use crate::{Kind, Registry};
use schemas::Schemas;
use serde_json::{Map, Value, json};
use std::sync::Arc;

impl Registry {
    /// `GET /openapi/v3`: which documents there are.
    pub fn openapi_v3_index(&self) -> Value {
        let mut paths = Map::new();
        for (group, version) in self.group_versions_served() {
            let path = document_path(group, version);
            // Clients cache by this: it changes with the table and the program.
            let hash = format!("{:016X}", self.fingerprint(group, version));
            let url = format!("/openapi/v3/{path}?hash={hash}");
            paths.insert(path, json!({"serverRelativeURL": url}));
        }
        json!({"paths": paths})
    }

    /// `GET /openapi/v3/PATH`, where `path` is `api/v1` or `apis/GROUP/VERSION`.
    pub fn openapi_v3(&self, path: &str) -> Option<Value> {
        let mut served = self.group_versions_served().into_iter();
        let (group, version) = served.find(|(g, v)| document_path(g, v) == path)?;
        let kinds = self.of_version(group, version);
        let mut schemas = Schemas::new(self, schemas::V3);
        for kind in &kinds {
            schemas.add_kind(kind);
        }
        schemas.add_shared();
        let mut paths = Map::new();
        for kind in &kinds {
            paths::add(&mut paths, self, kind);
        }
        Some(json!({
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "v1.36.2"},
            "paths": paths,
            "components": {"schemas": schemas.finish()},
        }))
    }

    /// `GET /openapi/v2` as JSON: the definitions of all kinds.
    pub fn openapi_v2(&self) -> Value {
        let mut schemas = Schemas::new(self, schemas::V2);
        for kind in self.kinds() {
            schemas.add_kind(kind);
        }
        schemas.add_shared();
        json!({
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": "v1.36.2"},
            "paths": {},
            "definitions": schemas.finish(),
        })
    }

    /// `GET /openapi/v2` as `application/com.github.proto-openapi.spec.v2@v1.0+protobuf`.
    pub fn openapi_v2_protobuf(&self) -> Vec<u8> {
        protobuf::document(&self.openapi_v2())
    }

    fn group_versions_served(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<(&str, &str)> = Vec::new();
        for kind in self.kinds() {
            let pair = (kind.group.as_str(), kind.version.as_str());
            if !all.contains(&pair) {
                all.push(pair);
            }
        }
        all
    }

    /// FNV-1a over what the document is made of.
    fn fingerprint(&self, group: &str, version: &str) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |text: &str| {
            for byte in text.bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        };
        add(env!("CARGO_PKG_VERSION"));
        for kind in self.of_version(group, version) {
            add(&format!("{kind:?}"));
        }
        hash
    }
}

fn document_path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

fn kind_extension(kind: &Arc<Kind>, name: &str) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": name})
}

#[cfg(test)]
mod tests;
