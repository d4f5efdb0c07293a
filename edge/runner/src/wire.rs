//! The few bytes of gRPC and Protocol Buffers that health checks need.

/// A gRPC message: no compression, length, bytes.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut out = vec![0];
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(message);
    out
}

/// The first message of a gRPC body.
pub(crate) fn unframe(body: &[u8]) -> Option<&[u8]> {
    let (head, rest) = body.split_at_checked(5)?;
    let length = u32::from_be_bytes(head.get(1..)?.try_into().ok()?);
    rest.get(..usize::try_from(length).ok()?)
}

/// A string field; nothing when it is empty, as proto3 has it.
pub(crate) fn text_field(number: u8, text: &str) -> Vec<u8> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut out = vec![number << 3 | 2];
    let mut length = text.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(text.as_bytes());
    out
}

/// A number field (varint) of a message that holds nothing but varints; 0 when it is not there.
pub(crate) fn number_field(message: &[u8], number: u64) -> Option<u64> {
    let mut rest = message;
    let mut found = 0;
    while !rest.is_empty() {
        let (tag, after) = varint(rest)?;
        let (value, after) = varint(after)?;
        if tag & 7 != 0 {
            return None;
        }
        if tag >> 3 == number {
            found = value;
        }
        rest = after;
    }
    Some(found)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_back() {
        assert_eq!(unframe(&frame(b"abc")), Some(&b"abc"[..]));
        assert_eq!(unframe(&[0, 0, 0, 0, 9, 1]), None);
        assert_eq!(number_field(&[8, 1], 1), Some(1));
        assert_eq!(number_field(&[], 1), Some(0));
        assert_eq!(number_field(&[0xff; 12], 1), None);
        let long = "x".repeat(300);
        assert_eq!(&text_field(1, &long)[..3], [0x0a, 0xac, 0x02]);
        assert_eq!(text_field(1, ""), b"");
    }
}
