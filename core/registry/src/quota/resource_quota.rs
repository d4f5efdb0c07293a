//! ResourceQuotas.

use super::{hard, scopes};
use crate::declared::{Check, Declared};
use crate::field::path::{Errors, IMMUTABLE, Path};
use crate::field::read::{Read, ensure};
use crate::work::podspec::resources::{canonical_list, quantity};
use serde_json::Value;
use std::collections::BTreeSet;

/// The rules of ResourceQuotas.
pub(crate) struct ResourceQuotas;

impl Declared for ResourceQuotas {
    fn defaults(&self, object: &mut Value) {
        for (part, key) in [("spec", "hard"), ("status", "hard"), ("status", "used")] {
            let list = object.get_mut(part).and_then(|part| part.get_mut(key));
            if let Some(list) = list {
                canonical_list(list);
            }
        }
        ensure(object, "spec");
    }

    fn counted(&self) -> &'static [&'static str] {
        &[]
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (spec, path) = (object.at("spec"), Path::new("spec"));
        hard(errors, spec.at("hard"), &path.child("hard"));
        scopes::scopes(errors, spec, &path);
        scopes::selector(errors, spec, &path);
        let set = |object: &Value| -> BTreeSet<String> {
            let scopes = object.at("spec").texts("scopes");
            scopes.into_iter().map(str::to_owned).collect()
        };
        if check.old.is_some_and(|old| set(old) != set(object)) {
            let shown = match spec.at("scopes") {
                Value::Null => "null".to_owned(),
                scopes => scopes.to_string(),
            };
            errors.invalid_shown(&path.child("scopes"), shown, IMMUTABLE);
        }
    }

    fn check_status(&self, errors: &mut Errors, object: &Value, _: &Check<'_>) {
        for key in ["hard", "used"] {
            let path = Path::new("status").child(key);
            hard(errors, object.at("status").at(key), &path);
        }
    }

    fn tell(&self, object: &Value, check: &Check<'_>) -> Vec<String> {
        if check.old.is_some() {
            return Vec::new();
        }
        let limits = object.at("spec").at("hard");
        let names = ["cpu", "memory", "storage", "ephemeral-storage"];
        let excess = names.iter().filter_map(|name| {
            let mut request = format!("requests.{name}");
            let bare = matches!(*name, "cpu" | "memory") && limits.has(name);
            if !limits.has(&request) && bare {
                request = (*name).to_owned();
            }
            let limit = format!("limits.{name}");
            if !limits.has(&request) || !limits.has(&limit) {
                return None;
            }
            let (asked, most) = (quantity(limits.at(&request)), quantity(limits.at(&limit)));
            (asked > most).then(|| {
                format!("ResourceQuota {request} ({asked}) should be less than {limit} ({most})")
            })
        });
        excess.collect()
    }
}
