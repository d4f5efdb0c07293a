//! The policy that checks are made by: kept beside the committed state and brought up to date by
//! the history of what it depends on, so that a check costs microseconds.

use crate::hub::Hub;
use ::access::{Attributes, MASTERS, Policy, Wanted, forbidden, impersonate};
use api::{Committed, Logged, User};
use model::{ApiError, EventKind};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Changes taken over at a time; after more, everything is read anew.
const MOST_CHANGES: usize = 1000;
/// Users whose way to impersonate is remembered.
const MOST_MODES: usize = 10_000;

/// Who may do what, as of what is committed.
#[derive(Default)]
pub(crate) struct Access {
    policy: RwLock<Arc<Policy>>,
    /// The version that the policy is known to be right for; zero before it was first read
    version: AtomicU64,
    /// How users were last allowed to impersonate
    modes: Mutex<HashMap<String, usize>>,
}

/// Whether the user may do everything, whatever is stored.
pub(crate) fn is_master(user: &User) -> bool {
    user.groups.iter().any(|group| group == MASTERS)
}

impl Access {
    fn modes(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.modes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policy as it is now. No lock is held while it is asked.
    pub(crate) fn policy(&self, hub: &Hub) -> Arc<Policy> {
        self.follow(&hub.committed());
        let policy = self.policy.read().unwrap_or_else(PoisonError::into_inner);
        policy.clone()
    }

    /// Brings the policy to the version of `committed`.
    fn follow(&self, committed: &Committed) {
        let (known, now) = (self.version.load(Ordering::Acquire), committed.version());
        if known >= now && known > 0 {
            return;
        }
        let changed = known == 0
            || Policy::RESOURCES.iter().any(|resource| {
                let changes = committed.changes_after(*resource, known, 1);
                changes.map_or(true, |changes| !changes.is_empty())
            });
        if changed {
            let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
            // Another request may have been faster.
            let known = self.version.load(Ordering::Acquire);
            if known < now || known == 0 {
                renew(&mut policy, known, committed);
            }
            self.version.fetch_max(now, Ordering::AcqRel);
            return;
        }
        self.version.fetch_max(now, Ordering::AcqRel);
    }

    /// Whether the user may do it.
    ///
    /// # Errors
    /// 403 in the API's words.
    pub(crate) fn authorize(
        &self,
        hub: &Hub,
        user: &User,
        asked: &Attributes,
    ) -> Result<(), ApiError> {
        if is_master(user) {
            return Ok(());
        }
        let decision = self.policy(hub).authorize(user, asked);
        if decision.allowed {
            return Ok(());
        }
        Err(forbidden(user, asked, &decision.reason))
    }

    /// The user that a request acts as.
    ///
    /// # Errors
    /// 400 and 403 for what cannot or may not be.
    pub(crate) fn act_as(
        &self,
        hub: &Hub,
        user: User,
        wanted: &Wanted,
        asked: &Attributes,
    ) -> Result<User, ApiError> {
        if !wanted.check()? {
            return Ok(user);
        }
        let first = self.modes().get(&user.name).copied();
        let became = impersonate(&self.policy(hub), &user, wanted, asked, first)?;
        if first != Some(became.mode) {
            let mut modes = self.modes();
            if modes.len() >= MOST_MODES {
                modes.clear();
            }
            modes.insert(user.name, became.mode);
        }
        Ok(became.user)
    }
}

fn renew(policy: &mut Arc<Policy>, known: u64, committed: &Committed) {
    let changes = (known > 0).then(|| changes(known, committed)).flatten();
    let Some(changes) = changes else {
        *policy = Arc::new(Policy::of_view(committed.state()));
        return;
    };
    let policy = Arc::make_mut(policy);
    for change in changes {
        let event = &change.event;
        policy.apply(&event.object, event.kind != EventKind::Deleted);
    }
}

/// What changed since `known`; `None` when that is more than can be told.
fn changes(known: u64, committed: &Committed) -> Option<Vec<Arc<Logged>>> {
    let mut all = Vec::new();
    for resource in Policy::RESOURCES {
        all.extend(
            committed
                .changes_after(resource, known, MOST_CHANGES)
                .ok()?,
        );
    }
    (all.len() < MOST_CHANGES).then_some(all)
}
