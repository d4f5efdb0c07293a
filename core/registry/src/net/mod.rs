//! Services and what belongs to them: Endpoints, EndpointSlices, Ingresses and their classes,
//! ServiceCIDRs and IPAddresses.

mod endpoint_ip;
mod fields;
pub(crate) mod indexes;
mod load_balancer_status;
mod service;

pub(crate) use service::Services;
