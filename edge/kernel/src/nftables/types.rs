//! Types of fields, as `nft` numbers them: the kernel keeps the numbers for whoever lists a set.

use nft::{FieldType, SetSpec, SetValue};
use std::sync::Arc;

/// Bits of one field's number within the number of a concatenation.
const TYPE_BITS: u32 = 6;
/// Fields of a concatenation whose numbers fit into 32 bits.
pub(super) const MAX_FIELDS: usize = 5;

/// What a byte order is called in user data of sets.
const HOST_ENDIAN: u32 = 1;
const BIG_ENDIAN: u32 = 2;

const NUMBERS: &[(FieldType, u32)] = &[
    (FieldType::Ipv4Addr, 7),
    (FieldType::Ipv6Addr, 8),
    (FieldType::InetProto, 12),
    (FieldType::InetService, 13),
    (FieldType::Mark, 19),
];

/// Number of a field or a concatenation of them.
pub(super) fn number(fields: &[FieldType]) -> u32 {
    let one = |field: &FieldType| {
        let known = NUMBERS.iter().find(|(known, _)| known == field);
        known.map_or(0, |(_, number)| *number)
    };
    fields
        .iter()
        .fold(0, |number, field| (number << TYPE_BITS) | one(field))
}

/// Fields that a number says; `None` for types that no plan has.
pub(super) fn fields(number: u32) -> Option<Arc<[FieldType]>> {
    let mut rest = number;
    let mut fields = Vec::with_capacity(MAX_FIELDS);
    while rest != 0 {
        let one = rest & ((1 << TYPE_BITS) - 1);
        let known = NUMBERS.iter().find(|(_, number)| *number == one)?;
        fields.push(known.0);
        rest >>= TYPE_BITS;
    }
    fields.reverse();
    (!fields.is_empty()).then(|| fields.into())
}

/// Bytes of a key or value as the kernel counts them: a single field as long as it is, those of a
/// concatenation padded to registers.
pub(super) fn len(fields: &[FieldType]) -> u32 {
    let len = match fields {
        [field] => field.width(),
        _ => fields
            .iter()
            .map(|field| field.width().next_multiple_of(4))
            .sum(),
    };
    len as u32
}

/// Byte order that user data tells for whoever lists the set.
pub(super) fn byte_order(fields: &[FieldType]) -> u32 {
    match fields {
        [FieldType::Mark] => HOST_ENDIAN,
        _ => BIG_ENDIAN,
    }
}

/// Lengths of keys and values of a set, without the padding to registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lengths {
    pub(super) key: usize,
    pub(super) value: usize,
}

impl Lengths {
    pub(super) fn of(spec: &SetSpec) -> Self {
        let value = match &spec.value {
            SetValue::Fields(fields) => len(fields),
            SetValue::None | SetValue::Verdict => 0,
        };
        Self {
            key: len(&spec.key) as usize,
            value: value as usize,
        }
    }
}
