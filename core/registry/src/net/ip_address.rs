//! IPAddresses: one object per ClusterIP, named by the address.

use super::fields::text;
use crate::field::{ip, names};
use crate::{Context, Strategy};
use model::{FieldError, FieldErrorKind};
use serde_json::{Value, json};

const PARENT: &str = "spec.parentRef";

/// The rules of IPAddresses.
pub(crate) struct IpAddresses;

impl Strategy for IpAddresses {
    fn validate_name(&self, name: &str, _prefix: bool) -> Vec<String> {
        let errors = ip::check_canonical_ip("", name);
        errors.into_iter().map(|error| error.detail).collect()
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        check_parent(parent(object))
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let (new, old) = (parent(object), parent(old));
        let mut errors = check_parent(new);
        if printed(new) != printed(old) {
            errors.push(FieldError {
                kind: FieldErrorKind::Invalid,
                field: PARENT.to_owned(),
                value: Some(printed(new)),
                detail: "field is immutable".to_owned(),
            });
        }
        errors
    }
}

fn parent(object: &Value) -> Option<&Value> {
    let parent = object["spec"].get("parentRef");
    parent.filter(|parent| !parent.is_null())
}

/// As Go prints its internal type.
fn printed(parent: Option<&Value>) -> String {
    let Some(parent) = parent else {
        return "null".to_owned();
    };
    let quoted = |key| json!(text(parent, key));
    format!(
        r#"{{"Group":{},"Resource":{},"Namespace":{},"Name":{}}}"#,
        quoted("group"),
        quoted("resource"),
        quoted("namespace"),
        quoted("name")
    )
}

fn check_parent(parent: Option<&Value>) -> Vec<FieldError> {
    let Some(parent) = parent else {
        return vec![FieldError::required(PARENT, "")];
    };
    let segment = |value: &str| names::path_segment_name(value, false);
    let mut errors = Vec::new();
    for (part, required, check) in [
        (
            "group",
            false,
            names::dns1123_subdomain as fn(&str) -> Vec<String>,
        ),
        ("resource", true, segment),
        ("name", true, segment),
        ("namespace", false, segment),
    ] {
        let (field, value) = (format!("{PARENT}.{part}"), text(parent, part));
        if !value.is_empty() {
            let texts = check(value);
            let all = texts.iter();
            errors.extend(all.map(|t| FieldError::invalid(field.as_str(), &value.into(), t)));
        } else if required {
            errors.push(FieldError::required(field, ""));
        }
    }
    errors
}
