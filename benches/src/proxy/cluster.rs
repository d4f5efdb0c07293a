//! Services and EndpointSlices as an API server sends them.

use anyhow::{Context, Result};
use model::{Event, EventKind, Object, Resource};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;

/// How many Services, and how many endpoints each of them has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) services: usize,
    pub(super) endpoints: usize,
}

impl Size {
    /// Endpoints of all Services.
    pub(super) fn total(self) -> usize {
        self.services * self.endpoints
    }
}

impl FromStr for Size {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (services, endpoints) = text.split_once('x').context("a size is like 1000x3")?;
        Ok(Self {
            services: services.parse()?,
            endpoints: endpoints.parse()?,
        })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.services, self.endpoints)
    }
}

/// Port of each Service.
pub(super) const PORT: u16 = 80;
/// Port of each endpoint.
pub(super) const TARGET: u16 = 8080;

/// Cluster IP of a Service, out of 10.96.0.0/12.
pub(super) fn cluster_ip(service: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a60_0100 + service as u32)
}

/// The n-th address of a Pod, out of 10.128.0.0/9.
pub(super) fn pod_ip(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a80_0001 + number as u32)
}

/// Namespace and name of a Service.
pub(super) fn name(service: usize) -> (String, String) {
    (
        format!("team-{}", service % 100),
        format!("service-{service:06}"),
    )
}

/// Addresses of a Service's endpoints; `replaced` puts a fresh Pod in the last one's place.
pub(super) fn addresses(size: Size, service: usize, replaced: Option<usize>) -> Vec<Ipv4Addr> {
    let first = service * size.endpoints;
    let mut addresses: Vec<_> = (first..first + size.endpoints).map(pod_ip).collect();
    if let (Some(number), Some(last)) = (replaced, addresses.last_mut()) {
        *last = pod_ip(size.total() + 1_000_000 + number);
    }
    addresses
}

/// All events of a first list: Services, then their slices, both in order of namespace and name,
/// as an API server lists them.
pub(super) fn events(size: Size) -> impl Iterator<Item = Result<Event>> {
    let mut numbers: Vec<usize> = (0..size.services).collect();
    numbers.sort_by_cached_key(|number| name(*number));
    let services = numbers.clone().into_iter().map(service);
    let slices = numbers.into_iter();
    services.chain(slices.map(move |number| slice(size, number, None)))
}

/// A Service as it was added.
pub(super) fn service(number: usize) -> Result<Event> {
    let (namespace, name) = name(number);
    let ip = cluster_ip(number);
    let json = format!(
        r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"creationTimestamp":"2026-11-20T08:00:00Z","labels":{{"app":"{name}"}},"name":"{name}","namespace":"{namespace}","resourceVersion":"{}","uid":"6b2f3a10-0000-4000-8000-{number:012}"}},"spec":{{"clusterIP":"{ip}","clusterIPs":["{ip}"],"internalTrafficPolicy":"Cluster","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","ports":[{{"name":"http","port":{PORT},"protocol":"TCP","targetPort":{TARGET}}}],"selector":{{"app":"{name}"}},"sessionAffinity":"None","type":"ClusterIP"}},"status":{{"loadBalancer":{{}}}}}}"#,
        number + 1000,
    );
    event(Resource::SERVICES, json)
}

/// The EndpointSlice of a Service.
pub(super) fn slice(size: Size, number: usize, replaced: Option<usize>) -> Result<Event> {
    let (namespace, name) = name(number);
    let addresses = addresses(size, number, replaced);
    slice_of(
        &namespace,
        &name,
        TARGET,
        addresses.into_iter().map(Member::ready),
    )
}

/// The EndpointSlice of a Service that has one endpoint more.
pub(super) fn grown(size: Size, number: usize) -> Result<Event> {
    let (namespace, name) = name(number);
    let mut addresses = addresses(size, number, None);
    addresses.push(pod_ip(size.total() + 2_000_000 + number));
    slice_of(
        &namespace,
        &name,
        TARGET,
        addresses.into_iter().map(Member::ready),
    )
}

/// One endpoint.
pub(super) struct Member {
    pub(super) address: Ipv4Addr,
    pub(super) terminating: bool,
}

impl Member {
    pub(super) fn ready(address: Ipv4Addr) -> Self {
        Self {
            address,
            terminating: false,
        }
    }
}

/// An EndpointSlice with these endpoints.
pub(super) fn slice_of(
    namespace: &str,
    service: &str,
    port: u16,
    members: impl Iterator<Item = Member>,
) -> Result<Event> {
    let endpoints: Vec<String> = members.enumerate().map(|(at, member)| {
        let Member { address, terminating } = member;
        let ready = !terminating;
        format!(
            r#"{{"addresses":["{address}"],"conditions":{{"ready":{ready},"serving":true,"terminating":{terminating}}},"nodeName":"node-{}","targetRef":{{"kind":"Pod","name":"{service}-{at}","namespace":"{namespace}","uid":"7c3f3a10-0000-4000-8000-{:012}"}},"zone":"zone-{}"}}"#,
            address.to_bits() % 100,
            address.to_bits(),
            address.to_bits() % 3,
        )
    }).collect();
    let json = format!(
        r#"{{"addressType":"IPv4","apiVersion":"discovery.k8s.io/v1","endpoints":[{}],"kind":"EndpointSlice","metadata":{{"creationTimestamp":"2026-11-20T08:00:00Z","generateName":"{service}-","labels":{{"endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io","kubernetes.io/service-name":"{service}"}},"name":"{service}-abcde","namespace":"{namespace}","resourceVersion":"5000","uid":"8d2f3a10-0000-4000-8000-000000000000"}},"ports":[{{"name":"http","port":{port},"protocol":"TCP"}}]}}"#,
        endpoints.join(",")
    );
    event(Resource::ENDPOINT_SLICES, json)
}

fn event(resource: Resource, json: String) -> Result<Event> {
    let object = Object::from_bytes(resource, json.into_bytes().into())?;
    Ok(Event {
        kind: EventKind::Added,
        object: Arc::new(object),
        old: None,
    })
}
