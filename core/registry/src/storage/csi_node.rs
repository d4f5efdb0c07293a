//! CSINodes.

use super::driver_name;
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::names;
use crate::field::path::{Errors, IMMUTABLE, Path, go_struct};
use crate::field::read::{Read, remove, same};
use model::go_quote;
use serde_json::Value;
use std::collections::BTreeSet;

/// The rules of CSINodes.
pub(crate) struct CsiNodes;

const ID_LENGTH: usize = 256;

impl Declared for CsiNodes {
    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        None
    }

    fn counted(&self) -> &'static [&'static str] {
        &[]
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let list = Path::new("spec").child("drivers");
        let drivers = object.at("spec").items("drivers");
        let mut seen = BTreeSet::new();
        for (i, found) in drivers.iter().enumerate() {
            driver(errors, found, &list.index(i));
            let name = found.text("name");
            if !seen.insert(name) {
                errors.duplicate(&list.index(i).child("name"), name);
            }
            topology_keys(errors, found, &list.index(i));
        }
        for before in check
            .old
            .iter()
            .flat_map(|old| old.at("spec").items("drivers"))
        {
            let fixed = |driver: &Value| {
                let mut driver = driver.clone();
                remove(&mut driver, "allocatable");
                driver
            };
            for now in drivers
                .iter()
                .filter(|now| now.text("name") == before.text("name"))
            {
                if !same(&fixed(now), &fixed(before)) {
                    errors.invalid_shown(&list, go_driver(now), IMMUTABLE);
                }
            }
        }
    }
}

fn driver(errors: &mut Errors, found: &Value, path: &Path) {
    driver_name(errors, found.text("name"), &path.child("name"));
    let id = found.text("nodeID");
    if id.is_empty() {
        errors.required(&path.child("nodeID"), "");
    }
    if id.len() > ID_LENGTH {
        let text = format!("must be {ID_LENGTH} characters or less");
        errors.invalid(&path.child("nodeID"), id, text);
    }
    if let Some(count) = found.at("allocatable").number("count") {
        errors.nonnegative(&path.child("allocatable").child("count"), count);
    }
}

fn topology_keys(errors: &mut Errors, found: &Value, path: &Path) {
    let mut seen = BTreeSet::new();
    for key in found.texts("topologyKeys") {
        if key.is_empty() {
            errors.required(path, "");
        }
        if !seen.insert(key) {
            errors.duplicate(path, key);
        }
        errors.invalid_each(path, key, names::qualified_name(key));
    }
}

fn go_driver(driver: &Value) -> String {
    let keys = match driver.at("topologyKeys") {
        Value::Null => "null".to_owned(),
        keys => keys.to_string(),
    };
    go_struct(&[
        ("Name", go_quote(driver.text("name"))),
        ("NodeID", go_quote(driver.text("nodeID"))),
        ("TopologyKeys", keys),
        ("Allocatable", "null".to_owned()),
    ])
}
