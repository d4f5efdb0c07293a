//! Claims, volumes and classes that are in use stay until they are not.

use crate::fields::elements;
use crate::garbage::without_finalizer;
use crate::pods::Pod;
use crate::{Context, Controller, Key, Outcome};
use model::{Event, Object, Resource, View};

const CLAIM: &str = "kubernetes.io/pvc-protection";
const VOLUME: &str = "kubernetes.io/pv-protection";
const CLASS: &str = "kubernetes.io/vac-protection";

/// Lets deleted claims go that no Pod uses.
pub(crate) const CLAIMS: Controller = Controller {
    name: "persistentvolumeclaim-protection-controller",
    keys: claim_keys,
    reconcile: end_claim,
    refused: crate::silent,
};

/// Lets deleted volumes go that no claim has.
pub(crate) const VOLUMES: Controller = Controller {
    name: "persistentvolume-protection-controller",
    keys: |event, _| match event.object.resource {
        Resource::VOLUMES => vec![event.object.key()],
        _ => Vec::new(),
    },
    reconcile: end_volume,
    refused: crate::silent,
};

/// Lets deleted VolumeAttributesClasses go that nothing names.
pub(crate) const CLASSES: Controller = Controller {
    name: "volumeattributesclass-protection-controller",
    keys: class_keys,
    reconcile: end_class,
    refused: crate::silent,
};

fn class_keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    match object.resource {
        Resource::VOLUME_ATTRIBUTES_CLASSES => vec![object.key()],
        Resource::VOLUME_CLAIMS | Resource::VOLUMES => {
            let classes = view.list(Resource::VOLUME_ATTRIBUTES_CLASSES, None);
            let ending = classes.iter().filter(|class| is_ending(class, CLASS));
            ending.map(|class| class.key()).collect()
        }
        _ => Vec::new(),
    }
}

fn end_class(context: &Context<'_>, key: &Key) -> Outcome {
    let class = context.view.get(key.resource, "", &key.name);
    let Some(class) = class.filter(|class| is_ending(class, CLASS)) else {
        return Outcome::default();
    };
    let names = |object: &Object| {
        let value = object.value();
        let fields = [
            "/spec/volumeAttributesClassName",
            "/status/currentVolumeAttributesClassName",
            "/status/modifyVolumeStatus/targetVolumeAttributesClassName",
        ];
        let mut fields = fields
            .iter()
            .map(|field| crate::fields::text(&value, field));
        fields.any(|name| *name == *key.name)
    };
    let mut users = [Resource::VOLUME_CLAIMS, Resource::VOLUMES]
        .into_iter()
        .flat_map(|resource| context.view.list(resource, None));
    if users.any(|user| names(&user)) {
        return Outcome::default();
    }
    Outcome::of([without_finalizer(&class, CLASS)])
}

fn claim_keys(event: &Event, _: &dyn View) -> Vec<Key> {
    let object = &event.object;
    match object.resource {
        Resource::VOLUME_CLAIMS => vec![object.key()],
        Resource::PODS => {
            let names = claims_of(object).into_iter();
            let key =
                |name: String| Key::new(Resource::VOLUME_CLAIMS, &object.meta.namespace, &name);
            names.map(key).collect()
        }
        _ => Vec::new(),
    }
}

/// Names of the claims that a Pod mounts.
fn claims_of(pod: &Object) -> Vec<String> {
    let value = pod.value();
    let volumes = elements(&value, "/spec/volumes").iter();
    let names = volumes.filter_map(|volume| {
        if volume["ephemeral"].is_object() {
            let volume = volume["name"].as_str().unwrap_or_default();
            return Some(format!("{}-{volume}", pod.meta.name));
        }
        let name = &volume["persistentVolumeClaim"]["claimName"];
        name.as_str().map(str::to_owned)
    });
    names.collect()
}

fn is_ending(object: &Object, finalizer: &str) -> bool {
    object.meta.is_deleting() && object.meta.finalizers.iter().any(|one| one == finalizer)
}

fn end_claim(context: &Context<'_>, key: &Key) -> Outcome {
    let claim = context.view.get(key.resource, &key.namespace, &key.name);
    let Some(claim) = claim.filter(|claim| is_ending(claim, CLAIM)) else {
        return Outcome::default();
    };
    let pods = context.view.list(Resource::PODS, Some(&key.namespace));
    let in_use = pods.iter().any(|pod| {
        let runs =
            Pod::parse(pod).is_some_and(|pod| !pod.is_terminal() && !pod.spec.node_name.is_empty());
        runs && claims_of(pod).iter().any(|name| **name == *key.name)
    });
    if in_use {
        return Outcome::default();
    }
    Outcome::of([without_finalizer(&claim, CLAIM)])
}

fn end_volume(context: &Context<'_>, key: &Key) -> Outcome {
    let volume = context.view.get(key.resource, "", &key.name);
    let Some(volume) = volume.filter(|volume| is_ending(volume, VOLUME)) else {
        return Outcome::default();
    };
    if volume.value()["status"]["phase"] == "Bound" {
        return Outcome::default();
    }
    Outcome::of([without_finalizer(&volume, VOLUME)])
}
