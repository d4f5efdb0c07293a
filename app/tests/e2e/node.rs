//! `portolan run --role node` in a laboratory: a node with two Pods, and an API server on the node.

use crate::harness::{eventually, feed, text};
use kernel::lab::{Answer, Asking, Echo, Lab, Protocol, Shape};
use kernel::link::Links;
use kernel::netns::{Namespace, may_create};
use kernel::nftables::Table;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const OBJECTS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  type: NodePort
  clusterIP: 10.96.5.5
  ports:
  - {name: tcp, port: 80, protocol: TCP, targetPort: 8080}
  - {name: udp, port: 80, protocol: UDP, targetPort: 8080}
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: 10.96.0.10
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: default}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  ports: [{port: 80}]
"#;

struct Bed {
    lab: Lab,
    dir: PathBuf,
    server: Option<Child>,
    agent: Option<Child>,
}

impl Bed {
    fn new(name: &str) -> Self {
        let shape = Shape {
            nodes: 1,
            pods_per_node: 2,
            bridge: false,
        };
        let dir = std::env::temp_dir().join(format!("portolan-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory for the test");
        std::fs::write(dir.join("resolv.conf"), "nameserver 127.0.0.1\n").expect("resolv.conf");
        Self {
            lab: Lab::build(shape).expect("the laboratory"),
            dir,
            server: None,
            agent: None,
        }
    }

    fn node(&self) -> &Namespace {
        &self.lab.nodes[0].machine.namespace
    }

    fn address(&self) -> Ipv4Addr {
        self.lab.nodes[0].machine.addresses.v4
    }

    fn log(&self, name: &str) -> Stdio {
        let path = self.dir.join(name);
        let file = File::options().create(true).append(true).open(path);
        file.expect("a log file").into()
    }

    /// A program on the node.
    fn on_node(&self, program: &str) -> Command {
        inside(self.node(), program)
    }

    fn start_server(&mut self) {
        let mut command = self.on_node(env!("CARGO_BIN_EXE_portolan"));
        command.args(["up", "--no-runner", "--data-path", "userspace"]);
        command
            .args(["--service-cidr", "10.96.0.0/16", "--data-dir"])
            .arg(self.dir.join("data"));
        command.args([
            "--api-listen",
            "127.0.0.1:6443",
            "--dns-listen",
            "127.0.0.1:5353",
        ]);
        command.args([
            "--http-listen",
            "127.0.0.1:8081",
            "--https-listen",
            "127.0.0.1:8443",
        ]);
        command.stdout(Stdio::null()).stderr(self.log("server.log"));
        self.server = Some(command.spawn().expect("the server starts"));
        let ready = || self.try_kubectl(&["get", "--raw", "/readyz"], "");
        let answer = eventually(ready, |answer| answer.as_deref() == Ok("ok"));
        assert!(answer.is_ok());
    }

    fn start_agent(&mut self) {
        let kubeconfig = self.dir.join("portolan-node.kubeconfig");
        let mut command = self.on_node(env!("CARGO_BIN_EXE_portolan"));
        command.args([
            "run",
            "--role=node",
            "--hostname-override=node1",
            "--proxy-mode=nftables",
            "--nodeport-addresses=0.0.0.0/0",
        ]);
        command.args([
            "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48",
            "--service-counters",
        ]);
        command.arg("--kubeconfig").arg(kubeconfig);
        command
            .arg("--resolv-conf")
            .arg(self.dir.join("resolv.conf"));
        // The limits of connection tracking belong to the machine that the test runs on.
        command.args(["--conntrack-max-per-core=0"]);
        command.stdout(Stdio::null()).stderr(self.log("agent.log"));
        self.agent = Some(command.spawn().expect("the agent starts"));
    }

    fn try_kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut command = self.on_node("kubectl");
        command
            .arg("--kubeconfig")
            .arg(self.dir.join("data/kubeconfig"))
            .args(arguments);
        command.env("HOME", &self.dir).env_remove("KUBECONFIG");
        let output = feed(&mut command, input);
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let done = self.try_kubectl(arguments, input);
        done.unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}"))
    }

    /// The endpoints of Service `web`, by index of Pod.
    fn endpoints(&self, pods: &[usize]) {
        let each = pods.iter().map(|pod| {
            let address = self.lab.pods[*pod].machine.addresses.v4;
            format!("- {{addresses: [{address}], conditions: {{ready: true}}, nodeName: node1}}\n")
        });
        let each: String = each.collect();
        let slice = |service: &str, ports: &str| {
            format!(
                "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {service}-1\n  \
                 labels: {{kubernetes.io/service-name: {service}}}\n\
                 addressType: IPv4\nports: [{ports}]\nendpoints:\n{each}---\n"
            )
        };
        let both = "{name: tcp, port: 8080, protocol: TCP}, {name: udp, port: 8080, protocol: UDP}";
        let yaml = slice("web", both) + &slice("edge", "{port: 8080, protocol: TCP}");
        self.kubectl(&["apply", "-f", "-"], &yaml);
    }

    /// Applies a manifest, and makes a kubeconfig with the token of its ServiceAccount.
    fn credentials(&self, name: &str) {
        let root = env!("CARGO_MANIFEST_DIR");
        let manifest = format!("{root}/../manifests/{name}.yaml");
        self.kubectl(&["apply", "-f", &manifest], "");
        let token = self.kubectl(&["create", "token", name, "-n", "kube-system"], "");
        let admin = std::fs::read_to_string(self.dir.join("data/kubeconfig")).expect("kubeconfig");
        let admin: serde_json::Value = serde_saphyr::from_str(&admin).expect("YAML");
        let mut cluster = admin["clusters"][0].clone();
        cluster["name"] = "c".into();
        let file = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "clusters": [cluster],
            "users": [{"name": "u", "user": {"token": token.trim()}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        });
        std::fs::write(
            self.dir.join(format!("{name}.kubeconfig")),
            file.to_string(),
        )
        .expect("a file");
    }

    fn asking(&self, protocol: Protocol) -> Asking<'_> {
        Asking {
            from: &self.lab.pods[0].machine.namespace,
            source: None,
            protocol,
            to: "10.96.5.5:80".parse().expect("an address"),
            patience: Duration::from_secs(2),
        }
    }

    /// Who answers at the Service's address, once somebody of those wanted does.
    fn answered_by(&self, protocol: Protocol, wanted: &[&str]) {
        eventually(
            || self.asking(protocol).ask(),
            |answer| answer.who().is_some_and(|who| wanted.contains(&who)),
        );
    }

    fn curl(&self, url: &str) -> String {
        let mut command = self.on_node("curl");
        let output = command
            .args(["-sS", "--max-time", "5", url])
            .output()
            .expect("curl");
        text(&output.stdout)
    }

    /// Does something to the table, as somebody else on the node.
    fn table<R: Send>(&self, act: impl FnOnce(&mut Table) -> R + Send) -> R {
        let act = || act(&mut Table::open("portolan").expect("netfilter"));
        self.node().run(act).expect("a thread on the node")
    }

    fn output(&self, program: &str, arguments: &[&str]) -> String {
        let output = self
            .on_node(program)
            .args(arguments)
            .output()
            .expect("it starts");
        text(&output.stdout) + &text(&output.stderr)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.join("agent.log")).unwrap_or_default();
            eprintln!("agent:\n{log}");
        }
        for child in [self.agent.take(), self.server.take()]
            .into_iter()
            .flatten()
        {
            kill(child);
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn kill(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// A program inside a namespace.
fn inside(namespace: &Namespace, program: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command
        .arg("enter")
        .arg("--netns")
        .arg(namespace.path())
        .arg("--")
        .arg(program);
    command
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// A laboratory with an API server, a Node, Services and their endpoints; `None` where the kernel
/// makes no namespaces for us.
fn bed(name: &str) -> Option<(Bed, Vec<Echo>)> {
    if let Err(refusal) = may_create() {
        eprintln!("skipped: {}", refusal.0);
        return None;
    }
    let mut bed = Bed::new(name);
    let machines = bed.lab.pods.iter().map(|pod| &pod.machine);
    let echoes = machines.map(|machine| Echo::start(machine, &[8080]).expect("an echo"));
    let echoes = echoes.collect();
    bed.start_server();
    let node = "apiVersion: v1\nkind: Node\nmetadata: {name: node1}\n---\n".to_owned();
    bed.kubectl(&["apply", "-f", "-"], &(node + OBJECTS));
    let address = bed.address();
    let patch =
        format!(r#"{{"status":{{"addresses":[{{"type":"InternalIP","address":"{address}"}}]}}}}"#);
    let patch = [
        "patch",
        "node",
        "node1",
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ];
    bed.kubectl(&patch, "");
    bed.endpoints(&[0, 1]);
    Some((bed, echoes))
}

#[test]
fn a_node_of_a_cluster_lives_through_what_happens_to_it() {
    let Some((mut bed, _echoes)) = bed("node") else {
        return;
    };
    let address = bed.address();
    bed.credentials("portolan-node");
    bed.start_agent();

    // Services and DNS.
    bed.answered_by(Protocol::Tcp, &["pod1", "pod2"]);
    bed.answered_by(Protocol::Udp, &["pod1", "pod2"]);
    let dig = || {
        let mut dig = inside(&bed.lab.pods[1].machine.namespace, "dig");
        dig.args([
            "@10.96.0.10",
            "+short",
            "+tries=1",
            "web.default.svc.cluster.local",
        ]);
        text(
            &dig.output()
                .expect("dig is installed: cargo xtask tools")
                .stdout,
        )
    };
    eventually(dig, |answer| answer.trim() == "10.96.5.5");

    // What operators look at.
    eventually(
        || bed.curl("http://127.0.0.1:10256/healthz"),
        |body| body.contains("\"nodeEligible\":true"),
    );
    assert_eq!(bed.curl("http://127.0.0.1:10249/proxyMode"), "nftables");
    let metrics = bed.curl("http://127.0.0.1:10249/metrics");
    for wanted in [
        "kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"}",
        "portolan_service_packets_total{namespace=\"default\",service=\"web\",port=\"tcp\"}",
        "coredns_dns_requests_total",
    ] {
        assert!(
            metrics.contains(wanted),
            "{wanted} is missing in\n{metrics}"
        );
    }
    let port = bed.kubectl(
        &[
            "get",
            "service",
            "edge",
            "-o",
            "jsonpath={.spec.healthCheckNodePort}",
        ],
        "",
    );
    let url = format!("http://{address}:{}/", port.trim());
    eventually(
        || bed.curl(&url),
        |body| body.contains("\"localEndpoints\": 2"),
    );

    // An address that the node gets later leads to node ports, and one that it loses does not.
    let port = bed.kubectl(
        &[
            "get",
            "service",
            "web",
            "-o",
            "jsonpath={.spec.ports[0].nodePort}",
        ],
        "",
    );
    let mut links = Links::open(bed.node()).expect("the node's links");
    let lo = links.index("lo").expect("lo");
    let fresh = "192.0.2.77".parse().expect("an address");
    links.add_address(lo, fresh, 32).expect("added");
    let asking = Asking {
        to: SocketAddr::new(fresh, port.trim().parse().expect("a port")),
        ..bed.asking(Protocol::Tcp)
    };
    eventually(|| asking.ask(), |answer| answer.who().is_some());
    links.delete_address(lo, fresh, 32).expect("deleted");
    eventually(|| asking.ask(), |answer| answer.who().is_none());

    // A connection stays through the loss of the API server and of the agent, and new ones come.
    let stream = bed.asking(Protocol::Tcp).connect().expect("a connection");
    let who = Answer::on_stream(&stream);
    assert!(who.who().is_some(), "{who:?}");
    kill(bed.server.take().expect("the server"));
    bed.answered_by(Protocol::Tcp, &["pod1", "pod2"]);
    kill(bed.agent.take().expect("the agent"));
    bed.answered_by(Protocol::Tcp, &["pod1", "pod2"]);
    bed.start_agent();
    bed.answered_by(Protocol::Tcp, &["pod1", "pod2"]);
    bed.start_server();
    bed.endpoints(&[1]);
    for _ in 0..3 {
        bed.answered_by(Protocol::Udp, &["pod2"]);
        bed.answered_by(Protocol::Tcp, &["pod2"]);
    }
    assert_eq!(
        Answer::on_stream(&stream).who(),
        who.who(),
        "the old connection lives on"
    );
    eventually(
        || bed.curl("http://127.0.0.1:10256/livez"),
        |body| body.contains("\"healthy\":true"),
    );

    // Somebody removes the table.
    assert!(bed.table(|table| table.delete().is_ok()));
    bed.answered_by(Protocol::Tcp, &["pod2"]);
    let events = || bed.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"], "");
    eventually(events, |reasons| reasons.contains("RulesetRepaired"));

    // Nothing is refused, nothing stays.
    let log = std::fs::read_to_string(bed.dir.join("agent.log")).expect("the log");
    assert!(!log.contains("forbidden"), "{log}");
    kill(bed.agent.take().expect("the agent"));
    let clean = bed.output(env!("CARGO_BIN_EXE_portolan"), &["run", "--cleanup"]);
    assert!(clean.contains("and 1 addresses"), "{clean}");
    assert!(
        bed.table(|table| matches!(table.read(), Ok(None))),
        "the table is gone"
    );
    if installed("nft") {
        assert_eq!(bed.output("nft", &["list", "ruleset"]), "");
    } else {
        eprintln!("skipped: nft is not installed, so nobody lists what is left");
    }
    let loopback = bed.output("ip", &["address", "show", "dev", "lo"]);
    assert!(!loopback.contains("10.96.0.10"), "{loopback}");
}

const INGRESS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: default}
spec:
  ingressClassName: nginx
  tls: [{hosts: [web.example], secretName: web}]
  rules:
  - host: web.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: page, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: page, namespace: default}
spec:
  ports: [{port: 80}]
"#;

#[test]
fn a_gateway_serves_ingresses_and_writes_their_statuses() {
    let Some((mut bed, _echoes)) = bed("gateway") else {
        return;
    };
    bed.credentials("portolan-gateway");
    bed.kubectl(&["apply", "-f", "-"], INGRESS);
    let mut command = bed.on_node(env!("CARGO_BIN_EXE_portolan"));
    command.args(["run", "--role=gateway", "--hostname-override=node1"]);
    command.args(["--http-listen=127.0.0.1:80", "--https-listen=127.0.0.1:443"]);
    command.args([
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
    ]);
    command.args(["--conntrack-tcp-timeout-close-wait=0s", "--kubeconfig"]);
    command.arg(bed.dir.join("portolan-gateway.kubeconfig"));
    command
        .env("POD_NAMESPACE", "kube-system")
        .env("POD_NAME", "gateway-1");
    command.stdout(Stdio::null()).stderr(bed.log("agent.log"));
    bed.agent = Some(command.spawn().expect("the gateway starts"));

    // The page is the gateway's own /healthz, through itself: Ingress, Service, endpoint.
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: page-1\n  \
                 labels: {kubernetes.io/service-name: page}\naddressType: IPv4\nports: [{port: 8090}]\n\
                 endpoints: [{addresses: [ADDRESS]}]\n";
    let pod = &bed.lab.pods[0].machine;
    bed.kubectl(
        &["apply", "-f", "-"],
        &slice.replace("ADDRESS", &pod.addresses.v4.to_string()),
    );
    let page = pod
        .namespace
        .tcp_listen((pod.addresses.v4, 8090).into())
        .expect("a listener");
    std::thread::spawn(move || serve_pages(&page));
    let get = || {
        bed.output(
            "curl",
            &[
                "-sS",
                "--max-time",
                "5",
                "-H",
                "Host: web.example",
                "http://127.0.0.1/x",
            ],
        )
    };
    // Without its certificate the host is served already; with one, HTTP leads to HTTPS.
    eventually(get, |body| body.contains("308") || body.contains("a page"));
    let status = || {
        let path = "jsonpath={.status.loadBalancer.ingress[*].ip}";
        bed.kubectl(&["get", "ingress", "web", "-o", path], "")
    };
    let address = bed.address().to_string();
    eventually(status, |ip| *ip == address);
    let secure = || {
        let resolve = [
            "--resolve",
            "web.example:443:127.0.0.1",
            "https://web.example/x",
        ];
        bed.output(
            "curl",
            &[&["-sSk", "--max-time", "5"], resolve.as_slice()].concat(),
        )
    };
    eventually(secure, |body| body.contains("a page"));
    // A second replica on a Node with an external address.
    bed.kubectl(&["apply", "-f", "-"], REPLICAS);
    for (kind, name, status) in [
        (
            "node",
            "node7",
            r#"{"addresses": [{"type": "ExternalIP", "address": "203.0.113.7"}]}"#,
        ),
        ("pod", "gateway-1", READY),
        ("pod", "gateway-2", READY),
    ] {
        let patch = format!("{{\"status\": {status}}}");
        let of = [
            "patch",
            kind,
            name,
            "-n",
            "kube-system",
            "--subresource=status",
            "--type=merge",
        ];
        bed.kubectl(&[&of, ["-p", patch.as_str()].as_slice()].concat(), "");
    }
    eventually(status, |ips| *ips == format!("{address} 203.0.113.7"));
    let log = std::fs::read_to_string(bed.dir.join("agent.log")).expect("the log");
    assert!(!log.contains("forbidden"), "{log}");
}

const READY: &str = r#"{"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}"#;

const REPLICAS: &str = "
apiVersion: v1
kind: Node
metadata: {name: node7}
---
apiVersion: v1
kind: Pod
metadata: {name: gateway-1, namespace: kube-system, labels: {app: gateway}}
spec: {nodeName: node1, containers: [{name: c, image: portolan}]}
---
apiVersion: v1
kind: Pod
metadata: {name: gateway-2, namespace: kube-system, labels: {app: gateway}}
spec: {nodeName: node7, containers: [{name: c, image: portolan}]}
";

fn serve_pages(listener: &std::net::TcpListener) {
    use std::io::{Read, Write};
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        let _ = stream.read(&mut [0; 4096]);
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n";
        let _ = stream.write_all(format!("{head}a page").as_bytes());
    }
}
