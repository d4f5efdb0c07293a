//! The declared functions: which arguments they take and what they give.
//!
//! Facts about the API server's environment for Kubernetes 1.36, as data beside this file.

use crate::types::Type;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// A function and its overloads, in the order in which they are tried.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) overloads: Vec<Overload>,
}

/// One signature.
#[derive(Debug)]
pub(crate) struct Overload {
    pub(crate) id: &'static str,
    /// Called on a target, which is the first of `args`.
    pub(crate) member: bool,
    pub(crate) args: Vec<Type>,
    pub(crate) result: Type,
    /// The names of the type parameters.
    pub(crate) params: Vec<Arc<str>>,
}

const DATA: [&str; 3] = [
    include_str!("standard.txt"),
    include_str!("libraries.txt"),
    include_str!("kubernetes.txt"),
];

static FUNCTIONS: LazyLock<BTreeMap<&'static str, Function>> = LazyLock::new(|| {
    let mut functions: BTreeMap<&'static str, Function> = BTreeMap::new();
    let lines = DATA.iter().flat_map(|data| data.lines());
    for line in lines.filter(|line| !line.starts_with("# ")) {
        let Some((name, signature)) = line.split_once(' ') else {
            continue;
        };
        let function = functions.entry(name).or_insert_with(|| Function {
            name,
            overloads: Vec::new(),
        });
        function.overloads.extend(Overload::read(signature));
    }
    functions
});

/// The function called `name`.
pub(crate) fn lookup(name: &str) -> Option<&'static Function> {
    FUNCTIONS.get(name)
}

impl Overload {
    fn read(signature: &'static str) -> Option<Overload> {
        let member = signature.starts_with('.');
        let signature = signature.trim_start_matches('.');
        let (id, rest) = signature.split_once('(')?;
        let (args, result) = rest.rsplit_once(") -> ")?;
        let args: Vec<Type> = split(args).into_iter().map(read_type).collect();
        let mut params = Vec::new();
        args.iter().for_each(|arg| collect(arg, &mut params));
        let result = read_type(result);
        collect(&result, &mut params);
        Some(Overload {
            id,
            member,
            args,
            result,
            params,
        })
    }
}

/// Splits at the commas outside of parentheses.
fn split(list: &'static str) -> Vec<&'static str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if !list.is_empty() {
        parts.push(list[start..].trim());
    }
    parts
}

fn read_type(text: &'static str) -> Type {
    if let Some((name, inner)) = text.split_once('(') {
        let inner = inner.strip_suffix(')').unwrap_or(inner);
        let mut parts = split(inner).into_iter().map(read_type);
        let first = parts.next().unwrap_or(Type::Dyn);
        return match name {
            "list" => Type::list(first),
            "optional" => Type::optional(first),
            "type" => Type::Type(Some(Arc::new(first))),
            _ => Type::map(first, parts.next().unwrap_or(Type::Dyn)),
        };
    }
    match text {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "timestamp" => Type::Timestamp,
        "duration" => Type::Duration,
        "dyn" => Type::Dyn,
        "net.IP" | "net.CIDR" => Type::Opaque(text),
        name if name.len() == 1 => Type::param(name),
        name => Type::Struct(name),
    }
}

fn collect(of: &Type, params: &mut Vec<Arc<str>>) {
    match of {
        Type::Param(name) if !params.contains(name) => params.push(name.clone()),
        Type::List(inner) | Type::Optional(inner) | Type::Type(Some(inner)) => {
            collect(inner, params);
        }
        Type::Map(key, value) => {
            collect(key, params);
            collect(value, params);
        }
        _ => {}
    }
}

/// The identifiers that name types.
pub(crate) fn named_type(name: &str) -> Option<Type> {
    Some(match name {
        "bool" | "google.protobuf.BoolValue" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "null_type" => Type::Null,
        "type" => Type::Type(None),
        "google.protobuf.Timestamp" => Type::Timestamp,
        "google.protobuf.Duration" => Type::Duration,
        "optional_type" => Type::optional(Type::param("V")),
        "net.IP" => Type::Opaque("net.IP"),
        "net.CIDR" => Type::Opaque("net.CIDR"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_data_is_read() {
        let lines: usize = DATA.iter().map(|data| data.lines().count() - 1).sum();
        let read: usize = FUNCTIONS.values().map(|f| f.overloads.len()).sum();
        assert_eq!(lines, read);
        let map = lookup("_[_]").expect("declared");
        assert_eq!(map.overloads[1].result, Type::param("B"));
        assert_eq!(map.overloads[1].args[0].to_string(), "map(A, B)");
    }
}
