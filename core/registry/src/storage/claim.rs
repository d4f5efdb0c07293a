//! PersistentVolumeClaims.

use super::{CLASS_ANNOTATION, CLASS_ANNOTATION_TEXT, protect};
use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::path::{Errors, IMMUTABLE, Path};
use crate::field::read::{Read, copy_field, ensure, remove, same, set, set_default};
use crate::work::podspec::resources::{canonical_list, quantity};
use crate::work::podspec::{claims, defaults, warnings};
use crate::work::{admission::forbidden, go_print};
use model::{ApiError, Resource};
use serde_json::{Value, json};

/// The rules of PersistentVolumeClaims.
pub(crate) struct VolumeClaims;

impl Declared for VolumeClaims {
    fn defaults(&self, object: &mut Value) {
        if let Some(spec) = ensure(object, "spec") {
            defaults::claim_spec(spec);
        }
        if let Some(status) = ensure(object, "status") {
            set_default(status, "phase", "Pending");
            for key in ["capacity", "allocatedResources"] {
                if let Some(list) = status.get_mut(key) {
                    canonical_list(list);
                }
            }
        }
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        Some(json!({"phase": "Pending"}))
    }

    fn counted(&self) -> &'static [&'static str] {
        &[]
    }

    fn prepare(&self, object: &mut Value, check: &Check<'_>) {
        let old = check.old.map(|old| old.at("spec"));
        if let Some(spec) = object.get_mut("spec") {
            data_sources(spec, old);
        }
    }

    fn admission(&self, object: &mut Value, check: &Check<'_>) -> Result<(), ApiError> {
        if check.old.is_none() {
            protect(object, "kubernetes.io/pvc-protection");
            default_class(object, check.context);
        }
        Ok(())
    }

    fn approve(&self, object: &Value, check: &Check<'_>) -> Result<(), ApiError> {
        let old = check.old;
        old.map_or(Ok(()), |old| may_grow(object, old, check.context))
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        claims::claim_spec(errors, object.at("spec"), &Path::new("spec"));
        two_sources(errors, object.at("spec"));
        if let Some(old) = check.old {
            changes(errors, object, old);
        }
    }

    fn check_status(&self, errors: &mut Errors, object: &Value, _: &Check<'_>) {
        if object.at("spec").items("accessModes").is_empty() {
            errors.required(&Path::new("Spec").child("accessModes"), "");
        }
        let path = Path::new("status").child("capacity");
        for (name, amount) in object.at("status").entries("capacity") {
            let amount = quantity(amount).to_i64();
            if amount < 0 {
                let text = "must be a valid resource quantity";
                errors.invalid(&path.key(name), amount, text);
            }
        }
    }

    fn tell(&self, object: &Value, check: &Check<'_>) -> Vec<String> {
        let mut all = Vec::new();
        if object
            .at("metadata")
            .at("annotations")
            .has(CLASS_ANNOTATION)
        {
            let path = Path::new("metadata").child("annotations");
            all.push(format!(
                "{}: {CLASS_ANNOTATION_TEXT}",
                path.key(CLASS_ANNOTATION)
            ));
        }
        warnings::claim_spec(&mut all, object.at("spec"), &Path::new("spec"));
        all.extend(check.once(
            "this server stores PersistentVolumeClaims, but nothing here provisions or binds \
             volumes for them",
        ));
        all
    }

    fn selectable(&self, object: &Value) -> Vec<(&'static str, String)> {
        vec![("name", object.at("metadata").text("name").to_owned())]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["name"]
    }
}

/// Each of the two ways to name a source is filled from the other.
fn data_sources(spec: &mut Value, old: Option<&Value>) {
    let used = |key: &str| old.is_some_and(|old| old.has(key));
    let crosses = !spec.at("dataSourceRef").text("namespace").is_empty();
    if crosses && !used("dataSourceRef") {
        remove(spec, "dataSourceRef");
    }
    let source = spec.at("dataSource");
    let known = matches!(
        (source.text("apiGroup"), source.text("kind")),
        ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
    );
    let kept = used("dataSource") || used("dataSourceRef") || spec.has("dataSourceRef");
    if !known && !kept {
        remove(spec, "dataSource");
    }
    for (from, to) in [
        ("dataSource", "dataSourceRef"),
        ("dataSourceRef", "dataSource"),
    ] {
        let source = spec.at(from);
        if source.is_null() || spec.has(to) || !source.text("namespace").is_empty() {
            continue;
        }
        let mut copy = source.clone();
        remove(&mut copy, "namespace");
        set(spec, to, copy);
    }
}

fn two_sources(errors: &mut Errors, spec: &Value) {
    let (source, reference) = (spec.at("dataSource"), spec.at("dataSourceRef"));
    if source.is_null() || reference.is_null() {
        return;
    }
    let text = |key: &str| source.text(key) == reference.text(key);
    let detail = if !reference.text("namespace").is_empty() {
        "may not be specified when dataSourceRef.namespace is specified"
    } else if !["apiGroup", "kind", "name"].into_iter().all(text) {
        "must match dataSourceRef"
    } else {
        return;
    };
    errors.invalid_shown(&Path::new("spec"), "{}".to_owned(), detail);
}

/// A claim that names no class gets the default one, the newest of several.
fn default_class(object: &mut Value, context: &Context<'_>) {
    let named = object
        .at("metadata")
        .at("annotations")
        .has(CLASS_ANNOTATION)
        || object.at("spec").has("storageClassName");
    if named {
        return;
    }
    let classes = context.view.list(Resource::STORAGE_CLASSES, None);
    let keys = [
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    ];
    let default = classes.iter().filter(|class| {
        let mut marks = keys
            .iter()
            .filter_map(|key| class.meta.annotations.get(*key));
        marks.any(|mark| mark == "true")
    });
    // The newest one wins; of equally new ones the first by name.
    let newest = default.max_by(|a, b| {
        let by_age = a.meta.creation_timestamp.cmp(&b.meta.creation_timestamp);
        by_age.then_with(|| b.meta.name.cmp(&a.meta.name))
    });
    if let Some(class) = newest
        && let Some(spec) = ensure(object, "spec")
    {
        set(spec, "storageClassName", &*class.meta.name);
    }
}

fn size(claim: &Value) -> schema::quantity::Quantity {
    quantity(
        claim
            .at("spec")
            .at("resources")
            .at("requests")
            .at("storage"),
    )
}

fn may_grow(claim: &Value, old: &Value, context: &Context<'_>) -> Result<(), ApiError> {
    if size(claim) <= size(old) {
        return Ok(());
    }
    let refuse = |text: &str| Err(forbidden(Resource::VOLUME_CLAIMS, claim, text));
    if old.at("status").text("phase") != "Bound" {
        return refuse("Only bound persistent volume claims can be expanded");
    }
    let annotated = claim.at("metadata").at("annotations");
    let class = annotated
        .optional_text(CLASS_ANNOTATION)
        .unwrap_or_else(|| claim.at("spec").text("storageClassName"));
    let class = context.view.get(Resource::STORAGE_CLASSES, "", class);
    let allowed =
        class.is_some_and(|class| class.value().flag("allowVolumeExpansion") == Some(true));
    if allowed {
        return Ok(());
    }
    refuse(
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the \
         pvc must support resize",
    )
}

fn changes(errors: &mut Errors, claim: &Value, old: &Value) {
    let (mut new_spec, mut old_spec) = (claim.at("spec").clone(), old.at("spec").clone());
    if old_spec.text("volumeName").is_empty() {
        copy_field(&mut old_spec, &new_spec, "volumeName");
    }
    let annotation = |claim: &Value| {
        let annotations = claim.at("metadata").at("annotations");
        annotations
            .optional_text(CLASS_ANNOTATION)
            .map(str::to_owned)
    };
    let (was, is) = (annotation(old), annotation(claim));
    let class = |spec: &Value| spec.optional_text("storageClassName").map(str::to_owned);
    let (old_class, new_class) = (class(&old_spec), class(&new_spec));
    let upgraded =
        was.is_some() && old_class.is_none() && new_class == was && (is.is_none() || is == was);
    if upgraded {
        remove(&mut new_spec, "storageClassName");
    } else {
        if was != is {
            let path = Path::new("metadata")
                .child("annotations")
                .child(CLASS_ANNOTATION);
            errors.invalid(&path, is.unwrap_or_default(), IMMUTABLE);
        }
        if old_class.is_none() && new_class.is_some() && (was.is_none() || new_class == was) {
            remove(&mut new_spec, "storageClassName");
        }
    }
    if claim.at("status").text("phase") == "Bound" {
        let before = old_spec
            .at("resources")
            .at("requests")
            .at("storage")
            .clone();
        let resources = ensure(&mut new_spec, "resources");
        if let Some(requests) = resources.and_then(|resources| ensure(resources, "requests")) {
            set(requests, "storage", before);
        }
        copy_field(&mut new_spec, &old_spec, "volumeAttributesClassName");
    }
    if !same(&new_spec, &old_spec) {
        let diff = go_print::claim_spec_diff(&old_spec, &new_spec);
        errors.forbidden(
            &Path::new("spec"),
            format!(
                "spec is immutable after creation except resources.requests and \
                 volumeAttributesClassName for bound claims\n{diff}"
            ),
        );
    }
    let capacity = quantity(old.at("status").at("capacity").at("storage"));
    if size(claim) < size(old) && size(claim) <= capacity {
        let path = Path::new("spec")
            .child("resources")
            .child("requests")
            .child("storage");
        errors.forbidden(&path, "field can not be less than status.capacity");
    }
    let mode = |claim: &Value| claim.at("spec").at("volumeMode").clone();
    errors.immutable(&Path::new("volumeMode"), &mode(claim), &mode(old));
    attributes_class(errors, claim, old);
}

fn attributes_class(errors: &mut Errors, claim: &Value, old: &Value) {
    let key = "volumeAttributesClassName";
    let (new, before) = (claim.at("spec").at(key), old.at("spec").at(key));
    if same(new, before) || !old.at("status").has("currentVolumeAttributesClassName") {
        return;
    }
    let to = match new.as_str() {
        None => "nil",
        Some("") => "empty string",
        Some(_) => return,
    };
    let text = format!(
        "update to {to} is forbidden when status.currentVolumeAttributesClassName is not nil"
    );
    errors.forbidden(&Path::new("spec").child(key), text);
}
