use super::*;
use proptest::prelude::*;

fn error(text: &str) -> String {
    parse(text.as_bytes()).expect_err("is no JSON").message
}

#[test]
fn says_what_go_says() {
    for (text, message) in [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ("[1,", "unexpected end of JSON input"),
        ("\"x", "unexpected end of JSON input"),
        (
            "{\"a\":1,}",
            "invalid character '}' looking for beginning of object key string",
        ),
        (
            "{a:1}",
            "invalid character 'a' looking for beginning of object key string",
        ),
        ("{\"a\" 1}", "invalid character '1' after object key"),
        (
            "{\"a\":1 \"b\"}",
            "invalid character '\"' after object key:value pair",
        ),
        ("[1 2]", "invalid character '2' after array element"),
        (
            "[,]",
            "invalid character ',' looking for beginning of value",
        ),
        ("1 2", "invalid character '2' after top-level value"),
        ("01", "invalid character '1' after top-level value"),
        ("-x", "invalid character 'x' in numeric literal"),
        (
            "1.x",
            "invalid character 'x' after decimal point in numeric literal",
        ),
        (
            "1ex",
            "invalid character 'x' in exponent of numeric literal",
        ),
        (
            "trux",
            "invalid character 'x' in literal true (expecting 'e')",
        ),
        ("\"\n\"", "invalid character '\\n' in string literal"),
        ("\"\\x\"", "invalid character 'x' in string escape code"),
        (
            "\"\\u12g4\"",
            "invalid character 'g' in \\u hexadecimal character escape",
        ),
        (
            "'a'",
            "invalid character '\\'' looking for beginning of value",
        ),
        ("é", "invalid character 'Ã' looking for beginning of value"),
    ] {
        assert_eq!(error(text), message, "{text}");
    }
    assert_eq!(error(&"[".repeat(10_001)), "exceeded max depth");
    assert_eq!(
        error(&format!("{}1{}", "[".repeat(200), "]".repeat(200))),
        "exceeded max depth"
    );
}

#[test]
fn reads_escapes_and_repairs_text() {
    let read = |text: &[u8]| parse(text).expect("JSON");
    assert_eq!(
        read(br#""\u00e9\ud83d\ude00\n\/\ud800x""#),
        "\u{e9}\u{1f600}\n/\u{fffd}x"
    );
    assert_eq!(read(b"\"\xffa\xf0\x9f\""), "\u{fffd}a\u{fffd}\u{fffd}");
    assert_eq!(
        read(b" { \"a\" : [ 1 , 2.5, -3e2 ] } ").to_string(),
        r#"{"a":[1,2.5,-300.0]}"#
    );
}

/// Equal apart from how numbers are kept: Go has neither `-0` nor unsigned ones.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn agrees_with_another_parser(text in r#"[\[\]{},:"a\\u0-9eE+. tfn-]{0,24}"#) {
        let ours = parse(text.as_bytes());
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => prop_assert!(same(&ours.expect("both read it"), &value), "{}", value),
            Err(error) if error.to_string().contains("out of range")
                || error.to_string().contains("surrogate")
                || error.to_string().contains("hex escape") => {}
            Err(_) => prop_assert!(ours.is_err()),
        }
    }
}
