//! The plan of one Service: all that its rules, connections and health servers follow from, in
//! little room, for there may be a hundred thousand.

use super::NodeSettings;
use super::consistent::{self, BALANCE};
use super::endpoints::{At, Candidates, Here, Member, ready_here, slices_of};
use super::shape::Choice;
use super::weights::{self, WEIGHTS, Weights};
use crate::Frontend;
use crate::plan::service_key;
use model::{
    Cidr, EndpointSlice, NamespacedName, Problem, Protocol, Service, ServicePort, ServiceType,
    Severity, Snapshot,
};
use nft::Family;
use std::net::IpAddr;
use std::sync::Arc;

/// Services with this label are another proxy's business.
const PROXY_NAME_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// The longest `timeoutSeconds` that the API admits.
const DAY: u32 = 86_400;

/// The plan of one Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// `metadata.creationTimestamp`: the older Service keeps what two of them claim
    pub(super) created: Arc<str>,
    /// One for each port and family
    pub(super) ports: Vec<PortPlan>,
    /// Port of the health server, and number of ready Pods here
    pub(super) health: Option<(u16, usize)>,
    /// What is wrong with the Service
    pub(super) problems: Vec<Problem>,
}

/// One port of a Service in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PortPlan {
    /// `spec.ports[].name`
    pub(super) name: Box<str>,
    /// Index in `spec.ports`
    pub(super) index: u16,
    /// The ClusterIP's frontend
    pub(super) identity: Frontend,
    /// Whether the Service got it
    pub(super) granted: bool,
    /// Whether rules answer on the ClusterIP
    pub(super) on_cluster_ip: bool,
    /// External addresses
    pub(super) externals: Box<[External]>,
    /// NodePort or zero
    pub(super) node_port: u16,
    /// Whether the Service got it
    pub(super) node_port_granted: bool,
    /// `spec.loadBalancerSourceRanges` of the family; `None` for no limit
    pub(super) ranges: Option<Box<[Cidr]>>,
    /// `internalTrafficPolicy: Local`
    pub(super) internal_local: bool,
    /// `externalTrafficPolicy: Local`
    pub(super) external_local: bool,
    /// Whether there are usable endpoints anywhere
    pub(super) any: bool,
    /// Endpoints for policy `Cluster`; empty where none is asked for
    pub(super) cluster: Box<[Member]>,
    /// Endpoints for policy `Local`; empty where none is asked for
    pub(super) local: Box<[Member]>,
    /// How endpoints are chosen
    pub(super) choice: Choice,
    /// Seconds; zero for none
    pub(super) affinity: u32,
    /// Endpoints on this node, chosen or not. One that is chosen no more may still get the packet
    /// that is under way between the choice and masquerading, and keeps that connection
    pub(super) here: Box<[At]>,
    /// Of UDP: endpoints that serve
    pub(super) serving: Box<[At]>,
    /// Where connections to endpoints that go are reset: every endpoint
    pub(super) known: Box<[At]>,
}

/// An external address of a Service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct External {
    pub(super) address: IpAddr,
    /// Whether the source is checked
    pub(super) guarded: bool,
    /// Whether the Service got it
    pub(super) granted: bool,
}

impl PortPlan {
    pub(super) fn family(&self) -> Family {
        super::steps::family_of(self.identity.address)
    }

    /// The frontend of an external address.
    pub(super) fn external(&self, address: IpAddr) -> Frontend {
        Frontend {
            address,
            ..self.identity
        }
    }

    /// Whether there is any way from outside.
    pub(super) fn has_externals(&self) -> bool {
        self.node_port != 0 || !self.externals.is_empty()
    }

    /// Endpoints by slot.
    pub(super) fn slots(&self, members: &[Member]) -> Vec<At> {
        match self.choice {
            Choice::Random => weights::slots(members),
            Choice::Source | Choice::SourceAndPort => consistent::table(members),
        }
    }
}

/// Plans one Service; empty for one that is not ours.
pub(super) fn plan_entry(
    snapshot: &Snapshot,
    id: &NamespacedName,
    settings: &NodeSettings,
) -> Option<Entry> {
    let service = snapshot.services.get(id)?;
    let mut entry = Entry {
        created: service.meta.creation_timestamp.clone(),
        ..Entry::default()
    };
    if !is_ours(service, settings) {
        return Some(entry);
    }
    let slices = slices_of(snapshot, service);
    let here = Here::new(snapshot, &settings.node_name);
    let (weights, problems) = read_weights(service);
    entry.problems = problems;
    entry.problems.extend(
        slices
            .iter()
            .filter_map(|slice| weights::slice_problem(slice)),
    );
    let drafter = Drafter {
        service,
        settings,
        slices: &slices,
        here,
        weights,
        choice: read_choice(service, &mut entry.problems),
        ranges: source_ranges(service, &mut entry.problems),
    };
    let addresses = cluster_ips(service);
    let ports = service.ports.len() * addresses.len();
    entry.ports.reserve_exact(ports);
    for address in addresses {
        for (index, port) in service.ports.iter().enumerate() {
            drafter.draft(address, index, port, &mut entry);
        }
    }
    if service.kind == ServiceType::LoadBalancer
        && service.external_local
        && service.health_check_node_port != 0
    {
        entry.health = Some((service.health_check_node_port, ready_here(&slices, here)));
    }
    Some(entry)
}

fn is_ours(service: &Service, settings: &NodeSettings) -> bool {
    let label = service.meta.labels.get(PROXY_NAME_LABEL);
    !service.headless
        && service.kind != ServiceType::ExternalName
        && label == settings.service_proxy_name.as_ref()
}

/// The first ClusterIP of each family.
fn cluster_ips(service: &Service) -> Vec<IpAddr> {
    let first = |v4: bool| {
        let mut addresses = service.cluster_ips.iter().copied();
        addresses.find(|address| address.is_ipv4() == v4)
    };
    first(true).into_iter().chain(first(false)).collect()
}

struct Drafter<'a> {
    service: &'a Service,
    settings: &'a NodeSettings,
    slices: &'a [Arc<EndpointSlice>],
    here: Here<'a>,
    weights: Weights<'a>,
    choice: Choice,
    ranges: Option<Vec<Cidr>>,
}

impl Drafter<'_> {
    fn draft(&self, address: IpAddr, index: usize, port: &ServicePort, entry: &mut Entry) {
        let identity = Frontend {
            address,
            protocol: port.protocol,
            port: port.port,
        };
        // The API refuses a port twice; should it be there, the first one counts.
        if port.port == 0 || entry.ports.iter().any(|plan| plan.identity == identity) {
            return;
        }
        let family = super::steps::family_of(address);
        let found = Candidates::new(self.slices, port, family, self.here, &self.weights);
        let ranges = self.ranges_of(address.is_ipv4());
        let mut plan = PortPlan {
            name: port.name.as_str().into(),
            index: index as u16,
            identity,
            granted: true,
            on_cluster_ip: !self.settings.dns_addresses.contains(&address),
            externals: self.externals(address, ranges.is_some()),
            node_port: self.node_port(port, entry, family),
            node_port_granted: true,
            ranges,
            internal_local: self.service.internal_local,
            external_local: self.service.external_local,
            any: found.any(),
            cluster: Box::default(),
            local: Box::default(),
            choice: self.choice,
            affinity: self.service.affinity_seconds.unwrap_or(0).min(DAY),
            here: found.here().collect(),
            serving: Box::default(),
            known: Box::default(),
        };
        self.fill(&mut plan, &found);
        self.check_table(&plan, &mut entry.problems);
        entry.ports.push(plan);
    }

    /// Puts in the endpoints that something asks for.
    fn fill(&self, plan: &mut PortPlan, found: &Candidates<'_>) {
        let outside = plan.has_externals();
        if !plan.internal_local || outside {
            // Traffic of this node takes any endpoint even under an external policy `Local`.
            plan.cluster = found.cluster().into();
        }
        if plan.internal_local || (plan.external_local && outside) {
            plan.local = found.local().into();
        }
        if plan.identity.protocol == Protocol::Udp {
            plan.serving = found.serving().collect();
        }
        if self.settings.reset_removed && plan.identity.protocol == Protocol::Tcp {
            plan.known = found.all().collect();
        }
    }

    fn node_port(&self, port: &ServicePort, entry: &Entry, family: Family) -> u16 {
        let twice = entry.ports.iter().any(|plan| {
            plan.family() == family
                && plan.node_port == port.node_port
                && plan.identity.protocol == port.protocol
        });
        if twice || self.service.kind == ServiceType::ClusterIP {
            return 0;
        }
        port.node_port
    }

    fn externals(&self, cluster_ip: IpAddr, guarded: bool) -> Box<[External]> {
        let mut externals: Vec<External> = Vec::new();
        let mut put = |address: IpAddr, guarded: bool| {
            let new = address != cluster_ip && externals.iter().all(|e| e.address != address);
            if new && address.is_ipv4() == cluster_ip.is_ipv4() {
                externals.push(External {
                    address,
                    guarded,
                    granted: true,
                });
            }
        };
        if self.service.kind == ServiceType::LoadBalancer {
            // KEP-1860: with ipMode Proxy the address belongs to a balancer that must be passed.
            let vips = self.service.load_balancer.iter();
            let vips = vips.filter(|lb| lb.ip_mode.as_deref() != Some("Proxy"));
            vips.filter_map(|lb| lb.ip).for_each(|ip| put(ip, guarded));
        }
        if self.settings.external_ips {
            let addresses = self.service.external_ips.iter().copied();
            addresses.for_each(|ip| put(ip, false));
        }
        externals.into()
    }

    /// The ranges of one family; `None` when there is no limit. Ranges of the other family alone
    /// admit nobody, for they protect.
    fn ranges_of(&self, ipv4: bool) -> Option<Box<[Cidr]>> {
        let all = self.ranges.as_ref()?;
        let ours = || all.iter().filter(|range| range.is_ipv4() == ipv4);
        if ours().any(|range| range.prefix() == 0) {
            return None;
        }
        let mut ranges: Vec<Cidr> = ours().copied().collect();
        let node_ips = self.settings.node_ips.iter();
        let mut node_ips = node_ips.filter(|ip| ip.is_ipv4() == ipv4);
        if node_ips.any(|ip| ranges.iter().any(|range| range.contains(*ip))) {
            // Where the address is also one of this machine, its own packets have it as source.
            let vips = self.service.load_balancer.iter().filter_map(|lb| lb.ip);
            let vips = vips.filter(|ip| ip.is_ipv4() == ipv4);
            let whole = if ipv4 { 32 } else { 128 };
            ranges.extend(vips.filter_map(|ip| Cidr::new(ip, whole).ok()));
        }
        ranges.sort();
        ranges.dedup();
        Some(ranges.into())
    }

    fn check_table(&self, plan: &PortPlan, problems: &mut Vec<Problem>) {
        let endpoints = plan.cluster.len().max(plan.local.len());
        let table = consistent::SLOTS as usize;
        if plan.choice != Choice::Random && endpoints > table {
            problems.push(warning(
                self.service,
                format!("metadata.annotations[{BALANCE}]"),
                "TooManyEndpoints",
                format!(
                    "{} has {endpoints} endpoints, and the table of consistent choice only \
                     {table} slots: some get no traffic.",
                    plan.identity
                ),
                "Leave the annotation away, or use fewer endpoints.".to_owned(),
            ));
        }
    }
}

fn read_weights(service: &Service) -> (Weights<'_>, Vec<Problem>) {
    let mut problems = Vec::new();
    let weights = Weights::of_service(service, |entry| {
        problems.push(warning(
            service,
            format!("metadata.annotations[{WEIGHTS}]"),
            "InvalidWeight",
            format!("{entry:?} is no weight such as pod-name=3; it is passed over."),
            weights::cure(),
        ));
    });
    (weights, problems)
}

fn read_choice(service: &Service, problems: &mut Vec<Problem>) -> Choice {
    let text = service.meta.annotations.get(BALANCE).map(String::as_str);
    match text {
        None | Some("random") => Choice::Random,
        Some("consistent") => Choice::Source,
        Some("consistent-port") => Choice::SourceAndPort,
        Some(other) => {
            problems.push(warning(
                service,
                format!("metadata.annotations[{BALANCE}]"),
                "InvalidBalance",
                format!("{other:?} is no way to choose endpoints; they are chosen at random."),
                "Write random, consistent or consistent-port.".to_owned(),
            ));
            Choice::Random
        }
    }
}

/// `spec.loadBalancerSourceRanges`; one that cannot be read lets nobody in, for it protects.
fn source_ranges(service: &Service, problems: &mut Vec<Problem>) -> Option<Vec<Cidr>> {
    let texts = &service.load_balancer_source_ranges;
    if texts.is_empty() || service.kind != ServiceType::LoadBalancer {
        return None;
    }
    let mut ranges = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match text.trim().parse() {
            Ok(range) => ranges.push(range),
            Err(error) => problems.push(warning(
                service,
                format!("spec.loadBalancerSourceRanges[{index}]"),
                "InvalidSourceRange",
                format!("{error}; the entry lets nobody in."),
                "Write the range as ADDRESS/PREFIX.".to_owned(),
            )),
        }
    }
    Some(ranges)
}

fn warning(
    service: &Service,
    field: String,
    reason: &'static str,
    message: String,
    cure: String,
) -> Problem {
    Problem {
        object: service_key(&service.id),
        field,
        severity: Severity::Warning,
        reason,
        message,
        cure,
    }
}
