//! Elements of sets.

use crate::netlink::{Attrs, Message};
use crate::nftables::Counter;
use crate::nftables::decode::{counter, registers, value, verdict};
use crate::nftables::userdata::read_comment;
use crate::nftables::wire::{LIST_ELEM, NFGENMSG, elem};
use nft::{Data, Element, SetSpec, SetValue, Value};

/// What an element has besides what was planned.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::nftables) struct Extra {
    /// Milliseconds until it passes away
    pub(in crate::nftables) expires_ms: Option<u64>,
    /// What it counted
    pub(in crate::nftables) counter: Option<Counter>,
}

/// The elements of one message.
pub(in crate::nftables) fn elements<'a>(
    message: &Message<'a>,
    spec: &'a SetSpec,
) -> impl Iterator<Item = (Element, Extra)> + 'a {
    let list = message.attrs(NFGENMSG).find(elem::ELEMENTS);
    let list = list.map_or(Attrs::new(&[]), |list| list.nested());
    list.filter_map(|element| element_of(element.nested(), spec))
}

fn element_of(attrs: Attrs<'_>, spec: &SetSpec) -> Option<(Element, Extra)> {
    let value = match &spec.value {
        SetValue::None => Value::None,
        SetValue::Verdict => Value::Verdict(verdict(attrs, elem::DATA)?),
        SetValue::Fields(_) => Value::Data(registers(attrs, elem::DATA)?.0),
    };
    let timeout = attrs.find(elem::TIMEOUT).and_then(|attr| attr.be64());
    let comment = attrs.find(elem::USERDATA);
    let element = Element {
        // Without a key it stands for all that is not in the set, which no plan has.
        key: key(attrs).unwrap_or(Data::EMPTY),
        value,
        comment: comment
            .and_then(|bytes| read_comment(bytes.data))
            .map(Into::into),
        timeout_ms: timeout
            .filter(|timeout| *timeout != spec.timeout_ms)
            .unwrap_or_default(),
    };
    let counting = attrs.find(elem::EXPR).map(|expr| expr.nested());
    let counting = counting.or_else(|| {
        let list = attrs.find(elem::EXPRESSIONS)?.nested();
        Some(list.find(LIST_ELEM)?.nested())
    });
    let extra = Extra {
        expires_ms: attrs.find(elem::EXPIRATION).and_then(|attr| attr.be64()),
        counter: counting.and_then(counter),
    };
    Some((element, extra))
}

/// Key of an element.
pub(in crate::nftables) fn key(element: Attrs<'_>) -> Option<Data> {
    let bytes = value(element, elem::KEY)?;
    (bytes.len() <= nft::MAX_DATA).then(|| Data::new(bytes))
}
