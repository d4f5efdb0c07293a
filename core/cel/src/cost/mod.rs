//! What expressions cost at most, from the sizes that their declarations bound.
//!
//! Which rules a CustomResourceDefinition may have hangs on these figures, so they are the API
//! server's own. They bound what `eval::cost` counts.

mod calls;
mod estimate;
mod libraries;
mod lists;
mod sizes;

pub(crate) use estimate::estimate;

/// Bounds of a cost, in the API server's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostEstimate {
    /// At least.
    pub min: u64,
    /// At most; `u64::MAX` when nothing bounds it.
    pub max: u64,
}

/// Bounds of a size: characters, octets, items or entries.
pub(crate) type Size = CostEstimate;

impl CostEstimate {
    pub(crate) const ZERO: CostEstimate = CostEstimate::fixed(0);
    pub(crate) const ONE: CostEstimate = CostEstimate::fixed(1);

    /// Nothing is known.
    pub(crate) const UNKNOWN: CostEstimate = CostEstimate {
        min: 0,
        max: u64::MAX,
    };

    /// What any other bound widens to itself.
    pub(crate) const NONE: CostEstimate = CostEstimate {
        min: u64::MAX,
        max: 0,
    };

    pub(crate) const fn fixed(of: u64) -> CostEstimate {
        CostEstimate { min: of, max: of }
    }

    pub(crate) const fn new(min: u64, max: u64) -> CostEstimate {
        CostEstimate { min, max }
    }

    pub(crate) fn plus(self, other: CostEstimate) -> CostEstimate {
        CostEstimate {
            min: self.min.saturating_add(other.min),
            max: self.max.saturating_add(other.max),
        }
    }

    pub(crate) fn times(self, other: CostEstimate) -> CostEstimate {
        CostEstimate {
            min: self.min.saturating_mul(other.min),
            max: self.max.saturating_mul(other.max),
        }
    }

    /// Scaled, rounded up.
    pub(crate) fn scaled(self, factor: f64) -> CostEstimate {
        CostEstimate {
            min: scale(self.min, factor),
            max: scale(self.max, factor),
        }
    }

    /// What encloses both.
    pub(crate) fn or(self, other: CostEstimate) -> CostEstimate {
        CostEstimate {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

fn scale(of: u64, factor: f64) -> u64 {
    // A float that is too large becomes the largest integer.
    (of as f64 * factor).ceil() as u64
}
