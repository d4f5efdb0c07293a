//! Groups of the Kubernetes project want an annotation that says the API was approved (KEP-1111).

use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use serde_json::Value;

/// The annotation.
pub(super) const ANNOTATION: &str = "api-approved.kubernetes.io";

/// What the annotation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Approval {
    Invalid,
    Approved,
    Bypassed,
    Missing,
}

/// Whether the group is one of `k8s.io` and `kubernetes.io`.
fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"].iter().any(|domain| {
        let rest = group.strip_suffix(domain);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn annotation(definition: &Value) -> &str {
    definition.at("metadata").at("annotations").text(ANNOTATION)
}

fn state(definition: &Value) -> Approval {
    match annotation(definition) {
        "" => Approval::Missing,
        text if text.starts_with("unapproved") => Approval::Bypassed,
        text if is_url(text) => Approval::Approved,
        _ => Approval::Invalid,
    }
}

/// A URL with scheme and host.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let mut letters = scheme.bytes();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !host.is_empty()
        && !text
            .bytes()
            .any(|byte| byte.is_ascii_control() || byte == b' ')
}

/// Refuses a missing or wrong annotation, unless it was as wrong before.
pub(super) fn check(errors: &mut Errors, definition: &Value, old: Option<&Value>) {
    if !is_protected(definition.at("spec").text("group")) {
        return;
    }
    let approval = state(definition);
    if old.is_some_and(|old| state(old) == approval) {
        return;
    }
    let path = Path::new("metadata").child("annotations").key(ANNOTATION);
    let wanted = format!("protected groups must have approval annotation \"{ANNOTATION}\"");
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    match approval {
        Approval::Missing => errors.required(&path, &format!("{wanted}, {see}")),
        Approval::Invalid => {
            let either = "with either a URL or a reason starting with \"unapproved\"";
            errors.invalid(
                &path,
                annotation(definition),
                format!("{wanted} {either}, {see}"),
            );
        }
        Approval::Approved | Approval::Bypassed => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn protected_groups_need_an_approval() {
        for (group, annotation, wrong) in [
            ("example.com", None, 0),
            ("notk8s.io", None, 0),
            ("k8s.io", None, 1),
            (
                "x.k8s.io",
                Some("https://github.com/kubernetes/kubernetes/pull/78458"),
                0,
            ),
            ("x.kubernetes.io", Some("unapproved, a test"), 0),
            ("x.k8s.io", Some("/relative"), 1),
            ("x.k8s.io", Some("yes"), 1),
        ] {
            let mut definition = json!({"spec": {"group": group}, "metadata": {}});
            if let Some(text) = annotation {
                definition["metadata"]["annotations"] = json!({ANNOTATION: text});
            }
            let mut errors = Errors::default();
            check(&mut errors, &definition, None);
            assert_eq!(errors.0.len(), wrong, "{group} {annotation:?}");
            let mut errors = Errors::default();
            check(&mut errors, &definition, Some(&definition));
            assert!(errors.0.is_empty());
        }
    }
}
