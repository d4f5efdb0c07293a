//! Field sets after a schema changed: what is owned as a whole now has no fields of its own.

use super::set::Node;
use super::ty::Rule;
use super::{Element, FieldSet, Type};

/// Brings a set in line with a type. Answers whether it changed.
pub fn reconcile(ty: Type<'_>, set: &mut FieldSet<'_>) -> bool {
    let mut changed = false;
    match ty.rule(None) {
        Rule::Map(map) if map.is_deduced() => {}
        Rule::Map(map) => {
            for node in &mut set.nodes {
                let inner = match &node.element {
                    Element::Field(name) => map.member(name),
                    _ => map.element,
                };
                if let Some(inner) = inner {
                    changed |= node_below(inner, node);
                }
            }
        }
        Rule::List(list) => {
            for node in &mut set.nodes {
                changed |= node_below(list.element, node);
            }
        }
        Rule::Scalar(_) | Rule::None => {}
    }
    changed
}

fn node_below(ty: Type<'_>, node: &mut Node<'_>) -> bool {
    if node.below.is_empty() {
        return false;
    }
    let is_whole = match ty.rule(None) {
        Rule::Map(map) => map.atomic && !map.is_deduced(),
        Rule::List(list) => list.atomic,
        Rule::Scalar(_) | Rule::None => false,
    };
    if is_whole {
        node.member = true;
        node.below = FieldSet::default();
        return true;
    }
    reconcile(ty, &mut node.below)
}
