//! Expressions, the steps of a rule.

use crate::{Data, Name};

/// One of the sixteen 32-bit registers, `NFT_REG32_00` upwards: 0 to 15. Longer values fill the
/// registers that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(pub u8);

/// Address family of a NAT statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `NFPROTO_IPV4`
    Ipv4,
    /// `NFPROTO_IPV6`
    Ipv6,
}

impl Family {
    /// Bytes of an address.
    pub const fn address_bytes(self) -> usize {
        match self {
            Self::Ipv4 => 4,
            Self::Ipv6 => 16,
        }
    }
}

/// Where payload offsets count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PayloadBase {
    /// The IP header
    Network,
    /// The TCP, UDP or SCTP header
    Transport,
}

/// `meta` keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetaKey {
    /// `nfproto`, one byte: 2 IPv4, 10 IPv6
    NfProto,
    /// `l4proto`, one byte
    L4Proto,
    /// Packet mark, number in the machine's order
    Mark,
    /// Name of the input interface, 16 bytes padded with zeros
    IifName,
    /// Name of the output interface
    OifName,
}

impl MetaKey {
    /// Bytes that it loads.
    pub const fn bytes(self) -> usize {
        match self {
            Self::NfProto | Self::L4Proto => 1,
            Self::Mark => 4,
            Self::IifName | Self::OifName => 16,
        }
    }
}

/// Direction of a connection that a `ct` key may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CtDirection {
    /// `original`
    Original,
    /// `reply`
    Reply,
}

/// `ct` keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CtKey {
    /// Bits of [`state`], in the machine's order
    State,
    /// Bits of [`status`], in the machine's order
    Status,
    /// Direction of this packet, one byte: 0 original, 1 reply
    Direction,
    /// Mark of the connection
    Mark,
    /// Source address of a direction (`NFT_CT_SRC_IP`, `NFT_CT_SRC_IP6`)
    SrcIp(Family, CtDirection),
    /// Destination address of a direction (`NFT_CT_DST_IP`, `NFT_CT_DST_IP6`)
    DstIp(Family, CtDirection),
    /// Layer-4 protocol, one byte
    Protocol,
    /// Source port of a direction
    ProtoSrc(CtDirection),
    /// Destination port of a direction
    ProtoDst(CtDirection),
}

impl CtKey {
    /// Bytes that it loads.
    pub const fn bytes(self) -> usize {
        match self {
            Self::State | Self::Status | Self::Mark => 4,
            Self::Direction | Self::Protocol => 1,
            Self::ProtoSrc(_) | Self::ProtoDst(_) => 2,
            Self::SrcIp(family, _) | Self::DstIp(family, _) => family.address_bytes(),
        }
    }
}

/// Bits of `ct state`, as nf_tables counts them.
pub mod state {
    /// Belongs to no valid connection
    pub const INVALID: u32 = 1;
    /// Part of a connection that has been seen in both directions
    pub const ESTABLISHED: u32 = 2;
    /// Opens a connection that another one expects, or is an error about one
    pub const RELATED: u32 = 4;
    /// Opens a connection
    pub const NEW: u32 = 8;
    /// Not tracked
    pub const UNTRACKED: u32 = 64;
}

/// Bits of `ct status` (`enum ip_conntrack_status`).
pub mod status {
    /// The source was rewritten
    pub const SNAT: u32 = 1 << 4;
    /// The destination was rewritten
    pub const DNAT: u32 = 1 << 5;
}

/// Comparisons; both sides are compared as bytes from the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CmpOp {
    /// Equal
    Eq,
    /// Not equal
    Neq,
    /// Less
    Lt,
    /// Less or equal
    Lte,
    /// Greater
    Gt,
    /// Greater or equal
    Gte,
}

/// What `fib` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FibResult {
    /// `type` of the source address: `RTN_UNICAST` 1, `RTN_LOCAL` 2, …, in the machine's order
    SourceType,
    /// `type` of the destination address
    DestinationType,
}

/// How a set is changed from a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DynsetOp {
    /// Add the element if it is missing
    Add,
    /// Add the element if it is missing, and begin its timeout anew; an element that is there
    /// keeps its value
    Update,
    /// Remove the element
    Delete,
}

/// How a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectWith {
    /// ICMP or ICMPv6 "port unreachable", which a TCP client reads as "connection refused"
    PortUnreachable,
    /// A TCP segment with RST; only for TCP
    TcpReset,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Goes on to the next base chain
    Accept,
    /// Vanishes
    Drop,
    /// Goes on behind the rule that jumped here
    Return,
    /// Goes through that chain and comes back
    Jump(Name),
    /// Goes through that chain and does not come back here
    Goto(Name),
}

/// One step of a rule. A step that does not hold ends its rule, and the next rule is tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expr {
    /// Loads bytes of the packet; a packet that is too short ends the rule
    Payload {
        /// Where to count from
        base: PayloadBase,
        /// First byte
        offset: u32,
        /// Number of bytes
        len: u32,
        /// First register to fill
        dreg: Reg,
    },
    /// Loads a fact about the packet
    Meta {
        /// Which
        key: MetaKey,
        /// First register to fill
        dreg: Reg,
    },
    /// Sets the packet mark
    SetMark {
        /// Register with the new mark
        sreg: Reg,
    },
    /// Loads a fact about the connection; without a connection it ends the rule
    Ct {
        /// Which
        key: CtKey,
        /// First register to fill
        dreg: Reg,
    },
    /// Loads a constant
    Immediate {
        /// First register to fill
        dreg: Reg,
        /// The constant
        data: Data,
    },
    /// Ends the rule with a verdict
    Verdict(Verdict),
    /// Goes on if the comparison holds
    Cmp {
        /// Comparison
        op: CmpOp,
        /// First register of the left side
        sreg: Reg,
        /// Right side; its length says how many bytes are compared
        data: Data,
        /// Number of bytes, for those that end within a register
        len: u8,
    },
    /// `dreg = (sreg & mask) ^ xor`
    Bitwise {
        /// First register to read
        sreg: Reg,
        /// First register to fill
        dreg: Reg,
        /// Bits to keep
        mask: Data,
        /// Bits to flip
        xor: Data,
        /// Number of bytes
        len: u8,
    },
    /// Goes on if the key is in the set (not in it, when `inverted`); no value is read
    InSet {
        /// Set
        set: Name,
        /// First register of the key
        sreg: Reg,
        /// Whether the key must be missing
        inverted: bool,
    },
    /// Loads the value of the key; ends the rule if the key is missing
    Map {
        /// Map
        set: Name,
        /// First register of the key
        sreg: Reg,
        /// First register to fill
        dreg: Reg,
    },
    /// Ends the rule with the verdict of the key; goes to the next rule if the key is missing
    VerdictMap {
        /// Map of verdicts
        set: Name,
        /// First register of the key
        sreg: Reg,
    },
    /// Loads a random number below `modulus`, in the machine's order
    Random {
        /// Register to fill
        dreg: Reg,
        /// Exclusive upper bound
        modulus: u32,
    },
    /// Loads the hash of registers (`jhash`) modulo `modulus`, in the machine's order
    Hash {
        /// First register to read
        sreg: Reg,
        /// Number of bytes
        len: u8,
        /// Register to fill
        dreg: Reg,
        /// Exclusive upper bound
        modulus: u32,
        /// Seed
        seed: u32,
    },
    /// Loads what the routing table says
    Fib {
        /// What to ask
        result: FibResult,
        /// Register to fill
        dreg: Reg,
    },
    /// Changes the set; a set that is full ends the rule
    Dynset {
        /// Set or map
        set: Name,
        /// How
        op: DynsetOp,
        /// First register of the key
        key: Reg,
        /// First register of the value, for maps; the kernel asks for it also to delete
        data: Option<Reg>,
        /// Life of the element in milliseconds; zero for the set's own
        timeout_ms: u64,
    },
    /// Rewrites the destination and ends with `accept`
    Dnat {
        /// Family of the address
        family: Family,
        /// First register of the address
        address: Reg,
        /// Register of the port
        port: Reg,
    },
    /// Rewrites the source to the output interface's address and ends with `accept`
    Masquerade {
        /// Choose the port at random (`fully-random`)
        fully_random: bool,
    },
    /// Refuses the packet
    Reject(RejectWith),
    /// Keeps the packet from being tracked
    Notrack,
    /// Counts packets and bytes
    Counter,
    /// Read from a kernel, and none of the above: somebody else's. No plan holds it, so a rule
    /// with it never equals a planned one
    Foreign(Name),
}
