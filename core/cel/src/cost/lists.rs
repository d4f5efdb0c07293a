//! Calls of the list and set libraries.

use super::calls::CallCost;
use super::estimate::Coster;
use super::{CostEstimate, Size};
use crate::ast::{Call, Expr, Kind, Literal};
use crate::eval::{LIST_COST, STRING_FACTOR};

/// A new list, by the size of what was gone through.
fn made(factor: f64, size: Size) -> CallCost {
    let cost = size.scaled(factor).plus(CostEstimate::fixed(1 + LIST_COST));
    CallCost::sized(cost, size)
}

/// An integer that is written out.
fn written(arg: &Expr) -> Option<u64> {
    match &arg.kind {
        Kind::Literal(Literal::Int(value)) => Some(u64::try_from(*value).unwrap_or(0)),
        _ => None,
    }
}

impl Coster<'_> {
    pub(super) fn list_overload(&mut self, call: &Call, overload: &str) -> Option<CallCost> {
        let args = call.args.as_slice();
        Some(match (overload, call.target.as_ref(), args) {
            ("list_slice", Some(target), [from, to]) => {
                let size = self.sizes.size_or_unknown(target);
                let to = written(to).unwrap_or(size.max);
                let length = to.wrapping_sub(written(from).unwrap_or(0));
                made(1.0, Size::fixed(length))
            }
            ("lists_range", None, [count]) => {
                made(1.0, Size::fixed(written(count).unwrap_or(u64::MAX)))
            }
            ("list_reverse", Some(target), []) => made(1.0, self.sizes.size_or_unknown(target)),
            ("list_flatten", Some(target), []) => made(1.0, self.sizes.size_or_unknown(target)),
            ("list_flatten_int", Some(target), [depth]) => {
                let depth = written(depth).unwrap_or(u64::MAX);
                made(depth as f64, self.sizes.size_or_unknown(target))
            }
            ("list_distinct", Some(target), []) => {
                let size = self.sizes.size_or_unknown(target);
                made(2.0, size.times(size))
            }
            ("list_sets_contains_list" | "list_sets_intersects_list", _, [a, b]) => {
                self.sets(1.0, a, b)
            }
            ("list_sets_equivalent_list", _, [a, b]) => self.sets(2.0, a, b),
            (name, Some(_), [keys]) if name.ends_with("_sortByAssociatedKeys") => {
                self.sorted(name, keys)
            }
            (name, Some(target), []) if name.starts_with("list_") && name.ends_with("_sort") => {
                self.sorted(name, target)
            }
            _ => return None,
        })
    }

    fn sorted(&mut self, overload: &str, keys: &Expr) -> CallCost {
        let long = overload.starts_with("list_string") || overload.starts_with("list_bytes");
        let factor = if long { 2.0 + STRING_FACTOR } else { 2.0 };
        let size = self.sizes.size_or_unknown(keys);
        made(factor, size.times(size))
    }

    fn sets(&mut self, factor: f64, a: &Expr, b: &Expr) -> CallCost {
        let product = self
            .sizes
            .size_or_unknown(a)
            .times(self.sizes.size_or_unknown(b));
        CallCost::of(product.scaled(factor).plus(CostEstimate::ONE))
    }
}
