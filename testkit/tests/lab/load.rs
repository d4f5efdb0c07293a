//! No connection fails while much changes.

use crate::flush::Forgetter;
use crate::objects::{Ep, ep, service, slices};
use crate::world::{World, cluster_ips, world, world_with};
use kernel::lab::{Answer, Asking, Protocol, Shape};
use kernel::netns::Namespace;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Clients that open connections to `to` without pause, until they are told to stop.
struct Load<'a> {
    clients: Vec<(&'a str, Namespace)>,
    to: Vec<SocketAddr>,
    stop: AtomicBool,
    served: AtomicUsize,
    /// Number of changes so far
    step: AtomicUsize,
    /// For each client, the step at which its present flow over UDP began, or [`IDLE`]
    under_way: Vec<AtomicUsize>,
    failures: Mutex<Vec<String>>,
    slowest: Mutex<Duration>,
}

/// No flow is under way.
const IDLE: usize = usize::MAX;

impl<'a> Load<'a> {
    fn new(world: &World, clients: &[&'a str], to: Vec<SocketAddr>) -> Self {
        let of = |name: &&'a str| (*name, world.at(name).namespace.clone());
        Self {
            clients: clients.iter().map(of).collect(),
            to,
            stop: AtomicBool::new(false),
            served: AtomicUsize::new(0),
            step: AtomicUsize::new(0),
            under_way: clients.iter().map(|_| AtomicUsize::new(IDLE)).collect(),
            failures: Mutex::new(Vec::new()),
            slowest: Mutex::new(Duration::ZERO),
        }
    }

    fn run(&self, client: usize) {
        let (name, from) = &self.clients[client];
        let mut addresses = self.to.iter().cycle();
        let mut ports = (10_000..60_000).cycle();
        while !self.stop.load(Ordering::Relaxed) {
            let to = *addresses.next().expect("an address");
            let asking = |protocol, source| Asking {
                from,
                source,
                protocol,
                to,
                patience: Duration::from_secs(10),
            };
            self.count(name, to, || asking(Protocol::Tcp, None).ask());
            // A flow of its own for each question. The kernel would soon give a port again, and
            // with it a flow that is tracked to an endpoint which has gone meanwhile.
            let any = match to.ip() {
                IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
            };
            let source = SocketAddr::new(any, ports.next().expect("a port"));
            let begun = self.step.load(Ordering::SeqCst);
            self.under_way[client].store(begun, Ordering::SeqCst);
            self.count(name, to, || ask_twice(&asking(Protocol::Udp, Some(source))));
            self.under_way[client].store(IDLE, Ordering::SeqCst);
        }
    }

    fn count(&self, name: &str, to: SocketAddr, ask: impl FnOnce() -> Answer) {
        let begun = Instant::now();
        match ask() {
            Answer::Served { .. } => drop(self.served.fetch_add(1, Ordering::Relaxed)),
            other => {
                let text = format!("{name} → {to}: {other}");
                self.failures.lock().expect("no panic").push(text);
            }
        }
        let mut slowest = self.slowest.lock().expect("no panic");
        *slowest = begun.elapsed().max(*slowest);
    }

    /// Begins the next step, when no flow is under way that began `grace` steps before it.
    fn next_step(&self, grace: usize) -> usize {
        let next = self.step.load(Ordering::SeqCst) + 1;
        let is_old = |begun: &AtomicUsize| {
            let begun = begun.load(Ordering::SeqCst);
            begun != IDLE && begun + grace <= next
        };
        while self.under_way.iter().any(is_old) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.step.store(next, Ordering::SeqCst);
        next
    }

    /// Lets the clients go on while `work` runs. All of their connections must succeed.
    fn during(&self, what: &str, work: impl FnOnce()) {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for client in 0..self.clients.len() {
                scope.spawn(move || self.run(client));
            }
            let stopped = StopOnDrop(&self.stop);
            // Each has begun before anything changes.
            while self.served.load(Ordering::Relaxed) < self.clients.len() * 2
                && begun.elapsed() < Duration::from_secs(20)
            {
                std::thread::yield_now();
            }
            work();
            drop(stopped);
        });
        let failures = self.failures.lock().expect("no panic");
        let served = self.served.load(Ordering::Relaxed);
        let slowest = *self.slowest.lock().expect("no panic");
        println!(
            "{what}: {served} served, {} failed, slowest {slowest:?}",
            failures.len(),
        );
        assert!(served > 0);
        assert!(
            failures.is_empty(),
            "{} of {served}: {failures:#?}",
            failures.len()
        );
    }
}

/// Two questions in one flow, which one server must answer.
fn ask_twice(asking: &Asking<'_>) -> Answer {
    let socket = match asking.socket() {
        Ok(socket) => socket,
        Err(error) => return Answer::Failed(error.to_string()),
    };
    let first = Answer::on_socket(&socket);
    if first.who().is_none() {
        return first;
    }
    let second = Answer::on_socket(&socket);
    match second.who() == first.who() {
        true => second,
        false => Answer::Failed(format!("{first}, but then {second}")),
    }
}

/// Ends the clients also when the work panics, so that the test ends.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Service number `n` of ten thousand with three endpoints, none of which is a real one.
fn bulk(n: usize) -> [Value; 2] {
    let name = format!("bulk-{n}");
    let (high, low) = (n / 250, n % 250 + 1);
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "bulk"},
        "spec": {
            "clusterIP": format!("10.97.{high}.{low}"),
            "clusterIPs": [format!("10.97.{high}.{low}")],
            "ports": [{"name": "tcp", "protocol": "TCP", "port": 80, "targetPort": 8080}],
        },
    });
    let endpoints: Vec<Value> = (1..=3)
        .map(|i| json!({"addresses": [format!("10.{}.{high}.{low}", 200 + i)]}))
        .collect();
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": name, "namespace": "bulk", "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "tcp", "protocol": "TCP", "port": 8080}],
        "endpoints": endpoints,
    });
    [service, slice]
}

#[test]
fn nobody_notices_that_ten_thousand_services_are_loaded() {
    let Some(mut world) = world() else { return };
    world.serve(service("web", 10, "NodePort"), &[ep(1), ep(3), ep(5)]);
    let objects: Vec<Value> = (0..10_000).flat_map(bulk).collect();
    let mut to = cluster_ips(10).to_vec();
    to.extend(world.sockets("node1", 30010));
    let load = Load::new(&world, &["pod1", "client"], to);
    load.during("10,000 Services loaded at once", || world.apply(&objects));
    assert!(
        world
            .agents
            .iter()
            .all(|agent| agent.planner.desired().sets["endpoints4"].elements.len() >= 30_000)
    );
}

/// Pods in a ring.
const PODS: usize = 24;
/// So many of them are ready.
const READY: usize = 3;
/// Whoever begins at a step finds an endpoint that goes so many steps later or still later: the
/// one that has just ceased to be ready, where the rules are still those of the step before.
const GRACE: usize = PODS - 1 - READY;

/// Endpoints that serve: some are ready, and those that were end gracefully.
fn ring(step: usize) -> Vec<Ep> {
    let pod = |back: usize| ep((step + PODS - back) % PODS + 1);
    let ready = (0..READY).map(pod);
    let ending = (READY..PODS - 1).map(|back| pod(back).terminating(true));
    ready.chain(ending).collect()
}

/// Replaces an endpoint 100 times a second: for 200 ms it takes no new connections, and serves
/// what is under way. Meanwhile what went is forgotten.
fn churn(seconds: u64) {
    let shape = Shape {
        pods_per_node: 8,
        ..Shape::default()
    };
    let Some(mut world) = world_with(shape, |_| {}) else {
        return;
    };
    world.serve(service("web", 10, "NodePort"), &ring(0));
    let mut to = cluster_ips(10).to_vec();
    to.extend(world.sockets("node2", 30010));
    let load = Load::new(&world, &["pod2", "node3", "client"], to);
    load.during("endpoints changed 100 times a second", || {
        let done = AtomicBool::new(false);
        let agents = world.agents.iter();
        let forgetters: Vec<_> = agents.map(|agent| agent.forgetter.clone()).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| forget(&forgetters, &done));
            let _done = StopOnDrop(&done);
            turn(&mut world, &load, Duration::from_secs(seconds));
        });
    });
    let changes = load.step.load(Ordering::SeqCst);
    println!("{changes} changes in {seconds} s");
    assert!(changes > 0);
}

fn turn(world: &mut World, load: &Load<'_>, time: Duration) {
    let begun = Instant::now();
    let tick = Duration::from_millis(10);
    while begun.elapsed() < time {
        let step = load.next_step(GRACE);
        let slices = slices(&world.lab, "web", &ring(step));
        world.plan(&slices);
        let next = begun + tick * u32::try_from(step).unwrap_or(u32::MAX);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// Forgets what is due, with rests as the product has them.
fn forget(forgetters: &[Arc<Forgetter>], done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        forgetters.iter().for_each(|forgetter| forgetter.pass());
        std::thread::sleep((begun.elapsed() * 4).min(Duration::from_millis(200)));
    }
}

#[test]
fn nobody_notices_that_endpoints_change() {
    churn(3);
}

#[test]
#[ignore = "takes a minute"]
fn nobody_notices_that_endpoints_change_for_a_minute() {
    churn(60);
}
