//! A laboratory whose nodes each hold the ruleset that the product plans for them.

use crate::flush::Forgetter;
use crate::objects::{Ep, slices};
use crate::rights;
use kernel::lab::{Answer, Asking, CLUSTER_CIDR, Echo, Lab, Machine, Protocol, Shape};
use kernel::nftables::Table;
use model::{ChangedKeys, Cidr, Event, EventKind, Object, ObjectKey, Snapshot};
use proxy::kernel::{DetectLocal, NodeSettings, RulesetPlanner};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Both ways to ask.
pub(crate) const PROTOCOLS: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];
/// How long an answer may take that must come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long silence is listened to.
const SILENCE: Duration = Duration::from_millis(250);
/// Ports that UDP is asked from, in turn: a flow goes on as long as its endpoint serves, so that a
/// port by chance used before might be answered by an endpoint of before.
const ASKING: std::ops::Range<u16> = 10_000..30_000;
/// Port that every Pod serves on.
pub(crate) const TARGET: u16 = 8080;

/// The proxy of one node.
pub(crate) struct Agent {
    pub(crate) planner: RulesetPlanner,
    pub(crate) table: Table,
    pub(crate) forgetter: Arc<Forgetter>,
}

/// A cluster.
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) agents: Vec<Agent>,
    pub(crate) snapshot: Snapshot,
    objects: BTreeMap<ObjectKey, Arc<Object>>,
    /// How many questions were put
    asked: AtomicUsize,
    _echoes: Vec<Echo>,
}

/// Three nodes with two Pods each, or nothing where the kernel refuses.
pub(crate) fn world() -> Option<World> {
    world_with(Shape::default(), |_| {})
}

/// The same of another shape and with other settings.
pub(crate) fn world_with(shape: Shape, change: impl Fn(&mut NodeSettings)) -> Option<World> {
    if rights::over() {
        return None;
    }
    let lab = Lab::build(shape).expect("a laboratory");
    let pods = lab.pods.iter();
    let _echoes = pods
        .map(|pod| Echo::start(&pod.machine, &[TARGET]).expect("serves"))
        .collect();
    let agents = lab
        .nodes
        .iter()
        .map(|node| {
            let mut settings = settings(&node.machine);
            change(&mut settings);
            Agent::new(&node.machine, settings)
        })
        .collect();
    for (cidr, prefix) in [("10.96.0.0", 16), ("fd00:96::", 112)] {
        lab.lead(ip(cidr), prefix, 1).expect("led");
    }
    let mut world = World {
        lab,
        agents,
        snapshot: Snapshot::default(),
        objects: BTreeMap::new(),
        asked: AtomicUsize::new(0),
        _echoes,
    };
    world.apply(&[]);
    Some(world)
}

/// Settings of a node as a cluster with all switches at rest would have them.
pub(crate) fn settings(node: &Machine) -> NodeSettings {
    let cidr = |(base, prefix): (&str, u8)| Cidr::new(ip(base), prefix).expect("a range");
    NodeSettings {
        node_name: node.name.clone(),
        node_ips: node.addresses.both().to_vec(),
        detect_local: DetectLocal::Cidrs(CLUSTER_CIDR.map(cidr).to_vec()),
        service_cidrs: [("10.96.0.0", 16), ("fd00:96::", 112)].map(cidr).to_vec(),
        ..NodeSettings::default()
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

impl Agent {
    pub(crate) fn new(node: &Machine, settings: NodeSettings) -> Self {
        let table = node.namespace.make(|| Table::open("portolan"));
        Self {
            planner: RulesetPlanner::new(settings),
            table: table.expect("inside").expect("a table"),
            forgetter: Arc::new(Forgetter::new(node)),
        }
    }

    /// Plans what changed and puts it into the kernel.
    pub(crate) fn update(&mut self, snapshot: &Snapshot, changed: &ChangedKeys) {
        let update = self.planner.update(snapshot, changed);
        self.forgetter.plan(update.flush);
        self.table
            .apply(&update.transaction)
            .unwrap_or_else(|error| panic!("{error}\n{}", update.transaction));
        self.forgetter.ready();
    }

    /// Brings the kernel to what is planned, whatever is in it; the number of steps that took.
    pub(crate) fn repair(&mut self) -> usize {
        let present = self.table.read().expect("read").unwrap_or_default();
        let transaction = nft::diff(&self.planner.desired(), &present);
        self.table.apply(&transaction).expect("applied");
        transaction.ops.len()
    }
}

impl World {
    /// Adds or changes these objects.
    pub(crate) fn apply(&mut self, objects: &[Value]) {
        self.plan(objects);
        self.flush();
    }

    /// Forgets tracked connections that lead nowhere.
    fn flush(&self) {
        self.agents.iter().for_each(|agent| agent.forgetter.pass());
    }

    /// The same as [`World::apply`] without flushing connection tracking.
    pub(crate) fn plan(&mut self, objects: &[Value]) {
        let mut changed = ChangedKeys::default();
        for value in objects {
            let object = testkit::object(value);
            let old = self.objects.insert(object.key(), object.clone());
            let kind = match old {
                None => EventKind::Added,
                Some(_) => EventKind::Modified,
            };
            let event = Event { kind, object, old };
            self.snapshot.apply(&event, &mut changed);
        }
        self.update(&changed);
    }

    /// Deletes these objects.
    pub(crate) fn delete(&mut self, objects: &[Value]) {
        let mut changed = ChangedKeys::default();
        for value in objects {
            let object = testkit::object(value);
            let old = self.objects.remove(&object.key());
            let kind = EventKind::Deleted;
            let event = Event { kind, object, old };
            self.snapshot.apply(&event, &mut changed);
        }
        self.update(&changed);
        self.flush();
    }

    fn update(&mut self, changed: &ChangedKeys) {
        for agent in &mut self.agents {
            agent.update(&self.snapshot, changed);
        }
    }

    /// Gives a Service these endpoints.
    pub(crate) fn endpoints(&mut self, service: &str, endpoints: &[Ep]) {
        let slices = slices(&self.lab, service, endpoints);
        self.apply(&slices);
    }

    /// A Service with endpoints.
    pub(crate) fn serve(&mut self, service: Value, endpoints: &[Ep]) {
        let name = service["metadata"]["name"]
            .as_str()
            .expect("a name")
            .to_owned();
        self.apply(&[service]);
        self.endpoints(&name, endpoints);
    }

    /// The machine of that name.
    pub(crate) fn at(&self, name: &str) -> &Machine {
        self.lab
            .machine(name)
            .unwrap_or_else(|| panic!("no machine {name}"))
    }

    /// A question by a machine, with much patience.
    pub(crate) fn asking(&self, from: &str, protocol: Protocol, to: SocketAddr) -> Asking<'_> {
        let source = (protocol == Protocol::Udp).then(|| self.fresh_source(to));
        Asking {
            from: &self.at(from).namespace,
            source,
            protocol,
            to,
            patience: PATIENCE,
        }
    }

    /// Any address with a port that nobody has asked from lately.
    fn fresh_source(&self, to: SocketAddr) -> SocketAddr {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed) % ASKING.len();
        let port = ASKING.start + turn as u16;
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(any, port)
    }

    /// Asks once.
    pub(crate) fn ask(&self, from: &str, protocol: Protocol, to: SocketAddr) -> Answer {
        self.asking(from, protocol, to).ask()
    }

    /// Asks often and says who answered.
    ///
    /// # Panics
    /// When nobody answers even once.
    pub(crate) fn servers(
        &self,
        from: &str,
        protocol: Protocol,
        to: SocketAddr,
        times: usize,
    ) -> BTreeSet<String> {
        let ask = |_| {
            let answer = self.ask(from, protocol, to);
            let who = answer.who().map(str::to_owned);
            who.unwrap_or_else(|| panic!("{from} → {protocol:?} {to}: {answer}"))
        };
        (0..times).map(ask).collect()
    }

    /// Each of these machines is served by all of `pods` and by nobody else, over both protocols.
    pub(crate) fn expect_served(&self, from: &[&str], to: SocketAddr, pods: &[&str]) {
        let want: BTreeSet<String> = pods.iter().map(|pod| (*pod).to_owned()).collect();
        for from in from {
            for protocol in PROTOCOLS {
                let mut got = BTreeSet::new();
                // With n endpoints, (1 - 1/n) to the power of 40 n is below 10^-17 for each.
                for _ in 0..40 * want.len() {
                    got.append(&mut self.servers(from, protocol, to, 2));
                    if got.len() >= want.len() {
                        break;
                    }
                }
                got.append(&mut self.servers(from, protocol, to, 2 * want.len()));
                assert_eq!(got, want, "{from} → {protocol:?} {to}");
            }
        }
    }

    /// The endpoint sees each of these machines under the address that `seen` names.
    pub(crate) fn expect_seen(&self, from: &[&str], to: SocketAddr, seen: IpAddr) {
        for from in from {
            for protocol in PROTOCOLS {
                let answer = self.ask(from, protocol, to);
                let text = format!("{from} → {protocol:?} {to}: {answer}");
                assert_eq!(answer.seen(), Some(seen), "{text}");
            }
        }
    }

    /// The endpoint sees each of these machines under another address than `own`.
    pub(crate) fn expect_unseen(&self, from: &[&str], to: SocketAddr, own: IpAddr) {
        for from in from {
            for protocol in PROTOCOLS {
                let answer = self.ask(from, protocol, to);
                let text = format!("{from} → {protocol:?} {to}: {answer}");
                assert!(answer.seen().is_some_and(|seen| seen != own), "{text}");
            }
        }
    }

    /// Each of these machines is refused at once, over both protocols.
    pub(crate) fn expect_refused(&self, from: &[&str], to: SocketAddr) {
        for from in from {
            for protocol in PROTOCOLS {
                let answer = self.ask(from, protocol, to);
                assert_eq!(answer, Answer::Refused, "{from} → {protocol:?} {to}");
            }
        }
    }

    /// None of these machines gets any answer, over both protocols.
    pub(crate) fn expect_silence(&self, from: &[&str], to: SocketAddr) {
        for from in from {
            for protocol in PROTOCOLS {
                let mut asking = self.asking(from, protocol, to);
                asking.patience = SILENCE;
                let answer = asking.ask();
                assert_eq!(answer, Answer::TimedOut, "{from} → {protocol:?} {to}");
            }
        }
    }

    /// The addresses of a machine with a port.
    pub(crate) fn sockets(&self, machine: &str, port: u16) -> [SocketAddr; 2] {
        let addresses = self.at(machine).addresses.both();
        addresses.map(|address| SocketAddr::new(address, port))
    }
}

/// ClusterIPs of Service number `n` with port 80.
pub(crate) fn cluster_ips(n: u16) -> [SocketAddr; 2] {
    [format!("10.96.0.{n}"), format!("fd00:96::{n}")].map(|text| SocketAddr::new(ip(&text), 80))
}

/// Load balancer addresses of Service number `n` with port 80.
pub(crate) fn balancer_ips(n: u16) -> [SocketAddr; 2] {
    let texts = [format!("198.51.100.{n}"), format!("2001:db8:51::{n}")];
    texts.map(|text| SocketAddr::new(ip(&text), 80))
}
