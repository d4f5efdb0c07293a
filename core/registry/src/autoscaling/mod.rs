//! HorizontalPodAutoscalers. Source: `pkg/registry/autoscaling`,
//! `pkg/apis/autoscaling/{v2,validation}`.

mod autoscaler;
mod behavior;
mod metrics;

pub(crate) use autoscaler::Autoscalers;

use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use serde_json::Value;

/// A reference to an object that is scaled or measured, and what may be left out of it.
#[derive(Clone, Copy)]
struct ReferenceRules {
    any_version: bool,
    core_group: bool,
}

fn reference(errors: &mut Errors, found: &Value, path: &Path, rules: ReferenceRules) {
    for key in ["kind", "name"] {
        let text = found.text(key);
        if text.is_empty() {
            errors.required(&path.child(key), "");
        } else {
            let texts = names::path_segment_name(text, false);
            errors.invalid_each(&path.child(key), text, texts);
        }
    }
    let version = found.text("apiVersion");
    if let Some(why) = version_fault(version, rules) {
        errors.invalid(&path.child("apiVersion"), version, why);
    }
}

fn version_fault(version: &str, rules: ReferenceRules) -> Option<String> {
    if rules.any_version {
        return None;
    }
    match version.matches('/').count() {
        0 | 1 if rules.core_group => None,
        1 if !version.starts_with('/') => None,
        0 | 1 => Some("apiVersion must specify API group".to_owned()),
        _ => Some(format!("unexpected GroupVersion string: {version}")),
    }
}

/// Whether a measured object's version would be refused.
fn has_bad_version(found: &Value) -> bool {
    let rules = ReferenceRules {
        any_version: false,
        core_group: true,
    };
    version_fault(found.text("apiVersion"), rules).is_some()
}
