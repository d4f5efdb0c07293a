//! Keys and values by their types.

use crate::{Data, FieldType};
use std::fmt::{self, Display, Formatter};
use std::net::{Ipv4Addr, Ipv6Addr};

/// `ipv4_addr . inet_proto`
pub(super) struct Types<'a>(pub(super) &'a [FieldType]);

impl Display for Types<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, field) in self.0.iter().enumerate() {
            write!(f, "{}{field}", if at == 0 { "" } else { " . " })?;
        }
        Ok(())
    }
}

/// `10.96.0.1 . tcp`; bytes where length and types disagree.
pub(super) struct Fields<'a>(pub(super) &'a [FieldType], pub(super) &'a Data);

impl Display for Fields<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(types, data) = self;
        if types.iter().map(|field| field.padded()).sum::<usize>() != data.len() {
            return write!(f, "{}", Hex(data.as_slice()));
        }
        let mut rest = data.as_slice();
        for (at, field) in types.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " . " })?;
            let (bytes, behind) = rest.split_at(field.padded());
            write!(f, "{}", Field(*field, bytes))?;
            rest = behind;
        }
        Ok(())
    }
}

/// One field.
pub(super) struct Field<'a>(pub(super) FieldType, pub(super) &'a [u8]);

impl Display for Field<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (FieldType::Ipv4Addr, &[a, b, c, d]) => write!(f, "{}", Ipv4Addr::new(a, b, c, d)),
            (FieldType::Ipv6Addr, bytes) => match <[u8; 16]>::try_from(bytes) {
                Ok(bytes) => write!(f, "{}", Ipv6Addr::from(bytes)),
                Err(_) => write!(f, "{}", Hex(bytes)),
            },
            (FieldType::InetProto, &[number, ..]) => write!(f, "{}", Protocol(number)),
            (FieldType::InetService, &[high, low, ..]) => {
                write!(f, "{}", u16::from_be_bytes([high, low]))
            }
            (FieldType::Mark, &[a, b, c, d]) => write!(f, "{}", u32::from_ne_bytes([a, b, c, d])),
            (_, bytes) => write!(f, "{}", Hex(bytes)),
        }
    }
}

/// An IP protocol by name.
pub(super) struct Protocol(pub(super) u8);

impl Display for Protocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("icmp"),
            6 => f.write_str("tcp"),
            17 => f.write_str("udp"),
            58 => f.write_str("icmpv6"),
            132 => f.write_str("sctp"),
            other => write!(f, "{other}"),
        }
    }
}

/// Bytes as they are.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Milliseconds as nft writes them: `2h46m40s`, `1s500ms`.
pub(super) struct Duration(pub(super) u64);

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1000),
            ("ms", 1),
        ] {
            if rest >= length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}
