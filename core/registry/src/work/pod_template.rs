//! PodTemplates. Source: `pkg/registry/core/podtemplate`.

use crate::Context;
use crate::declared::{Check, Declared, template_options};
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::work::podspec;
use serde_json::Value;

/// The rules of PodTemplates.
pub(crate) struct PodTemplates;

const TEMPLATE: &[&str] = &["template"];

impl Declared for PodTemplates {
    fn template(&self) -> Option<&'static [&'static str]> {
        Some(TEMPLATE)
    }

    fn new_status(&self, _: &Context<'_>) -> Option<Value> {
        None
    }

    fn counted(&self) -> &'static [&'static str] {
        TEMPLATE
    }

    fn check(&self, errors: &mut Errors, object: &Value, check: &Check<'_>) {
        let options = template_options(check.old, TEMPLATE);
        podspec::template(
            errors,
            object.at("template"),
            &Path::new("template"),
            &options,
        );
    }
}
