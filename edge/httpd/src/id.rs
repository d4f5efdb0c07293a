//! Random request ids.

/// 32 hexadecimal digits.
pub(crate) fn request_id() -> String {
    let mut bytes = [0u8; 16];
    // Without randomness the id is still unique enough to be told apart in a log: it is all zero,
    // and the line has a time.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
