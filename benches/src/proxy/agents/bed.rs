//! A laboratory with an API server on its first node, and two of that node's Pods to answer.

use crate::client::{Connection, Protocol, Target};
use crate::load;
use crate::portolan::Portolan;
use crate::proxy::cluster::{self, Member, PORT, Size, TARGET};
use anyhow::{Context, Result};
use bytes::Bytes;
use hyper::Method;
use kernel::lab::{Echo, Lab, Shape};
use kernel::netns::Namespace;
use model::{Event, Resource};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The server has come to rest when it uses no more than this of a processor.
const REST: f64 = 0.05;

/// The laboratory, and what of its Services changes.
pub(super) struct Bed {
    server: Portolan,
    runtime: Runtime,
    _echoes: Vec<Echo>,
    lab: Lab,
    size: Size,
    /// Services that were added behind those of the size; the first of them is the one that changes
    added: usize,
    /// Which Pod is the endpoint of the Service that changes
    current: usize,
}

impl Bed {
    /// Builds it and fills the server.
    pub(super) fn build(portolan: &Path, size: Size) -> Result<Self> {
        let lab = Lab::build(Shape {
            nodes: 3,
            pods_per_node: 2,
            bridge: false,
        })?;
        let pods = lab.pods.iter().take(2);
        let echoes = pods.map(|pod| Echo::start(&pod.machine, &[TARGET]));
        let echoes = echoes.collect::<Result<_, _>>()?;
        // One thread, so that the load takes little from what is measured.
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build()?;
        let machine = &lab.nodes.first().context("no node")?.machine;
        let listen = format!("--api-listen={}:6443", machine.addresses.v4);
        let arguments = [
            "--data-path=userspace",
            "--service-cidr=10.96.0.0/12",
            &listen,
        ];
        let start = || {
            let process = Portolan::spawn(portolan, &arguments)?;
            runtime.block_on(Portolan::ready(process))
        };
        let mut bed = Self {
            server: machine.namespace.run(start)??,
            runtime,
            _echoes: echoes,
            lab,
            size,
            added: 0,
            current: 0,
        };
        bed.fill()?;
        Ok(bed)
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// For an agent.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        Portolan::kubeconfig(&self.server.process)
    }

    /// Name and namespace of a node.
    pub(super) fn node(&self, index: usize) -> Result<(&str, &Namespace)> {
        let machine = &self.lab.nodes.get(index).context("no such node")?.machine;
        Ok((&machine.name, &machine.namespace))
    }

    /// Runs a future in a namespace, for so long at most.
    pub(super) fn wait<T: Send>(
        &self,
        inside: &Namespace,
        patience: Duration,
        future: impl AsyncFnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        let run = || {
            let bounded = async { tokio::time::timeout(patience, future()).await };
            self.runtime.block_on(bounded).context("took too long")?
        };
        inside.run(run)?
    }

    fn at_server<T: Send>(
        &self,
        patience: Duration,
        future: impl AsyncFnOnce(&Target) -> Result<T> + Send,
    ) -> Result<T> {
        let (_, namespace) = self.node(0)?;
        self.wait(namespace, patience, async || {
            future(&self.server.target).await
        })
    }

    fn fill(&mut self) -> Result<()> {
        let size = self.size;
        let patience = Duration::from_secs(60) + Duration::from_millis(20) * size.services as u32;
        let live = self.next(0)?;
        let mut first: Vec<(String, Bytes)> = Vec::new();
        for number in 0..100 {
            let (name, _) = cluster::name(number);
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            first.push(("/api/v1/namespaces".to_owned(), body.to_string().into()));
        }
        self.at_server(patience, async |target| {
            load::post(target, first.into_iter()).await?;
            let all = cluster::events(size).chain(live.into_iter().map(Ok));
            let all = all.map(|event| event.map(|event| (collection(&event), body(&event))));
            load::post(target, all.collect::<Result<Vec<_>>>()?.into_iter()).await
        })?;
        self.add_node(1)?;
        self.add_node(2)?;
        self.rest()
    }

    /// A Node with its address, without which agents wait for one.
    fn add_node(&self, index: usize) -> Result<()> {
        let machine = &self.lab.nodes.get(index).context("no such node")?.machine;
        let node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": machine.name},
            "status": {"addresses": [{"type": "InternalIP", "address": machine.addresses.v4}]},
        });
        let body = Bytes::from(node.to_string());
        let status = format!("/api/v1/nodes/{}/status", machine.name);
        self.at_server(PATIENCE, async |target| {
            let mut connection = Connection::open(target, Protocol::Http1).await?;
            let all = "/api/v1/nodes";
            connection.send(Method::POST, all, body.clone()).await?;
            connection.send(Method::PUT, &status, body).await?;
            Ok(())
        })
    }

    /// Waits until the server has done all that followed from the writes.
    fn rest(&self) -> Result<()> {
        let second = Duration::from_secs(1);
        for _ in 0..60 {
            let before = self.server.process.cpu()?;
            std::thread::sleep(second);
            if (self.server.process.cpu()? - before).as_secs_f64() < REST {
                break;
            }
        }
        Ok(())
    }

    /// Writes in order, over one connection; says when the first was sent.
    pub(super) fn write(&self, method: &Method, events: &[Event]) -> Result<Instant> {
        self.at_server(PATIENCE, async |target| {
            let mut connection = Connection::open(target, Protocol::Http1).await?;
            let begin = Instant::now();
            for event in events {
                let mut path = collection(event);
                if *method == Method::PUT {
                    path = format!("{path}/{}", event.object.meta.name);
                }
                connection.send(method.clone(), &path, body(event)).await?;
            }
            Ok(begin)
        })
    }

    /// A Service behind the others, whose endpoint is the current Pod.
    fn next(&mut self, pod: usize) -> Result<[Event; 2]> {
        let number = self.size.services + self.added;
        self.added += 1;
        Ok([cluster::service(number)?, self.slice(number, pod)?])
    }

    fn slice(&self, number: usize, pod: usize) -> Result<Event> {
        let machine = &self.lab.pods.get(pod).context("no such Pod")?.machine;
        let (namespace, name) = cluster::name(number);
        let member = Member::ready(machine.addresses.v4);
        cluster::slice_of(&namespace, &name, TARGET, [member].into_iter())
    }

    /// What adds a Service, and where it will answer.
    pub(super) fn more(&mut self) -> Result<([Event; 2], Goal)> {
        let events = self.next(self.current)?;
        Ok((events, self.goal(self.added - 1)))
    }

    /// What replaces the one endpoint of the Service that changes, and who will answer then.
    pub(super) fn other(&mut self) -> Result<(Event, Goal)> {
        self.current = 1 - self.current;
        Ok((self.slice(self.size.services, self.current)?, self.live()))
    }

    /// The Service that changes, as it is.
    pub(super) fn live(&self) -> Goal {
        self.goal(0)
    }

    fn goal(&self, added: usize) -> Goal {
        let address = cluster::cluster_ip(self.size.services + added);
        Goal {
            to: (address, PORT).into(),
            who: format!("pod{}", self.current + 1),
        }
    }
}

/// Who answers at a Service's address when a change has arrived.
pub(super) struct Goal {
    pub(super) to: SocketAddr,
    pub(super) who: String,
}

/// Path of the collection that an object is in.
fn collection(event: &Event) -> String {
    let meta = &event.object.meta;
    let namespace = &meta.namespace;
    if event.object.resource == Resource::SERVICES {
        format!("/api/v1/namespaces/{namespace}/services")
    } else {
        format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")
    }
}

/// An object as a client writes it who takes care of the endpoints itself.
fn body(event: &Event) -> Bytes {
    let mut object = event.object.value();
    let mut remove = |pointer: &str, key: &str| {
        let at = object.pointer_mut(pointer);
        at.and_then(Value::as_object_mut).map(|at| at.remove(key));
    };
    for key in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generateName",
    ] {
        remove("/metadata", key);
    }
    remove("/metadata/labels", "endpointslice.kubernetes.io/managed-by");
    remove("/spec", "selector");
    object.to_string().into()
}
