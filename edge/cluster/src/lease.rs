//! Leadership among equals, by a Lease (`coordination.k8s.io/v1`).

use crate::client::Client;
use crate::error::Error;
use crate::note::time;
use crate::paths::{collection, object};
use http::Method;
use model::Resource;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Whose lease, and for how long.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Namespace of the Lease
    pub namespace: String,
    /// Name of the Lease
    pub name: String,
    /// Who we are, unlike anybody else
    pub identity: String,
    /// How long a leader that says nothing more stays leader
    pub duration: Duration,
    /// How often it is asked for and renewed
    pub retry: Duration,
}

impl LeaseSettings {
    /// The usual times: 15 seconds, renewed every 2.
    pub fn new(namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
            duration: Duration::from_secs(15),
            retry: Duration::from_secs(2),
        }
    }
}

/// Runs for leadership until it is dropped.
pub struct Lease {
    leader: watch::Receiver<bool>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Lease {
    /// Starts to run for it.
    pub fn start(client: Client, settings: LeaseSettings) -> Self {
        let (tell, leader) = watch::channel(false);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let mut candidate = Candidate {
            client,
            settings,
            seen: None,
        };
        tokio::spawn(async move {
            tokio::select! {
                () = candidate.run(&tell) => {}
                _ = stopped => candidate.release(&tell).await,
            }
        });
        Self {
            leader,
            _stop: stop,
        }
    }

    /// Whether we lead at the moment.
    pub fn leads(&self) -> bool {
        *self.leader.borrow()
    }

    /// Waits until that changes. May be dropped while it waits.
    pub async fn changed(&mut self) {
        if self.leader.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

struct Candidate {
    client: Client,
    settings: LeaseSettings,
    /// The lease as it was seen last, and when: the clocks of two machines are never compared
    seen: Option<(Value, Instant)>,
}

impl Candidate {
    async fn run(&mut self, tell: &watch::Sender<bool>) {
        let mut renewed = Instant::now();
        loop {
            match tokio::time::timeout(self.settings.duration, self.attempt()).await {
                Ok(Ok(true)) => {
                    renewed = Instant::now();
                    tell.send_if_modified(|leads| !std::mem::replace(leads, true));
                }
                Ok(Ok(false)) => {
                    tell.send_if_modified(|leads| std::mem::replace(leads, false));
                }
                Ok(Err(error)) => tracing::debug!(%error, "the lease was not renewed"),
                Err(_) => tracing::debug!("the lease was not renewed in time"),
            }
            // Who cannot renew stops leading before anybody else may begin.
            if renewed.elapsed() * 3 > self.settings.duration * 2 {
                tell.send_if_modified(|leads| std::mem::replace(leads, false));
            }
            tokio::time::sleep(self.settings.retry).await;
        }
    }

    /// Takes or renews the lease if that is allowed, and says whether it is ours.
    async fn attempt(&mut self) -> Result<bool, Error> {
        let s = &self.settings;
        let path = object(Resource::LEASES, &s.namespace, &s.name, "");
        let found = match self.client.get(&path).await {
            Ok(bytes) => serde_json::from_slice::<Value>(&bytes)
                .map_err(|error| Error::Answer(format!("the lease: {error}")))?,
            Err(error) if error.code() == Some(404) => return self.create().await,
            Err(error) => return Err(error),
        };
        let holder = found["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let ours = holder == s.identity;
        let renewed = &found["spec"]["renewTime"];
        match &self.seen {
            Some((last, _)) if last["spec"]["renewTime"] == *renewed => {}
            _ => self.seen = Some((found.clone(), Instant::now())),
        }
        let duration = found["spec"]["leaseDurationSeconds"].as_u64().unwrap_or(0);
        let since = self.seen.as_ref().map(|(_, since)| since.elapsed());
        let expired = since.is_some_and(|since| since >= Duration::from_secs(duration));
        if !ours && !holder.is_empty() && !expired {
            return Ok(false);
        }
        let mut next = found;
        let before = next["spec"]["leaseTransitions"].as_u64().unwrap_or(0);
        let acquired = next["spec"]["acquireTime"].clone();
        next["spec"] = self.spec(before + u64::from(!ours));
        if ours {
            next["spec"]["acquireTime"] = acquired;
        }
        self.put(&next).await
    }

    async fn create(&self) -> Result<bool, Error> {
        let s = &self.settings;
        let body = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": s.name, "namespace": s.namespace}, "spec": self.spec(0),
        });
        let path = collection(Resource::LEASES, &s.namespace);
        won(self
            .client
            .json(Method::POST, &path, "application/json", &body)
            .await)
    }

    async fn put(&self, lease: &Value) -> Result<bool, Error> {
        let s = &self.settings;
        let path = object(Resource::LEASES, &s.namespace, &s.name, "");
        won(self
            .client
            .json(Method::PUT, &path, "application/json", lease)
            .await)
    }

    fn spec(&self, transitions: u64) -> Value {
        let now = time().rfc3339_micro();
        json!({
            "holderIdentity": self.settings.identity,
            "leaseDurationSeconds": self.settings.duration.as_secs().max(1),
            "acquireTime": now, "renewTime": now, "leaseTransitions": transitions,
        })
    }

    /// Gives the lease back, so that the next one need not wait.
    async fn release(&mut self, tell: &watch::Sender<bool>) {
        if !*tell.borrow() {
            return;
        }
        let s = &self.settings;
        let path = object(Resource::LEASES, &s.namespace, &s.name, "");
        let patch = json!({"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}});
        let kind = "application/merge-patch+json";
        if let Err(error) = self.client.json(Method::PATCH, &path, kind, &patch).await {
            tracing::debug!(%error, "the lease was not given back");
        }
    }
}

/// A conflict means that somebody else was faster.
fn won(answer: Result<bytes::Bytes, Error>) -> Result<bool, Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(409) => Ok(false),
        Err(error) => Err(error),
    }
}
