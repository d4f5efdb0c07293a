//! Listeners that could not be opened, and how to tell the user.

use model::{ObjectKey, Problem, Resource, Severity};
use proxy::{Frontend, Origin, Route};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Why a frontend does not listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unbound {
    /// Ports below `net.ipv4.ip_unprivileged_port_start` need a privilege
    Privileged,
    /// Another program has the port
    Taken,
    /// Anything else, in the system's words
    Other(String),
}

impl From<&io::Error> for Unbound {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Privileged,
            io::ErrorKind::AddrInUse => Self::Taken,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// All frontends that do not listen.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    unbound: BTreeMap<Frontend, Unbound>,
}

impl Failures {
    pub(crate) fn note(&mut self, frontend: Frontend, why: Unbound) {
        if self.unbound.get(&frontend) != Some(&why) {
            tracing::debug!(%frontend, ?why, "cannot listen");
        }
        self.unbound.insert(frontend, why);
    }

    pub(crate) fn forget(&mut self, frontend: &Frontend) {
        self.unbound.remove(frontend);
    }

    /// Frontends worth another attempt: of those that lack a privilege one stands for all, which
    /// is then tried with the rest.
    pub(crate) fn to_retry(&self) -> Vec<Frontend> {
        let lacking = |why: &Unbound| *why == Unbound::Privileged;
        let probe = self.unbound.iter().find(|(_, why)| lacking(why));
        let freed = probe.is_some_and(|(frontend, _)| crate::bind::listen(*frontend).is_ok());
        let due = self
            .unbound
            .iter()
            .filter(|(_, why)| freed || !lacking(why));
        due.map(|(frontend, _)| *frontend).collect()
    }

    /// One Problem for each port that is taken, and one for all that lack a privilege.
    pub(crate) fn problems(
        &self,
        node: &str,
        route: impl Fn(&Frontend) -> Option<Arc<Route>>,
    ) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.privileged(node).into_iter().collect();
        for (frontend, why) in &self.unbound {
            if let Some(route) = route(frontend) {
                problems.extend(problem(frontend, why, &route));
            }
        }
        problems
    }

    fn privileged(&self, node: &str) -> Option<Problem> {
        let mut all = self
            .unbound
            .iter()
            .filter(|(_, why)| **why == Unbound::Privileged);
        let (first, _) = all.next()?;
        let more = match all.count() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        Some(Problem {
            object: ObjectKey::new(Resource::NODES, "", node),
            field: String::new(),
            severity: Severity::Error,
            reason: "PortNeedsPrivilege",
            message: format!(
                "This user may not listen on ports under 1024: {first}{more} refuse connections."
            ),
            cure: "Allow it for all with `sudo sysctl net.ipv4.ip_unprivileged_port_start=0`, \
                   or for this program with `sudo setcap cap_net_bind_service=+ep` on its file, \
                   or use Service ports from 1024 up."
                .to_owned(),
        })
    }
}

fn problem(frontend: &Frontend, why: &Unbound, route: &Route) -> Option<Problem> {
    let (reason, message, cure) = match why {
        Unbound::Privileged => return None,
        Unbound::Taken => (
            "PortTaken",
            format!("{frontend} is in use by another program."),
            match route.origin {
                Origin::NodePort => format!(
                    "Stop that program (`ss -lntup 'sport = :{}'` names it) or set another nodePort; \
                     the port is taken over as soon as it is free.",
                    frontend.port
                ),
                _ => format!(
                    "Stop that program (`ss -lntup 'sport = :{}'` names it); \
                     the port is taken over as soon as it is free.",
                    frontend.port
                ),
            },
        ),
        Unbound::Other(text) => (
            "CannotListen",
            format!("Listening on {frontend} fails: {text}."),
            "Mend what the message says; the listener is tried again every second.".to_owned(),
        ),
    };
    Some(Problem {
        object: ObjectKey {
            resource: Resource::SERVICES,
            namespace: route.service.namespace.clone(),
            name: route.service.name.clone(),
        },
        field: route.field.clone(),
        severity: Severity::Error,
        reason,
        message,
        cure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{NamespacedName, Protocol};
    use proxy::Policy;

    #[test]
    fn ports_that_need_a_privilege_are_told_once() {
        let mut failures = Failures::default();
        let frontend = |port| Frontend {
            address: [127, 96, 0, 1].into(),
            protocol: Protocol::Tcp,
            port,
        };
        for port in [80, 443, 53] {
            failures.note(frontend(port), Unbound::Privileged);
        }
        failures.note(frontend(8080), Unbound::Other("no such thing".to_owned()));
        let route = Arc::new(Route {
            service: NamespacedName::new("dev", "web"),
            port_name: String::new(),
            field: "spec.ports[0].port".to_owned(),
            origin: Origin::ClusterIp,
            policy: Policy::Cluster,
            backends: Vec::new(),
            affinity_seconds: None,
            source_ranges: None,
        });
        let told = failures.problems("here", |_| Some(route.clone()));
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].object.to_string(), "nodes/here");
        assert!(
            told[0].message.contains("127.96.0.1:53/TCP and 2 more"),
            "{}",
            told[0]
        );
        assert!(told[0].cure.contains("setcap") && told[0].cure.contains("sysctl"));
        assert_eq!(told[1].reason, "CannotListen");
        failures.forget(&frontend(8080));
        assert_eq!(failures.problems("here", |_| Some(route.clone())).len(), 1);
    }
}
