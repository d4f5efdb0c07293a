//! Pods. Source: `pkg/registry/core/pod`.

use super::podspec::{self, defaults, options::Options, resources, security, warnings};
use super::{admission, carry_generation, keep, pod_status, pod_update, set_generation};
use crate::field::names;
use crate::field::path::{Errors, Path};
use crate::field::read::{Read, copy_field, ensure, same, set};
use crate::{Context, Strategy, Subresource};
use model::{ApiError, FieldError};
use serde_json::{Value, json};

/// The rules of Pods.
pub(crate) struct Pods;

impl Strategy for Pods {
    fn default(&self, object: &mut Value) {
        if let Some(metadata) = object.get_mut("metadata") {
            defaults::drop_init_annotations(metadata);
        }
        if let Some(spec) = ensure(object, "spec") {
            defaults::pod_only(spec);
            defaults::pod_spec(spec);
        }
        if let Some(status) = object.get_mut("status") {
            pod_status::addresses(status);
        }
    }

    fn prepare_create(&self, object: &mut Value, context: &Context<'_>) {
        set_generation(object, 1);
        let labels = object.at("metadata").at("labels").clone();
        let metadata = object.at("metadata").clone();
        if let Some(spec) = object.get_mut("spec") {
            podspec::drop_disabled(spec, None);
            podspec::affinity::merge_label_keys(spec, &labels);
            podspec::spread::merge_label_keys(spec, &labels);
            security::app_armor_fields(&metadata, spec);
        }
        let class = resources::qos_class(object.at("spec"));
        let mut status = json!({"phase": "Pending", "qosClass": class});
        if !object.at("spec").items("schedulingGates").is_empty() {
            let condition = json!({
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": null,
                "lastTransitionTime": context.now.rfc3339(),
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            });
            set(&mut status, "conditions", vec![condition]);
        }
        set(object, "status", status);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        keep(object, old, &["status"]);
        if let Some(spec) = object.get_mut("spec") {
            podspec::drop_disabled(spec, Some(old.at("spec")));
        }
        let changed = !same(object.at("spec"), old.at("spec"));
        carry_generation(object, old, changed);
    }

    fn admit(
        &self,
        object: &mut Value,
        old: Option<&Value>,
        context: &Context<'_>,
    ) -> Result<(), ApiError> {
        match old {
            None => admission::create(object, context),
            Some(old) => {
                admission::update(object, old);
                Ok(())
            }
        }
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        let options = Options::create(true);
        metadata_and_spec(&mut errors, object, &options);
        let (spec, path) = (object.at("spec"), Path::new("spec"));
        if !spec.items("ephemeralContainers").is_empty() {
            errors.forbidden(
                &path.child("ephemeralContainers"),
                "cannot be set on create",
            );
        }
        if !spec.text("nodeName").is_empty() && !spec.items("schedulingGates").is_empty() {
            let text = "cannot be set until all schedulingGates have been cleared";
            errors.forbidden(&path.child("nodeName"), text);
        }
        security::annotations_match(&mut errors, object.at("metadata"), spec, &path);
        errors.0
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        pod_update::validate(&mut errors, object, old);
        errors.0
    }

    fn prepare_subresource(
        &self,
        subresource: Subresource,
        object: &mut Value,
        old: &Value,
        _: &Context<'_>,
    ) {
        match subresource {
            Subresource::Status => pod_status::prepare(object, old),
            Subresource::Other("ephemeralcontainers") => {
                pod_update::keep_ephemeral_containers(object, old);
            }
            Subresource::Other("resize") => pod_update::keep_resources(object, old),
            Subresource::Other(_) => {}
        }
    }

    fn validate_subresource(
        &self,
        subresource: Subresource,
        object: &Value,
        old: &Value,
        _: &Context<'_>,
    ) -> Vec<FieldError> {
        let mut errors = Errors::default();
        match subresource {
            Subresource::Status => pod_status::validate(&mut errors, object, old),
            Subresource::Other("ephemeralcontainers") => {
                pod_update::validate_ephemeral_containers(&mut errors, object, old);
            }
            Subresource::Other("resize") => {
                pod_update::validate_resize(&mut errors, object, old);
            }
            Subresource::Other(_) => {}
        }
        errors.0
    }

    fn warnings(&self, object: &Value, old: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        if old.is_some() {
            return Vec::new();
        }
        let texts = names::dns1123_label(object.at("metadata").text("name"));
        let mut all = Vec::new();
        if !texts.is_empty() {
            all.push(format!(
                "metadata.name: this is used in the Pod's hostname, which can result in \
                 surprising behavior; a DNS label is recommended: [{}]",
                texts.join(" ")
            ));
        }
        all.extend(warnings::of_template(object, &Path::default()));
        all
    }

    fn subresource_warnings(
        &self,
        subresource: Subresource,
        object: &Value,
        _: &Value,
        _: &Context<'_>,
    ) -> Vec<String> {
        if subresource != Subresource::Status {
            return Vec::new();
        }
        pod_status::warnings(object.at("status"))
    }

    fn grace_seconds(&self, object: &Value, wanted: Option<i64>) -> Option<i64> {
        let (spec, phase) = (object.at("spec"), object.at("status").text("phase"));
        let own = spec.number("terminationGracePeriodSeconds").unwrap_or(0);
        let seconds = match wanted.unwrap_or(own) {
            _ if spec.text("nodeName").is_empty() => 0,
            _ if matches!(phase, "Failed" | "Succeeded") => 0,
            seconds if seconds < 0 => 1,
            seconds => seconds,
        };
        Some(seconds)
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        let (spec, status) = (object.at("spec"), object.at("status"));
        let first = status.items("podIPs").first();
        let address = first.map_or("", |address| address.text("ip"));
        let host = spec.flag("hostNetwork").unwrap_or(false);
        vec![
            ("spec.nodeName", spec.text("nodeName").to_owned()),
            ("spec.restartPolicy", spec.text("restartPolicy").to_owned()),
            ("spec.schedulerName", spec.text("schedulerName").to_owned()),
            (
                "spec.serviceAccountName",
                spec.text("serviceAccountName").to_owned(),
            ),
            ("spec.hostNetwork", host.to_string()),
            ("status.phase", status.text("phase").to_owned()),
            ("status.podIP", address.to_owned()),
            (
                "status.nominatedNodeName",
                status.text("nominatedNodeName").to_owned(),
            ),
        ]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ]
    }
}

/// What creates and updates check alike (`validatePodMetadataAndSpec`).
pub(super) fn metadata_and_spec(errors: &mut Errors, pod: &Value, options: &Options) {
    let (metadata, spec, path) = (pod.at("metadata"), pod.at("spec"), Path::new("spec"));
    let annotation_path = Path::new("metadata").child("annotations");
    podspec::annotations(errors, metadata, spec, &annotation_path, options);
    podspec::validate(errors, spec, Some(metadata), &path, options);
    if spec.text("serviceAccountName").is_empty() {
        for (i, volume) in spec.items("volumes").iter().enumerate() {
            let sources = volume.at("projected").items("sources");
            for (j, source) in sources.iter().enumerate() {
                if source.has("serviceAccountToken") {
                    let projected = path.child("volumes").index(i).child("projected");
                    let source = projected.child("sources").index(j);
                    errors.forbidden(
                        &source.child("serviceAccountToken"),
                        "must not be specified when serviceAccountName is not set",
                    );
                }
            }
        }
    }
    podspec::padded_images(errors, spec, &path);
}

/// Resets metadata that a subresource may not change, for all but `status`.
pub(super) fn reset_metadata(object: &mut Value, old: &Value) {
    if let Some(metadata) = ensure(object, "metadata") {
        for key in [
            "deletionTimestamp",
            "generation",
            "labels",
            "annotations",
            "finalizers",
            "ownerReferences",
            "selfLink",
        ] {
            copy_field(metadata, old.at("metadata"), key);
        }
    }
}
