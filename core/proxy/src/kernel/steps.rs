//! Rules, written step by step.
//!
//! Registers hold, for each family, source address, identity (address, protocol, port), and slot
//! or endpoint, in that order without gaps, so that every key of every map is a run of registers:
//!
//! | | source | address | protocol | port | slot or endpoint's address | endpoint's port |
//! |---|---|---|---|---|---|---|
//! | IPv4 | 0 | 1 | 2 | 3 | 4 | 5 |
//! | IPv6 | 0-3 | 4-7 | 8 | 9 | 10-13 | 14 |
//!
//! Register 15 is scratch; what else lies idle serves to bring results of maps into keys (see
//! `results.rs`). Newer kernels check each rule on its own, so each loads all it reads.

use super::sets::{SetId, set_name};
use model::Cidr;
use nft::{
    CmpOp, CtDirection, CtKey, Data, DynsetOp, Expr, Family, FibResult, MetaKey, Name, PayloadBase,
    Reg, RejectWith, Rule, Verdict,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `RTN_LOCAL` of the kernel's `rtnetlink.h`.
const RTN_LOCAL: u32 = 2;
const SCRATCH: Reg = Reg(15);

/// How a packet's destination leads to the identity of a Service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Via {
    /// It is the identity
    Address,
    /// By map `external`
    External,
    /// By map `nodeport-identities`
    NodePort,
}

/// Number of a protocol field of the IP header, network order registers of one family.
#[derive(Clone, Copy)]
pub(super) struct Regs {
    pub(super) source: Reg,
    pub(super) address: Reg,
    pub(super) protocol: Reg,
    pub(super) port: Reg,
    pub(super) slot: Reg,
    pub(super) endpoint_port: Reg,
}

pub(super) fn regs(family: Family) -> Regs {
    let words = address_len(family) as u8 / 4;
    Regs {
        source: Reg(0),
        address: Reg(words),
        protocol: Reg(2 * words),
        port: Reg(2 * words + 1),
        slot: Reg(2 * words + 2),
        endpoint_port: Reg(3 * words + 2),
    }
}

/// Bytes of an address.
pub(super) fn address_len(family: Family) -> u32 {
    family.address_bytes() as u32
}

/// The family of an address.
pub(super) fn family_of(address: IpAddr) -> Family {
    if address.is_ipv4() {
        Family::Ipv4
    } else {
        Family::Ipv6
    }
}

/// A rule in the making.
pub(super) struct Steps {
    family: Family,
    regs: Regs,
    exprs: Vec<Expr>,
}

impl Steps {
    pub(super) fn new(family: Family) -> Self {
        Self {
            family,
            regs: regs(family),
            exprs: Vec::new(),
        }
    }

    pub(super) fn then(mut self, expr: Expr) -> Self {
        self.exprs.push(expr);
        self
    }

    pub(super) fn rule(self, comment: &str) -> Rule {
        Rule {
            exprs: self.exprs,
            comment: (!comment.is_empty()).then(|| comment.into()),
        }
    }

    /// The finished rule with this verdict.
    pub(super) fn verdict(self, verdict: Verdict, comment: &str) -> Rule {
        self.then(Expr::Verdict(verdict)).rule(comment)
    }

    /// Only packets of the family; needed where a chain is not reached by family.
    pub(super) fn of_family(self) -> Self {
        let number = match self.family {
            Family::Ipv4 => 2,
            Family::Ipv6 => 10,
        };
        self.meta(MetaKey::NfProto, SCRATCH)
            .compare(CmpOp::Eq, SCRATCH, &[number])
    }

    fn meta(self, key: MetaKey, dreg: Reg) -> Self {
        self.then(Expr::Meta { key, dreg })
    }

    fn compare(self, op: CmpOp, sreg: Reg, bytes: &[u8]) -> Self {
        self.then(Expr::Cmp {
            op,
            sreg,
            data: Data::new(bytes),
            len: bytes.len() as u8,
        })
    }

    pub(super) fn load(self, base: PayloadBase, offset: u32, len: u32, dreg: Reg) -> Self {
        self.then(Expr::Payload {
            base,
            offset,
            len,
            dreg,
        })
    }

    /// Source address into `dreg`.
    pub(super) fn source_into(self, dreg: Reg) -> Self {
        let offset = match self.family {
            Family::Ipv4 => 12,
            Family::Ipv6 => 8,
        };
        let len = address_len(self.family);
        self.load(PayloadBase::Network, offset, len, dreg)
    }

    /// Destination address into `dreg`.
    pub(super) fn destination_into(self, dreg: Reg) -> Self {
        let offset = match self.family {
            Family::Ipv4 => 16,
            Family::Ipv6 => 24,
        };
        let len = address_len(self.family);
        self.load(PayloadBase::Network, offset, len, dreg)
    }

    /// Source address into its place.
    pub(super) fn source(self) -> Self {
        let dreg = self.regs.source;
        self.source_into(dreg)
    }

    /// Source port into the place of the port.
    pub(super) fn source_port_as_port(self) -> Self {
        let dreg = self.regs.port;
        self.load(PayloadBase::Transport, 0, 2, dreg)
    }

    /// Destination address into its place.
    pub(super) fn destination(self) -> Self {
        let dreg = self.regs.address;
        self.destination_into(dreg)
    }

    /// Protocol and destination port into their places.
    pub(super) fn protocol_and_port(self) -> Self {
        let port = self.regs.port;
        self.protocol().load(PayloadBase::Transport, 2, 2, port)
    }

    /// Protocol into its place.
    pub(super) fn protocol(self) -> Self {
        let dreg = self.regs.protocol;
        self.meta(MetaKey::L4Proto, dreg)
    }

    /// Address, protocol and port of the destination into their places.
    pub(super) fn frontend(self) -> Self {
        self.destination().protocol_and_port()
    }

    /// The identity of the Service port into its place.
    pub(super) fn identity(self, via: Via) -> Self {
        let Regs {
            address, protocol, ..
        } = self.regs;
        match via {
            Via::Address => self.frontend(),
            Via::External => self.frontend().identity_by(SetId::External, address),
            Via::NodePort => self
                .frontend()
                .identity_by(SetId::NodePortIdentities, protocol),
        }
    }

    /// The value of a map, which is asked with the registers from `sreg` on.
    pub(super) fn map(self, set: SetId, sreg: Reg, dreg: Reg) -> Self {
        let set = set_name(set, self.family);
        self.then(Expr::Map { set, sreg, dreg })
    }

    /// Ends with the verdict of the map.
    pub(super) fn verdict_map(self, set: SetId, sreg: Reg, comment: &str) -> Rule {
        let set = set_name(set, self.family);
        self.then(Expr::VerdictMap { set, sreg }).rule(comment)
    }

    /// Only if the registers from `sreg` on are in the set.
    pub(super) fn in_set(self, set: SetId, sreg: Reg) -> Self {
        self.lookup(set, sreg, false)
    }

    /// Only if they are not.
    pub(super) fn not_in_set(self, set: SetId, sreg: Reg) -> Self {
        self.lookup(set, sreg, true)
    }

    fn lookup(self, set: SetId, sreg: Reg, inverted: bool) -> Self {
        let set = set_name(set, self.family);
        self.then(Expr::InSet {
            set,
            sreg,
            inverted,
        })
    }

    /// A constant number.
    pub(super) fn number(self, number: u32, dreg: Reg) -> Self {
        let data = Data::EMPTY.number(number);
        self.then(Expr::Immediate { dreg, data })
    }

    /// A random number below `modulus` in the place of the slot.
    pub(super) fn random(self, modulus: u32) -> Self {
        let dreg = self.regs.slot;
        self.then(Expr::Random { dreg, modulus })
    }

    /// The hash of the source address, and of its port if that counts too, below `modulus`, in
    /// the place of the slot. Takes the registers behind it.
    pub(super) fn hash(self, with_port: bool, modulus: u32) -> Self {
        let slot = self.regs.slot;
        let address = address_len(self.family) as u8;
        let (first, behind) = (Reg(slot.0 + 1), Reg(slot.0 + 1 + address / 4));
        let steps = self.source_into(first);
        let (steps, len) = match with_port {
            true => (
                steps.load(PayloadBase::Transport, 0, 2, behind),
                address + 4,
            ),
            false => (steps, address),
        };
        steps.then(Expr::Hash {
            sreg: first,
            len,
            dreg: slot,
            modulus,
            // The same on every node, so that all of them choose alike.
            seed: 0x706f_7274,
        })
    }

    /// Changes the map from (source, identity) to an endpoint.
    pub(super) fn remember(self, op: DynsetOp, timeout_ms: u64) -> Self {
        let (key, data) = (self.regs.source, self.regs.slot);
        let set = set_name(SetId::Affinity, self.family);
        self.then(Expr::Dynset {
            set,
            op,
            key,
            // Also to delete, the kernel wants to know where a map's value would come from.
            data: Some(data),
            timeout_ms: if op == DynsetOp::Delete {
                0
            } else {
                timeout_ms
            },
        })
    }

    /// Sends the connection to the endpoint.
    pub(super) fn dnat(self, comment: &str) -> Rule {
        let (family, address, port) = (self.family, self.regs.slot, self.regs.endpoint_port);
        self.then(Expr::Dnat {
            family,
            address,
            port,
        })
        .rule(comment)
    }

    /// Sets these bits of the packet mark.
    pub(super) fn mark(self, bits: u32) -> Self {
        self.meta(MetaKey::Mark, SCRATCH)
            .bitwise_number(!bits, bits)
            .then(Expr::SetMark { sreg: SCRATCH })
    }

    /// Only packets with one of these bits in their mark; clears the bits.
    pub(super) fn take_mark(self, bits: u32) -> Self {
        self.meta(MetaKey::Mark, SCRATCH)
            .bitwise_number(bits, 0)
            .compare(CmpOp::Neq, SCRATCH, &0u32.to_ne_bytes())
            .meta(MetaKey::Mark, SCRATCH)
            .bitwise_number(!bits, 0)
            .then(Expr::SetMark { sreg: SCRATCH })
    }

    /// Only connections whose destination was rewritten.
    pub(super) fn rewritten(self) -> Self {
        let key = CtKey::Status;
        self.then(Expr::Ct { key, dreg: SCRATCH })
            .bitwise_number(nft::status::DNAT, 0)
            .compare(CmpOp::Neq, SCRATCH, &0u32.to_ne_bytes())
    }

    fn bitwise_number(self, mask: u32, xor: u32) -> Self {
        self.then(Expr::Bitwise {
            sreg: SCRATCH,
            dreg: SCRATCH,
            mask: Data::EMPTY.number(mask),
            xor: Data::EMPTY.number(xor),
            len: 4,
        })
    }

    /// Rewrites the source.
    pub(super) fn masquerade(self, fully_random: bool, comment: &str) -> Rule {
        self.then(Expr::Masquerade { fully_random }).rule(comment)
    }

    /// Refuses.
    pub(super) fn reject(self, with: RejectWith, comment: &str) -> Rule {
        self.then(Expr::Reject(with)).rule(comment)
    }

    /// Leaves the packet untracked.
    pub(super) fn notrack(self, comment: &str) -> Rule {
        self.then(Expr::Notrack).rule(comment)
    }

    /// Only packets whose source address is one of this machine.
    pub(super) fn source_is_local(self) -> Self {
        self.fib(FibResult::SourceType)
    }

    /// Only packets whose destination is a local address outside loopback.
    pub(super) fn destination_is_local(self) -> Self {
        let family = self.family;
        let steps = self.fib(FibResult::DestinationType).destination();
        let (address, scratch) = (steps.regs.address, steps.regs.slot);
        match family {
            Family::Ipv4 => {
                steps
                    .mask(address, scratch, 8)
                    .compare(CmpOp::Neq, scratch, &[127, 0, 0, 0])
            }
            Family::Ipv6 => steps.compare(CmpOp::Neq, address, &Ipv6Addr::LOCALHOST.octets()),
        }
    }

    fn fib(self, result: FibResult) -> Self {
        let dreg = SCRATCH;
        self.then(Expr::Fib { result, dreg })
            .compare(CmpOp::Eq, SCRATCH, &RTN_LOCAL.to_ne_bytes())
    }

    /// `dreg` becomes the leading bits of the address in `sreg`.
    pub(super) fn mask(self, sreg: Reg, dreg: Reg, prefix: u8) -> Self {
        let mask = prefix_mask(self.family, prefix);
        let len = address_len(self.family) as u8;
        let zeros = Data::new(&[0; 16][..usize::from(len)]);
        self.then(Expr::Bitwise {
            sreg,
            dreg,
            mask: Data::EMPTY.address(mask),
            xor: zeros,
            len,
        })
    }

    /// Only if the address loaded into `sreg` lies in the range (outside, when `inverted`); the
    /// register is masked.
    pub(super) fn in_range(self, sreg: Reg, range: &Cidr, inverted: bool) -> Self {
        let op = if inverted { CmpOp::Neq } else { CmpOp::Eq };
        let base = Data::EMPTY.address(range.base());
        self.mask(sreg, sreg, range.prefix())
            .compare(op, sreg, base.as_slice())
    }

    /// Only packets that come in on an interface of this name (or whose name begins so); on
    /// another one, when `inverted`.
    pub(super) fn interface(self, name: &str, whole: bool, inverted: bool) -> Self {
        let op = if inverted { CmpOp::Neq } else { CmpOp::Eq };
        let mut bytes = name.as_bytes().to_vec();
        bytes.truncate(15);
        if whole {
            bytes.resize(16, 0);
        }
        let dreg = self.regs.source;
        self.meta(MetaKey::IifName, dreg).compare(op, dreg, &bytes)
    }

    /// Where the connection was going to, into the place of the destination.
    pub(super) fn original_destination(self) -> Self {
        let Regs {
            address,
            protocol,
            port,
            ..
        } = self.regs;
        let original = CtDirection::Original;
        let family = self.family;
        self.ct(CtKey::DstIp(family, original), address)
            .ct(CtKey::Protocol, protocol)
            .ct(CtKey::ProtoDst(original), port)
    }

    /// Only packets of the original direction.
    pub(super) fn original_direction(self) -> Self {
        self.ct(CtKey::Direction, SCRATCH)
            .compare(CmpOp::Eq, SCRATCH, &[0])
    }

    fn ct(self, key: CtKey, dreg: Reg) -> Self {
        self.then(Expr::Ct { key, dreg })
    }

    /// Only this protocol, which is loaded into its place.
    pub(super) fn only_protocol(self, number: u8) -> Self {
        let sreg = self.regs.protocol;
        self.protocol().compare(CmpOp::Eq, sreg, &[number])
    }

    /// Only this port, which was loaded into its place.
    pub(super) fn only_port(self, number: u16) -> Self {
        let sreg = self.regs.port;
        self.compare(CmpOp::Eq, sreg, &number.to_be_bytes())
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    /// Registers of the family.
    pub(super) fn regs(&self) -> Regs {
        self.regs
    }
}

/// `jump` to a chain.
pub(super) fn jump(chain: &str) -> Verdict {
    Verdict::Jump(Name::from(chain))
}

/// `goto` a chain.
pub(super) fn goto(chain: &str) -> Verdict {
    Verdict::Goto(Name::from(chain))
}

fn prefix_mask(family: Family, prefix: u8) -> IpAddr {
    match family {
        Family::Ipv4 => {
            let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(!host))
        }
        Family::Ipv6 => {
            let host = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(!host))
        }
    }
}
