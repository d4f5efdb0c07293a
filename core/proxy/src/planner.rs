//! The plan of all Services, kept up to date Service by Service.

use crate::plan::service_key;
use crate::{Change, Changes, Desired, Frontend, Route, ServicePlan, Settings, plan_service};
use model::{ChangedKeys, NamespacedName, Problem, Resource, Severity, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Who wants a frontend; the smallest, which is the oldest, gets it.
type Claim = (Arc<str>, NamespacedName);

/// Holds what [`crate::plan`] would return, at the price of the Services that changed.
pub struct Planner {
    settings: Settings,
    plans: BTreeMap<NamespacedName, ServicePlan>,
    claims: BTreeMap<Frontend, BTreeSet<Claim>>,
    desired: Desired,
    zone: Option<String>,
}

impl Planner {
    /// A planner that knows of no Service yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            plans: BTreeMap::new(),
            claims: BTreeMap::new(),
            desired: Desired::default(),
            zone: None,
        }
    }

    /// Takes in what changed in `snapshot` and says what that changes for a data plane.
    pub fn update(&mut self, snapshot: &Snapshot, changed: &ChangedKeys) -> Changes {
        if changed.has(Resource::NODES) {
            let node = snapshot.nodes.get(self.settings.node_name.as_str());
            let zone = node.and_then(|node| node.zone.clone());
            if zone != self.zone {
                // Zone hints mean something else now, for every Service.
                self.zone = zone;
                return self.replan_all(snapshot);
            }
        }
        self.replan(snapshot, &changed.services)
    }

    /// Plans every Service again, those that are gone included.
    pub fn replan_all(&mut self, snapshot: &Snapshot) -> Changes {
        let mut services: BTreeSet<NamespacedName> = self.plans.keys().cloned().collect();
        services.extend(snapshot.services.keys().cloned());
        self.replan(snapshot, &services)
    }

    /// Plans these Services again.
    pub fn replan<'a>(
        &mut self,
        snapshot: &Snapshot,
        services: impl IntoIterator<Item = &'a NamespacedName>,
    ) -> Changes {
        let mut touched = BTreeSet::new();
        for id in services {
            let plan = plan_service(snapshot, id, &self.settings);
            self.unclaim(id, &mut touched);
            self.claim(id, plan, snapshot.services.contains_key(id), &mut touched);
        }
        self.settle(&touched)
    }

    /// What should listen.
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// Every Problem, in order of its object.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = aggregate(&self.plans);
        problems.extend(self.plans.values().flat_map(|plan| plan.problems.clone()));
        for (frontend, claims) in self.claims.iter().filter(|(_, claims)| claims.len() > 1) {
            let Some((_, winner)) = claims.first() else {
                continue;
            };
            for (_, loser) in claims.iter().skip(1) {
                if let Some(route) = self.route(loser, frontend) {
                    problems.push(lost_claim(frontend, route, winner));
                }
            }
        }
        problems.sort();
        problems
    }

    fn route(&self, service: &NamespacedName, frontend: &Frontend) -> Option<&Arc<Route>> {
        self.plans.get(service)?.routes.get(frontend)
    }

    fn unclaim(&mut self, id: &NamespacedName, touched: &mut BTreeSet<Frontend>) {
        let Some(old) = self.plans.remove(id) else {
            return;
        };
        for frontend in old.routes.keys() {
            touched.insert(*frontend);
            if let Some(claims) = self.claims.get_mut(frontend) {
                claims.remove(&(old.created.clone(), id.clone()));
                if claims.is_empty() {
                    self.claims.remove(frontend);
                }
            }
        }
    }

    fn claim(
        &mut self,
        id: &NamespacedName,
        plan: ServicePlan,
        exists: bool,
        touched: &mut BTreeSet<Frontend>,
    ) {
        for frontend in plan.routes.keys() {
            touched.insert(*frontend);
            let claim = (plan.created.clone(), id.clone());
            self.claims.entry(*frontend).or_default().insert(claim);
        }
        if exists {
            self.plans.insert(id.clone(), plan);
        }
    }

    /// Gives each touched frontend to whoever claims it first.
    fn settle(&mut self, touched: &BTreeSet<Frontend>) -> Changes {
        let mut changes = Vec::new();
        for frontend in touched {
            let claims = self.claims.get(frontend);
            let winner = claims.and_then(|claims| claims.first());
            let wanted = winner.and_then(|(_, id)| self.route(id, frontend)).cloned();
            let present = self.desired.routes.get(frontend);
            changes.extend(Change::between(*frontend, present, wanted.as_ref()));
            match wanted {
                Some(route) => self.desired.routes.insert(*frontend, route),
                None => self.desired.routes.remove(frontend),
            };
        }
        Changes::new(changes)
    }
}

/// One Problem for all addresses that nothing here serves: it is one setting that is to blame.
pub(crate) fn aggregate(plans: &BTreeMap<NamespacedName, ServicePlan>) -> Vec<Problem> {
    let mut outside = plans.iter().filter(|(_, plan)| !plan.not_served.is_empty());
    let Some((first, plan)) = outside.next() else {
        return Vec::new();
    };
    let more = outside.count();
    let others = match more {
        0 => String::new(),
        1 => " (and one more Service like it)".to_owned(),
        n => format!(" (and {n} more Services like it)"),
    };
    let addresses: Vec<String> = plan.not_served.iter().map(ToString::to_string).collect();
    vec![Problem {
        object: service_key(first),
        field: "spec.clusterIPs".to_owned(),
        severity: Severity::Warning,
        reason: "AddressNotServed",
        message: format!(
            "Nothing on this machine listens on {}{others}: DNS answers with the address, \
             but it is not relayed.",
            addresses.join(", ")
        ),
        cure: "Use service and load-balancer ranges within 127.0.0.0/8 (--service-cidr)."
            .to_owned(),
    }]
}

pub(crate) fn lost_claim(frontend: &Frontend, route: &Route, winner: &NamespacedName) -> Problem {
    Problem {
        object: service_key(&route.service),
        field: route.field.clone(),
        severity: Severity::Error,
        reason: "AddressConflict",
        message: format!("{frontend} belongs to the older Service {winner} already."),
        cure: "Give one of the two another port or address.".to_owned(),
    }
}
