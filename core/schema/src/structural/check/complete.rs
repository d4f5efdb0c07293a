//! What a value validation restricts must be specified outside of it as well.

use super::super::node::Node;
use super::super::path::Path;
use super::required;
use model::FieldError;

/// Checks the branches at the root. (Those deeper down are checked as part of a place's own
/// junctors only there, as in the original.)
pub(super) fn check(node: &Node, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    branches(node, Some(node), path, path, errors);
}

fn branches(
    validation: &Node,
    place: Option<&Node>,
    path: &Path<'_>,
    at: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if let Some(not) = validation.not.as_deref() {
        nested(not, place, path, &at.field("not"), errors);
    }
    let lists = [
        ("allOf", &validation.all_of),
        ("anyOf", &validation.any_of),
        ("oneOf", &validation.one_of),
    ];
    for (name, list) in lists {
        let at = at.field(name);
        for (index, branch) in list.iter().enumerate() {
            nested(branch, place, path, &at.index(index), errors);
        }
    }
}

fn nested(
    validation: &Node,
    place: Option<&Node>,
    path: &Path<'_>,
    at: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let Some(place) = place else {
        errors.push(missing(path, at));
        return;
    };
    branches(validation, Some(place), path, at, errors);
    if let Some(items) = validation.items.as_deref() {
        let (path, at) = (path.field("items"), at.field("items"));
        nested(items, place.items.as_deref(), &path, &at, errors);
    }
    let (path, at) = (path.field("properties"), at.field("properties"));
    for (name, child) in &validation.properties {
        let (path, at) = (path.key(name), at.key(name));
        match place.properties.get(name) {
            Some(place) => nested(child, Some(place), &path, &at, errors),
            None => errors.push(missing(&path, &at)),
        }
    }
}

fn missing(path: &Path<'_>, at: &Path<'_>) -> FieldError {
    required(path, format!("because it is defined in {at}"))
}
