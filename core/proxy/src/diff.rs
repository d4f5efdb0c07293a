//! From what listens to what should listen.

use crate::{Desired, Frontend, Route};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One step of a data plane. The order of variants is the order of steps: what goes makes room
/// for what comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Stop to listen; connections that are established stay
    Close(Frontend),
    /// Send new connections elsewhere
    Redirect(Frontend, Arc<Route>),
    /// Begin to listen
    Open(Frontend, Arc<Route>),
}

impl Change {
    /// The frontend that changes.
    pub fn frontend(&self) -> Frontend {
        match self {
            Self::Close(frontend) | Self::Redirect(frontend, _) | Self::Open(frontend, _) => {
                *frontend
            }
        }
    }

    /// The step from what is there to what is wanted, if one is needed.
    pub(crate) fn between(
        frontend: Frontend,
        present: Option<&Arc<Route>>,
        wanted: Option<&Arc<Route>>,
    ) -> Option<Self> {
        match (present, wanted) {
            (Some(_), None) => Some(Self::Close(frontend)),
            (None, Some(route)) => Some(Self::Open(frontend, route.clone())),
            (Some(old), Some(new)) if old != new => Some(Self::Redirect(frontend, new.clone())),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Close(_) => 0,
            Self::Redirect(..) => 1,
            Self::Open(..) => 2,
        }
    }
}

/// Steps in the order in which they are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The steps; at most one for each frontend
    pub steps: Vec<Change>,
}

impl Changes {
    /// Brings steps into their order.
    pub fn new(mut steps: Vec<Change>) -> Self {
        steps.sort_by_key(|step| (step.rank(), step.frontend()));
        Self { steps }
    }

    /// True when nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What `routes` become by these steps.
    pub fn apply_to(&self, routes: &mut BTreeMap<Frontend, Arc<Route>>) {
        for step in &self.steps {
            match step {
                Change::Close(frontend) => {
                    routes.remove(frontend);
                }
                Change::Redirect(frontend, route) | Change::Open(frontend, route) => {
                    routes.insert(*frontend, route.clone());
                }
            }
        }
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            match step {
                Change::Close(frontend) => writeln!(f, "close {frontend}")?,
                Change::Redirect(frontend, route) => {
                    writeln!(f, "redirect {frontend} {}", route.target())?;
                }
                Change::Open(frontend, route) => writeln!(f, "open {frontend} {}", route.target())?,
            }
        }
        Ok(())
    }
}

impl Route {
    fn target(&self) -> String {
        let backends: Vec<String> = self.backends.iter().map(ToString::to_string).collect();
        format!("{} -> [{}]", self.service, backends.join(" "))
    }
}

/// The steps from `observed` to `desired`.
pub fn diff(desired: &Desired, observed: &BTreeMap<Frontend, Arc<Route>>) -> Changes {
    let gone = observed.keys().filter(|f| !desired.routes.contains_key(f));
    let mut steps: Vec<Change> = gone.copied().map(Change::Close).collect();
    for (frontend, route) in &desired.routes {
        steps.extend(Change::between(
            *frontend,
            observed.get(frontend),
            Some(route),
        ));
    }
    Changes::new(steps)
}
