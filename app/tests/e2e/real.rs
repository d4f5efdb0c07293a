//! `portolan run --role node` against the cluster that `PORTOLAN_TEST_KUBECONFIG` names: the agent
//! sits on a node of a laboratory, so that the cluster's own nodes are left alone, and the test
//! hands its connections to the API server on. The cluster gets one namespace, which is deleted.

use crate::harness::{eventually, feed, text};
use kernel::lab::{Asking, Echo, Lab, Protocol, Shape};
use kernel::netns::{Namespace, may_create};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the API server is reached on the laboratory's node.
const HERE: &str = "127.0.0.1:6443";

struct Cluster {
    kubeconfig: OsString,
    namespace: String,
    dir: PathBuf,
    agent: Option<Child>,
}

impl Cluster {
    fn new(kubeconfig: OsString) -> Self {
        let name = format!("portolan-test-{}", std::process::id());
        let dir = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&dir).expect("a directory for the test");
        Self {
            kubeconfig,
            namespace: name,
            dir,
            agent: None,
        }
    }

    fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        let output = feed(command.args(arguments), input);
        let error = text(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {error}");
        text(&output.stdout)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.kubectl(arguments, "");
        serde_json::from_str(&text).expect("JSON")
    }

    /// A kubeconfig for the node, and where the API server really is.
    fn moved_kubeconfig(&self) -> (PathBuf, SocketAddr) {
        let view = [
            "config",
            "view",
            "--raw",
            "--flatten",
            "--minify",
            "-o",
            "json",
        ];
        let mut config = self.json(&view);
        let cluster = &mut config["clusters"][0]["cluster"];
        let url = cluster["server"].as_str().expect("a server").to_owned();
        let authority = url.trim_start_matches("https://").trim_end_matches('/');
        let (host, _) = authority.rsplit_once(':').unwrap_or((authority, "443"));
        cluster["server"] = format!("https://{HERE}").into();
        if cluster["tls-server-name"].is_null() {
            cluster["tls-server-name"] = host.trim_matches(['[', ']']).into();
        }
        let path = self.dir.join("kubeconfig");
        std::fs::write(&path, config.to_string()).expect("a file");
        let with_port = match authority.contains(':') {
            true => authority.to_owned(),
            false => format!("{authority}:443"),
        };
        let mut addresses = with_port.to_socket_addrs().expect("an address");
        (path, addresses.next().expect("an address"))
    }

    fn start_agent(&mut self, node: &Namespace, kubeconfig: &Path) {
        let log = std::fs::File::create(self.dir.join("agent.log")).expect("a log file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
        command.args(["enter", "--netns"]).arg(node.path());
        command.arg("--").arg(env!("CARGO_BIN_EXE_portolan"));
        command.args(["run", "--role=node", "--dns=false"]);
        command.args(["--hostname-override=node1", "--conntrack-max-per-core=0"]);
        command.arg("--kubeconfig").arg(kubeconfig);
        command.stdout(Stdio::null()).stderr(log);
        self.agent = Some(command.spawn().expect("the agent starts"));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.join("agent.log")).unwrap_or_default();
            eprintln!("agent:\n{log}");
        }
        let mut delete = Command::new("kubectl");
        delete.arg("--kubeconfig").arg(&self.kubeconfig);
        delete.args(["delete", "namespace", &self.namespace, "--wait=false"]);
        let _ = delete.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Hands connections that arrive on the node to the API server, until the test's process ends.
fn hand_over(node: &Namespace, server: SocketAddr) {
    let listener = node.tcp_listen(HERE.parse().expect("an address"));
    let listener = listener.expect("a listener on the node");
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    };
    std::thread::spawn(move || {
        for inside in listener.incoming().flatten() {
            let Ok(outside) = TcpStream::connect(server) else {
                continue;
            };
            let (Ok(inside2), Ok(outside2)) = (inside.try_clone(), outside.try_clone()) else {
                continue;
            };
            std::thread::spawn(move || copy(inside, outside));
            std::thread::spawn(move || copy(outside2, inside2));
        }
    });
}

fn objects(namespace: &str, pods: &[IpAddr]) -> String {
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|pod| json!({"addresses": [pod], "conditions": {"ready": true}}))
        .collect();
    let ports = json!([{"name": "tcp", "port": 8080, "protocol": "TCP"}]);
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": namespace},
         "spec": {"ports": [{"name": "tcp", "port": 80, "targetPort": 8080}]}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
         "metadata": {"name": "web-1", "namespace": namespace,
                      "labels": {"kubernetes.io/service-name": "web"}},
         "ports": ports, "endpoints": endpoints},
    ]})
    .to_string()
}

#[test]
fn services_of_a_real_cluster_are_served() {
    let Some(kubeconfig) = std::env::var_os("PORTOLAN_TEST_KUBECONFIG") else {
        eprintln!("skipped: PORTOLAN_TEST_KUBECONFIG names no cluster");
        return;
    };
    if let Err(refusal) = may_create() {
        eprintln!("skipped: {}", refusal.0);
        return;
    }
    let shape = Shape {
        nodes: 1,
        pods_per_node: 3,
        bridge: false,
    };
    let lab = Lab::build(shape).expect("the laboratory");
    let node = &lab.nodes[0].machine.namespace;
    let machines: Vec<_> = lab.pods.iter().map(|pod| &pod.machine).collect();
    let echo = |pod: usize| Echo::start(machines[pod], &[8080]).expect("an echo");
    let _echoes = [echo(1), echo(2)];

    let mut cluster = Cluster::new(kubeconfig);
    let (moved, server) = cluster.moved_kubeconfig();
    hand_over(node, server);
    let pod = |index: usize| IpAddr::from(machines[index].addresses.v4);
    let yaml = objects(&cluster.namespace, &[pod(1), pod(2)]);
    cluster.kubectl(&["apply", "-f", "-"], &yaml);
    let namespace = cluster.namespace.clone();
    let get = ["get", "service", "web", "-n", &namespace, "-o", "json"];
    let service = cluster.json(&get);
    let address = service["spec"]["clusterIP"].as_str().expect("a ClusterIP");
    let to: SocketAddr = format!("{address}:80").parse().expect("an address");
    cluster.start_agent(node, &moved);

    let ask = || {
        let asking = Asking {
            from: &machines[0].namespace,
            source: None,
            protocol: Protocol::Tcp,
            to,
            patience: Duration::from_secs(2),
        };
        asking.ask()
    };
    eventually(ask, |answer| answer.who() == Some("pod2"));
    eventually(ask, |answer| answer.who() == Some("pod3"));
    // One endpoint goes.
    cluster.kubectl(&["apply", "-f", "-"], &objects(&namespace, &[pod(2)]));
    eventually(
        || [ask(), ask(), ask(), ask(), ask(), ask()],
        |answers| answers.iter().all(|answer| answer.who() == Some("pod3")),
    );
    cluster.kubectl(&["delete", "service", "web", "-n", &namespace], "");
    eventually(ask, |answer| answer.who().is_none());
}
