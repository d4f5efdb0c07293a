//! Unequal shares of a Service's traffic, by annotation.

use super::endpoints::{At, Member};
use model::{Endpoint, EndpointSlice, Problem, Service};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Annotation of a Service: `pod-name=3,10.0.0.7=1`.
pub const WEIGHTS: &str = "portolan.dev/weights";
/// Annotation of an EndpointSlice: `3`, for each of its endpoints.
pub const WEIGHT: &str = "portolan.dev/weight";
/// Largest weight.
const MOST: u16 = 100;
/// Most slots that one Service port takes for the sake of weights.
const SLOTS: usize = 1024;

/// Weights by name of Pod or by address.
#[derive(Default)]
pub(super) struct Weights<'a> {
    by_name: BTreeMap<&'a str, u16>,
}

impl<'a> Weights<'a> {
    /// Reads the Service's annotation; tells of what cannot be read.
    pub(super) fn of_service(service: &'a Service, mut problem: impl FnMut(String)) -> Self {
        let mut weights = Self::default();
        let Some(text) = service.meta.annotations.get(WEIGHTS) else {
            return weights;
        };
        let entries = text.split(',').map(str::trim);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            let parts = entry.split_once('=');
            match parts.and_then(|(name, number)| Some((name.trim(), weight(number)?))) {
                Some((name, weight)) if !name.is_empty() => {
                    weights.by_name.insert(name, weight);
                }
                _ => problem(entry.to_owned()),
            }
        }
        weights
    }

    /// The weight that a slice gives to its endpoints.
    pub(super) fn of_slice(slice: &EndpointSlice) -> Option<u16> {
        weight(slice.meta.annotations.get(WEIGHT)?)
    }

    /// The weight of an endpoint, by its Pod or by its address.
    pub(super) fn of(&self, endpoint: &Endpoint, ip: IpAddr) -> Option<u16> {
        if self.by_name.is_empty() {
            return None;
        }
        let pod = endpoint
            .target
            .as_ref()
            .filter(|target| target.kind == "Pod");
        let by_pod = pod.and_then(|pod| self.by_name.get(pod.name.as_str()));
        let by_address = || self.by_name.get(ip.to_string().as_str());
        by_pod.or_else(by_address).copied()
    }
}

fn weight(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|weight| *weight <= MOST)
}

/// Tells of a slice whose weight cannot be read.
pub(super) fn slice_problem(slice: &EndpointSlice) -> Option<Problem> {
    let text = slice.meta.annotations.get(WEIGHT)?;
    weight(text).is_none().then(|| Problem {
        object: model::ObjectKey {
            resource: model::Resource::ENDPOINT_SLICES,
            namespace: slice.id.namespace.clone(),
            name: slice.id.name.clone(),
        },
        field: format!("metadata.annotations[{WEIGHT}]"),
        severity: model::Severity::Warning,
        reason: "InvalidWeight",
        message: format!("{text:?} is no weight; endpoints of the slice count once."),
        cure: cure(),
    })
}

/// What to do about a wrong weight.
pub(super) fn cure() -> String {
    format!("Write a whole number from 0 to {MOST}.")
}

/// Whether all have the same share, as nearly all have.
pub(super) fn is_even(members: &[Member]) -> bool {
    let first = members.first().map(|member| member.weight);
    members.iter().all(|member| Some(member.weight) == first)
}

/// Endpoints by slot, each as often as its weight says. Those of weight zero get nothing, unless
/// all are.
pub(super) fn slots(members: &[Member]) -> Vec<At> {
    let reduced = reduced(members);
    let times = members.iter().zip(reduced);
    times
        .flat_map(|(member, times)| std::iter::repeat_n(member.at, times))
        .collect()
}

/// Weights without their common divisor, their sum at most [`SLOTS`] (or one for each).
pub(super) fn reduced(members: &[Member]) -> Vec<usize> {
    let mut weights: Vec<usize> = members.iter().map(|m| usize::from(m.weight)).collect();
    let divisor = weights.iter().copied().fold(0, gcd);
    if divisor == 0 {
        return vec![1; members.len()];
    }
    weights.iter_mut().for_each(|weight| *weight /= divisor);
    let sum: usize = weights.iter().sum();
    if sum > SLOTS.max(members.len()) {
        for weight in weights.iter_mut().filter(|weight| **weight > 0) {
            *weight = (*weight * SLOTS / sum).max(1);
        }
    }
    weights
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
