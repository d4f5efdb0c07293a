//! Header blocks of SPDY/3.1 (draft-mbelshe-httpbis-spdy-00, section 2.6.10): one zlib stream for
//! all blocks of a direction, which begins with a dictionary that both sides know.

use super::Broken;
use bytes::{Buf, BufMut, BytesMut};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use std::collections::BTreeMap;

/// Names and values by name, lower case.
pub(in crate::http::streams) type Headers = BTreeMap<String, String>;

/// Words of the dictionary; each follows its length in four bytes.
const WORDS: [&str; 65] = [
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
];

/// The rest of the dictionary.
const TAIL: &str = "10010120120220520630030230330430530630740240540640740840941041141241341441541641\
    7502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad \
    Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not \
    Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 \
    Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,\
    application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,\
    deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

/// First bytes of a zlib stream with a dictionary: deflate with a window of 32 KiB, then the
/// dictionary's Adler-32.
const ZLIB_HEAD: [u8; 6] = [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2];

const WINDOW: usize = 32 * 1024;

/// A block may have so many bytes once it is unpacked.
const BLOCK_BYTES: usize = 64 * 1024;

/// Most names in a block.
const NAMES: usize = 64;

fn dictionary() -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in WORDS {
        bytes.put_u32(word.len() as u32);
        bytes.extend_from_slice(word.as_bytes());
    }
    bytes.extend_from_slice(TAIL.as_bytes());
    bytes
}

/// Reads the blocks of a connection, in their order.
pub(super) struct Unpacker {
    inflater: Box<DecompressorOxide>,
    /// What was unpacked last, as a ring
    window: Vec<u8>,
    at: usize,
    begun: bool,
}

impl Unpacker {
    pub(super) fn new() -> Self {
        let mut window = dictionary();
        let at = window.len();
        window.resize(WINDOW, 0);
        Self {
            inflater: Box::default(),
            window,
            at,
            begun: false,
        }
    }

    /// Reads one block.
    pub(super) fn read(&mut self, mut packed: &[u8]) -> Result<Headers, Broken> {
        if !self.begun {
            let head = packed.get(..ZLIB_HEAD.len());
            let head = head.ok_or(Broken("header block without a beginning"))?;
            let plain = head[0] & 0x0f == 8 && u16::from_be_bytes([head[0], head[1]]) % 31 == 0;
            if !plain || head[2..] != ZLIB_HEAD[2..] {
                return Err(Broken("header block of another compression"));
            }
            packed.advance(ZLIB_HEAD.len());
            self.begun = true;
        }
        parse(&self.unpack(packed)?)
    }

    fn unpack(&mut self, mut packed: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut out = Vec::new();
        loop {
            let (status, read, written) = decompress(
                &mut self.inflater,
                packed,
                &mut self.window,
                self.at,
                TINFL_FLAG_HAS_MORE_INPUT,
            );
            out.extend_from_slice(&self.window[self.at..self.at + written]);
            if out.len() > BLOCK_BYTES {
                return Err(Broken("header block too long"));
            }
            self.at = (self.at + written) % WINDOW;
            packed = packed.get(read..).unwrap_or_default();
            match status {
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput if packed.is_empty() => return Ok(out),
                TINFLStatus::NeedsMoreInput if read > 0 => {}
                _ => return Err(Broken("header block cannot be unpacked")),
            }
        }
    }
}

fn parse(mut block: &[u8]) -> Result<Headers, Broken> {
    let count = number(&mut block)?;
    if count > NAMES {
        return Err(Broken("too many headers"));
    }
    let mut headers = Headers::new();
    for _ in 0..count {
        let name = text(&mut block)?.to_lowercase();
        let value = text(&mut block)?;
        if headers.insert(name, value).is_some() {
            return Err(Broken("header named twice"));
        }
    }
    Ok(headers)
}

fn number(block: &mut &[u8]) -> Result<usize, Broken> {
    if block.len() < 4 {
        return Err(Broken("header block cut short"));
    }
    Ok(block.get_u32() as usize)
}

fn text(block: &mut &[u8]) -> Result<String, Broken> {
    let length = number(block)?;
    let bytes = block.get(..length);
    let bytes = bytes.ok_or(Broken("header block cut short"))?;
    let text = String::from_utf8_lossy(bytes).into_owned();
    block.advance(length);
    Ok(text)
}

/// Writes the blocks of a connection. They are stored, not compressed: an answer's is empty.
#[derive(Default)]
pub(super) struct Packer {
    begun: bool,
}

impl Packer {
    pub(super) fn write(&mut self, headers: &Headers) -> Vec<u8> {
        let mut block = BytesMut::new();
        block.put_u32(headers.len() as u32);
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            block.put_u32(text.len() as u32);
            block.put_slice(text.as_bytes());
        }
        let mut out = Vec::new();
        if !self.begun {
            out.extend_from_slice(&ZLIB_HEAD);
            self.begun = true;
        }
        // The empty part at the end makes the reader hand out what it has.
        for part in block.chunks(0xffff).chain([&[][..]]) {
            let length = part.len() as u16;
            out.push(0);
            out.extend(length.to_le_bytes());
            out.extend((!length).to_le_bytes());
            out.extend_from_slice(part);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn adler32(bytes: &[u8]) -> u32 {
        let (mut a, mut b) = (1u32, 0u32);
        for byte in bytes {
            a = (a + u32::from(*byte)) % 65521;
            b = (b + a) % 65521;
        }
        b << 16 | a
    }

    #[test]
    fn the_dictionary_is_the_one_that_clients_have() {
        assert_eq!(dictionary().len(), 1423);
        assert_eq!(adler32(&dictionary()), 0xe3c6_a7c2);
        assert_eq!(u16::from_be_bytes([ZLIB_HEAD[0], ZLIB_HEAD[1]]) % 31, 0);
    }

    #[test]
    fn a_block_with_a_bomb_is_refused() {
        // A megabyte of zeros, stored.
        let mut packed = ZLIB_HEAD.to_vec();
        for _ in 0..20 {
            packed.extend([0, 0xff, 0xff, 0, 0]);
            packed.extend(vec![0; 0xffff]);
        }
        let told = Unpacker::new().read(&packed).unwrap_err();
        assert_eq!(told, Broken("header block too long"));
    }

    proptest! {
        #[test]
        fn arbitrary_blocks_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut unpacker = Unpacker::new();
            let _ = unpacker.read(&bytes);
            let mut packed = ZLIB_HEAD.to_vec();
            packed.extend(&bytes);
            let mut unpacker = Unpacker::new();
            if unpacker.read(&packed).is_ok() {
                let _ = unpacker.read(&bytes);
            }
        }

        #[test]
        fn blocks_are_read_as_written(
            blocks in proptest::collection::vec(
                proptest::collection::btree_map("[a-z-]{1,9}", "[ -~]{0,40}", 0..6), 1..5),
        ) {
            let (mut packer, mut unpacker) = (Packer::default(), Unpacker::new());
            for block in blocks {
                let packed = packer.write(&block);
                prop_assert_eq!(unpacker.read(&packed), Ok(block));
            }
        }
    }
}
