//! Names of all sorts. Each check returns one text per reason, none when the value is right.
//!
//! Source: `apimachinery/pkg/api/validate/content` and `pkg/util/validation`.

use model::FieldError;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const KEY_TEXT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start \
                        and end with an alphanumeric character";

/// `must be no more than N characters`
pub(crate) fn max_length(length: usize) -> String {
    format!("must be no more than {length} characters")
}

/// `must be no more than N bytes`, as the rules of labels say it.
fn max_bytes(length: usize) -> String {
    format!("must be no more than {length} bytes")
}

/// The text of a value that does not match `regex`, with examples of ones that do.
pub(crate) fn regex_text(text: &str, regex: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{text} (regex used for validation is '{regex}')");
    }
    let mut quoted = String::new();
    for (i, example) in examples.iter().enumerate() {
        if i > 0 {
            quoted.push_str(" or ");
        }
        quoted.push_str(&format!("'{example}', "));
    }
    format!("{text} (e.g. {quoted}regex used for validation is '{regex}')")
}

/// `must be between LOW and HIGH, inclusive`
pub(crate) fn range_text(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

/// A number from `low` to `high`.
pub(crate) fn in_range(value: i64, low: i64, high: i64) -> Vec<String> {
    if (low..=high).contains(&value) {
        return Vec::new();
    }
    vec![range_text(low, high)]
}

/// A port from 1 to 65535.
pub(crate) fn port_number(value: i64) -> Vec<String> {
    in_range(value, 1, 65535)
}

fn lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// True when all of `text` are `inner`, and its first and last are `first` and `last`.
fn shaped(
    text: &str,
    first: impl Fn(u8) -> bool,
    inner: impl Fn(u8) -> bool,
    last: impl Fn(u8) -> bool,
) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(a), Some(z)) => first(*a) && last(*z) && bytes.iter().all(|b| inner(*b)),
        _ => false,
    }
}

fn is_label(text: &str) -> bool {
    let inner = |b| lower_or_digit(b) || b == b'-';
    shaped(text, lower_or_digit, inner, lower_or_digit)
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// An RFC 1123 label: `my-name`.
pub(crate) fn dns1123_label(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 63 {
        errors.push(max_length(63));
    }
    if !is_label(value) {
        errors.push(if is_subdomain(value) {
            "must not contain dots".to_owned()
        } else {
            regex_text(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
                 '-', and must start and end with an alphanumeric character",
                LABEL,
                &["my-name", "123-abc"],
            )
        });
    }
    errors
}

/// An RFC 1035 label: as of RFC 1123, but it begins with a letter.
pub(crate) fn dns1035_label(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 63 {
        errors.push(max_length(63));
    }
    if !is_label(value) || !value.starts_with(|c: char| c.is_ascii_lowercase()) {
        errors.push(regex_text(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start \
             with an alphabetic character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    errors
}

/// An RFC 1123 subdomain: `example.com`.
pub(crate) fn dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 253 {
        errors.push(max_length(253));
    }
    if !is_subdomain(value) {
        errors.push(regex_text(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN,
            &["example.com"],
        ));
    }
    errors
}

/// `*.` and a subdomain.
pub(crate) fn wildcard_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 253 {
        errors.push(max_length(253));
    }
    if !value.strip_prefix("*.").is_some_and(is_subdomain) {
        errors.push(regex_text(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS \
             subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and \
             end with an alphanumeric character",
            &format!(r"\*\.{SUBDOMAIN}"),
            &["*.example.com"],
        ));
    }
    errors
}

fn is_key(text: &str) -> bool {
    let edge = |b: u8| b.is_ascii_alphanumeric();
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    shaped(text, edge, inner, edge)
}

/// A qualified name, as label and annotation keys are: `example.com/MyName`.
pub(crate) fn qualified_name(value: &str) -> Vec<String> {
    let examples = ["MyName", "my.name", "123-abc"];
    let mut errors = Vec::new();
    let parts: Vec<&str> = value.split('/').collect();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                let texts = dns1123_subdomain(prefix);
                for text in texts {
                    let long = text == max_length(253);
                    let text = if long { max_bytes(253) } else { text };
                    errors.push(format!("prefix part {text}"));
                }
            }
            *name
        }
        _ => {
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. \
                 'example.com/MyName')",
                regex_text(KEY_TEXT, KEY, &examples)
            )];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        errors.push(format!("name part {}", max_bytes(63)));
    }
    if !is_key(name) {
        errors.push(format!(
            "name part {}",
            regex_text(KEY_TEXT, KEY, &examples)
        ));
    }
    errors
}

/// A label's value; empty is fine.
pub(crate) fn label_value(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 63 {
        errors.push(max_bytes(63));
    }
    if !(value.is_empty() || is_key(value)) {
        errors.push(regex_text(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', \
             '_' or '.', and must start and end with an alphanumeric character",
            &format!("({KEY})?"),
            &["MyValue", "my_value", "12345"],
        ));
    }
    errors
}

/// The name of a container port (IANA_SVC_NAME).
pub(crate) fn port_name(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 15 {
        errors.push(max_length(15));
    }
    if value.is_empty() || !value.bytes().all(|b| lower_or_digit(b) || b == b'-') {
        errors.push(
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned(),
        );
    }
    if !value.bytes().any(|b| b.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if value.starts_with('-') || value.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

/// A domain of at least two labels, a trailing dot allowed (`IsFullyQualifiedDomainName`).
pub(crate) fn check_domain(field: &str, value: &str) -> Vec<FieldError> {
    if value.is_empty() {
        return vec![FieldError::required(field, "")];
    }
    let name = value.strip_suffix('.').unwrap_or(value);
    let invalid = |bad: &str, text: &str| vec![FieldError::invalid(field, &bad.into(), text)];
    let texts = dns1123_subdomain(name);
    if !texts.is_empty() {
        return invalid(name, &texts.join(","));
    }
    if !name.contains('.') {
        let text = "should be a domain with at least two segments separated by dots";
        return invalid(name, text);
    }
    let labels = name.split('.').map(|label| (label, dns1123_label(label)));
    let first = labels.into_iter().find(|(_, texts)| !texts.is_empty());
    first.map_or_else(Vec::new, |(label, texts)| invalid(label, &texts.join(",")))
}

/// A subdomain, a slash and a path: `example.com/foo` (`IsDomainPrefixedPath`).
pub(crate) fn check_domain_prefixed_path(field: &str, value: &str) -> Vec<FieldError> {
    if value.is_empty() {
        return vec![FieldError::required(field, "")];
    }
    let parts = value.split_once('/');
    let Some((host, path)) = parts.filter(|(host, path)| !host.is_empty() && !path.is_empty())
    else {
        let text = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        return vec![FieldError::invalid(field, &value.into(), text)];
    };
    let mut errors: Vec<FieldError> = dns1123_subdomain(host)
        .iter()
        .map(|text| FieldError::invalid(field, &host.into(), text))
        .collect();
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    if !path.bytes().all(allowed) {
        let text = regex_text("Invalid path", r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", &[]);
        errors.push(FieldError::invalid(field, &path.into(), text));
    }
    errors
}

/// A name that can stand in a URL path; `prefix` when more characters will follow it.
pub(crate) fn path_segment_name(value: &str, prefix: bool) -> Vec<String> {
    if !prefix && (value == "." || value == "..") {
        return vec![format!("may not be '{value}'")];
    }
    ["/", "%"]
        .iter()
        .filter(|bad| value.contains(**bad))
        .map(|bad| format!("may not contain '{bad}'"))
        .collect()
}

/// `metadata.name` as a subdomain (`NameIsDNSSubdomain`); a `prefix` may end with a dash.
pub(crate) fn subdomain_name(name: &str, prefix: bool) -> Vec<String> {
    dns1123_subdomain(&without_trailing_dash(name, prefix))
}

/// `metadata.name` as an RFC 1123 label (`NameIsDNSLabel`).
pub(crate) fn label_name(name: &str, prefix: bool) -> Vec<String> {
    dns1123_label(&without_trailing_dash(name, prefix))
}

/// A generateName may end with one dash; a letter in its place makes the check come out right.
fn without_trailing_dash(name: &str, prefix: bool) -> std::borrow::Cow<'_, str> {
    match name.strip_suffix('-') {
        Some(stem) if prefix && name.len() > 1 => format!("{stem}a").into(),
        _ => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_subdomains() {
        let long = "a".repeat(64);
        for (value, label, subdomain) in [
            ("a", true, true),
            ("a-1", true, true),
            ("a.b", false, true),
            ("", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("A", false, false),
            ("a..b", false, false),
            (long.as_str(), false, true),
        ] {
            assert_eq!(dns1123_label(value).is_empty(), label, "{value}");
            assert_eq!(dns1123_subdomain(value).is_empty(), subdomain, "{value}");
        }
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
    }

    #[test]
    fn wildcards_need_one_star_and_a_domain() {
        for (value, ok) in [
            ("*.foo.com", true),
            ("*.com", true),
            ("*", false),
            ("*.", false),
            ("*.*.com", false),
            ("f*.com", false),
        ] {
            assert_eq!(wildcard_dns1123_subdomain(value).is_empty(), ok, "{value}");
        }
    }

    #[test]
    fn keys_and_values() {
        assert!(qualified_name("example.com/My_Name").is_empty());
        assert_eq!(qualified_name("/x"), ["prefix part must be non-empty"]);
        assert_eq!(qualified_name("a/b/c").len(), 1);
        assert_eq!(qualified_name("x/").len(), 2);
        assert!(label_value("").is_empty() && label_value("a_b.c").is_empty());
        assert_eq!(
            label_value(&"a".repeat(64)),
            ["must be no more than 63 bytes"]
        );
        assert_eq!(
            qualified_name(&format!("{}/x", "a".repeat(254))),
            ["prefix part must be no more than 253 bytes"]
        );
        assert_eq!(
            label_value("-"),
            [
                "a valid label must be an empty string or consist of alphanumeric characters, '-', \
                 '_' or '.', and must start and end with an alphanumeric character (e.g. \
                 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                 '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            ]
        );
    }

    #[test]
    fn port_names() {
        assert!(port_name("http-2").is_empty());
        assert_eq!(port_name("80"), ["must contain at least one letter (a-z)"]);
        assert_eq!(port_name("a--b-").len(), 2);
        assert_eq!(port_name("averylongportname")[0], max_length(15));
    }

    #[test]
    fn a_prefix_may_end_with_a_dash() {
        assert!(subdomain_name("web-", true).is_empty());
        assert!(!subdomain_name("web-", false).is_empty());
        assert!(label_name("web-", true).is_empty());
    }
}
