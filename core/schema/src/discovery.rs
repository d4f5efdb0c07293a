//! Discovery documents as pure values.

use crate::Registry;
use serde_json::{Value, json};

impl Registry {
    /// `GET /api`: `APIVersions`; `address` is the server's `HOST:PORT`.
    pub fn api_versions(&self, address: &str) -> Value {
        json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        })
    }

    /// `GET /apis`: `APIGroupList`.
    pub fn api_groups(&self) -> Value {
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
    }

    /// `GET /apis/GROUP`: `APIGroup`; `None` when there is no such group.
    pub fn api_group(&self, group: &str) -> Option<Value> {
        let _ = group;
        None
    }

    /// `GET /api/v1` and `GET /apis/GROUP/VERSION`: `APIResourceList`.
    pub fn api_resources(&self, group: &str, version: &str) -> Option<Value> {
        let _ = (group, version);
        None
    }

    /// Aggregated discovery, `APIGroupDiscoveryList`: of the core group (`/api`) or of all others
    /// (`/apis`), in version `v2` or `v2beta1` of `apidiscovery.k8s.io`.
    pub fn aggregated_discovery(&self, core: bool, version: &str) -> Value {
        let _ = core;
        json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": []})
    }
}
