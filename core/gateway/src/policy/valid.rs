//! What annotation values may consist of (internal/ingress/annotations/parser/validators.go).

fn basic(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~/:".contains(c)
}

fn all(value: &str, extra: &str) -> bool {
    value.chars().all(|c| basic(c) || extra.contains(c))
}

/// Letters, digits and `-._~/:`.
pub(crate) fn basic_chars(value: &str) -> bool {
    all(value, "")
}

/// The same, blanks left out of account.
pub(crate) fn basic_chars_blanks(value: &str) -> bool {
    all(value, " ")
}

/// Letters, digits, `-._~/:` and blanks.
pub(crate) fn words(value: &str) -> bool {
    all(value, " ")
}

/// A path pattern.
pub(crate) fn regex_chars(value: &str) -> bool {
    all(value, "^$[](){}*+?|&=\\")
}

/// A URL with a query.
pub(crate) fn url(value: &str) -> bool {
    all(value, ",:?&=")
}

/// A URL with a query, blanks left out of account.
pub(crate) fn url_blanks(value: &str) -> bool {
    all(value, ",:?&= ")
}

/// A URL with variables.
pub(crate) fn url_with_variables(value: &str) -> bool {
    all(value, ", :?&=$")
}

/// A rewrite target.
pub(crate) fn path_with_captures(value: &str) -> bool {
    all(value, "$")
}

/// A size such as `8k`.
pub(crate) fn size(value: &str) -> bool {
    let value = value.replace(' ', "");
    let digits = value.trim_end_matches(|c: char| "bkmgBKMG".contains(c));
    !digits.is_empty()
        && value.len() - digits.len() <= 1
        && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Variables and names.
pub(crate) fn variable(value: &str) -> bool {
    let extra = "-_${}";
    value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
}

/// A list of header names.
pub(crate) fn header_list(value: &str) -> bool {
    value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_, ".contains(c))
}

/// A list of server names, which may be patterns.
pub(crate) fn server_names(value: &str) -> bool {
    value.split(',').all(|name| regex_chars(name.trim()))
}

/// `on` or `off`.
pub(crate) fn on_off(value: &str) -> bool {
    matches!(value.trim(), "on" | "off")
}

/// A name of a Service: RFC 1035 label.
pub(crate) fn service_name(value: &str) -> bool {
    value.len() <= 63
        && value.starts_with(|c: char| c.is_ascii_lowercase())
        && !value.ends_with('-')
        && value
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Bytes of a size text such as `1m`, `8k`, `10g`; `None` when it is none.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.replace(' ', "").to_ascii_lowercase();
    let (digits, factor) = match text.strip_suffix(['k', 'm', 'g', 'b']) {
        Some(digits) if text.ends_with('k') => (digits, 1 << 10),
        Some(digits) if text.ends_with('m') => (digits, 1 << 20),
        Some(digits) if text.ends_with('g') => (digits, 1 << 30),
        _ => (text.as_str(), 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("1m", 1 << 20), ("8k", 8192), ("0", 0), ("10G", 10 << 30)] {
            assert!(size(text));
            assert_eq!(parse_size(text), Some(bytes));
        }
        for bad in ["", "m", "large", "1mm", "-1"] {
            assert!(!size(bad), "{bad}");
        }
    }

    #[test]
    fn character_sets_hold() {
        assert!(path_with_captures("/$2/x-y.z"));
        assert!(!path_with_captures("/$1?mode=x"));
        assert!(!path_with_captures("/a;b"));
        assert!(url("https://new.example/x?y=1"));
        assert!(!url("https://new.example$request_uri"));
        assert!(server_names("~^al[0-9]+\\.test$, b.test"));
    }
}
