//! A whole cluster in memory, for looking at what YAML would make: the same API rules and the same
//! controllers as the server's, with no server.
//!
//! Pods are taken to run and to become ready at once, since nothing here runs them.

use crate::datapath::{Chosen, DataPath};
use crate::inside::{DNS_SERVICE, dns_service};
use crate::load::Loaded;
use crate::network::NodeAddresses;
use api::{Engine, Env, Payload, Query, Request, State, User, Verb};
use control::{Context, Controller, Key, Memory};
use model::{ApiError, Cidr, Event, ObjectKey, Problem, Resource, Severity, Snapshot, View, Write};
use schema::Registry;
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

/// Reconciliations after which the controllers are taken not to come to rest.
const RECONCILIATIONS: usize = 2_000_000;

/// Name of the Node that Pods are taken to run on.
const NODE: &str = "plan";

/// Where load balancers get their addresses from, as with `portolan up`.
const LOAD_BALANCERS: &str = "127.97.0.0/24";

/// The cluster.
pub(crate) struct Sandbox {
    engine: Engine,
    settings: api::Settings,
    controllers: Vec<Controller>,
    control: control::Settings,
    memory: Memory,
    random: Cell<u64>,
    queue: VecDeque<(usize, Key)>,
    queued: BTreeSet<(usize, Key)>,
    pod_ranges: Vec<Cidr>,
    /// The Node's own addresses, with the kernel data path
    node_ips: Vec<IpAddr>,
    pods: u128,
    /// What was refused
    pub(crate) refused: Vec<Problem>,
}

impl Sandbox {
    /// A cluster as `portolan up` makes it at its first start.
    pub(crate) fn new(chosen: &Chosen) -> anyhow::Result<Self> {
        let mut sandbox = Self::with_balancers(chosen.services.clone(), LOAD_BALANCERS.parse()?)?;
        sandbox.pod_ranges.clone_from(&chosen.pods);
        if chosen.path == DataPath::Nftables {
            let addresses = NodeAddresses::new(&chosen.pods, &chosen.services);
            sandbox.create(&dns_service(&addresses))?;
            sandbox.node_ips = addresses.node;
            sandbox.settle();
        }
        Ok(sandbox)
    }

    /// The same with other ranges, for Services only.
    pub(crate) fn with_balancers(service_cidrs: Vec<Cidr>, pool: Cidr) -> anyhow::Result<Self> {
        let control = control::Settings {
            node: Some(NODE.to_owned()),
            load_balancer_pool: Some(pool),
            ca_pem: String::new(),
            token_signer: None,
        };
        let mut sandbox = Self {
            engine: Engine::new(State::default(), 0),
            settings: api::Settings {
                service_cidrs,
                node_ports: (30000, 32767),
                loopback_endpoints: true,
            },
            controllers: control::controllers(&control),
            control,
            memory: Memory::default(),
            random: Cell::new(0x9e37_79b9_7f4a_7c15),
            queue: VecDeque::new(),
            queued: BTreeSet::new(),
            pod_ranges: vec!["127.244.0.0/16".parse()?],
            node_ips: Vec::new(),
            pods: 1,
            refused: Vec::new(),
        };
        for object in first_objects() {
            sandbox.create(&object)?;
        }
        sandbox.run_node();
        sandbox.settle();
        Ok(sandbox)
    }

    /// Creates the objects, Namespaces and definitions first, and lets the controllers do their work.
    pub(crate) fn apply(&mut self, loaded: &[Loaded]) {
        let (first, rest): (Vec<&Loaded>, Vec<&Loaded>) =
            loaded.iter().partition(|loaded| loaded.comes_first());
        for group in [first, rest] {
            for loaded in group {
                if let Err(error) = self.create(&loaded.object)
                    && error.reason != "AlreadyExists"
                {
                    let problems = problems_of(self.engine.registry(), loaded, &error);
                    self.refused.extend(problems);
                }
            }
            self.settle();
        }
    }

    /// Adds a Pod that runs elsewhere, with its status.
    pub(crate) fn add_running(&mut self, pod: &Value, status: &Value) -> Result<(), ApiError> {
        self.create(pod)?;
        let text = |at: &str| pod.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        self.submit(Write::MergePatch {
            key: ObjectKey::new(Resource::PODS, namespace, name),
            subresource: "status",
            patch: json!({ "status": status }),
        });
        self.settle();
        Ok(())
    }

    /// Whether a Service is there without anyone's YAML.
    pub(crate) fn is_builtin(&self, namespace: &str, name: &str) -> bool {
        let dns = !self.node_ips.is_empty() && (namespace, name) == DNS_SERVICE;
        dns || (namespace, name) == ("default", "kubernetes")
    }

    /// Everything as data planes see it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::from_objects(self.engine.state().all())
    }

    fn create(&mut self, object: &Value) -> Result<(), ApiError> {
        let text = |at: &str| {
            object
                .pointer(at)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (version, kind) = (text("/apiVersion"), text("/kind"));
        let known = self
            .engine
            .registry()
            .by_kind(&version, &kind)
            .cloned()
            .ok_or_else(|| {
                let message = format!("no kind {kind:?} is served in {version:?}");
                ApiError::new(404, "NotFound", message)
            })?;
        let namespace = match text("/metadata/namespace").as_str() {
            _ if !known.namespaced => String::new(),
            "" => "default".to_owned(),
            namespace => namespace.to_owned(),
        };
        let request = Request {
            verb: Verb::Create,
            kind: known,
            namespace,
            name: String::new(),
            subresource: String::new(),
            query: Query(vec![("fieldValidation".to_owned(), "Strict".to_owned())]),
            payload: Payload::Json(object.to_string().into_bytes()),
            patch: None,
            user: User {
                name: "portolan".to_owned(),
                groups: vec!["system:masters".to_owned()],
                ..User::default()
            },
            agent: "plan".to_owned(),
            create_refusal: None,
        };
        self.handle(&request)
    }

    fn handle(&mut self, request: &Request) -> Result<(), ApiError> {
        let draw = || {
            // A fixed sequence (xorshift), so that a plan comes out the same each time.
            let mut x = self.random.get();
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            self.random.set(x);
            x
        };
        let now = crate::controllers::now();
        let env = Env {
            now,
            random: &draw,
            settings: &self.settings,
        };
        let outcome = self.engine.handle(request, &env)?;
        for event in outcome.events {
            self.mark(&event);
        }
        Ok(())
    }

    fn mark(&mut self, event: &Event) {
        for (index, controller) in self.controllers.iter().enumerate() {
            for key in (controller.keys)(event, &self.engine) {
                if self.queued.insert((index, key.clone())) {
                    self.queue.push_back((index, key));
                }
            }
        }
        if event.object.resource == Resource::PODS {
            self.run_pod(&event.object.key());
        }
    }

    /// Runs the controllers until none wants anything.
    fn settle(&mut self) {
        for _ in 0..RECONCILIATIONS {
            let Some((index, key)) = self.queue.pop_front() else {
                return;
            };
            self.queued.remove(&(index, key.clone()));
            let context = Context {
                view: &self.engine,
                now: crate::controllers::now(),
                settings: &self.control,
                memory: &self.memory,
            };
            let outcome = (self.controllers[index].reconcile)(&context, &key);
            for write in outcome.writes {
                self.submit(write);
            }
        }
    }

    fn submit(&mut self, write: Write) {
        let request = Request::of_write(self.engine.registry(), write, "plan");
        if let Ok(Some(request)) = request {
            // A refusal leaves the object as it is; what it lacks shows in the plan.
            let _ = self.handle(&request);
        }
    }

    /// Takes the Node to be ready, as Pods wait for.
    fn run_node(&mut self) {
        let time = crate::controllers::now().rfc3339();
        let ready = json!({
            "type": "Ready", "status": "True", "reason": "KubeletReady",
            "lastHeartbeatTime": time, "lastTransitionTime": time,
        });
        self.submit(Write::MergePatch {
            key: ObjectKey::new(Resource::NODES, "", NODE),
            subresource: "status",
            patch: json!({ "status": { "conditions": [ready] } }),
        });
    }

    /// Takes a bound Pod to run and to be ready.
    fn run_pod(&mut self, key: &ObjectKey) {
        let Some(pod) = self.engine.get(key.resource, &key.namespace, &key.name) else {
            return;
        };
        let value = pod.value();
        let bound = value["spec"]["nodeName"] == NODE;
        if !bound || pod.meta.is_deleting() || value["status"]["podIP"].is_string() {
            return;
        }
        self.pods += 1;
        let own = || {
            self.pod_ranges
                .iter()
                .filter_map(|range| range.nth(self.pods))
        };
        let ips: Vec<Value> = match value["spec"]["hostNetwork"] == true {
            true if !self.node_ips.is_empty() => self.node_ips.iter().map(ip_value).collect(),
            _ => own().map(|ip| ip_value(&ip)).collect(),
        };
        let Some(first) = ips.first() else {
            return;
        };
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let host = self.node_ips.first().unwrap_or(&localhost).to_string();
        let time = crate::controllers::now().rfc3339();
        let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": time});
        let kinds = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
        let conditions = kinds.map(condition);
        let status = json!({
            "phase": "Running", "podIP": first["ip"], "podIPs": ips,
            "hostIP": host, "startTime": time,
            "conditions": conditions,
        });
        self.submit(Write::MergePatch {
            key: key.clone(),
            subresource: "status",
            patch: json!({ "status": status }),
        });
    }
}

fn ip_value(ip: &IpAddr) -> Value {
    json!({"ip": ip.to_string()})
}

fn first_objects() -> Vec<Value> {
    let mut objects: Vec<Value> = ["default", "kube-system", "kube-public"]
        .iter()
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
        .collect();
    objects.push(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}));
    objects.push(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"},
    }));
    objects
}

/// A refusal as problems: one for each field that is wrong, or one for the object.
fn problems_of(registry: &Registry, loaded: &Loaded, error: &ApiError) -> Vec<Problem> {
    let text = |at: &str| {
        loaded
            .object
            .pointer(at)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let kind = registry.by_kind(text("/apiVersion"), text("/kind"));
    let resource = kind.map_or_else(
        || Resource::new("", &text("/kind").to_lowercase()),
        |kind| kind.resource,
    );
    let namespace = match text("/metadata/namespace") {
        _ if kind.is_none_or(|kind| !kind.namespaced) => "",
        "" => "default",
        namespace => namespace,
    };
    let object = ObjectKey::new(resource, namespace, text("/metadata/name"));
    let problem = |field: &str, message: &str| Problem {
        object: object.clone(),
        field: field.to_owned(),
        severity: Severity::Error,
        reason: if error.reason.is_empty() {
            "Refused"
        } else {
            error.reason
        },
        message: message.to_owned(),
        cure: cure(field, message, error),
    };
    let causes = error
        .details
        .as_ref()
        .and_then(|details| details["causes"].as_array());
    let read = |cause: &Value, key: &str| cause[key].as_str().unwrap_or_default().to_owned();
    let causes: Vec<Problem> = causes
        .into_iter()
        .flatten()
        .map(|cause| problem(&read(cause, "field"), &read(cause, "message")))
        .collect();
    if causes.is_empty() {
        vec![problem("", &error.message)]
    } else {
        causes
    }
}

fn cure(field: &str, message: &str, error: &ApiError) -> String {
    if field.ends_with(".nodePort") {
        return "Choose a free port in 30000-32767, or leave nodePort out to get one.".to_owned();
    }
    if message.contains("unknown field") {
        return "Correct the name or the indentation of the field, or remove it.".to_owned();
    }
    if error.code == 404 && message.starts_with("namespaces") {
        return "Add the Namespace to the files, or create it first.".to_owned();
    }
    if error.code == 404 && message.starts_with("no kind") {
        return "Correct apiVersion and kind; kinds of CustomResourceDefinitions are not served yet."
            .to_owned();
    }
    "Correct the field; `kubectl explain` shows what it takes.".to_owned()
}
