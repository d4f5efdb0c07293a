//! What evaluating costs, in the API server's units.
//!
//! The estimates in `crate::cost` bound these figures: change both or none.

use super::LIST_COST;
use crate::plan::Function;
use crate::value::{Library, List, Map, Outcome, Value};

/// Reading a character, a tenth of a unit.
pub(crate) const STRING_FACTOR: f64 = 0.1;

/// A character of a regular expression.
pub(crate) const REGEX_FACTOR: f64 = 0.25;

/// What one check of a right costs: two fit into an expression.
pub(crate) const CHECK_COST: u64 = 350_000;

/// What costs need to know of an argument.
#[derive(Clone, Copy)]
pub(super) struct Argument {
    size: u64,
    /// Of a named format, what its check costs as the length of a regular expression.
    regex_size: Option<u64>,
    depth: Option<i64>,
    /// Items of a list that are strings or octets take longer to compare.
    long_items: bool,
}

impl Argument {
    pub(super) fn of(value: &Value<'_>) -> Argument {
        let regex_size = match value {
            Value::Library(Library::Format(format)) => Some(format.regex_size),
            _ => None,
        };
        let depth = match value {
            Value::Int(depth) => Some(*depth),
            _ => None,
        };
        let long_items = match value {
            Value::List(list) => {
                matches!(list.get(0), Some(Ok(Value::String(_) | Value::Bytes(_))))
            }
            _ => false,
        };
        Argument {
            size: value.size(),
            regex_size,
            depth,
            long_items,
        }
    }

    pub(super) fn failed() -> Argument {
        Argument {
            size: 1,
            regex_size: None,
            depth: None,
            long_items: false,
        }
    }
}

fn scaled(size: u64, factor: f64) -> u64 {
    (size as f64 * factor).ceil() as u64
}

/// Whether the function goes through its first argument as a whole.
fn traverses(name: &str) -> bool {
    matches!(
        name,
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf"
    )
}

/// What going through the first argument costs, if the function does.
pub(super) fn traversal(function: &Function, args: &[Value<'_>]) -> u64 {
    match args.first() {
        Some(first) if traverses(&function.name) => walk(first),
        _ => 1,
    }
}

fn walk(value: &Value<'_>) -> u64 {
    match value {
        Value::String(text) => (text.as_str().len() as f64 * STRING_FACTOR) as u64,
        Value::Bytes(octets) => (octets.len() as f64 * STRING_FACTOR) as u64,
        Value::List(list) => walk_list(list),
        Value::Map(map) => walk_map(map),
        _ => 1,
    }
}

fn walk_list(list: &List<'_>) -> u64 {
    let items = list.iter().map(|item| item.map_or(1, |item| walk(&item)));
    items.fold(0, u64::saturating_add)
}

fn walk_map(map: &Map<'_>) -> u64 {
    let entries = map.entries().into_iter();
    let costs = entries.map(|(key, value)| walk(&key) + value.map_or(1, |value| walk(&value)));
    costs.fold(0, u64::saturating_add)
}

/// `==` and `!=`.
pub(super) fn equality(left: &Outcome<'_>, right: &Outcome<'_>, equal: bool) -> u64 {
    if equal && matches!(left, Ok(Value::Library(_))) {
        return 1;
    }
    let size = |side: &Outcome<'_>| side.as_ref().map_or(1, Value::size);
    scaled(size(left).min(size(right)), STRING_FACTOR)
}

fn matching(text: u64, pattern: u64) -> u64 {
    let text = scaled(text.saturating_add(1), STRING_FACTOR);
    text.saturating_mul(scaled(pattern, REGEX_FACTOR))
}

/// A call whose arguments were all evaluated.
pub(super) fn call(
    function: &Function,
    args: &[Argument],
    traversal: u64,
    result: &Outcome<'_>,
) -> u64 {
    let overload = function.overload.map_or("", |overload| overload.id);
    if let Some(cost) = of_overload(overload, args, result) {
        return cost;
    }
    let name = function.name.as_str();
    let size = |at: usize| args.get(at).map_or(1, |arg| arg.size);
    if let Some(cost) = of_function(name, overload, args, result) {
        return cost;
    }
    match overload {
        _ if traverses(name) => traversal,
        "starts_with_string" | "ends_with_string" | "string_to_bytes" | "bytes_to_string"
        | "strings_quote" | "string_format" => scaled(size(0), STRING_FACTOR),
        "in_list" => size(1),
        "add_string" | "add_bytes" => scaled(size(0).saturating_add(size(1)), STRING_FACTOR),
        "matches_string" => matching(size(0), size(1)),
        "contains_string" => {
            scaled(size(0), STRING_FACTOR).saturating_mul(scaled(size(1), STRING_FACTOR))
        }
        _ if compares_text(overload) => scaled(size(0).min(size(1)), STRING_FACTOR),
        _ => 1,
    }
}

/// `<`, `<=`, `>` and `>=` on strings and octets.
pub(crate) fn compares_text(overload: &str) -> bool {
    let order = overload
        .strip_suffix("_string")
        .or(overload.strip_suffix("_bytes"));
    matches!(
        order,
        Some("less" | "less_equals" | "greater" | "greater_equals")
    )
}

/// The list and set libraries bring costs of their own.
fn of_overload(overload: &str, args: &[Argument], result: &Outcome<'_>) -> Option<u64> {
    let made = |size: u64, factor: f64| Some((size as f64 * factor) as u64 + 1 + LIST_COST);
    let size = |at: usize| args.get(at).map_or(1, |arg| arg.size);
    let itself = |at: usize| {
        let long = args.get(at).is_some_and(|arg| arg.long_items);
        let factor = if long { 2.0 + STRING_FACTOR } else { 2.0 };
        made(size(at).saturating_mul(size(at)), factor)
    };
    let sets = |factor: f64| {
        let product = size(0).saturating_mul(size(1)) as f64;
        Some(1 + (product * factor) as u64)
    };
    match overload {
        "list_slice" | "lists_range" | "list_reverse" => {
            made(result.as_ref().map_or(1, Value::size), 1.0)
        }
        "list_flatten" => made(size(0), 1.0),
        "list_flatten_int" => {
            let depth = args.get(1).and_then(|arg| arg.depth).unwrap_or(1);
            made(size(0), depth.max(0) as f64)
        }
        "list_distinct" => itself(0),
        "list_sets_contains_list" | "list_sets_intersects_list" => sets(1.0),
        "list_sets_equivalent_list" => sets(2.0),
        _ if overload.ends_with("_sortByAssociatedKeys") => itself(1),
        _ if overload.starts_with("list_") && overload.ends_with("_sort") => itself(0),
        _ => None,
    }
}

/// The functions of the Kubernetes libraries, and of the string library.
fn of_function(name: &str, overload: &str, args: &[Argument], result: &Outcome<'_>) -> Option<u64> {
    let size = |at: usize| args.get(at).map_or(1, |arg| arg.size);
    Some(match name {
        "check" => CHECK_COST,
        "fieldSelector" | "labelSelector" if args.len() >= 2 => selector(size(1)),
        "ip" if overload == "cidr_ip" => 1,
        "url" | "lowerAscii" | "upperAscii" | "substring" | "trim" | "cidr" | "isIP" | "isCIDR"
        | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver" => {
            scaled(size(0), STRING_FACTOR)
        }
        "replace" | "split" | "ip.isCanonical" => scaled(size(0), 2.0 * STRING_FACTOR),
        "join" => scaled(result.as_ref().map_or(1, Value::size), 2.0 * STRING_FACTOR),
        "find" | "findAll" if args.len() >= 2 => matching(size(0), size(1)),
        "containsIP" | "containsCIDR" if args.len() >= 2 => {
            let twice = scaled(size(0).saturating_mul(2), STRING_FACTOR);
            let network = name == "containsCIDR";
            let more = if network {
                scaled(size(0), STRING_FACTOR) + 1
            } else {
                0
            };
            let text = overload.ends_with("_string");
            let parsed = if text {
                scaled(size(1), STRING_FACTOR)
            } else {
                0
            };
            twice + more + parsed
        }
        "validate" if args.len() >= 2 => matching(size(1), args[0].regex_size?),
        _ => return None,
    })
}

/// A selector is parsed into requirements.
fn selector(length: u64) -> u64 {
    let requirements = scaled(length, 0.5);
    LIST_COST + scaled(length, STRING_FACTOR) + scaled(requirements, 50.0)
}
