//! Defaults must be values that the schema lets in.

use super::super::node::Node;
use super::super::path::Path;
use super::super::rules::{self, Rules};
use super::super::{embedded, prune, validate};
use super::{CheckOptions, any, invalid};
use model::FieldError;
use serde_json::{Map, Value};

/// Whether a default has fields that the schema does not specify.
pub(super) fn has_unpruned(node: &Node) -> bool {
    any(node, &|place| {
        let default = place.default.as_ref();
        default.is_some_and(|default| is_unpruned(place, default, place.embedded))
    })
}

fn is_unpruned(node: &Node, default: &Value, resource: bool) -> bool {
    let mut pruned = default.clone();
    prune::prune(node, &mut pruned, resource);
    pruned != *default
}

/// Checks all defaults.
pub(super) fn check(node: &Node, options: &CheckOptions<'_>, errors: &mut Vec<FieldError>) {
    let mut walk = Walk {
        options,
        budget: rules::BUDGET,
    };
    let resource = Resource {
        schema: node,
        is_root: true,
        steps: Vec::new(),
    };
    walk.place(node, &Path::Text(options.path), &resource, false, errors);
}

/// The resource around a place, and the way from it.
struct Resource<'a> {
    schema: &'a Node,
    is_root: bool,
    steps: Vec<Step<'a>>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Item,
}

impl<'a> Resource<'a> {
    fn step(&self, step: Step<'a>) -> Self {
        let mut steps = self.steps.clone();
        steps.push(step);
        Self { steps, ..*self }
    }

    /// The smallest resource with a value at this place.
    fn around(&self, value: &Value) -> Value {
        let mut whole = value.clone();
        for step in self.steps.iter().rev() {
            whole = match step {
                Step::Item => Value::Array(vec![whole]),
                Step::Field(name) => {
                    let mut fields = Map::new();
                    fields.insert((*name).to_owned(), whole);
                    Value::Object(fields)
                }
            };
        }
        if let Some(fields) = whole.as_object_mut() {
            let names = [("kind", "Validation"), ("apiVersion", "validation/v1")];
            for (name, value) in names {
                fields.entry(name).or_insert_with(|| value.into());
            }
        }
        whole
    }
}

struct Walk<'a> {
    options: &'a CheckOptions<'a>,
    budget: i64,
}

impl Walk<'_> {
    fn place(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        resource: &Resource<'_>,
        inside_meta: bool,
        errors: &mut Vec<FieldError>,
    ) {
        if self.budget < 0 {
            return;
        }
        if node.embedded && !(resource.is_root && resource.steps.is_empty()) {
            let own = Resource {
                schema: node,
                is_root: false,
                steps: Vec::new(),
            };
            return self.inside(node, path, &own, false, errors);
        }
        self.inside(node, path, resource, inside_meta, errors);
    }

    fn inside(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        resource: &Resource<'_>,
        inside_meta: bool,
        errors: &mut Vec<FieldError>,
    ) {
        let is_resource = resource.steps.is_empty();
        if let Some(default) = &node.default {
            let at = path.field("default");
            if inside_meta {
                self.metadata_default(default, &at, resource, errors);
            } else {
                self.default(node, default, &at, resource, errors);
            }
        }
        if let Some(items) = node.items.as_deref() {
            let resource = resource.step(Step::Item);
            self.place(items, &path.field("items"), &resource, inside_meta, errors);
        }
        let properties = path.field("properties");
        for (name, child) in &node.properties {
            let meta = is_resource && ["metadata", "apiVersion", "kind"].contains(&name.as_str());
            let resource = resource.step(Step::Field(name));
            let at = properties.key(name);
            self.place(child, &at, &resource, inside_meta || meta, errors);
        }
    }

    /// A default inside `metadata` is looked at as part of the resource that it makes.
    fn metadata_default(
        &mut self,
        default: &Value,
        at: &Path<'_>,
        resource: &Resource<'_>,
        errors: &mut Vec<FieldError>,
    ) {
        let mut whole = resource.around(default);
        let told = match embedded::coerce_at(resource.schema, &mut whole, "", true) {
            Err(error) => Some(error.to_string()),
            Ok(()) => {
                let mut found = Vec::new();
                let meta = self.options.meta;
                embedded::validate_as(resource.schema, &whole, "", (true, meta), &mut found);
                let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
                match texts.len() {
                    0 => None,
                    1 => Some(texts.concat()),
                    _ => Some(format!("[{}]", texts.join(", "))),
                }
            }
        };
        if let Some(text) = told {
            let detail = format!("must result in valid metadata: {text}");
            errors.push(invalid(at, default, detail));
        }
    }

    fn default(
        &mut self,
        node: &Node,
        default: &Value,
        at: &Path<'_>,
        resource: &Resource<'_>,
        errors: &mut Vec<FieldError>,
    ) {
        let is_top = resource.steps.is_empty();
        let is_resource = node.embedded || (is_top && resource.is_root);
        if !self.options.tolerance.unpruned_defaults && is_unpruned(node, default, is_resource) {
            errors.push(invalid(at, default, "must not have unknown fields"));
        }
        let prefix = at.to_string();
        let mut value = default.clone();
        if let Err(error) = embedded::coerce_at(node, &mut value, &prefix, is_resource) {
            errors.push(*error);
            return;
        }
        let before = errors.len();
        let meta = self.options.meta;
        embedded::validate_as(node, &value, &prefix, (is_resource, meta), errors);
        if errors.len() == before {
            validate::default_value(node, &value, &prefix, errors);
        }
        if errors.len() > before || !node.has_rules() {
            return;
        }
        // Once as if it had been there before, once as if it were new.
        let rules = Rules::of(node, is_top);
        let mut left = self.budget;
        for old in [Some(&value), None] {
            let mut asked = rules::Asked::new(self.budget);
            let ratchet = rules::Ratchet::default();
            rules.ask(node, &value, old, (at, ratchet), &mut asked);
            left = left.min(asked.budget);
            let failed = !asked.errors.is_empty();
            errors.extend(asked.errors);
            if failed {
                break;
            }
        }
        self.budget = left;
    }
}
