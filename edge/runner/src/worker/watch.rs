//! Watching where processes listen, and telling what is wrong with a Pod.

use super::{Message, News, Worker};
use crate::listen::{Finding, inspect, inspect_own};
use crate::machine::{Input, Machine, Role};
use model::{ContainerPort, Problem, Protocol, Severity};
use std::collections::BTreeMap;
use std::time::Duration;

/// Pauses before the looks at a process' sockets, in milliseconds; the last one goes on for ever.
const LOOKS: [u64; 9] = [30, 60, 100, 200, 400, 800, 2000, 5000, 15_000];

/// After so many looks a process that listens nowhere is taken for one that does not want to.
const PATIENCE: usize = 6;

impl Worker {
    /// Looks at the sockets of a process for as long as it runs.
    pub(super) fn watch(&mut self, unit: usize, group: u32) {
        let (Some(active), Some(ip)) = (self.runs.get_mut(&unit), self.ips.first().copied()) else {
            return;
        };
        let Some(container) = self.machine.units().get(unit) else {
            return;
        };
        let declared = container.spec.ports.iter();
        let ports: Vec<u16> = declared.map(|port| port.container_port).collect();
        let (own, run) = (self.own.clone(), active.number);
        let inspect = if self.place.is_some() {
            inspect_own
        } else {
            inspect
        };
        let task = tokio::spawn(async move {
            let mut told: Option<Option<String>> = None;
            for look in 0.. {
                let pause = LOOKS.get(look).or(LOOKS.last()).copied().unwrap_or(15_000);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                let ports = ports.clone();
                let look_now = tokio::task::spawn_blocking(move || inspect(group, ip, &ports));
                let Ok(Finding {
                    reachable,
                    complaint,
                }) = look_now.await
                else {
                    return;
                };
                let settled = reachable || complaint.is_some() || look >= PATIENCE;
                if settled && told.as_ref() != Some(&complaint) {
                    told = Some(complaint.clone());
                    let news = News::Input(Input::Listens { unit, complaint });
                    if own.send(Message::Told { unit, run, news }).is_err() {
                        return;
                    }
                }
            }
        });
        active.watch = Some(task.abort_handle());
    }

    /// Containers of a Pod share its address: one port can belong to one of them only.
    pub(super) fn warn_of_conflicts(&self) {
        for (port, first, second) in conflicts(&self.machine) {
            let message = format!(
                "Containers {first} and {second} both declare port {port}: they share the Pod's \
                 address, so that only one of them can listen on it. Give each its own port"
            );
            self.note(true, "PortConflict", message);
        }
        if self.machine.pod().spec.host_network && self.context.settings.network.is_none() {
            let message = "hostNetwork is not served here: the Pod gets an address of its own";
            self.note(true, "HostNetwork", message.to_owned());
        }
    }
}

fn conflicts(machine: &Machine) -> Vec<(String, String, String)> {
    let mut seen: BTreeMap<(Protocol, u16), &str> = BTreeMap::new();
    let mut found = Vec::new();
    for unit in machine
        .units()
        .iter()
        .filter(|unit| unit.role != Role::Init)
    {
        for ContainerPort {
            protocol,
            container_port,
            ..
        } in &unit.spec.ports
        {
            let name = unit.spec.name.as_str();
            let first = *seen.entry((*protocol, *container_port)).or_insert(name);
            if first != name {
                let port = format!("{container_port}/{}", protocol.as_str());
                found.push((port, first.to_owned(), name.to_owned()));
            }
        }
    }
    found
}

/// What keeps a Pod from running or from being reached.
pub(super) fn problems(machine: &Machine) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut counts = (0, 0);
    for unit in machine.units() {
        let (list, count) = match unit.role {
            Role::Main => ("containers", &mut counts.0),
            _ => ("initContainers", &mut counts.1),
        };
        let place = format!("spec.{list}[{count}]");
        *count += 1;
        let mut add = |field: &str, reason: &'static str, message: String, cure: String| {
            problems.push(Problem {
                object: machine.pod().object.key(),
                field: format!("{place}.{field}"),
                severity: Severity::Error,
                reason,
                message,
                cure,
            });
        };
        if unit.image.is_none() {
            let image = &unit.spec.image;
            add(
                "image",
                "ErrImageNeverPull",
                format!("Image {image:?} stands for no program of this machine."),
                format!(
                    "Start with --image '{image}=COMMAND' or --image '{image}=portolan/echo', or \
                     give the container a command."
                ),
            );
        }
        if let Some(complaint) = &unit.complaint {
            let cure = "Listen on the address in $POD_IP.".to_owned();
            add("command", "NotReachable", complaint.clone(), cure);
        }
    }
    problems
}
