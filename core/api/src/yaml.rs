//! Values as YAML text, in the style of the library that Kubernetes uses.

use serde_json::Value;

/// Writes a value as a YAML document.
pub(crate) fn write(value: &Value) -> String {
    let mut out = String::new();
    node(&mut out, value, 0, Place::Top);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    AfterKey,
    AfterDash,
}

fn node(out: &mut String, value: &Value, indent: usize, place: Place) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            if place == Place::AfterKey {
                out.push('\n');
            }
            for (i, (key, child)) in map.iter().enumerate() {
                if i > 0 || place != Place::AfterDash {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str(&scalar(key, indent));
                out.push(':');
                // Lists stand at the column of their key.
                let deeper = if child.is_array() { indent } else { indent + 2 };
                node(out, child, deeper, Place::AfterKey);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            if place == Place::AfterKey {
                out.push('\n');
            }
            for (i, child) in list.iter().enumerate() {
                if i > 0 || place != Place::AfterDash {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str("- ");
                node(out, child, indent + 2, Place::AfterDash);
            }
        }
        plain => {
            if place == Place::AfterKey {
                out.push(' ');
            }
            out.push_str(&inline(plain, indent));
            out.push('\n');
        }
    }
}

fn inline(value: &Value, indent: usize) -> String {
    match value {
        Value::String(text) => scalar(text, indent),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

fn scalar(text: &str, indent: usize) -> String {
    if text.contains('\n')
        && text
            .chars()
            .all(|c| c == '\n' || (!c.is_control() && c != '\u{feff}'))
        && !text.starts_with([' ', '\n'])
    {
        return block(text, indent);
    }
    if looks_typed(text) || text.chars().any(|c| c.is_control() || c == '\u{feff}') {
        return quoted(text);
    }
    if needs_quotes(text) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    text.to_owned()
}

fn block(text: &str, indent: usize) -> String {
    let trimmed = text.trim_end_matches('\n');
    let chomp = match text.len() - trimmed.len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let pad = " ".repeat(indent.max(2));
    let mut out = format!("|{chomp}");
    let body = if chomp == "+" {
        &text[..text.len() - 1]
    } else {
        trimmed
    };
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&pad);
            out.push_str(line);
        }
    }
    out
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || c == '\u{feff}' => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether an unquoted text would be read as something else than a string.
fn looks_typed(text: &str) -> bool {
    let word = matches!(
        text,
        "" | "~"
            | "null"
            | "Null"
            | "NULL"
            | "true"
            | "True"
            | "TRUE"
            | "false"
            | "False"
            | "FALSE"
            | "y"
            | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "on"
            | "On"
            | "ON"
            | "off"
            | "Off"
            | "OFF"
            | "<<"
            | "="
    );
    word || is_number(text) || is_date(text)
}

fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    let body = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    if matches!(body, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let radix = |prefix: &str, digits: &dyn Fn(char) -> bool| {
        body.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(digits))
    };
    if radix("0x", &|c| c.is_ascii_hexdigit())
        || radix("0b", &|c| matches!(c, '0' | '1'))
        || radix("0o", &|c| matches!(c, '0'..='7'))
    {
        return true;
    }
    let starts = body.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    // Sexagesimal numbers of YAML 1.1, e.g. 12:30.
    let sexagesimal = body.contains(':')
        && body
            .split(':')
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()));
    starts && (body.parse::<f64>().is_ok() || sexagesimal)
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = |at: usize, what: fn(&u8) -> bool| bytes.get(at).is_some_and(what);
    let digits = (0..4).all(|i| shape(i, u8::is_ascii_digit));
    digits && bytes.get(4) == Some(&b'-') && shape(5, u8::is_ascii_digit) && bytes.len() >= 8
}

fn needs_quotes(text: &str) -> bool {
    let first = text.chars().next().unwrap_or(' ');
    let second_blank = text.chars().nth(1).is_none_or(|c| c == ' ');
    let indicator = "#,[]{}&*!|>'\"%@`".contains(first) || ("-?:".contains(first) && second_blank);
    indicator
        || text.starts_with(' ')
        || text.ends_with([' ', ':'])
        || text.contains(": ")
        || text.contains(" #")
        || text.starts_with("---")
        || text.starts_with("...")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writes_as_the_original_does() {
        let value = json!({
            "a": "x", "b": {}, "c": [], "d": [{"k": 1, "l": [1, 2]}, "s"], "e": "true", "f": "a: b", "g": "1.5",
            "h": "line\nnext\n", "i": "2020-01-01T00:00:00Z", "j": null, "k": {"f:x": {".": {}}}, "l": "it's",
        });
        let want = "a: x\nb: {}\nc: []\nd:\n- k: 1\n  l:\n  - 1\n  - 2\n- s\ne: \"true\"\nf: 'a: b'\ng: \"1.5\"\nh: |\n  line\n  next\ni: \"2020-01-01T00:00:00Z\"\nj: null\nk:\n  f:x:\n    .: {}\nl: it's\n";
        assert_eq!(write(&value), want);
    }
}
