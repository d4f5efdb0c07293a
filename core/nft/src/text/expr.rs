//! Expressions as text. What a register was loaded with decides how constants beside it read.

use super::fields::{Duration, Field, Hex};
use crate::{
    CmpOp, CtDirection, CtKey, Data, DynsetOp, Expr, Family, FibResult, FieldType, MetaKey,
    PayloadBase, Reg, RejectWith, state, status,
};
use std::fmt::{self, Display, Formatter, Write};

/// What registers hold, as far as the rule said so.
#[derive(Default)]
pub(super) struct Known {
    registers: [Kind; 16],
}

/// How a constant reads.
#[derive(Clone, Copy, Default)]
enum Kind {
    #[default]
    Bytes,
    Field(FieldType),
    Number,
    Mask,
    Text,
    Family,
    Bits(&'static [(u32, &'static str)]),
    AddressType,
    Direction,
}

const STATES: &[(u32, &str)] = &[
    (state::INVALID, "invalid"),
    (state::ESTABLISHED, "established"),
    (state::RELATED, "related"),
    (state::NEW, "new"),
    (state::UNTRACKED, "untracked"),
];
const STATUSES: &[(u32, &str)] = &[(status::SNAT, "snat"), (status::DNAT, "dnat")];

impl Display for Reg {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// The expression alone: constants read as bytes.
impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Known::default().write(self, f)
    }
}

impl Known {
    /// Writes one expression and keeps what it loads.
    pub(super) fn write(&mut self, expr: &Expr, f: &mut Formatter<'_>) -> fmt::Result {
        match expr {
            Expr::Payload {
                base,
                offset,
                len,
                dreg,
            } => {
                let (word, kind) = payload(*base, *offset, *len);
                self.set(*dreg, kind);
                match word {
                    Some(word) => write!(f, "{dreg} = {word}"),
                    None => write!(f, "{dreg} = {}", RawPayload(*base, *offset, *len)),
                }
            }
            Expr::Meta { key, dreg } => {
                let (word, kind) = meta(*key);
                self.set(*dreg, kind);
                write!(f, "{dreg} = meta {word}")
            }
            Expr::SetMark { sreg } => write!(f, "meta mark = {sreg}"),
            Expr::Ct { key, dreg } => {
                self.set(*dreg, ct_kind(*key));
                write!(f, "{dreg} = ct {}", Ct(*key))
            }
            Expr::Immediate { dreg, data } => {
                self.set(*dreg, Kind::Number);
                write!(f, "{dreg} = {}", Constant(Kind::Number, data, data.len()))
            }
            Expr::Verdict(verdict) => write!(f, "{verdict}"),
            Expr::Cmp {
                op,
                sreg,
                data,
                len,
            } => {
                let constant = Constant(self.get(*sreg), data, usize::from(*len));
                write!(f, "{sreg} {} {constant}", compare(*op))
            }
            Expr::Bitwise { .. } => self.bitwise(expr, f),
            Expr::Hash { .. } => self.hash(expr, f),
            Expr::Random { dreg, modulus } => {
                self.set(*dreg, Kind::Number);
                write!(f, "{dreg} = numgen random mod {modulus}")
            }
            Expr::Fib { result, dreg } => {
                self.set(*dreg, Kind::AddressType);
                write!(f, "{dreg} = fib {} type", fib(*result))
            }
            Expr::Map { set, sreg, dreg } => {
                self.set(*dreg, Kind::Bytes);
                write!(f, "{dreg} = @{set}[{sreg}..]")
            }
            Expr::VerdictMap { set, sreg } => write!(f, "{sreg}.. vmap @{set}"),
            Expr::InSet {
                set,
                sreg,
                inverted,
            } => write!(
                f,
                "{sreg}.. {}in @{set}",
                if *inverted { "not " } else { "" }
            ),
            Expr::Dynset { .. } => dynset(expr, f),
            Expr::Dnat {
                family,
                address,
                port,
            } => write!(f, "dnat {} to {address}:{port}", family_word(*family)),
            Expr::Masquerade { fully_random } => {
                let random = if *fully_random { " fully-random" } else { "" };
                write!(f, "masquerade{random}")
            }
            Expr::Reject(RejectWith::PortUnreachable) => f.write_str("reject"),
            Expr::Reject(RejectWith::TcpReset) => f.write_str("reject with tcp reset"),
            Expr::Notrack => f.write_str("notrack"),
            Expr::Counter => f.write_str("counter"),
            Expr::Foreign(name) => write!(f, "foreign {name}"),
        }
    }

    fn get(&self, reg: Reg) -> Kind {
        let kind = self.registers.get(usize::from(reg.0));
        kind.copied().unwrap_or_default()
    }

    fn set(&mut self, reg: Reg, kind: Kind) {
        if let Some(place) = self.registers.get_mut(usize::from(reg.0)) {
            *place = kind;
        }
    }

    fn bitwise(&mut self, expr: &Expr, f: &mut Formatter<'_>) -> fmt::Result {
        let Expr::Bitwise {
            sreg,
            dreg,
            mask,
            xor,
            len,
        } = expr
        else {
            return Ok(());
        };
        let (kind, len) = (self.get(*sreg), usize::from(*len));
        self.set(*dreg, kind);
        let kind = match kind {
            Kind::Number | Kind::Bits(_) => Kind::Mask,
            other => other,
        };
        write!(f, "{dreg} = {}", Range(*sreg, len))?;
        if first(mask, len).iter().any(|byte| *byte != 0xff) {
            write!(f, " & {}", Constant(kind, mask, len))?;
        }
        if first(xor, len).iter().any(|byte| *byte != 0) {
            write!(f, " ^ {}", Constant(kind, xor, len))?;
        }
        Ok(())
    }

    fn hash(&mut self, expr: &Expr, f: &mut Formatter<'_>) -> fmt::Result {
        let Expr::Hash {
            sreg,
            len,
            dreg,
            modulus,
            seed,
        } = expr
        else {
            return Ok(());
        };
        self.set(*dreg, Kind::Number);
        let range = Range(*sreg, usize::from(*len));
        write!(f, "{dreg} = jhash {range} mod {modulus} seed {seed:#x}")
    }
}

fn dynset(expr: &Expr, f: &mut Formatter<'_>) -> fmt::Result {
    let Expr::Dynset {
        set,
        op,
        key,
        data,
        timeout_ms,
    } = expr
    else {
        return Ok(());
    };
    let word = match op {
        DynsetOp::Add => "add",
        DynsetOp::Update => "update",
        DynsetOp::Delete => "delete",
    };
    write!(f, "{word} @{set} {{ {key}..")?;
    if *timeout_ms > 0 {
        write!(f, " timeout {}", Duration(*timeout_ms))?;
    }
    if let Some(data) = data {
        write!(f, " : {data}..")?;
    }
    f.write_str(" }")
}

/// Registers that so many bytes fill: `r4`, `r4..r7`.
struct Range(Reg, usize);

impl Display for Range {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(Reg(start), len) = self;
        let last = usize::from(*start) + len.div_ceil(4).max(1) - 1;
        match last == usize::from(*start) {
            true => write!(f, "r{start}"),
            false => write!(f, "r{start}..r{last}"),
        }
    }
}

/// A constant and the number of its bytes that count.
struct Constant<'a>(Kind, &'a Data, usize);

impl Display for Constant<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bytes = first(self.1, self.2);
        let number = <[u8; 4]>::try_from(bytes).map(u32::from_ne_bytes).ok();
        match (self.0, number, bytes) {
            (Kind::Field(FieldType::Mark) | Kind::Mask, Some(number), _) => {
                write!(f, "{number:#010x}")
            }
            (Kind::Field(field), ..) if bytes.len() == field.width() => {
                write!(f, "{}", Field(field, bytes))
            }
            (Kind::Number, Some(number), _) if number < 0x1_0000 => write!(f, "{number}"),
            (Kind::Number, Some(number), _) => write!(f, "{number:#010x}"),
            (Kind::Text, ..) => text(bytes, f),
            (Kind::Family, _, [2]) => f.write_str("ipv4"),
            (Kind::Family, _, [10]) => f.write_str("ipv6"),
            (Kind::Bits(names), Some(number), _) => bits(number, names, f),
            (Kind::AddressType, Some(number), _) => address_type(number, f),
            (Kind::Direction, _, [0]) => f.write_str("original"),
            (Kind::Direction, _, [1]) => f.write_str("reply"),
            _ => write!(f, "{}", Hex(bytes)),
        }
    }
}

fn first(data: &Data, len: usize) -> &[u8] {
    let bytes = data.as_slice();
    &bytes[..len.min(bytes.len())]
}

/// An interface's name; one that is not closed by a zero stands for all that begin so.
fn text(bytes: &[u8], f: &mut Formatter<'_>) -> fmt::Result {
    let end = bytes.iter().position(|byte| *byte == 0);
    f.write_char('"')?;
    for byte in &bytes[..end.unwrap_or(bytes.len())] {
        write!(f, "{}", byte.escape_ascii())?;
    }
    f.write_str(if end.is_none() && bytes.len() < 16 {
        "*\""
    } else {
        "\""
    })
}

fn bits(number: u32, names: &[(u32, &str)], f: &mut Formatter<'_>) -> fmt::Result {
    let known = names.iter().filter(|(bit, _)| number & bit != 0);
    let rest = known.clone().fold(number, |rest, (bit, _)| rest & !bit);
    if number == 0 || rest != 0 {
        return write!(f, "{number:#x}");
    }
    for (at, (_, name)) in known.enumerate() {
        write!(f, "{}{name}", if at == 0 { "" } else { "," })?;
    }
    Ok(())
}

fn address_type(number: u32, f: &mut Formatter<'_>) -> fmt::Result {
    match number {
        1 => f.write_str("unicast"),
        2 => f.write_str("local"),
        3 => f.write_str("broadcast"),
        5 => f.write_str("multicast"),
        other => write!(f, "{other}"),
    }
}

fn payload(base: PayloadBase, offset: u32, len: u32) -> (Option<&'static str>, Kind) {
    use FieldType::{InetProto, InetService, Ipv4Addr, Ipv6Addr};
    let (word, field) = match (base, offset, len) {
        (PayloadBase::Network, 9, 1) => ("ip protocol", InetProto),
        (PayloadBase::Network, 12, 4) => ("ip saddr", Ipv4Addr),
        (PayloadBase::Network, 16, 4) => ("ip daddr", Ipv4Addr),
        (PayloadBase::Network, 8, 16) => ("ip6 saddr", Ipv6Addr),
        (PayloadBase::Network, 24, 16) => ("ip6 daddr", Ipv6Addr),
        (PayloadBase::Transport, 0, 2) => ("th sport", InetService),
        (PayloadBase::Transport, 2, 2) => ("th dport", InetService),
        (PayloadBase::Transport, 13, 1) => return (Some("tcp flags"), Kind::Bytes),
        _ => return (None, Kind::Bytes),
    };
    (Some(word), Kind::Field(field))
}

/// `@nh,96,64`: base, first bit, number of bits.
struct RawPayload(PayloadBase, u32, u32);

impl Display for RawPayload {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let base = match self.0 {
            PayloadBase::Network => "nh",
            PayloadBase::Transport => "th",
        };
        write!(
            f,
            "@{base},{},{}",
            u64::from(self.1) * 8,
            u64::from(self.2) * 8
        )
    }
}

fn meta(key: MetaKey) -> (&'static str, Kind) {
    match key {
        MetaKey::NfProto => ("nfproto", Kind::Family),
        MetaKey::L4Proto => ("l4proto", Kind::Field(FieldType::InetProto)),
        MetaKey::Mark => ("mark", Kind::Field(FieldType::Mark)),
        MetaKey::IifName => ("iifname", Kind::Text),
        MetaKey::OifName => ("oifname", Kind::Text),
    }
}

struct Ct(CtKey);

impl Display for Ct {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            CtKey::State => f.write_str("state"),
            CtKey::Status => f.write_str("status"),
            CtKey::Direction => f.write_str("direction"),
            CtKey::Mark => f.write_str("mark"),
            CtKey::SrcIp(family, way) => write!(f, "{} {} saddr", ct_way(way), family_word(family)),
            CtKey::DstIp(family, way) => write!(f, "{} {} daddr", ct_way(way), family_word(family)),
            CtKey::Protocol => f.write_str("protocol"),
            CtKey::ProtoSrc(way) => write!(f, "{} proto-src", ct_way(way)),
            CtKey::ProtoDst(way) => write!(f, "{} proto-dst", ct_way(way)),
        }
    }
}

fn ct_kind(key: CtKey) -> Kind {
    match key {
        CtKey::State => Kind::Bits(STATES),
        CtKey::Status => Kind::Bits(STATUSES),
        CtKey::Direction => Kind::Direction,
        CtKey::Mark => Kind::Field(FieldType::Mark),
        CtKey::SrcIp(Family::Ipv4, _) | CtKey::DstIp(Family::Ipv4, _) => {
            Kind::Field(FieldType::Ipv4Addr)
        }
        CtKey::SrcIp(Family::Ipv6, _) | CtKey::DstIp(Family::Ipv6, _) => {
            Kind::Field(FieldType::Ipv6Addr)
        }
        CtKey::Protocol => Kind::Field(FieldType::InetProto),
        CtKey::ProtoSrc(_) | CtKey::ProtoDst(_) => Kind::Field(FieldType::InetService),
    }
}

fn ct_way(way: CtDirection) -> &'static str {
    match way {
        CtDirection::Original => "original",
        CtDirection::Reply => "reply",
    }
}

fn family_word(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip6",
    }
}

fn fib(result: FibResult) -> &'static str {
    match result {
        FibResult::SourceType => "saddr",
        FibResult::DestinationType => "daddr",
    }
}

fn compare(op: CmpOp) -> &'static str {
    match op {
        CmpOp::Eq => "==",
        CmpOp::Neq => "!=",
        CmpOp::Lt => "<",
        CmpOp::Lte => "<=",
        CmpOp::Gt => ">",
        CmpOp::Gte => ">=",
    }
}
