//! The schema as OpenAPI publishes it.

use super::node::Node;
use serde_json::Value;

/// OpenAPI v3.
pub(super) fn v3(_schema: &Node) -> Value {
    Value::Null
}

/// OpenAPI v2.
pub(super) fn v2(_schema: &Node) -> Value {
    Value::Null
}
