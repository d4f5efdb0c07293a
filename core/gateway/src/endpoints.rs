//! Endpoints of a Service's port, kept outside the route table: a Pod that comes or goes changes
//! one of these sets and nothing else.

use crate::table::ServiceRef;
use model::{
    EndpointSlice, Protocol, Service, ServiceBackendPort, ServicePort, ServiceType, Snapshot,
    TargetPort,
};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Address, or a DNS name for ExternalName Services
    pub host: String,
    /// Port
    pub port: u16,
}

/// The endpoints that get traffic, in order of slice; empty answers 503.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSet {
    /// Without duplicates
    pub endpoints: Vec<Endpoint>,
}

/// The ready endpoints of a Service's port.
pub fn endpoints(snapshot: &Snapshot, reference: &ServiceRef) -> EndpointSet {
    let Some(service) = snapshot.services.get(&reference.service) else {
        return EndpointSet::default();
    };
    if service.kind == ServiceType::ExternalName {
        return EndpointSet {
            endpoints: external(service, reference).into_iter().collect(),
        };
    }
    let Some(port) = find_port(service, reference) else {
        return EndpointSet::default();
    };
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for slice in snapshot.slices_of_service(&reference.service) {
        for endpoint in in_slice(slice, port) {
            if seen.insert(endpoint.clone()) {
                found.push(endpoint);
            }
        }
    }
    EndpointSet { endpoints: found }
}

/// The Service's port that the reference names: by number, target port or name.
pub(crate) fn find_port<'s>(
    service: &'s Service,
    reference: &ServiceRef,
) -> Option<&'s ServicePort> {
    let Some(wanted) = &reference.port else {
        return service.ports.first();
    };
    service.ports.iter().find(|port| match wanted {
        ServiceBackendPort::Number(number) => {
            port.port == *number
                || matches!(&port.target_port, Some(TargetPort::Number(target)) if target == number)
        }
        ServiceBackendPort::Name(name) => {
            port.name == *name
                || matches!(&port.target_port, Some(TargetPort::Name(target)) if target == name)
        }
    })
}

fn in_slice<'s>(
    slice: &'s EndpointSlice,
    port: &'s ServicePort,
) -> impl Iterator<Item = Endpoint> + 's {
    let ports = target_ports(slice, port);
    let ready = slice.endpoints.iter().filter(|endpoint| endpoint.ready);
    ready.flat_map(move |endpoint| {
        let addresses = endpoint.addresses.clone();
        let ports = ports.clone();
        ports.into_iter().flat_map(move |port| {
            let addresses = addresses.clone();
            addresses
                .into_iter()
                .map(move |host| Endpoint { host, port })
        })
    })
}

fn target_ports(slice: &EndpointSlice, port: &ServicePort) -> Vec<u16> {
    let fixed = match &port.target_port {
        Some(TargetPort::Number(number)) => Some(*number),
        Some(TargetPort::Name(_)) => None,
        None => Some(port.port),
    };
    if slice.ports.is_empty() {
        return fixed.into_iter().collect();
    }
    let tcp = slice.ports.iter().filter(|p| p.protocol == Protocol::Tcp);
    let mut found: Vec<u16> = tcp
        .filter_map(|p| {
            let named = port.name.is_empty() || port.name == p.name;
            if named { p.port.or(fixed) } else { fixed }
        })
        .collect();
    found.dedup();
    found
}

fn external(service: &Service, reference: &ServiceRef) -> Option<Endpoint> {
    let name = service.external_name.trim_end_matches('.');
    if name == "localhost" || name.is_empty() {
        return None;
    }
    if name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
        return None;
    }
    let port = find_port(service, reference).map(|port| match port.target_port {
        Some(TargetPort::Number(number)) => number,
        _ => port.port,
    });
    let port = port.or(match &reference.port {
        Some(ServiceBackendPort::Number(number)) => Some(*number),
        _ => None,
    })?;
    Some(Endpoint {
        host: name.to_owned(),
        port,
    })
}
