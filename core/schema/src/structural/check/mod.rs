//! The rules that a definition's schema itself must keep: what apiextensions' validation says about
//! `openAPIV3Schema`.

mod complete;
mod defaults;
mod extensions;
pub(super) mod root;
mod schema;
mod structure;

use super::node::{Additional, Node};
use super::path::Path;
use super::{MetaRules, parse, print};
use model::{FieldError, FieldErrorKind};
use serde_json::Value;

/// What a definition's check takes into account beside the schema.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions<'a> {
    /// Where the schema stands, e.g. `spec.versions[0].schema.openAPIV3Schema`
    pub path: &'a str,
    /// Whether the version has the status subresource
    pub status_subresource: bool,
    /// Whether an update leaves this version's schema as it was: then a rule's own cost is not
    /// refused
    pub unchanged: bool,
    /// What is not asked because the old definition did not have it either
    pub tolerance: Tolerance,
    /// The rules of `metadata`, for defaults inside embedded resources
    pub meta: MetaRules,
}

/// Rules that came later than some stored definitions: an update of a definition that breaks one
/// may go on breaking it. The default asks everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerance {
    /// Schemas need not be structural
    pub non_structural: bool,
    /// Defaults may have unknown fields
    pub unpruned_defaults: bool,
    /// Items of sets may be merged by fields
    pub non_atomic_sets: bool,
    /// Keys of lists of type `map` may be missing or null
    pub loose_list_keys: bool,
    /// Types may have any name
    pub unknown_types: bool,
}

impl Tolerance {
    /// What the schemas of the old definition, of all its versions, break.
    pub fn of(schemas: &[&Value]) -> Self {
        let mut tolerance = Self::default();
        for schema in schemas {
            let Ok(node) = parse::node(schema) else {
                continue;
            };
            tolerance.non_structural |= !structure::is_structural(&node);
            tolerance.unpruned_defaults |= defaults::has_unpruned(&node);
            tolerance.non_atomic_sets |= any(&node, &extensions::is_non_atomic_set);
            tolerance.loose_list_keys |= any(&node, &extensions::has_loose_list_keys);
            tolerance.unknown_types |= any(&node, &schema::has_unknown_type);
        }
        tolerance
    }
}

/// Whether a place of a schema, wherever it is, is such a one.
fn any(node: &Node, such: &impl Fn(&Node) -> bool) -> bool {
    such(node) || everywhere(node).any(|child| any(child, such))
}

/// All places right below, those of value validations and of what is refused included.
fn everywhere(node: &Node) -> impl Iterator<Item = &Node> {
    let branches = node.all_of.iter().chain(&node.any_of).chain(&node.one_of);
    let refused = node.forbidden.as_deref().into_iter().flat_map(|forbidden| {
        let named = forbidden.pattern_properties.values();
        named
            .chain(forbidden.definitions.values())
            .chain(&forbidden.item_list)
    });
    node.children()
        .chain(branches)
        .chain(node.not.as_deref())
        .chain(refused)
}

/// Checks `openAPIV3Schema`. What it answers are the field errors of kube-apiserver.
pub fn check(schema: &Value, options: CheckOptions<'_>) -> Vec<FieldError> {
    let node = match parse::node(schema) {
        Ok(node) => node,
        Err(text) => return vec![invalid(&Path::Text(options.path), &"".into(), text)],
    };
    let mut errors = Vec::new();
    let path = Path::Text(options.path);
    if options.status_subresource {
        root::with_status(&node, schema, &path, &mut errors);
    }
    if node.nullable {
        let path = path.field("nullable").to_string();
        errors.push(FieldError::forbidden(
            path,
            "nullable cannot be true at the root",
        ));
    }
    let mut unsupported = None;
    let mut with_rules = false;
    if !options.tolerance.non_structural {
        unsupported = root::unsupported(&node);
        if unsupported.is_none() {
            let before = errors.len();
            structure::check(&node, &path, &mut errors);
            if errors.len() == before {
                defaults::check(&node, &options, &mut errors);
            }
            with_rules = errors.len() == before;
        }
    }
    schema::check(&node, &options, with_rules, &mut errors);
    if errors.is_empty()
        && let Some(text) = unsupported
    {
        errors.push(invalid(&path, &"".into(), text));
    }
    errors
}

fn invalid(path: &Path<'_>, value: &Value, detail: impl Into<String>) -> FieldError {
    FieldError {
        kind: FieldErrorKind::Invalid,
        field: path.to_string(),
        value: Some(print::bad_value(value)),
        detail: detail.into(),
    }
}

fn required(path: &Path<'_>, detail: impl Into<String>) -> FieldError {
    FieldError::required(path.to_string(), detail)
}

fn forbidden(path: &Path<'_>, detail: impl Into<String>) -> FieldError {
    FieldError::forbidden(path.to_string(), detail)
}

/// Whether nothing is said about other fields.
fn has_additional(node: &Node) -> bool {
    !matches!(node.additional, Additional::Absent)
}
