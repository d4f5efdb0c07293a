//! What health servers of the node shall say.

use model::NamespacedName;

/// What the server on one `spec.healthCheckNodePort` reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthPort {
    /// The Service
    pub service: NamespacedName,
    /// Number of its ready endpoints on this node; with none the server answers 503
    pub local_endpoints: usize,
}

/// Number of Service ports with policy `Local` that have endpoints, but none on this node
/// (`kubeproxy_sync_proxy_rules_no_local_endpoints_total`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoLocalEndpoints {
    /// By `internalTrafficPolicy`
    pub internal: usize,
    /// By `externalTrafficPolicy`
    pub external: usize,
}
