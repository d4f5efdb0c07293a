//! What the kernel tells of a table, as values. What no plan could have made comes out as
//! something that equals no plan, so that it is seen and repaired.

mod element;
mod expr;
mod set;

pub(super) use element::{Extra, elements, key};
pub(super) use set::{ReadSet, foreign as foreign_set, set};

use super::encode;
use super::userdata::read_comment;
use super::wire::{self, NFGENMSG, chain, data, msg, rule, table};
use crate::netlink::{Attrs, Message};
use nft::{Base, Chain, ChainKind, Data, Hook, Name, Rule, Verdict};

/// Flags of a table.
pub(super) fn table_flags(message: &Message<'_>) -> u32 {
    let flags = message.attrs(NFGENMSG).find(table::FLAGS);
    flags.and_then(|flags| flags.be32()).unwrap_or_default()
}

/// Name of the table that a message is about; all kinds have it in the same place.
pub(super) fn table_of<'a>(message: &Message<'a>) -> Option<&'a str> {
    message.attrs(NFGENMSG).find(table::NAME)?.text()
}

/// Whether a message is about elements of a set.
pub(super) fn about_elements(message: &Message<'_>) -> bool {
    matches!(message.kind, msg::NEWSETELEM | msg::DELSETELEM)
}

/// A chain without its rules.
pub(super) fn chain(message: &Message<'_>) -> Option<(Name, Chain)> {
    let attrs = message.attrs(NFGENMSG);
    let flags = attrs.find(chain::FLAGS).and_then(|flags| flags.be32());
    if flags.unwrap_or_default() & chain::BINDING != 0 {
        return None;
    }
    let name = attrs.find(chain::NAME)?.text()?;
    let found = Chain {
        base: base(attrs),
        rules: Vec::new(),
    };
    Some((name.into(), found))
}

/// How a chain is bound; `None` too for what no plan has, such as another policy, which differs
/// from every planned base.
fn base(attrs: Attrs<'_>) -> Option<Base> {
    let bound = attrs.find(chain::HOOK)?.nested();
    let number = bound.find(chain::HOOK_NUM)?.be32()?;
    let priority = bound.find(chain::HOOK_PRIORITY)?.be32()?;
    let kind = attrs.find(chain::TYPE)?.text()?;
    let policy = attrs.find(chain::POLICY)?.be32()?;
    let hook = [
        Hook::Prerouting,
        Hook::Input,
        Hook::Forward,
        Hook::Output,
        Hook::Postrouting,
    ]
    .into_iter()
    .find(|known| encode::hook(*known) == number)?;
    let kind = [ChainKind::Filter, ChainKind::Nat]
        .into_iter()
        .find(|known| encode::kind(*known) == kind)?;
    (policy == chain::ACCEPT).then_some(Base {
        kind,
        hook,
        priority: priority as i32,
    })
}

/// A rule and its chain.
pub(super) fn rule(message: &Message<'_>) -> Option<(Name, Rule)> {
    let attrs = message.attrs(NFGENMSG);
    let chain = attrs.find(rule::CHAIN)?.text()?;
    let steps = attrs.find(rule::EXPRESSIONS)?.nested();
    let comment = attrs.find(rule::USERDATA);
    let found = Rule {
        exprs: steps.map(|step| expr::expr(step.nested())).collect(),
        comment: comment
            .and_then(|bytes| read_comment(bytes.data))
            .map(Into::into),
    };
    Some((chain.into(), found))
}

/// Packets and bytes of counter expressions.
pub(super) fn counter(expr: Attrs<'_>) -> Option<super::Counter> {
    if expr.find(wire::expr::NAME)?.text()? != "counter" {
        return None;
    }
    let parameters = expr.find(wire::expr::DATA)?.nested();
    Some(super::Counter {
        packets: parameters.find(wire::expr::COUNTER_PACKETS)?.be64()?,
        bytes: parameters.find(wire::expr::COUNTER_BYTES)?.be64()?,
    })
}

/// Bytes of `struct nft_data`.
fn value<'a>(attrs: Attrs<'a>, kind: u16) -> Option<&'a [u8]> {
    let value = attrs.find(kind)?.nested().find(data::VALUE)?;
    Some(value.data)
}

/// The same, in registers.
fn registers(attrs: Attrs<'_>, kind: u16) -> Option<(Data, u8)> {
    let bytes = value(attrs, kind)?;
    let len = u8::try_from(bytes.len()).ok()?;
    (bytes.len() <= nft::MAX_DATA).then(|| (Data::new(bytes), len))
}

/// Verdict of `struct nft_data`.
fn verdict(attrs: Attrs<'_>, kind: u16) -> Option<Verdict> {
    let verdict = attrs.find(kind)?.nested().find(data::VERDICT)?.nested();
    let chain = || Some(verdict.find(data::CHAIN)?.text()?.into());
    match verdict.find(data::CODE)?.be32()? as i32 {
        data::ACCEPT => Some(Verdict::Accept),
        data::DROP => Some(Verdict::Drop),
        data::RETURN => Some(Verdict::Return),
        data::JUMP => Some(Verdict::Jump(chain()?)),
        data::GOTO => Some(Verdict::Goto(chain()?)),
        _ => None,
    }
}
