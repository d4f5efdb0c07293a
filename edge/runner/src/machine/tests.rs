use super::*;
use serde_json::{Value, json};

/// A machine with its clock; actions are written one a line.
struct Bench {
    machine: Machine,
    now: Timestamp,
}

fn bench(spec: Value) -> Bench {
    bench_with(spec, Value::Null)
}

fn bench_with(spec: Value, status: Value) -> Bench {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": spec, "status": status,
    });
    let pod = PodObject::parse(testkit::object(&pod)).unwrap();
    let ip = |text: &str| text.parse().unwrap();
    let now = Timestamp::default();
    let images = ImageMap::default();
    let machine = Machine::new(pod, &images, vec![ip("127.244.0.2")], ip("127.0.0.1"), now);
    Bench { machine, now }
}

fn container(name: &str) -> Value {
    json!({"name": name, "image": "portolan/echo"})
}

impl Bench {
    fn tell(&mut self, input: Input) -> Vec<String> {
        let actions = self.machine.handle(input, self.now);
        let units = &self.machine.units;
        let name = |unit: usize| units[unit].spec.name.clone();
        actions
            .into_iter()
            .filter_map(|action| match action {
                Action::Prepare => Some("prepare".to_owned()),
                Action::Start { unit, .. } => Some(format!("start {}", name(unit))),
                Action::Stop {
                    unit,
                    grace_seconds,
                } => Some(format!("stop {} {grace_seconds}", name(unit))),
                Action::Probe { unit, kind } => Some(format!("probe {} {kind:?}", name(unit))),
                Action::Note {
                    reason: "Created" | "Started",
                    ..
                } => None,
                Action::Note {
                    reason, message, ..
                } => Some(format!("{reason}: {message}")),
                Action::Finish => Some("finish".to_owned()),
            })
            .collect()
    }

    /// Waits for the machine's deadline and says how many milliseconds that took.
    fn wait(&mut self) -> (i64, Vec<String>) {
        let at = self.machine.next_deadline().expect("a deadline");
        let waited = (at.micros() - self.now.micros()) / 1000;
        self.now = self.now.max(at);
        (waited, self.tell(Input::Tick))
    }

    fn prepared(&mut self) -> Vec<String> {
        assert_eq!(self.tell(Input::Tick), ["prepare"]);
        self.tell(Input::Prepared(Ok(())))
    }

    fn started(&mut self, unit: usize) -> Vec<String> {
        self.tell(Input::Started {
            unit,
            id: format!("process://{unit}"),
        })
    }

    fn exited(&mut self, unit: usize, exit_code: i32) -> Vec<String> {
        let ended = Ended {
            exit_code,
            signal: None,
            reason: if exit_code == 0 { "Completed" } else { "Error" }.to_owned(),
            message: String::new(),
            started: self.now,
            finished: self.now,
            id: format!("process://{unit}"),
        };
        self.tell(Input::Exited { unit, ended })
    }

    fn probed(&mut self, kind: ProbeKind, ok: bool) -> Vec<String> {
        let outcome = if ok { Ok(()) } else { Err("no".to_owned()) };
        self.tell(Input::Probed {
            unit: 0,
            kind,
            outcome,
        })
    }

    fn status(&self) -> Value {
        self.machine.status(self.now)
    }

    fn condition(&self, kind: &str) -> String {
        let status = self.status();
        let all = status["conditions"].as_array().unwrap();
        let one = all.iter().find(|c| c["type"] == kind).unwrap();
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        [text("status"), text("reason"), text("message")]
            .join(" ")
            .trim()
            .to_owned()
    }
}

#[test]
fn a_pod_comes_up_in_one_go() {
    let mut bench = bench(json!({"containers": [container("a"), container("b")]}));
    assert_eq!(
        bench.condition("ContainersReady"),
        "False ContainersNotReady containers with unready status: [a b]"
    );
    assert_eq!(bench.status()["phase"], "Pending");
    assert_eq!(bench.prepared(), ["start a", "start b"]);
    bench.started(0);
    assert_eq!(bench.status()["phase"], "Pending");
    bench.started(1);
    let status = bench.status();
    assert_eq!(status["phase"], "Running");
    assert_eq!(bench.condition("Ready"), "True");
    let first = &status["containerStatuses"][0];
    assert_eq!(
        first["state"],
        json!({"running": {"startedAt": "1970-01-01T00:00:00Z"}})
    );
    assert_eq!(
        (&first["ready"], &first["started"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(first["containerID"], "process://0");
    assert_eq!(
        bench.machine.next_deadline(),
        None,
        "an idle Pod wakes nobody"
    );
}

#[test]
fn init_containers_run_one_after_the_other_and_sidecars_stay() {
    let mut bench = bench(json!({
        "initContainers": [container("one"),
            {"name": "side", "image": "portolan/echo", "restartPolicy": "Always"}, container("two")],
        "containers": [container("main")],
    }));
    assert_eq!(bench.prepared(), ["start one"]);
    bench.started(0);
    assert_eq!(
        bench.status()["containerStatuses"][0]["state"]["waiting"]["reason"],
        "PodInitializing"
    );
    assert_eq!(
        bench.exited(0, 1),
        ["start one"],
        "the first failure is tried again at once"
    );
    bench.started(0);
    let again = bench.exited(0, 1);
    assert!(
        again[0].starts_with("BackOff: Back-off restarting failed container one in pod p_n(u)")
    );
    assert_eq!(
        bench.condition("Initialized"),
        "False ContainersNotInitialized containers with incomplete status: [one side two]"
    );
    assert_eq!(bench.wait(), (10_000, vec!["start one".to_owned()]));
    bench.started(0);
    assert_eq!(bench.exited(0, 0), ["start side"]);
    assert_eq!(bench.started(1), ["start two"]);
    bench.started(2);
    assert_eq!(bench.exited(2, 0), ["start main"]);
    bench.started(3);
    assert_eq!(bench.condition("Initialized"), "True");
    assert_eq!(bench.status()["phase"], "Running");
    assert_eq!(
        bench.tell(Input::Delete { grace_seconds: 5 }),
        ["Killing: Stopping container main", "stop main 5"]
    );
    assert_eq!(
        bench.exited(3, 143),
        ["Killing: Stopping container side", "stop side 5"]
    );
    assert_eq!(bench.exited(1, 0), ["finish"]);
    assert_eq!(bench.status()["phase"], "Failed");
}

#[test]
fn crashes_back_off_twice_as_long_each_time_up_to_five_minutes() {
    let mut bench = bench(json!({"containers": [container("a")]}));
    bench.prepared();
    bench.started(0);
    assert_eq!(bench.exited(0, 1), ["start a"]);
    let mut waits = Vec::new();
    for _ in 0..7 {
        bench.started(0);
        bench.exited(0, 1);
        let status = bench.status()["containerStatuses"][0].clone();
        assert_eq!(status["state"]["waiting"]["reason"], "CrashLoopBackOff");
        assert_eq!(status["lastState"]["terminated"]["exitCode"], 1);
        let message = status["state"]["waiting"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        let (waited, actions) = bench.wait();
        assert_eq!(actions, ["start a"]);
        waits.push(waited / 1000);
        if waits.len() == 5 {
            assert_eq!(
                message,
                "back-off 2m40s restarting failed container=a pod=p_n(u)"
            );
        }
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
    bench.started(0);
    assert_eq!(bench.status()["containerStatuses"][0]["restartCount"], 8);
    bench.now = bench.now.plus_seconds(601);
    assert_eq!(
        bench.exited(0, 1),
        ["start a"],
        "a long run makes up for the crashes"
    );
}

#[test]
fn restart_policies_decide_how_a_pod_ends() {
    for (policy, code, phase, again) in [
        ("Never", 0, "Succeeded", false),
        ("Never", 3, "Failed", false),
        ("OnFailure", 0, "Succeeded", false),
        ("OnFailure", 3, "Running", true),
        ("Always", 0, "Running", true),
    ] {
        let mut bench = bench(json!({"restartPolicy": policy, "containers": [container("a")]}));
        bench.prepared();
        bench.started(0);
        assert_eq!(!bench.exited(0, code).is_empty(), again, "{policy} {code}");
        assert_eq!(bench.status()["phase"], phase, "{policy} {code}");
    }
    let mut failed = bench(json!({"restartPolicy": "Never",
        "initContainers": [container("i")], "containers": [container("a")]}));
    failed.prepared();
    failed.started(0);
    assert!(failed.exited(0, 1).is_empty());
    assert_eq!(failed.status()["phase"], "Failed");
}

#[test]
fn readiness_is_looked_for_impatiently_but_failures_count_by_period() {
    let mut bench = bench(
        json!({"containers": [{"name": "a", "image": "portolan/echo",
        "readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 1, "failureThreshold": 2}}]}),
    );
    bench.prepared();
    assert_eq!(bench.started(0), ["probe a Readiness"]);
    assert_eq!(
        bench.probed(ProbeKind::Readiness, false),
        ["Unhealthy: Readiness probe failed: no"]
    );
    for pause in [100, 200, 400, 300] {
        assert_eq!(bench.wait(), (pause, vec!["probe a Readiness".to_owned()]));
        let told = bench.probed(ProbeKind::Readiness, false);
        assert_eq!(told.is_empty(), pause != 300, "{pause}");
    }
    assert_eq!(
        bench.condition("Ready"),
        "False ContainersNotReady containers with unready status: [a]"
    );
    bench.wait();
    assert!(bench.probed(ProbeKind::Readiness, true).is_empty());
    assert_eq!(bench.condition("Ready"), "True");
    for ready in ["True", "False"] {
        assert_eq!(bench.wait().0, 1000);
        bench.probed(ProbeKind::Readiness, false);
        assert!(bench.condition("Ready").starts_with(ready));
    }
}

#[test]
fn startup_holds_the_others_back_and_liveness_restarts() {
    let mut bench = bench(json!({"terminationGracePeriodSeconds": 7, "containers": [{
        "name": "a", "image": "portolan/echo",
        "startupProbe": {"tcpSocket": {"port": 1}, "initialDelaySeconds": 3},
        "livenessProbe": {"tcpSocket": {"port": 1}, "failureThreshold": 1,
            "terminationGracePeriodSeconds": 2}}]}));
    bench.prepared();
    assert!(bench.started(0).is_empty());
    assert_eq!(bench.status()["containerStatuses"][0]["started"], false);
    assert_eq!(bench.wait(), (3000, vec!["probe a Startup".to_owned()]));
    assert_eq!(bench.probed(ProbeKind::Startup, true), ["probe a Liveness"]);
    assert_eq!(bench.status()["containerStatuses"][0]["started"], true);
    assert_eq!(
        bench.probed(ProbeKind::Liveness, false),
        [
            "Unhealthy: Liveness probe failed: no",
            "Killing: Container a failed liveness probe, will be restarted",
            "stop a 2"
        ]
    );
    assert!(bench.tell(Input::Tick).is_empty(), "it is stopped once");
    assert_eq!(bench.exited(0, 137), ["start a"]);
}

#[test]
fn what_cannot_start_says_why() {
    let mut unmapped = bench(json!({"containers": [{"name": "a", "image": "nginx:1.25"}]}));
    let told = unmapped.prepared();
    assert!(
        told[0].contains("--image 'nginx:1.25=portolan/echo'"),
        "{told:?}"
    );
    let waiting = unmapped.status()["containerStatuses"][0]["state"]["waiting"].clone();
    assert_eq!(waiting["reason"], "ErrImageNeverPull");
    assert_eq!(unmapped.machine.next_deadline(), None);

    let mut blocked = bench(json!({"containers": [container("a")]}));
    blocked.prepared();
    let reason = "CreateContainerConfigError";
    let message = "configmap \"c\" not found".to_owned();
    let input = Input::Blocked {
        unit: 0,
        reason,
        message,
    };
    assert_eq!(
        blocked.tell(input.clone()),
        ["Failed: Error: configmap \"c\" not found"]
    );
    assert_eq!(blocked.wait(), (2000, vec!["start a".to_owned()]));
    assert!(
        blocked.tell(input).is_empty(),
        "the same complaint is made once"
    );
    assert_eq!(blocked.tell(Input::Nudge), ["start a"]);

    let mut mount = bench(json!({"containers": [container("a")]}));
    mount.tell(Input::Tick);
    let missing = Input::Prepared(Err("no secret".to_owned()));
    assert_eq!(mount.tell(missing), ["FailedMount: no secret"]);
    assert_eq!(mount.wait(), (2000, vec!["prepare".to_owned()]));
}

#[test]
fn a_complaint_about_listening_keeps_a_container_unready() {
    let mut bench = bench(json!({"containers": [{"name": "a", "image": "x",
        "command": ["serve"], "ports": [{"containerPort": 8080}]}]}));
    bench.prepared();
    bench.started(0);
    assert!(
        bench.condition("Ready").starts_with("False"),
        "nobody has looked yet"
    );
    let mut listens = |complaint: Option<&str>| {
        let complaint = complaint.map(str::to_owned);
        let told = bench.tell(Input::Listens { unit: 0, complaint });
        (told.len(), bench.condition("Ready").starts_with("True"))
    };
    assert_eq!(listens(Some("0.0.0.0")), (1, false));
    assert_eq!(listens(Some("0.0.0.0")), (0, false));
    assert_eq!(listens(None), (0, true));
}

#[test]
fn readiness_gates_and_foreign_conditions_are_kept() {
    let spec = json!({"readinessGates": [{"conditionType": "example.com/lb"}],
        "containers": [container("a")]});
    let mut without = bench(spec.clone());
    without.prepared();
    without.started(0);
    assert_eq!(
        without.condition("Ready"),
        "False ReadinessGatesNotReady corresponding condition of pod readiness gate \
         \"example.com/lb\" does not exist."
    );
    let gate = json!({"type": "example.com/lb", "status": "True"});
    let mut with = bench_with(spec, json!({"conditions": [gate]}));
    with.prepared();
    with.started(0);
    assert_eq!(with.condition("Ready"), "True");
    assert_eq!(with.status()["conditions"][5], gate);
}

#[test]
fn a_stored_pod_is_taken_up_again() {
    let running = json!({"phase": "Running", "startTime": "1969-12-31T00:00:00Z",
        "containerStatuses": [{"name": "a", "restartCount": 4,
            "state": {"running": {"startedAt": "1969-12-31T00:00:00Z"}}}]});
    let mut again = bench_with(json!({"containers": [container("a")]}), running.clone());
    assert_eq!(again.prepared(), ["start a"]);
    again.started(0);
    let status = again.status();
    assert_eq!(status["containerStatuses"][0]["restartCount"], 5);
    assert_eq!(
        status["containerStatuses"][0]["lastState"]["terminated"]["reason"],
        "Unknown"
    );
    assert_eq!(status["startTime"], "1969-12-31T00:00:00Z");
    let spec = json!({"restartPolicy": "Never", "containers": [container("a")]});
    let mut once = bench_with(spec.clone(), running);
    assert!(
        once.tell(Input::Tick).is_empty(),
        "what may run once has run"
    );
    assert_eq!(once.status()["phase"], "Failed");
    let mut done = bench_with(spec, json!({"phase": "Succeeded"}));
    assert!(done.tell(Input::Tick).is_empty());
    assert_eq!(done.tell(Input::Delete { grace_seconds: 0 }), ["finish"]);
}

#[test]
fn a_deadline_ends_the_pod() {
    let mut bench = bench(json!({"activeDeadlineSeconds": 60, "containers": [container("a")]}));
    bench.prepared();
    bench.started(0);
    let (waited, actions) = bench.wait();
    assert_eq!(waited, 60_000);
    assert_eq!(actions[2], "stop a 30");
    assert!(bench.exited(0, 0).is_empty());
    assert_eq!(bench.status()["phase"], "Failed");
    assert_eq!(bench.status()["reason"], "DeadlineExceeded");
}

#[test]
fn a_second_delete_may_only_shorten_the_grace() {
    let mut bench = bench(json!({"containers": [container("a")]}));
    bench.prepared();
    bench.started(0);
    assert_eq!(
        bench.tell(Input::Delete { grace_seconds: 30 })[1],
        "stop a 30"
    );
    assert!(bench.tell(Input::Delete { grace_seconds: 40 }).is_empty());
    assert_eq!(bench.tell(Input::Delete { grace_seconds: 1 }), ["stop a 1"]);
}
