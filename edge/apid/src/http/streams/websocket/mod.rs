//! WebSocket frames as a server sees them (RFC 6455), without I/O.
//!
//! Messages are not put together: their bytes come out as they come in, so that no message is too
//! long and none takes memory.

pub(super) mod channels;
pub(super) mod tunnel;

use base64::Engine as _;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Appended to the client's key before it is hashed (section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Longest payload of a control frame (section 5.5).
const CONTROL_BYTES: usize = 125;

/// What kind of message a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Binary,
}

/// What was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Bytes of a message, as many as are there
    Data {
        /// These are its first
        first: bool,
        /// These are its last
        last: bool,
        bytes: Bytes,
    },
    Ping(Bytes),
    Pong,
    /// The client wants to end; its status code
    Close(Option<u16>),
}

/// What a client must not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Violation(&'static str);

/// Splits what is received into events.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: BytesMut,
    frame: Option<Payload>,
    /// Between the frames of a message
    fragmented: bool,
}

/// A data frame of which not all has come.
#[derive(Debug)]
struct Payload {
    first: bool,
    last: bool,
    left: u64,
    mask: [u8; 4],
    at: usize,
}

/// The first bytes of a frame.
struct Head {
    last: bool,
    opcode: u8,
    length: u64,
    mask: [u8; 4],
}

impl Decoder {
    /// Where to put what was read; [`Decoder::next`] takes it out again.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next event, if enough of it is there.
    ///
    /// # Errors
    /// The client breaks the protocol; the connection is of no use any more.
    pub(super) fn next(&mut self) -> Result<Option<Event>, Violation> {
        if self.frame.is_none() {
            let Some((head, size)) = head(&self.buffer)? else {
                return Ok(None);
            };
            if head.opcode >= 8 {
                return self.control(&head, size);
            }
            self.buffer.advance(size);
            self.begin(&head)?;
        }
        Ok(self.data())
    }

    fn begin(&mut self, head: &Head) -> Result<(), Violation> {
        let first = match (head.opcode, self.fragmented) {
            (0, true) => false,
            (1 | 2, false) => true,
            (0, false) => return Err(Violation("continuation of no message")),
            (1 | 2, true) => return Err(Violation("message within a message")),
            _ => return Err(Violation("unknown opcode")),
        };
        self.fragmented = !head.last;
        self.frame = Some(Payload {
            first,
            last: head.last,
            left: head.length,
            mask: head.mask,
            at: 0,
        });
        Ok(())
    }

    fn data(&mut self) -> Option<Event> {
        let frame = self.frame.as_mut()?;
        if frame.left > 0 && self.buffer.is_empty() {
            return None;
        }
        let there = usize::try_from(frame.left).unwrap_or(usize::MAX);
        let mut bytes = self.buffer.split_to(there.min(self.buffer.len()));
        for byte in bytes.iter_mut() {
            *byte ^= frame.mask[frame.at];
            frame.at = (frame.at + 1) % 4;
        }
        frame.left -= bytes.len() as u64;
        let first = std::mem::take(&mut frame.first);
        let last = frame.last && frame.left == 0;
        if frame.left == 0 {
            self.frame = None;
        }
        let bytes = bytes.freeze();
        Some(Event::Data { first, last, bytes })
    }

    fn control(&mut self, head: &Head, size: usize) -> Result<Option<Event>, Violation> {
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        if !head.last || length > CONTROL_BYTES {
            return Err(Violation("control frame in pieces or too long"));
        }
        if self.buffer.len() < size + length {
            return Ok(None);
        }
        self.buffer.advance(size);
        let mut payload = self.buffer.split_to(length);
        for (byte, key) in payload.iter_mut().zip(head.mask.iter().cycle()) {
            *byte ^= key;
        }
        match (head.opcode, payload.len()) {
            (8, 0) => Ok(Some(Event::Close(None))),
            (8, 2..) => Ok(Some(Event::Close(Some(payload.get_u16())))),
            (8, _) => Err(Violation("close without a whole status")),
            (9, _) => Ok(Some(Event::Ping(payload.freeze()))),
            (10, _) => Ok(Some(Event::Pong)),
            _ => Err(Violation("unknown opcode")),
        }
    }
}

/// The head of a frame and its size; nothing while it is incomplete.
fn head(buffer: &[u8]) -> Result<Option<(Head, usize)>, Violation> {
    let &[first, second, ref rest @ ..] = buffer else {
        return Ok(None);
    };
    if first & 0x70 != 0 {
        return Err(Violation("reserved bits without an extension"));
    }
    if second & 0x80 == 0 {
        return Err(Violation("frame of a client without a mask"));
    }
    let mut rest = rest;
    let wide = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if rest.len() < wide + 4 {
        return Ok(None);
    }
    let length = match second & 0x7f {
        126 => u64::from(rest.get_u16()),
        127 => rest.get_u64(),
        short => u64::from(short),
    };
    if length > i64::MAX.unsigned_abs() {
        return Err(Violation("length with the highest bit"));
    }
    let mut mask = [0; 4];
    rest.copy_to_slice(&mut mask);
    let head = Head {
        last: first & 0x80 != 0,
        opcode: first & 0x0f,
        length,
        mask,
    };
    Ok(Some((head, 2 + wide + 4)))
}

/// A whole message in one frame.
pub(super) fn message(form: Form, payload: &[u8]) -> Bytes {
    let opcode = match form {
        Form::Text => 1,
        Form::Binary => 2,
    };
    frame(opcode, payload)
}

/// The answer to a ping.
pub(super) fn pong(payload: &[u8]) -> Bytes {
    frame(10, payload)
}

/// A question whether the client is there.
pub(super) fn ping() -> Bytes {
    frame(9, b"")
}

/// The end with a status code (section 7.4.1).
pub(super) fn close(status: u16) -> Bytes {
    frame(8, &status.to_be_bytes())
}

fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 10);
    out.put_u8(0x80 | opcode);
    match payload.len() {
        short @ ..=125 => out.put_u8(short as u8),
        middle @ ..=0xffff => {
            out.put_u8(126);
            out.put_u16(middle as u16);
        }
        long => {
            out.put_u8(127);
            out.put_u64(long as u64);
        }
    }
    out.put_slice(payload);
    out.freeze()
}

/// `Sec-WebSocket-Accept` for a client's key.
pub(super) fn accept(key: &str) -> String {
    let text = format!("{key}{GUID}");
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        text.as_bytes(),
    );
    base64::engine::general_purpose::STANDARD.encode(digest)
}

#[cfg(test)]
mod tests;
