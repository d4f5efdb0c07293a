//! Functions on lists, and on lists as sets.

use super::arithmetic::add;
use super::call::{Answer, Called};
use crate::error::EvalError;
use crate::value::{List, Outcome, Value, compare, equal};
use std::cmp::Ordering;

/// Ranges longer than this are refused; their cost alone would exceed any limit.
const LONGEST_RANGE: i64 = 10_000_000;

pub(super) fn call<'p, 'v>(called: Called<'p, 'v>) -> Answer<'p, 'v> {
    let function = called.function;
    let name = function.name.as_str();
    Ok(match (name, called.args.as_slice()) {
        ("isSorted", [Value::List(list)]) => is_sorted(list),
        ("sum", [Value::List(list)]) => sum(list, function.overload.map_or("", |o| o.id)),
        ("max", [Value::List(list)]) => extreme(list, name, Ordering::Less),
        ("min", [Value::List(list)]) => extreme(list, name, Ordering::Greater),
        ("indexOf", [Value::List(list), item]) => index_of(list, item, false),
        ("lastIndexOf", [Value::List(list), item]) => index_of(list, item, true),
        ("first", [Value::List(list)]) => end(list, 0),
        ("last", [Value::List(list)]) => end(list, list.len().wrapping_sub(1)),
        ("slice", [Value::List(list), Value::Int(from), Value::Int(to)]) => slice(list, *from, *to),
        ("flatten", [Value::List(list)]) => flatten(list, 1),
        ("flatten", [Value::List(list), Value::Int(depth)]) => flatten(list, *depth),
        ("sort", [Value::List(list)]) => sort(list, list),
        ("@sortByAssociatedKeys", [Value::List(list), Value::List(keys)]) => sort(list, keys),
        ("lists.range", [Value::Int(count)]) => range(*count),
        ("reverse", [Value::List(list)]) => list.items().map(|mut items| {
            items.reverse();
            Value::list(items)
        }),
        ("distinct", [Value::List(list)]) => distinct(list),
        ("sets.contains", [Value::List(a), Value::List(b)]) => covers(a, b).map(Value::Bool),
        ("sets.equivalent", [Value::List(a), Value::List(b)]) => both_ways(a, b).map(Value::Bool),
        ("sets.intersects", [Value::List(a), Value::List(b)]) => {
            let found = a
                .iter()
                .any(|item| item.is_ok_and(|item| b.contains(&item) == Ok(true)));
            Ok(Value::Bool(found))
        }
        _ => return Err(called),
    })
}

fn is_sorted<'v>(list: &List<'v>) -> Outcome<'v> {
    let items = list.items()?;
    for pair in items.windows(2) {
        match compare(&pair[0], &pair[1]) {
            Some(Ordering::Greater) => return Ok(Value::Bool(false)),
            Some(_) => {}
            None => return Err(EvalError::no_overload()),
        }
    }
    Ok(Value::Bool(true))
}

fn sum<'v>(list: &List<'v>, overload: &str) -> Outcome<'v> {
    let zero = match overload {
        "list_uint_sum_uint" => Value::Uint(0),
        "list_double_sum_double" => Value::Double(0.0),
        "list_duration_sum_duration" => Value::Duration(0),
        _ => Value::Int(0),
    };
    let mut items = list.iter();
    let Some(first) = items.next() else {
        return Ok(zero);
    };
    let mut total = first?;
    for item in items {
        total = add(total, item?)?;
    }
    Ok(total)
}

fn extreme<'v>(list: &List<'v>, name: &str, replace: Ordering) -> Outcome<'v> {
    let mut best: Option<Value<'v>> = None;
    for item in list.iter() {
        let item = item?;
        best = Some(match best {
            Some(best) if compare(&best, &item) != Some(replace) => best,
            _ => item,
        });
    }
    best.ok_or_else(|| EvalError::new(format!("{name} called on empty list")))
}

fn index_of<'v>(list: &List<'v>, item: &Value<'v>, last: bool) -> Outcome<'v> {
    let same = |known: Outcome<'v>| known.is_ok_and(|known| equal(&known, item) == Ok(true));
    let mut places = list
        .iter()
        .enumerate()
        .filter(|(_, known)| same(known.clone()));
    let found = if last { places.last() } else { places.next() };
    let index = found.map(|(at, _)| i64::try_from(at).unwrap_or(i64::MAX));
    Ok(Value::Int(index.unwrap_or(-1)))
}

fn end<'v>(list: &List<'v>, index: usize) -> Outcome<'v> {
    match list.get(index) {
        Some(item) => item.map(Value::some),
        None => Ok(Value::none()),
    }
}

fn slice<'v>(list: &List<'v>, from: i64, to: i64) -> Outcome<'v> {
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let why = if from < 0 || to < 0 {
        "negative indexes not supported".to_owned()
    } else if from > to {
        "start index must be less than or equal to end index".to_owned()
    } else if length < to {
        format!("list is length {length}")
    } else {
        let indexes = (from..to).filter_map(|index| usize::try_from(index).ok());
        let items = indexes.filter_map(|index| list.get(index));
        return items.collect::<Result<_, _>>().map(Value::list);
    };
    Err(EvalError::new(format!("cannot slice({from}, {to}), {why}")))
}

fn flatten<'v>(list: &List<'v>, depth: i64) -> Outcome<'v> {
    if depth < 0 {
        return Err(EvalError::new("level must be non-negative"));
    }
    let mut flat = Vec::new();
    flatten_into(list, depth, &mut flat)?;
    Ok(Value::list(flat))
}

fn flatten_into<'v>(
    list: &List<'v>,
    depth: i64,
    flat: &mut Vec<Value<'v>>,
) -> Result<(), EvalError> {
    for item in list.iter() {
        match item? {
            Value::List(inner) if depth > 0 => flatten_into(&inner, depth - 1, flat)?,
            other => flat.push(other),
        }
    }
    Ok(())
}

/// The list in the order of its keys.
fn sort<'v>(list: &List<'v>, keys: &List<'v>) -> Outcome<'v> {
    if list.len() != keys.len() {
        return Err(EvalError::new(format!(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys \
             list, but got {} and {} elements respectively",
            list.len(),
            keys.len()
        )));
    }
    let keys = keys.items()?;
    let mut pairs: Vec<(Value<'v>, Value<'v>)> = keys.into_iter().zip(list.items()?).collect();
    if let Some((first, _)) = pairs.first() {
        if compare(first, first).is_none() {
            return Err(EvalError::new("list elements must be comparable"));
        }
        let name = first.type_name();
        if pairs.iter().any(|(key, _)| key.type_name() != name) {
            return Err(EvalError::new("list elements must have the same type"));
        }
    }
    pairs.sort_by(|(a, _), (b, _)| compare(a, b).unwrap_or(Ordering::Equal));
    Ok(Value::list(
        pairs.into_iter().map(|(_, item)| item).collect(),
    ))
}

fn range<'v>(count: i64) -> Outcome<'v> {
    if count > LONGEST_RANGE {
        return Err(EvalError::Limit);
    }
    Ok(Value::list((0..count).map(Value::Int).collect()))
}

fn distinct<'v>(list: &List<'v>) -> Outcome<'v> {
    let mut kept: Vec<Value<'v>> = Vec::new();
    for item in list.iter() {
        let item = item?;
        if !kept.iter().any(|known| equal(&item, known) == Ok(true)) {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

/// Whether every item of the second is in the first.
fn covers<'v>(list: &List<'v>, part: &List<'v>) -> Result<bool, EvalError> {
    for item in part.iter() {
        if !list.contains(&item?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn both_ways<'v>(a: &List<'v>, b: &List<'v>) -> Result<bool, EvalError> {
    Ok(covers(a, b)? && covers(b, a)?)
}
