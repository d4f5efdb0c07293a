//! The first ruleset after a start.

use super::{Told, Worker, nodes, read};
use nft::Transaction;
use proxy::kernel::PART;
use std::time::Instant;

impl Worker {
    /// Where there is no table yet, the first ruleset makes all of it, and nothing need be
    /// compared. The kernel takes it in parts while the rest is planned; its rules come last.
    pub(super) fn first(&mut self, told: &mut Told, started: Instant) {
        let none = matches!(self.table.exists(), Ok(false));
        let (planner, shared) = (&mut self.planner, self.snapshot.clone());
        let mut plan = |part: &mut dyn FnMut(Transaction)| {
            let snapshot = read(&shared);
            told.keys.services.extend(snapshot.services.keys().cloned());
            told.keys.objects.extend(nodes(&snapshot));
            planner.first(&snapshot, &told.keys, PART, part)
        };
        let (update, taken) = if none {
            self.table.apply_while(plan)
        } else {
            (plan(&mut |_| {}), Ok(()))
        };
        if let Err(error) = &taken {
            tracing::debug!(%error, "a part of the first ruleset was refused");
        }
        let rules = self.hand_on(update);
        self.tell_health();
        if none && taken.is_ok() && self.table.apply(&rules).is_ok() {
            self.in_step = true;
            self.compare_at = self.check_every.map(|every| started + every);
            self.generation = self.table.generation().ok();
            self.synced(started, true);
        } else {
            self.compare_at = Some(Instant::now());
        }
        self.look_up();
    }
}
