//! Messages and attributes on their way to the kernel.

use crate::netlink::NetlinkError;

/// `NLA_F_NESTED`
const NESTED: u16 = 0x8000;

/// Messages, one behind the other, in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Writer {
    /// One message: type, flags, sequence number, and what `fill` writes behind the header.
    pub(crate) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        seq: u32,
        fill: impl FnOnce(&mut Self),
    ) {
        let start = self.bytes.len();
        self.put(&[0; 4]);
        self.put(&kind.to_ne_bytes());
        self.put(&flags.to_ne_bytes());
        self.put(&seq.to_ne_bytes());
        self.put(&[0; 4]);
        fill(self);
        let len = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.too_long |= len == u32::MAX;
        self.bytes[start..start + 4].copy_from_slice(&len.to_ne_bytes());
    }

    /// Bytes as they are: a fixed header.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// An attribute.
    pub(crate) fn attr(&mut self, kind: u16, value: &[u8]) {
        self.attr_with(kind, |writer| writer.put(value));
    }

    /// An attribute of one byte.
    pub(crate) fn u8(&mut self, kind: u16, value: u8) {
        self.attr(kind, &[value]);
    }

    /// A number in the machine's order.
    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.attr(kind, &value.to_ne_bytes());
    }

    /// A number in network order.
    pub(crate) fn be16(&mut self, kind: u16, value: u16) {
        self.attr(kind, &value.to_be_bytes());
    }

    /// A number in network order.
    pub(crate) fn be32(&mut self, kind: u16, value: u32) {
        self.attr(kind, &value.to_be_bytes());
    }

    /// A number in network order.
    pub(crate) fn be64(&mut self, kind: u16, value: u64) {
        self.attr(kind, &value.to_be_bytes());
    }

    /// A text with a zero byte behind.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        self.attr_with(kind, |writer| {
            writer.put(value.as_bytes());
            writer.put(&[0]);
        });
    }

    /// An attribute that holds others.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        self.attr_with(kind | NESTED, fill);
    }

    fn attr_with(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.put(&[0; 2]);
        self.put(&kind.to_ne_bytes());
        fill(self);
        let len = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.too_long |= len == u16::MAX;
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
    }

    /// Sets more flags of the message that begins at `at`.
    pub(crate) fn add_flags(&mut self, at: usize, more: i32) {
        if let Some(flags) = self.bytes.get_mut(at + 6..at + 8) {
            let set = u16::from_ne_bytes([flags[0], flags[1]]) | more as u16;
            flags.copy_from_slice(&set.to_ne_bytes());
        }
    }

    /// Bytes from `at` on.
    pub(crate) fn from(&self, at: usize) -> &[u8] {
        self.bytes.get(at..).unwrap_or_default()
    }

    /// Number of bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The messages; an error if an attribute did not fit into its length.
    pub(crate) fn finish(&self) -> Result<&[u8], NetlinkError> {
        match self.too_long {
            true => Err(NetlinkError::TooLong),
            false => Ok(&self.bytes),
        }
    }
}
