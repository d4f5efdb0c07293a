//! The PersistentVolumeClaims of a StatefulSet's Pods.

use super::spec::StatefulSet;
use super::{KIND, parent_and_ordinal};
use crate::fields::set;
use crate::owners::controller_reference;
use crate::pods::Pod;
use crate::workloads::claim::{patch_owners, references};
use model::{Object, Resource, View, Write};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Claims of the Pod with an ordinal, by the names of its volumes.
pub(super) fn claims(of: &StatefulSet, ordinal: i64) -> BTreeMap<&str, Value> {
    let templates = of.spec.volume_claim_templates.iter();
    let named = templates.filter_map(|template| {
        let name = template["metadata"]["name"].as_str()?;
        let mut claim = template.clone();
        let full = format!("{name}-{}-{ordinal}", of.name());
        set(&mut claim, &["metadata", "name"], full.into());
        let namespace = &*of.object.meta.namespace;
        set(&mut claim, &["metadata", "namespace"], namespace.into());
        for (key, label) in &of.spec.selector.match_labels {
            set(
                &mut claim,
                &["metadata", "labels", key],
                label.as_str().into(),
            );
        }
        Some((name, claim))
    });
    named.collect()
}

fn stored(view: &dyn View, of: &StatefulSet, claim: &Value) -> Option<Arc<Object>> {
    let name = crate::fields::text(claim, "/metadata/name");
    view.get(Resource::VOLUME_CLAIMS, &of.object.meta.namespace, name)
}

/// What makes the claims that a Pod needs and that are not there.
///
/// # Errors
/// What to tell when a claim has to go before the Pod can be made.
pub(super) fn missing(
    view: &dyn View,
    of: &StatefulSet,
    ordinal: i64,
) -> Result<Vec<Write>, Vec<Write>> {
    let mut writes = Vec::new();
    let (set, pod) = (of.name(), format!("{}-{ordinal}", of.name()));
    let note = |kind: &'static str, reason: &str, message: String| {
        KIND.note(kind, &of.object, reason, message)
    };
    for claim in claims(of, ordinal).into_values() {
        let name = crate::fields::text(&claim, "/metadata/name").to_owned();
        let Some(stored) = stored(view, of, &claim) else {
            let message = format!("Create Claim {name} Pod {pod} in StatefulSet {set} success");
            writes.push(Write::Create {
                resource: Resource::VOLUME_CLAIMS,
                object: claim,
            });
            writes.push(note("Normal", "SuccessfulCreate", message));
            continue;
        };
        if is_of_earlier_pod(of, &pod, &stored) {
            return Err(Vec::new());
        }
        if stored.meta.is_deleting() {
            let why = format!("pvc {name} is being deleted");
            let message = format!("Create Pod {pod} in StatefulSet {set} failed error: {why}");
            return Err(vec![note("Warning", "FailedCreate", message)]);
        }
    }
    Ok(writes)
}

/// Whether a claim goes with a Pod of that name that was scaled away.
fn is_of_earlier_pod(of: &StatefulSet, pod: &str, claim: &Object) -> bool {
    let mut owners = claim.meta.owner_references.iter();
    of.spec.ends_claims_when_scaled()
        && owners.any(|owner| owner.kind == "Pod" && owner.name == pod)
}

/// What makes the owners of a Pod's claims those that the set's policy wants: the set when its
/// claims end with it, the Pod when it is scaled away and its claims end then.
pub(super) fn owned(view: &dyn View, of: &StatefulSet, pod: &Pod) -> Vec<Write> {
    let Some((_, ordinal)) = parent_and_ordinal(pod.name()) else {
        return Vec::new();
    };
    let claims = claims(of, ordinal).into_values();
    let stored = claims.filter_map(|claim| stored(view, of, &claim));
    stored
        .filter_map(|claim| owners_patch(of, ordinal, pod, &claim))
        .collect()
}

fn owners_patch(of: &StatefulSet, ordinal: i64, pod: &Pod, claim: &Object) -> Option<Write> {
    let wanted = wanted_owner(of, ordinal, pod);
    let old = references(claim);
    let is_ours = |owner: &Value| {
        let named = |kind: &str, name: &str| owner["kind"] == kind && owner["name"] == name;
        named("StatefulSet", of.name()) || named("Pod", pod.name())
    };
    let is_stale = |owner: &Value| {
        let uids = [&*of.object.meta.uid, &*pod.object.meta.uid];
        is_ours(owner) && !uids.iter().any(|uid| owner["uid"] == *uid)
    };
    let mut others = old.iter().filter(|owner| !is_ours(owner));
    let has_other_controller = others.any(|owner| owner["controller"] == true);
    if old.iter().any(is_stale) || (wanted.is_some() && has_other_controller) {
        return None;
    }
    let mut new: Vec<Value> = old.iter().filter(|one| !is_ours(one)).cloned().collect();
    new.extend(wanted);
    (new != old).then(|| patch_owners(claim, new))
}

fn wanted_owner(of: &StatefulSet, ordinal: i64, pod: &Pod) -> Option<Value> {
    let is_wanted = of.spec.ordinals().contains(&ordinal);
    if of.spec.ends_claims_when_scaled() && !is_wanted {
        return Some(controller_reference("v1", "Pod", &pod.object.meta));
    }
    of.spec
        .ends_claims_when_deleted()
        .then(|| KIND.reference(&of.object.meta))
}
