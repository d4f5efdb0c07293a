//! Rules in CEL, `x-kubernetes-validations`. Source: KEP-2876.
//!
//! A schema's rules are compiled once, into a tree like the schema's that has only the places with
//! rules at or below them.

mod ask;
mod check;
mod field_path;

pub(super) use ask::{Asked, Ratchet};
pub(super) use check::{Budget, CheckRules};

use super::node::{Node, Rule, Shape};
use cel::{Decl, Env, Format, ListKind, Program, Property, Type};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What all rules of one object may cost together, in the API server's units.
pub(super) const BUDGET: i64 = 10_000_000;

/// A place of a schema as expressions see it.
pub(super) struct Typed<'a> {
    decl: Option<Arc<Decl>>,
    properties: Vec<(&'a str, Typed<'a>)>,
    items: Option<Box<Typed<'a>>>,
    values: Option<Box<Typed<'a>>>,
}

impl<'a> Typed<'a> {
    /// Reads a schema; `resource` says whether the place is the top of a resource.
    pub(super) fn of(node: &'a Node, resource: bool) -> Self {
        let child = |node: &'a Node| Typed::of(node, node.embedded);
        let mut typed = Typed {
            decl: None,
            properties: node
                .properties
                .iter()
                .map(|(n, c)| (n.as_str(), child(c)))
                .collect(),
            items: node.items.as_deref().map(|items| Box::new(child(items))),
            values: node
                .additional_schema()
                .map(|values| Box::new(child(values))),
        };
        let decl = typed.declare(node, resource);
        typed.decl = decl.map(|decl| Arc::new(decl.nullable(node.nullable)));
        typed
    }

    /// The field of a name.
    pub(super) fn property(&self, name: &str) -> Option<&Self> {
        let at = self
            .properties
            .binary_search_by(|(own, _)| (*own).cmp(name));
        at.ok().map(|at| &self.properties[at].1)
    }

    /// A list's items.
    pub(super) fn items(&self) -> Option<&Self> {
        self.items.as_deref()
    }

    /// A map's values.
    pub(super) fn values(&self) -> Option<&Self> {
        self.values.as_deref()
    }

    fn declare(&self, node: &Node, resource: bool) -> Option<Decl> {
        let bounds = &node.bounds;
        if node.int_or_string {
            return Some(Decl::int_or_string(bounds.max_length));
        }
        match node.shape {
            Shape::Array => {
                let items = self.items.as_ref()?.decl.clone()?;
                Some(Decl::list(items, bounds.max_items, list_kind(node)))
            }
            Shape::Object => match &self.values {
                Some(values) => Some(Decl::map(values.decl.clone()?, bounds.max_properties)),
                None => Some(self.object(node, resource)),
            },
            Shape::String => {
                let format = format(&node.format_name);
                Some(Decl::string(format, bounds.max_length, &node.choices))
            }
            Shape::Boolean => Some(Decl::boolean()),
            Shape::Number => Some(Decl::number()),
            Shape::Integer => Some(Decl::integer()),
            Shape::Any if node.preserves_unknown() => Some(Decl::preserved()),
            Shape::Any | Shape::Unknown => None,
        }
    }

    fn object(&self, node: &Node, resource: bool) -> Decl {
        let fields = self.properties.iter().filter_map(|(name, typed)| {
            Some(Property {
                name: (*name).to_owned(),
                decl: typed.decl.clone()?,
                required: node.required.iter().any(|required| required == name),
                defaulted: node.properties.get(*name)?.default.is_some(),
            })
        });
        let object = Decl::object(fields);
        if resource && !names_itself(node) {
            object.resource()
        } else {
            object
        }
    }
}

/// Whether a schema has all that a resource's has anyway, so that its own is taken.
fn names_itself(node: &Node) -> bool {
    let is = |node: Option<&Node>, shape| node.is_some_and(|node| node.shape == shape);
    let metadata = node.properties.get("metadata");
    let inside = |name: &str| metadata.and_then(|m| m.properties.get(name));
    is(node.properties.get("kind"), Shape::String)
        && is(node.properties.get("apiVersion"), Shape::String)
        && is(metadata, Shape::Object)
        && is(inside("name"), Shape::String)
        && is(inside("generateName"), Shape::String)
}

fn list_kind(node: &Node) -> ListKind {
    match node.list_kind() {
        super::ListKind::Atomic => ListKind::Atomic,
        super::ListKind::Set => ListKind::Set,
        super::ListKind::Map(keys) => ListKind::Map(keys.to_vec()),
    }
}

fn format(name: &str) -> Format {
    match name {
        "byte" => Format::Byte,
        "duration" => Format::Duration,
        "date" => Format::Date,
        "date-time" => Format::DateTime,
        _ => Format::Plain,
    }
}

/// The environments of a place's rules.
struct Envs {
    plain: Env,
    optional: Env,
}

impl Envs {
    fn of(decl: &Decl) -> Self {
        // Expressions cannot write this name; the original makes up a new one each time.
        let own = decl.to_type("selfType");
        let base = Env::new().variable("self", own.clone());
        Self {
            optional: base
                .clone()
                .variable("oldSelf", Type::optional(own.clone())),
            plain: base.variable("oldSelf", own),
        }
    }

    fn of_rule(&self, rule: &Rule) -> &Env {
        match rule.optional_old_self {
            Some(true) => &self.optional,
            _ => &self.plain,
        }
    }
}

/// A rule that is ready to be asked, or why it is not.
#[derive(Debug)]
struct Compiled {
    rule: Rule,
    /// `None` where the rule is empty
    program: Option<Result<Program, String>>,
    uses_old: bool,
    message: Option<Result<Program, String>>,
    /// `fieldPath` as errors print it; empty when there is none
    field: String,
}

impl Compiled {
    fn of(node: &Node, rule: &Rule, envs: &Envs) -> Self {
        let mut compiled = Self {
            rule: rule.clone(),
            program: None,
            uses_old: false,
            message: None,
            field: String::new(),
        };
        if rule.rule.trim().is_empty() {
            return compiled;
        }
        let env = envs.of_rule(rule);
        let program = compile(
            env,
            &rule.rule,
            &Type::Bool,
            "",
            "cel expression must evaluate to a bool",
        );
        if let Ok(program) = &program {
            compiled.uses_old = program.reads("oldSelf");
            if !rule.message_expression.is_empty() {
                let wrong = "messageExpression must evaluate to a string";
                let text = &rule.message_expression;
                compiled.message = Some(compile(
                    env,
                    text,
                    &Type::String,
                    "messageExpression ",
                    wrong,
                ));
            }
            if let Some(path) = field_path::resolve(node, &rule.field_path) {
                compiled.field = path;
            }
        }
        compiled.program = Some(program);
        compiled
    }
}

fn compile(
    env: &Env,
    text: &str,
    wanted: &Type,
    what: &str,
    wrong: &str,
) -> Result<Program, String> {
    match env.compile(text) {
        Err(error) => Err(format!("{what}compilation failed: {error}")),
        Ok(program) if program.result_type() == wanted => Ok(program),
        Ok(_) => Err(wrong.to_owned()),
    }
}

/// The rules at a place and below it.
#[derive(Debug)]
pub(super) struct Rules {
    here: Vec<Compiled>,
    decl: Arc<Decl>,
    type_name: String,
    properties: BTreeMap<String, Rules>,
    items: Option<Box<Rules>>,
    values: Option<Box<Rules>>,
}

impl Rules {
    /// Compiles all rules of a schema.
    pub(super) fn of(node: &Node, resource: bool) -> Self {
        let typed = Typed::of(node, resource);
        let empty = || Self {
            here: Vec::new(),
            decl: Arc::new(Decl::any()),
            type_name: String::new(),
            properties: BTreeMap::new(),
            items: None,
            values: None,
        };
        Self::at(node, &typed).unwrap_or_else(empty)
    }

    fn at(node: &Node, typed: &Typed<'_>) -> Option<Self> {
        if !node.has_rules() {
            return None;
        }
        let decl = typed.decl.clone()?;
        let mut properties = BTreeMap::new();
        for (name, child) in &node.properties {
            let typed = typed.property(name);
            if let Some(rules) = typed.and_then(|typed| Self::at(child, typed)) {
                properties.insert(name.clone(), rules);
            }
        }
        let below =
            |node: Option<&Node>, typed: Option<&Typed<'_>>| Self::at(node?, typed?).map(Box::new);
        Some(Self {
            here: compile_all(node, &decl),
            properties,
            items: below(node.items.as_deref(), typed.items()),
            values: below(node.additional_schema(), typed.values()),
            type_name: node.type_name.clone(),
            decl,
        })
    }
}

fn compile_all(node: &Node, decl: &Decl) -> Vec<Compiled> {
    if node.rules.is_empty() {
        return Vec::new();
    }
    let envs = Envs::of(decl);
    let rules = node.rules.iter();
    rules.map(|rule| Compiled::of(node, rule, &envs)).collect()
}
