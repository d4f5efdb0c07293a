//! Contents of registers, keys and values.

use std::fmt;
use std::net::IpAddr;

/// Most bytes of a key or value: all sixteen registers less the one that verdicts use.
pub const MAX_DATA: usize = 60;

/// Bytes as they stand in registers: fields one after the other, each padded with zeros to a
/// multiple of four. Held in place, for there may be a million of them.
#[derive(Clone, Copy)]
pub struct Data {
    len: u8,
    bytes: [u8; MAX_DATA],
}

impl Data {
    /// No bytes.
    pub const EMPTY: Self = Self {
        len: 0,
        bytes: [0; MAX_DATA],
    };

    /// These bytes; what exceeds [`MAX_DATA`] is cut.
    pub fn new(bytes: &[u8]) -> Self {
        Self::EMPTY.bytes(bytes)
    }

    /// With a field of these bytes behind, padded to a multiple of four; what exceeds
    /// [`MAX_DATA`] is cut.
    #[must_use]
    pub fn bytes(mut self, field: &[u8]) -> Self {
        let at = usize::from(self.len);
        let room = &mut self.bytes[at..];
        let take = field.len().min(room.len());
        room[..take].copy_from_slice(&field[..take]);
        let padded = take.next_multiple_of(4).min(room.len());
        self.len += padded as u8;
        self
    }

    /// With an address behind.
    #[must_use]
    pub fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.bytes(&address.octets()),
            IpAddr::V6(address) => self.bytes(&address.octets()),
        }
    }

    /// With a port behind, in network order (`inet_service`).
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        self.bytes(&port.to_be_bytes())
    }

    /// With an IP protocol number behind (`inet_proto`).
    #[must_use]
    pub fn protocol(self, number: u8) -> Self {
        self.bytes(&[number])
    }

    /// With a number behind, in the machine's order, as `numgen`, `jhash` and marks have it.
    #[must_use]
    pub fn number(self, number: u32) -> Self {
        self.bytes(&number.to_ne_bytes())
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Data {}

impl PartialOrd for Data {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Data {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl std::hash::Hash for Data {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.as_slice()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
