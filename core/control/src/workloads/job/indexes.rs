//! Sets of indexes, as text `0,2-5`.

use super::members::{failed, index, succeeded};
use super::spec::Job;
use crate::pods::Pod;
use std::collections::{BTreeMap, BTreeSet};

/// Some indexes.
pub(super) type Indexes = BTreeSet<i64>;

/// Reads `0,2-5`; what cannot be read is passed over, and what is not below `most`.
pub(super) fn parse(text: &str, most: i64) -> Indexes {
    let mut found = Indexes::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (Ok(from), Ok(to)) = (from.parse::<i64>(), to.parse::<i64>()) else {
            continue;
        };
        found.extend(from.max(0)..(to + 1).min(most));
    }
    found
}

/// Writes them as text; two in a row stand alone, more become a range.
pub(super) fn print(indexes: &Indexes) -> String {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for index in indexes {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == *index => *to = *index,
            _ => ranges.push((*index, *index)),
        }
    }
    let texts: Vec<String> = ranges
        .into_iter()
        .map(|(from, to)| match to - from {
            0 => from.to_string(),
            1 => format!("{from},{to}"),
            _ => format!("{from}-{to}"),
        })
        .collect();
    texts.join(",")
}

/// Indexes that are done: those in the status, and those of Pods that succeeded.
pub(super) fn done(job: &Job, pods: &[Pod]) -> Indexes {
    let most = job.spec.completions.unwrap_or(0);
    let mut found = parse(&job.status.completed_indexes, most);
    let succeeded = pods.iter().filter(|pod| succeeded(pod));
    found.extend(succeeded.filter_map(|pod| index(job, pod)));
    found
}

/// Indexes that failed more often than they may; `None` when there is no such limit.
pub(super) fn exhausted(job: &Job, pods: &[Pod]) -> Option<Indexes> {
    let limit = job.spec.backoff_limit_per_index?;
    let most = job.spec.completions.unwrap_or(0);
    let before = job.status.failed_indexes.as_deref().unwrap_or_default();
    let mut found = parse(before, most);
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    for index in pods
        .iter()
        .filter(|pod| failed(job, pod))
        .filter_map(|pod| index(job, pod))
    {
        *counts.entry(index).or_insert(0) += 1;
    }
    let over = counts.into_iter().filter(|(_, count)| *count > limit);
    found.extend(over.map(|(index, _)| index));
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        for (text, want) in [
            ("", ""),
            ("0,1,2,4", "0-2,4"),
            ("0-1,3", "0,1,3"),
            ("x,7-3,2", "2"),
            ("3-99", "3-9"),
        ] {
            assert_eq!(print(&parse(text, 10)), want, "{text}");
        }
    }
}
