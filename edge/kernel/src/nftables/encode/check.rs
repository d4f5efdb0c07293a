//! What can be said to the kernel at all, before anything is.

use crate::nftables::types::{Lengths, MAX_FIELDS};
use crate::nftables::userdata::MAX_COMMENT;
use nft::{Data, Element, Expr, Op, Reg, Rule, SetSpec, SetValue, Value};

/// Longest name of a chain or set, `NFT_NAME_MAXLEN` without the end.
const MAX_NAME: usize = 255;
/// Most expressions of a rule (`NFT_RULE_MAXEXPRS`).
const MAX_EXPRS: usize = 128;

/// Why an operation cannot be sent; `lengths` are those of the set that elements are about.
pub(in crate::nftables) fn check(op: &Op, lengths: Option<Lengths>) -> Result<(), String> {
    match op {
        Op::AddChain(found, _) | Op::FlushChain(found) => name(found),
        Op::DeleteChain(found) | Op::DeleteSet(found) => name(found),
        Op::AddSet(found, spec) => name(found).and_then(|()| set(spec)),
        Op::AddRule(chain, added) => name(chain).and_then(|()| rule(added)),
        Op::DeleteElements(_, elements) => {
            let lengths = lengths.ok_or("there is no such set")?;
            elements.iter().try_for_each(|element| {
                if element.key.is_empty() {
                    return Ok(());
                }
                bytes("key", &element.key, lengths.key)
            })
        }
        Op::AddElements(_, elements) => {
            let lengths = lengths.ok_or("there is no such set")?;
            elements
                .iter()
                .try_for_each(|added| element(added, lengths))
        }
    }
}

fn name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
        return Err(format!("a name has 1 to {MAX_NAME} bytes and no zero"));
    }
    Ok(())
}

fn comment(comment: Option<&str>) -> Result<(), String> {
    match comment {
        Some(text) if text.len() > MAX_COMMENT || text.contains('\0') => Err(format!(
            "the comment {text:?} is longer than {MAX_COMMENT} bytes or holds a zero"
        )),
        _ => Ok(()),
    }
}

fn set(spec: &SetSpec) -> Result<(), String> {
    let value: &[_] = match &spec.value {
        SetValue::Fields(fields) if fields.is_empty() => {
            return Err("a map's values need a field".to_owned());
        }
        SetValue::Fields(fields) => fields,
        SetValue::None | SetValue::Verdict => &[],
    };
    if spec.key.is_empty() || spec.key.len() > MAX_FIELDS || value.len() > MAX_FIELDS {
        return Err(format!("keys and values have 1 to {MAX_FIELDS} fields"));
    }
    if spec.dynamic && spec.size == 0 {
        return Err("a dynamic set needs a size, or rules cannot add to it".to_owned());
    }
    if spec.dynamic && spec.value == SetValue::Verdict {
        return Err("rules cannot add verdicts to a set".to_owned());
    }
    Ok(())
}

fn rule(rule: &Rule) -> Result<(), String> {
    comment(rule.comment.as_deref())?;
    if rule.exprs.is_empty() || rule.exprs.len() > MAX_EXPRS {
        return Err(format!("a rule has 1 to {MAX_EXPRS} steps"));
    }
    rule.exprs.iter().enumerate().try_for_each(|(at, step)| {
        expr(step)
            .map_err(|reason| format!("step {} ({}): {reason}", at + 1, super::expr::name(step)))
    })
}

fn expr(expr: &Expr) -> Result<(), String> {
    match expr {
        Expr::Foreign(_) => Err("is somebody else's and cannot be planned".to_owned()),
        Expr::Immediate { dreg, data } => data_in(*dreg, data, data.len()),
        Expr::Cmp {
            sreg, data, len, ..
        } => data_in(*sreg, data, usize::from(*len)),
        Expr::Bitwise {
            dreg,
            mask,
            xor,
            len,
            ..
        } => data_in(*dreg, mask, usize::from(*len))
            .and_then(|()| data_in(*dreg, xor, usize::from(*len))),
        Expr::Random { modulus: 0, .. } | Expr::Hash { modulus: 0, .. } => {
            Err("the modulus is zero".to_owned())
        }
        _ => Ok(()),
    }
}

fn data_in(reg: Reg, data: &Data, len: usize) -> Result<(), String> {
    if len == 0 || len > data.len() || usize::from(reg.0) * 4 + len > 64 {
        return Err(format!(
            "{len} bytes from register {} on, of {data:?}",
            reg.0
        ));
    }
    Ok(())
}

fn element(element: &Element, lengths: Lengths) -> Result<(), String> {
    bytes("key", &element.key, lengths.key)?;
    if let Value::Data(value) = &element.value {
        bytes("value", value, lengths.value)?;
    }
    comment(element.comment.as_deref())
}

fn bytes(what: &str, data: &Data, len: usize) -> Result<(), String> {
    if data.len() != len.next_multiple_of(4) {
        return Err(format!(
            "the {what} {data:?} has {} bytes, not {len}",
            data.len()
        ));
    }
    Ok(())
}
