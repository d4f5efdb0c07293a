//! The Node object and its Lease.

use crate::Settings;
use crate::env::Capacity;
use model::{Object, ObjectKey, Resource, Timestamp, View, Write};
use serde_json::{Value, json};
use std::net::IpAddr;

/// Seconds between two renewals of the Lease, and how long one is good for; kubelet's defaults.
pub(crate) const RENEW_SECONDS: u64 = 10;
const LEASE_SECONDS: u64 = 40;

/// Seconds after which conditions that have not changed are confirmed
/// (`nodeStatusReportFrequency`).
const REPORT_SECONDS: i64 = 300;

/// Pods that a node says it can take.
const PODS: u32 = 1000;

const LEASES: &str = "kube-node-lease";

/// What has to be written so that the Node is there and says what is true.
pub(crate) fn register(
    settings: &Settings,
    view: &dyn View,
    capacity: Capacity,
    now: Timestamp,
) -> Vec<Write> {
    let name = &settings.node_name;
    let Some(node) = view.get(Resource::NODES, "", name) else {
        let object = object(settings, capacity, now);
        return vec![Write::Create {
            resource: Resource::NODES,
            object,
        }];
    };
    let stored = node.value();
    let mut writes = Vec::new();
    let status = status(settings, capacity, &stored["status"], now);
    if differs(&stored["status"], &status, now) {
        writes.push(Write::MergePatch {
            key: node.key(),
            subresource: "status",
            patch: json!({"status": status}),
        });
    }
    let wanted = labels(settings);
    let has = |(key, value): (&String, &Value)| {
        node.meta.labels.get(key).map(String::as_str) == value.as_str()
    };
    let complete = wanted
        .as_object()
        .is_some_and(|wanted| wanted.iter().all(has));
    if !complete {
        writes.push(Write::MergePatch {
            key: node.key(),
            subresource: "",
            patch: json!({"metadata": {"labels": wanted}}),
        });
    }
    writes
}

/// The renewal of the Lease, by which others see that the node lives.
pub(crate) fn renew(settings: &Settings, view: &dyn View, now: Timestamp) -> Option<Write> {
    let name = &settings.node_name;
    let node = view.get(Resource::NODES, "", name)?;
    let renewed = json!({"renewTime": now.rfc3339_micro()});
    if view.get(Resource::LEASES, LEASES, name).is_some() {
        return Some(Write::MergePatch {
            key: ObjectKey::new(Resource::LEASES, LEASES, name),
            subresource: "",
            patch: json!({"spec": renewed}),
        });
    }
    // Whoever makes the system's namespaces will get to it.
    view.get(Resource::NAMESPACES, "", LEASES)?;
    Some(Write::Create {
        resource: Resource::LEASES,
        object: lease(&node, now),
    })
}

fn lease(node: &Object, now: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": node.meta.name, "namespace": LEASES,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node",
                "name": node.meta.name, "uid": node.meta.uid}],
        },
        "spec": {
            "holderIdentity": node.meta.name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now.rfc3339_micro(),
        },
    })
}

fn labels(settings: &Settings) -> Value {
    json!({
        "kubernetes.io/arch": arch(),
        "kubernetes.io/os": std::env::consts::OS,
        "kubernetes.io/hostname": settings.node_name,
        "beta.kubernetes.io/arch": arch(),
        "beta.kubernetes.io/os": std::env::consts::OS,
    })
}

/// Go's name of the architecture.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn object(settings: &Settings, capacity: Capacity, now: Timestamp) -> Value {
    let cidrs: Vec<String> = settings.pod_cidrs.iter().map(ToString::to_string).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": settings.node_name, "labels": labels(settings)},
        "spec": {"podCIDR": cidrs.first(), "podCIDRs": cidrs},
        "status": status(settings, capacity, &Value::Null, now),
    })
}

fn status(settings: &Settings, capacity: Capacity, old: &Value, now: Timestamp) -> Value {
    let resources = json!({
        "cpu": capacity.cpus.to_string(),
        "memory": format!("{}Ki", capacity.memory_bytes / 1024),
        "pods": PODS.to_string(),
    });
    json!({
        "addresses": addresses(settings.node_ip, &settings.node_name),
        "capacity": resources,
        "allocatable": resources,
        "conditions": conditions(old, now),
        "nodeInfo": info(),
    })
}

fn addresses(ip: IpAddr, name: &str) -> Value {
    json!([{"type": "InternalIP", "address": ip.to_string()},
        {"type": "Hostname", "address": name}])
}

fn conditions(old: &Value, now: Timestamp) -> Vec<Value> {
    let old = old["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    [
        (
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
        ),
        (
            "DiskPressure",
            "False",
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure",
        ),
        (
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available",
        ),
        (
            "Ready",
            "True",
            "KubeletReady",
            "kubelet is posting ready status",
        ),
    ]
    .into_iter()
    .map(|(kind, status, reason, message)| {
        let same = old
            .iter()
            .find(|c| c["type"] == kind && c["status"] == status);
        let since = same.and_then(|c| c["lastTransitionTime"].as_str());
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now.rfc3339(),
            "lastTransitionTime": since.map_or_else(|| now.rfc3339(), str::to_owned)})
    })
    .collect()
}

fn info() -> Value {
    let system = rustix::system::uname();
    let read = |path: &str| {
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let release = read("/etc/os-release");
    let pretty = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    json!({
        "machineID": read("/etc/machine-id"),
        "systemUUID": "",
        "bootID": read("/proc/sys/kernel/random/boot_id"),
        "kernelVersion": system.release().to_string_lossy(),
        "osImage": pretty.unwrap_or("Linux").trim_matches('"'),
        "containerRuntimeVersion": format!("process://{}", env!("CARGO_PKG_VERSION")),
        "kubeletVersion": "v1.36.0",
        "kubeProxyVersion": "",
        "operatingSystem": std::env::consts::OS,
        "architecture": arch(),
    })
}

/// Whether a status is worth a write: something changed, or the last word is long ago.
fn differs(stored: &Value, wanted: &Value, now: Timestamp) -> bool {
    let bare = |status: &Value| {
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let states: Vec<Value> = conditions
            .iter()
            .map(|c| json!([c["type"], c["status"], c["reason"]]))
            .collect();
        (
            status["addresses"].clone(),
            status["capacity"].clone(),
            states,
        )
    };
    let beat = stored["conditions"][0]["lastHeartbeatTime"].as_str();
    let beat = beat.and_then(Timestamp::parse).unwrap_or_default();
    bare(stored) != bare(wanted) || now >= beat.plus_seconds(REPORT_SECONDS)
}

/// CPUs and memory of this machine.
pub(crate) fn capacity() -> Capacity {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Capacity {
        cpus: cpus as u64,
        memory_bytes: kib.unwrap_or(1 << 20) * 1024,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    const CAPACITY: Capacity = Capacity {
        cpus: 2,
        memory_bytes: 1 << 30,
    };

    fn store(memory: &Memory, write: &Write, old: Option<Value>) -> Value {
        let value = match write {
            Write::Create { object, .. } => object.clone(),
            Write::MergePatch { patch, .. } => {
                let mut value = old.unwrap();
                value["status"] = patch["status"].clone();
                value
            }
            other => panic!("{other:?}"),
        };
        memory.put(testkit::object(&value));
        value
    }

    #[test]
    fn a_node_is_written_once_and_then_only_when_it_has_to_be() {
        let (memory, settings) = (Memory::default(), Settings::new("unused"));
        let at = |seconds| Timestamp::default().plus_seconds(seconds);
        let register = |seconds| register(&settings, &memory, CAPACITY, at(seconds));
        let writes = register(0);
        let node = store(&memory, &writes[0], None);
        assert_eq!(
            node["metadata"]["labels"]["kubernetes.io/hostname"],
            "portolan"
        );
        assert_eq!(node["spec"]["podCIDR"], "127.244.0.0/16");
        assert_eq!(node["status"]["addresses"][0]["address"], "127.0.0.1");
        assert_eq!(register(0), []);
        assert_eq!(register(299), []);
        let writes = register(300);
        let node = store(&memory, &writes[0], Some(node));
        let ready = &node["status"]["conditions"][3];
        assert_eq!(ready["lastHeartbeatTime"], "1970-01-01T00:05:00Z");
        assert_eq!(ready["lastTransitionTime"], "1970-01-01T00:00:00Z");

        assert_eq!(
            renew(&settings, &memory, at(0)),
            None,
            "its namespace is not there"
        );
        memory.put(testkit::object(
            &json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": LEASES}}),
        ));
        let create = renew(&settings, &memory, at(0)).unwrap();
        let lease = store(&memory, &create, None);
        assert_eq!(lease["spec"]["holderIdentity"], "portolan");
        let Some(Write::MergePatch { patch, .. }) = renew(&settings, &memory, at(10)) else {
            panic!("a Lease that is there is patched");
        };
        assert_eq!(
            patch,
            json!({"spec": {"renewTime": "1970-01-01T00:00:10.000000Z"}})
        );
    }
}
