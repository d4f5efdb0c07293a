//! Expressions and what they come to.

use cel::{Activation, Decl, Env, Format, ListKind, Outcome, Property, Value};
use serde_json::{Value as Json, json};
use std::sync::Arc;

fn property(name: &str, decl: Decl) -> Property {
    Property {
        name: name.to_owned(),
        decl: Arc::new(decl),
        required: false,
        defaulted: false,
    }
}

fn decl() -> Decl {
    let text = Decl::string(Format::Plain, Some(10), &[]);
    let keyed = Decl::object([property("k", text.clone()), property("v", Decl::integer())]);
    Decl::object([
        property("n", Decl::integer()),
        property("absent", Decl::integer()),
        property("f", Decl::number()),
        property("b", Decl::boolean()),
        property("s", text.clone()),
        property("namespace", text.clone()),
        property("with-dash", text.clone()),
        property("nothing", Decl::integer().nullable(true)),
        property("t", Decl::string(Format::DateTime, None, &[])),
        property("d", Decl::string(Format::Duration, None, &[])),
        property("bytes", Decl::string(Format::Byte, None, &[])),
        property("ios", Decl::int_or_string(None)),
        property(
            "l",
            Decl::list(Arc::new(text.clone()), Some(5), ListKind::Atomic),
        ),
        property(
            "set",
            Decl::list(Arc::new(text.clone()), Some(5), ListKind::Set),
        ),
        property(
            "set2",
            Decl::list(Arc::new(text.clone()), Some(5), ListKind::Set),
        ),
        property(
            "keyed",
            Decl::list(
                Arc::new(keyed),
                Some(5),
                ListKind::Map(vec!["k".to_owned()]),
            ),
        ),
        property("m", Decl::map(Arc::new(Decl::integer()), Some(5))),
        property("o", Decl::object([property("x", Decl::integer())])),
    ])
}

fn object() -> Json {
    json!({
        "n": 3, "f": 2, "b": true, "s": "héllo", "namespace": "ns", "with-dash": "dash",
        "nothing": null, "t": "2024-02-29T12:30:45.125Z", "d": "1h30m", "bytes": "aGk=",
        "ios": "50%", "l": ["a", "b", "c"], "set": ["x", "y"], "set2": ["y", "x"],
        "keyed": [{"k": "one", "v": 1}, {"k": "two", "v": 2}],
        "m": {"a": 1, "b": 2}, "o": {"x": 7}
    })
}

/// The value or error, and the cost.
fn run(text: &str) -> (String, u64) {
    let decl = decl();
    let object = object();
    let env = Env::new().variable("self", decl.to_type("self"));
    let program = match env.compile(text) {
        Ok(program) => program,
        Err(error) => return (error.to_string(), 0),
    };
    let values = Activation::new().bind("self", Value::from_json(&object, &decl));
    let Outcome { result, cost } = program.eval(&values, cel::PER_CALL_LIMIT);
    match result {
        Ok(value) => (value.to_string(), cost),
        Err(error) => (format!("error: {error}"), cost),
    }
}

#[test]
fn expressions_have_their_values() {
    let cases = include_str!("values.txt");
    let mut wrong = Vec::new();
    for line in cases
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (text, wanted) = line.split_once(" => ").expect(line);
        let (value, cost) = run(text);
        let found = match wanted.rsplit_once(" @ ") {
            Some(_) => format!("{value} @ {cost}"),
            None => value,
        };
        if found != wanted {
            wrong.push(format!("{text}\n  wanted {wanted}\n  found  {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
