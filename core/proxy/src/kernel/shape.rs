//! Chains that Services share: one for each shape, whatever their number.

use super::sets::{SetId, digit, set_name};
use super::steps::{Steps, Via, goto, jump};
use super::{DetectLocal, NodeSettings};
use nft::{Data, DynsetOp, Element, Family, Name, RejectWith, Rule, Value, Verdict};
use std::fmt;

/// Chain that refuses.
pub(super) const REJECT: &str = "reject";

/// How one of the slots is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Choice {
    /// By chance
    Random,
    /// By the client's address
    Source,
    /// By the client's address and port
    SourceAndPort,
}

/// Sends connections to one of so many slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pick {
    pub(super) family: Family,
    pub(super) via: Via,
    /// Among the endpoints of this node
    pub(super) local: bool,
    /// Never zero
    pub(super) slots: u32,
    pub(super) choice: Choice,
    /// Seconds; zero for none
    pub(super) affinity: u32,
    pub(super) masquerade: bool,
}

/// What a chain does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Refuses packets of the family
    Reject(Family),
    /// Lets packets of the family vanish
    Drop(Family),
    /// Picks an endpoint
    Pick(Pick),
    /// `externalTrafficPolicy: Local`: traffic of this node goes to any endpoint, as it would by
    /// way of a load balancer; other traffic to so many local slots, or is dropped at zero
    Outside(Pick, u32),
}

/// One chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    /// Whether sources are checked before
    pub(super) guarded: bool,
    pub(super) kind: Kind,
}

impl Shape {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            guarded: false,
            kind,
        }
    }

    /// The shape as numbers, as it stands in maps: slots, local slots of [`Kind::Outside`], and how.
    /// Two shapes of a family never have the same.
    pub(super) fn data(self) -> Data {
        let (kind, pick, local) = match self.kind {
            Kind::Reject(_) => (0, None, 0),
            Kind::Drop(_) => (1, None, 0),
            Kind::Pick(pick) => (2, Some(pick), 0),
            Kind::Outside(pick, slots) => (3, Some(pick), slots),
        };
        let how = pick.map_or(0, Pick::how) << 3 | u32::from(self.guarded) << 2 | kind;
        let slots = pick.map_or(0, |pick| pick.slots);
        Data::EMPTY.number(slots).number(local).number(how)
    }

    /// The element of map `shapes` that leads to the chain.
    pub(super) fn element(self) -> Element {
        let verdict = match self.kind {
            Kind::Drop(_) if !self.guarded => Verdict::Drop,
            _ => Verdict::Goto(self.name()),
        };
        Element {
            key: self.data(),
            value: Value::Verdict(verdict),
            comment: None,
            timeout_ms: 0,
        }
    }

    /// This chain and all that it leads to, without [`REJECT`], which is always there.
    pub(super) fn with_parts(self, mut each: impl FnMut(Self)) {
        if self.guarded {
            each(self);
        }
        match self.kind {
            Kind::Reject(_) | Kind::Drop(_) => {}
            Kind::Pick(_) => each(Self::new(self.kind)),
            Kind::Outside(pick, slots) => {
                each(Self::new(self.kind));
                each(Self::new(Kind::Pick(pick)));
                if let Some(local) = local_pick(pick, slots) {
                    each(Self::new(Kind::Pick(local)));
                }
            }
        }
    }

    /// Name in the table.
    pub(super) fn name(self) -> Name {
        self.to_string().into()
    }

    /// Rules of the chain.
    pub(super) fn rules(self, settings: &NodeSettings) -> Vec<Rule> {
        if self.guarded {
            let inner = Self::new(self.kind);
            return guard_rules(self.family(), &inner.name());
        }
        match self.kind {
            Kind::Reject(_) => reject_rules(),
            Kind::Drop(family) => vec![Steps::new(family).verdict(Verdict::Drop, "")],
            Kind::Pick(pick) => pick_rules(&pick, settings),
            Kind::Outside(pick, slots) => outside_rules(&pick, slots, settings),
        }
    }

    pub(super) fn family(self) -> Family {
        match self.kind {
            Kind::Reject(family) | Kind::Drop(family) => family,
            Kind::Pick(pick) | Kind::Outside(pick, _) => pick.family,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.guarded {
            write!(f, "guard{}-", digit(self.family()))?;
        }
        match &self.kind {
            Kind::Reject(_) => f.write_str(REJECT),
            Kind::Drop(_) => f.write_str("drop"),
            Kind::Pick(pick) => write!(f, "{pick}"),
            Kind::Outside(pick, slots) => write!(f, "outside-{slots}-{pick}"),
        }
    }
}

impl Pick {
    /// All but the family and the slots, in 29 bits.
    fn how(self) -> u32 {
        let choice = match self.choice {
            Choice::Random => 0,
            Choice::Source => 1,
            Choice::SourceAndPort => 2,
        };
        let via = match self.via {
            Via::Address => 0,
            Via::External => 1,
            Via::NodePort => 2,
        };
        // The API admits a day at most, which takes 17 bits.
        self.affinity << 6
            | u32::from(self.local) << 5
            | u32::from(self.masquerade) << 4
            | choice << 2
            | via
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = if self.local { "local" } else { "cluster" };
        write!(f, "{policy}{}-{}", digit(self.family), self.slots)?;
        f.write_str(match self.choice {
            Choice::Random => "",
            Choice::Source => "-hash",
            Choice::SourceAndPort => "-hash-port",
        })?;
        if self.affinity > 0 {
            write!(f, "-sticky{}", self.affinity)?;
        }
        f.write_str(match self.via {
            Via::Address => "",
            Via::External => "-external",
            Via::NodePort => "-nodeport",
        })?;
        f.write_str(if self.masquerade { "-masquerade" } else { "" })
    }
}

/// The chain for those that a traffic policy keeps on this node.
fn local_pick(pick: Pick, slots: u32) -> Option<Pick> {
    (slots > 0).then_some(Pick {
        local: true,
        slots,
        ..pick
    })
}

/// Rules of [`REJECT`].
pub(super) fn reject_rules() -> Vec<Rule> {
    vec![Steps::new(Family::Ipv4).reject(RejectWith::PortUnreachable, "")]
}

/// Name of the chain that returns for admitted sources of a family and drops others.
pub(super) fn ranges_chain(family: Family) -> String {
    format!("source-ranges{}", digit(family))
}

fn guard_rules(family: Family, inner: &str) -> Vec<Rule> {
    let check = |family| Steps::new(family).verdict(jump(&ranges_chain(family)), "");
    vec![check(family), Steps::new(family).verdict(goto(inner), "")]
}

fn pick_rules(pick: &Pick, settings: &NodeSettings) -> Vec<Rule> {
    let mut rules = Vec::new();
    if pick.masquerade {
        rules.push(
            Steps::new(pick.family)
                .mark(settings.masquerade_mark)
                .rule(""),
        );
    }
    if pick.affinity > 0 {
        rules.extend(affinity_rules(pick));
    }
    let why = identity_comment(pick);
    rules.push(endpoint(pick, chosen(pick)).dnat(&why));
    if pick.slots > 1 {
        // Between two looks at the maps the kernel may have gone over to the next generation, in
        // which there are fewer slots; the first is always there.
        let steps = Steps::new(pick.family).identity(pick.via);
        let slot = steps.regs().slot;
        rules.push(endpoint(pick, steps.number(0, slot)).dnat(&why));
    }
    rules.push(Steps::new(pick.family).verdict(Verdict::Drop, "no endpoint any more"));
    rules
}

/// Keeps a client on its endpoint; forgets one that is gone; remembers a new one. What cannot be
/// remembered is balanced by the rules behind.
fn affinity_rules(pick: &Pick) -> Vec<Rule> {
    let timeout_ms = u64::from(pick.affinity) * 1000;
    let valid = if pick.local {
        SetId::LocalAffinityEndpoints
    } else {
        SetId::AffinityEndpoints
    };
    let remembered = || {
        let steps = Steps::new(pick.family).identity(pick.via).source();
        let source = steps.regs().source;
        steps.endpoint_by(SetId::Affinity, source)
    };
    let steps = remembered();
    let identity = steps.regs().address;
    let known = format!("endpoint by @{}", set_name(SetId::Affinity, pick.family));
    let new = format!("endpoint by @{}", set_name(endpoints(pick), pick.family));
    vec![
        steps
            .in_set(valid, identity)
            .remember(DynsetOp::Update, timeout_ms)
            .dnat(&known),
        remembered()
            .not_in_set(valid, identity)
            .remember(DynsetOp::Delete, 0)
            .rule("endpoint is gone"),
        chosen(pick)
            .endpoint_by(endpoints(pick), identity)
            .remember(DynsetOp::Update, timeout_ms)
            .dnat(&new),
    ]
}

/// Says where the identity is from that stands in the key, if nft does not show it.
fn identity_comment(pick: &Pick) -> String {
    let map = match pick.via {
        Via::Address => return String::new(),
        Via::External => SetId::External,
        Via::NodePort => SetId::NodePortIdentities,
    };
    format!("Service by @{}", set_name(map, pick.family))
}

/// Loads the identity and chooses a slot.
fn chosen(pick: &Pick) -> Steps {
    let steps = Steps::new(pick.family).identity(pick.via);
    let slot = steps.regs().slot;
    match pick.choice {
        Choice::Random if pick.slots == 1 => steps.number(0, slot),
        Choice::Random => steps.random(pick.slots),
        Choice::Source => steps.hash(false, pick.slots),
        Choice::SourceAndPort => steps.hash(true, pick.slots),
    }
}

/// The map from identity and slot to the endpoint.
fn endpoints(pick: &Pick) -> SetId {
    if pick.local {
        SetId::LocalEndpoints
    } else {
        SetId::Endpoints
    }
}

/// Turns identity and slot into the endpoint.
fn endpoint(pick: &Pick, steps: Steps) -> Steps {
    let (identity, slot) = (steps.regs().address, steps.regs().slot);
    steps.map(endpoints(pick), identity, slot)
}

fn outside_rules(pick: &Pick, slots: u32, settings: &NodeSettings) -> Vec<Rule> {
    let family = pick.family;
    let cluster = Shape::new(Kind::Pick(*pick)).name();
    let mut rules: Vec<Rule> = from_own_pods(family, &settings.detect_local)
        .into_iter()
        .map(|steps| steps.verdict(goto(&cluster), "own Pods take any endpoint"))
        .collect();
    // The source of this machine's own traffic is often the very address it connects to.
    rules.push(
        Steps::new(family)
            .source_is_local()
            .mark(settings.masquerade_mark)
            .verdict(goto(&cluster), "this node takes any endpoint"),
    );
    let steps = Steps::new(family);
    rules.push(match local_pick(*pick, slots) {
        Some(local) => steps.verdict(goto(&Shape::new(Kind::Pick(local)).name()), ""),
        None => steps.verdict(Verdict::Drop, "no endpoint on this node"),
    });
    rules
}

/// Conditions of which one holds for traffic of this node's own Pods.
fn from_own_pods(family: Family, detect: &DetectLocal) -> Vec<Steps> {
    let steps = || Steps::new(family);
    match detect {
        DetectLocal::None => Vec::new(),
        DetectLocal::Cidrs(ranges) => {
            let ours = ranges
                .iter()
                .filter(|range| range.is_ipv4() == (family == Family::Ipv4));
            ours.map(|range| {
                let steps = steps().source();
                let source = steps.regs().source;
                steps.in_range(source, range, false)
            })
            .collect()
        }
        DetectLocal::BridgeInterface(name) | DetectLocal::InterfaceNamePrefix(name)
            if name.is_empty() =>
        {
            Vec::new()
        }
        DetectLocal::BridgeInterface(name) => vec![steps().interface(name, true, false)],
        DetectLocal::InterfaceNamePrefix(name) => vec![steps().interface(name, false, false)],
    }
}

/// The condition that traffic is not of this node's own Pods; `None` without detection.
pub(super) fn not_from_own_pods(family: Family, detect: &DetectLocal) -> Option<Steps> {
    let steps = Steps::new(family);
    match detect {
        DetectLocal::None => None,
        DetectLocal::Cidrs(ranges) => {
            let mut ours = ranges
                .iter()
                .filter(|range| range.is_ipv4() == (family == Family::Ipv4))
                .peekable();
            ours.peek()?;
            Some(ours.fold(steps, |steps, range| {
                let source = steps.regs().source;
                steps.source().in_range(source, range, true)
            }))
        }
        DetectLocal::BridgeInterface(name) | DetectLocal::InterfaceNamePrefix(name)
            if name.is_empty() =>
        {
            None
        }
        DetectLocal::BridgeInterface(name) => Some(steps.interface(name, true, true)),
        DetectLocal::InterfaceNamePrefix(name) => Some(steps.interface(name, false, true)),
    }
}
