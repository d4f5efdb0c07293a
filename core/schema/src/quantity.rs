//! Resource quantities: `500m`, `1.5Gi`, `1e3`, exactly, and their one canonical form.
//!
//! Source: `apimachinery/pkg/api/resource`. A quantity is a whole number times a power of ten that
//! is no smaller than a billionth; the way it was written (decimal, binary or exponent) stays with
//! it and decides how it is printed.

use std::cmp::Ordering;
use std::fmt;

/// How a quantity was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `k`, `M`, `m`…, or no suffix
    Decimal,
    /// `Ki`, `Mi`…
    Binary,
    /// `e3`, `E3`
    Exponent,
}

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantityError {
    /// Characters or an order that no quantity has
    Format,
    /// Letters that are no suffix
    Suffix,
    /// Digits that are no number
    Number,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => {
                "quantities must match the regular expression \
                 '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            }
            Self::Suffix => "unable to parse quantity's suffix",
            Self::Number => "unable to parse numeric part of quantity",
        })
    }
}

impl std::error::Error for QuantityError {}

/// A parsed quantity. Two of them compare by value, not by how they were written.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// The value is `digits × 10^scale`
    digits: i128,
    /// At least -9
    scale: i32,
    format: Format,
}

/// Decimal suffixes with their powers of ten.
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

/// Binary suffixes; each is 1024 times the one before, the first is 1024.
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// More digits than this are cut, as nothing real needs them and arithmetic must not overflow.
const MAX_DIGITS: usize = 28;

/// Exponents beyond this are cut for the same reason.
const MAX_EXPONENT: i32 = 1_000;

impl Quantity {
    /// Zero, as an unset field has it.
    pub const ZERO: Self = Self {
        digits: 0,
        scale: 0,
        format: Format::Decimal,
    };

    /// Reads a quantity.
    ///
    /// # Errors
    /// Why `text` is none, in the words that the API answers with.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let (negative, rest) = match text.as_bytes().first() {
            None => return Err(QuantityError::Format),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let split = rest.find(|c: char| !c.is_ascii_digit());
        let (whole, rest) = rest.split_at(split.unwrap_or(rest.len()));
        let (fraction, suffix) = match rest.strip_prefix('.') {
            None => ("", rest),
            Some(rest) => {
                let split = rest.find(|c: char| !c.is_ascii_digit());
                rest.split_at(split.unwrap_or(rest.len()))
            }
        };
        check_suffix_shape(suffix)?;
        let (factor, format) = suffix_value(suffix).ok_or(QuantityError::Suffix)?;
        if whole.is_empty() && fraction.is_empty() && !rest.is_empty() && !suffix.is_empty() {
            return Err(QuantityError::Number);
        }
        let (digits, scale) = number(whole, fraction)?;
        let signed = if negative { -digits } else { digits };
        Ok(Self::scaled(signed, scale, factor, format))
    }

    fn scaled(digits: i128, scale: i32, factor: Factor, format: Format) -> Self {
        let (digits, scale) = match factor {
            Factor::Ten(exponent) => (digits, scale + exponent),
            Factor::Two(exponent) => (digits.saturating_mul(1 << exponent), scale),
        };
        let mut made = Self {
            digits,
            scale,
            format,
        };
        made.round_up(-9);
        (made.digits, made.scale) = made.stripped();
        let cap = i128::from(i64::MAX);
        if format == Format::Binary && made.scale >= 0 && made.digits.abs() > cap {
            made.digits = cap * made.digits.signum();
        }
        made
    }

    /// A whole number.
    pub fn from_int(value: i64) -> Self {
        Self {
            digits: value.into(),
            ..Self::ZERO
        }
    }

    /// Rounds away from zero to a multiple of `10^scale`; what is coarser stays as it is.
    fn round_up(&mut self, scale: i32) {
        while self.scale < scale {
            let (tenth, rest) = (self.digits / 10, self.digits % 10);
            let up = if rest == 0 { 0 } else { self.digits.signum() };
            self.digits = tenth + up;
            self.scale += 1;
        }
    }

    /// Rounds up to thousandths, as the API does with every entry of a resource list.
    #[must_use]
    pub fn rounded_to_milli(mut self) -> Self {
        self.round_up(-3);
        self
    }

    /// Negative, zero or positive.
    pub fn signum(&self) -> i32 {
        match self.digits.cmp(&0) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
    }

    /// True when there is nothing behind the decimal point, thousandths counted only.
    pub fn is_whole(&self) -> bool {
        let mut milli = *self;
        milli.round_up(-3);
        match milli.scale {
            -3 => milli.digits % 1000 == 0,
            -2 => milli.digits % 100 == 0,
            -1 => milli.digits % 10 == 0,
            _ => true,
        }
    }

    /// The value rounded up to a whole number; cut at the ends of `i64`.
    pub fn to_i64(&self) -> i64 {
        let mut whole = *self;
        whole.round_up(0);
        let value = shifted(whole.digits, whole.scale);
        i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
    }

    /// The difference of two, in the form of the first.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        let negative = Self {
            digits: other.digits.saturating_neg(),
            ..other
        };
        match self.digits {
            0 => Self {
                format: self.format,
                ..negative
            },
            _ => self.plus(negative),
        }
    }

    /// The value as a number, as exactly as one can hold it.
    pub fn to_f64(&self) -> f64 {
        self.digits as f64 * 10_f64.powi(self.scale)
    }

    /// The sum of two; the form of the first that is not zero stays.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        if self.digits == 0 {
            return other;
        }
        let scale = self.scale.min(other.scale);
        let a = shifted(self.digits, self.scale - scale);
        let b = shifted(other.digits, other.scale - scale);
        Self {
            digits: a.saturating_add(b),
            scale,
            format: self.format,
        }
    }

    /// True when `self` is a whole multiple of `unit`.
    pub fn is_multiple_of(&self, unit: &Self) -> bool {
        let scale = self.scale.min(unit.scale);
        let unit = shifted(unit.digits, unit.scale - scale);
        unit != 0 && shifted(self.digits, self.scale - scale) % unit == 0
    }

    /// The digits without trailing zeros and the power of ten that they count.
    fn stripped(&self) -> (i128, i32) {
        let (mut digits, mut scale) = (self.digits, self.scale);
        while digits != 0 && digits % 10 == 0 {
            digits /= 10;
            scale += 1;
        }
        (digits, scale)
    }

    fn write_decimal(&self, f: &mut fmt::Formatter<'_>, exponent_form: bool) -> fmt::Result {
        let (digits, scale) = self.stripped();
        let over = scale.rem_euclid(3);
        let digits = shifted(digits, over);
        let scale = scale - over;
        let suffix = DECIMAL.iter().find(|(_, power)| *power == scale);
        match suffix {
            Some(("", _)) => write!(f, "{digits}"),
            Some((suffix, _)) if !exponent_form => write!(f, "{digits}{suffix}"),
            _ => write!(f, "{digits}e{scale}"),
        }
    }

    fn write_binary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, scale) = self.stripped();
        let mut value = shifted(digits, scale);
        let mut suffix = "";
        for next in BINARY {
            if value % 1024 != 0 {
                break;
            }
            value /= 1024;
            suffix = next;
        }
        write!(f, "{value}{suffix}")
    }
}

/// `digits × 10^by`, cut where it would overflow.
fn shifted(digits: i128, by: i32) -> i128 {
    let power = u32::try_from(by.clamp(0, 38)).unwrap_or(0);
    if digits == 0 {
        return 0;
    }
    digits.saturating_mul(10i128.saturating_pow(power))
}

enum Factor {
    Ten(i32),
    Two(u32),
}

fn check_suffix_shape(suffix: &str) -> Result<(), QuantityError> {
    let letters = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
    let digits = letters
        .strip_prefix(['-', '+'])
        .unwrap_or(letters)
        .trim_start_matches(|c: char| c.is_ascii_digit());
    if digits.is_empty() {
        Ok(())
    } else {
        Err(QuantityError::Format)
    }
}

fn suffix_value(suffix: &str) -> Option<(Factor, Format)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((Factor::Ten(*power), Format::Decimal));
    }
    if let Some(at) = BINARY.iter().position(|name| *name == suffix) {
        let exponent = 10 * u32::try_from(at + 1).unwrap_or(1);
        return Some((Factor::Two(exponent), Format::Binary));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let exponent = exponent.clamp(-MAX_EXPONENT, MAX_EXPONENT);
    Some((Factor::Ten(exponent), Format::Exponent))
}

fn number(whole: &str, fraction: &str) -> Result<(i128, i32), QuantityError> {
    let whole = whole.trim_start_matches('0');
    let kept = MAX_DIGITS.saturating_sub(whole.len()).min(fraction.len());
    let cut = whole.len().saturating_sub(MAX_DIGITS);
    let text = format!("0{}{}", &whole[..whole.len() - cut], &fraction[..kept]);
    let digits: i128 = text.parse().map_err(|_| QuantityError::Number)?;
    let scale = i32::try_from(cut).unwrap_or(MAX_EXPONENT) - i32::try_from(kept).unwrap_or(0);
    Ok((digits, scale))
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits == 0 {
            return f.write_str("0");
        }
        let (digits, scale) = self.stripped();
        let kilo = scale >= 0 && shifted(digits, scale).abs() >= 1024;
        match self.format {
            Format::Binary if kilo => self.write_binary(f),
            Format::Binary | Format::Decimal => self.write_decimal(f, false),
            Format::Exponent => self.write_decimal(f, true),
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_sign = self.signum().cmp(&other.signum());
        if by_sign != Ordering::Equal || self.digits == 0 {
            return by_sign;
        }
        let scale = self.scale.min(other.scale);
        shifted(self.digits, self.scale - scale).cmp(&shifted(other.digits, other.scale - scale))
    }
}

/// The canonical form of `text`, as the API stores and answers it.
///
/// # Errors
/// As [`Quantity::parse`].
pub fn canonical(text: &str) -> Result<String, QuantityError> {
    Quantity::parse(text).map(|quantity| quantity.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_forms() {
        for (text, want) in [
            ("0", "0"),
            ("0Ki", "0"),
            ("1", "1"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.5", "1500m"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("1024", "1024"),
            ("1024Ki", "1Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1000Ki", "1000Ki"),
            ("1.3Ki", "1331200m"),
            ("100Mi", "100Mi"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("12e6", "12e6"),
            ("1E", "1E"),
            ("-1", "-1"),
            ("-500m", "-500m"),
            ("0.0000000001", "1n"),
            ("1G", "1G"),
            ("128974848", "128974848"),
            ("129e6", "129e6"),
            ("129M", "129M"),
            ("123Mi", "123Mi"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn refusals() {
        for (text, want) in [
            ("", QuantityError::Format),
            ("abc", QuantityError::Format),
            ("1x", QuantityError::Format),
            ("1.2.3", QuantityError::Format),
            ("1Kii", QuantityError::Suffix),
            ("1K", QuantityError::Suffix),
            ("1 Gi", QuantityError::Format),
        ] {
            assert_eq!(Quantity::parse(text).err(), Some(want), "{text}");
        }
    }

    #[test]
    fn compares_by_value() {
        let parse = |text: &str| Quantity::parse(text).unwrap();
        assert_eq!(parse("1Gi"), parse("1024Mi"));
        assert_eq!(parse("1"), parse("1000m"));
        assert!(parse("1G") < parse("1Gi"));
        assert!(parse("-1") < parse("0"));
        assert!(parse("100m") < parse("1"));
        assert!(parse("4Mi").is_multiple_of(&parse("2Mi")));
        assert!(!parse("3Mi").is_multiple_of(&parse("2Mi")));
        assert_eq!(parse("500m").plus(parse("1500m")).to_string(), "2");
        assert_eq!(parse("1u").rounded_to_milli().to_string(), "1m");
        assert!(parse("1").is_whole() && !parse("1500m").is_whole());
    }

    proptest! {
        #[test]
        fn canonical_is_a_fixed_point(text in "[-+]?[0-9]{0,8}(\\.[0-9]{0,8})?(m|k|Ki|Gi|E|e[0-9]|u|)") {
            if let Ok(once) = canonical(&text) {
                prop_assert_eq!(canonical(&once), Ok(once.clone()));
            }
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = canonical(&text);
        }
    }
}
