//! Distribution of endpoints over slices with as few writes as possible.

use super::ports::{self, Port};
use crate::fields::{elements, text};
use model::Object;
use serde_json::Value;
use std::collections::BTreeMap;

/// Endpoints per slice, as `--max-endpoints-per-slice` has it by default.
pub(super) const MAX_PER_SLICE: usize = 100;

/// What makes an endpoint the same one: addresses, host name and target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity(Vec<String>, String, String, String);

/// Identity of an element of `endpoints`.
pub(super) fn identity(endpoint: &Value) -> Identity {
    let addresses = elements(endpoint, "/addresses").iter();
    let mut addresses: Vec<String> = addresses
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect();
    addresses.sort();
    let of = |pointer| text(endpoint, pointer).to_owned();
    Identity(
        addresses,
        of("/hostname"),
        of("/targetRef/namespace"),
        of("/targetRef/name"),
    )
}

/// One stored slice, opened.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    /// Name, version and the rest
    pub(super) value: Value,
    /// `addressType`
    pub(super) family: String,
    /// `ports`, sorted
    pub(super) ports: Vec<Port>,
    /// `endpoints`
    pub(super) endpoints: Vec<Value>,
}

impl Slice {
    /// Opens a stored slice.
    pub(super) fn open(object: &Object) -> Self {
        let value = object.value();
        Self {
            family: text(&value, "/addressType").to_owned(),
            ports: ports::sorted(ports::parse_all(elements(&value, "/ports"))),
            endpoints: elements(&value, "/endpoints").to_vec(),
            value,
        }
    }

    /// `metadata.name`
    pub(super) fn name(&self) -> &str {
        text(&self.value, "/metadata/name")
    }
}

/// What becomes of the slices of one set of ports.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// Slices with their new endpoints, or with new labels only
    pub(super) update: Vec<Slice>,
    /// Slices that stay as they are
    pub(super) keep: Vec<Slice>,
    /// Slices that no endpoint is left in
    pub(super) delete: Vec<Slice>,
    /// Endpoints of new slices
    pub(super) create: Vec<Vec<Value>>,
}

/// Packs `wanted` into `slices` of one family and port set: first in place, then into slices that
/// change anyway (fullest first), then into one unchanged slice that has the room (fullest first),
/// else into new ones. `stale` tells slices that have to be written for another reason.
pub(super) fn pack(
    slices: Vec<Slice>,
    mut wanted: BTreeMap<Identity, Value>,
    stale: impl Fn(&Slice) -> bool,
) -> Packed {
    let mut packed = Packed::default();
    for mut slice in slices {
        let before = std::mem::take(&mut slice.endpoints);
        let kept: Vec<Value> = before
            .iter()
            .filter_map(|endpoint| wanted.remove(&identity(endpoint)))
            .collect();
        let same = kept == before;
        slice.endpoints = kept;
        if same && !stale(&slice) {
            packed.keep.push(slice);
        } else if slice.endpoints.is_empty() && !same {
            slice.endpoints = before;
            packed.delete.push(slice);
        } else {
            packed.update.push(slice);
        }
    }
    let mut rest: Vec<Value> = wanted.into_values().collect();
    rest.reverse();
    packed
        .update
        .sort_by_key(|slice| usize::MAX - slice.endpoints.len());
    for slice in &mut packed.update {
        fill(&mut slice.endpoints, &mut rest);
    }
    fill_unchanged(&mut packed, &mut rest);
    while !rest.is_empty() {
        let mut endpoints = Vec::new();
        fill(&mut endpoints, &mut rest);
        packed.create.push(endpoints);
    }
    packed
}

fn fill(endpoints: &mut Vec<Value>, rest: &mut Vec<Value>) {
    while endpoints.len() < MAX_PER_SLICE {
        let Some(next) = rest.pop() else { return };
        endpoints.push(next);
    }
}

/// New slices take full loads; only the remainder is worth a change of an unchanged slice.
fn fill_unchanged(packed: &mut Packed, rest: &mut Vec<Value>) {
    while rest.len() >= MAX_PER_SLICE {
        let mut endpoints = Vec::new();
        fill(&mut endpoints, rest);
        packed.create.push(endpoints);
    }
    if rest.is_empty() {
        return;
    }
    let fitting = packed.keep.iter().enumerate();
    let fitting = fitting.filter(|(_, slice)| slice.endpoints.len() + rest.len() <= MAX_PER_SLICE);
    let Some((at, _)) = fitting.max_by_key(|(_, slice)| slice.endpoints.len()) else {
        return;
    };
    let mut slice = packed.keep.remove(at);
    fill(&mut slice.endpoints, rest);
    packed.update.push(slice);
}
