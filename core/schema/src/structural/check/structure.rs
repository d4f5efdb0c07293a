//! What makes a schema structural. Source: KEP-1693 (structural schemas).

use super::super::node::{Additional, Node, Shape};
use super::super::path::Path;
use super::{complete, forbidden, has_additional, invalid, required};
use model::FieldError;

/// Where a place is, as the texts tell it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Checks a whole schema.
pub(super) fn check(node: &Node, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    place(node, Level::Root, path, errors);
    complete::check(node, path, errors);
}

/// Whether a schema is structural.
pub(super) fn is_structural(node: &Node) -> bool {
    let mut errors = Vec::new();
    if super::root::unsupported(node).is_none() {
        check(node, &Path::Root, &mut errors);
        return errors.is_empty();
    }
    false
}

fn place(node: &Node, level: Level, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if node.shape == Shape::Array && node.items.is_none() {
        errors.push(required(&path.field("items"), "must be specified"));
    }
    if let Some(items) = node.items.as_deref() {
        place(items, Level::Item, &path.field("items"), errors);
    }
    let properties = path.field("properties");
    for (name, child) in &node.properties {
        place(child, Level::Field, &properties.key(name), errors);
    }
    if has_additional(node) {
        let path = path.field("additionalProperties");
        if level == Level::Root {
            errors.push(forbidden(&path, "must not be used at the root"));
        }
        if let Some(child) = node.additional_schema() {
            place(child, Level::Field, &path, errors);
        }
    }
    extensions(node, path, errors);
    validations(
        node,
        either_in_any_of(node),
        either_in_all_of(node),
        path,
        errors,
    );
    shape(node, level, path, errors);
    resource(node, level, path, errors);
}

fn extensions(node: &Node, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let detail = "must be false if x-kubernetes-int-or-string is true";
    if node.int_or_string && node.preserves_unknown() {
        let path = path.field("x-kubernetes-preserve-unknown-fields");
        errors.push(invalid(&path, &true.into(), detail));
    }
    if node.int_or_string && node.embedded {
        let path = path.field("x-kubernetes-embedded-resource");
        errors.push(invalid(&path, &true.into(), detail));
    }
}

fn shape(node: &Node, level: Level, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let at = path.field("type");
    let name = node.type_name.as_str();
    if node.embedded && node.shape != Shape::Object {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(match name {
            "" => required(&at, detail),
            _ => invalid(&at, &name.into(), detail),
        });
    } else if name.is_empty() && !node.int_or_string && !node.preserves_unknown() {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(required(&at, detail));
    }
    if node.embedded && has_additional(node) {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(forbidden(&path.field("additionalProperties"), detail));
    }
    if level == Level::Root && !name.is_empty() && node.shape != Shape::Object {
        errors.push(invalid(&at, &name.into(), "must be object at the root"));
    }
}

/// The fields that every resource has may be restricted only in some ways.
fn resource(node: &Node, level: Level, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let is_resource = level == Level::Root || node.embedded;
    let properties = path.field("properties");
    for name in ["kind", "apiVersion"] {
        if let Some(child) = node.properties.get(name)
            && is_resource
            && child.shape != Shape::String
        {
            let at = properties.key(name);
            let value = child.type_name.as_str().into();
            errors.push(invalid(&at.field("type"), &value, "must be string"));
        }
    }
    if let Some(metadata) = node.properties.get("metadata") {
        let at = properties.key("metadata");
        if is_resource && metadata.shape != Shape::Object {
            let value = metadata.type_name.as_str().into();
            errors.push(invalid(&at.field("type"), &value, "must be object"));
        }
        if level == Level::Root && !says_only_names(metadata) {
            let detail = "must not specify anything other than name and generateName, but \
                          metadata is implicitly specified";
            errors.push(forbidden(&at, detail));
        }
    }
    if node.embedded && !node.preserves_unknown() && node.properties.is_empty() {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without \
                      x-kubernetes-preserve-unknown-fields";
        errors.push(required(&properties, detail));
    }
}

fn says_only_names(metadata: &Node) -> bool {
    let mut rest = metadata.clone();
    let names = |name: &String| name == "name" || name == "generateName";
    if rest.properties.keys().all(names) {
        rest.properties.clear();
    }
    rest.type_name.clear();
    rest.shape = Shape::Any;
    rest.default = None;
    rest == Node::default()
}

/// `anyOf` of integer and string, which `x-kubernetes-int-or-string` may have.
fn is_either(branches: &[Node]) -> bool {
    let bare = |name: &str| Node {
        shape: Shape::parse(name),
        type_name: name.to_owned(),
        ..Node::default()
    };
    branches.len() == 2 && branches[0] == bare("integer") && branches[1] == bare("string")
}

fn either_in_any_of(node: &Node) -> bool {
    is_either(&node.any_of)
}

fn either_in_all_of(node: &Node) -> bool {
    node.all_of
        .first()
        .is_some_and(|first| is_either(&first.any_of))
}

fn validations(
    node: &Node,
    skip_any_of: bool,
    skip_in_first: bool,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let at = path.field("anyOf");
    for (index, branch) in node.any_of.iter().enumerate().filter(|_| !skip_any_of) {
        nested(branch, false, &at.index(index), errors);
    }
    let at = path.field("allOf");
    for (index, branch) in node.all_of.iter().enumerate() {
        nested(
            branch,
            skip_in_first && index == 0,
            &at.index(index),
            errors,
        );
    }
    let at = path.field("oneOf");
    for (index, branch) in node.one_of.iter().enumerate() {
        nested(branch, false, &at.index(index), errors);
    }
    if let Some(not) = node.not.as_deref() {
        nested(not, false, &path.field("not"), errors);
    }
    if let Some(pattern) = &node.pattern
        && let Err(text) = pattern.check()
    {
        let detail = format!("must be a valid regular expression, but isn't: {text}");
        errors.push(invalid(
            &path.field("pattern"),
            &pattern.text().into(),
            detail,
        ));
    }
}

/// Below a junctor a schema may only restrict values.
fn nested(node: &Node, skip_any_of: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    validations(node, skip_any_of, false, path, errors);
    if let Some(items) = node.items.as_deref() {
        nested(items, false, &path.field("items"), errors);
    }
    let properties = path.field("properties");
    for (name, child) in &node.properties {
        nested(child, false, &properties.key(name), errors);
    }
    for (is_said, name, word) in structure_words(node) {
        if is_said {
            let detail = format!("must be {word} to be structural");
            errors.push(forbidden(&path.field(name), detail));
        }
    }
    if node.properties.contains_key("metadata") {
        let detail = "must not be specified in a nested context";
        errors.push(forbidden(&properties.key("metadata"), detail));
    }
}

fn structure_words(node: &Node) -> [(bool, &'static str, &'static str); 13] {
    let (empty, undefined, no) = ("empty", "undefined", "false");
    let additional = matches!(
        node.additional,
        Additional::Schema(_) | Additional::Allowed(true)
    );
    [
        (!node.type_name.is_empty(), "type", empty),
        (additional, "additionalProperties", undefined),
        (node.default.is_some(), "default", undefined),
        (!node.title.is_empty(), "title", empty),
        (!node.description.is_empty(), "description", empty),
        (node.nullable, "nullable", no),
        (
            node.preserves_unknown(),
            "x-kubernetes-preserve-unknown-fields",
            no,
        ),
        (node.embedded, "x-kubernetes-embedded-resource", no),
        (node.int_or_string, "x-kubernetes-int-or-string", no),
        (
            !node.list_map_keys.is_empty(),
            "x-kubernetes-list-map-keys",
            empty,
        ),
        (
            node.list_type.is_some(),
            "x-kubernetes-list-type",
            undefined,
        ),
        (node.map_type.is_some(), "x-kubernetes-map-type", undefined),
        (!node.rules.is_empty(), "x-kubernetes-validations", empty),
    ]
}
