//! What is overlooked because the stored object already has it.

use super::{affinity, resources, security, spread};
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::words;
use serde_json::Value;

/// The annotation that ranks Pods for deletion.
pub(crate) const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// How a PodSpec is checked (`PodValidationOptions`).
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The spec is a Pod's, not a template's
    pub(crate) is_pod: bool,
    /// Faults of the old object that the new one may keep
    pub(crate) loose: Loose,
}

/// Faults that are taken since the stored object has them.
#[derive(Debug, Default)]
pub(crate) struct Loose {
    /// Huge pages that are no multiple of their size
    pub(crate) huge_pages: bool,
    /// Values in affinity selectors that are no label values
    pub(crate) selector: bool,
    /// Values in the required node affinity that are no label values
    pub(crate) node_affinity: bool,
    /// Label selectors of topology spread constraints
    pub(crate) spread_selector: bool,
    /// `matchLabelKeys` that do not fit their selector
    pub(crate) match_label_keys: bool,
    /// Paths of projected tokens
    pub(crate) token_path: bool,
    /// Sysctls of a namespace that the pod shares with the host
    pub(crate) sysctls: bool,
    /// A resize policy that restarts an init container
    pub(crate) init_restart: bool,
    /// Volume devices in a user namespace
    pub(crate) user_namespace_devices: bool,
    /// A deletion cost that is no number
    pub(crate) deletion_cost: bool,
    /// Any SELinux change policy
    pub(crate) selinux_policy: bool,
}

impl Options {
    /// For a new object.
    pub(crate) fn create(is_pod: bool) -> Self {
        Self {
            is_pod,
            loose: Loose::default(),
        }
    }

    /// For a change of an object with this spec and metadata.
    pub(crate) fn update(is_pod: bool, old_spec: &Value, old_metadata: &Value) -> Self {
        let loose = Loose {
            huge_pages: resources::has_odd_huge_pages(old_spec),
            selector: affinity::has_bad_selector_value(old_spec),
            node_affinity: affinity::has_bad_node_affinity_value(old_spec),
            spread_selector: spread::has_bad_selector(old_spec),
            match_label_keys: spread::has_bad_match_label_keys(old_spec),
            token_path: has_bad_token_path(old_spec),
            sysctls: security::has_host_sysctl(old_spec),
            init_restart: has_init_restart(old_spec),
            user_namespace_devices: has_user_namespace_devices(old_spec),
            deletion_cost: !super::has_valid_deletion_cost(old_metadata),
            selinux_policy: old_spec.at("securityContext").has("seLinuxChangePolicy"),
        };
        Self { is_pod, loose }
    }
}

fn has_bad_token_path(spec: &Value) -> bool {
    let volumes = spec.items("volumes").iter();
    let mut sources = volumes.flat_map(|volume| volume.at("projected").items("sources"));
    sources.any(|source| {
        let token = source.at("serviceAccountToken");
        let mut errors = Errors::default();
        words::local_path(&mut errors, &Path::default(), token.text("path"));
        !errors.0.is_empty()
    })
}

fn has_init_restart(spec: &Value) -> bool {
    spec.items("initContainers")
        .iter()
        .filter(|container| !resources::is_sidecar(container))
        .flat_map(|container| container.items("resizePolicy"))
        .any(|policy| policy.text("restartPolicy") == "RestartContainer")
}

fn has_user_namespace_devices(spec: &Value) -> bool {
    let path = Path::default();
    let mut containers = super::visit(spec, &path);
    spec.flag("hostUsers") == Some(false)
        && containers.any(|(container, _)| !container.items("volumeDevices").is_empty())
}
