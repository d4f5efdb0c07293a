//! Elements of sets as attributes.

use crate::netlink::Writer;
use crate::nftables::types::Lengths;
use crate::nftables::userdata;
use crate::nftables::wire::{LIST_ELEM, data, elem, msg};
use nft::{Element, Value, Verdict};

/// `NFT_SET_ELEM_CATCHALL`
const CATCHALL: u32 = 2;

/// One element of a list; for removal only its key counts.
pub(super) fn element(writer: &mut Writer, element: &Element, kind: u16, lengths: Lengths) {
    writer.nest(LIST_ELEM, |writer| {
        let key = element.key.as_slice();
        match key.is_empty() {
            // No plan has it: it stands for everything that is not in the set.
            true => writer.be32(elem::FLAGS, CATCHALL),
            false => data_value(writer, elem::KEY, cut(key, lengths.key)),
        }
        if kind != msg::NEWSETELEM {
            return;
        }
        match &element.value {
            Value::None => {}
            Value::Data(value) => {
                data_value(writer, elem::DATA, cut(value.as_slice(), lengths.value));
            }
            Value::Verdict(value) => {
                writer.nest(elem::DATA, |writer| verdict(writer, value));
            }
        }
        if element.timeout_ms != 0 {
            writer.be64(elem::TIMEOUT, element.timeout_ms);
        }
        if let Some(comment) = &element.comment {
            writer.attr(elem::USERDATA, &userdata::comment(comment));
        }
    });
}

/// Registers are filled up to four bytes, single short fields of sets are not.
fn cut(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(..len).unwrap_or(bytes)
}

/// A value as `struct nft_data`.
pub(in crate::nftables) fn data_value(writer: &mut Writer, kind: u16, value: &[u8]) {
    writer.nest(kind, |writer| writer.attr(data::VALUE, value));
}

/// A verdict, within `struct nft_data`.
pub(in crate::nftables) fn verdict(writer: &mut Writer, verdict: &Verdict) {
    let (code, chain) = match verdict {
        Verdict::Accept => (data::ACCEPT, None),
        Verdict::Drop => (data::DROP, None),
        Verdict::Return => (data::RETURN, None),
        Verdict::Jump(chain) => (data::JUMP, Some(chain)),
        Verdict::Goto(chain) => (data::GOTO, Some(chain)),
    };
    writer.nest(data::VERDICT, |writer| {
        writer.be32(data::CODE, code as u32);
        if let Some(chain) = chain {
            writer.text(data::CHAIN, chain);
        }
    });
}
