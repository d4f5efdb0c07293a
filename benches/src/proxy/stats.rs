//! Medians and percentiles.

use std::time::Duration;

/// Half and all but one in a hundred are below these.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) worst: f64,
}

/// Of times, in microseconds.
pub(super) fn spread(times: &[Duration]) -> Spread {
    let mut sorted: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |part: f64| {
        let index = (sorted.len() as f64 * part) as usize;
        sorted
            .get(index.min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    Spread {
        p50: at(0.5),
        p99: at(0.99),
        worst: at(1.0),
    }
}

/// The middle one.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Milliseconds.
pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
