//! CSIStorageCapacities.

use crate::Context;
use crate::declared::{Check, Declared};
use crate::field::names;
use crate::field::path::{Errors, IMMUTABLE, NEGATIVE, Path};
use crate::field::read::{Read, same};
use crate::field::selector;
use crate::work::podspec::resources::quantity;
use serde_json::Value;

/// The rules of CSIStorageCapacities.
pub(crate) struct StorageCapacities;

impl Declared for StorageCapacities {
    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        None
    }

    fn counted(&self) -> &'static [&'static str] {
        &[]
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let (topology, topology_path) = (object.at("nodeTopology"), Path::new("nodeTopology"));
        let (class, class_path) = (
            object.text("storageClassName"),
            Path::new("storageClassName"),
        );
        if let Some(old) = check.old {
            if !same(topology, old.at("nodeTopology")) {
                let shown = selector::go_json(topology);
                errors.invalid_shown(&topology_path, shown, IMMUTABLE);
            }
            if class != old.text("storageClassName") {
                errors.invalid(&class_path, class, IMMUTABLE);
            }
            return;
        }
        selector::label_selector(errors, &topology_path, topology, false);
        errors.invalid_each(&class_path, class, names::dns1123_subdomain(class));
        let capacity = object.at("capacity");
        if quantity(capacity).signum() < 0 {
            errors.invalid(&Path::new("capacity"), capacity.clone(), NEGATIVE);
        }
    }

    fn unconditional(&self) -> bool {
        false
    }
}
