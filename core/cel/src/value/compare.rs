//! Order.

use super::Value;
use std::cmp::Ordering;

/// The order of two values of types that have one; numbers are compared across their types.
/// None for values that have no order.
pub(crate) fn compare(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    Some(match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.as_str().cmp(b.as_str()),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp_instant(b),
        (Value::Duration(a), Value::Duration(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Uint(a), Value::Uint(b)) => a.cmp(b),
        (Value::Int(a), Value::Uint(b)) => i128::from(*a).cmp(&i128::from(*b)),
        (Value::Uint(a), Value::Int(b)) => i128::from(*a).cmp(&i128::from(*b)),
        (Value::Double(a), Value::Double(b)) => return a.partial_cmp(b),
        (Value::Double(a), Value::Int(b)) => return with_whole(*a, i128::from(*b)),
        (Value::Double(a), Value::Uint(b)) => return with_whole(*a, i128::from(*b)),
        (Value::Int(a), Value::Double(b)) => {
            return Some(with_whole(*b, i128::from(*a))?.reverse());
        }
        (Value::Uint(a), Value::Double(b)) => {
            return Some(with_whole(*b, i128::from(*a))?.reverse());
        }
        _ => return None,
    })
}

/// The order of a double and a whole number, beyond what doubles hold exactly.
fn with_whole(double: f64, whole: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double.abs() >= 1e20 {
        return Some(if double > 0.0 {
            Ordering::Greater
        } else {
            Ordering::Less
        });
    }
    let floor = double.floor();
    let order = (floor as i128).cmp(&whole);
    if order == Ordering::Equal && double > floor {
        return Some(Ordering::Greater);
    }
    Some(order)
}
