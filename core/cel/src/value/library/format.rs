//! Named formats of strings.

use super::Url;
use crate::value::time::{parse_date, parse_date_time};
use base64::Engine;

/// A format and what it refuses.
#[derive(Debug)]
pub struct NamedFormat {
    /// As expressions name it.
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    /// What its check costs, as the length of a regular expression.
    pub(crate) regex_size: u64,
    check: fn(&str) -> Vec<String>,
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const KEY_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start \
                        and end with an alphanumeric character";

static FORMATS: [NamedFormat; 13] = [
    format("dns1123Label", "DNS1123Label", 30, label),
    format("dns1123Subdomain", "DNS1123Subdomain", 60, subdomain),
    format("dns1035Label", "DNS1035Label", 30, label_1035),
    format("qualifiedName", "QualifiedName", 60, qualified_name),
    format("dns1123LabelPrefix", "DNS1123LabelPrefix", 30, |s| {
        label(&masked(s))
    }),
    format(
        "dns1123SubdomainPrefix",
        "DNS1123SubdomainPrefix",
        60,
        |s| subdomain(&masked(s)),
    ),
    format("dns1035LabelPrefix", "DNS1035LabelPrefix", 30, |s| {
        label_1035(&masked(s))
    }),
    format("labelValue", "LabelValue", 40, label_value),
    format("uri", "URI", 1103, |s| {
        Url::parse(s).err().into_iter().collect()
    }),
    format("uuid", "uuid", 80, |s| {
        unless(is_uuid(s), "does not match the UUID format")
    }),
    format("byte", "byte", 84, |s| {
        unless(is_base64(s), "invalid base64")
    }),
    format("date", "date", 70, |s| {
        unless(parse_date(s).is_some(), "invalid date")
    }),
    format("datetime", "datetime", 70, |s| {
        unless(parse_date_time(s).is_some(), "invalid datetime")
    }),
];

const fn format(
    key: &'static str,
    name: &'static str,
    regex_size: u64,
    check: fn(&str) -> Vec<String>,
) -> NamedFormat {
    NamedFormat {
        key,
        name,
        regex_size,
        check,
    }
}

impl NamedFormat {
    /// The format that expressions call `key`.
    pub(crate) fn named(key: &str) -> Option<&'static NamedFormat> {
        FORMATS.iter().find(|format| format.key == key)
    }

    /// What is wrong with `text`.
    pub(crate) fn problems(&self, text: &str) -> Vec<String> {
        (self.check)(text)
    }

    pub(super) fn is(key: &str, text: &str) -> bool {
        NamedFormat::named(key).is_some_and(|format| format.problems(text).is_empty())
    }
}

fn unless(fine: bool, problem: &str) -> Vec<String> {
    if fine {
        Vec::new()
    } else {
        vec![problem.to_owned()]
    }
}

/// A prefix may end in a dash, since something follows it.
fn masked(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let end = rest.char_indices().next_back().map_or(0, |(at, _)| at);
            format!("{}a", &rest[..end])
        }
        _ => text.to_owned(),
    }
}

fn too_long(text: &str, most: usize) -> Option<String> {
    (text.len() > most).then(|| format!("must be no more than {most} characters"))
}

fn rule(text: &str, examples: &[&str], regex: &str) -> String {
    let examples: Vec<String> = examples.iter().map(|e| format!("'{e}'")).collect();
    let examples = examples.join(",  or ");
    format!("{text} (e.g. {examples}, regex used for validation is '{regex}')")
}

fn is_label(text: &str, starts: fn(char) -> bool) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.starts_with(starts) && text.chars().all(inner) && !text.ends_with('-')
}

fn lower_or_digit(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn label(text: &str) -> Vec<String> {
    let mut problems: Vec<String> = too_long(text, 63).into_iter().collect();
    if !is_label(text, lower_or_digit) {
        let why = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters \
                   or '-', and must start and end with an alphanumeric character";
        problems.push(rule(why, &["my-name", "123-abc"], LABEL));
    }
    problems
}

fn label_1035(text: &str) -> Vec<String> {
    let mut problems: Vec<String> = too_long(text, 63).into_iter().collect();
    if !is_label(text, |c| c.is_ascii_lowercase()) {
        let why = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', \
                   start with an alphabetic character, and end with an alphanumeric character";
        problems.push(rule(why, &["my-name", "abc-123"], LABEL_1035));
    }
    problems
}

fn subdomain(text: &str) -> Vec<String> {
    let mut problems: Vec<String> = too_long(text, 253).into_iter().collect();
    if !text.split('.').all(|part| is_label(part, lower_or_digit)) {
        let why = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
                   characters, '-' or '.', and must start and end with an alphanumeric character";
        let regex = format!("{LABEL}(\\.{LABEL})*");
        problems.push(rule(why, &["example.com"], &regex));
    }
    problems
}

fn is_key(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.chars().all(inner) && text.starts_with(edge) && text.ends_with(edge)
}

fn qualified_name(text: &str) -> Vec<String> {
    let examples = ["MyName", "my.name", "123-abc"];
    let mut problems = Vec::new();
    let name = match text.split_once('/') {
        None => text,
        Some((_, name)) if name.contains('/') => {
            let why = format!("a valid label key {}", rule(KEY_RULE, &examples, KEY));
            let optional = "with an optional DNS subdomain prefix and '/' (e.g. \
                            'example.com/MyName')";
            return vec![format!("{why} {optional}")];
        }
        Some((prefix, name)) => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                let found = subdomain(prefix).into_iter();
                problems.extend(found.map(|problem| format!("prefix part {problem}")));
            }
            name
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if let Some(problem) = too_long(name, 63) {
        problems.push(format!("name part {problem}"));
    }
    if !is_key(name) {
        problems.push(format!("name part {}", rule(KEY_RULE, &examples, KEY)));
    }
    problems
}

fn label_value(text: &str) -> Vec<String> {
    let mut problems: Vec<String> = too_long(text, 63).into_iter().collect();
    if !text.is_empty() && !is_key(text) {
        let why = format!(
            "a valid label must be an empty string or {}",
            &KEY_RULE[5..]
        );
        let examples = ["MyValue", "my_value", "12345"];
        problems.push(rule(&why, &examples, &format!("({KEY})?")));
    }
    problems
}

fn is_uuid(text: &str) -> bool {
    let mut rest = text;
    for (index, count) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        match rest.get(..count) {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
                rest = &rest[count..];
            }
            _ => return false,
        }
    }
    rest.is_empty()
}

fn is_base64(text: &str) -> bool {
    let engine = base64::engine::general_purpose::STANDARD;
    !text.is_empty() && engine.decode(text).is_ok()
}
