//! Functions of the Kubernetes libraries.

use super::call::{Answer, Called};
use crate::error::EvalError;
use crate::value::{
    Check, Cidr, Ip, Key, Library, NamedFormat, Outcome, Quantity, Semver, Url, Value,
};
use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

pub(super) fn call<'p, 'v>(called: Called<'p, 'v>) -> Answer<'p, 'v> {
    let name = called.function.name.as_str();
    if let Some(key) = name.strip_prefix("format.")
        && called.args.is_empty()
        && let Some(format) = NamedFormat::named(key)
    {
        return Ok(Ok(Value::Library(Library::Format(format))));
    }
    let answer = match called.args.as_slice() {
        [Value::String(text), rest @ ..] => of_text(name, text.as_str(), rest),
        [Value::Library(Library::Ip(ip))] => of_ip(name, *ip),
        [Value::Library(Library::Cidr(cidr)), rest @ ..] => of_cidr(name, *cidr, rest),
        [Value::Library(Library::Quantity(quantity)), rest @ ..] => {
            of_quantity(name, *quantity, rest)
        }
        [Value::Library(Library::Url(url))] => of_url(name, url),
        [Value::Library(Library::Semver(version)), rest @ ..] => of_semver(name, version, rest),
        [Value::Library(Library::Format(format)), Value::String(text)] if name == "validate" => {
            Some(Ok(problems(format.problems(text.as_str()))))
        }
        [Value::Library(Library::Check(check)), rest @ ..] => of_check(name, check, rest),
        [Value::Library(Library::Decision(decision))] => match name {
            "errored" => Some(Ok(Value::Bool(decision.error.is_some()))),
            "error" => Some(Ok(Value::text(decision.error.clone().unwrap_or_default()))),
            "allowed" => Some(Ok(Value::Bool(decision.allowed))),
            "reason" => Some(Ok(Value::text(decision.reason.clone()))),
            _ => None,
        },
        _ => None,
    };
    answer.ok_or(called)
}

fn made<'v>(library: Library<'v>) -> Outcome<'v> {
    Ok(Value::Library(library))
}

fn problems<'v>(problems: Vec<String>) -> Value<'v> {
    if problems.is_empty() {
        return Value::none();
    }
    Value::some(Value::texts(problems))
}

fn parsed<'v, T>(
    result: Result<T, String>,
    make: impl FnOnce(T) -> Library<'v>,
) -> Option<Outcome<'v>> {
    Some(match result {
        Ok(parsed) => made(make(parsed)),
        Err(why) => Err(EvalError::new(why)),
    })
}

fn of_text<'v>(name: &str, text: &str, rest: &[Value<'v>]) -> Option<Outcome<'v>> {
    let truth = |value: bool| Some(Ok(Value::Bool(value)));
    let normalized = match rest {
        [] => false,
        [Value::Bool(normalized)] if matches!(name, "semver" | "isSemver") => *normalized,
        _ => return None,
    };
    let version = || {
        if normalized {
            Semver::parse_normalized(text)
        } else {
            Semver::parse(text)
        }
    };
    match name {
        "ip" => parsed(Ip::parse(text), Library::Ip),
        "isIP" => truth(Ip::parse(text).is_ok()),
        "ip.isCanonical" => Some(match Ip::parse(text) {
            Ok(ip) => Ok(Value::Bool(ip.to_string() == text)),
            Err(why) => Err(EvalError::new(why)),
        }),
        "cidr" => {
            let prefix = "network address parse error during conversion from string: ";
            let network = Cidr::parse(text).map_err(|why| format!("{prefix}{why}"));
            parsed(network, Library::Cidr)
        }
        "isCIDR" => truth(Cidr::parse(text).is_ok()),
        "quantity" => {
            let quantity = Quantity::parse(text).map_err(str::to_owned);
            parsed(quantity, Library::Quantity)
        }
        "isQuantity" => truth(Quantity::parse(text).is_ok()),
        "url" => {
            let prefix = "URL parse error during conversion from string: ";
            let url = Url::parse(text).map_err(|why| format!("{prefix}{why}"));
            parsed(url, |url| Library::Url(Rc::new(url)))
        }
        "isURL" => truth(Url::parse(text).is_ok()),
        "semver" => parsed(version(), |version| Library::Semver(Rc::new(version))),
        "isSemver" => truth(version().is_ok()),
        "format.named" => Some(Ok(match NamedFormat::named(text) {
            Some(format) => Value::some(Value::Library(Library::Format(format))),
            None => Value::none(),
        })),
        _ => None,
    }
}

fn of_ip<'v>(name: &str, ip: Ip) -> Option<Outcome<'v>> {
    let value = match name {
        "family" => return Some(Ok(Value::Int(if ip.0.is_ipv4() { 4 } else { 6 }))),
        "isUnspecified" => ip.0.is_unspecified(),
        "isLoopback" => ip.0.is_loopback(),
        "isLinkLocalMulticast" => ip.is_link_local_multicast(),
        "isLinkLocalUnicast" => ip.is_link_local_unicast(),
        "isGlobalUnicast" => ip.is_global_unicast(),
        _ => return None,
    };
    Some(Ok(Value::Bool(value)))
}

fn of_cidr<'v>(name: &str, cidr: Cidr, rest: &[Value<'v>]) -> Option<Outcome<'v>> {
    let no_overload = || Some(Err(EvalError::no_overload()));
    match (name, rest) {
        ("ip", []) => Some(made(Library::Ip(cidr.address))),
        ("prefixLength", []) => Some(Ok(Value::Int(i64::from(cidr.bits)))),
        ("masked", []) => Some(made(Library::Cidr(cidr.masked()))),
        ("containsIP", [Value::Library(Library::Ip(ip))]) => {
            Some(Ok(Value::Bool(cidr.contains(*ip))))
        }
        ("containsIP", [Value::String(text)]) => match Ip::parse(text.as_str()) {
            Ok(ip) => Some(Ok(Value::Bool(cidr.contains(ip)))),
            Err(_) => no_overload(),
        },
        ("containsCIDR", [Value::Library(Library::Cidr(other))]) => {
            Some(Ok(Value::Bool(cidr.contains_network(*other))))
        }
        ("containsCIDR", [Value::String(text)]) => match Cidr::parse(text.as_str()) {
            Ok(other) => Some(Ok(Value::Bool(cidr.contains_network(other)))),
            Err(why) => Some(Err(EvalError::new(format!(
                "network address parse error during conversion from string: {why}"
            )))),
        },
        _ => None,
    }
}

fn of_quantity<'v>(name: &str, it: Quantity, rest: &[Value<'v>]) -> Option<Outcome<'v>> {
    let value = match (name, rest) {
        ("sign", []) => Value::Int(it.sign()),
        ("isInteger", []) => Value::Bool(it.to_int().is_some()),
        ("asApproximateFloat", []) => Value::Double(it.to_double()),
        ("asInteger", []) => {
            let int = it.to_int().map(Value::Int);
            return Some(int.ok_or_else(|| EvalError::new("cannot convert value to integer")));
        }
        ("add", [other]) => return Some(made(Library::Quantity(it.plus(amount(other)?)))),
        ("sub", [other]) => return Some(made(Library::Quantity(it.minus(amount(other)?)))),
        (_, [Value::Library(Library::Quantity(other))]) => ordered(name, it.cmp(other))?,
        _ => return None,
    };
    Some(Ok(value))
}

fn amount(value: &Value<'_>) -> Option<Quantity> {
    match value {
        Value::Library(Library::Quantity(quantity)) => Some(*quantity),
        Value::Int(int) => Some(Quantity::of_int(*int)),
        _ => None,
    }
}

fn ordered<'v>(name: &str, order: Ordering) -> Option<Value<'v>> {
    Some(match name {
        "isGreaterThan" => Value::Bool(order == Ordering::Greater),
        "isLessThan" => Value::Bool(order == Ordering::Less),
        "compareTo" => Value::Int(order as i64),
        _ => return None,
    })
}

fn of_url<'v>(name: &str, url: &Url) -> Option<Outcome<'v>> {
    let text = match name {
        "getScheme" => url.scheme.as_str(),
        "getHost" => url.host.as_str(),
        "getHostname" => url.hostname(),
        "getPort" => url.port(),
        "getEscapedPath" => url.path.as_str(),
        "getQuery" => {
            let query = url.query().into_iter();
            let entry = |(name, values): (String, Vec<String>)| {
                (Key::String(Arc::from(name)), Value::texts(values))
            };
            return Some(Ok(Value::entries(query.map(entry))));
        }
        _ => return None,
    };
    Some(Ok(Value::text(text)))
}

fn of_semver<'v>(name: &str, version: &Semver, rest: &[Value<'v>]) -> Option<Outcome<'v>> {
    let int = |part: u64| Some(Ok(Value::Int(i64::try_from(part).unwrap_or(i64::MAX))));
    match (name, rest) {
        ("major", []) => int(version.major),
        ("minor", []) => int(version.minor),
        ("patch", []) => int(version.patch),
        (_, [Value::Library(Library::Semver(other))]) => {
            Some(Ok(ordered(name, version.order(other))?))
        }
        _ => None,
    }
}

fn of_check<'v>(name: &str, check: &Check<'v>, rest: &[Value<'v>]) -> Option<Outcome<'v>> {
    let texts: Option<Vec<&str>> = rest.iter().map(Value::as_str).collect();
    let texts = texts?;
    if name == "check" {
        let decision = check.decide(texts.first()?);
        return Some(decision.map(|d| Value::Library(Library::Decision(Rc::new(d)))));
    }
    let next = check.with(name, &texts);
    Some(next.map(|check| Value::Library(Library::Check(Rc::new(check)))))
}
