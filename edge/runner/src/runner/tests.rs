mod networks;
mod sessions;

use super::*;
use crate::memory::Memory;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

const PATIENCE: Duration = Duration::from_secs(20);

/// A runner with an API server of a few lines: it stores, and tells of what it stored.
struct Bed {
    runner: Arc<Runner>,
    memory: Arc<Memory>,
    notes: Arc<Mutex<Vec<String>>>,
    changed: Arc<Notify>,
    folder: PathBuf,
    server: JoinHandle<()>,
}

static BEDS: AtomicU32 = AtomicU32::new(1);

fn bed(images: &[&str]) -> Bed {
    let number = BEDS.fetch_add(1, Ordering::Relaxed);
    let name = format!("runner-bed-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let _ = std::fs::remove_dir_all(&folder);
    bed_in(folder, Arc::default(), number, images)
}

fn bed_in(folder: PathBuf, memory: Arc<Memory>, range: u32, images: &[&str]) -> Bed {
    bed_where(folder, memory, range, images, |_| ())
}

fn bed_where(
    folder: PathBuf,
    memory: Arc<Memory>,
    range: u32,
    images: &[&str],
    set: impl FnOnce(&mut Settings),
) -> Bed {
    let mut settings = Settings::new(&folder);
    settings.node_name = "here".to_owned();
    settings.pod_cidrs = vec![format!("127.32.{range}.0/24").parse().unwrap()];
    settings.shutdown_grace = Duration::from_secs(1);
    images
        .iter()
        .for_each(|image| settings.images.add(image).unwrap());
    set(&mut settings);
    let (writes, mut asked) = mpsc::unbounded_channel();
    let runner = Arc::new(Runner::start(settings, memory.clone(), writes).unwrap());
    let notes = Arc::new(Mutex::new(Vec::new()));
    let changed = Arc::new(Notify::new());
    let server = tokio::spawn({
        let (runner, memory) = (Arc::downgrade(&runner), memory.clone());
        let (notes, changed) = (notes.clone(), changed.clone());
        async move {
            while let Some(write) = asked.recv().await {
                if let Write::Note(note) = &write {
                    let text = format!("{}: {}", note.reason, note.message);
                    notes.lock().unwrap().push(text);
                }
                let event = serve(&memory, write);
                if let (Some(event), Some(runner)) = (event, runner.upgrade()) {
                    runner.observe(&event);
                }
                changed.notify_waiters();
            }
        }
    });
    Bed {
        runner,
        memory,
        notes,
        changed,
        folder,
        server,
    }
}

fn serve(memory: &Memory, write: Write) -> Option<Event> {
    match write {
        Write::Create { object, .. } => Some(memory.put(testkit::object(&object))),
        Write::MergePatch { key, patch, .. } => {
            let old = memory.get(key.resource, &key.namespace, &key.name)?;
            let mut value = old.value();
            merge(&mut value, &patch);
            let next = (old.meta.resource_version + 1).to_string();
            value["metadata"]["resourceVersion"] = next.into();
            Some(memory.put(testkit::object(&value)))
        }
        Write::Delete { key, .. } => memory.remove(&key),
        Write::Note(_) => None,
        other => panic!("{other:?}"),
    }
}

fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        match value {
            Value::Null => {
                into.as_object_mut().unwrap().remove(key);
            }
            value => merge(&mut into[key.as_str()], value),
        }
    }
}

impl Bed {
    fn put(&self, value: &Value) {
        let event = self.memory.put(testkit::object(value));
        self.runner.observe(&event);
    }

    fn pod(&self, name: &str, spec: Value) {
        let mut spec = spec;
        spec["nodeName"] = "here".into();
        self.put(&json!({"apiVersion": "v1", "kind": "Pod", "spec": spec,
            "metadata": {"name": name, "namespace": "dev", "uid": format!("uid-{name}"),
                "resourceVersion": "1"}}));
    }

    fn stored(&self, name: &str) -> Value {
        let object = self.memory.get(Resource::PODS, "dev", name);
        object.map_or(Value::Null, |object| object.value())
    }

    /// Waits until the Pod is as wanted.
    async fn until(&self, name: &str, what: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            loop {
                let notified = self.changed.notified();
                let pod = self.stored(name);
                if what(&pod) {
                    return pod;
                }
                // A change between the look and the wait would be missed without a limit.
                let _ = tokio::time::timeout(Duration::from_millis(50), notified).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.unwrap_or_else(|_| panic!("{:#}\n{:#?}", self.stored(name), self.notes.lock()))
    }

    async fn until_ready(&self, name: &str) -> String {
        let pod = self
            .until(name, |pod| condition(pod, "Ready")["status"] == "True")
            .await;
        pod["status"]["podIP"].as_str().unwrap().to_owned()
    }

    async fn log(&self, name: &str, options: LogOptions) -> String {
        let mut pieces = self.runner.logs("dev", name, None, options).await.unwrap();
        let mut text = Vec::new();
        while let Some(piece) = pieces.recv().await {
            text.extend_from_slice(&piece);
        }
        String::from_utf8(text).unwrap()
    }

    fn told(&self, words: &str) -> bool {
        self.notes
            .lock()
            .unwrap()
            .iter()
            .any(|note| note.contains(words))
    }

    fn delete(&self, name: &str, grace: i64) {
        let mut pod = self.stored(name);
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        pod["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        self.put(&pod);
    }

    async fn end(self) {
        self.runner.shutdown().await;
        self.server.abort();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn condition<'a>(pod: &'a Value, kind: &str) -> &'a Value {
    let mut all = pod["status"]["conditions"].as_array().into_iter().flatten();
    all.find(|c| c["type"] == kind).unwrap_or(&Value::Null)
}

fn shell(script: &str) -> Value {
    json!({"name": "main", "image": "any", "command": ["sh", "-c", script]})
}

async fn get(at: (&str, u16)) -> Option<Value> {
    let mut stream = TcpStream::connect(at).await.ok()?;
    let request = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}

#[tokio::test]
async fn an_echo_pod_answers_on_its_own_address_until_it_is_deleted() {
    let bed = bed(&["nginx=portolan/echo"]);
    let container = json!({"name": "web", "image": "nginx:1.25", "ports": [{"containerPort": 8081}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8081}}});
    bed.pod("web-0", json!({"containers": [container]}));
    let ip = bed.until_ready("web-0").await;
    assert!(ip.starts_with("127.32."), "{ip}");
    let answer = get((&ip, 8081)).await.unwrap();
    assert_eq!(
        (&answer["pod"], &answer["namespace"]),
        (&json!("web-0"), &json!("dev"))
    );
    let status = bed.stored("web-0")["status"].clone();
    assert_eq!(status["phase"], "Running");
    assert_eq!(status["hostIP"], "127.0.0.1");
    assert_eq!(status["containerStatuses"][0]["restartCount"], 0);
    let log = bed.log("web-0", LogOptions::default()).await;
    assert!(log.contains("GET /hello HTTP/1.1"), "{log}");
    bed.delete("web-0", 30);
    bed.until("web-0", Value::is_null).await;
    assert!(get((&ip, 8081)).await.is_none());
    bed.end().await;
}

#[tokio::test]
async fn a_process_gets_its_environment_and_its_volumes() {
    let bed = bed(&[]);
    bed.put(&json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "dev"}, "data": {"color": "blue"}}));
    let mut main = shell(
        "echo $COLOR $1; cat etc/app/color; echo; [ \"$POD_IP\" = \"$IP\" ] && echo same; pwd",
    );
    main["args"] = json!(["sh", "$(COLOR)-$(NONE)"]);
    main["env"] = json!([
        {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]);
    main["volumeMounts"] = json!([{"name": "v", "mountPath": "/etc/app"}]);
    bed.pod(
        "job",
        json!({"restartPolicy": "Never", "containers": [main],
        "volumes": [{"name": "v", "configMap": {"name": "settings"}}]}),
    );
    bed.until("job", |pod| pod["status"]["phase"] == "Succeeded")
        .await;
    let log = bed.log("job", LogOptions::default()).await;
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[..3], ["blue blue-$(NONE)", "blue", "same"]);
    assert!(lines[3].ends_with("roots/main"));
    assert!(bed.told("MountElsewhere: "));
    let ended = &bed.stored("job")["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (&ended["exitCode"], &ended["reason"]),
        (&json!(0), &json!("Completed"))
    );
    bed.end().await;
}

#[tokio::test]
async fn what_is_missing_is_waited_for() {
    let bed = bed(&[]);
    let mut main = shell("echo $TOKEN; exec sleep 600");
    main["envFrom"] = json!([{"secretRef": {"name": "login"}}]);
    bed.pod("late", json!({"containers": [main]}));
    bed.pod(
        "unmapped",
        json!({"containers": [{"name": "main", "image": "redis:7"}]}),
    );
    let waiting = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"].clone();
    let pod = bed
        .until("late", |pod| !waiting(pod)["message"].is_null())
        .await;
    assert_eq!(
        waiting(&pod),
        json!({"reason": "CreateContainerConfigError",
        "message": "secret \"login\" not found"})
    );
    bed.put(
        &json!({"apiVersion": "v1", "kind": "Secret", "data": {"TOKEN": "eA=="},
        "metadata": {"name": "login", "namespace": "dev"}}),
    );
    bed.until_ready("late").await;
    let pod = bed
        .until("unmapped", |pod| !waiting(pod)["message"].is_null())
        .await;
    assert_eq!(waiting(&pod)["reason"], "ErrImageNeverPull");
    let problems = bed.runner.problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].field, "spec.containers[0].image");
    assert!(problems[0].cure.contains("--image 'redis:7=portolan/echo'"));
    let error = bed
        .runner
        .logs("dev", "unmapped", None, LogOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "container \"main\" in pod \"unmapped\" is waiting to start: ErrImageNeverPull"
    );
    bed.end().await;
}

#[tokio::test]
async fn crashes_are_restarted_and_the_log_before_is_kept() {
    let bed = bed(&[]);
    bed.pod("crash", json!({"containers": [shell("echo run; exit 3")]}));
    let pod = bed
        .until("crash", |pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                == "CrashLoopBackOff"
        })
        .await;
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(status["restartCount"], 1);
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(
        status["state"]["waiting"]["message"],
        "back-off 10s restarting failed container=main pod=crash_dev(uid-crash)"
    );
    assert_eq!(pod["status"]["phase"], "Running");
    let previous = LogOptions {
        previous: true,
        ..LogOptions::default()
    };
    assert_eq!(bed.log("crash", previous).await, "run\n");
    bed.pod(
        "nofile",
        json!({"containers": [
        {"name": "main", "image": "x", "command": ["/no/such/program"]}]}),
    );
    let pod = bed
        .until("nofile", |pod| {
            !pod["status"]["containerStatuses"][0]["lastState"]["terminated"].is_null()
        })
        .await;
    let ended = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(
        (&ended["exitCode"], &ended["reason"]),
        (&json!(128), &json!("StartError"))
    );
    assert!(
        ended["message"]
            .as_str()
            .unwrap()
            .contains("executable file not found")
    );
    bed.end().await;
}

#[tokio::test]
async fn a_process_is_stopped_in_order() {
    let bed = bed(&[]);
    let mut main = shell(
        "trap 'echo bye; exit 0' TERM; echo up; touch \"$PORTOLAN_ROOT/up\"; \
         sleep 600 & while true; do wait; done",
    );
    main["lifecycle"] = json!({"preStop": {"exec": {"command":
        ["sh", "-c", "echo pre > \"$PORTOLAN_ROOT/pre\""]}}});
    main["readinessProbe"] =
        json!({"exec": {"command": ["sh", "-c", "test -e \"$PORTOLAN_ROOT/up\""]}});
    bed.pod("orderly", json!({"containers": [main]}));
    bed.until_ready("orderly").await;
    let follow = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let mut pieces = bed
        .runner
        .logs("dev", "orderly", None, follow)
        .await
        .unwrap();
    assert_eq!(pieces.recv().await.unwrap(), "up\n");
    let root = bed.folder.join("pods/dev_orderly_uid-orderly/roots/main");
    bed.delete("orderly", 20);
    assert_eq!(pieces.recv().await.unwrap(), "bye\n");
    assert!(root.join("pre").exists() || !root.exists());
    bed.until("orderly", Value::is_null).await;
    assert_eq!(pieces.recv().await, None);
    assert!(bed.told("Killing: Stopping container main"));
    bed.end().await;
}

#[tokio::test]
async fn a_stubborn_process_is_killed_after_its_grace() {
    let bed = bed(&[]);
    bed.pod(
        "stubborn",
        json!({"containers": [shell("trap '' TERM; echo up; sleep 600 & wait; sleep 600")]}),
    );
    bed.until_ready("stubborn").await;
    bed.delete("stubborn", 1);
    bed.until("stubborn", Value::is_null).await;
    bed.end().await;
}

#[tokio::test]
async fn a_process_on_every_address_is_told_and_not_made_ready() {
    let bed = bed(&[]);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let python = |bind: &str| {
        json!({"name": "main", "image": "x",
        "ports": [{"containerPort": port}],
        "command": ["python3", "-m", "http.server", port.to_string(), "--bind", bind]})
    };
    bed.pod("good", json!({"containers": [python("$(POD_IP)")]}));
    let ip = bed.until_ready("good").await;
    assert!(TcpStream::connect((ip.as_str(), port)).await.is_ok());
    bed.delete("good", 0);
    bed.until("good", Value::is_null).await;
    bed.pod("stray", json!({"containers": [python("0.0.0.0")]}));
    bed.until("stray", |_| bed.told("NotReachable: ")).await;
    assert!(bed.told(&format!("Make it listen on $POD_IP:{port}")));
    assert_eq!(condition(&bed.stored("stray"), "Ready")["status"], "False");
    assert_eq!(bed.runner.problems()[0].reason, "NotReachable");
    bed.end().await;
}

#[tokio::test]
async fn two_containers_on_one_port_are_told() {
    let bed = bed(&[]);
    let echo = |name: &str| json!({"name": name, "image": "portolan/echo"});
    let declared =
        json!({"name": "c", "image": "portolan/echo", "ports": [{"containerPort": 8080}]});
    bed.pod("two", json!({"containers": [declared, echo("b")]}));
    let pod = bed
        .until("two", |pod| {
            !pod["status"]["containerStatuses"][1]["lastState"]["terminated"].is_null()
        })
        .await;
    let ended = &pod["status"]["containerStatuses"][1]["lastState"]["terminated"];
    assert!(
        ended["message"]
            .as_str()
            .unwrap()
            .contains("another container of the Pod")
    );
    bed.end().await;
}

#[tokio::test]
async fn the_next_start_takes_pods_up_again_with_their_addresses() {
    let first = bed(&[]);
    first.pod("stays", json!({"containers": [shell("exec sleep 600")]}));
    first.put(&json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "elsewhere", "namespace": "dev", "uid": "e"},
        "spec": {"nodeName": "other", "containers": [shell("exit 1")]}}));
    let ip = first.until_ready("stays").await;
    first.runner.shutdown().await;
    first.server.abort();
    let number = BEDS.load(Ordering::Relaxed);
    let range: u32 = ip.split('.').nth(2).unwrap().parse().unwrap();
    assert!(number > range);
    let second = bed_in(first.folder.clone(), first.memory.clone(), range, &[]);
    let pod = second
        .until("stays", |pod| {
            pod["status"]["containerStatuses"][0]["restartCount"] == 1
                && condition(pod, "Ready")["status"] == "True"
        })
        .await;
    assert_eq!(pod["status"]["podIP"], ip.as_str());
    assert!(
        second.stored("elsewhere")["status"].is_null(),
        "another node's Pod is left alone"
    );
    second.end().await;
}

#[tokio::test]
async fn the_node_is_registered() {
    let bed = bed(&[]);
    let wait = async {
        while bed.memory.get(Resource::NODES, "", "here").is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
    let node = bed.memory.get(Resource::NODES, "", "here").unwrap().value();
    assert_eq!(node["status"]["conditions"][3]["type"], "Ready");
    bed.end().await;
}
