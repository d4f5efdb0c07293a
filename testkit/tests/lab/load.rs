//! No connection fails while much changes.

use crate::objects::{Ep, ep, service, slices};
use crate::world::{Agent, World, cluster_ips, world, world_with};
use kernel::lab::{Answer, Asking, Protocol, Shape};
use kernel::netns::Namespace;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Clients that open connections to `to` without pause, until they are told to stop.
struct Load<'a> {
    clients: Vec<(&'a str, Namespace)>,
    to: Vec<SocketAddr>,
    stop: AtomicBool,
    served: AtomicUsize,
    /// Datagrams without an answer, whose flow answered when asked again
    lost: AtomicUsize,
    failures: Mutex<Vec<String>>,
    slowest: Mutex<Duration>,
}

impl<'a> Load<'a> {
    fn new(world: &World, clients: &[&'a str], to: Vec<SocketAddr>) -> Self {
        let of = |name: &&'a str| (*name, world.at(name).namespace.clone());
        Self {
            clients: clients.iter().map(of).collect(),
            to,
            stop: AtomicBool::new(false),
            served: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            failures: Mutex::new(Vec::new()),
            slowest: Mutex::new(Duration::ZERO),
        }
    }

    fn run(&self, name: &str, from: &Namespace) {
        let mut addresses = self.to.iter().cycle();
        let mut ports = (10_000..60_000).cycle();
        while !self.stop.load(Ordering::Relaxed) {
            let to = *addresses.next().expect("an address");
            self.ask(name, from, to, Protocol::Tcp, None);
            // A flow of its own for each question. The kernel would soon give a port again, and
            // with it a flow that is tracked to an endpoint which has gone meanwhile.
            let any = match to.ip() {
                IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
            };
            let port = ports.next().expect("a port");
            self.ask(
                name,
                from,
                to,
                Protocol::Udp,
                Some(SocketAddr::new(any, port)),
            );
        }
    }

    fn ask(
        &self,
        name: &str,
        from: &Namespace,
        to: SocketAddr,
        protocol: Protocol,
        source: Option<SocketAddr>,
    ) {
        let begun = Instant::now();
        let asking = Asking {
            from,
            source,
            protocol,
            to,
            patience: Duration::from_secs(10),
        };
        let answer = match protocol {
            Protocol::Tcp => asking.ask(),
            Protocol::Udp => self.ask_twice(asking),
        };
        match answer {
            Answer::Served { .. } => drop(self.served.fetch_add(1, Ordering::Relaxed)),
            other => {
                let text = format!("{name} → {protocol:?} {to}: {other}");
                self.failures.lock().expect("no panic").push(text);
            }
        }
        let mut slowest = self.slowest.lock().expect("no panic");
        *slowest = begun.elapsed().max(*slowest);
    }

    /// A datagram may be lost; its flow must not be.
    fn ask_twice(&self, asking: Asking<'_>) -> Answer {
        let patience = Duration::from_secs(3);
        let socket = match (Asking { patience, ..asking }).socket() {
            Ok(socket) => socket,
            Err(error) => return Answer::Failed(error.to_string()),
        };
        match Answer::on_socket(&socket) {
            Answer::TimedOut => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                Answer::on_socket(&socket)
            }
            answer => answer,
        }
    }

    /// Lets the clients go on while `work` runs. All of their connections must succeed.
    fn during(&self, what: &str, work: impl FnOnce()) {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for (name, from) in &self.clients {
                scope.spawn(move || self.run(name, from));
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
            "{what}: {served} served, {} failed, {} datagrams lost, slowest {slowest:?}",
            failures.len(),
            self.lost.load(Ordering::Relaxed),
        );
        assert!(served > 0);
        assert!(
            failures.is_empty(),
            "{} of {served}: {failures:#?}",
            failures.len()
        );
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

/// Replaces an endpoint 100 times a second: of 24 Pods in a ring three are ready, and those that
/// were end gracefully: for 200 ms they take no new connections, and serve what is under way.
fn churn(seconds: u64) {
    const PODS: usize = 24;
    let shape = Shape {
        pods_per_node: 8,
        ..Shape::default()
    };
    let Some(mut world) = world_with(shape, |_| {}) else {
        return;
    };
    let endpoints = |step: usize| -> Vec<Ep> {
        let pod = |back: usize| ep((step + PODS - back) % PODS + 1);
        let ready = (0..3).map(pod);
        ready
            .chain((3..23).map(|back| pod(back).terminating(true)))
            .collect()
    };
    world.serve(service("web", 10, "NodePort"), &endpoints(0));
    let mut to = cluster_ips(10).to_vec();
    to.extend(world.sockets("node2", 30010));
    let load = Load::new(&world, &["pod2", "node3", "client"], to);
    let mut changes = 0;
    load.during("endpoints changed 100 times a second", || {
        let begun = Instant::now();
        let tick = Duration::from_millis(10);
        while begun.elapsed() < Duration::from_secs(seconds) {
            changes += 1;
            let slices = slices(&world.lab, "web", &endpoints(changes));
            world.plan(&slices);
            if changes % 50 == 0 {
                world.agents.iter_mut().for_each(Agent::flush);
            }
            let next = begun + tick * u32::try_from(changes).unwrap_or(u32::MAX);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    });
    println!("{changes} changes in {seconds} s");
    assert!(changes > 0);
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
