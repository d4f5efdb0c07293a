//! Endpoints that are gone, whose TCP connections are reset when the node's settings say so.

use super::NodeSettings;
use super::draft::Draft;
use super::endpoints::At;
use super::entry::Entry;
use super::items::{bare, endpoint_data};
use super::sets::{GONE_MS, SetId, set_name};
use super::skeleton::FAMILIES;
use super::steps::family_of;
use model::Protocol;
use nft::{Element, Op};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most endpoints that are marked at a time; less than the kernel's set takes.
const MOST: usize = 60_000;

/// Which endpoints any Service has, and which are marked as gone.
#[derive(Default)]
pub(super) struct Gone {
    on: bool,
    counts: BTreeMap<At, u32>,
    touched: BTreeMap<At, bool>,
    marked: BTreeSet<At>,
    order: VecDeque<At>,
}

impl Gone {
    /// Takes in what became of one Service. An endpoint that another Service still has, or that is
    /// terminating, is in its slices and so not gone.
    pub(super) fn change(&mut self, before: &Entry, after: &Entry, settings: &NodeSettings) {
        if self.on != settings.reset_removed {
            *self = Self::default();
            self.on = settings.reset_removed;
        }
        if !self.on {
            return;
        }
        for at in before.ports.iter().flat_map(|port| &port.known) {
            self.touch(*at);
            if let Some(count) = self.counts.get_mut(at) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(at);
                }
            }
        }
        for at in after.ports.iter().flat_map(|port| &port.known) {
            self.touch(*at);
            *self.counts.entry(*at).or_default() += 1;
        }
    }

    fn touch(&mut self, at: At) {
        let known = self.counts.contains_key(&at);
        self.touched.entry(at).or_insert(known);
    }

    /// Marks what went, unmarks what came back.
    pub(super) fn settle(&mut self, draft: &mut Draft) {
        if self.touched.is_empty() {
            return;
        }
        let mut mark = Vec::new();
        let mut unmark = Vec::new();
        for (at, before) in std::mem::take(&mut self.touched) {
            match (before, self.counts.contains_key(&at)) {
                (true, false) => mark.push(at),
                (false, true) if self.marked.remove(&at) => unmark.push(at),
                _ => {}
            }
        }
        for at in &mark {
            self.marked.insert(*at);
            self.order.push_back(*at);
        }
        while self.order.len() > MOST {
            let oldest = self.order.pop_front();
            unmark.extend(oldest.filter(|at| self.marked.remove(at)));
        }
        mark.retain(|at| self.marked.contains(at));
        steps(mark, unmark, draft);
    }
}

fn steps(mark: Vec<At>, unmark: Vec<At>, draft: &mut Draft) {
    for family in FAMILIES {
        let of = |all: &[At]| -> Vec<Element> {
            let ours = all.iter().filter(|at| family_of(at.ip) == family);
            let element = |at: &At| Element {
                timeout_ms: GONE_MS,
                ..bare(endpoint_data(*at, Protocol::Tcp))
            };
            ours.map(element).collect()
        };
        let set = set_name(SetId::Gone, family);
        let (mark, unmark) = (of(&mark), of(&unmark));
        if !unmark.is_empty() {
            // The element may have passed away by itself, and the kernel refuses to remove what is
            // not there: put it in first.
            draft
                .rules
                .push(Op::AddElements(set.clone(), unmark.clone()));
            draft.rules.push(Op::DeleteElements(set.clone(), unmark));
        }
        if !mark.is_empty() {
            draft.rules.push(Op::AddElements(set, mark));
        }
    }
}
