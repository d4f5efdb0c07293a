//! Problems with what locations send to: Services, their ports and endpoints.

use crate::endpoints::{endpoints, find_port};
use crate::policy::BackendProtocol;
use crate::table::{HostTable, Location, Origin, ServiceRef};
use model::{ObjectKey, Problem, Resource, ServiceType, Severity, Snapshot};

/// What is wrong with the backends of a host.
pub(crate) fn backends(host: &HostTable, snapshot: &Snapshot) -> Vec<Problem> {
    host.locations
        .iter()
        .filter_map(|location| {
            let (origin, backend) = (location.origin.as_ref()?, location.backend.as_ref()?);
            backend_problem(location, origin, backend, snapshot)
        })
        .collect()
}

fn backend_problem(
    location: &Location,
    origin: &Origin,
    backend: &ServiceRef,
    snapshot: &Snapshot,
) -> Option<Problem> {
    let id = &backend.service;
    let default = origin.field == "spec.defaultBackend";
    let field = |tail: &str| {
        let inner = if default { "" } else { ".backend" };
        format!("{}{inner}.service.{tail}", origin.field)
    };
    if location.policy.proxy.protocol == BackendProtocol::Fcgi {
        return Some(problem(
            origin,
            "metadata.annotations[nginx.ingress.kubernetes.io/backend-protocol]".to_owned(),
            Severity::Error,
            "ProtocolNotServed",
            "FastCGI backends are not served.".to_owned(),
            "Put an HTTP server in front of the FastCGI process.".to_owned(),
        ));
    }
    let Some(service) = snapshot.services.get(id) else {
        return Some(problem(
            origin,
            field("name"),
            Severity::Error,
            "ServiceMissing",
            format!("There is no Service {id}, so {} answers 503.", origin.path),
            format!(
                "Create the Service in namespace {}, or name another.",
                id.namespace
            ),
        ));
    };
    if find_port(service, backend).is_none() && service.kind != ServiceType::ExternalName {
        let ports: Vec<String> = service.ports.iter().map(|p| p.port.to_string()).collect();
        return Some(problem(
            origin,
            field("port"),
            Severity::Error,
            "ServicePortMissing",
            format!("Service {id} has no port {:?}.", backend.port_text()),
            format!("Use one of its ports: {}.", ports.join(", ")),
        ));
    }
    if endpoints(snapshot, backend).endpoints.is_empty() {
        return Some(problem(
            origin,
            field("name"),
            Severity::Warning,
            "NoEndpoints",
            format!(
                "Service {id} has no ready endpoint, so {} answers 503.",
                origin.path
            ),
            "Check that its selector matches Pods and that they are ready.".to_owned(),
        ));
    }
    None
}

fn problem(
    origin: &Origin,
    field: String,
    severity: Severity,
    reason: &'static str,
    message: String,
    cure: String,
) -> Problem {
    let id = &origin.ingress;
    Problem {
        object: ObjectKey::new(Resource::INGRESSES, &id.namespace, &id.name),
        field,
        severity,
        reason,
        message,
        cure,
    }
}
