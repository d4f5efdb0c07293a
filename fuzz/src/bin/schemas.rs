//! A schema, an object and an older object, as JSON between lines of `--`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::structural::{CheckOptions, Part, Structural, Tolerance, check};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some(sections) = fuzz::sections(data) else { return };
    let parse = |text: &&str| schema::json::parse(text.as_bytes()).ok();
    let Some(definition) = sections.first().and_then(parse) else { return };
    let options = CheckOptions {
        path: "schema",
        status_subresource: false,
        unchanged: false,
        tolerance: Tolerance::default(),
        meta: |_, _, _| {},
    };
    let _ = check(&definition, options);
    let Ok(structural) = Structural::parse(&definition) else { return };
    let _ = (structural.open_api_v3(), structural.open_api_v2());
    let old: Option<Value> = sections.get(2).and_then(parse);
    if let Some(mut object) = sections.get(1).and_then(parse) {
        if structural.receive(&mut object).is_err() {
            return;
        }
        assert!(structural.prune(&mut object.clone()).is_empty(), "pruned twice");
        let mut errors = Vec::new();
        let _ = structural.validate(&object, old.as_ref(), Part::Whole, |_, _, _| {}, &mut errors);
    }
});
