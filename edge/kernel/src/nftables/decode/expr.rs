//! Expressions.

use crate::netlink::Attrs;
use crate::nftables::decode::{registers, verdict};
use crate::nftables::numbers::{self, read_register};
use crate::nftables::wire::expr as wire;
use nft::{DynsetOp, Expr, Name, Reg, RejectWith};

/// An expression of a rule; what no plan could have made is [`Expr::Foreign`].
pub(super) fn expr(attrs: Attrs<'_>) -> Expr {
    let name = attrs.find(wire::NAME).and_then(|name| name.text());
    let name = name.unwrap_or_default();
    let parameters = attrs.find(wire::DATA);
    let parameters = parameters.map_or(Attrs::new(&[]), |attr| attr.nested());
    known(name, Parameters(parameters)).unwrap_or_else(|| Expr::Foreign(name.into()))
}

/// Parameters of an expression.
#[derive(Clone, Copy)]
struct Parameters<'a>(Attrs<'a>);

impl Parameters<'_> {
    fn number(self, kind: u16) -> Option<u32> {
        self.0.find(kind)?.be32()
    }

    fn reg(self, kind: u16) -> Option<Reg> {
        read_register(self.number(kind)?)
    }

    fn name(self, kind: u16) -> Option<Name> {
        self.0.find(kind)?.text().map(Into::into)
    }

    /// True when the attribute is missing or has that value.
    fn is(self, kind: u16, value: u32) -> bool {
        self.number(kind).is_none_or(|number| number == value)
    }

    /// True when nothing follows the attributes up to `last`.
    fn ends_at(self, last: u16) -> bool {
        let mut attrs = self.0;
        attrs.all(|attr| attr.kind <= last)
    }
}

fn known(name: &str, from: Parameters<'_>) -> Option<Expr> {
    match name {
        "payload" => Some(Expr::Payload {
            base: numbers::read_base(from.number(wire::PAYLOAD_BASE)?)?,
            offset: from.number(wire::PAYLOAD_OFFSET)?,
            len: from.number(wire::PAYLOAD_LEN)?,
            dreg: from.reg(wire::PAYLOAD_DREG)?,
        }),
        "meta" => meta(from),
        "ct" => ct(from),
        "immediate" => immediate(from),
        "cmp" => cmp(from),
        "bitwise" => bitwise(from),
        "lookup" => lookup(from),
        "numgen" => random(from),
        "hash" => hash(from),
        "fib" => fib(from),
        "dynset" => dynset(from),
        "nat" => nat(from),
        "masq" => masquerade(from),
        "reject" => reject(from),
        "notrack" => Some(Expr::Notrack),
        "counter" => Some(Expr::Counter),
        _ => None,
    }
}

fn meta(from: Parameters<'_>) -> Option<Expr> {
    let number = from.number(wire::META_KEY)?;
    if let Some(sreg) = from.reg(wire::META_SREG) {
        return (number == wire::META_MARK).then_some(Expr::SetMark { sreg });
    }
    Some(Expr::Meta {
        key: numbers::read_meta(number)?,
        dreg: from.reg(wire::META_DREG)?,
    })
}

fn ct(from: Parameters<'_>) -> Option<Expr> {
    let direction = from.0.find(wire::CT_DIRECTION).and_then(|attr| attr.u8());
    Some(Expr::Ct {
        key: numbers::read_ct(from.number(wire::CT_KEY)?, direction)?,
        dreg: from.reg(wire::CT_DREG)?,
    })
}

fn immediate(from: Parameters<'_>) -> Option<Expr> {
    match from.number(wire::IMMEDIATE_DREG)? {
        0 => verdict(from.0, wire::IMMEDIATE_DATA).map(Expr::Verdict),
        register => Some(Expr::Immediate {
            dreg: read_register(register)?,
            data: registers(from.0, wire::IMMEDIATE_DATA)?.0,
        }),
    }
}

fn cmp(from: Parameters<'_>) -> Option<Expr> {
    let (data, len) = registers(from.0, wire::CMP_DATA)?;
    Some(Expr::Cmp {
        op: numbers::read_cmp(from.number(wire::CMP_OP)?)?,
        sreg: from.reg(wire::CMP_SREG)?,
        data,
        len,
    })
}

fn bitwise(from: Parameters<'_>) -> Option<Expr> {
    if !from.is(wire::BITWISE_OP, 0) {
        return None;
    }
    let (mask, len) = registers(from.0, wire::BITWISE_MASK)?;
    let (xor, _) = registers(from.0, wire::BITWISE_XOR)?;
    Some(Expr::Bitwise {
        sreg: from.reg(wire::BITWISE_SREG)?,
        dreg: from.reg(wire::BITWISE_DREG)?,
        mask,
        xor,
        len,
    })
}

fn lookup(from: Parameters<'_>) -> Option<Expr> {
    let set = from.name(wire::LOOKUP_SET)?;
    let sreg = from.reg(wire::LOOKUP_SREG)?;
    let flags = from.number(wire::LOOKUP_FLAGS).unwrap_or_default();
    match (from.number(wire::LOOKUP_DREG), flags) {
        (None, 0 | wire::LOOKUP_INVERTED) => Some(Expr::InSet {
            set,
            sreg,
            inverted: flags == wire::LOOKUP_INVERTED,
        }),
        (Some(0), 0) => Some(Expr::VerdictMap { set, sreg }),
        (Some(dreg), 0) => Some(Expr::Map {
            set,
            sreg,
            dreg: read_register(dreg)?,
        }),
        _ => None,
    }
}

fn random(from: Parameters<'_>) -> Option<Expr> {
    let plain =
        from.number(wire::NUMGEN_TYPE)? == wire::NUMGEN_RANDOM && from.is(wire::NUMGEN_OFFSET, 0);
    let modulus = from.number(wire::NUMGEN_MODULUS)?;
    let dreg = from.reg(wire::NUMGEN_DREG)?;
    plain.then_some(Expr::Random { dreg, modulus })
}

fn hash(from: Parameters<'_>) -> Option<Expr> {
    if !from.is(wire::HASH_TYPE, wire::HASH_JENKINS) || !from.is(wire::HASH_OFFSET, 0) {
        return None;
    }
    Some(Expr::Hash {
        sreg: from.reg(wire::HASH_SREG)?,
        len: u8::try_from(from.number(wire::HASH_LEN)?).ok()?,
        dreg: from.reg(wire::HASH_DREG)?,
        modulus: from.number(wire::HASH_MODULUS)?,
        // Without one the kernel chose it.
        seed: from.number(wire::HASH_SEED)?,
    })
}

fn fib(from: Parameters<'_>) -> Option<Expr> {
    if from.number(wire::FIB_RESULT)? != wire::FIB_ADDRTYPE {
        return None;
    }
    Some(Expr::Fib {
        result: numbers::read_fib(from.number(wire::FIB_FLAGS)?)?,
        dreg: from.reg(wire::FIB_DREG)?,
    })
}

fn dynset(from: Parameters<'_>) -> Option<Expr> {
    let counts = from.is(wire::DYNSET_FLAGS, 0) || from.is(wire::DYNSET_FLAGS, wire::DYNSET_F_EXPR);
    if !counts || from.0.find(wire::DYNSET_EXPR).is_some() || !from.ends_at(wire::DYNSET_FLAGS) {
        return None;
    }
    let op = match from.number(wire::DYNSET_OP)? {
        0 => DynsetOp::Add,
        1 => DynsetOp::Update,
        2 => DynsetOp::Delete,
        _ => return None,
    };
    let timeout = from.0.find(wire::DYNSET_TIMEOUT);
    Some(Expr::Dynset {
        set: from.name(wire::DYNSET_SET)?,
        op,
        key: from.reg(wire::DYNSET_KEY)?,
        data: from.reg(wire::DYNSET_DATA),
        timeout_ms: timeout.and_then(|attr| attr.be64()).unwrap_or_default(),
    })
}

fn nat(from: Parameters<'_>) -> Option<Expr> {
    let address = from.number(wire::NAT_ADDR_MIN)?;
    let port = from.number(wire::NAT_PORT_MIN)?;
    let flags = from.number(wire::NAT_FLAGS).unwrap_or_default();
    let plain = from.number(wire::NAT_TYPE)? == wire::NAT_DNAT
        && from.is(wire::NAT_ADDR_MAX, address)
        && from.is(wire::NAT_PORT_MAX, port)
        && flags & !wire::NAT_GIVEN == 0;
    let dnat = Expr::Dnat {
        family: numbers::read_family(from.number(wire::NAT_FAMILY)?)?,
        address: read_register(address)?,
        port: read_register(port)?,
    };
    plain.then_some(dnat)
}

fn masquerade(from: Parameters<'_>) -> Option<Expr> {
    let flags = from.number(wire::MASQ_FLAGS).unwrap_or_default();
    let fully_random = flags == wire::MASQ_FULLY_RANDOM;
    let plain = (flags == 0 || fully_random) && from.ends_at(wire::MASQ_FLAGS);
    plain.then_some(Expr::Masquerade { fully_random })
}

fn reject(from: Parameters<'_>) -> Option<Expr> {
    let code = from.0.find(wire::REJECT_CODE).and_then(|attr| attr.u8());
    match (from.number(wire::REJECT_TYPE)?, code) {
        (wire::REJECT_ICMPX, Some(wire::REJECT_PORT_UNREACH)) => {
            Some(Expr::Reject(RejectWith::PortUnreachable))
        }
        (wire::REJECT_TCP_RST, _) => Some(Expr::Reject(RejectWith::TcpReset)),
        _ => None,
    }
}
