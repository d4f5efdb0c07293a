//! Comments and hints in user data, laid out as `nft` reads and writes them: a type of one byte,
//! a length of one byte, the value.

/// `NFTNL_UDATA_RULE_COMMENT`, `NFTNL_UDATA_SET_ELEM_COMMENT`
const COMMENT: u8 = 0;
/// `NFTNL_UDATA_SET_KEYBYTEORDER`
const SET_KEY_ORDER: u8 = 0;
/// `NFTNL_UDATA_SET_DATABYTEORDER`
const SET_DATA_ORDER: u8 = 1;

/// Longest comment, as for `nft`.
pub(super) const MAX_COMMENT: usize = 128;

/// User data with a comment of at most [`MAX_COMMENT`] bytes.
pub(super) fn comment(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 3);
    bytes.extend([COMMENT, (text.len() + 1) as u8]);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes
}

/// The comment in user data.
pub(super) fn read_comment(mut bytes: &[u8]) -> Option<&str> {
    while let [kind, len, rest @ ..] = bytes {
        let value = rest.get(..usize::from(*len))?;
        if *kind == COMMENT {
            let text = std::str::from_utf8(value).ok()?;
            return Some(text.trim_end_matches('\0'));
        }
        bytes = &rest[usize::from(*len)..];
    }
    None
}

/// User data of a set: the byte orders of keys and values.
pub(super) fn byte_orders(key: u32, data: Option<u32>) -> Vec<u8> {
    let mut bytes = vec![SET_KEY_ORDER, 4];
    bytes.extend(key.to_ne_bytes());
    if let Some(data) = data {
        bytes.extend([SET_DATA_ORDER, 4]);
        bytes.extend(data.to_ne_bytes());
    }
    bytes
}
