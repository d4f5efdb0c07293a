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
    /// Paths of the documents that hold built-in kinds.
    pub fn openapi_v3_builtin(&self) -> Vec<String> {
        let builtin = self.kinds().filter(|kind| kind.custom().is_none());
        let mut paths: Vec<String> = builtin
            .map(|kind| document_path(&kind.group, &kind.version))
            .collect();
        paths.dedup();
        paths
    }

    /// Paths of the documents that hold custom kinds, each with a number that changes with them.
    pub fn openapi_v3_custom(&self) -> Vec<(String, u64)> {
        let mut found: Vec<(String, u64)> = Vec::new();
        for kind in self.kinds() {
            let Some(custom) = kind.custom() else {
                continue;
            };
            let path = document_path(&kind.group, &kind.version);
            match found.iter_mut().find(|(known, _)| *known == path) {
                Some((_, mark)) => *mark = mark.rotate_left(5) ^ custom.mark(),
                None => found.push((path, custom.mark())),
            }
        }
        found
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
        let is_custom = kinds.iter().all(|kind| kind.custom().is_some());
        schemas.add_shared(is_custom);
        let mut paths = Map::new();
        for kind in &kinds {
            paths::add(&mut paths, self, kind);
        }
        let info = if is_custom {
            json!({"title": "Kubernetes CRD Swagger", "version": "v0.1.0"})
        } else {
            json!({"title": "Kubernetes", "version": "v1.36.2"})
        };
        Some(json!({
            "openapi": "3.0.0",
            "info": info,
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
        schemas.add_shared(false);
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
