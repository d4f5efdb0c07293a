//! What is asked of timestamps and durations.

use super::call::{Answer, Called};
use crate::error::EvalError;
use crate::value::{Outcome, Timestamp, Value, go_quote};

pub(super) fn call<'p, 'v>(called: Called<'p, 'v>) -> Answer<'p, 'v> {
    let name = called.function.name.as_str();
    Ok(match called.args.as_slice() {
        [Value::Duration(nanos)] => match of_duration(name, *nanos) {
            Some(value) => Ok(Value::Int(value)),
            None => return Err(called),
        },
        [Value::Timestamp(time), zone @ ..] if zone.len() < 2 && is_getter(name) => {
            of_timestamp(name, time, zone)
        }
        _ => return Err(called),
    })
}

fn is_getter(name: &str) -> bool {
    name.starts_with("get")
}

fn of_duration(name: &str, nanos: i64) -> Option<i64> {
    Some(match name {
        "getHours" => nanos / 3_600_000_000_000,
        "getMinutes" => nanos / 60_000_000_000,
        "getSeconds" => nanos / 1_000_000_000,
        "getMilliseconds" => nanos / 1_000_000,
        _ => return None,
    })
}

fn of_timestamp<'v>(name: &str, time: &Timestamp, zone: &[Value<'v>]) -> Outcome<'v> {
    let offset = match zone {
        [zone] => offset(zone)?,
        _ => 0,
    };
    let civil = time.civil(offset);
    Ok(Value::Int(match name {
        "getFullYear" => civil.year,
        "getMonth" => i64::from(civil.month) - 1,
        "getDayOfYear" => civil.day_of_year,
        "getDayOfMonth" => i64::from(civil.day) - 1,
        "getDate" => i64::from(civil.day),
        "getDayOfWeek" => civil.weekday,
        "getHours" => civil.seconds / 3600,
        "getMinutes" => civil.seconds / 60 % 60,
        "getSeconds" => civil.seconds % 60,
        "getMilliseconds" => i64::from(time.nanos / 1_000_000),
        _ => return Err(EvalError::no_overload()),
    }))
}

/// Seconds east of UTC of a zone: `UTC`, or hours and minutes. There is no table of named zones.
fn offset(zone: &Value<'_>) -> Result<i32, EvalError> {
    let text = zone.as_str().ok_or_else(EvalError::no_overload)?;
    let Some((hours, minutes)) = text.split_once(':') else {
        return match text {
            "" | "UTC" | "Etc/UTC" | "GMT" | "Etc/GMT" | "Z" => Ok(0),
            other => Err(EvalError::new(format!("unknown time zone {other}"))),
        };
    };
    let number = |text: &str| {
        text.parse::<i32>().map_err(|_| {
            let quoted = go_quote(text);
            EvalError::new(format!("strconv.Atoi: parsing {quoted}: invalid syntax"))
        })
    };
    let (hour, minute) = (number(hours)?, number(minutes)?);
    let minute = if text.starts_with('-') {
        -minute
    } else {
        minute
    };
    let total = hour.checked_mul(60).and_then(|m| m.checked_add(minute));
    let seconds = total.and_then(|m| m.checked_mul(60));
    seconds.ok_or_else(|| EvalError::new(format!("unknown time zone {text}")))
}
