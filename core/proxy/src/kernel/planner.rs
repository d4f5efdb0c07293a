//! The ruleset of a node, kept up to date Service by Service.

use super::{ConntrackFlush, HealthPort, NoLocalEndpoints, NodeSettings};
use crate::Changes;
use model::{ChangedKeys, Problem, Snapshot};
use nft::{Ruleset, Transaction};
use std::collections::BTreeMap;

/// What one batch of events asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// What to change in the kernel, all or nothing
    pub transaction: Transaction,
    /// Tracked connections to forget once the transaction is in
    pub flush: Vec<ConntrackFlush>,
    /// What changes for the userspace relay of NodePorts on loopback addresses
    pub localhost: Changes,
    /// Whether [`RulesetPlanner::health_ports`] changed
    pub health_changed: bool,
}

/// Holds what [`plan_ruleset`] would return, at the price of the Services that changed.
pub struct RulesetPlanner {
    settings: NodeSettings,
    health: BTreeMap<u16, HealthPort>,
}

impl RulesetPlanner {
    /// A planner that knows of no Service yet and takes the kernel's table for empty.
    pub fn new(settings: NodeSettings) -> Self {
        Self {
            settings,
            health: BTreeMap::new(),
        }
    }

    /// Takes in what changed in `snapshot`. The first call also makes the skeleton. Chains that
    /// fell out of use are removed by a later call, which may come without changes; see
    /// [`RulesetPlanner::has_leftovers`].
    pub fn update(&mut self, _snapshot: &Snapshot, _changed: &ChangedKeys) -> Update {
        Update::default()
    }

    /// Goes over to other settings, and plans every Service again if they are others.
    pub fn set_settings(&mut self, _snapshot: &Snapshot, settings: NodeSettings) -> Update {
        self.settings = settings;
        Update::default()
    }

    /// The settings in force.
    pub fn settings(&self) -> &NodeSettings {
        &self.settings
    }

    /// Whether chains wait for their removal: kernels before 6.2 refuse to delete a chain in the
    /// transaction that removes the last element naming it, and for a moment afterwards. Ask for
    /// an update without changes a second later.
    pub fn has_leftovers(&self) -> bool {
        false
    }

    /// The whole ruleset that the kernel should hold, for comparison with what it holds.
    pub fn desired(&self) -> Ruleset {
        Ruleset::default()
    }

    /// Every Problem, in order of its object.
    pub fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Servers that should listen on `spec.healthCheckNodePort`s, by port.
    pub fn health_ports(&self) -> &BTreeMap<u16, HealthPort> {
        &self.health
    }

    /// Service ports without endpoints here, in one address family.
    pub fn no_local_endpoints(&self, _ipv4: bool) -> NoLocalEndpoints {
        NoLocalEndpoints::default()
    }
}

/// The ruleset of everything, and every Problem in order of its object.
pub fn plan_ruleset(snapshot: &Snapshot, settings: &NodeSettings) -> (Ruleset, Vec<Problem>) {
    let _ = (snapshot, settings);
    (Ruleset::default(), Vec::new())
}
