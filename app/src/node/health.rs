//! What the proxy says about its health: `/healthz`, `/livez`, and the servers on
//! `spec.healthCheckNodePort`s, in kube-proxy's forms (KEP-3836, KEP-1669).

use crate::controllers::now;
use crate::node::agent::SharedSnapshot;
use crate::node::http::{Answer, Handler, Server};
use crate::node::metrics::NodeMetrics;
use http::StatusCode;
use model::{NamespacedName, Timestamp};
use proxy::kernel::{HealthPort, NodePortAddresses, node_eligible};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Whether the proxy keeps up.
#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) snapshot: SharedSnapshot,
    pub(crate) node_name: String,
    /// A change that waits longer than this makes the proxy unhealthy
    pub(crate) patience: Duration,
}

impl Health {
    /// Whether no change waits for too long.
    pub(crate) fn is_healthy(&self) -> bool {
        let since = self.metrics.with(|values| values.pending_since);
        since.is_none_or(|since| since.elapsed() < self.patience)
    }

    /// `/healthz`: fails too where the node is about to go.
    pub(crate) fn healthz(&self) -> Answer {
        let snapshot = self.snapshot.read().unwrap_or_else(PoisonError::into_inner);
        let node = snapshot.nodes.get(self.node_name.as_str());
        let eligible = node.is_some() && node_eligible(node.map(Arc::as_ref));
        drop(snapshot);
        let answer = self.answer(Some(eligible));
        let bad = usize::from(answer.status != StatusCode::OK);
        self.metrics.with(|values| values.healthz[bad] += 1);
        answer
    }

    /// `/livez`: the proxy alone.
    pub(crate) fn livez(&self) -> Answer {
        let answer = self.answer(None);
        let bad = usize::from(answer.status != StatusCode::OK);
        self.metrics.with(|values| values.livez[bad] += 1);
        answer
    }

    fn answer(&self, eligible: Option<bool>) -> Answer {
        let healthy = self.is_healthy();
        let good = healthy && eligible != Some(false);
        let current = now();
        let last = self.metrics.with(|values| values.last_sync);
        let last = Timestamp::from_micros((last * 1e6) as i64);
        let updated = if good { current } else { last };
        let mut body = json!({
            "lastUpdated": updated.rfc3339_micro(),
            "currentTime": current.rfc3339_micro(),
            "healthy": healthy,
        });
        if let Some(eligible) = eligible {
            body["nodeEligible"] = json!(eligible);
        }
        if !healthy {
            let status = json!({"lastUpdated": last.rfc3339_micro(), "healthy": false});
            body["status"] = json!({"IPv4": status, "IPv6": status});
        }
        let code = if good {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        Answer::new(code, "application/json", body.to_string())
    }

    /// The server of `--healthz-bind-address`.
    pub(crate) fn handler(self) -> Handler {
        Arc::new(move |path| match path {
            "/healthz" => self.healthz(),
            "/livez" => self.livez(),
            _ => Answer::not_found(),
        })
    }
}

/// A port that could not be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unbound {
    pub(crate) service: NamespacedName,
    pub(crate) port: u16,
    pub(crate) error: String,
}

type Counts = Arc<Mutex<BTreeMap<u16, HealthPort>>>;

/// The servers on `spec.healthCheckNodePort`s.
pub(crate) struct HealthServers {
    health: Health,
    counts: Counts,
    addresses: Vec<IpAddr>,
    running: BTreeMap<u16, Vec<Server>>,
}

impl HealthServers {
    /// None yet.
    pub(crate) fn new(health: Health) -> Self {
        Self {
            health,
            counts: Counts::default(),
            addresses: Vec::new(),
            running: BTreeMap::new(),
        }
    }

    /// Listens on these ports and no others, on the addresses of NodePorts; gives back what could
    /// not be bound, which the next call tries again.
    pub(crate) async fn apply(
        &mut self,
        ports: BTreeMap<u16, HealthPort>,
        addresses: &NodePortAddresses,
    ) -> Vec<Unbound> {
        let addresses = listen_on(addresses);
        if addresses != self.addresses {
            self.running.clear();
            self.addresses = addresses;
        }
        self.running.retain(|port, _| ports.contains_key(port));
        let missing = ports
            .iter()
            .filter(|(port, _)| !self.running.contains_key(port));
        let missing: Vec<(u16, NamespacedName)> = missing
            .map(|(port, of)| (*port, of.service.clone()))
            .collect();
        *lock(&self.counts) = ports;
        let mut unbound = Vec::new();
        for (port, service) in missing {
            match self.listen(port).await {
                Ok(servers) => {
                    self.running.insert(port, servers);
                }
                Err(error) => unbound.push(Unbound {
                    service,
                    port,
                    error: error.to_string(),
                }),
            }
        }
        unbound
    }

    async fn listen(&self, port: u16) -> std::io::Result<Vec<Server>> {
        let mut servers = Vec::new();
        for address in &self.addresses {
            let (counts, health) = (self.counts.clone(), self.health.clone());
            let handler: Handler = Arc::new(move |_| {
                let of = lock(&counts).get(&port).cloned();
                of.map_or_else(Answer::not_found, |of| answer(&of, health.is_healthy()))
            });
            servers.push(Server::start(SocketAddr::new(*address, port), handler).await?);
        }
        Ok(servers)
    }
}

/// `[::]` takes connections of both families where the system has not been told otherwise.
fn listen_on(addresses: &NodePortAddresses) -> Vec<IpAddr> {
    match addresses {
        NodePortAddresses::These(these) => these.iter().copied().collect(),
        NodePortAddresses::AllLocal if std::path::Path::new("/proc/net/if_inet6").exists() => {
            vec![IpAddr::V6(Ipv6Addr::UNSPECIFIED)]
        }
        NodePortAddresses::AllLocal => vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
    }
}

fn answer(of: &HealthPort, healthy: bool) -> Answer {
    let count = of.local_endpoints;
    let (namespace, name) = (&of.service.namespace, &of.service.name);
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": {namespace:?},\n\t\t\"name\": {name:?}\n\t}},\n\t\
         \"localEndpoints\": {count},\n\t\"serviceProxyHealthy\": {healthy}\n}}"
    );
    let good = count > 0 && healthy;
    let code = if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut answer = Answer::new(code, "application/json", body);
    let weight = ("x-load-balancing-endpoint-weight", count.to_string());
    answer.headers.push(weight);
    answer
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::time::Instant;

    fn health() -> Health {
        Health {
            metrics: Arc::default(),
            snapshot: SharedSnapshot::default(),
            node_name: "node1".to_owned(),
            patience: Duration::from_secs(60),
        }
    }

    fn add_node(health: &Health, spec: &str) {
        let yaml = format!("apiVersion: v1\nkind: Node\nmetadata: {{name: node1}}\nspec: {spec}\n");
        *health.snapshot.write().unwrap() = testkit::snapshot(&yaml);
    }

    #[test]
    fn a_node_that_is_about_to_go_fails_healthz_alone() {
        let health = health();
        assert_eq!(health.healthz().status, StatusCode::SERVICE_UNAVAILABLE);
        add_node(&health, "{}");
        let good = health.healthz();
        assert_eq!(good.status, StatusCode::OK);
        let body: serde_json::Value = serde_json::from_str(&good.body).unwrap();
        assert_eq!(body["nodeEligible"], true);
        assert_eq!(body["lastUpdated"], body["currentTime"]);
        add_node(
            &health,
            "{taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]}",
        );
        assert_eq!(health.healthz().status, StatusCode::SERVICE_UNAVAILABLE);
        let live = health.livez();
        assert_eq!(live.status, StatusCode::OK);
        assert!(!live.body.contains("nodeEligible"));
        let counts = health.metrics.with(|values| (values.healthz, values.livez));
        assert_eq!(counts, ([1, 2], [1, 0]));
    }

    #[test]
    fn a_change_that_waits_too_long_is_told() {
        let mut health = health();
        health.patience = Duration::ZERO;
        assert_eq!(health.livez().status, StatusCode::OK);
        health
            .metrics
            .with(|values| values.pending_since = Some(Instant::now()));
        let late = health.livez();
        assert_eq!(late.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(late.body.contains("\"healthy\":false"), "{}", late.body);
    }

    #[tokio::test]
    async fn ports_answer_by_the_number_of_local_endpoints() {
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let addresses = NodePortAddresses::These([IpAddr::V4(Ipv4Addr::LOCALHOST)].into());
        let mut servers = HealthServers::new(health());
        let ports = |count| {
            let port = HealthPort {
                service: NamespacedName::new("ns", "web"),
                local_endpoints: count,
            };
            BTreeMap::from([(free, port)])
        };
        assert_eq!(servers.apply(ports(2), &addresses).await, []);
        let ask = move || {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", free)).unwrap();
            stream
                .write_all(b"GET /any HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        };
        let text = tokio::task::spawn_blocking(ask).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        assert!(
            text.contains("x-load-balancing-endpoint-weight: 2"),
            "{text}"
        );
        assert!(
            text.ends_with(
                "{\n\t\"service\": {\n\t\t\"namespace\": \"ns\",\n\t\t\"name\": \"web\"\n\t},\n\t\
             \"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}"
            ),
            "{text}"
        );
        servers.apply(ports(0), &addresses).await;
        let text = tokio::task::spawn_blocking(ask).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
        let mut others = HealthServers::new(health());
        let unbound = others.apply(ports(1), &addresses).await;
        assert_eq!(unbound.len(), 1);
        assert_eq!(&*unbound[0].service.name, "web");
    }
}
