//! Words of expressions and the kernel's numbers for them, in both directions.

use nft::{CmpOp, CtDirection, CtKey, Family, FibResult, MetaKey, PayloadBase, Reg};

/// `NFT_REG32_00`
const REG32: u32 = 8;

/// Number of a register.
pub(super) fn register(reg: Reg) -> u32 {
    REG32 + u32::from(reg.0)
}

/// Register of a number; kernels call every fourth one by its old name (`NFT_REG_1` to `_4`).
pub(super) fn read_register(number: u32) -> Option<Reg> {
    match number {
        1..=4 => Some(Reg((number as u8 - 1) * 4)),
        8..=23 => Some(Reg((number - REG32) as u8)),
        _ => None,
    }
}

/// `enum nft_payload_bases`
pub(super) fn base(base: PayloadBase) -> u32 {
    match base {
        PayloadBase::Network => 1,
        PayloadBase::Transport => 2,
    }
}

/// Base of a number.
pub(super) fn read_base(number: u32) -> Option<PayloadBase> {
    [PayloadBase::Network, PayloadBase::Transport]
        .into_iter()
        .find(|known| base(*known) == number)
}

/// `enum nft_meta_keys`
pub(super) fn meta(key: MetaKey) -> u32 {
    match key {
        MetaKey::Mark => 3,
        MetaKey::IifName => 6,
        MetaKey::OifName => 7,
        MetaKey::NfProto => 15,
        MetaKey::L4Proto => 16,
    }
}

/// Key of a number.
pub(super) fn read_meta(number: u32) -> Option<MetaKey> {
    [
        MetaKey::Mark,
        MetaKey::IifName,
        MetaKey::OifName,
        MetaKey::NfProto,
        MetaKey::L4Proto,
    ]
    .into_iter()
    .find(|key| meta(*key) == number)
}

/// `enum nft_ct_keys`, and the direction (`enum ip_conntrack_dir`) of keys that have one.
pub(super) fn ct(key: CtKey) -> (u32, Option<u8>) {
    let dir = |direction| match direction {
        CtDirection::Original => Some(0),
        CtDirection::Reply => Some(1),
    };
    match key {
        CtKey::State => (0, None),
        CtKey::Direction => (1, None),
        CtKey::Status => (2, None),
        CtKey::Mark => (3, None),
        CtKey::Protocol => (10, None),
        CtKey::ProtoSrc(direction) => (11, dir(direction)),
        CtKey::ProtoDst(direction) => (12, dir(direction)),
        CtKey::SrcIp(Family::Ipv4, direction) => (19, dir(direction)),
        CtKey::DstIp(Family::Ipv4, direction) => (20, dir(direction)),
        CtKey::SrcIp(Family::Ipv6, direction) => (21, dir(direction)),
        CtKey::DstIp(Family::Ipv6, direction) => (22, dir(direction)),
    }
}

/// Key of a number and a direction. Kernels add a direction to keys that have none.
pub(super) fn read_ct(number: u32, direction: Option<u8>) -> Option<CtKey> {
    let dir = || match direction {
        Some(0) => Some(CtDirection::Original),
        Some(1) => Some(CtDirection::Reply),
        _ => None,
    };
    Some(match number {
        0 => CtKey::State,
        1 => CtKey::Direction,
        2 => CtKey::Status,
        3 => CtKey::Mark,
        10 => CtKey::Protocol,
        11 => CtKey::ProtoSrc(dir()?),
        12 => CtKey::ProtoDst(dir()?),
        19 => CtKey::SrcIp(Family::Ipv4, dir()?),
        20 => CtKey::DstIp(Family::Ipv4, dir()?),
        21 => CtKey::SrcIp(Family::Ipv6, dir()?),
        22 => CtKey::DstIp(Family::Ipv6, dir()?),
        _ => return None,
    })
}

const COMPARISONS: [CmpOp; 6] = [
    CmpOp::Eq,
    CmpOp::Neq,
    CmpOp::Lt,
    CmpOp::Lte,
    CmpOp::Gt,
    CmpOp::Gte,
];

/// `enum nft_cmp_ops`
pub(super) fn cmp(op: CmpOp) -> u32 {
    let place = COMPARISONS.iter().position(|known| *known == op);
    place.unwrap_or_default() as u32
}

/// Comparison of a number.
pub(super) fn read_cmp(number: u32) -> Option<CmpOp> {
    COMPARISONS.get(number as usize).copied()
}

/// `enum nft_fib_flags` that ask about one address.
pub(super) fn fib(result: FibResult) -> u32 {
    match result {
        FibResult::SourceType => 1,
        FibResult::DestinationType => 2,
    }
}

/// What flags ask.
pub(super) fn read_fib(flags: u32) -> Option<FibResult> {
    [FibResult::SourceType, FibResult::DestinationType]
        .into_iter()
        .find(|result| fib(*result) == flags)
}

/// `NFPROTO_IPV4`, `NFPROTO_IPV6`
pub(super) fn family(family: Family) -> u32 {
    match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    }
}

/// Family of a number.
pub(super) fn read_family(number: u32) -> Option<Family> {
    [Family::Ipv4, Family::Ipv6]
        .into_iter()
        .find(|known| family(*known) == number)
}
