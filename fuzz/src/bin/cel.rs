//! An expression, and a JSON value that it may look at as `self`, between lines of `--`.
#![no_main]

use cel::{Activation, Decl, Env, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(sections) = fuzz::sections(data) else { return };
    let json = sections.get(1).and_then(|text| schema::json::parse(text.as_bytes()).ok());
    let json = json.unwrap_or_default();
    let decl = Decl::any();
    let env = Env::new().variable("self", decl.to_type("self"));
    let Ok(program) = env.compile(sections[0]) else { return };
    let _ = program.estimate_cost(Some(&decl));
    let values = Activation::new().bind("self", Value::from_json(&json, &decl));
    let _ = program.eval(&values, 100_000);
});
