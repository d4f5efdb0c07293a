//! Resource quantities, for `resourceFieldRef`.

use crate::spec::Quantity;

/// Thousandths of the quantity, rounded up; `None` for a text that is none.
pub(crate) fn milli(quantity: &Quantity) -> Option<i128> {
    let text = quantity.0.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 18 || whole.len() > 20 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (times, over) = scale(suffix)?;
    let numerator = digits.checked_mul(times)?.checked_mul(1000)?;
    let denominator = 10i128.pow(u32::try_from(fraction.len()).ok()?) * over;
    Some(ceil(numerator, denominator))
}

/// `value / divisor` rounded up, as `resourceFieldRef` has it; both in thousandths.
pub(crate) fn divide(value: i128, divisor: i128) -> String {
    ceil(value, if divisor == 0 { 1000 } else { divisor }).to_string()
}

fn ceil(numerator: i128, denominator: i128) -> i128 {
    numerator.div_euclid(denominator) + i128::from(numerator.rem_euclid(denominator) != 0)
}

/// Factor of a suffix as a fraction.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let binary = |power: u32| Some((1024i128.pow(power), 1));
    let decimal = |power: u32| Some((10i128.pow(power), 1));
    match suffix {
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "" => Some((1, 1)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let factor = 10i128.checked_pow(power.unsigned_abs().min(18))?;
            Some(if power < 0 { (1, factor) } else { (factor, 1) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<i128> {
        milli(&Quantity(text.to_owned()))
    }

    #[test]
    fn reads_what_kubernetes_writes() {
        for (text, want) in [
            ("1", 1000),
            ("100m", 100),
            ("1.5", 1500),
            ("0.1", 100),
            ("64Mi", 64 * 1024 * 1024 * 1000),
            ("1G", 1_000_000_000_000),
            ("1e3", 1_000_000),
            ("1u", 1),
        ] {
            assert_eq!(of(text), Some(want), "{text}");
        }
        for bad in ["", "x", "1X", "1.2.3", "--1"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn divides_upwards() {
        assert_eq!(divide(100, 1000), "1");
        assert_eq!(divide(1500, 1), "1500");
        assert_eq!(divide(64 << 20, 1 << 20), "64");
    }
}
