//! Sets without their elements.

use crate::netlink::{Attrs, Message};
use crate::nftables::types;
use crate::nftables::wire::{self, NFGENMSG, set};
use nft::{Name, SetSpec, SetValue};
use std::sync::Arc;

/// A set as the kernel has it.
#[derive(Clone, Debug)]
pub(in crate::nftables) struct ReadSet {
    pub(in crate::nftables) name: Name,
    /// `None` for a set of a kind that no plan has
    pub(in crate::nftables) spec: Option<SetSpec>,
    /// Number of its elements, where the kernel tells it
    pub(in crate::nftables) count: Option<u32>,
}

impl ReadSet {
    /// Its specification; for one that no plan has, something that no plan has either.
    pub(in crate::nftables) fn into_spec(self) -> SetSpec {
        self.spec.unwrap_or_else(foreign)
    }
}

/// A specification that no plan has.
pub(in crate::nftables) fn foreign() -> SetSpec {
    SetSpec {
        key: Arc::new([]),
        value: SetValue::None,
        dynamic: true,
        timeout_ms: 0,
        size: 0,
        counters: false,
    }
}

/// A set; `None` for those that belong to one rule and go with it.
pub(in crate::nftables) fn set(message: &Message<'_>) -> Option<ReadSet> {
    let attrs = message.attrs(NFGENMSG);
    let flags = number(attrs, set::FLAGS);
    if flags & set::F_ANONYMOUS != 0 {
        return None;
    }
    Some(ReadSet {
        name: attrs.find(set::NAME)?.text()?.into(),
        spec: spec(attrs, flags),
        count: attrs.find(set::COUNT).and_then(|count| count.be32()),
    })
}

fn number(attrs: Attrs<'_>, kind: u16) -> u32 {
    let attr = attrs.find(kind);
    attr.and_then(|attr| attr.be32()).unwrap_or_default()
}

fn spec(attrs: Attrs<'_>, flags: u32) -> Option<SetSpec> {
    let known = set::F_MAP | set::F_TIMEOUT | set::F_EVAL | set::F_EXPR;
    let timeout = attrs.find(set::TIMEOUT).and_then(|attr| attr.be64());
    let timeout_ms = timeout.unwrap_or_default();
    let dynamic = flags & set::F_EVAL != 0;
    let expires = flags & set::F_TIMEOUT != 0;
    if flags & !known != 0 || expires != (dynamic || timeout_ms != 0) {
        return None;
    }
    let key = types::fields(number(attrs, set::KEY_TYPE))?;
    if types::len(&key) != number(attrs, set::KEY_LEN) {
        return None;
    }
    let size = attrs
        .find(set::DESC)
        .map_or(0, |described| number(described.nested(), set::DESC_SIZE));
    Some(SetSpec {
        key,
        value: value(attrs, flags)?,
        dynamic,
        timeout_ms,
        size,
        counters: counters(attrs)?,
    })
}

fn value(attrs: Attrs<'_>, flags: u32) -> Option<SetValue> {
    if flags & set::F_MAP == 0 {
        return Some(SetValue::None);
    }
    match number(attrs, set::DATA_TYPE) {
        set::TYPE_VERDICT => Some(SetValue::Verdict),
        kind => {
            let fields = types::fields(kind)?;
            let whole = types::len(&fields) == number(attrs, set::DATA_LEN);
            whole.then_some(SetValue::Fields(fields))
        }
    }
}

/// Whether elements count; `None` when they do something else.
fn counters(attrs: Attrs<'_>) -> Option<bool> {
    if attrs.find(set::EXPRESSIONS).is_some() {
        return None;
    }
    let Some(expr) = attrs.find(set::EXPR) else {
        return Some(false);
    };
    let name = expr.nested().find(wire::expr::NAME)?.text()?;
    (name == "counter").then_some(true)
}
