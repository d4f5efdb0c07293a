//! What differs between two objects.

use super::list::element_of;
use super::order::equal;
use super::ty::{ListType, MapType, Rule, Scalar};
use super::validate::check_scalar;
use super::{Element, Faults, FieldSet, Type};
use serde_json::Value;
use std::collections::BTreeMap;

/// Fields that differ between an older and a newer object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison<'a> {
    /// Only in the older one
    pub removed: FieldSet<'a>,
    /// In both, with other values
    pub modified: FieldSet<'a>,
    /// Only in the newer one
    pub added: FieldSet<'a>,
}

impl Comparison<'_> {
    /// The same, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Comparison<'static> {
        Comparison {
            removed: self.removed.into_owned(),
            modified: self.modified.into_owned(),
            added: self.added.into_owned(),
        }
    }
}

/// Compares two objects of a type.
///
/// # Errors
/// When elements of a list cannot be told apart.
pub fn compare<'a>(ty: Type<'_>, old: &'a Value, new: &'a Value) -> Result<Comparison<'a>, Faults> {
    Ok(walk(ty, Some(old), Some(new))?.below)
}

/// What is known about one place.
#[derive(Default)]
struct Found<'a> {
    /// The place itself is only in the older object
    removed: bool,
    /// The place itself has another value
    modified: bool,
    /// The place itself is only in the newer object
    added: bool,
    below: Comparison<'a>,
    /// It is owned as a whole
    is_leaf: bool,
}

type Side<'a> = Option<&'a Value>;

fn walk<'a>(ty: Type<'_>, old: Side<'a>, new: Side<'a>) -> Result<Found<'a>, Faults> {
    let (old_rule, new_rule) = (ty.rule(old), ty.rule(new));
    let mut found = match (old, new) {
        (_, None) => by_rule(old_rule, old, new)?,
        (Some(_), Some(_)) if !old_rule.is_same(&new_rule) => {
            both(by_rule(old_rule, old, new)?, by_rule(new_rule, old, new)?)
        }
        _ => by_rule(new_rule, old, new)?,
    };
    if !found.is_leaf {
        found.added |= old.is_none();
        found.removed |= old.is_some() && new.is_none();
    }
    Ok(found)
}

/// A value that became one of another sort is looked at as both.
fn both<'a>(mut first: Found<'a>, second: Found<'a>) -> Found<'a> {
    first.below.removed.add(second.below.removed);
    first.below.modified.add(second.below.modified);
    first.below.added.add(second.below.added);
    first.removed |= second.removed;
    first.modified |= second.modified;
    first.added |= second.added;
    first.is_leaf = second.is_leaf;
    first
}

fn by_rule<'a>(rule: Rule<'_>, old: Side<'a>, new: Side<'a>) -> Result<Found<'a>, Faults> {
    match rule {
        Rule::Map(map) => maps(map, old, new),
        Rule::List(list) => lists(list, old, new),
        Rule::Scalar(scalar) => scalars(scalar, old, new),
        Rule::None => Ok(Found::default()),
    }
}

fn leaf<'a>(old: Side<'a>, new: Side<'a>) -> Found<'a> {
    let differs = |old, new| !equal(old, new);
    Found {
        removed: old.is_some() && new.is_none(),
        modified: old.zip(new).is_some_and(|(old, new)| differs(old, new)),
        added: old.is_none(),
        is_leaf: true,
        below: Comparison::default(),
    }
}

fn scalars<'a>(scalar: Scalar, old: Side<'a>, new: Side<'a>) -> Result<Found<'a>, Faults> {
    let wrong = |side: Side<'a>| side.and_then(|value| check_scalar(scalar, value));
    if let (Some(old), Some(new)) = (wrong(old), wrong(new)) {
        let mut faults = Faults::new(format!("lhs: {old}"));
        faults.extend(Faults::new(format!("rhs: {new}")));
        return Err(faults);
    }
    Ok(leaf(old, new))
}

fn maps<'a>(map: MapType<'_>, old: Side<'a>, new: Side<'a>) -> Result<Found<'a>, Faults> {
    let members = |side: Side<'a>| side.and_then(Value::as_object);
    let (old_map, new_map) = (members(old), members(new));
    let empty = |map: Option<&serde_json::Map<String, Value>>| map.is_none_or(|m| m.is_empty());
    if map.atomic || (empty(old_map) && empty(new_map)) {
        return Ok(leaf(old, new));
    }
    let mut found = Found::default();
    let mut visit = |name: &'a str, old: Side<'a>, new: Side<'a>| {
        let step = Element::field(name);
        let Some(ty) = map.member(name) else {
            return Err(Faults::new("schema error: no type found").at(&step));
        };
        let inner = walk(ty, old, new).map_err(|faults| faults.at(&step))?;
        found.below.put(step, inner);
        Ok(())
    };
    let mut olds = old_map.into_iter().flatten().peekable();
    let mut news = new_map.into_iter().flatten().peekable();
    // Both are sorted by name.
    loop {
        match (olds.peek().copied(), news.peek().copied()) {
            (None, None) => break,
            (Some((name, value)), next) if next.is_none_or(|(other, _)| name < other) => {
                visit(name, Some(value), None)?;
                olds.next();
            }
            (Some((name, was)), Some((other, value))) if name == other => {
                visit(name, Some(was), Some(value))?;
                olds.next();
                news.next();
            }
            (_, Some((name, value))) => {
                visit(name, None, Some(value))?;
                news.next();
            }
            (Some(_), None) => break,
        }
    }
    Ok(found)
}

/// Elements of one key: first those of the older list, then those of the newer one.
type Pairs<'a> = BTreeMap<Element<'a>, (Vec<&'a Value>, Vec<&'a Value>)>;

fn lists<'a>(list: ListType<'_>, old: Side<'a>, new: Side<'a>) -> Result<Found<'a>, Faults> {
    let items = |side: Side<'a>| {
        side.and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice)
    };
    let (olds, news) = (items(old), items(new));
    if list.atomic || (olds.is_empty() && news.is_empty()) {
        return Ok(leaf(old, new));
    }
    let step = |place: usize, item: &'a Value| {
        element_of(&list, item).map_err(|why| Faults::new(format!("element {place}: {why}")))
    };
    let mut pairs = Pairs::new();
    for (place, item) in olds.iter().enumerate() {
        pairs.entry(step(place, item)?).or_default().0.push(item);
    }
    for (place, item) in news.iter().enumerate() {
        pairs.entry(step(place, item)?).or_default().1.push(item);
    }
    let mut found = Found::default();
    for (element, (olds, news)) in pairs {
        let inner = elements(list.element, &olds, &news).map_err(|faults| faults.at(&element))?;
        found.below.put(element, inner);
    }
    Ok(found)
}

/// Elements that are there more than once are compared as a whole.
fn elements<'a>(ty: Type<'_>, olds: &[&'a Value], news: &[&'a Value]) -> Result<Found<'a>, Faults> {
    match (olds, news) {
        ([_, _, ..], [_, _, ..]) => {
            let same = olds.len() == news.len() && olds.iter().zip(news).all(|(a, b)| equal(a, b));
            Ok(Found {
                modified: !same,
                ..Found::default()
            })
        }
        ([_, _, ..], _) => {
            let mut found = optional(ty, None, news.first().copied())?;
            found.removed = true;
            Ok(found)
        }
        (_, [_, _, ..]) => {
            let mut found = optional(ty, olds.first().copied(), None)?;
            found.added = true;
            Ok(found)
        }
        _ => optional(ty, olds.first().copied(), news.first().copied()),
    }
}

fn optional<'a>(ty: Type<'_>, old: Side<'a>, new: Side<'a>) -> Result<Found<'a>, Faults> {
    if old.is_none() && new.is_none() {
        return Ok(Found::default());
    }
    walk(ty, old, new)
}

impl<'a> Comparison<'a> {
    fn put(&mut self, element: Element<'a>, found: Found<'a>) {
        let below = found.below;
        if found.removed || !below.removed.is_empty() {
            self.removed
                .put(element.clone(), found.removed, below.removed);
        }
        if found.modified || !below.modified.is_empty() {
            self.modified
                .put(element.clone(), found.modified, below.modified);
        }
        if found.added || !below.added.is_empty() {
            self.added.put(element, found.added, below.added);
        }
    }
}
