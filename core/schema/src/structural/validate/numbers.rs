//! Limits of numbers. A limit is a float in the schema; a whole number is compared with it as a
//! whole number, as in the original.

use super::super::format::Format;
use super::super::node::{Node, Shape};
use super::super::path::Path;
use super::super::print;
use super::values::Found;
use model::FieldErrorKind;
use serde_json::Number;

/// A number, as Go holds it.
#[derive(Clone, Copy)]
enum Held {
    Whole(i64),
    Float(f64),
}

impl Held {
    fn of(number: &Number) -> Self {
        match number.as_i64() {
            Some(whole) => Self::Whole(whole),
            None => Self::Float(number.as_f64().unwrap_or_default()),
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }
}

/// Checks a number against a schema's limits.
pub(super) fn check(found: &mut Found<'_>, schema: &Node, number: &Number, path: &Path<'_>) {
    let held = Held::of(number);
    let bounds = &schema.bounds;
    let shape = match schema.int_or_string {
        true => Shape::Any,
        false => schema.shape,
    };
    let kind = NumberKind {
        shape,
        format: schema.format.filter(|format| !format.is_text()),
        name: &schema.format_name,
    };
    kind.holds(found, held, "Checked", path);
    let text = print::plain_number(number);
    if let Some(factor) = bounds.multiple_of {
        let fits = kind.holds(found, Held::Float(factor), "MultipleOf", path);
        multiple_of(
            found,
            if fits {
                held
            } else {
                Held::Float(held.float())
            },
            factor,
            path,
        );
    }
    if let Some(least) = bounds.minimum {
        let fits = kind.holds(found, Held::Float(least), "Minimum boundary", path);
        let side = Side::Least(bounds.exclusive_minimum);
        limit(
            found,
            if fits {
                held
            } else {
                Held::Float(held.float())
            },
            least,
            side,
            (path, &text),
        );
    }
    if let Some(most) = bounds.maximum {
        let fits = kind.holds(found, Held::Float(most), "Maximum boundary", path);
        let side = Side::Most(bounds.exclusive_maximum);
        limit(
            found,
            if fits {
                held
            } else {
                Held::Float(held.float())
            },
            most,
            side,
            (path, &text),
        );
    }
}

struct NumberKind<'a> {
    shape: Shape,
    format: Option<Format>,
    name: &'a str,
}

impl NumberKind<'_> {
    /// Whether the type and format can hold a number; tells it when they cannot.
    fn holds(&self, found: &mut Found<'_>, held: Held, what: &str, path: &Path<'_>) -> bool {
        let holds = match (self.shape, self.format) {
            (Shape::Integer, Some(Format::Int32)) => {
                whole(held).is_some_and(|v| i32::try_from(v).is_ok())
            }
            (Shape::Integer, _) => whole(held).is_some(),
            (Shape::Number, Some(Format::Float)) => held.float().abs() <= f64::from(f32::MAX),
            _ => true,
        };
        if !holds {
            let word = if self.shape == Shape::Integer {
                "integer"
            } else {
                "number"
            };
            found.composite(match self.format {
                Some(_) => format!(
                    "{what} value must be of type {word} with format {} in {path}",
                    self.name
                ),
                None => format!("{what} value must be of type {word} (default format) in {path}"),
            });
        }
        holds
    }
}

/// The number as a whole one, when its digits say one that fits.
fn whole(held: Held) -> Option<i64> {
    match held {
        Held::Whole(whole) => Some(whole),
        Held::Float(float) => {
            let fits = float.trunc() == float && (-(2f64.powi(63))..2f64.powi(63)).contains(&float);
            fits.then_some(float as i64)
        }
    }
}

/// Go's conversion, which gives the smallest number for what does not fit.
fn converted(float: f64) -> i64 {
    match (-(2f64.powi(63))..2f64.powi(63)).contains(&float) {
        true => float as i64,
        false => i64::MIN,
    }
}

/// Whether a float counts as a whole number: within a tiny relative error.
pub(super) fn is_whole(float: f64) -> bool {
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    const EPSILON: f64 = 1e-9;
    let near = float.round();
    let whole = float == near || (near != 0.0 && (float - near).abs() < EPSILON * near.abs());
    whole && (-LARGEST..=LARGEST).contains(&float)
}

fn multiple_of(found: &mut Found<'_>, held: Held, factor: f64, path: &Path<'_>) {
    let (printed, positive, is_multiple, value) = match held {
        Held::Whole(value) => {
            let factor = converted(factor);
            let multiple = factor > 0 && value % factor == 0;
            (factor.to_string(), factor > 0, multiple, value.to_string())
        }
        Held::Float(value) => {
            let quotient = if factor < 1.0 {
                1.0 / factor * value
            } else {
                value / factor
            };
            let text = print::float(value);
            (print::float(factor), factor > 0.0, is_whole(quotient), text)
        }
    };
    if !positive {
        let detail = format!("factor MultipleOf declared for {path} must be positive: {printed}");
        return found.add(FieldErrorKind::Invalid, path, Some(printed), detail);
    }
    if !is_multiple {
        found.invalid(path, value, format!("should be a multiple of {printed}"));
    }
}

#[derive(Clone, Copy)]
enum Side {
    Least(bool),
    Most(bool),
}

fn limit(
    found: &mut Found<'_>,
    held: Held,
    limit: f64,
    side: Side,
    (path, text): (&Path<'_>, &str),
) {
    let (order, printed) = match held {
        Held::Whole(value) => {
            let limit = converted(limit);
            (Some(value.cmp(&limit)), limit.to_string())
        }
        Held::Float(value) => (value.partial_cmp(&limit), print::float(limit)),
    };
    let Some(order) = order else { return };
    let (words, bad) = match side {
        Side::Most(false) => ("less than or equal to", order.is_gt()),
        Side::Most(true) => ("less than", order.is_ge()),
        Side::Least(false) => ("greater than or equal to", order.is_lt()),
        Side::Least(true) => ("greater than", order.is_le()),
    };
    if bad {
        found.invalid(
            path,
            text.to_owned(),
            format!("should be {words} {printed}"),
        );
    }
}
