//! Sizes of ReplicaSets.

use super::KIND;
use super::rollout::Rollout;
use std::cmp::Reverse;

impl Rollout<'_> {
    fn total(&self) -> i64 {
        self.sets.iter().map(|set| set.replicas).sum()
    }

    /// Scales one set and tells so; with `force` its annotations are renewed even when the size
    /// stays. Says whether the size changed.
    pub(super) fn scale_set(&mut self, at: usize, size: i64, force: bool) -> bool {
        let wanted = self.deployment.spec.replicas();
        let max = wanted + self.deployment.spec.max_surge();
        let set = &mut self.sets[at];
        let before = set.replicas;
        if before == size && !force {
            return false;
        }
        if set.set_sizes(wanted, max) {
            set.dirty = true;
        }
        if before == size {
            return false;
        }
        set.set_replicas(size);
        let way = if before < size { "up" } else { "down" };
        let message = format!(
            "Scaled {way} replica set {} from {before} to {size}",
            set.name
        );
        let object = &self.deployment.object;
        let event = KIND.note("Normal", object, "ScalingReplicaSet", message);
        self.notes.push(event);
        true
    }

    /// The size a new set of `size` Pods may grow to now.
    pub(super) fn grown_size(&self, size: i64) -> i64 {
        let spec = &self.deployment.spec;
        if !spec.is_rolling() {
            return spec.replicas();
        }
        let room = spec.replicas() + spec.max_surge() - self.total();
        if room <= 0 {
            return size;
        }
        size + room.min(spec.replicas() - size)
    }

    /// Scales the new set as far as the surge lets it.
    pub(super) fn grow_new(&mut self) -> bool {
        let Some(at) = self.new else {
            return false;
        };
        let (size, wanted) = (self.sets[at].replicas, self.deployment.spec.replicas());
        if size == wanted {
            return false;
        }
        let goal = if size > wanted {
            wanted
        } else {
            self.grown_size(size)
        };
        self.scale_set(at, goal, false)
    }

    /// Scales old sets down as far as availability lets it, Pods that are not available first.
    pub(super) fn shrink_old(&mut self) -> bool {
        let old: Vec<usize> = self
            .old()
            .into_iter()
            .filter(|at| self.sets[*at].replicas > 0)
            .collect();
        let spec = &self.deployment.spec;
        let floor = spec.replicas() - spec.max_unavailable();
        let waiting = self
            .new_set()
            .map_or(0, |set| set.replicas - set.status.available_replicas);
        let mut budget = self.total() - floor - waiting;
        if old.is_empty() || budget <= 0 {
            return false;
        }
        let mut scaled = false;
        for at in &old {
            let set = &self.sets[*at];
            let lame = set.replicas - set.status.available_replicas;
            let cut = lame.min(budget);
            if cut > 0 {
                budget -= cut;
                scaled |= self.scale_set(*at, self.sets[*at].replicas - cut, false);
            }
        }
        let available: i64 = self
            .sets
            .iter()
            .map(|set| set.status.available_replicas)
            .sum();
        let mut budget = available - floor;
        for at in old {
            let cut = self.sets[at].replicas.min(budget);
            if cut > 0 {
                budget -= cut;
                scaled |= self.scale_set(at, self.sets[at].replicas - cut, false);
            }
        }
        scaled
    }

    /// Follows a change of the Deployment's size.
    pub(super) fn scale(&mut self) {
        let wanted = self.deployment.spec.replicas();
        let active: Vec<usize> = (0..self.sets.len())
            .filter(|at| self.sets[*at].replicas > 0)
            .collect();
        let only = match active.as_slice() {
            [] => self.new.or_else(|| self.old().last().copied()),
            [one] => Some(*one),
            _ => None,
        };
        if let Some(at) = only {
            self.scale_set(at, wanted, false);
        } else if active.is_empty() {
            // There is nothing to scale.
        } else if self.new_is_saturated() {
            for at in self.old() {
                self.scale_set(at, 0, false);
            }
        } else if self.deployment.spec.is_rolling() {
            self.scale_in_proportion(active);
        }
    }

    fn new_is_saturated(&self) -> bool {
        let wanted = self.deployment.spec.replicas();
        self.new_set().is_some_and(|set| {
            set.replicas == wanted
                && set.desired() == Some(wanted)
                && set.status.available_replicas == wanted
        })
    }

    /// Spreads the difference over all active sets by their size, the largest taking the rest.
    fn scale_in_proportion(&mut self, mut active: Vec<usize>) {
        let spec = &self.deployment.spec;
        let allowed = if spec.replicas() > 0 {
            spec.replicas() + spec.max_surge()
        } else {
            0
        };
        let to_add = allowed - active.iter().map(|at| self.sets[*at].replicas).sum::<i64>();
        active.sort_by_key(|at| {
            let age = i64::try_from(*at).unwrap_or(0);
            (
                Reverse(self.sets[*at].replicas),
                if to_add > 0 { -age } else { age },
            )
        });
        let mut added = 0;
        let mut sizes = Vec::new();
        for at in &active {
            let share = self.share(*at, to_add, added);
            added += share;
            sizes.push(self.sets[*at].replicas + share);
        }
        if let Some(first) = sizes.first_mut() {
            *first = (*first + to_add - added).max(0);
        }
        for (at, size) in active.into_iter().zip(sizes) {
            self.scale_set(at, size, true);
        }
    }

    fn share(&self, at: usize, to_add: i64, added: i64) -> i64 {
        if to_add == 0 || to_add == added {
            return 0;
        }
        let spec = &self.deployment.spec;
        let set = &self.sets[at];
        let before = set.max().filter(|max| *max != 0);
        let before = before.unwrap_or(self.deployment.status.replicas);
        let fraction = if spec.replicas() == 0 {
            -set.replicas
        } else if before == 0 {
            0
        } else {
            let goal = set.replicas * (spec.replicas() + spec.max_surge());
            (2 * goal + before) / (2 * before) - set.replicas
        };
        let left = to_add - added;
        if to_add > 0 {
            fraction.min(left)
        } else {
            fraction.max(left)
        }
    }
}
