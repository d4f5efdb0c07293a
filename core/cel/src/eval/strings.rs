//! Functions on strings.

use super::call::{Answer, Called};
use crate::error::EvalError;
use crate::plan::{Function, regex};
use crate::value::{List, Outcome, Value, go_quote};
use regex::Regex;

pub(super) fn call<'p, 'v>(called: Called<'p, 'v>) -> Answer<'p, 'v> {
    let name = called.function.name.as_str();
    if matches!(name, "contains" | "startsWith" | "endsWith" | "matches")
        && called.args.iter().any(|arg| arg.as_str().is_none())
    {
        return Ok(Err(EvalError::no_overload()));
    }
    if name == "join" {
        return match called.args.as_slice() {
            [Value::List(list)] => Ok(join(list, "")),
            [Value::List(list), Value::String(by)] => Ok(join(list, by.as_str())),
            _ => Err(called),
        };
    }
    let Some(text) = called.args.first().and_then(Value::as_str) else {
        return Err(called);
    };
    let rest = &called.args[1..];
    let function = called.function;
    let answer = match (name, rest) {
        ("contains", [Value::String(part)]) => Ok(Value::Bool(text.contains(part.as_str()))),
        ("startsWith", [Value::String(part)]) => Ok(Value::Bool(text.starts_with(part.as_str()))),
        ("endsWith", [Value::String(part)]) => Ok(Value::Bool(text.ends_with(part.as_str()))),
        ("matches" | "find" | "findAll", [Value::String(pattern), limit @ ..]) => {
            expression(function, text, pattern.as_str(), limit)
        }
        ("charAt", [Value::Int(index)]) => char_at(text, *index),
        ("indexOf", [Value::String(part), from @ ..]) => index_of(text, part.as_str(), from),
        ("lastIndexOf", [Value::String(part), from @ ..]) => {
            last_index_of(text, part.as_str(), from)
        }
        ("lowerAscii", []) => Ok(Value::text(text.to_ascii_lowercase())),
        ("upperAscii", []) => Ok(Value::text(text.to_ascii_uppercase())),
        ("trim", []) => Ok(Value::text(text.trim())),
        ("replace", [Value::String(old), Value::String(new), most @ ..]) => {
            Ok(replace(text, old.as_str(), new.as_str(), limit(most)))
        }
        ("split", [Value::String(by), most @ ..]) => Ok(split(text, by.as_str(), limit(most))),
        ("substring", [Value::Int(start)]) => substring(text, *start, None),
        ("substring", [Value::Int(start), Value::Int(end)]) => substring(text, *start, Some(*end)),
        ("strings.quote", []) => Ok(Value::text(quote(text))),
        ("format", [Value::List(args)]) => super::format::format(text, args),
        _ => return Err(called),
    };
    Ok(answer)
}

/// How many at most; None for all.
fn limit(args: &[Value<'_>]) -> Option<usize> {
    match args {
        [Value::Int(most)] => usize::try_from(*most).ok(),
        _ => None,
    }
}

fn join<'v>(list: &List<'v>, by: &str) -> Outcome<'v> {
    let mut out = String::new();
    for (at, item) in list.iter().enumerate() {
        let item = item?;
        let Some(text) = item.as_str() else {
            return Err(EvalError::new(format!("join: invalid input: {item}")));
        };
        if at > 0 {
            out.push_str(by);
        }
        out.push_str(text);
    }
    Ok(Value::text(out))
}

fn expression<'v>(
    function: &Function,
    text: &str,
    pattern: &str,
    most: &[Value<'v>],
) -> Outcome<'v> {
    let compiled: Regex;
    let expression = match &function.regex {
        Some(known) => known,
        None => {
            compiled = regex(pattern).map_err(|why| {
                let illegal = if function.name == "matches" {
                    ""
                } else {
                    "Illegal regex: "
                };
                EvalError::new(format!("{illegal}{why}"))
            })?;
            &compiled
        }
    };
    Ok(match function.name.as_str() {
        "matches" => Value::Bool(expression.is_match(text)),
        "find" => Value::text(expression.find(text).map_or("", |found| found.as_str())),
        _ => {
            let found = expression
                .find_iter(text)
                .map(|found| found.as_str().to_owned());
            Value::texts(found.take(limit(most).unwrap_or(usize::MAX)))
        }
    })
}

fn out_of_range(index: i64) -> EvalError {
    EvalError::new(format!("index out of range: {index}"))
}

/// A position in characters, as one in bytes; the end is one too.
fn byte_of(text: &str, index: i64) -> Option<usize> {
    let index = usize::try_from(index).ok()?;
    let ends = text.char_indices().map(|(at, _)| at);
    ends.chain([text.len()]).nth(index)
}

fn char_at<'v>(text: &str, index: i64) -> Outcome<'v> {
    let at = byte_of(text, index).ok_or_else(|| out_of_range(index))?;
    let found: String = text[at..].chars().take(1).collect();
    Ok(Value::text(found))
}

fn length(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}

fn index_of<'v>(text: &str, part: &str, from: &[Value<'v>]) -> Outcome<'v> {
    let from = match from {
        [Value::Int(from)] => *from,
        _ => 0,
    };
    if part.is_empty() {
        return Ok(Value::Int(from));
    }
    if from < 0 {
        return Err(out_of_range(from));
    }
    let Some(start) = byte_of(text, from) else {
        return Ok(Value::Int(-1));
    };
    let found = text[start..]
        .find(part)
        .map(|at| length(&text[..start + at]));
    Ok(Value::Int(found.unwrap_or(-1)))
}

fn last_index_of<'v>(text: &str, part: &str, from: &[Value<'v>]) -> Outcome<'v> {
    let from = match from {
        [Value::Int(from)] => Some(*from),
        _ => None,
    };
    if part.is_empty() {
        return Ok(Value::Int(from.unwrap_or_else(|| length(text))));
    }
    let end = match from {
        None => text.len(),
        Some(from) if from < 0 => return Err(out_of_range(from)),
        Some(from) if from >= length(text) => return Ok(Value::Int(-1)),
        Some(from) => {
            // What begins at `from` may reach beyond it.
            let reach = from.saturating_add(length(part));
            byte_of(text, reach).unwrap_or(text.len())
        }
    };
    let found = text[..end].rfind(part).map(|at| length(&text[..at]));
    Ok(Value::Int(found.unwrap_or(-1)))
}

fn replace<'v>(text: &str, old: &str, new: &str, most: Option<usize>) -> Value<'v> {
    Value::text(match most {
        Some(most) => text.replacen(old, new, most),
        None => text.replace(old, new),
    })
}

fn split<'v>(text: &str, by: &str, most: Option<usize>) -> Value<'v> {
    let most = most.unwrap_or(usize::MAX);
    if by.is_empty() {
        let count = text.chars().count().min(most);
        let mut parts: Vec<String> = text.chars().take(count).map(String::from).collect();
        if let Some(last) = parts.last_mut() {
            last.extend(text.chars().skip(count));
        }
        return Value::texts(parts);
    }
    Value::texts(text.splitn(most, by).map(str::to_owned))
}

fn substring<'v>(text: &str, start: i64, end: Option<i64>) -> Outcome<'v> {
    if let Some(end) = end
        && start > end
    {
        let message = format!("invalid substring range. start: {start}, end: {end}");
        return Err(EvalError::new(message));
    }
    let first = byte_of(text, start).ok_or_else(|| out_of_range(start))?;
    let last = match end {
        Some(end) => byte_of(text, end).ok_or_else(|| out_of_range(end))?,
        None => text.len(),
    };
    Ok(Value::text(&text[first..last]))
}

/// In double quotes, escaped as the language does.
fn quote(text: &str) -> String {
    let plain = |c: char| !c.is_control() && c != '"' && c != '\\';
    if text.chars().all(plain) {
        return format!("\"{text}\"");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\u{7}' | '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' | '\u{b}' | '\\' | '"' => {
                let quoted = go_quote(&c.to_string());
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
