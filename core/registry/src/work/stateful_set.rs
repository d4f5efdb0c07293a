//! StatefulSets. Source: `pkg/registry/apps/statefulset`, `ValidateStatefulSet*`.

use super::podspec::{self, claims, defaults, options::Options, warnings};
use super::replicas::{self, TEMPLATE, nonnegative};
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::path::{Errors, Path, go_struct};
use crate::field::read::{Read, copy_field, ensure, items_mut, remove, same, set, set_default};
use crate::field::{names, selector};
use model::go_quote;
use serde_json::{Value, json};

/// The rules of StatefulSets.
pub(crate) struct StatefulSets;

impl Declared for StatefulSets {
    fn defaults(&self, object: &mut Value) {
        if let Some(spec) = ensure(object, "spec") {
            default_spec(spec);
        }
    }

    fn template(&self) -> Option<&'static [&'static str]> {
        Some(TEMPLATE)
    }

    fn name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::label_name(name, prefix)
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        Some(json!({"replicas": 0, "availableReplicas": 0}))
    }

    fn prepare(&self, object: &mut Value, check: &Check<'_>) {
        drop_max_unavailable(object, check.old);
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let mut rules = SpecRules {
            options: replicas::template_options(check.old),
            ..SpecRules::default()
        };
        let Some(old) = check.old else {
            return check_spec(errors, object.at("spec"), &rules);
        };
        rules.any_service_name = true;
        rules.skip_claims = true;
        let mut before = Errors::default();
        check_spec(&mut before, old.at("spec"), &rules);
        rules.skip_template = !before.0.is_empty();
        check_spec(errors, object.at("spec"), &rules);
        immutable_rest(errors, object, old);
    }

    fn check_status(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (status, path) = (object.at("status"), Path::new("status"));
        check_status(errors, status, &path);
        replicas::collision_count(errors, status, check.old, &path);
    }

    fn tell_last(&self, object: &Value, check: &Check<'_>) -> Vec<String> {
        let mut all = Vec::new();
        let spec = object.at("spec");
        let list = Path::new("spec").child("volumeClaimTemplates");
        for (i, claim) in spec.items("volumeClaimTemplates").iter().enumerate() {
            let path = match check.old {
                None => list.index(i),
                Some(_) => list.index(i).child("Spec"),
            };
            warnings::claim_spec(&mut all, claim.at("spec"), &path);
        }
        let limit = spec.number("revisionHistoryLimit");
        if limit.is_some_and(|limit| limit < 0) {
            all.push(
                "spec.revisionHistoryLimit: a negative value retains all historical revisions; a \
                 value >= 0 is recommended"
                    .to_owned(),
            );
        }
        all
    }
}

/// What an update may not touch.
fn immutable_rest(errors: &mut Errors, object: &Value, old: &Value) {
    let mut fixed = object.at("spec").clone();
    for key in [
        "replicas",
        "template",
        "updateStrategy",
        "minReadySeconds",
        "ordinals",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
    ] {
        copy_field(&mut fixed, old.at("spec"), key);
    }
    if !same(&fixed, old.at("spec")) {
        errors.forbidden(
            &Path::new("spec"),
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
             'template', 'updateStrategy', 'revisionHistoryLimit', \
             'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        );
    }
}

fn default_spec(spec: &mut Value) {
    set_default(spec, "podManagementPolicy", "OrderedReady");
    set_default(spec, "replicas", 1);
    set_default(spec, "revisionHistoryLimit", 10);
    if let Some(strategy) = ensure(spec, "updateStrategy") {
        if strategy.text("type").is_empty() {
            set(strategy, "type", "RollingUpdate");
            ensure(strategy, "rollingUpdate");
        }
        if strategy.text("type") == "RollingUpdate"
            && let Some(rolling) = strategy.get_mut("rollingUpdate")
        {
            set_default(rolling, "partition", 0);
        }
    }
    if let Some(policy) = ensure(spec, "persistentVolumeClaimRetentionPolicy") {
        set_default(policy, "whenDeleted", "Retain");
        set_default(policy, "whenScaled", "Retain");
    }
    for claim in items_mut(spec, "volumeClaimTemplates") {
        set(claim, "apiVersion", "v1");
        set(claim, "kind", "PersistentVolumeClaim");
        if let Some(status) = ensure(claim, "status") {
            set_default(status, "phase", "Pending");
        }
        if let Some(spec) = ensure(claim, "spec") {
            defaults::claim_spec(spec);
        }
    }
}

/// `maxUnavailable` is a feature that is off; it stays where the stored object has it.
fn drop_max_unavailable(object: &mut Value, old: Option<&Value>) {
    let in_use = old.is_some_and(|old| {
        let strategy = old.at("spec").at("updateStrategy");
        strategy.at("rollingUpdate").has("maxUnavailable")
    });
    let spec = object.get_mut("spec");
    let strategy = spec.and_then(|spec| spec.get_mut("updateStrategy"));
    if let Some(rolling) = strategy.and_then(|strategy| strategy.get_mut("rollingUpdate"))
        && !in_use
    {
        remove(rolling, "maxUnavailable");
    }
}

#[derive(Default)]
struct SpecRules {
    options: Options,
    any_service_name: bool,
    skip_claims: bool,
    skip_template: bool,
}

fn check_spec(errors: &mut Errors, spec: &Value, rules: &SpecRules) {
    let path = Path::new("spec");
    policy(errors, spec, &path.child("podManagementPolicy"));
    strategy(
        errors,
        spec.at("updateStrategy"),
        &path.child("updateStrategy"),
    );
    let retention = path.child("persistentVolumeClaimRetentionPolicy");
    for key in ["whenDeleted", "whenScaled"] {
        let (kinds, found) = (
            ["Retain", "Delete"],
            spec.at("persistentVolumeClaimRetentionPolicy").text(key),
        );
        if !kinds.contains(&found) {
            errors.not_supported(&retention.child(key), found, &kinds);
        }
    }
    if !rules.skip_claims {
        let list = path.child("volumeClaimTemplates");
        for (i, claim) in spec.items("volumeClaimTemplates").iter().enumerate() {
            claims::claim_spec(errors, claim.at("spec"), &list.index(i).child("spec"));
        }
    }
    nonnegative(errors, spec, &path, &["replicas", "minReadySeconds"]);
    let start = spec.at("ordinals").number("start").unwrap_or(0);
    errors.nonnegative(&path.child("ordinals.start"), start);
    let service = spec.text("serviceName");
    if !rules.any_service_name && !service.is_empty() {
        let texts = names::dns1123_label(service);
        errors.invalid_each(&path.child("serviceName"), service, texts);
    }
    replicas::check_selector(errors, spec, &path, "statefulset");
    if selector::is_convertible(spec.at("selector")) {
        template(errors, spec, &path.child("template"), rules);
    } else {
        let shown = selector::go_json(spec.at("selector"));
        errors.invalid_shown(&path.child("selector"), shown, "");
    }
    let template = spec.at("template");
    replicas::restart_and_deadline(errors, template, &path.child("template"), "StatefulSet");
}

fn policy(errors: &mut Errors, spec: &Value, path: &Path) {
    match spec.text("podManagementPolicy") {
        "" => errors.required(path, ""),
        "OrderedReady" | "Parallel" => {}
        other => errors.invalid(path, other, "must be 'OrderedReady' or 'Parallel'"),
    }
}

fn strategy(errors: &mut Errors, strategy: &Value, path: &Path) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.text("type") {
        "" => errors.required(path, ""),
        "OnDelete" if !rolling.is_null() => errors.invalid_shown(
            &path.child("rollingUpdate"),
            go_rolling(rolling),
            "only allowed for updateStrategy 'RollingUpdate'",
        ),
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_null() => {
            rolling_update(errors, rolling, &path.child("rollingUpdate"));
        }
        "RollingUpdate" => {}
        other => {
            let shown = if rolling.is_null() {
                "null".to_owned()
            } else {
                go_rolling(rolling)
            };
            let shown = go_struct(&[("Type", go_quote(other)), ("RollingUpdate", shown)]);
            errors.invalid_shown(path, shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

fn go_rolling(rolling: &Value) -> String {
    let partition = rolling.number("partition").unwrap_or(0);
    go_struct(&[
        ("Partition", partition.to_string()),
        ("MaxUnavailable", rolling.at("maxUnavailable").to_string()),
    ])
}

fn rolling_update(errors: &mut Errors, rolling: &Value, path: &Path) {
    nonnegative(errors, rolling, path, &["partition"]);
    let (most, path) = (rolling.at("maxUnavailable"), path.child("maxUnavailable"));
    if most.is_null() {
        return;
    }
    replicas::int_or_percent(errors, most, &path);
    if replicas::plain_number(most) == 0 {
        errors.invalid(&path, most.clone(), "cannot be 0");
    }
    replicas::at_most_all(errors, most, &path);
}

/// The template, with the volumes that the claim templates add.
fn template(errors: &mut Errors, spec: &Value, path: &Path, rules: &SpecRules) {
    let mut template = spec.at("template").clone();
    if let Some(pod) = ensure(&mut template, "spec") {
        remove(pod, "hostname");
        remove(pod, "subdomain");
        let claims = spec.items("volumeClaimTemplates");
        let named = |name: &str| {
            let mut names = claims.iter().map(|claim| claim.at("metadata").text("name"));
            names.any(|claim| claim == name)
        };
        if !claims.is_empty() {
            let mut volumes: Vec<Value> = claims
                .iter()
                .map(|claim| {
                    let name = claim.at("metadata").text("name");
                    json!({"name": name, "persistentVolumeClaim": {"claimName": name}})
                })
                .collect();
            let own = pod.items("volumes").iter();
            volumes.extend(own.filter(|volume| !named(volume.text("name"))).cloned());
            set(pod, "volumes", volumes);
        }
    }
    replicas::labels_match(errors, spec.at("selector"), &template, path);
    let metadata = template.at("metadata");
    if !rules.skip_template {
        podspec::template(errors, &template, path, &rules.options);
    }
    // Upstream checks these twice; causes are told twice too.
    selector::labels(errors, &path.child("labels"), metadata.at("labels"));
    let annotations = path.child("annotations");
    selector::annotations(errors, &annotations, metadata.at("annotations"));
    podspec::annotations(
        errors,
        metadata,
        template.at("spec"),
        &annotations,
        &rules.options,
    );
}

fn check_status(errors: &mut Errors, status: &Value, path: &Path) {
    nonnegative(
        errors,
        status,
        path,
        &[
            "replicas",
            "readyReplicas",
            "currentReplicas",
            "updatedReplicas",
            "availableReplicas",
            "observedGeneration",
            "collisionCount",
        ],
    );
    let keys = [
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
    ];
    let limit = ("replicas", "cannot be greater than status.replicas");
    replicas::at_most(errors, status, path, &keys, limit);
    let limit = (
        "readyReplicas",
        "cannot be greater than status.readyReplicas",
    );
    replicas::at_most(errors, status, path, &["availableReplicas"], limit);
}
