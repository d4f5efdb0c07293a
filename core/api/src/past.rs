//! Objects as of a version: those of now, with the changes since undone.

use crate::state::{State, place};
use model::{Event, Object, Resource};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Objects of one resource as of a version. Reading a part costs what the part costs, and what
/// changed since.
pub(crate) struct Past<'a> {
    state: &'a State,
    resource: Resource,
    /// What stood at a place then, where something else stands now
    undone: BTreeMap<String, Option<&'a Arc<Object>>>,
}

impl<'a> Past<'a> {
    /// The present.
    pub(crate) fn now(state: &'a State, resource: Resource) -> Self {
        Self {
            state,
            resource,
            undone: BTreeMap::new(),
        }
    }

    /// The time before `events`, which come newest first.
    pub(crate) fn before(
        state: &'a State,
        resource: Resource,
        events: impl Iterator<Item = &'a Event>,
    ) -> Self {
        let mut past = Self::now(state, resource);
        for event in events {
            let meta = &event.object.meta;
            let place = place(&meta.namespace, &meta.name);
            past.undone.insert(place, event.old.as_ref());
        }
        past
    }

    /// Objects in the order of lists, of a namespace or of all, from a place in it on.
    pub(crate) fn range(
        &self,
        namespace: Option<&str>,
        start: &str,
    ) -> impl Iterator<Item = (&str, &'a Arc<Object>)> {
        let prefix = namespace.map_or(String::new(), |namespace| format!("{namespace}/"));
        let from = format!("{prefix}{start}");
        let now = self.state.range_from(self.resource, &from);
        let now = now.map(|(place, object)| (&**place, Some(object)));
        let then = self.undone.range(from..);
        let then = then.map(|(place, object)| (place.as_str(), *object));
        merge(now, then)
            .take_while(move |(place, _)| place.starts_with(&prefix))
            .filter_map(|(place, object)| Some((place, object?)))
    }
}

/// Both in order; what `over` says of a place counts.
fn merge<'p, T>(
    under: impl Iterator<Item = (&'p str, T)>,
    over: impl Iterator<Item = (&'p str, T)>,
) -> impl Iterator<Item = (&'p str, T)> {
    let (mut under, mut over) = (under.peekable(), over.peekable());
    std::iter::from_fn(move || {
        let below = under.peek().map(|(place, _)| *place);
        match (below, over.peek().map(|(place, _)| *place)) {
            (Some(below), Some(above)) if below < above => under.next(),
            (Some(below), Some(above)) => {
                if below == above {
                    under.next();
                }
                over.next()
            }
            (Some(_), None) => under.next(),
            (None, _) => over.next(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_over_counts() {
        let under = [("a", 1), ("b", 2), ("d", 4)];
        let over = [("b", 20), ("c", 30), ("e", 50)];
        let merged: Vec<_> = merge(under.into_iter(), over.into_iter()).collect();
        assert_eq!(
            merged,
            [("a", 1), ("b", 20), ("c", 30), ("d", 4), ("e", 50)]
        );
    }
}
