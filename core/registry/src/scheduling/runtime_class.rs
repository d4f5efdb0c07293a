//! RuntimeClasses.

use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::names;
use crate::field::path::{Errors, Path, go_struct};
use crate::field::read::Read;
use crate::field::selector;
use crate::work::podspec::resources::{Rules, canonical_list, requirements};
use crate::work::podspec::tolerations;
use model::go_quote;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The rules of RuntimeClasses.
pub(crate) struct RuntimeClasses;

impl Declared for RuntimeClasses {
    fn defaults(&self, object: &mut Value) {
        let overhead = object.get_mut("overhead");
        if let Some(list) = overhead.and_then(|overhead| overhead.get_mut("podFixed")) {
            canonical_list(list);
        }
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        None
    }

    fn counted(&self) -> &'static [&'static str] {
        &[]
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (handler, path) = (object.text("handler"), Path::new("handler"));
        if let Some(old) = check.old {
            return errors.immutable(&path, object.at("handler"), old.at("handler"));
        }
        if handler.is_empty() {
            errors.required(&path, "");
        } else {
            errors.invalid_each(&path, handler, names::dns1123_label(handler));
        }
        let overhead = object.at("overhead");
        if !overhead.is_null() {
            let limits = json!({"limits": overhead.at("podFixed")});
            let rules = Rules {
                claims: &BTreeSet::new(),
                loose_huge_pages: false,
                pod_level: false,
            };
            requirements(errors, &Path::new("overhead"), &limits, rules);
        }
        scheduling(errors, object.at("scheduling"));
    }
}

fn scheduling(errors: &mut Errors, scheduling: &Value) {
    let path = Path::new("scheduling");
    let nodes = path.child("nodeSelector");
    selector::labels(errors, &nodes, scheduling.at("nodeSelector"));
    let (list, path) = (scheduling.items("tolerations"), path.child("tolerations"));
    tolerations::validate(errors, &path, list);
    let mut seen = BTreeSet::new();
    for (i, one) in list.iter().enumerate() {
        let text = |key: &str| one.text(key).to_owned();
        if !seen.insert(["key", "operator", "value", "effect"].map(text)) {
            let shown = go_struct(&[
                ("Key", go_quote(one.text("key"))),
                ("Operator", go_quote(one.text("operator"))),
                ("Value", go_quote(one.text("value"))),
                ("Effect", go_quote(one.text("effect"))),
                ("TolerationSeconds", one.at("tolerationSeconds").to_string()),
            ]);
            errors.duplicate(&path.index(i), "");
            if let Some(last) = errors.0.last_mut() {
                last.value = Some(shown);
            }
        }
    }
}
