//! Both kinds of webhook configurations, which differ in one field.

use super::{client, rules};
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, ensure, items_mut, set_default};
use crate::field::selector;
use serde_json::Value;
use std::collections::BTreeSet;

/// The rules of MutatingWebhookConfigurations.
pub(crate) struct MutatingWebhooks;

/// The rules of ValidatingWebhookConfigurations.
pub(crate) struct ValidatingWebhooks;

const VERSIONS: [&str; 2] = ["v1", "v1beta1"];
const EFFECTS: [&str; 4] = ["None", "NoneOnDryRun", "Some", "Unknown"];
const NO_EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];
const MOST_CONDITIONS: usize = 64;
const SELECTORS: [&str; 2] = ["namespaceSelector", "objectSelector"];

macro_rules! webhook_kind {
    ($kind:ident, $mutating:expr) => {
        impl Declared for $kind {
            fn defaults(&self, object: &mut Value) {
                defaults(object, $mutating);
            }

            fn new_status(&self, _: &Context<'_>) -> Option<Value> {
                None
            }

            fn counted(&self) -> &'static [&'static str] {
                &["webhooks"]
            }

            fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
                configuration(errors, object, check.old);
            }

            fn tell_last(&self, _: &Value, check: &Check<'_>) -> Vec<String> {
                check.once(
                    "this server stores webhook configurations, but calls no admission webhooks",
                )
            }

            fn unconditional(&self) -> bool {
                false
            }
        }
    };
}

webhook_kind!(MutatingWebhooks, true);
webhook_kind!(ValidatingWebhooks, false);

fn defaults(object: &mut Value, mutating: bool) {
    for hook in items_mut(object, "webhooks") {
        set_default(hook, "failurePolicy", "Fail");
        set_default(hook, "matchPolicy", "Equivalent");
        for key in SELECTORS {
            ensure(hook, key);
        }
        set_default(hook, "timeoutSeconds", 10);
        if mutating {
            set_default(hook, "reinvocationPolicy", "Never");
        }
        for rule in items_mut(hook, "rules") {
            set_default(rule, "scope", "*");
        }
        let config = hook.get_mut("clientConfig");
        if let Some(service) = config.and_then(|config| config.get_mut("service"))
            && service.is_object()
        {
            set_default(service, "port", 443);
        }
    }
}

/// What an update may keep since it is stored already.
#[derive(Default)]
struct Kept {
    effects: bool,
    versions: bool,
    names: bool,
    selectors: bool,
}

impl Kept {
    fn of(old: Option<&Value>) -> Self {
        let Some(old) = old else {
            return Self::default();
        };
        let hooks = old.items("webhooks");
        let mut seen = BTreeSet::new();
        Self {
            effects: !hooks
                .iter()
                .all(|hook| NO_EFFECTS.contains(&hook.text("sideEffects"))),
            versions: !hooks.iter().all(has_version),
            names: !hooks.iter().all(|hook| seen.insert(hook.text("name"))),
            selectors: hooks.iter().any(|hook| {
                SELECTORS
                    .iter()
                    .any(|key| !selector::is_usable(hook.at(key)))
            }),
        }
    }
}

fn has_version(hook: &Value) -> bool {
    let versions = hook.texts("admissionReviewVersions");
    versions.iter().any(|version| VERSIONS.contains(version))
}

fn configuration(errors: &mut Errors, object: &Value, old: Option<&Value>) {
    let kept = Kept::of(old);
    let list = Path::new("webhooks");
    let mut seen = BTreeSet::new();
    for (i, hook) in object.items("webhooks").iter().enumerate() {
        let path = list.index(i);
        webhook(errors, hook, &path, &kept);
        versions(errors, hook, &path.child("admissionReviewVersions"), &kept);
        let name = hook.text("name");
        if !kept.names && !name.is_empty() && !seen.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
    }
}

fn webhook(errors: &mut Errors, hook: &Value, path: &Path, kept: &Kept) {
    hook_name(errors, hook.text("name"), &path.child("name"));
    for (i, rule) in hook.items("rules").iter().enumerate() {
        rules::check(errors, rule, &path.child("rules").index(i));
    }
    for (key, words) in [
        ("failurePolicy", ["Fail", "Ignore"]),
        ("matchPolicy", ["Equivalent", "Exact"]),
    ] {
        if let Some(word) = hook.optional_text(key).filter(|word| !words.contains(word)) {
            errors.not_supported(&path.child(key), word, &words);
        }
    }
    side_effects(errors, hook, &path.child("sideEffects"), kept);
    if let Some(seconds) = hook
        .number("timeoutSeconds")
        .filter(|s| !(1..=30).contains(s))
    {
        let text = "the timeout value must be between 1 and 30 seconds";
        errors.invalid(&path.child("timeoutSeconds"), seconds, text);
    }
    for key in SELECTORS {
        selector::label_selector(errors, &path.child(key), hook.at(key), kept.selectors);
    }
    let policies = ["IfNeeded", "Never"];
    if let Some(policy) = hook.optional_text("reinvocationPolicy")
        && !policies.contains(&policy)
    {
        errors.not_supported(&path.child("reinvocationPolicy"), policy, &policies);
    }
    client::check(errors, hook.at("clientConfig"), &path.child("clientConfig"));
    conditions(
        errors,
        hook.items("matchConditions"),
        &path.child("matchConditions"),
    );
}

/// A domain of three labels or more.
fn hook_name(errors: &mut Errors, name: &str, path: &Path) {
    if name.is_empty() {
        return errors.required(path, "");
    }
    let texts = names::dns1123_subdomain(name);
    if !texts.is_empty() {
        errors.invalid(path, name, texts.join(","));
    } else if name.split('.').count() < 3 {
        let text = "should be a domain with at least three segments separated by dots";
        errors.invalid(path, name, text);
    }
}

fn side_effects(errors: &mut Errors, hook: &Value, path: &Path, kept: &Kept) {
    let allowed: &[&str] = if kept.effects { &EFFECTS } else { &NO_EFFECTS };
    match hook.optional_text("sideEffects") {
        None => {
            let text = format!("must specify one of {}", allowed.join(", "));
            errors.required(path, &text);
        }
        Some(effects) if !allowed.contains(&effects) => {
            errors.not_supported(path, effects, allowed);
        }
        Some(_) => {}
    }
}

fn versions(errors: &mut Errors, hook: &Value, path: &Path, kept: &Kept) {
    let versions = hook.texts("admissionReviewVersions");
    if versions.is_empty() {
        let text = format!("must specify one of {}", VERSIONS.join(", "));
        return errors.required(path, &text);
    }
    let mut seen = BTreeSet::new();
    for (i, version) in versions.iter().enumerate() {
        if !seen.insert(version) {
            errors.invalid(&path.index(i), *version, "duplicate version");
            continue;
        }
        errors.invalid_each(&path.index(i), version, names::dns1035_label(version));
    }
    if !kept.versions && !has_version(hook) {
        let text = format!("must include at least one of {}", VERSIONS.join(", "));
        errors.invalid(path, versions, text);
    }
}

fn conditions(errors: &mut Errors, conditions: &[Value], list: &Path) {
    if conditions.len() > MOST_CONDITIONS {
        errors.too_many(list, conditions.len(), MOST_CONDITIONS);
    }
    let mut seen = BTreeSet::new();
    for (i, condition) in conditions.iter().enumerate() {
        let path = list.index(i);
        if condition.text("expression").trim().is_empty() {
            errors.required(&path.child("expression"), "");
        }
        let name = condition.text("name");
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        } else {
            errors.invalid_each(&path.child("name"), name, names::qualified_name(name));
            if !seen.insert(name) {
                errors.duplicate(&path.child("name"), name);
            }
        }
    }
}
