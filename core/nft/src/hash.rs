//! The kernel's hash and the way it makes a number of it.

/// Bob Jenkins' lookup3 over bytes, as `jhash()` of `linux/jhash.h`: what the expression `jhash`
/// computes before it is scaled. Words are read in the machine's order, as the kernel does.
pub fn jhash(bytes: &[u8], seed: u32) -> u32 {
    let start = 0xdead_beef_u32
        .wrapping_add(bytes.len() as u32)
        .wrapping_add(seed);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = bytes;
    while rest.len() > 12 {
        a = a.wrapping_add(word(&rest[..4]));
        b = b.wrapping_add(word(&rest[4..8]));
        c = c.wrapping_add(word(&rest[8..12]));
        (a, b, c) = mix(a, b, c);
        rest = &rest[12..];
    }
    if rest.is_empty() {
        return c;
    }
    a = a.wrapping_add(tail(rest, 0));
    b = b.wrapping_add(tail(rest, 4));
    c = c.wrapping_add(tail(rest, 8));
    last(a, b, c)
}

/// A number below `bound` out of a hash or a random number: `reciprocal_scale()`.
pub fn scale(value: u32, bound: u32) -> u32 {
    ((u64::from(value) * u64::from(bound)) >> 32) as u32
}

/// Four bytes in the machine's order (`get_unaligned((u32 *)k)`).
fn word(bytes: &[u8]) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(bytes);
    u32::from_ne_bytes(four)
}

/// Up to four bytes of the last block, the lowest first on every machine.
fn tail(rest: &[u8], from: usize) -> u32 {
    let bytes = rest.iter().skip(from).take(4).enumerate();
    bytes.fold(0, |sum, (at, byte)| sum | u32::from(*byte) << (8 * at))
}

fn mix(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32, u32) {
    let round = |x: &mut u32, y: &mut u32, z: u32, by: u32| {
        // x takes from y and turns it; y then takes z up.
        *x = x.wrapping_sub(*y) ^ y.rotate_left(by);
        *y = y.wrapping_add(z);
    };
    round(&mut a, &mut c, b, 4);
    round(&mut b, &mut a, c, 6);
    round(&mut c, &mut b, a, 8);
    round(&mut a, &mut c, b, 16);
    round(&mut b, &mut a, c, 19);
    round(&mut c, &mut b, a, 4);
    (a, b, c)
}

fn last(mut a: u32, mut b: u32, mut c: u32) -> u32 {
    let round = |x: &mut u32, y: u32, by: u32| *x = (*x ^ y).wrapping_sub(y.rotate_left(by));
    round(&mut c, b, 14);
    round(&mut a, c, 11);
    round(&mut b, a, 25);
    round(&mut c, b, 16);
    round(&mut a, c, 4);
    round(&mut b, a, 14);
    round(&mut c, b, 24);
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that lookup3.c prints of itself.
    #[test]
    #[cfg(target_endian = "little")]
    fn hashes_are_those_of_lookup3() {
        assert_eq!(jhash(b"", 0), 0xdead_beef);
        assert_eq!(jhash(b"Four score and seven years ago", 0), 0x1777_0551);
        assert_eq!(jhash(b"Four score and seven years ago", 1), 0xcd62_8161);
    }

    #[test]
    fn scaled_values_stay_below_their_bound() {
        assert_eq!(scale(0, 3), 0);
        assert_eq!(scale(u32::MAX, 3), 2);
        assert_eq!(scale(0x8000_0000, 2), 1);
        assert_eq!(scale(77, 1), 0);
    }
}
