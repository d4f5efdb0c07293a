//! Frames of SPDY/3.1 (draft-mbelshe-httpbis-spdy-00, section 2.6) as a server needs them, without
//! I/O. Data is handed on as it comes, so that no frame is too long.

use super::Broken;
use super::headers::{Headers, Packer, Unpacker};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Control frames may have so many bytes; those that are not understood are skipped whatever
/// their size.
const CONTROL_BYTES: usize = 32 * 1024;

const HEAD_BYTES: usize = 8;
const VERSION: u16 = 3;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const SETTINGS: u16 = 4;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const WINDOW_UPDATE: u16 = 9;

/// The sender has said all it will say on the stream.
const FIN: u8 = 1;

/// Why a stream is reset (section 2.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http::streams) enum Reset {
    ProtocolError = 1,
    RefusedStream = 3,
    Cancel = 5,
}

/// What was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A new stream
    Stream {
        id: u32,
        fin: bool,
        headers: Headers,
    },
    /// Bytes of a stream; `fin` comes with the last of a frame
    Data { id: u32, fin: bool, bytes: Bytes },
    /// The stream is of no use to the client any more
    Reset { id: u32 },
    /// To be sent back when the number is odd
    Ping(u32),
    /// The client makes no more streams
    GoAway,
}

/// Splits what is received into events.
pub(super) struct Decoder {
    buffer: BytesMut,
    unpacker: Unpacker,
    /// A data frame of which not all has come
    data: Option<Part>,
    /// Bytes of a frame that nobody wants
    skip: usize,
}

struct Part {
    id: u32,
    fin: bool,
    left: usize,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            unpacker: Unpacker::new(),
            data: None,
            skip: 0,
        }
    }

    /// Where to put what was read; [`Decoder::next`] takes it out again.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next event, if enough of it is there.
    ///
    /// # Errors
    /// The client breaks the protocol; the connection is of no use any more.
    pub(super) fn next(&mut self) -> Result<Option<Event>, Broken> {
        loop {
            if self.skip > 0 {
                let there = self.skip.min(self.buffer.len());
                self.buffer.advance(there);
                self.skip -= there;
            }
            if self.data.is_some() {
                return Ok(self.part());
            }
            let Some(&[a, b, c, d, flags, e, f, g]) = self.buffer.first_chunk::<HEAD_BYTES>()
            else {
                return Ok(None);
            };
            let length = u32::from_be_bytes([0, e, f, g]) as usize;
            if a & 0x80 == 0 {
                self.buffer.advance(HEAD_BYTES);
                let id = u32::from_be_bytes([a, b, c, d]);
                if id == 0 {
                    return Err(Broken("data without a stream"));
                }
                self.data = Some(Part {
                    id,
                    fin: flags & FIN != 0,
                    left: length,
                });
                continue;
            }
            if u16::from_be_bytes([a & 0x7f, b]) != VERSION {
                return Err(Broken("another version of the protocol"));
            }
            let kind = u16::from_be_bytes([c, d]);
            if matches!(kind, SETTINGS | WINDOW_UPDATE) {
                self.buffer.advance(HEAD_BYTES);
                self.skip = length;
                continue;
            }
            if length > CONTROL_BYTES {
                return Err(Broken("control frame too long"));
            }
            if self.buffer.len() < HEAD_BYTES + length {
                return Ok(None);
            }
            self.buffer.advance(HEAD_BYTES);
            let payload = self.buffer.split_to(length);
            if let Some(event) = self.control(kind, flags, &payload)? {
                return Ok(Some(event));
            }
        }
    }

    fn part(&mut self) -> Option<Event> {
        let part = self.data.as_mut()?;
        if part.left > 0 && self.buffer.is_empty() {
            return None;
        }
        let there = part.left.min(self.buffer.len());
        let bytes = self.buffer.split_to(there).freeze();
        part.left -= there;
        let (id, over) = (part.id, part.left == 0);
        let fin = part.fin && over;
        if over {
            self.data = None;
        }
        Some(Event::Data { id, fin, bytes })
    }

    fn control(
        &mut self,
        kind: u16,
        flags: u8,
        mut payload: &[u8],
    ) -> Result<Option<Event>, Broken> {
        let least = match kind {
            SYN_STREAM => 10,
            PING | SYN_REPLY | HEADERS => 4,
            RST_STREAM | GOAWAY => 8,
            _ => return Err(Broken("unknown kind of control frame")),
        };
        if payload.len() < least {
            return Err(Broken("control frame too short"));
        }
        let id = payload.get_u32() & 0x7fff_ffff;
        Ok(match kind {
            SYN_STREAM => {
                if id == 0 {
                    return Err(Broken("stream without a number"));
                }
                // The stream that it belongs to, the priority and the credential slot.
                payload.advance(6);
                let headers = self.unpacker.read(payload)?;
                let fin = flags & FIN != 0;
                Some(Event::Stream { id, fin, headers })
            }
            SYN_REPLY | HEADERS => {
                // Nobody reads them, but the next block builds on this one.
                self.unpacker.read(payload)?;
                None
            }
            RST_STREAM => Some(Event::Reset { id }),
            PING => Some(Event::Ping(id)),
            _ => Some(Event::GoAway),
        })
    }
}

/// Makes frames for the client.
#[derive(Default)]
pub(super) struct Encoder {
    packer: Packer,
}

impl Encoder {
    /// The stream is accepted.
    pub(super) fn reply(&mut self, id: u32) -> Bytes {
        let block = self.packer.write(&Headers::new());
        let mut payload = BytesMut::new();
        payload.put_u32(id);
        payload.put_slice(&block);
        control(SYN_REPLY, &payload)
    }
}

/// Bytes of a stream, without any when it only ends.
pub(super) fn data(id: u32, fin: bool, bytes: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEAD_BYTES + bytes.len());
    out.put_u32(id & 0x7fff_ffff);
    out.put_u8(if fin { FIN } else { 0 });
    out.put_uint(bytes.len() as u64, 3);
    out.put_slice(bytes);
    out.freeze()
}

/// The stream ends at once.
pub(super) fn reset(id: u32, why: Reset) -> Bytes {
    let mut payload = BytesMut::new();
    payload.put_u32(id);
    payload.put_u32(why as u32);
    control(RST_STREAM, &payload)
}

pub(super) fn ping(id: u32) -> Bytes {
    control(PING, &id.to_be_bytes())
}

/// No more streams; `last` is the highest that was taken.
pub(super) fn go_away(last: u32) -> Bytes {
    let mut payload = BytesMut::new();
    payload.put_u32(last);
    payload.put_u32(0);
    control(GOAWAY, &payload)
}

fn control(kind: u16, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEAD_BYTES + payload.len());
    out.put_u16(0x8000 | VERSION);
    out.put_u16(kind);
    out.put_u32(payload.len() as u32);
    out.put_slice(payload);
    out.freeze()
}

#[cfg(test)]
mod tests;
