//! Rolling updates: old Pods go a few at a time.

use super::spec::DaemonSet;
use super::step::{Place, Step, create, delete};
use crate::pods::Pod;
use model::Write;

/// Deletes old Pods as far as the strategy lets it, or sets new ones beside them.
pub(super) fn rolling(step: &Step<'_>) -> Vec<Write> {
    let nodes = step.places.iter().filter(|place| place.fit.run).count();
    let nodes = i64::try_from(nodes).unwrap_or(i64::MAX);
    let spec: &DaemonSet = step.set;
    let surge = spec.spec.max_surge(nodes);
    if surge > 0 {
        return surging(step, surge);
    }
    let most = spec.spec.max_unavailable(nodes).max(1);
    let (mut unavailable, mut candidates) = (0, Vec::new());
    let mut writes = Vec::new();
    for place in &step.places {
        let (new, old) = parted(step, place);
        match (new, old) {
            // What is not there yet, or not yet good.
            (None, None) if place.fit.run => unavailable += 1,
            (Some(new), _) if !step.is_available(new) => unavailable += 1,
            (None, Some(old)) if !step.is_available(old) => {
                // It serves nobody, so that it can go at once.
                unavailable += 1;
                writes.extend(delete(step, old));
            }
            (None, Some(old)) => candidates.push(old),
            _ => {}
        }
    }
    let room = usize::try_from(most - unavailable).unwrap_or(0);
    writes.extend(
        candidates
            .into_iter()
            .take(room)
            .flat_map(|old| delete(step, old)),
    );
    writes
}

/// The new Pod and the old Pod of a Node.
fn parted<'a>(step: &Step<'_>, place: &Place<'a>) -> (Option<&'a Pod>, Option<&'a Pod>) {
    let mut alive = place.pods.iter().copied().filter(|pod| !pod.is_terminal());
    let new = alive.clone().find(|pod| step.is_new(pod));
    let old = alive.find(|pod| !step.is_new(pod));
    (new, old)
}

fn surging(step: &Step<'_>, most: i64) -> Vec<Write> {
    let (mut surging, mut writes, mut names) = (0, Vec::new(), Vec::new());
    let mut candidates: Vec<&Place<'_>> = Vec::new();
    for place in &step.places {
        match parted(step, place) {
            (Some(new), Some(old)) => {
                if step.is_available(new) || !old.is_ready() {
                    writes.extend(delete(step, old));
                } else {
                    surging += 1;
                }
            }
            (None, Some(old)) if !step.is_available(old) => {
                writes.extend(create(step, &place.node, &mut names));
            }
            (None, Some(_)) => candidates.push(place),
            _ => {}
        }
    }
    let room = usize::try_from(most - surging).unwrap_or(0);
    for place in candidates.into_iter().take(room) {
        writes.extend(create(step, &place.node, &mut names));
    }
    writes
}
