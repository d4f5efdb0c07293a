//! Quantities: decimal numbers with a suffix, exact to a billionth.

/// Billionths in one.
const ONE: i128 = 1_000_000_000;

/// A quantity, in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i128);

const FORMAT: &str = "quantities must match the regular expression \
                      '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const SUFFIX: &str = "unable to parse quantity's suffix";

impl Quantity {
    /// # Errors
    /// The text for the user.
    pub(crate) fn parse(text: &str) -> Result<Quantity, &'static str> {
        let (negative, unsigned) = match text.as_bytes().first() {
            None => return Err(FORMAT),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, suffix) = unsigned.split_at(end.unwrap_or(unsigned.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(FORMAT);
        }
        if !well_formed(suffix) {
            return Err(FORMAT);
        }
        let scale = Scale::of(suffix).ok_or(SUFFIX)?;
        let amount = scale.apply(whole, fraction);
        Ok(Quantity(if negative { -amount } else { amount }))
    }

    pub(crate) fn of_int(value: i64) -> Quantity {
        Quantity(i128::from(value) * ONE)
    }

    pub(crate) fn plus(self, other: Quantity) -> Quantity {
        Quantity(self.0.saturating_add(other.0))
    }

    pub(crate) fn minus(self, other: Quantity) -> Quantity {
        Quantity(self.0.saturating_sub(other.0))
    }

    pub(crate) fn sign(self) -> i64 {
        i64::try_from(self.0.signum()).unwrap_or(0)
    }

    /// None when it is no whole number, or too large.
    pub(crate) fn to_int(self) -> Option<i64> {
        if self.0 % ONE != 0 {
            return None;
        }
        i64::try_from(self.0 / ONE).ok()
    }

    pub(crate) fn to_double(self) -> f64 {
        self.0 as f64 / ONE as f64
    }
}

/// Letters, a sign, digits: what the expression in the error text allows.
fn well_formed(suffix: &str) -> bool {
    let letters = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let digits = letters.strip_prefix(['-', '+']).unwrap_or(letters);
    digits.bytes().all(|b| b.is_ascii_digit())
}

/// What a suffix multiplies by.
enum Scale {
    Ten(i32),
    Two(u32),
}

impl Scale {
    fn of(suffix: &str) -> Option<Scale> {
        Some(match suffix {
            "" => Scale::Ten(0),
            "n" => Scale::Ten(-9),
            "u" => Scale::Ten(-6),
            "m" => Scale::Ten(-3),
            "k" => Scale::Ten(3),
            "M" => Scale::Ten(6),
            "G" => Scale::Ten(9),
            "T" => Scale::Ten(12),
            "P" => Scale::Ten(15),
            "E" => Scale::Ten(18),
            "Ki" => Scale::Two(10),
            "Mi" => Scale::Two(20),
            "Gi" => Scale::Two(30),
            "Ti" => Scale::Two(40),
            "Pi" => Scale::Two(50),
            "Ei" => Scale::Two(60),
            exponent => {
                let digits = exponent.strip_prefix(['e', 'E'])?;
                Scale::Ten(digits.parse().ok()?)
            }
        })
    }

    /// The number in billionths, rounded up; the largest there is when it is too large.
    fn apply(&self, whole: &str, fraction: &str) -> i128 {
        let digits: String = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return 0;
        }
        let fraction = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        let (power, factor) = match self {
            Scale::Ten(power) => (*power, 1),
            Scale::Two(bits) => (0, 1i128 << bits),
        };
        let power = power.saturating_add(9).saturating_sub(fraction);
        let Some(number) = digits
            .parse::<i128>()
            .ok()
            .and_then(|n| n.checked_mul(factor))
        else {
            return if power < 0 { 1 } else { i128::MAX };
        };
        let ten = |power: i32| 10i128.checked_pow(power.unsigned_abs());
        if power >= 0 {
            let scaled = ten(power).and_then(|ten| number.checked_mul(ten));
            return scaled.unwrap_or(i128::MAX);
        }
        match ten(power) {
            Some(ten) => number / ten + i128::from(number % ten != 0),
            None => 1,
        }
    }
}
