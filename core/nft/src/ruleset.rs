//! What a table holds.

use crate::{Data, Expr, Verdict};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Name of a table, chain or set.
pub type Name = Arc<str>;

/// Where a base chain is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// Packets that arrive, before routing
    Prerouting,
    /// Packets for this machine
    Input,
    /// Packets that pass through
    Forward,
    /// Packets of this machine's own
    Output,
    /// Packets that leave, after routing
    Postrouting,
}

/// `type` of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChainKind {
    /// Sees every packet
    Filter,
    /// Sees the first packet of a connection
    Nat,
}

/// How a chain is bound to a hook. The policy is always `accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Base {
    /// Type
    pub kind: ChainKind,
    /// Hook
    pub hook: Hook,
    /// Lower numbers come first; `dstnat` is -100, `filter` 0, `srcnat` 100, `raw` -300
    pub priority: i32,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Steps
    pub exprs: Vec<Expr>,
    /// Comment, for people; at most 128 bytes
    pub comment: Option<Arc<str>>,
}

/// One chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Where it is called from; `None` for one that others jump to
    pub base: Option<Base>,
    /// Rules in order
    pub rules: Vec<Rule>,
}

/// Type of one field of a key or value, which decides its length and how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldType {
    /// Four bytes
    Ipv4Addr,
    /// Sixteen bytes
    Ipv6Addr,
    /// One byte
    InetProto,
    /// Two bytes in network order
    InetService,
    /// A number of four bytes in the machine's order
    Mark,
}

impl FieldType {
    /// Number of its bytes.
    pub const fn width(self) -> usize {
        match self {
            Self::Ipv4Addr | Self::Mark => 4,
            Self::Ipv6Addr => 16,
            Self::InetProto => 1,
            Self::InetService => 2,
        }
    }

    /// Number of bytes of the registers that it fills.
    pub const fn padded(self) -> usize {
        self.width().next_multiple_of(4)
    }
}

/// What the elements of a set carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValue {
    /// Nothing: a set
    None,
    /// Fields: a map
    Fields(Arc<[FieldType]>),
    /// A verdict: a verdict map
    Verdict,
}

/// What a set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetSpec {
    /// Fields of the key
    pub key: Arc<[FieldType]>,
    /// What elements carry
    pub value: SetValue,
    /// Elements are added by rules and pass away (`flags dynamic,timeout`)
    pub dynamic: bool,
    /// Default life of an element in milliseconds; zero for ever
    pub timeout_ms: u64,
    /// Most elements; zero for no limit but memory
    pub size: u32,
    /// Each element counts packets and bytes
    pub counters: bool,
}

/// What an element carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing
    None,
    /// Bytes
    Data(Data),
    /// A verdict
    Verdict(Verdict),
}

/// One element of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Key
    pub key: Data,
    /// Value
    pub value: Value,
    /// Comment, for people; at most 128 bytes
    pub comment: Option<Arc<str>>,
    /// Life in milliseconds, for sets that have it; zero for the set's own
    pub timeout_ms: u64,
}

/// One set or map with its elements. The elements of a dynamic one are the kernel's own business
/// and are neither planned nor compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// What it is
    pub spec: SetSpec,
    /// Elements by key
    pub elements: BTreeMap<Data, Element>,
}

/// One table of the family `inet` with all that it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// Chains by name
    pub chains: BTreeMap<Name, Chain>,
    /// Sets by name
    pub sets: BTreeMap<Name, Set>,
}
