//! JSONPath as `kubectl` and printer columns know it (`k8s.io/client-go/util/jsonpath`): fields,
//! list indexes and slices, wildcards, unions, filters, recursive descent. `range` is left out,
//! since a column is one expression.

use serde_json::{Number, Value};
use std::cmp::Ordering;

/// A compiled path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Wildcard,
    Recursive,
    /// First, end and step
    Slice(Slice),
    Union(Vec<JsonPath>),
    Filter(Box<Filter>),
    /// A value that stands for itself
    Literal(Value),
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Slice {
    first: Option<i64>,
    end: Option<i64>,
    /// The end follows from a single index
    derived: bool,
    step: Option<i64>,
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    left: JsonPath,
    /// None asks whether `left` is there
    test: Option<(String, JsonPath)>,
}

/// Values are those of the object, or literals of the path.
type Found<'a> = Vec<&'a Value>;

/// Why a path cannot be compiled or does not fit the object.
type Wrong = &'static str;

impl JsonPath {
    /// Compiles what stands between the braces of `{…}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text };
        let steps = parser.steps().map_err(str::to_owned)?;
        Ok(Self(steps))
    }

    /// The values that the path leads to, the first of them first; none where a key is missing.
    ///
    /// # Errors
    /// When the object has another form than the path expects, or an index that is not there.
    pub fn find<'a>(&'a self, object: &'a Value) -> Result<Found<'a>, &'static str> {
        self.walk(vec![object])
    }

    fn walk<'a>(&'a self, mut found: Found<'a>) -> Result<Found<'a>, Wrong> {
        for step in &self.0 {
            found = step.walk(found)?;
        }
        Ok(found)
    }
}

/// Applies a function to what lies inside a value.
fn inside<'a>(value: &'a Value, mut each: impl FnMut(&'a Value)) {
    match value {
        Value::Array(list) => list.iter().for_each(&mut each),
        Value::Object(map) => map.values().for_each(&mut each),
        _ => {}
    }
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object()?.get(name)
}

impl Step {
    fn walk<'a>(&'a self, input: Found<'a>) -> Result<Found<'a>, Wrong> {
        let mut found = Vec::new();
        match self {
            Self::Literal(value) => found.extend(input.iter().map(|_| value)),
            Self::Field(name) => found.extend(input.iter().filter_map(|value| member(value, name))),
            Self::Wildcard => input
                .iter()
                .for_each(|value| inside(value, |one| found.push(one))),
            Self::Recursive => input
                .into_iter()
                .for_each(|value| descend(value, &mut found)),
            Self::Union(paths) => {
                for path in paths {
                    found.extend(path.walk(input.clone())?);
                }
            }
            Self::Slice(slice) => {
                for value in input.iter().filter(|value| !value.is_null()) {
                    slice.take(value, &mut found)?;
                }
            }
            Self::Filter(filter) => {
                for value in &input {
                    filter.take(value, &mut found)?;
                }
            }
        }
        Ok(found)
    }
}

fn descend<'a>(value: &'a Value, found: &mut Found<'a>) {
    let mut children = Vec::new();
    inside(value, |one| children.push(one));
    if !children.is_empty() {
        found.push(value);
    }
    children.into_iter().for_each(|child| descend(child, found));
}

impl Slice {
    fn take<'a>(&self, value: &'a Value, found: &mut Found<'a>) -> Result<(), Wrong> {
        let list = value.as_array().ok_or("not a list")?;
        let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
        let from_end = |at: i64| if at < 0 { at + length } else { at };
        let first = from_end(self.first.unwrap_or(0));
        let end = match self.end {
            None => length,
            Some(0) if self.derived => length,
            Some(end) => from_end(end),
        };
        if first == end {
            return Ok(());
        }
        if first >= length || first < 0 || end > length || end < 0 || first > end {
            return Err("index out of bounds");
        }
        let step = match self.step {
            None => 1,
            Some(step) if step > 0 => step,
            Some(_) => return Err("step must be > 0"),
        };
        let mut at = first;
        let mut index = 0;
        inside(value, |one| {
            if index == at && index < end {
                found.push(one);
                at = at.saturating_add(step);
            }
            index += 1;
        });
        Ok(())
    }
}

impl Filter {
    fn take<'a>(&'a self, value: &'a Value, found: &mut Found<'a>) -> Result<(), Wrong> {
        if !value.is_array() {
            return Err("not a list, which cannot be filtered");
        }
        let mut items = Vec::new();
        inside(value, |one| items.push(one));
        for item in items {
            let left = self.left.walk(vec![item]);
            let Some((operator, right)) = &self.test else {
                if left.is_ok_and(|left| !left.is_empty()) {
                    found.push(item);
                }
                continue;
            };
            let right = right.walk(vec![item])?;
            let passes = match (left?.as_slice(), right.as_slice()) {
                ([], _) | (_, []) => false,
                ([left], [right]) => compare(operator, left, right)?,
                _ => return Err("can only compare one element at a time"),
            };
            if passes {
                found.push(item);
            }
        }
        Ok(())
    }
}

fn compare(operator: &str, left: &Value, right: &Value) -> Result<bool, Wrong> {
    let order = match (left, right) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) if a.is_f64() == b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0));
            a.partial_cmp(&b).unwrap_or(Ordering::Equal)
        }
        (Value::Bool(a), Value::Bool(b)) if matches!(operator, "==" | "!=") => a.cmp(b),
        _ => return Err("incompatible types for comparison"),
    };
    match operator {
        "==" => Ok(order.is_eq()),
        "!=" => Ok(order.is_ne()),
        "<" => Ok(order.is_lt()),
        ">" => Ok(order.is_gt()),
        "<=" => Ok(order.is_le()),
        ">=" => Ok(order.is_ge()),
        _ => Err("unrecognized filter operator"),
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn steps(&mut self) -> Result<Vec<Step>, Wrong> {
        let mut steps = Vec::new();
        while let Some(first) = self.rest.chars().next() {
            if let Some(rest) = self.rest.strip_prefix("[?(") {
                self.rest = rest;
                steps.push(self.filter()?);
            } else if let Some(rest) = self.rest.strip_prefix("..") {
                if steps.last() == Some(&Step::Recursive) {
                    return Err("invalid multiple recursive descent");
                }
                self.rest = rest;
                steps.push(Step::Recursive);
                if self
                    .rest
                    .starts_with(|c: char| c == '_' || c.is_alphanumeric())
                {
                    steps.push(self.field());
                }
            } else {
                match first {
                    ' ' | '@' | '$' => self.rest = &self.rest[1..],
                    '[' => self.array(&mut steps)?,
                    '"' | '\'' => steps.push(Step::Literal(self.quoted(first)?.into())),
                    '.' => {
                        self.rest = &self.rest[1..];
                        steps.push(self.field());
                    }
                    '+' | '-' | '0'..='9' => steps.push(self.number()?),
                    c if c == '_' || c.is_alphanumeric() => steps.push(self.word()?),
                    _ => return Err("unrecognized character in action"),
                }
            }
        }
        Ok(steps)
    }

    /// Up to the first character that no name goes on with; a backslash guards one.
    fn field(&mut self) -> Step {
        let mut end = self.rest.len();
        let mut guarded = false;
        for (index, c) in self.rest.char_indices() {
            if guarded {
                guarded = false;
            } else if c == '\\' {
                guarded = true;
            } else if is_terminator(c) {
                end = index;
                break;
            }
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        match name {
            "*" => Step::Wildcard,
            name => Step::Field(name.replace('\\', "")),
        }
    }

    fn number(&mut self) -> Result<Step, Wrong> {
        let unsigned = self.rest.trim_start_matches(['+', '-']);
        let sign = self.rest.len() - unsigned.len();
        let digits = unsigned.find(|c: char| c != '.' && !c.is_ascii_digit());
        let end = digits.map_or(self.rest.len(), |digits| sign + digits);
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        if let Ok(number) = text.parse::<i64>() {
            return Ok(Step::Literal(number.into()));
        }
        let number = text.parse().ok().and_then(Number::from_f64);
        let number = number.ok_or("cannot parse number")?;
        Ok(Step::Literal(number.into()))
    }

    fn word(&mut self) -> Result<Step, Wrong> {
        let end = self.rest.find(is_terminator).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "true" => Ok(Step::Literal(true.into())),
            "false" => Ok(Step::Literal(false.into())),
            _ => Err("unrecognized identifier"),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Wrong> {
        let mut text = String::new();
        let mut guarded = false;
        for (index, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if guarded => {
                    guarded = false;
                    text.push(c);
                }
                '\\' => guarded = true,
                c if c == quote => {
                    self.rest = &self.rest[index + 1..];
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err("unterminated quoted string")
    }

    fn array(&mut self, steps: &mut Vec<Step>) -> Result<(), Wrong> {
        let (inner, rest) = self.rest[1..].split_once(']').ok_or("unterminated array")?;
        self.rest = rest;
        if inner.contains(',') {
            let paths = inner.split(',').map(|part| {
                let mut inner = Vec::new();
                index(part.trim_matches(' '), &mut inner)?;
                Ok(JsonPath(inner))
            });
            steps.push(Step::Union(paths.collect::<Result<_, Wrong>>()?));
            return Ok(());
        }
        index(inner, steps)
    }

    fn filter(&mut self) -> Result<Step, Wrong> {
        let (mut quote, mut done) = (None, false);
        let mut before = ' ';
        let mut end = None;
        for (index, c) in self.rest.char_indices() {
            match c {
                '"' | '\'' if quote.is_none() => quote = Some(c),
                c if quote == Some(c) && before != '\\' => done = true,
                ')' if quote.is_none() || done => {
                    end = Some(index);
                    break;
                }
                _ => {}
            }
            before = c;
        }
        let end = end.ok_or("unterminated filter")?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        self.rest = self
            .rest
            .strip_prefix(']')
            .ok_or("unclosed array expect ]")?;
        Ok(Step::Filter(Box::new(comparison(text)?)))
    }
}

fn is_terminator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}'
    )
}

/// `'key'`, `*`, `3`, `1:4:2`
fn index(text: &str, steps: &mut Vec<Step>) -> Result<(), Wrong> {
    let text = if text == "*" { ":" } else { text };
    let key = text
        .strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''));
    if let Some(key) = key.filter(|key| !key.contains('\'')) {
        let dotted = format!(".{key}");
        steps.extend(Parser { rest: &dotted }.steps()?);
        return Ok(());
    }
    let mut parts = text.split(':');
    let mut number = || match parts.next() {
        None => Ok(None),
        Some("") => Ok(Some(None)),
        Some(part) => part
            .parse::<i64>()
            .map(|n| Some(Some(n)))
            .map_err(|_| "invalid array index"),
    };
    let (first, end, step) = (number()?, number()?, number()?);
    let first = first.flatten();
    let derived = end.is_none();
    let end = match end {
        None => Some(first.unwrap_or(0).saturating_add(1)),
        Some(end) => end,
    };
    steps.push(Step::Slice(Slice {
        first,
        end,
        derived,
        step: step.flatten(),
    }));
    Ok(())
}

fn comparison(text: &str) -> Result<Filter, Wrong> {
    let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
    let parse = |text: &str| Ok::<_, Wrong>(JsonPath(Parser { rest: text }.steps()?));
    let split = text.find(is_operator).filter(|at| *at > 0);
    let Some(at) = split else {
        return Ok(Filter {
            left: parse(text)?,
            test: None,
        });
    };
    let (left, rest) = text.split_at(at);
    let end = rest
        .find(|c| !is_operator(c))
        .ok_or("nothing to compare with")?;
    let (operator, right) = rest.split_at(end);
    Ok(Filter {
        left: parse(left)?,
        test: Some((operator.to_owned(), parse(right)?)),
    })
}

/// How Go prints a value: strings bare, lists and maps as JSON.
pub fn print(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<no value>".to_owned(),
        Value::Number(number) if number.is_f64() => go_float(number.as_f64().unwrap_or(0.0)),
        other => other.to_string(),
    }
}

/// Go's `%v` of a `float64`.
pub fn go_float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..21).contains(&exponent) {
        return format!("{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(path: &str) -> String {
        let object = json!({
            "a": {"b": 1, "x.y": "dot", "f": 2.5},
            "list": [{"t": "R", "n": 1, "s": "True"}, {"t": "S", "n": 2}, {"t": "R", "n": 3}],
            "nothing": null,
        });
        match JsonPath::parse(path) {
            Err(why) => why,
            Ok(path) => match path.find(&object) {
                Err(why) => why.to_owned(),
                Ok(found) => found.iter().map(|v| print(v)).collect::<Vec<_>>().join(" "),
            },
        }
    }

    #[test]
    fn paths_lead_where_kubectl_goes() {
        for (path, want) in [
            (".a.b", "1"),
            (".a.x\\.y", "dot"),
            (".a['x\\.y']", "dot"),
            (".a.missing.more", ""),
            (".list[0].t", "R"),
            (".list[-1].n", "3"),
            (".list[1:].n", "2 3"),
            (".list[0:3:2].n", "1 3"),
            (".list[*].t", "R S R"),
            (".list[0,2].n", "1 3"),
            (".list[7].n", "index out of bounds"),
            (".list[?(@.t==\"R\")].n", "1 3"),
            (".list[?(@.t=='S')].n", "2"),
            (".list[?(@.n>1)].n", "2 3"),
            (".list[?(@.s)].n", "1"),
            (
                ".list[?(@.n==\"1\")].n",
                "incompatible types for comparison",
            ),
            ("..t", "R S R"),
            (".nothing", "<no value>"),
            (".a", "{\"b\":1,\"f\":2.5,\"x.y\":\"dot\"}"),
            (".list[", "unterminated array"),
            (".list[a]", "invalid array index"),
            (".a.b }", "unrecognized character in action"),
        ] {
            assert_eq!(found(path), want, "{path}");
        }
    }

    #[test]
    fn floats_print_as_in_go() {
        for (number, text) in [
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (2.5, "2.5"),
            (1e-7, "1e-07"),
            (3.0, "3"),
        ] {
            assert_eq!(go_float(number), text);
        }
    }
}
