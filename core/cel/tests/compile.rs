//! Why expressions are refused, and the most that others cost.

use cel::{Activation, Decl, Env, Format, ListKind, Property, Type, Value};
use serde_json::json;
use std::sync::Arc;

fn property(name: &str, decl: Decl) -> Property {
    Property {
        name: name.to_owned(),
        decl: Arc::new(decl),
        required: false,
        defaulted: false,
    }
}

fn text(most: Option<i64>) -> Decl {
    Decl::string(Format::Plain, most, &[])
}

fn list(of: Decl, most: Option<i64>) -> Decl {
    Decl::list(Arc::new(of), most, ListKind::Atomic)
}

/// Bounded fields, and with `u` before their names fields without bounds.
fn decl() -> Decl {
    let item = Decl::object([
        property("x", Decl::integer()),
        property("s", text(Some(100))),
    ]);
    Decl::object([
        property("a", text(Some(10))),
        property("n", Decl::integer()),
        property("f", Decl::number()),
        property("b", Decl::boolean()),
        property("l", list(text(Some(10)), Some(5))),
        property("li", list(Decl::integer(), Some(5))),
        property("m", Decl::map(Arc::new(text(Some(4))), Some(3))),
        property("ios", Decl::int_or_string(None)),
        property("o", Decl::object([property("x", Decl::integer())])),
        property("t", Decl::string(Format::DateTime, None, &[])),
        property("d", Decl::string(Format::Duration, None, &[])),
        property("us", text(None)),
        property("ul", list(text(None), None)),
        property("um", Decl::map(Arc::new(text(None)), None)),
        property("uli", list(Decl::integer(), None)),
        property("ulo", list(item, None)),
    ])
}

fn env(decl: &Decl) -> Env {
    let of = decl.to_type("self");
    Env::new()
        .variable("self", of.clone())
        .variable("oldSelf", of)
}

/// The refusal of a rule, which must be a bool.
fn refusal(env: &Env, rule: &str) -> String {
    match env.compile(rule) {
        Err(error) => error.to_string(),
        Ok(program) => match program.instantiation_error() {
            Some(error) => format!("program instantiation failed: {error}"),
            None if program.result_type() == &Type::Bool => "accepted".to_owned(),
            None => "cel expression must evaluate to a bool".to_owned(),
        },
    }
}

#[test]
fn rules_are_refused_in_the_words_of_the_api_server() {
    let env = env(&decl());
    let mut cases: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in include_str!("errors.txt").lines().skip(1) {
        match (line.strip_prefix("  "), cases.last_mut()) {
            (Some(error), Some((_, lines))) => lines.push(error),
            _ => cases.push((line, Vec::new())),
        }
    }
    let mut wrong = Vec::new();
    for (rule, lines) in &cases {
        let (found, wanted) = (refusal(&env, rule), lines.join("\n"));
        if found != wanted {
            wrong.push(format!("{rule}\nwanted {wanted}\nfound  {found}"));
        }
    }
    assert!(cases.len() > 100);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn costs_are_estimated_as_the_api_server_does() {
    let decl = decl();
    let env = env(&decl);
    let mut wrong = Vec::new();
    for line in include_str!("estimates.txt").lines().skip(1) {
        let (rule, wanted) = line.rsplit_once(" => ").expect(line);
        let program = env.compile(rule).expect(rule);
        let found = program.estimate_cost(Some(&decl)).max.to_string();
        if found != wanted {
            wrong.push(format!("{rule}: wanted {wanted}, found {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_evaluation_costs_more_than_was_estimated() {
    let decl = decl();
    let env = env(&decl);
    let object = json!({
        "a": "abc", "n": 2, "f": 1.5, "b": true, "l": ["a", "bc"], "li": [3, 1, 2],
        "m": {"k": "v"}, "ios": 7, "o": {"x": 1}, "t": "2024-01-01T00:00:00Z", "d": "1h",
        "us": "1.2.3", "ul": ["1.2.3.4", "10.0.0.0/8", "abc"], "um": {"a": "b", "c": "d"},
        "uli": [1, 2, 3, 4], "ulo": [{"x": 1, "s": "abc,def"}, {"x": 2}],
    });
    for line in include_str!("estimates.txt").lines().skip(1) {
        let (rule, _) = line.rsplit_once(" => ").expect(line);
        // The API server takes the variables of a loop over a map that is written out for empty.
        if rule.starts_with('{') {
            continue;
        }
        let program = env.compile(rule).expect(rule);
        let estimate = program.estimate_cost(Some(&decl));
        let values = Activation::new().bind("self", Value::from_json(&object, &decl));
        let cost = program.eval(&values, u64::MAX).cost;
        assert!(cost <= estimate.max, "{rule}: {cost} > {}", estimate.max);
    }
}
