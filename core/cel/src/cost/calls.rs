//! Calls of the standard library.

use super::estimate::Coster;
use super::{CostEstimate, Size};
use crate::ast::{Call, Expr};
use crate::eval::{REGEX_FACTOR, STRING_FACTOR, compares_text};

/// What a call costs, its arguments included, and the size of its result.
pub(super) struct CallCost {
    pub(super) cost: CostEstimate,
    pub(super) size: Option<Size>,
}

impl CallCost {
    pub(super) fn of(cost: CostEstimate) -> CallCost {
        CallCost { cost, size: None }
    }

    pub(super) fn sized(cost: CostEstimate, size: Size) -> CallCost {
        CallCost {
            cost,
            size: Some(size),
        }
    }
}

impl Coster<'_> {
    pub(super) fn overload(
        &mut self,
        expr: &Expr,
        call: &Call,
        overload: &str,
        costs: &[CostEstimate],
    ) -> CallCost {
        let args = costs
            .iter()
            .copied()
            .fold(CostEstimate::ZERO, CostEstimate::plus);
        let library = match self.list_overload(call, overload) {
            Some(found) => Some(found),
            None => self.library_call(call, overload),
        };
        if let Some(found) = library {
            return CallCost {
                cost: found.cost.plus(args),
                size: found.size,
            };
        }
        match (overload, costs) {
            ("logical_or" | "logical_and", [left, right]) => CallCost::of(CostEstimate {
                min: left.min,
                max: left.plus(*right).max,
            }),
            ("conditional", [condition, yes, no]) => {
                let size = self.conditional(expr, call);
                CallCost::sized(condition.plus(yes.or(*no)), size)
            }
            _ => {
                let found = self.standard(expr, call, overload);
                CallCost {
                    cost: found.cost.plus(args),
                    size: found.size,
                }
            }
        }
    }

    fn conditional(&mut self, expr: &Expr, call: &Call) -> Size {
        let [_, yes, no] = call.args.as_slice() else {
            return Size::UNKNOWN;
        };
        if let (Some(a), Some(b)) = (self.sizes.entries(yes), self.sizes.entries(no)) {
            self.sizes.set_entries(expr, Some(a.or(b)));
        }
        self.sizes
            .size_or_unknown(yes)
            .or(self.sizes.size_or_unknown(no))
    }

    /// The call alone.
    fn standard(&mut self, expr: &Expr, call: &Call, overload: &str) -> CallCost {
        let args = call.args.as_slice();
        let text = |size: Size| size.scaled(STRING_FACTOR);
        match (overload, call.target.as_ref(), args) {
            ("string_format", Some(target), _) => {
                CallCost::of(text(self.sizes.size_or_unknown(target)))
            }
            ("string_to_bytes", _, [arg]) => {
                let size = self.sizes.size_or_unknown(arg);
                let result = Size::new(size.min, size.max.wrapping_mul(4));
                CallCost::sized(text(size), result)
            }
            ("bytes_to_string", _, [arg]) => {
                let size = self.sizes.size_or_unknown(arg);
                CallCost::sized(text(size), Size::new(size.min / 4, size.max))
            }
            ("strings_quote", _, [arg]) => {
                let size = self.sizes.size_or_unknown(arg);
                let most = size.max.wrapping_mul(2).wrapping_add(2);
                let result = Size::new(size.min.wrapping_add(2), most);
                CallCost::sized(text(size), result)
            }
            ("starts_with_string" | "ends_with_string", _, [arg]) => {
                CallCost::of(text(self.sizes.size_or_unknown(arg)))
            }
            ("in_list", _, [_, list]) => CallCost::of(self.sizes.size_or_unknown(list)),
            ("matches_string", Some(target), [pattern]) => {
                let subject = text(self.sizes.size_or_unknown(target).plus(Size::ONE));
                let pattern = self.sizes.size_or_unknown(pattern).scaled(REGEX_FACTOR);
                CallCost::of(subject.times(pattern))
            }
            ("contains_string", Some(target), [part]) => {
                let subject = text(self.sizes.size_or_unknown(target));
                let part = text(self.sizes.size_or_unknown(part));
                CallCost::of(subject.times(part))
            }
            ("add_string" | "add_bytes" | "add_list", _, [left, right]) => {
                self.joined(expr, overload, left, right)
            }
            (_, _, [left, right]) if compares(overload) => {
                let left = self.sizes.size_or_unknown(left);
                let right = self.sizes.size_or_unknown(right);
                let max = left.max.min(right.max);
                CallCost::of(text(Size::new(u64::from(max > 0), max)))
            }
            _ => CallCost::of(CostEstimate::ONE),
        }
    }

    fn joined(&mut self, expr: &Expr, overload: &str, left: &Expr, right: &Expr) -> CallCost {
        let size = self
            .sizes
            .size_or_unknown(left)
            .plus(self.sizes.size_or_unknown(right));
        if let (Some(a), Some(b)) = (self.sizes.entries(left), self.sizes.entries(right)) {
            self.sizes.set_entries(expr, Some(a.or(b)));
        }
        if overload == "add_list" {
            return CallCost::sized(CostEstimate::ONE, size);
        }
        CallCost::sized(size.scaled(STRING_FACTOR), size)
    }
}

fn compares(overload: &str) -> bool {
    matches!(overload, "equals" | "not_equals") || compares_text(overload)
}
