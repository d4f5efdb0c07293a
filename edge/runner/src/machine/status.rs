//! `status` of the Pod, as kubelet writes it.

use super::unit::{Ended, Role, State, Unit};
use super::{Ending, Machine, Prepared};
use crate::ImageSource;
use model::Timestamp;
use serde_json::{Map, Value, json};

/// Conditions that are the node's to write; all others are kept as they are.
const OWN: [&str; 5] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
];

struct Condition {
    kind: &'static str,
    ok: bool,
    reason: &'static str,
    message: String,
}

impl Machine {
    /// A JSON merge patch of `status`.
    pub(crate) fn status(&self, now: Timestamp) -> Value {
        let phase = self.phase();
        let deadline = self.ending == Some(Ending::Deadline);
        let ip = self.ips.first().map(ToString::to_string);
        let ips: Vec<Value> = self
            .ips
            .iter()
            .map(|ip| json!({"ip": ip.to_string()}))
            .collect();
        let mut status = json!({
            "phase": phase,
            "conditions": self.conditions(phase, now),
            "hostIP": self.node_ip.to_string(),
            "hostIPs": [{"ip": self.node_ip.to_string()}],
            "podIP": ip,
            "podIPs": ips,
            "startTime": self.started.rfc3339(),
            "reason": deadline.then_some("DeadlineExceeded"),
            "message": deadline.then_some(
                "Pod was active on the node longer than the specified deadline"
            ),
            "containerStatuses": self.statuses(|role| role == Role::Main),
        });
        let inits = self.statuses(|role| role != Role::Main);
        if let (false, Value::Object(map)) = (inits.is_empty(), &mut status) {
            map.insert("initContainerStatuses".to_owned(), inits.into());
        }
        if let (1.., Value::Object(map)) = (self.pod.object.meta.generation, &mut status) {
            map.insert(
                "observedGeneration".to_owned(),
                self.pod.object.meta.generation.into(),
            );
        }
        status
    }

    /// True once no container will run again.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase(), "Succeeded" | "Failed")
    }

    /// kubelet's `getPhase`.
    pub(crate) fn phase(&self) -> &str {
        if let Some(phase) = &self.last_phase {
            return phase;
        }
        if self.ending == Some(Ending::Deadline) {
            return "Failed";
        }
        let policy = self.pod.spec.restart_policy;
        let restarts = |unit: &Unit, ended: &Ended| unit.policy(policy).restarts(ended.exit_code);
        let of = |role: Role| self.units.iter().filter(move |unit| unit.role == role);
        let ended = |unit: &Unit| match (&unit.state, &unit.last) {
            (State::Ended(ended), _) => Some(ended.clone()),
            (State::Waiting { .. }, last) => last.clone(),
            _ => None,
        };
        let terminal = self.ending.is_some() && !self.units.iter().any(Unit::is_active);
        let began = of(Role::Main).any(Unit::has_run);
        for init in of(Role::Init).filter(|_| !began) {
            match ended(init) {
                Some(end) if end.exit_code == 0 => {}
                Some(end) if !restarts(init, &end) => return "Failed",
                _ if terminal => return "Failed",
                _ => return "Pending",
            }
        }
        let mains: Vec<&Unit> = of(Role::Main).collect();
        let ends: Vec<(&Unit, Ended)> = mains
            .iter()
            .filter_map(|unit| Some((*unit, ended(unit)?)))
            .collect();
        let running = mains.iter().any(|unit| unit.is_active() && unit.has_run());
        if ends.len() == mains.len() {
            let again = ends.iter().any(|(unit, end)| restarts(unit, end));
            if again && !terminal {
                return "Running";
            }
            let failed = ends.iter().any(|(_, end)| end.exit_code != 0);
            return if failed { "Failed" } else { "Succeeded" };
        }
        if terminal {
            return "Failed";
        }
        let waiting = mains.iter().any(|unit| !unit.has_run());
        if running && !waiting {
            "Running"
        } else {
            "Pending"
        }
    }

    fn conditions(&self, phase: &str, now: Timestamp) -> Vec<Value> {
        let generation = self.pod.object.meta.generation;
        let stored = &self.pod.status.conditions;
        let last = if self.written.is_empty() {
            stored
        } else {
            &self.written
        };
        let mut list: Vec<Value> = self
            .own_conditions(phase)
            .into_iter()
            .map(|condition| condition.render(last, generation, now))
            .collect();
        let foreign = stored.iter().filter(|condition| {
            let kind = condition["type"].as_str().unwrap_or_default();
            !OWN.contains(&kind)
        });
        list.extend(foreign.cloned());
        list
    }

    fn own_conditions(&self, phase: &str) -> Vec<Condition> {
        let containers = self.containers_ready(phase);
        let ready = self.pod_ready(&containers);
        let prepared = self.prepared == Prepared::Yes && !self.finished;
        let over = matches!(phase, "Succeeded" | "Failed");
        vec![
            Condition::new("PodReadyToStartContainers", prepared && !over),
            self.initialised(phase),
            ready,
            containers,
            Condition::new("PodScheduled", true),
        ]
    }

    fn initialised(&self, phase: &str) -> Condition {
        let mut condition = Condition::new("Initialized", true);
        if phase == "Succeeded" {
            condition.reason = "PodCompleted";
            return condition;
        }
        if self
            .units
            .iter()
            .any(|unit| unit.role == Role::Main && unit.has_run())
        {
            return condition;
        }
        let incomplete = self.names(|unit| match unit.role {
            Role::Init => !unit.has_succeeded(),
            Role::Sidecar => !unit.is_started(),
            Role::Main => false,
        });
        if !incomplete.is_empty() {
            condition.fail("ContainersNotInitialized");
            condition.message = format!("containers with incomplete status: [{incomplete}]");
        }
        condition
    }

    fn containers_ready(&self, phase: &str) -> Condition {
        let mut condition = Condition::new("ContainersReady", true);
        match phase {
            "Succeeded" => condition.fail("PodCompleted"),
            "Failed" => condition.fail("PodFailed"),
            _ => {
                let unready = self.names(|unit| unit.role != Role::Init && !unit.is_ready());
                if !unready.is_empty() {
                    condition.fail("ContainersNotReady");
                    condition.message = format!("containers with unready status: [{unready}]");
                }
            }
        }
        condition
    }

    fn pod_ready(&self, containers: &Condition) -> Condition {
        let mut condition = Condition::new("Ready", containers.ok);
        if !containers.ok {
            condition.reason = containers.reason;
            condition.message.clone_from(&containers.message);
            return condition;
        }
        let gates = self.pod.spec.readiness_gates.iter();
        let complaints: Vec<String> = gates
            .filter_map(|gate| {
                let name = &gate.condition_type;
                let mut all = self.pod.status.conditions.iter();
                match all.find(|c| c["type"] == name.as_str()) {
                    None => Some(format!(
                        "corresponding condition of pod readiness gate {name:?} does not exist."
                    )),
                    Some(c) if c["status"] == "True" => None,
                    Some(c) => Some(format!(
                        "the status of pod readiness gate {name:?} is not \"True\", but {}",
                        c["status"].as_str().unwrap_or_default()
                    )),
                }
            })
            .collect();
        if !complaints.is_empty() {
            condition.fail("ReadinessGatesNotReady");
            condition.message = complaints.join(", ");
        }
        condition
    }

    fn names(&self, which: impl Fn(&Unit) -> bool) -> String {
        let named = self.units.iter().filter(|unit| which(unit));
        let names: Vec<&str> = named.map(|unit| unit.spec.name.as_str()).collect();
        names.join(" ")
    }

    fn statuses(&self, which: impl Fn(Role) -> bool) -> Vec<Value> {
        let units = self.units.iter().filter(|unit| which(unit.role));
        units.map(Unit::status).collect()
    }
}

impl Condition {
    fn new(kind: &'static str, ok: bool) -> Self {
        Self {
            kind,
            ok,
            reason: "",
            message: String::new(),
        }
    }

    fn fail(&mut self, reason: &'static str) {
        self.ok = false;
        self.reason = reason;
    }

    /// With the time of the last change, which the stored condition knows.
    fn render(self, stored: &[Value], generation: i64, now: Timestamp) -> Value {
        let status = if self.ok { "True" } else { "False" };
        let old = stored.iter().find(|c| c["type"] == self.kind);
        let since = old
            .filter(|old| old["status"] == status)
            .and_then(|old| old["lastTransitionTime"].as_str())
            .map_or_else(|| now.rfc3339(), str::to_owned);
        let mut map = Map::new();
        map.insert("type".to_owned(), self.kind.into());
        map.insert("status".to_owned(), status.into());
        map.insert("lastProbeTime".to_owned(), Value::Null);
        map.insert("lastTransitionTime".to_owned(), since.into());
        if generation > 0 {
            map.insert("observedGeneration".to_owned(), generation.into());
        }
        if !self.reason.is_empty() {
            map.insert("reason".to_owned(), self.reason.into());
        }
        if !self.message.is_empty() {
            map.insert("message".to_owned(), self.message.into());
        }
        map.into()
    }
}

impl Unit {
    fn status(&self) -> Value {
        let id = match &self.state {
            State::Running { id, .. } => id.as_str(),
            State::Ended(ended) => &ended.id,
            _ => self.last.as_ref().map_or("", |last| last.id.as_str()),
        };
        let program = match &self.image {
            Some(ImageSource::Echo) => crate::ImageMap::ECHO.to_owned(),
            Some(ImageSource::Command(words)) => words.first().cloned().unwrap_or_default(),
            None => String::new(),
        };
        let last = self
            .last
            .as_ref()
            .map(|last| json!({"terminated": last.render()}));
        let mut status = json!({
            "name": self.spec.name,
            "image": self.spec.image,
            "imageID": if id.is_empty() { String::new() } else { program },
            "restartCount": self.restarts,
            "ready": self.is_ready(),
            "started": self.is_started(),
            "state": self.render_state(),
            "lastState": last.unwrap_or_else(|| json!({})),
        });
        if let (false, Value::Object(map)) = (id.is_empty(), &mut status) {
            map.insert("containerID".to_owned(), id.into());
        }
        status
    }

    fn render_state(&self) -> Value {
        match &self.state {
            State::Running { since, .. } => json!({"running": {"startedAt": since.rfc3339()}}),
            State::Ended(ended) => json!({"terminated": ended.render()}),
            State::Starting => json!({"waiting": {"reason": "ContainerCreating"}}),
            State::Waiting { reason, message } if message.is_empty() => {
                json!({"waiting": {"reason": reason}})
            }
            State::Waiting { reason, message } => {
                json!({"waiting": {"reason": reason, "message": message}})
            }
        }
    }
}

impl Ended {
    fn render(&self) -> Value {
        let mut map = Map::new();
        map.insert("exitCode".to_owned(), self.exit_code.into());
        if let Some(signal) = self.signal {
            map.insert("signal".to_owned(), signal.into());
        }
        map.insert("reason".to_owned(), self.reason.as_str().into());
        if !self.message.is_empty() {
            map.insert("message".to_owned(), self.message.as_str().into());
        }
        map.insert("startedAt".to_owned(), self.started.rfc3339().into());
        map.insert("finishedAt".to_owned(), self.finished.rfc3339().into());
        if !self.id.is_empty() {
            map.insert("containerID".to_owned(), self.id.as_str().into());
        }
        map.into()
    }
}
