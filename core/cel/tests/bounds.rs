//! Whatever text comes, compiling and evaluating it ends, within its cost.

use cel::{Activation, Decl, Env, Type, Value};
use proptest::prelude::*;
use serde_json::json;

/// Pieces that often make something well formed.
const PIECES: [&str; 40] = [
    "self",
    "x",
    "1",
    "2u",
    "1.5",
    "'a'",
    "b'a'",
    "true",
    "null",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    ":",
    "?",
    "+",
    "-",
    "*",
    "/",
    "%",
    "==",
    "<",
    "&&",
    "||",
    "!",
    " in ",
    "size",
    ".all(x, ",
    ".map(x, ",
    ".filter(x, ",
    "has(",
    ".matches(",
    "string(",
    ".?a",
    "[?0]",
    ".orValue(",
];

fn compile_and_run(text: &str) {
    let env = Env::new().variable("self", Type::Dyn);
    let Ok(program) = env.compile(text) else {
        return;
    };
    let any = Decl::any();
    let object = json!({"a": [1, "b", {"c": null}], "x": 1.5});
    let values = Activation::new().bind("self", Value::from_json(&object, &any));
    let outcome = program.eval(&values, 10_000);
    assert!(outcome.result.is_err() || outcome.cost <= 10_000, "{text}");
    program.estimate_cost(None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_compiled_or_refused(text in "\\PC{0,60}") {
        compile_and_run(&text);
    }

    #[test]
    fn any_octets_are_compiled_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
        compile_and_run(&String::from_utf8_lossy(&octets));
    }

    #[test]
    fn any_words_are_compiled_or_refused(
        words in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..30)
    ) {
        compile_and_run(&words.concat());
    }
}

#[test]
fn deep_expressions_are_evaluated_or_refused() {
    let nested = |open: &str, close: &str, count: usize| {
        format!("{}1{}", open.repeat(count), close.repeat(count))
    };
    for count in [90, 240, 260, 20_000] {
        for text in [
            nested("(", ")", count),
            nested("[", "]", count),
            nested("dyn(", ")", count),
            nested("{1: ", "}", count),
            nested("1 + (", ")", count),
            nested("true ? 1 : ", "", count),
            format!("self{}", ".a".repeat(count)),
            format!("self{}", "[0]".repeat(count)),
            format!("1{}", " + 1".repeat(count)),
            format!("true{}", " && true".repeat(count)),
            format!("{}1", "-".repeat(count)),
            format!("self{}", ".map(x, x)".repeat(count)),
            "[1].map(x, ".repeat(count.min(300)) + "1" + &")".repeat(count.min(300)),
        ] {
            compile_and_run(&text);
        }
    }
}

#[test]
fn too_deep_and_too_long_expressions_are_refused_with_a_reason() {
    let env = Env::new().variable("self", Type::Dyn);
    let refusal = |text: &str| env.compile(text).expect_err("refused").to_string();
    assert_eq!(
        refusal(&format!("{}1{}", "(".repeat(260), ")".repeat(260))),
        "ERROR: <input>:-1:0: expression recursion limit exceeded: 250"
    );
    assert_eq!(
        refusal(&format!("self{}", ".a".repeat(260))),
        "ERROR: <input>:-1:0: max recursion depth exceeded"
    );
    assert_eq!(
        refusal(&" ".repeat(100_001)),
        "ERROR: <input>:-1:0: expression code point size exceeds limit: size: 100001, limit 100000"
    );
}

#[test]
fn an_evaluation_that_costs_too_much_is_stopped() {
    let env = Env::new();
    for text in [
        "lists.range(100000).map(x, lists.range(100000).map(y, x + y)).size() > 0",
        "lists.range(1000).map(x, lists.range(1000)).flatten().size() > 0",
        "lists.range(9223372036854775807).size() > 0",
    ] {
        let program = env.compile(text).expect("compiles");
        let outcome = program.eval(&Activation::new(), cel::PER_CALL_LIMIT);
        let error = outcome.result.expect_err("stopped");
        assert_eq!(
            error.to_string(),
            "operation cancelled: actual cost limit exceeded"
        );
    }
}
