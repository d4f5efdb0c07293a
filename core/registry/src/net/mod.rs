//! Services and what belongs to them: Endpoints, EndpointSlices, Ingresses and their classes,
//! ServiceCIDRs and IPAddresses.

#[cfg(test)]
pub(crate) mod bench;
mod endpoint_ip;
mod endpoint_slice;
mod endpoints;
mod fields;
pub(crate) mod indexes;
mod ingress;
mod ingress_class_rules;
mod ingress_rules;
mod ip_address;
mod load_balancer_status;
mod network_policy;
mod service;
mod service_cidr;
#[cfg(test)]
mod tests;

pub(crate) use endpoint_slice::EndpointSlices;
pub(crate) use endpoints::AllEndpoints;
pub(crate) use ingress::{IngressClasses, Ingresses};
pub(crate) use ip_address::IpAddresses;
pub(crate) use network_policy::NetworkPolicies;
pub(crate) use service::Services;
pub(crate) use service_cidr::ServiceCidrs;
