//! Calls of the string library and of the Kubernetes libraries.

use super::calls::CallCost;
use super::estimate::Coster;
use super::{CostEstimate, Size};
use crate::ast::{ACCUMULATOR, Call, Expr, Kind, Literal};
use crate::eval::{CHECK_COST, LIST_COST, REGEX_FACTOR, STRING_FACTOR};
use crate::types::Type;

/// The largest regular expression that checks a format.
const FORMAT_REGEX: f64 = 128.0;

/// The longest name of a format.
const FORMAT_NAME: u64 = 64;

/// The octets of an address.
const ADDRESS: Size = Size::new(4, 16);

fn text(size: Size) -> CostEstimate {
    size.scaled(STRING_FACTOR)
}

impl Coster<'_> {
    pub(super) fn library_call(&mut self, call: &Call, overload: &str) -> Option<CallCost> {
        let target = call.target.as_ref();
        let name = call.function.as_str();
        if is_cheap(name) {
            return Some(CallCost::of(CostEstimate::ONE));
        }
        Some(match (name, target, call.args.as_slice()) {
            ("check", ..) => CallCost::of(CostEstimate::fixed(CHECK_COST)),
            ("fieldSelector" | "labelSelector", _, [arg]) => {
                let size = self.sizes.size_or_unknown(arg);
                let requirements = size.scaled(0.5).scaled(50.0);
                let base = CostEstimate::fixed(LIST_COST);
                CallCost::of(base.plus(text(size)).plus(requirements))
            }
            ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf", Some(target), _) => {
                self.traversal(target)
            }
            ("url", _, [arg]) => {
                let size = self.sizes.size_or_unknown(arg);
                CallCost::sized(text(size), size)
            }
            ("lowerAscii" | "upperAscii" | "substring" | "trim", Some(target), _) => {
                let size = self.sizes.size_or_unknown(target);
                CallCost::sized(text(size), size)
            }
            ("replace", Some(target), [old, new, ..]) => self.replaced(target, old, new),
            ("split", Some(target), args) => {
                let size = self.sizes.size_or_unknown(target);
                let most = match args.get(1).map(|arg| &arg.kind) {
                    Some(Kind::Literal(Literal::Int(most))) => *most as u64,
                    _ => size.max,
                };
                CallCost::sized(size.scaled(2.0 * STRING_FACTOR), Size::new(0, most))
            }
            ("join", Some(target), args) => self.joined_text(target, args.first()),
            ("find" | "findAll", Some(target), [pattern, ..]) => {
                let size = self.sizes.size_or_unknown(target);
                let pattern = self.sizes.size_or_unknown(pattern).scaled(REGEX_FACTOR);
                let cost = text(size.plus(Size::ONE)).times(pattern);
                CallCost::sized(cost, Size::new(0, size.max))
            }
            ("ip", ..) if overload == "cidr_ip" => CallCost::of(CostEstimate::ONE),
            ("ip.isCanonical", _, [arg]) => {
                CallCost::of(self.sizes.size_or_unknown(arg).scaled(2.0 * STRING_FACTOR))
            }
            (
                "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver"
                | "isSemver",
                _,
                [arg, ..],
            ) => CallCost::of(text(self.sizes.size_or_unknown(arg))),
            ("containsIP" | "containsCIDR", _, [arg]) => {
                let mut cost = text(ADDRESS.plus(ADDRESS));
                if name == "containsCIDR" {
                    cost = cost.plus(text(ADDRESS)).plus(CostEstimate::ONE);
                }
                if overload.ends_with("_string") {
                    cost = cost.plus(text(self.sizes.size_or_unknown(arg)));
                }
                CallCost::of(cost)
            }
            ("validate", _, [arg]) => {
                let cost = text(self.sizes.size_or_unknown(arg));
                CallCost::of(cost.scaled(FORMAT_REGEX * REGEX_FACTOR))
            }
            ("_==_", _, [left, right]) => CallCost::of(self.equality(left, right)?),
            _ => return None,
        })
    }

    /// The path of a node, as far as it begins at a variable that was declared.
    fn declared_path(&self, expr: &Expr) -> Option<Vec<String>> {
        let path = self.sizes.path(expr);
        let accumulated = path.first().is_some_and(|first| first == ACCUMULATOR);
        (!path.is_empty() && !accumulated).then_some(path)
    }

    /// The type and size of the items of a list; None when it is none.
    fn items(&self, list: &Expr) -> Option<(Type, Size)> {
        let item = match self.sizes.type_of(list) {
            Type::List(item) | Type::Map(item, _) | Type::Optional(item) => item.as_ref().clone(),
            _ => return None,
        };
        let size = self.declared_path(list).and_then(|mut path| {
            path.push("@items".to_owned());
            self.sizes.declared(&path)
        });
        Some((item, size.unwrap_or(Size::UNKNOWN)))
    }

    fn traversal(&mut self, target: &Expr) -> CallCost {
        let size = self.sizes.size_or_unknown(target);
        match self.items(target) {
            Some((item, length)) => {
                let mut each = CostEstimate::ONE;
                if matches!(item, Type::String | Type::Bytes) {
                    each = each.plus(text(length));
                }
                CallCost::of(size.times(each))
            }
            None => CallCost::of(text(size)),
        }
    }

    fn joined_text(&mut self, target: &Expr, separator: Option<&Expr>) -> CallCost {
        let count = self.sizes.size_or_unknown(target);
        let mut size = match self.items(target) {
            Some((_, length)) => count.times(length),
            None => Size::ZERO,
        };
        if let Some(separator) = separator {
            let separators = Size::new(count.min.saturating_sub(1), count.max.saturating_sub(1));
            let length = self.sizes.size_or_unknown(separator);
            size = size.plus(length.times(separators));
        }
        CallCost::sized(text(size), size)
    }

    fn replaced(&mut self, target: &Expr, old: &Expr, new: &Expr) -> CallCost {
        let size = self.sizes.size_or_unknown(target);
        let old = self.sizes.size_or_unknown(old);
        let new = self.sizes.size_or_unknown(new);
        let times = |of: u64, by: u64| (of as f64 / by as f64).ceil() as u64;
        let (most, kept_most) = if old.min == 0 {
            (size.max.saturating_add(1), size.max)
        } else if new.max <= old.min {
            (0, size.max)
        } else {
            (times(size.max, old.min), 0)
        };
        let (fewest, kept_fewest) = if old.max == 0 {
            (size.min.saturating_add(1), size.min)
        } else if old.max <= new.min {
            (0, size.min)
        } else {
            (times(size.min, old.max), 0)
        };
        let result = Size::new(fewest, most)
            .times(new)
            .plus(Size::new(kept_fewest, kept_most));
        CallCost::sized(size.scaled(2.0 * STRING_FACTOR), result)
    }

    /// `==` on values of the libraries; None for all others.
    fn equality(&mut self, left: &Expr, right: &Expr) -> Option<CostEstimate> {
        let of = self.sizes.type_of(left);
        if of != self.sizes.type_of(right) {
            return None;
        }
        match of {
            Type::Opaque(_) => Some(CostEstimate::ONE),
            Type::Struct("kubernetes.NamedFormat") => Some(text(Size::new(1, FORMAT_NAME))),
            Type::Struct("kubernetes.URL") => {
                let most = self.sizes.size(right).map_or(1, |size| size.max);
                Some(text(Size::new(1, most)))
            }
            Type::Struct(_) => Some(CostEstimate::ONE),
            _ => None,
        }
    }
}

/// Functions that only look something up.
fn is_cheap(name: &str) -> bool {
    matches!(
        name,
        "serviceAccount"
            | "path"
            | "group"
            | "resource"
            | "subresource"
            | "namespace"
            | "name"
            | "allowed"
            | "reason"
            | "error"
            | "errored"
            | "masked"
            | "prefixLength"
            | "family"
            | "isUnspecified"
            | "isLoopback"
            | "isLinkLocalMulticast"
            | "isLinkLocalUnicast"
            | "isGlobalUnicast"
            | "format.named"
            | "sign"
            | "asInteger"
            | "isInteger"
            | "asApproximateFloat"
            | "isGreaterThan"
            | "isLessThan"
            | "compareTo"
            | "add"
            | "sub"
            | "major"
            | "minor"
            | "patch"
            | "getScheme"
            | "getHostname"
            | "getHost"
            | "getPort"
            | "getEscapedPath"
            | "getQuery"
    )
}
