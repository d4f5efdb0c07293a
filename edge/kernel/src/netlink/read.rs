//! Messages and attributes as they come from the kernel.

use std::ffi::CStr;

/// Bytes of a netlink header.
const HEADER: usize = 16;
/// Bits of an attribute's type that say how it is encoded.
const TYPE_FLAGS: u16 = 0xc000;

/// One message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// `nlmsg_type`
    pub(crate) kind: u16,
    /// `nlmsg_flags`
    pub(crate) flags: u16,
    /// `nlmsg_seq`
    pub(crate) seq: u32,
    /// What follows the header
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Attributes behind a fixed header of that many bytes.
    pub(crate) fn attrs(&self, fixed: usize) -> Attrs<'a> {
        Attrs::new(self.body.get(fixed..).unwrap_or_default())
    }
}

/// The messages of one datagram; ends at the first malformed one.
#[derive(Clone, Debug)]
pub(crate) struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    /// Those of this datagram.
    pub(crate) fn new(datagram: &'a [u8]) -> Self {
        Self(datagram)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let bytes = std::mem::take(&mut self.0);
        let u16_at = |at: usize| bytes.get(at..)?.first_chunk().copied();
        let u32_at = |at: usize| bytes.get(at..)?.first_chunk().copied();
        let len = u32::from_ne_bytes(u32_at(0)?) as usize;
        let message = Message {
            kind: u16::from_ne_bytes(u16_at(4)?),
            flags: u16::from_ne_bytes(u16_at(6)?),
            seq: u32::from_ne_bytes(u32_at(8)?),
            body: bytes.get(HEADER..len)?,
        };
        self.0 = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

/// Attributes that stand one after the other; ends at the first malformed one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attrs<'a>(&'a [u8]);

impl<'a> Attrs<'a> {
    /// Those of these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The first of that type.
    pub(crate) fn find(mut self, kind: u16) -> Option<Attr<'a>> {
        Iterator::find(&mut self, |attr| attr.kind == kind)
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Attr<'a>;

    fn next(&mut self) -> Option<Attr<'a>> {
        let bytes = std::mem::take(&mut self.0);
        let len = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?);
        let data = bytes.get(4..len)?;
        self.0 = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(Attr {
            kind: kind & !TYPE_FLAGS,
            data,
        })
    }
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attr<'a> {
    /// Its type without the flags for nesting and byte order
    pub(crate) kind: u16,
    /// Its value
    pub(crate) data: &'a [u8],
}

impl<'a> Attr<'a> {
    /// Value as a byte.
    pub(crate) fn u8(&self) -> Option<u8> {
        self.data.first().copied()
    }

    /// Value as a number in the machine's order.
    pub(crate) fn u32(&self) -> Option<u32> {
        self.data.first_chunk().copied().map(u32::from_ne_bytes)
    }

    /// Value as a number in network order.
    pub(crate) fn be16(&self) -> Option<u16> {
        self.data.first_chunk().copied().map(u16::from_be_bytes)
    }

    /// Value as a number in network order.
    pub(crate) fn be32(&self) -> Option<u32> {
        self.data.first_chunk().copied().map(u32::from_be_bytes)
    }

    /// Value as a number in network order.
    pub(crate) fn be64(&self) -> Option<u64> {
        self.data.first_chunk().copied().map(u64::from_be_bytes)
    }

    /// Value as a text, up to its first zero byte.
    pub(crate) fn text(&self) -> Option<&'a str> {
        match CStr::from_bytes_until_nul(self.data) {
            Ok(text) => text.to_str().ok(),
            Err(_) => std::str::from_utf8(self.data).ok(),
        }
    }

    /// Value as attributes.
    pub(crate) fn nested(&self) -> Attrs<'a> {
        Attrs::new(self.data)
    }
}
