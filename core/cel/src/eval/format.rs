//! `format`: texts with places for values.

use crate::error::EvalError;
use crate::value::{List, Map, Outcome, Value, convert, go_quote};

/// What is to be written in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clause {
    Text,
    Decimal,
    Fixed(usize),
    Scientific(usize),
    Binary,
    Hex(bool),
    Octal,
}

/// The most decimals that are written.
const MOST_DECIMALS: usize = 1000;

/// Decimals when nothing is said of them.
const DECIMALS: usize = 6;

/// Reads a format: literal pieces go to `literal`, places to `place` with their number.
pub(crate) struct Clauses<'t> {
    rest: &'t str,
}

/// One piece of a format.
pub(crate) enum Piece<'t> {
    Literal(&'t str),
    Place,
}

impl<'t> Clauses<'t> {
    pub(crate) fn new(format: &'t str) -> Clauses<'t> {
        Clauses { rest: format }
    }

    /// The next piece; after a place `clause` must be called.
    pub(crate) fn next(&mut self) -> Option<Piece<'t>> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some(after) = self.rest.strip_prefix("%%") {
            let percent = &self.rest[..1];
            self.rest = after;
            return Some(Piece::Literal(percent));
        }
        if let Some(after) = self.rest.strip_prefix('%') {
            self.rest = after;
            return Some(Piece::Place);
        }
        let end = self.rest.find('%').unwrap_or(self.rest.len());
        let (literal, after) = self.rest.split_at(end);
        self.rest = after;
        Some(Piece::Literal(literal))
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is to be written at a place.
    ///
    /// # Errors
    /// The text for the user.
    pub(crate) fn clause(&mut self) -> Result<Clause, String> {
        let parse = |why: String| format!("could not parse formatting clause: {why}");
        let mut decimals = DECIMALS;
        if let Some(after) = self.rest.strip_prefix('.') {
            let wrong = |why: &str| parse(format!("error while parsing precision: {why}"));
            let end = after.find(|c: char| !c.is_ascii_digit());
            let end = end.ok_or_else(|| wrong("could not find end of precision specifier"))?;
            decimals = after[..end].parse().map_err(|_| {
                let quoted = go_quote(&after[..end]);
                let why = format!("strconv.Atoi: parsing {quoted}: invalid syntax");
                wrong(&format!(
                    "error while converting precision to integer: {why}"
                ))
            })?;
            decimals = decimals.min(MOST_DECIMALS);
            self.rest = &after[end..];
        }
        let kind = self.rest.chars().next().unwrap_or('%');
        self.rest = self.rest.get(kind.len_utf8()..).unwrap_or("");
        Ok(match kind {
            's' => Clause::Text,
            'd' => Clause::Decimal,
            'f' => Clause::Fixed(decimals),
            'e' => Clause::Scientific(decimals),
            'b' => Clause::Binary,
            'x' => Clause::Hex(false),
            'X' => Clause::Hex(true),
            'o' => Clause::Octal,
            other => {
                return Err(parse(format!("unrecognized formatting clause \"{other}\"")));
            }
        })
    }
}

impl Clause {
    /// Why values of the type `given` cannot be written so.
    pub(crate) fn refusal(self, given: &str) -> String {
        let wanted = match self {
            Clause::Text => {
                "string clause can only be used on strings, bools, bytes, ints, doubles, maps, \
                 lists, types, durations, and timestamps"
            }
            Clause::Decimal => "decimal clause can only be used on integers",
            Clause::Fixed(_) => "fixed-point clause can only be used on doubles",
            Clause::Scientific(_) => "scientific clause can only be used on doubles",
            Clause::Binary => "only integers and bools can be formatted as binary",
            Clause::Hex(_) => "only integers, byte buffers, and strings can be formatted as hex",
            Clause::Octal => "octal clause can only be used on integers",
        };
        format!("error during formatting: {wanted}, was given {given}")
    }

    fn write(self, value: &Value<'_>) -> Result<String, EvalError> {
        let written = match (self, value) {
            (Clause::Text, value) => text(value)?,
            (Clause::Decimal, Value::Int(i)) => Some(i.to_string()),
            (Clause::Decimal, Value::Uint(u)) => Some(u.to_string()),
            (Clause::Fixed(decimals), value) => number(value).map(|d| fixed(d, decimals)),
            (Clause::Scientific(_), value) => number(value).map(scientific),
            (Clause::Binary, Value::Bool(b)) => Some(u8::from(*b).to_string()),
            (Clause::Binary, Value::Int(i)) => Some(signed(*i, |n| format!("{n:b}"))),
            (Clause::Binary, Value::Uint(u)) => Some(format!("{u:b}")),
            (Clause::Octal, Value::Int(i)) => Some(signed(*i, |n| format!("{n:o}"))),
            (Clause::Octal, Value::Uint(u)) => Some(format!("{u:o}")),
            (Clause::Hex(upper), value) => {
                hex(value).map(|text| if upper { text.to_uppercase() } else { text })
            }
            _ => None,
        };
        written.ok_or_else(|| EvalError::new(self.refusal(value.type_name())))
    }
}

fn signed(value: i64, digits: fn(u64) -> String) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", digits(value.unsigned_abs()))
}

fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Double(d) => Some(*d),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn special(double: f64) -> Option<String> {
    if double.is_nan() {
        return Some("NaN".to_owned());
    }
    let sign = if double < 0.0 { "-" } else { "" };
    double.is_infinite().then(|| format!("{sign}∞"))
}

/// With decimals, and commas between thousands.
fn fixed(double: f64, decimals: usize) -> String {
    if let Some(text) = special(double) {
        return text;
    }
    let text = format!("{:.decimals$}", double.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    if double.is_sign_negative() {
        out.push('-');
    }
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// `1.234000 × 10⁰³`, with narrow spaces.
fn scientific(double: f64) -> String {
    if let Some(text) = special(double) {
        return text;
    }
    let text = format!("{double:.6e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    let mut out = format!("{mantissa}\u{202f}×\u{202f}10");
    if power < 0 {
        out.push('⁻');
    }
    for digit in format!("{:02}", power.abs()).bytes() {
        let raised = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
        out.push(raised[usize::from(digit - b'0')]);
    }
    out
}

fn hex(value: &Value<'_>) -> Option<String> {
    let octets = |octets: &[u8]| octets.iter().map(|b| format!("{b:02x}")).collect();
    match value {
        Value::String(text) => Some(octets(text.as_str().as_bytes())),
        Value::Bytes(bytes) => Some(octets(bytes)),
        Value::Int(i) => Some(signed(*i, |n| format!("{n:x}"))),
        Value::Uint(u) => Some(format!("{u:x}")),
        _ => None,
    }
}

fn text(value: &Value<'_>) -> Result<Option<String>, EvalError> {
    Ok(Some(match value {
        Value::List(list) => list_text(list)?,
        Value::Map(map) => map_text(map)?,
        Value::Null => "null".to_owned(),
        Value::String(text) => text.as_str().to_owned(),
        Value::Optional(_) | Value::Library(_) | Value::Preserved(_) => return Ok(None),
        other => convert(other.clone(), "string")?.to_string(),
    }))
}

/// A value within a list or map.
fn inner(value: &Value<'_>) -> Result<String, EvalError> {
    Ok(match value {
        Value::String(text) => go_quote(text.as_str()),
        Value::Bytes(octets) => format!("b{}", go_quote(&String::from_utf8_lossy(octets))),
        Value::Double(d) if d.is_finite() => format!("{d:.DECIMALS$}"),
        Value::Double(d) => go_quote(&convert(Value::Double(*d), "string")?.to_string()),
        Value::Duration(_) => format!("duration({})", go_quote(&plain(value)?)),
        Value::Timestamp(_) => format!("timestamp({})", go_quote(&plain(value)?)),
        Value::Type(name) => format!("type({name})"),
        other => plain(other)?,
    })
}

fn plain(value: &Value<'_>) -> Result<String, EvalError> {
    text(value)?.ok_or_else(|| {
        let name = value.type_name();
        EvalError::new(format!(
            "error during formatting: no formatting function for {name}"
        ))
    })
}

fn list_text(list: &List<'_>) -> Result<String, EvalError> {
    let mut parts = Vec::with_capacity(list.len());
    for item in list.iter() {
        parts.push(inner(&item?)?);
    }
    Ok(format!("[{}]", parts.join(", ")))
}

fn map_text(map: &Map<'_>) -> Result<String, EvalError> {
    let mut parts = Vec::with_capacity(map.len());
    for (key, value) in map.entries() {
        parts.push((inner(&key)?, inner(&value?)?));
    }
    parts.sort();
    let parts: Vec<String> = parts.into_iter().map(|(k, v)| format!("{k}:{v}")).collect();
    Ok(format!("{{{}}}", parts.join(", ")))
}

/// Writes `args` into the places of `format`.
pub(super) fn format<'v>(format: &str, args: &List<'v>) -> Outcome<'v> {
    let mut clauses = Clauses::new(format);
    let mut out = String::new();
    let mut index = 0;
    while let Some(piece) = clauses.next() {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Place => {
                let missing = || EvalError::new(format!("index {index} out of range"));
                let value = args.get(index).ok_or_else(missing)??;
                if clauses.is_at_end() {
                    return Err(EvalError::new("unexpected end of string"));
                }
                let clause = clauses.clause().map_err(EvalError::new)?;
                out.push_str(&clause.write(&value)?);
                index += 1;
            }
        }
    }
    Ok(Value::text(out))
}
