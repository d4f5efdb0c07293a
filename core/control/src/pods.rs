//! Pods as the controllers look at them.

use crate::fields::nullable;
use model::{ContainerPort, Object, Timestamp};
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;

/// A Pod beside its object.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    /// The stored object, for its metadata
    pub(crate) object: Arc<Object>,
    /// `spec`
    pub(crate) spec: PodSpec,
    /// `status`
    pub(crate) status: PodStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(deserialize_with = "nullable")]
    spec: PodSpec,
    #[serde(deserialize_with = "nullable")]
    status: PodStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodSpec {
    #[serde(deserialize_with = "nullable")]
    pub(crate) node_name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) hostname: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) subdomain: String,
    #[serde(deserialize_with = "nullable")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "nullable")]
    init_containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    #[serde(deserialize_with = "nullable")]
    ports: Vec<ContainerPort>,
    #[serde(deserialize_with = "nullable")]
    restart_policy: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodStatus {
    #[serde(deserialize_with = "nullable")]
    pub(crate) phase: String,
    #[serde(rename = "podIP", deserialize_with = "nullable")]
    pod_ip: String,
    #[serde(rename = "podIPs", deserialize_with = "nullable")]
    pod_ips: Vec<PodIp>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) conditions: Vec<Condition>,
    #[serde(deserialize_with = "nullable")]
    container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "nullable")]
    init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct PodIp {
    #[serde(deserialize_with = "nullable")]
    ip: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    #[serde(deserialize_with = "nullable")]
    restart_count: i64,
    #[serde(deserialize_with = "nullable")]
    state: ContainerState,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct ContainerState {
    terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    #[serde(deserialize_with = "nullable")]
    finished_at: String,
}

/// `status.conditions[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Condition {
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) status: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) reason: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) message: String,
    #[serde(deserialize_with = "nullable")]
    last_transition_time: String,
}

impl Pod {
    /// Reads a stored Pod; one that cannot be read is passed over.
    pub(crate) fn parse(object: &Arc<Object>) -> Option<Self> {
        let raw: Raw = object.parse().ok()?;
        Some(Self {
            object: object.clone(),
            spec: raw.spec,
            status: raw.status,
        })
    }

    /// `metadata.name`
    pub(crate) fn name(&self) -> &str {
        &self.object.meta.name
    }

    /// The condition of a type.
    pub(crate) fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|one| one.kind == kind)
    }

    /// Condition `Ready` is `True`.
    pub(crate) fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|c| c.status == "True")
    }

    /// When condition `Ready` last changed.
    pub(crate) fn ready_changed(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.condition("Ready")?.last_transition_time)
    }

    /// Ready for at least `seconds`.
    pub(crate) fn is_available(&self, seconds: i64, now: Timestamp) -> bool {
        if !self.is_ready() {
            return false;
        }
        seconds == 0
            || self
                .ready_changed()
                .is_some_and(|since| since.plus_seconds(seconds) <= now)
    }

    /// Ran to its end.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Neither finished nor being deleted.
    pub(crate) fn is_active(&self) -> bool {
        !self.is_terminal() && !self.is_terminating()
    }

    /// A delete was asked for.
    pub(crate) fn is_terminating(&self) -> bool {
        self.object.meta.is_deleting()
    }

    /// Addresses in canonical text form, in order.
    pub(crate) fn ips(&self) -> Vec<IpAddr> {
        let all = self.status.pod_ips.iter();
        all.filter_map(|pod| pod.ip.parse().ok()).collect()
    }

    /// Whether any address was ever given to it.
    pub(crate) fn has_address(&self) -> bool {
        !self.status.pod_ip.is_empty() || !self.status.pod_ips.is_empty()
    }

    /// The highest restart count of its containers.
    pub(crate) fn restarts(&self) -> i64 {
        let counts = self.status.container_statuses.iter();
        counts.map(|c| c.restart_count).max().unwrap_or(0)
    }

    /// All restarts of its containers together.
    pub(crate) fn total_restarts(&self) -> i64 {
        let status = &self.status;
        let all = status.container_statuses.iter();
        let all = all.chain(&status.init_container_statuses);
        all.map(|c| c.restart_count).sum()
    }

    /// When the last of its containers ended; `None` while one runs or nothing is known.
    pub(crate) fn finished_at(&self) -> Option<Timestamp> {
        let mut last = None;
        for status in &self.status.container_statuses {
            let ended = status.state.terminated.as_ref()?;
            last = last.max(Some(Timestamp::parse(&ended.finished_at)?));
        }
        last
    }

    /// The number of a named container port; those of sidecar init containers count too.
    pub(crate) fn named_port(&self, name: &str, protocol: model::Protocol) -> Option<u16> {
        let sidecars = self.spec.init_containers.iter();
        let sidecars = sidecars.filter(|one| one.restart_policy == "Always");
        self.spec
            .containers
            .iter()
            .chain(sidecars)
            .flat_map(|container| &container.ports)
            .find(|port| port.name == name && port.protocol == protocol)
            .map(|port| port.container_port)
    }
}
