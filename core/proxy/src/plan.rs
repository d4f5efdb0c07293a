//! The plan of one Service, and of all of them.

use crate::endpoints::{Here, backends};
use crate::planner::{aggregate, lost_claim};
use crate::{Desired, Frontend, Origin, Policy, Route, ServicePlan, Settings};
use model::{
    Cidr, EndpointSlice, NamespacedName, ObjectKey, Problem, Protocol, Resource, Service,
    ServicePort, ServiceType, Severity, Snapshot,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Services with this label are another proxy's business.
const PROXY_NAME_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// What `service` asks of this node; empty for a Service that is not there, is headless, an alias,
/// or served by another proxy.
pub fn plan_service(
    snapshot: &Snapshot,
    service: &NamespacedName,
    settings: &Settings,
) -> ServicePlan {
    let Some(service) = snapshot.services.get(service) else {
        return ServicePlan::default();
    };
    let mut plan = ServicePlan {
        created: service.meta.creation_timestamp.clone(),
        ..ServicePlan::default()
    };
    let aside = service.headless
        || service.kind == ServiceType::ExternalName
        || service.meta.labels.contains_key(PROXY_NAME_LABEL);
    if !aside {
        let slices = snapshot.slices_of_service(&service.id).cloned().collect();
        let drafter = Drafter {
            service,
            settings,
            slices,
            here: Here::new(snapshot, settings),
        };
        drafter.draft(&mut plan);
    }
    plan
}

/// What all Services ask for, and every Problem in order of its object.
pub fn plan(snapshot: &Snapshot, settings: &Settings) -> (Desired, Vec<Problem>) {
    let plans: BTreeMap<NamespacedName, ServicePlan> = snapshot
        .services
        .keys()
        .map(|id| (id.clone(), plan_service(snapshot, id, settings)))
        .collect();
    let mut winners: BTreeMap<Frontend, &NamespacedName> = BTreeMap::new();
    let age = |id: &NamespacedName| (plans.get(id).map(|p| p.created.clone()), id.clone());
    for (id, plan) in &plans {
        for frontend in plan.routes.keys() {
            let holder = winners.entry(*frontend).or_insert(id);
            if age(id) < age(holder) {
                *holder = id;
            }
        }
    }
    let mut desired = Desired::default();
    let mut problems = aggregate(&plans);
    for (id, plan) in &plans {
        problems.extend(plan.problems.iter().cloned());
        for (frontend, route) in &plan.routes {
            match winners.get(frontend) {
                Some(winner) if *winner != id => {
                    problems.push(lost_claim(frontend, route, winner));
                }
                _ => {
                    desired.routes.insert(*frontend, route.clone());
                }
            }
        }
    }
    problems.sort();
    (desired, problems)
}

struct Drafter<'a> {
    service: &'a Service,
    settings: &'a Settings,
    slices: Vec<Arc<EndpointSlice>>,
    here: Here<'a>,
}

/// A set of addresses that a Service listens on for one reason.
struct Face<'a> {
    origin: Origin,
    addresses: Vec<IpAddr>,
    policy: Policy,
    source_ranges: Option<&'a Vec<Cidr>>,
}

impl Drafter<'_> {
    fn draft(&self, plan: &mut ServicePlan) {
        let ranges = self.source_ranges(plan);
        let faces = self.faces(ranges.as_ref(), plan);
        for (index, port) in self.service.ports.iter().enumerate() {
            if port.protocol == Protocol::Sctp {
                plan.problems.push(self.sctp(index));
                continue;
            }
            for face in &faces {
                self.draft_port(index, port, face, plan);
            }
        }
        self.drop_loops(plan);
    }

    fn faces<'a>(&self, ranges: Option<&'a Vec<Cidr>>, plan: &mut ServicePlan) -> Vec<Face<'a>> {
        let policy = |local| {
            if local {
                Policy::Local
            } else {
                Policy::Cluster
            }
        };
        let service = self.service;
        let external = policy(service.external_local);
        let mut faces = vec![Face {
            origin: Origin::ClusterIp,
            addresses: self.served(&service.cluster_ips, plan),
            policy: policy(service.internal_local),
            source_ranges: None,
        }];
        if service.kind != ServiceType::ClusterIP {
            faces.push(Face {
                origin: Origin::NodePort,
                addresses: self.settings.node_addresses.clone(),
                policy: external,
                source_ranges: None,
            });
        }
        if service.kind == ServiceType::LoadBalancer {
            // KEP-1860: with ipMode Proxy the address belongs to a balancer that must be passed.
            let vips = service.load_balancer.iter();
            let vips = vips.filter(|lb| lb.ip_mode.as_deref() != Some("Proxy"));
            let vips: Vec<IpAddr> = vips.filter_map(|lb| lb.ip).collect();
            faces.push(Face {
                origin: Origin::LoadBalancer,
                addresses: self.served(&vips, plan),
                policy: external,
                source_ranges: ranges,
            });
        }
        if self.settings.external_ips {
            faces.push(Face {
                origin: Origin::ExternalIp,
                addresses: self.served(&service.external_ips, plan),
                policy: external,
                source_ranges: None,
            });
        }
        faces
    }

    fn served(&self, addresses: &[IpAddr], plan: &mut ServicePlan) -> Vec<IpAddr> {
        let ranges = &self.settings.served;
        let (inside, outside): (Vec<IpAddr>, Vec<IpAddr>) = addresses
            .iter()
            .partition(|address| ranges.iter().any(|range| range.contains(**address)));
        plan.not_served.extend(outside);
        inside
    }

    fn draft_port(
        &self,
        index: usize,
        port: &ServicePort,
        face: &Face<'_>,
        plan: &mut ServicePlan,
    ) {
        let (number, field) = match face.origin {
            Origin::NodePort => (port.node_port, format!("spec.ports[{index}].nodePort")),
            _ => (port.port, format!("spec.ports[{index}].port")),
        };
        if number == 0 {
            return;
        }
        for address in &face.addresses {
            let frontend = Frontend {
                address: *address,
                protocol: port.protocol,
                port: number,
            };
            let route = Route {
                service: self.service.id.clone(),
                port_name: port.name.clone(),
                field: field.clone(),
                origin: face.origin,
                policy: face.policy,
                backends: backends(
                    &self.slices,
                    port,
                    address.is_ipv4(),
                    face.policy,
                    &self.here,
                ),
                affinity_seconds: self.service.affinity_seconds,
                source_ranges: face.source_ranges.cloned(),
            };
            // The API refuses a port twice; should two faces meet, the first one keeps it.
            plan.routes.entry(frontend).or_insert_with(|| route.into());
        }
    }

    /// An endpoint that is a frontend of the same Service would relay to itself for ever.
    fn drop_loops(&self, plan: &mut ServicePlan) {
        let own: Vec<Frontend> = plan.routes.keys().copied().collect();
        for (frontend, route) in &mut plan.routes {
            let is_own = |at: &std::net::SocketAddr| {
                own.iter()
                    .any(|f| f.protocol == frontend.protocol && f.socket() == *at)
            };
            if let Some(at) = route.backends.iter().find(|at| is_own(at)).copied() {
                plan.problems.push(self.problem(
                    &route.field,
                    "EndpointLoop",
                    format!("Endpoint {at} is an address of the Service itself and is left out."),
                    "Point the EndpointSlice at the program that answers.",
                ));
                Arc::make_mut(route).backends.retain(|at| !is_own(at));
            }
        }
    }

    /// `spec.loadBalancerSourceRanges`; one that cannot be read lets nobody in, for it protects.
    fn source_ranges(&self, plan: &mut ServicePlan) -> Option<Vec<Cidr>> {
        let texts = &self.service.load_balancer_source_ranges;
        if texts.is_empty() {
            return None;
        }
        let mut ranges = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match text.trim().parse() {
                Ok(range) => ranges.push(range),
                Err(error) => plan.problems.push(self.problem(
                    &format!("spec.loadBalancerSourceRanges[{index}]"),
                    "InvalidSourceRange",
                    format!("{error}; the entry lets nobody in."),
                    "Write the range as ADDRESS/PREFIX.",
                )),
            }
        }
        Some(ranges)
    }

    fn sctp(&self, index: usize) -> Problem {
        self.problem(
            &format!("spec.ports[{index}].protocol"),
            "ProtocolNotServed",
            "SCTP is not relayed.".to_owned(),
            "Use TCP or UDP, or connect to the Pods by a headless Service.",
        )
    }

    fn problem(&self, field: &str, reason: &'static str, message: String, cure: &str) -> Problem {
        Problem {
            object: service_key(&self.service.id),
            field: field.to_owned(),
            severity: Severity::Warning,
            reason,
            message,
            cure: cure.to_owned(),
        }
    }
}

pub(crate) fn service_key(id: &NamespacedName) -> ObjectKey {
    ObjectKey {
        resource: Resource::SERVICES,
        namespace: id.namespace.clone(),
        name: id.name.clone(),
    }
}
