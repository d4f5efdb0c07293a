//! Links in a page.

use super::links::Links;

/// Attributes with URLs, by element.
const ATTRIBUTES: [(&str, &[&str]); 25] = [
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
];

/// Elements whose content is text up to their end tag.
const RAW: [&str; 10] = [
    "iframe",
    "noembed",
    "noframes",
    "noscript",
    "plaintext",
    "script",
    "style",
    "textarea",
    "title",
    "xmp",
];

/// Rewrites the links of a page; everything else stays byte for byte.
pub(super) fn rewrite(page: &str, links: &Links) -> String {
    let mut out = String::with_capacity(page.len() + page.len() / 8);
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let name = element(rest);
        if rest.starts_with("<!--") {
            let end = end_of(rest, "-->");
            take(&mut out, &mut rest, end);
        } else if name.is_empty() {
            // An end tag, a declaration or a lone bracket.
            take(&mut out, &mut rest, 1);
        } else {
            tag(&mut out, &mut rest, &name, links);
            if RAW.contains(&name.as_str()) {
                let end = end_tag(rest, &name);
                take(&mut out, &mut rest, end);
            }
        }
    }
    out.push_str(rest);
    out
}

fn take(out: &mut String, rest: &mut &str, length: usize) {
    let (head, tail) = rest.split_at(length);
    out.push_str(head);
    *rest = tail;
}

fn end_of(text: &str, mark: &str) -> usize {
    text.find(mark).map_or(text.len(), |at| at + mark.len())
}

/// The name of the element that begins here, lower case.
fn element(text: &str) -> String {
    let name = text[1..].split(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
    let name = name.take(1).collect::<String>();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.len() < 32 {
        return name.to_ascii_lowercase();
    }
    String::new()
}

/// Where the end tag of a raw element begins.
fn end_tag(text: &str, name: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text[from..].find("</") {
        let start = from + at;
        let after = text[start + 2..].get(..name.len());
        if after.is_some_and(|after| after.eq_ignore_ascii_case(name)) {
            return start;
        }
        from = start + 2;
    }
    text.len()
}

/// Copies a start tag, attribute by attribute.
fn tag(out: &mut String, rest: &mut &str, name: &str, links: &Links) {
    let known = ATTRIBUTES.iter().find(|(element, _)| *element == name);
    let wanted = known.map_or(&[][..], |(_, wanted)| wanted);
    take(out, rest, 1 + name.len());
    loop {
        let skip = rest.find(|c: char| !c.is_ascii_whitespace() && c != '/');
        take(out, rest, skip.unwrap_or(rest.len()));
        if rest.is_empty() {
            return;
        }
        if rest.starts_with('>') {
            return take(out, rest, 1);
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/'));
        // A sign of equality in front belongs to the name.
        let end = end.filter(|end| *end > 0).unwrap_or(1.min(rest.len()));
        let end = (end..=rest.len()).find(|at| rest.is_char_boundary(*at));
        let end = end.unwrap_or(rest.len());
        let attribute = rest[..end].to_ascii_lowercase();
        take(out, rest, end);
        let blank = rest.len() - rest.trim_ascii_start().len();
        if !rest[blank..].starts_with('=') {
            continue;
        }
        take(out, rest, blank + 1);
        let blank = rest.len() - rest.trim_ascii_start().len();
        take(out, rest, blank);
        value(out, rest, wanted.contains(&attribute.as_str()), links);
    }
}

/// Copies the value of an attribute, rewritten when it is a link.
fn value(out: &mut String, rest: &mut &str, is_link: bool, links: &Links) {
    let (text, whole) = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let end = rest[1..].find(quote).map_or(rest.len(), |at| at + 1);
            (&rest[1..end], (end + 1).min(rest.len()))
        }
        _ => {
            let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '>');
            let end = end.unwrap_or(rest.len());
            (&rest[..end], end)
        }
    };
    let rewritten = if is_link {
        links.rewrite(&unescape(text))
    } else {
        None
    };
    match rewritten {
        Some(link) => {
            out.push('"');
            out.push_str(&escape(&link));
            out.push('"');
            *rest = &rest[whole..];
        }
        None => take(out, rest, whole),
    }
}

/// The characters that stand in links as references.
fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut out = text.to_owned();
    for (reference, plain) in [
        ("&#38;", "&"),
        ("&#x26;", "&"),
        ("&#47;", "/"),
        ("&#x2f;", "/"),
        ("&#x2F;", "/"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ] {
        out = out.replace(reference, plain);
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&#39;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn links() -> Links {
        Links {
            prefix: "/p".to_owned(),
            backend: "10.0.0.1".to_owned(),
            host: "api".to_owned(),
        }
    }

    #[test]
    fn links_are_rewritten_and_the_rest_stays() {
        let cases = [
            ("<a href=\"/x\">x</a>", "<a href=\"/p/x\">x</a>"),
            (
                "<A  HREF='/x?a=1&amp;b=2' id=q>",
                "<A  HREF=\"/p/x?a=1&amp;b=2\" id=q>",
            ),
            (
                "<img src=/i.png alt=\"a>b\"/>",
                "<img src=\"/p/i.png\" alt=\"a>b\"/>",
            ),
            ("<p href=\"/x\">1 < 2</p>", "<p href=\"/x\">1 < 2</p>"),
            ("<!-- <a href=\"/x\"> -->", "<!-- <a href=\"/x\"> -->"),
            (
                "<script src=\"/s.js\">'<a href=\"/x\">'</script><link href=/c>",
                "<script src=\"/p/s.js\">'<a href=\"/x\">'</script><link href=\"/p/c\">",
            ),
            (
                "<!doctype html><a name href = /x>",
                "<!doctype html><a name href = \"/p/x\">",
            ),
            (
                "<a href=\"x\"><a href=\"//b/c\">",
                "<a href=\"x\"><a href=\"//b/c\">",
            ),
            ("<a href=\"/x", "<a href=\"/p/x\""),
            ("<a ='/x' =href>", "<a ='/x' =href>"),
        ];
        for (page, wanted) in cases {
            assert_eq!(rewrite(page, &links()), wanted);
        }
    }

    proptest! {
        #[test]
        fn pages_without_absolute_links_stay_as_they_are(page in "[<>a-z='\" é!-]{0,60}") {
            prop_assert_eq!(rewrite(&page, &links()), page);
        }

        #[test]
        fn any_page_is_read_to_its_end(page in "(<(a|img|script|!--|x) ?|href|src|=|/|\"|'|>|é| ){0,40}") {
            prop_assert!(rewrite(&page, &links()).len() >= page.len());
        }
    }
}
