//! Services and what belongs to them: Endpoints, EndpointSlices, Ingresses and their classes,
//! ServiceCIDRs and IPAddresses.

pub(crate) mod indexes;
