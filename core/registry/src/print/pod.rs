//! The row of a Pod: its status in one word is that of the container which says most.

use super::cells::{age, items, name, number, since, text, text_or};
use model::Timestamp;
use serde_json::Value;

pub(super) fn row(pod: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let summary = Summary::of(pod);
    let total = items(&spec["containers"]).len() + sidecars(spec).count();
    let address = items(&status["podIPs"])
        .first()
        .map_or("", |address| text(&address["ip"]));
    vec![
        name(pod),
        format!("{}/{total}", summary.ready).into(),
        summary.reason.clone().into(),
        summary.restarts(now).into(),
        age(pod, now),
        if address.is_empty() {
            "<none>"
        } else {
            address
        }
        .into(),
        text_or(&spec["nodeName"], "<none>").into(),
        text_or(&status["nominatedNodeName"], "<none>").into(),
        readiness_gates(spec, status).into(),
    ]
}

/// Names of the init containers that run beside the others.
fn sidecars(spec: &Value) -> impl Iterator<Item = &str> {
    let init = items(&spec["initContainers"]).iter();
    init.filter(|container| container["restartPolicy"] == "Always")
        .map(|container| text(&container["name"]))
}

fn readiness_gates(spec: &Value, status: &Value) -> String {
    let gates = items(&spec["readinessGates"]);
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let is_true = |gate: &&Value| condition(status, text(&gate["conditionType"])) == Some("True");
    format!("{}/{}", gates.iter().filter(is_true).count(), gates.len())
}

/// The status of a condition, if the Pod has it.
fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a str> {
    let found = items(&status["conditions"])
        .iter()
        .find(|condition| condition["type"] == kind);
    found.map(|condition| text(&condition["status"]))
}

#[derive(Default)]
struct Summary<'a> {
    reason: String,
    ready: usize,
    restarts: i64,
    /// When a container last ended before it was started again
    last_end: &'a str,
}

impl<'a> Summary<'a> {
    fn of(pod: &'a Value) -> Self {
        let status = &pod["status"];
        let mut summary = Self {
            reason: text_or(&status["reason"], text(&status["phase"])).to_owned(),
            ..Self::default()
        };
        let gated = |condition: &Value| {
            condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated"
        };
        if items(&status["conditions"]).iter().any(gated) {
            summary.reason = "SchedulingGated".to_owned();
        }
        let initialised = summary.init_containers(pod);
        if initialised || condition(status, "Initialized") == Some("True") {
            summary.containers(pod);
        }
        summary.deletion(pod);
        summary
    }

    /// Reads the init containers in order up to the first that is not done; true when all are.
    fn init_containers(&mut self, pod: &'a Value) -> bool {
        let spec = &pod["spec"];
        let total = items(&spec["initContainers"]).len();
        for (place, container) in items(&pod["status"]["initContainerStatuses"])
            .iter()
            .enumerate()
        {
            self.count_restarts(container);
            let is_sidecar = sidecars(spec).any(|name| container["name"] == name);
            let ended = &container["state"]["terminated"];
            if ended.is_object() && number(&ended["exitCode"]) == 0 {
                continue;
            }
            if is_sidecar && container["started"] == true {
                self.ready += usize::from(container["ready"] == true);
                continue;
            }
            let waiting = text(&container["state"]["waiting"]["reason"]);
            self.reason = if ended.is_object() {
                format!("Init:{}", end_reason(ended))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{place}/{total}")
            };
            return false;
        }
        true
    }

    /// Reads the ordinary containers, the last one first, so that the first one's reason stays.
    fn containers(&mut self, pod: &'a Value) {
        self.restarts = 0;
        self.last_end = "";
        let spec = &pod["spec"];
        for container in items(&pod["status"]["initContainerStatuses"]) {
            if sidecars(spec).any(|name| container["name"] == name) {
                self.count_restarts(container);
            }
        }
        let mut running = false;
        let mut failure = String::new();
        for container in items(&pod["status"]["containerStatuses"]).iter().rev() {
            self.count_restarts(container);
            let state = &container["state"];
            let waiting = text(&state["waiting"]["reason"]);
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if state["terminated"].is_object() {
                self.reason = end_reason(&state["terminated"]);
                if number(&state["terminated"]["exitCode"]) != 0 {
                    failure.clone_from(&self.reason);
                }
            } else if container["ready"] == true && state["running"].is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            self.not_completed(pod, running, failure);
        }
    }

    /// One completed container does not complete the Pod.
    fn not_completed(&mut self, pod: &Value, running: bool, failure: String) {
        if running && condition(&pod["status"], "Ready") == Some("True") {
            self.reason = "Running".to_owned();
        } else if !failure.is_empty() {
            self.reason = failure;
        } else if running {
            self.reason = "NotReady".to_owned();
        }
    }

    fn deletion(&mut self, pod: &Value) {
        if pod["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let phase = text(&pod["status"]["phase"]);
        if pod["status"]["reason"] == "NodeLost" {
            self.reason = "Unknown".to_owned();
        } else if phase != "Succeeded" && phase != "Failed" {
            self.reason = "Terminating".to_owned();
        }
    }

    fn count_restarts(&mut self, container: &'a Value) {
        self.restarts += number(&container["restartCount"]);
        let end = text(&container["lastState"]["terminated"]["finishedAt"]);
        // RFC 3339 in UTC compares as text.
        if end > self.last_end {
            self.last_end = end;
        }
    }

    fn restarts(&self, now: Timestamp) -> String {
        if self.restarts == 0 || self.last_end.is_empty() {
            return self.restarts.to_string();
        }
        format!(
            "{} ({} ago)",
            self.restarts,
            since(&self.last_end.into(), now)
        )
    }
}

/// Why a container ended: its reason, or the signal or code it ended with.
fn end_reason(ended: &Value) -> String {
    match (text(&ended["reason"]), number(&ended["signal"])) {
        ("", 0) => format!("ExitCode:{}", number(&ended["exitCode"])),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}
