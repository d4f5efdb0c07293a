//! Events exist twice: as `v1` and as `events.k8s.io/v1`, with the same storage.

/// The stored field that an `events.k8s.io/v1` field selector means.
pub(crate) fn stored_field(field: &str) -> Option<&'static str> {
    Some(match field {
        "regarding.kind" => "involvedObject.kind",
        "regarding.namespace" => "involvedObject.namespace",
        "regarding.name" => "involvedObject.name",
        "regarding.uid" => "involvedObject.uid",
        "regarding.apiVersion" => "involvedObject.apiVersion",
        "regarding.resourceVersion" => "involvedObject.resourceVersion",
        "regarding.fieldPath" => "involvedObject.fieldPath",
        "reportingController" => "reportingComponent",
        "reason" => "reason",
        "type" => "type",
        _ => return None,
    })
}
