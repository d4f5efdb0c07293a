//! What each place of a schema may say, and its rules.

use super::super::node::{Additional, Node, Shape};
use super::super::path::Path;
use super::super::rules::{Budget, CheckRules, Typed};
use super::{CheckOptions, extensions, forbidden, invalid};
use model::FieldError;

/// Types that a schema may have.
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Checks a schema; its rules in CEL, too, when it is otherwise fit for them.
pub(super) fn check(
    node: &Node,
    options: &CheckOptions<'_>,
    with_rules: bool,
    errors: &mut Vec<FieldError>,
) {
    let mut walk = Walk {
        options,
        budget: Budget::default(),
    };
    let typed = (with_rules && node.has_rules()).then(|| Typed::of(node, true));
    let place = Place {
        is_root: true,
        inside_meta: false,
        no_default: None,
        uncorrelated: None,
        cardinality: Some(1),
    };
    let path = Path::Text(options.path);
    let (of_schema, of_rules) = walk.place(node, typed.as_ref(), &path, &place);
    errors.extend(of_schema);
    errors.extend(of_rules);
    if with_rules {
        walk.budget.tell(&path, errors);
    }
}

/// Whether the type's name is none.
pub(super) fn has_unknown_type(node: &Node) -> bool {
    !node.type_name.is_empty() && !TYPES.contains(&node.type_name.as_str())
}

/// What the places above say about one.
#[derive(Clone)]
struct Place<'a> {
    is_root: bool,
    inside_meta: bool,
    no_default: Option<&'a str>,
    uncorrelated: Option<&'a Path<'a>>,
    cardinality: Option<u64>,
}

struct Walk<'a> {
    options: &'a CheckOptions<'a>,
    budget: Budget,
}

type Errors = (Vec<FieldError>, Vec<FieldError>);

impl Walk<'_> {
    fn place(
        &mut self,
        node: &Node,
        typed: Option<&Typed<'_>>,
        path: &Path<'_>,
        place: &Place<'_>,
    ) -> Errors {
        let mut errors = (Vec::new(), Vec::new());
        self.standard(node, path, place, &mut errors.0);
        if node.bounds.unique_items {
            let detail = "uniqueItems cannot be set to true since the runtime complexity becomes \
                          quadratic";
            errors.0.push(forbidden(&path.field("uniqueItems"), detail));
        }
        self.additional(node, typed, path, place, &mut errors);
        self.properties(node, typed, path, place, &mut errors);
        self.branches(node, path, place, &mut errors);
        self.items(node, typed, path, place, &mut errors);
        if node.preserve_unknown == Some(false) {
            let at = path.field("x-kubernetes-preserve-unknown-fields");
            errors
                .0
                .push(invalid(&at, &false.into(), "must be true or undefined"));
        }
        extensions::check(node, path, self.options, &mut errors.0);
        let mut rules = CheckRules {
            node,
            typed: typed.filter(|_| errors.0.is_empty()),
            path,
            cardinality: place.cardinality,
            uncorrelated: place.uncorrelated,
            lenient_cost: self.options.unchanged,
            budget: &mut self.budget,
        };
        rules.texts(&mut errors.0);
        if errors.0.is_empty() {
            rules.programs(&mut errors.1);
        }
        errors
    }

    fn down(
        &mut self,
        node: &Node,
        typed: Option<&Typed<'_>>,
        path: &Path<'_>,
        place: &Place<'_>,
        errors: &mut Errors,
    ) {
        let (of_schema, of_rules) = self.place(node, typed, path, place);
        errors.0.extend(of_schema);
        errors.1.extend(of_rules);
    }

    fn standard(
        &self,
        node: &Node,
        path: &Path<'_>,
        place: &Place<'_>,
        errors: &mut Vec<FieldError>,
    ) {
        if has_unknown_type(node) && !self.options.tolerance.unknown_types {
            let at = path.field("type").to_string();
            let value = node.type_name.as_str().into();
            errors.push(FieldError::not_supported(at, &value, &TYPES));
        }
        if let (Some(_), Some(reason)) = (&node.default, place.no_default) {
            let detail = format!("must not be set {reason}");
            errors.push(forbidden(&path.field("default"), detail));
        }
        refused(node, path, errors);
        if node.type_name == "null" {
            let detail = "type cannot be set to null, use nullable as an alternative";
            errors.push(forbidden(&path.field("type"), detail));
        }
        if place.inside_meta && node.embedded {
            let at = path.field("x-kubernetes-embedded-resource");
            errors.push(forbidden(&at, "must not be used inside of resource meta"));
        }
    }

    fn additional(
        &mut self,
        node: &Node,
        typed: Option<&Typed<'_>>,
        path: &Path<'_>,
        place: &Place<'_>,
        errors: &mut Errors,
    ) {
        let at = path.field("additionalProperties");
        let exclusive = !matches!(
            node.additional,
            Additional::Absent | Additional::Allowed(true)
        );
        if exclusive && !node.properties.is_empty() {
            let detail = "additionalProperties and properties are mutual exclusive";
            errors.0.push(forbidden(&at, detail));
        }
        let Some(child) = node.additional_schema() else {
            return;
        };
        let mut below = self.below(node, place);
        if place.inside_meta {
            below.no_default = Some("inside additionalProperties applying to object metadata");
        }
        self.down(child, typed.and_then(Typed::values), &at, &below, errors);
    }

    fn properties(
        &mut self,
        node: &Node,
        typed: Option<&Typed<'_>>,
        path: &Path<'_>,
        place: &Place<'_>,
        errors: &mut Errors,
    ) {
        let properties = path.field("properties");
        let correlated = matches!(node.map_type.as_deref(), None | Some("granular" | "atomic"));
        for (name, child) in &node.properties {
            let mut below = self.below(node, place);
            if !correlated {
                below.uncorrelated = below.uncorrelated.or(Some(path));
            }
            let meta = match name.as_str() {
                "metadata" => Some("in top-level metadata"),
                "kind" => Some("in top-level kind"),
                "apiVersion" => Some("in top-level apiVersion"),
                _ => None,
            };
            if let Some(reason) = meta.filter(|_| place.is_root || node.embedded) {
                below.inside_meta = true;
                if place.is_root {
                    below.no_default = Some(reason);
                }
            }
            let typed = typed.and_then(|typed| typed.property(name));
            self.down(child, typed, &properties.key(name), &below, errors);
        }
    }

    fn branches(&mut self, node: &Node, path: &Path<'_>, place: &Place<'_>, errors: &mut Errors) {
        let below = self.below(node, place);
        if let Some(not) = node.not.as_deref() {
            self.down(not, None, &path.field("not"), &below, errors);
        }
        let lists = [
            ("allOf", &node.all_of),
            ("oneOf", &node.one_of),
            ("anyOf", &node.any_of),
        ];
        for (name, list) in lists {
            let at = path.field(name);
            for (index, branch) in list.iter().enumerate() {
                self.down(branch, None, &at.index(index), &below, errors);
            }
        }
        if let Some(refused) = node.forbidden.as_deref() {
            let at = path.field("definitions");
            for (name, child) in &refused.definitions {
                self.down(child, None, &at.key(name), &below, errors);
            }
            let at = path.field("dependencies");
            for (name, child) in &refused.dependencies {
                if let Some(child) = child {
                    self.down(child, None, &at.key(name), &below, errors);
                }
            }
        }
    }

    fn items(
        &mut self,
        node: &Node,
        typed: Option<&Typed<'_>>,
        path: &Path<'_>,
        place: &Place<'_>,
        errors: &mut Errors,
    ) {
        let at = path.field("items");
        let mut below = self.below(node, place);
        if node.list_type.as_deref() != Some("map") {
            below.uncorrelated = below.uncorrelated.or(Some(path));
        }
        if let Some(items) = node.items.as_deref() {
            self.down(items, typed.and_then(Typed::items), &at, &below, errors);
        }
        let listed = node.forbidden.iter().flat_map(|f| &f.item_list);
        for (index, child) in listed.enumerate() {
            self.down(child, None, &at.index(index), &below, errors);
        }
    }

    /// What holds for the places below, if they do not say otherwise.
    fn below<'p>(&self, node: &Node, place: &Place<'p>) -> Place<'p> {
        Place {
            is_root: false,
            cardinality: multiplied(place.cardinality, most_children(node)),
            ..place.clone()
        }
    }
}

/// How many of each child a place can have; `None` when nothing bounds it.
fn most_children(node: &Node) -> Option<u64> {
    let most = |limit: Option<i64>| limit.map(|limit| u64::try_from(limit).unwrap_or(0));
    match node.shape {
        Shape::Object if super::has_additional(node) => most(node.bounds.max_properties),
        Shape::Array => most(node.bounds.max_items),
        _ => Some(1),
    }
}

fn multiplied(base: Option<u64>, factor: Option<u64>) -> Option<u64> {
    Some(base?.saturating_mul(factor?))
}

/// Fields that stand in no structural schema.
fn refused(node: &Node, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(refused) = node.forbidden.as_deref() else {
        return;
    };
    let additional = !matches!(refused.additional_items, Additional::Absent);
    let words = [
        (!refused.id.is_empty(), "id"),
        (additional, "additionalItems"),
        (!refused.pattern_properties.is_empty(), "patternProperties"),
        (!refused.definitions.is_empty(), "definitions"),
        (refused.has_dependencies, "dependencies"),
        (refused.reference.is_some(), "$ref"),
    ];
    for (_, name) in words.iter().filter(|(is_said, _)| *is_said) {
        errors.push(forbidden(
            &path.field(name),
            format!("{name} is not supported"),
        ));
    }
    if !refused.item_list.is_empty() {
        let detail = "items must be a schema object and not an array";
        errors.push(forbidden(&path.field("items"), detail));
    }
}
