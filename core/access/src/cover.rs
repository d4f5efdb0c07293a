//! Whether some rules grant all that others do.
//!
//! Source: `component-helpers/auth/rbac/validation/policy_comparator.go`,
//! `pkg/registry/rbac/validation/policy_compact.go`.

use crate::Rule;
use crate::rule::{has, has_or_any, path_matches};
use std::collections::BTreeMap;

/// A rule that stands for more pieces is compared as a whole, so that no request costs for long.
const MOST_PIECES: usize = 10_000;

/// The smallest rules among `wanted` that `owned` does not grant.
pub(crate) fn uncovered(owned: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let pieces = wanted.iter().flat_map(pieces);
    let missing = pieces.filter(|piece| !owned.iter().any(|rule| covers(rule, piece)));
    missing.collect()
}

/// Rules with one verb, one resource and one name each that together say the same.
fn pieces(rule: &Rule) -> Vec<Rule> {
    let lists = [&rule.api_groups, &rule.resources, &rule.resource_names];
    let count = lists.iter().fold(rule.verbs.len(), |n, list| {
        n.saturating_mul(list.len().max(1))
    });
    if count > MOST_PIECES || rule.non_resource_urls.len() > MOST_PIECES {
        return vec![rule.clone()];
    }
    let mut all = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let piece = Rule {
                    api_groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    verbs: vec![verb.clone()],
                    ..Rule::default()
                };
                let named = rule.resource_names.iter().map(|name| Rule {
                    resource_names: vec![name.clone()],
                    ..piece.clone()
                });
                all.extend(named);
                if rule.resource_names.is_empty() {
                    all.push(piece);
                }
            }
        }
    }
    for url in &rule.non_resource_urls {
        all.extend(rule.verbs.iter().map(|verb| Rule {
            non_resource_urls: vec![url.clone()],
            verbs: vec![verb.clone()],
            ..Rule::default()
        }));
    }
    all
}

fn covers(owner: &Rule, piece: &Rule) -> bool {
    let all = |list: &[String], owned: &[String]| list.iter().all(|item| has_or_any(owned, item));
    let resources = piece.resources.iter().all(|resource| {
        has_or_any(&owner.resources, resource)
            || resource
                .split_once('/')
                .is_some_and(|(_, sub)| has(&owner.resources, &format!("*/{sub}")))
    });
    let names = match piece.resource_names.is_empty() {
        _ if owner.resource_names.is_empty() => true,
        true => false,
        false => piece
            .resource_names
            .iter()
            .all(|name| has(&owner.resource_names, name)),
    };
    let urls = piece.non_resource_urls.iter();
    let mut urls = urls.map(|url| {
        owner
            .non_resource_urls
            .iter()
            .any(|own| path_matches(own, url))
    });
    all(&piece.verbs, &owner.verbs)
        && all(&piece.api_groups, &owner.api_groups)
        && resources
        && names
        && urls.all(|covered| covered)
}

/// Puts the verbs of pieces about the same resource into one rule.
pub(crate) fn compact(pieces: Vec<Rule>) -> Vec<Rule> {
    let mut by_target: BTreeMap<Rule, Vec<String>> = BTreeMap::new();
    let mut others = Vec::new();
    for mut piece in pieces {
        if piece.non_resource_urls.is_empty() {
            let verbs = std::mem::take(&mut piece.verbs);
            by_target.entry(piece).or_default().extend(verbs);
        } else {
            others.push(piece);
        }
    }
    let merged = by_target
        .into_iter()
        .map(|(rule, verbs)| Rule { verbs, ..rule });
    others.extend(merged);
    others
}
