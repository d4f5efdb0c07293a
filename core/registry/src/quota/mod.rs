//! What a namespace may use: ResourceQuotas and LimitRanges, and their admission.
//!
//! Source: `pkg/quota/v1`, `apiserver/pkg/admission/plugin/resourcequota`,
//! `plugin/pkg/admission/limitranger`.

mod enforce;
mod limit_range;
mod limits;
mod resource_quota;
mod scopes;
pub mod usage;

pub(crate) use enforce::enforce;
pub(crate) use limit_range::LimitRanges;
pub(crate) use limits::{apply_defaults, refuse};
pub(crate) use resource_quota::ResourceQuotas;

use crate::field::path::{Errors, NEGATIVE, Path};
use crate::work::podspec::resources::{is_integer, quantity, resource_name};
use serde_json::Value;

/// Names that quotas may limit without a domain.
const STANDARD: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];

fn is_standard(name: &str) -> bool {
    let pages = ["hugepages-", "requests.hugepages-"];
    STANDARD.contains(&name) || pages.iter().any(|prefix| name.starts_with(prefix))
}

/// A map of what is limited or used.
fn hard(errors: &mut Errors, list: &Value, path: &Path) {
    for (name, value) in list.entries_of() {
        let path = path.key(name);
        resource_name(errors, &path, name);
        if !name.contains('/') && !is_standard(name) {
            errors.invalid(&path, name, "must be a standard resource for quota");
        }
        let value = quantity(value);
        if value.signum() < 0 {
            errors.invalid(&path, value.to_string(), NEGATIVE);
        }
        if is_integer(name) && !value.is_whole() {
            errors.invalid(&path, value.to_string(), "must be an integer");
        }
    }
}

/// The entries of a value that is a map itself.
trait EntriesOf {
    fn entries_of(&self) -> impl Iterator<Item = (&str, &Value)>;
}

impl EntriesOf for Value {
    fn entries_of(&self) -> impl Iterator<Item = (&str, &Value)> {
        let map = self.as_object().into_iter().flatten();
        map.map(|(key, value)| (key.as_str(), value))
    }
}
