//! Expressions as attributes.

use crate::netlink::Writer;
use crate::nftables::encode::{data_value, verdict};
use crate::nftables::numbers::{self, register};
use crate::nftables::wire::expr as wire;
use nft::{Data, DynsetOp, Expr, Family, Reg, RejectWith};

/// Writes the name of an expression and its parameters.
pub(super) fn expr(writer: &mut Writer, expr: &Expr) {
    writer.text(wire::NAME, name(expr));
    writer.nest(wire::DATA, |writer| parameters(writer, expr));
}

/// Name that the kernel knows an expression by.
pub(super) fn name(expr: &Expr) -> &str {
    match expr {
        Expr::Payload { .. } => "payload",
        Expr::Meta { .. } | Expr::SetMark { .. } => "meta",
        Expr::Ct { .. } => "ct",
        Expr::Immediate { .. } | Expr::Verdict(_) => "immediate",
        Expr::Cmp { .. } => "cmp",
        Expr::Bitwise { .. } => "bitwise",
        Expr::InSet { .. } | Expr::Map { .. } | Expr::VerdictMap { .. } => "lookup",
        Expr::Random { .. } => "numgen",
        Expr::Hash { .. } => "hash",
        Expr::Fib { .. } => "fib",
        Expr::Dynset { .. } => "dynset",
        Expr::Dnat { .. } => "nat",
        Expr::Masquerade { .. } => "masq",
        Expr::Reject(_) => "reject",
        Expr::Notrack => "notrack",
        Expr::Counter => "counter",
        Expr::Foreign(name) => name,
    }
}

fn parameters(writer: &mut Writer, expr: &Expr) {
    match expr {
        Expr::Payload {
            base,
            offset,
            len,
            dreg,
        } => {
            writer.be32(wire::PAYLOAD_DREG, register(*dreg));
            writer.be32(wire::PAYLOAD_BASE, numbers::base(*base));
            writer.be32(wire::PAYLOAD_OFFSET, *offset);
            writer.be32(wire::PAYLOAD_LEN, *len);
        }
        Expr::Meta { key, dreg } => {
            writer.be32(wire::META_DREG, register(*dreg));
            writer.be32(wire::META_KEY, numbers::meta(*key));
        }
        Expr::SetMark { sreg } => {
            writer.be32(wire::META_KEY, wire::META_MARK);
            writer.be32(wire::META_SREG, register(*sreg));
        }
        Expr::Ct { key, dreg } => {
            let (key, direction) = numbers::ct(*key);
            writer.be32(wire::CT_DREG, register(*dreg));
            writer.be32(wire::CT_KEY, key);
            if let Some(direction) = direction {
                writer.u8(wire::CT_DIRECTION, direction);
            }
        }
        Expr::Immediate { dreg, data } => {
            writer.be32(wire::IMMEDIATE_DREG, register(*dreg));
            data_value(writer, wire::IMMEDIATE_DATA, data.as_slice());
        }
        Expr::Verdict(value) => {
            // `NFT_REG_VERDICT`
            writer.be32(wire::IMMEDIATE_DREG, 0);
            writer.nest(wire::IMMEDIATE_DATA, |writer| verdict(writer, value));
        }
        Expr::Cmp {
            op,
            sreg,
            data,
            len,
        } => {
            writer.be32(wire::CMP_SREG, register(*sreg));
            writer.be32(wire::CMP_OP, numbers::cmp(*op));
            data_value(writer, wire::CMP_DATA, first(data, *len));
        }
        Expr::Bitwise { .. } => bitwise(writer, expr),
        Expr::InSet { .. } | Expr::Map { .. } | Expr::VerdictMap { .. } => lookup(writer, expr),
        Expr::Random { dreg, modulus } => {
            writer.be32(wire::NUMGEN_DREG, register(*dreg));
            writer.be32(wire::NUMGEN_MODULUS, *modulus);
            writer.be32(wire::NUMGEN_TYPE, wire::NUMGEN_RANDOM);
            writer.be32(wire::NUMGEN_OFFSET, 0);
        }
        Expr::Hash { .. } => hash(writer, expr),
        Expr::Fib { result, dreg } => {
            writer.be32(wire::FIB_DREG, register(*dreg));
            writer.be32(wire::FIB_RESULT, wire::FIB_ADDRTYPE);
            writer.be32(wire::FIB_FLAGS, numbers::fib(*result));
        }
        Expr::Dynset { .. } => dynset(writer, expr),
        Expr::Dnat {
            family,
            address,
            port,
        } => dnat(writer, *family, *address, *port),
        Expr::Masquerade { fully_random: true } => {
            writer.be32(wire::MASQ_FLAGS, wire::MASQ_FULLY_RANDOM);
        }
        Expr::Reject(with) => reject(writer, *with),
        Expr::Masquerade { .. } | Expr::Notrack | Expr::Counter | Expr::Foreign(_) => {}
    }
}

fn first(data: &Data, len: u8) -> &[u8] {
    let bytes = data.as_slice();
    bytes.get(..usize::from(len)).unwrap_or(bytes)
}

fn bitwise(writer: &mut Writer, expr: &Expr) {
    let Expr::Bitwise {
        sreg,
        dreg,
        mask,
        xor,
        len,
    } = expr
    else {
        return;
    };
    writer.be32(wire::BITWISE_SREG, register(*sreg));
    writer.be32(wire::BITWISE_DREG, register(*dreg));
    writer.be32(wire::BITWISE_LEN, u32::from(*len));
    writer.be32(wire::BITWISE_OP, 0);
    data_value(writer, wire::BITWISE_MASK, first(mask, *len));
    data_value(writer, wire::BITWISE_XOR, first(xor, *len));
}

fn lookup(writer: &mut Writer, expr: &Expr) {
    match expr {
        Expr::InSet {
            set,
            sreg,
            inverted,
        } => {
            writer.text(wire::LOOKUP_SET, set);
            writer.be32(wire::LOOKUP_SREG, register(*sreg));
            if *inverted {
                writer.be32(wire::LOOKUP_FLAGS, wire::LOOKUP_INVERTED);
            }
        }
        Expr::Map { set, sreg, dreg } => {
            writer.text(wire::LOOKUP_SET, set);
            writer.be32(wire::LOOKUP_SREG, register(*sreg));
            writer.be32(wire::LOOKUP_DREG, register(*dreg));
        }
        Expr::VerdictMap { set, sreg } => {
            writer.text(wire::LOOKUP_SET, set);
            writer.be32(wire::LOOKUP_SREG, register(*sreg));
            writer.be32(wire::LOOKUP_DREG, 0);
        }
        _ => {}
    }
}

fn hash(writer: &mut Writer, expr: &Expr) {
    let Expr::Hash {
        sreg,
        len,
        dreg,
        modulus,
        seed,
    } = expr
    else {
        return;
    };
    writer.be32(wire::HASH_SREG, register(*sreg));
    writer.be32(wire::HASH_DREG, register(*dreg));
    writer.be32(wire::HASH_LEN, u32::from(*len));
    writer.be32(wire::HASH_MODULUS, *modulus);
    writer.be32(wire::HASH_SEED, *seed);
    writer.be32(wire::HASH_TYPE, wire::HASH_JENKINS);
}

fn dynset(writer: &mut Writer, expr: &Expr) {
    let Expr::Dynset {
        set,
        op,
        key,
        data,
        timeout_ms,
    } = expr
    else {
        return;
    };
    let op = match op {
        DynsetOp::Add => 0,
        DynsetOp::Update => 1,
        DynsetOp::Delete => 2,
    };
    writer.text(wire::DYNSET_SET, set);
    writer.be32(wire::DYNSET_OP, op);
    writer.be32(wire::DYNSET_KEY, register(*key));
    if let Some(data) = data {
        writer.be32(wire::DYNSET_DATA, register(*data));
    }
    if *timeout_ms != 0 {
        writer.be64(wire::DYNSET_TIMEOUT, *timeout_ms);
    }
}

fn dnat(writer: &mut Writer, family: Family, address: Reg, port: Reg) {
    writer.be32(wire::NAT_TYPE, wire::NAT_DNAT);
    writer.be32(wire::NAT_FAMILY, numbers::family(family));
    writer.be32(wire::NAT_ADDR_MIN, register(address));
    writer.be32(wire::NAT_PORT_MIN, register(port));
}

fn reject(writer: &mut Writer, with: RejectWith) {
    match with {
        RejectWith::PortUnreachable => {
            writer.be32(wire::REJECT_TYPE, wire::REJECT_ICMPX);
            writer.u8(wire::REJECT_CODE, wire::REJECT_PORT_UNREACH);
        }
        RejectWith::TcpReset => {
            writer.be32(wire::REJECT_TYPE, wire::REJECT_TCP_RST);
        }
    }
}
