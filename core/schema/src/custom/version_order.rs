//! Kubernetes' order of versions: `v10` before `v2` before `v1` before `v11beta2` before `v1alpha1`,
//! and all others by name at the end (`version.CompareKubeAwareVersionStrings`).

use std::cmp::Ordering;

/// Stability, major and minor.
fn parts(version: &str) -> Option<(u8, u32, u32)> {
    let rest = version.strip_prefix('v')?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (major, rest) = rest.split_at(digits);
    let major = number(major)?;
    if rest.is_empty() {
        return Some((2, major, 0));
    }
    let (stability, minor) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
        (Some(minor), _) => (1, minor),
        (_, Some(minor)) => (0, minor),
        _ => return None,
    };
    Some((stability, major, number(minor)?))
}

fn number(text: &str) -> Option<u32> {
    if text.starts_with('0') {
        return None;
    }
    text.parse().ok()
}

/// The version that clients should prefer comes first.
pub(crate) fn newest_first(a: &str, b: &str) -> Ordering {
    match (parts(a), parts(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_in_order_of_preference() {
        let order = [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "foo1",
            "foo10",
            "v0",
        ];
        let mut shuffled = order.to_vec();
        shuffled.sort_unstable();
        shuffled.sort_by(|a, b| newest_first(a, b));
        assert_eq!(shuffled, order);
    }
}
