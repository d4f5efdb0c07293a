//! Traffic through the kernel, in network namespaces of the server's own.

use crate::harness::{Up, eventually, portolan, text};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Two Pods that listen on one port, a Service over them, and a Pod to ask from.
const TWO: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: c
        image: server
        command: [python3, -m, http.server, '8080']
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  hostAliases: [{ip: 192.0.2.7, hostnames: [elsewhere]}]
  containers: [{name: c, image: client, command: [sleep, '1000']}]
";

fn two(arguments: &[&str]) -> Option<Up> {
    let up = Up::start_inside(arguments)?;
    assert_eq!(up.marker()["data_path"], "nftables");
    Some(prepared(up))
}

/// With the objects above, which are ready.
fn prepared(up: Up) -> Up {
    eventually(
        || up.kubectl(&["get", "serviceaccount", "-o", "name"]),
        |name| name.contains("default"),
    );
    up.apply(TWO);
    up.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    up.kubectl(&[
        "wait",
        "pod/client",
        "--for=condition=Ready",
        "--timeout=60s",
    ]);
    up
}

/// Runs a command in the Pod `client`: what it prints, whether it succeeds or not.
fn ask(up: &Up, command: &[&str]) -> String {
    let all = [&["exec", "client", "--"], command].concat();
    text(&up.kubectl_stdin(&all, "").stdout)
}

fn field(up: &Up, of: &str, path: &str) -> String {
    up.kubectl(&["get", of, "-o", &format!("jsonpath={path}")])
}

/// The file that stands for the node's network namespace.
fn network(up: &Up) -> PathBuf {
    let marker = up.marker();
    PathBuf::from(marker["network"].as_str().expect("a network"))
}

/// Elements of a set or map in the node's namespace.
fn elements(up: &Up, name: &str) -> usize {
    let node = kernel::netns::Namespace::open(&network(up)).expect("it is there");
    let read = node.run(|| kernel::nftables::Table::open("portolan")?.read());
    let ruleset = read.expect("entered").expect("read").expect("a table");
    let mut sets = ruleset.sets.iter();
    let set = sets.find(|(found, _)| ***found == *name);
    set.map_or(0, |(_, set)| set.elements.len())
}

#[test]
fn pods_share_a_port_and_reach_services_by_name_through_the_kernel() {
    let Some(up) = two(&[]) else { return };
    let listing = "Directory listing";
    let get = |url: &str| ask(&up, &["curl", "-sS", "--max-time", "5", url]);
    eventually(|| get("http://web/"), |page| page.contains(listing));
    assert!(get("http://web.default.svc.cluster.local/").contains(listing));
    let ips = field(
        &up,
        "pods",
        "{.items[?(@.metadata.labels.app=='web')].status.podIP}",
    );
    let ips: Vec<&str> = ips.split(' ').collect();
    assert_eq!(ips.len(), 2, "{ips:?}");
    for ip in &ips {
        assert!(get(&format!("http://{ip}:8080/")).contains(listing), "{ip}");
    }
    // The rules are the kernel's, and the host has none of it.
    assert!(elements(&up, "services4") >= 3, "web, kubernetes, …");
    assert!(
        elements(&up, "endpoints4") >= 3,
        "two of web, one of kubernetes"
    );
    let mut host = kernel::link::Links::open_here().expect("opened");
    let addresses = host.addresses().expect("read");
    assert!(
        ips.iter()
            .all(|ip| addresses.iter().all(|a| a.address.to_string() != *ip))
    );
    assert!(
        host.list()
            .expect("read")
            .iter()
            .all(|link| link.name != "pod1")
    );

    // The API server by its Service, and names as the Pod asks for them.
    let version = ask(&up, &["curl", "-sk", "https://kubernetes.default/version"]);
    assert!(version.contains("gitVersion"), "{version}");
    let pods = ask(&up, &["kubectl", "get", "pods", "-o", "name"]);
    assert!(pods.contains("pod/client"), "{pods}");
    let resolv = ask(&up, &["cat", "/etc/resolv.conf"]);
    let search = "search default.svc.cluster.local svc.cluster.local cluster.local";
    assert!(resolv.starts_with(search), "{resolv}");
    assert!(resolv.contains("nameserver 10.96.0.10\n"), "{resolv}");
    let hosts = ask(&up, &["cat", "/etc/hosts"]);
    assert!(hosts.contains("192.0.2.7\telsewhere"), "{hosts}");
    let ip = field(&up, "pod/client", "{.status.podIP}");
    assert!(hosts.contains(&format!("{ip}\tclient\n")), "{hosts}");
    let hosts = std::fs::read_to_string("/etc/hosts").expect("the host's own");
    assert!(!hosts.contains("elsewhere"), "{hosts}");

    // Its own host name, which all its containers share.
    assert_eq!(
        ask(&up, &["sh", "-c", "hostname; echo $HOSTNAME"]),
        "client\nclient\n"
    );
    up.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: named}\nspec:\n  terminationGracePeriodSeconds: 0\n  \
         hostname: a\n  subdomain: db\n  setHostnameAsFQDN: true\n  containers:\n  \
         - {name: one, image: client, command: [sleep, '1000']}\n  \
         - {name: two, image: client, command: [sleep, '1000']}\n",
    );
    up.kubectl(&[
        "wait",
        "pod/named",
        "--for=condition=Ready",
        "--timeout=60s",
    ]);
    let named = |container: &str, shell: &str| {
        let command = ["exec", "named", "-c", container, "--", "sh", "-c", shell];
        text(&up.kubectl_stdin(&command, "").stdout)
    };
    let full = "a.db.default.svc.cluster.local";
    assert_eq!(
        named("one", "hostname; echo $HOSTNAME; hostname renamed"),
        format!("{full}\n{full}\n")
    );
    assert_eq!(named("two", "hostname"), "renamed\n");
    let hosts = named("two", "cat /etc/hosts");
    assert!(hosts.contains(&format!("\t{full}\ta\n")), "{hosts}");
    assert_eq!(ask(&up, &["hostname"]), "client\n");

    // A port without endpoints, and one that the Service does not have, are refused at once.
    up.kubectl(&["scale", "deployment/web", "--replicas=0"]);
    let refused = || {
        let shell =
            "curl -sS --max-time 5 http://web/ 2>&1; curl -sS --max-time 5 http://web:81/ 2>&1";
        ask(&up, &["sh", "-c", shell])
    };
    eventually(refused, |told| {
        told.matches("Couldn't connect").count() == 2 && !told.contains(listing)
    });
}

#[test]
fn the_hosts_own_addresses_lead_in() {
    let Some(up) = two(&[]) else { return };
    let balanced = eventually(
        || field(&up, "service/web", "{.status.loadBalancer.ingress[0].ip}"),
        |ip| !ip.is_empty(),
    );
    let node_port = field(&up, "service/web", "{.spec.ports[0].nodePort}");
    for url in [
        format!("http://{balanced}/"),
        format!("http://127.0.0.1:{node_port}/"),
    ] {
        eventually(
            || up.curl(&[&url]),
            |(status, body)| *status == 200 && body.contains("Directory listing"),
        );
    }
    up.apply(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\n\
         spec: {ingressClassName: nginx, defaultBackend: {service: {name: web, port: {name: http}}}}\n",
    );
    eventually(|| up.get("web.example.com", "/").0, |status| *status == 200);
    let name = up.dig("web.default.svc.cluster.local", "A");
    assert_eq!(name, [field(&up, "service/web", "{.spec.clusterIP}")]);

    // What is asked of the API server about a Pod goes into its network.
    let pod = field(
        &up,
        "pods",
        "{.items[?(@.metadata.labels.app=='web')].metadata.name}",
    );
    let pod = pod.split(' ').next().expect("a Pod").to_owned();
    let proxied = format!("/api/v1/namespaces/default/pods/{pod}:8080/proxy/");
    let page = up.kubectl(&["get", "--raw", &proxied]);
    assert!(page.contains("Directory listing"), "{page}");

    let data = up.dir().display().to_string();
    let (ok, told, errors) = portolan(&["explain", "--data-dir", &data, "service/web"]);
    assert!(ok, "{told}{errors}");
    assert!(
        told.contains("port-forward") && told.contains(&balanced),
        "{told}"
    );
    let (_, told, _) = portolan(&["status", "--data-dir", &data]);
    assert!(told.contains("nftables"), "{told}");
    assert!(!told.contains("Nothing on this machine listens"), "{told}");
}

/// An address of this machine that is not loopback, if it has one.
fn own_address() -> Option<std::net::IpAddr> {
    let mut host = kernel::link::Links::open_here().ok()?;
    let mut all = host.addresses().ok()?.into_iter();
    all.find(|address| address.global && address.address.is_ipv4())
        .map(|address| address.address)
}

/// A server that answers each datagram with its words and its own port.
fn udp_server(ip: std::net::IpAddr) -> u16 {
    let socket = std::net::UdpSocket::bind((ip, 0)).expect("bound");
    let port = socket.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let mut word = [0; 99];
        while let Ok((len, from)) = socket.recv_from(&mut word) {
            let answer = format!("{} to {port}", text(&word[..len]));
            let _ = socket.send_to(answer.as_bytes(), from);
        }
    });
    port
}

#[test]
fn pods_reach_what_is_outside_over_tcp_and_udp() {
    let Some(ip) = own_address() else {
        eprintln!("skipped: this machine has no address but loopback");
        return;
    };
    let Some(up) = two(&[]) else { return };
    let listener = std::net::TcpListener::bind((ip, 0)).expect("listens");
    let at = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 1024];
            let _ = std::io::Read::read(&mut stream, &mut head);
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\noutside";
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        }
    });
    let url = format!("http://{at}/");
    assert_eq!(
        ask(&up, &["curl", "-sS", "--max-time", "5", &url]),
        "outside"
    );
    // One socket of a Pod that talks to two servers over UDP hears each of them, again and again.
    let servers = [(); 2].map(|()| udp_server(ip));
    let script = format!(
        "import socket\n\
         s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         s.settimeout(5)\n\
         for word in ['a', 'b']:\n  \
         for port in [{}, {}]:\n    \
         s.sendto(word.encode(), ('{ip}', port))\n    \
         answer, at = s.recvfrom(99)\n    \
         print(answer.decode(), at == ('{ip}', port))\n",
        servers[0], servers[1]
    );
    let answers = |port: u16, word: &str| format!("{word} to {port} True\n");
    let all = ["a", "b"].map(|word| servers.map(|port| answers(port, word)).concat());
    assert_eq!(ask(&up, &["python3", "-c", &script]), all.concat());
    // A Service in front of it, by endpoints that somebody wrote.
    up.apply(&format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: far}}\nspec: {{ports: [{{name: http, port: 80}}]}}\n\
         ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: far-1, labels: \
         {{kubernetes.io/service-name: far}}}}\naddressType: IPv4\nendpoints: [{{addresses: ['{ip}']}}]\n\
         ports: [{{name: http, port: {}}}]\n",
        at.port()
    ));
    let get = || ask(&up, &["curl", "-sS", "--max-time", "5", "http://far/"]);
    eventually(get, |answer| answer == "outside");
}

#[test]
fn a_pod_with_host_network_has_the_nodes() {
    let Some(up) = two(&[]) else { return };
    up.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: agent, labels: {app: agent}}\n\
         spec:\n  hostNetwork: true\n  containers:\n  - {name: c, image: portolan/echo, \
         ports: [{containerPort: 9100}]}\n  - {name: shell, image: client, command: [sleep, '1000']}\n",
    );
    up.kubectl(&[
        "wait",
        "pod/agent",
        "--for=condition=Ready",
        "--timeout=60s",
    ]);
    let (pod, node) = (
        field(&up, "pod/agent", "{.status.podIP}"),
        field(&up, "nodes", "{.items[0].status.addresses[0].address}"),
    );
    assert_eq!(pod, node);
    let url = format!("http://{node}:9100/");
    let answer = ask(&up, &["curl", "-sS", "--max-time", "5", &url]);
    assert!(answer.contains("\"pod\":\"agent\""), "{answer}");
    // Its host name is the machine's.
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a host name");
    let shell = ["exec", "agent", "-c", "shell", "--", "sh", "-c"];
    let told = up.kubectl(&[&shell[..], &["hostname; echo $HOSTNAME"]].concat());
    assert_eq!(told, format!("{0}\n{0}\n", own.trim()));
}

#[test]
fn a_restart_keeps_the_way_and_what_was_killed_is_cleaned_up() {
    let Some(mut up) = two(&[]) else { return };
    let ip = field(&up, "service/web", "{.spec.clusterIP}");
    let sleepers = |up: &Up| marked(up).len();
    assert_eq!(sleepers(&up), 3, "two servers and a client");
    let old = marked(&up);
    up.kill_and_restart();
    assert!(
        old.iter().all(|pid| !marked(&up).contains(pid)),
        "those of before are gone"
    );
    assert_eq!(up.marker()["data_path"], "nftables");
    assert_eq!(field(&up, "service/web", "{.spec.clusterIP}"), ip);
    let page = || ask(&up, &["curl", "-sS", "--max-time", "5", "http://web/"]);
    eventually(page, |page| page.contains("Directory listing"));

    let data = up.dir().display().to_string();
    up.stop();
    assert_eq!(marked(&up), Vec::<u32>::new(), "nothing is left");
    for flag in ["--data-path=userspace", "--service-cidr=10.99.0.0/16"] {
        let (ok, _, errors) =
            portolan(&["up", "--data-dir", &data, "--api-listen=127.0.0.1:0", flag]);
        assert!(!ok && errors.contains("--data-dir"), "{flag}: {errors}");
    }
    let (ok, told, errors) = portolan(&["reset", "--yes", "--data-dir", &data]);
    assert!(ok && !up.dir().exists(), "{told}{errors}");
}

/// Processes that carry the mark of this server's node.
fn marked(up: &Up) -> Vec<u32> {
    let mark = format!("PORTOLAN_NODE_DIR={}", up.dir().join("pods").display());
    let entries = std::fs::read_dir("/proc").expect("proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_mark = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|var| var == mark.as_bytes())
    };
    pids.filter(has_mark).collect()
}

/// Takes the right to make namespaces away; a user namespace gives it back.
const NO_RIGHT: [&str; 3] = [
    "setpriv",
    "--bounding-set=-sys_admin",
    "--inh-caps=-sys_admin",
];

/// Begins a user namespace that may have no network namespaces, and so its children neither.
const NO_NETWORKS: [&str; 7] = [
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    "echo 0 > /proc/sys/user/max_net_namespaces && exec \"$@\"",
    "sh",
];

/// Becomes nobody, who has no right at all.
const NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

/// Whether user and network namespaces can be made after these words, and this program be run.
fn can_after(words: &[&str]) -> bool {
    let run = |program: &[&str]| {
        let mut command = Command::new(words[0]);
        let output = command.args(&words[1..]).args(program).output();
        output.is_ok_and(|output| output.status.success())
    };
    let can = run(&["unshare", "--user", "--net", "true"])
        && run(&[env!("CARGO_BIN_EXE_portolan"), "version"]);
    if !can {
        eprintln!("skipped: no user namespaces after {words:?}");
    }
    can
}

#[test]
fn without_the_right_to_namespaces_it_falls_back_and_says_so() {
    if !can_after(&["env"]) {
        // Every other test of this folder shows the fall-back then.
        return;
    }
    let up = Up::start_weak(&NO_NETWORKS, &[]);
    let marker: Value = up.marker();
    assert_eq!(marker["data_path"], "userspace");
    let why = marker["fallback"].as_str().unwrap_or_default();
    assert!(why.contains("in a user namespace: "), "{marker}");
    assert_eq!(marker["pod_cidrs"][0], "127.244.0.0/16");
}

#[test]
fn asked_for_in_vain_it_does_not_start() {
    if !can_after(&["env"]) {
        return;
    }
    let dir = std::env::temp_dir().join(format!("portolan-e2e-vain-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let mut command = Command::new(NO_NETWORKS[0]);
    command.args(&NO_NETWORKS[1..]);
    command.arg(env!("CARGO_BIN_EXE_portolan"));
    command
        .args(["up", "--data-path=nftables", "--data-dir"])
        .arg(&dir);
    let output = command.output().expect("unshare is there (util-linux)");
    let told = text(&output.stderr);
    assert!(
        !output.status.success() && told.contains("--data-path nftables: "),
        "{told}"
    );
    assert!(!dir.exists(), "nothing is made");
}

#[test]
fn root_without_the_right_gets_it_by_a_user_namespace() {
    if !can_after(&NO_RIGHT) {
        return;
    }
    let up = Up::start_weak(&NO_RIGHT, &[]);
    assert_eq!(up.marker()["data_path"], "nftables");
    let up = prepared(up);
    let page = || ask(&up, &["curl", "-sS", "--max-time", "5", "http://web/"]);
    eventually(page, |page| page.contains("Directory listing"));
}

#[test]
fn an_ordinary_user_gets_the_kernel_and_pods_are_that_user() {
    if !can_after(&NOBODY) {
        return;
    }
    let mut up = prepared(Up::start_weak(&NOBODY, &[]));
    assert_eq!(up.marker()["data_path"], "nftables");
    let page = |up: &Up| ask(up, &["curl", "-sS", "--max-time", "5", "http://web/"]);
    eventually(|| page(&up), |page| page.contains("Directory listing"));
    let file = up.dir().join("made-by-a-pod");
    let shell = format!("id -u; hostname; touch {} && echo made", file.display());
    assert_eq!(ask(&up, &["sh", "-c", &shell]), "65534\nclient\nmade\n");
    let made = std::fs::metadata(&file).expect("the file");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 65534);
    // Ports below 1024 are free to whoever is in the Pod.
    let bind = "import socket; socket.create_server(('', 80)); print('bound')";
    assert_eq!(ask(&up, &["python3", "-c", bind]), "bound\n");
    let old = marked(&up);
    assert!(!old.is_empty());
    up.kill_and_restart();
    assert!(old.iter().all(|pid| !marked(&up).contains(pid)), "{old:?}");
    eventually(|| page(&up), |page| page.contains("Directory listing"));
}
