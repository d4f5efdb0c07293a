//! Structural schemas of CustomResourceDefinitions (apiextensions.k8s.io/v1): what a version's
//! `openAPIV3Schema` makes of an object. Pruning, defaulting, value validation, list types,
//! embedded resources, rules in CEL, and the rules that a schema itself must keep.
//!
//! An object from a client goes through [`Structural::receive`] and [`Structural::validate`]; one
//! from the store through [`Structural::receive`] again, since the schema may have changed.

mod check;
mod correlate;
mod default;
mod embedded;
mod format;
mod lists;
mod node;
mod parse;
mod path;
mod pattern;
mod print;
mod prune;
mod publish;
mod rules;
mod validate;

pub use check::{CheckOptions, Tolerance, check};
pub use embedded::object_meta;
pub use format::{Format, Text};
pub use node::{Additional, Bounds, Forbidden, ListKind, Node, Rule, Shape};
pub use pattern::Pattern;

use model::FieldError;
use rules::Rules;
use serde_json::Value;
use std::sync::OnceLock;

/// What of an object a write may change, and so what is validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything
    Whole,
    /// `status`, through the subresource
    Status,
}

/// Validates the `metadata` of an embedded resource, at a path: the rules of ObjectMeta belong to
/// whoever validates objects.
pub type MetaRules = fn(metadata: &Value, path: &str, errors: &mut Vec<FieldError>);

/// The schema of one version of a CustomResourceDefinition, ready for use.
#[derive(Debug)]
pub struct Structural {
    root: Node,
    has_embedded: bool,
    has_rules: bool,
    /// Compiled when the first object is validated
    rules: OnceLock<Rules>,
}

impl Structural {
    /// Reads the JSON of `openAPIV3Schema`. The defaults in it are pruned as kube-apiserver does
    /// when it begins to serve the version.
    ///
    /// # Errors
    /// The text says what cannot be served; a definition that passed [`check`] has no error.
    pub fn parse(schema: &Value) -> Result<Self, String> {
        let mut root = parse::node(schema)?;
        prune::defaults(&mut root);
        Ok(Self {
            has_embedded: root.has_embedded(),
            has_rules: root.has_rules(),
            rules: OnceLock::new(),
            root,
        })
    }

    /// The top of the schema, to walk along.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The place at a path of field names; list items and map values have the name `*`.
    pub fn at<'a>(&'a self, path: &[&str]) -> Option<&'a Node> {
        path.iter().try_fold(&self.root, |node, name| {
            node.properties.get(*name).or(match *name {
                "*" => node.items.as_deref().or(node.additional_schema()),
                _ => node.additional_schema(),
            })
        })
    }

    /// What decoding does to an object from a client: defaults, pruning, nulls, embedded metadata, in
    /// this order. `metadata` of the object itself is the caller's. Answers the paths for
    /// `unknown field "…"`: of what was pruned, then of what embedded metadata does not know, each
    /// sorted.
    ///
    /// # Errors
    /// Embedded metadata that cannot be decoded, e.g. `spec.template.metadata: Invalid value: …`.
    pub fn receive(&self, object: &mut Value) -> Result<Vec<String>, Box<FieldError>> {
        default::fill(&self.root, object);
        let mut unknown = self.prune(object);
        default::drop_nulls(&self.root, object);
        if self.has_embedded {
            unknown.extend(embedded::coerce(&self.root, object)?);
        }
        Ok(unknown)
    }

    /// Drops the fields that the schema does not specify. Answers their paths, sorted.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        prune::prune(&self.root, object, true)
    }

    /// Fills in defaults, and drops nulls that are neither nullable nor defaulted.
    pub fn apply_defaults(&self, object: &mut Value) {
        default::fill(&self.root, object);
        default::drop_nulls(&self.root, object);
    }

    /// Validates an object, and against `old` where it is an update: values, embedded resources,
    /// list types, rules in CEL. `errors` holds what was found before (metadata, scale), since some
    /// of it stops the rules from being asked. Answers the texts of warnings: rules that fail on
    /// something that the update did not change.
    pub fn validate(
        &self,
        new: &Value,
        old: Option<&Value>,
        part: Part,
        meta: MetaRules,
        errors: &mut Vec<FieldError>,
    ) -> Vec<String> {
        validate::object(self, new, old, part, meta, errors)
    }

    fn rules(&self) -> &Rules {
        self.rules.get_or_init(|| Rules::of(&self.root, true))
    }

    /// The schema as OpenAPI v3 publishes it, but for what the resource itself has: `apiVersion`,
    /// `kind`, `metadata` and `x-kubernetes-group-version-kind` are for the caller to add.
    pub fn open_api_v3(&self) -> Value {
        publish::v3(&self.root)
    }

    /// The schema as OpenAPI v2 publishes it: without what v2 cannot say. Where the root keeps unknown
    /// fields, it is just `type: object`, and only the group, version and kind may be added.
    pub fn open_api_v2(&self) -> Value {
        publish::v2(&self.root)
    }
}
