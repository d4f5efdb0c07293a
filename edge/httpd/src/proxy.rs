//! Carries decisions out: answers, or sends the request to an endpoint and the response back.

use crate::body::{BodyError, Decoder, Incoming, RequestBody};
use crate::h1::parse::ResponseHead;
use crate::log::Record;
use crate::relay::{Relay, Sending};
use crate::sink::{Length, Sink};
use crate::splice::splice;
use crate::upstream::exchange::{
    Failure, Outgoing, collect, content_length, keeps, request_head, response_body, send,
};
use crate::upstream::{PoolKey, Upstream, Worker, connect};
use crate::wire::{Reader, Writer};
use bytes::Bytes;
use gateway::{
    Action, Answer, BackendProtocol, Decision, Endpoint, Forward, Headers, Policy, RequestHead,
    ServiceRef, forward, respond,
};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Smallest room for a backend's response head, whatever `proxy-buffer-size` says.
const HEAD_ROOM: usize = 64 * 1024;

/// One request on its way through.
pub(crate) struct Exchange<'e, 'c> {
    pub(crate) worker: &'e Worker,
    pub(crate) head: &'e RequestHead,
    pub(crate) decision: &'e Decision,
    pub(crate) incoming: &'e mut Incoming<'c>,
    pub(crate) sink: &'e mut Sink<'c>,
    pub(crate) record: &'e mut Record,
    /// Whether the client's connection can be switched to another protocol
    pub(crate) upgradable: bool,
}

/// What becomes of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The request was answered
    Answered,
    /// The connection carried another protocol, and is over
    Spliced,
    /// It has to be closed at once
    Broken,
}

impl Exchange<'_, '_> {
    /// Carries the decision out.
    pub(crate) async fn run(&mut self) -> After {
        match &self.decision.action {
            Action::Answer(answer) => self.answer(answer.clone()).await,
            Action::Forward(forward) => self.forward(forward).await,
        }
    }

    async fn answer(&mut self, answer: Answer) -> After {
        let mut headers = answer.headers;
        respond::finish(self.decision, self.head, &mut headers);
        if answer.close
            && let Sink::H1(sink) = &mut *self.sink
        {
            sink.keep_alive = false;
        }
        self.record.status = answer.status;
        let length = match answer.status {
            204 | 304 => Length::None,
            _ => Length::Known(answer.body.len() as u64),
        };
        let body = if self.sink.head_only() {
            Vec::new()
        } else {
            answer.body
        };
        let sent = async {
            self.sink.head(answer.status, b"", &headers, length)?;
            if length != Length::None {
                self.sink.data(Bytes::from(body)).await?;
            }
            self.sink.end(None).await
        };
        match sent.await {
            Ok(()) => After::Answered,
            Err(_) => After::Broken,
        }
    }

    /// Answers with a status of our own.
    pub(crate) async fn fail_with(&mut self, status: u16) -> After {
        let mut answer = Answer::status(status);
        answer.close = matches!(status, 400 | 413);
        self.answer(answer).await
    }

    fn policy(&self) -> Option<Arc<Policy>> {
        let location = self.decision.location.as_ref();
        location.map(|location| location.policy.clone())
    }

    async fn forward(&mut self, forward: &Forward) -> After {
        let Some(policy) = self.policy() else {
            return self.fail_with(500).await;
        };
        let mut target = self.target(&forward.backend).await;
        if target.addresses.is_empty() {
            return self.without_endpoints(forward, &policy).await;
        }
        if let Some(canary) = &forward.canary {
            let other = self.target(canary).await;
            if !other.addresses.is_empty() {
                target = other;
            }
        }
        let limited = self.limit(&policy);
        let _slot = match limited {
            Ok(slot) => slot,
            Err(status) => return self.fail_or_page(status, None).await,
        };
        if forward.forbidden {
            return self.fail_or_page(403, None).await;
        }
        match policy.proxy.protocol {
            BackendProtocol::Grpc | BackendProtocol::Grpcs => {
                let Target { addresses, turn } = target;
                return crate::grpc::forward(self, forward, &policy, &addresses, turn).await;
            }
            BackendProtocol::Fcgi => return self.fail_with(502).await,
            _ => {}
        }
        let body = match collect(self.incoming, policy.proxy.request_buffering).await {
            Ok(body) => body,
            Err(error) => return self.client_failed(error).await,
        };
        let headers = forward::headers(self.decision, forward, self.head);
        let plan = Plan {
            target: &forward.target,
            headers: &headers,
            body: &body,
            policy: &policy,
            intercept: !policy.errors.disabled,
        };
        match self.attempts(&plan, &target).await {
            Ok(after) => after,
            Err(status) => self.fail_or_page(status, Some(&body)).await,
        }
    }

    async fn target(&self, service: &ServiceRef) -> Target {
        let Some(state) = self.worker.shared.service(service) else {
            return Target::default();
        };
        let set = state.endpoints.load_full();
        Target {
            addresses: self.resolve(&set.endpoints).await,
            turn: state.turn(),
        }
    }

    /// Counts the request against the Ingress's limits.
    fn limit(&self, policy: &Policy) -> Result<Option<crate::limits::Slot>, u16> {
        let origin = self
            .decision
            .location
            .as_ref()
            .and_then(|l| l.origin.as_ref());
        let Some(origin) = origin else {
            return Ok(None);
        };
        let client = self.decision.context.client;
        let limits = &self.worker.shared.limits;
        limits.admit(
            &origin.ingress,
            client,
            &policy.limits,
            &self.decision.global,
        )
    }

    /// A Service without endpoints: the `default-backend` annotation's Service, or 503.
    async fn without_endpoints(&mut self, forward: &Forward, policy: &Policy) -> After {
        if policy.errors.codes.contains(&503) {
            return self.fail_or_page(503, None).await;
        }
        let target = self.error_target(policy).await;
        if target.addresses.is_empty() {
            return self.fail_with(503).await;
        }
        let body = match collect(self.incoming, true).await {
            Ok(body) => body,
            Err(error) => return self.client_failed(error).await,
        };
        let headers = forward::fallback_headers(self.decision, forward, self.head);
        let plan = Plan {
            target: &forward.target,
            headers: &headers,
            body: &body,
            policy,
            intercept: false,
        };
        match self.attempts(&plan, &target).await {
            Ok(after) => after,
            Err(status) => self.fail_with(status).await,
        }
    }

    async fn error_target(&self, policy: &Policy) -> Target {
        let Some(service) = &policy.errors.backend else {
            return Target::default();
        };
        let service = ServiceRef {
            service: service.clone(),
            port: None,
        };
        self.target(&service).await
    }

    /// Fails with a status, for which the Ingress may have an error page.
    async fn fail_or_page(&mut self, status: u16, body: Option<&Outgoing>) -> After {
        let policy = self.policy();
        let policy = policy.filter(|policy| policy.errors.codes.contains(&status));
        let Some(policy) = policy.filter(|_| !self.sink.started()) else {
            return self.fail_with(status).await;
        };
        let target = self.error_target(&policy).await;
        if target.addresses.is_empty() {
            // Without a backend the controller's own answers, which has no page for anything; its
            // 404 is intercepted again and again when the controller's list holds 404.
            let looped = self.decision.global.custom_errors.contains(&404);
            return self.fail_with(if looped { 500 } else { 404 }).await;
        }
        let collected;
        let body = match body {
            Some(body) if body.repeats() => body,
            Some(_) => return self.fail_with(status).await,
            None => match collect(self.incoming, true).await {
                Ok(body) => {
                    collected = body;
                    &collected
                }
                Err(error) => return self.client_failed(error).await,
            },
        };
        let headers = forward::error_headers(self.decision, self.head, status);
        let mut path = b"/".to_vec();
        if let Some(at) = self.head.target.iter().position(|&b| b == b'?') {
            path.extend_from_slice(self.head.target.get(at..).unwrap_or_default());
        }
        let plan = Plan {
            target: &path,
            headers: &headers,
            body,
            policy: &policy,
            intercept: false,
        };
        match self.attempts(&plan, &target).await {
            Ok(after) => after,
            Err(status) => self.fail_with(status).await,
        }
    }

    /// Addresses in order; names of ExternalName Services are looked up.
    async fn resolve(&self, endpoints: &[Endpoint]) -> Vec<SocketAddr> {
        let mut out = Vec::new();
        for endpoint in endpoints {
            if let Ok(ip) = endpoint.host.parse::<IpAddr>() {
                out.push(SocketAddr::new(ip, endpoint.port));
                continue;
            }
            let found = (self.worker.shared.lookup)(endpoint.host.clone()).await;
            out.extend(
                found
                    .into_iter()
                    .map(|ip| SocketAddr::new(ip, endpoint.port)),
            );
        }
        out
    }

    pub(crate) async fn client_failed(&mut self, error: BodyError) -> After {
        match error {
            BodyError::TooLarge => self.fail_with(413).await,
            BodyError::Malformed => self.fail_with(400).await,
            BodyError::Io(error) => {
                tracing::debug!(%error, "a client's body broke off");
                self.record.status = 408;
                After::Broken
            }
        }
    }

    /// Tries endpoints one after the other; `Err` is the status that the client is to get.
    async fn attempts(&mut self, plan: &Plan<'_>, to: &Target) -> Result<After, u16> {
        let next = &plan.policy.proxy.next;
        let limit = match (to.addresses.len(), next.tries) {
            (1, _) => 1,
            (count, 0) => count,
            (_, tries) => usize::try_from(tries).unwrap_or(usize::MAX),
        };
        let started = Instant::now();
        let mut tried = 0;
        loop {
            let index = (to.turn + tried) % to.addresses.len().max(1);
            let Some(&address) = to.addresses.get(index) else {
                return Err(502);
            };
            tried += 1;
            self.record.upstream = Some(address);
            let in_time = next.timeout_seconds == 0
                || started.elapsed() < Duration::from_secs(next.timeout_seconds);
            let more = tried < limit && in_time;
            let again = more && plan.body.repeats() && (self.idempotent() || next.non_idempotent);
            match self.attempt(plan, address, again).await {
                Ok(after) => return Ok(after),
                Err(Tried { failure, sent }) => {
                    let wanted = match &failure {
                        Lost::Failure(Failure::Error(_)) => next.error,
                        Lost::Failure(Failure::Timeout) => next.timeout,
                        Lost::Failure(Failure::Malformed) => next.invalid_header,
                        Lost::Retry => true,
                        Lost::Failure(Failure::Client(_)) | Lost::Page(_) => false,
                    };
                    if wanted && (again || more && !sent) && !self.sink.started() {
                        continue;
                    }
                    return self.give_up(failure).await;
                }
            }
        }
    }

    fn idempotent(&self) -> bool {
        !matches!(self.head.method.as_str(), "POST" | "LOCK" | "PATCH")
    }

    async fn give_up(&mut self, failure: Lost) -> Result<After, u16> {
        if self.sink.started() {
            self.sink.abort();
            return Ok(After::Broken);
        }
        match failure {
            Lost::Failure(Failure::Timeout) => Err(504),
            Lost::Failure(Failure::Error(error)) => {
                tracing::debug!(%error, upstream = ?self.record.upstream, "a backend failed");
                Err(502)
            }
            Lost::Failure(Failure::Client(error)) => Ok(self.client_failed(error).await),
            Lost::Page(status) => Err(status),
            Lost::Failure(Failure::Malformed) | Lost::Retry => Err(502),
        }
    }

    async fn attempt(
        &mut self,
        plan: &Plan<'_>,
        address: SocketAddr,
        again: bool,
    ) -> Result<After, Tried> {
        let proxy = &plan.policy.proxy;
        let tls = match proxy.protocol {
            BackendProtocol::Https => true,
            BackendProtocol::Auto => self.head.https,
            _ => false,
        };
        let key = PoolKey {
            address,
            tls: tls.then(String::new),
        };
        let limit = Duration::from_secs(proxy.connect_timeout.max(1));
        let mut kept = self.worker.pool.reuse(&key).await;
        loop {
            let reused = kept.is_some();
            let mut upstream = match kept.take() {
                Some(upstream) => upstream,
                None => {
                    let from = self.worker.shared.sockets.as_ref();
                    let made = connect(&key, limit, from).await;
                    made.map_err(|error| Tried {
                        failure: Lost::Failure(error.into()),
                        sent: false,
                    })?
                }
            };
            let method = &self.head.method;
            let head = request_head(method, plan.target, plan.headers, plan.body, proxy.http10);
            match self.exchange(&mut upstream, head, plan, again).await {
                Ok(Done::Keep) => {
                    self.worker.pool.keep(key, upstream);
                    return Ok(After::Answered);
                }
                Ok(Done::After(after)) => return Ok(after),
                Err(failure) => {
                    // A kept connection may have been closed while the request was on its way.
                    let stale = reused && matches!(&failure, Lost::Failure(Failure::Error(_)));
                    let safe = self.idempotent() && plan.body.repeats();
                    if !(stale && safe) || self.sink.started() {
                        return Err(Tried {
                            failure,
                            sent: true,
                        });
                    }
                }
            }
        }
    }

    async fn exchange(
        &mut self,
        upstream: &mut Upstream,
        head: Vec<u8>,
        plan: &Plan<'_>,
        again: bool,
    ) -> Result<Done, Lost> {
        let (policy, body) = (plan.policy, plan.body);
        let limit = |seconds: u64| Duration::from_secs(seconds.max(1));
        let read_limit = limit(policy.proxy.read_timeout);
        let room = usize::try_from(policy.proxy.buffer_size).unwrap_or(HEAD_ROOM);
        let Upstream { reader, writer, .. } = upstream;
        let mut sending = Sending::new(send(
            &mut *writer,
            head,
            body,
            &mut *self.incoming,
            limit(policy.proxy.send_timeout),
        ));
        let response = sending
            .response(reader, self.sink, room.max(HEAD_ROOM), read_limit)
            .await
            .map_err(Lost::Failure)?;
        self.record.upstream_status = response.status;
        if again && policy.proxy.next.statuses.contains(&response.status) {
            return Err(Lost::Retry);
        }
        if plan.intercept && body.repeats() && policy.errors.codes.contains(&response.status) {
            return Err(Lost::Page(response.status));
        }
        let decoder = response_body(&response, self.sink.head_only()).map_err(Lost::Failure)?;
        let length = length(&response, &decoder).map_err(Lost::Failure)?;
        if response.status == 101 && !(self.upgradable && sending.is_done()) {
            return Err(Lost::Failure(Failure::Malformed));
        }
        let begun = start(
            self.decision,
            self.head,
            self.sink,
            self.record,
            &response,
            length,
        );
        if begun.is_err() {
            return Ok(Done::After(After::Broken));
        }
        if response.status == 101 {
            drop(sending);
            self.switch((reader, writer), read_limit).await;
            return Ok(Done::After(After::Spliced));
        }
        let mut relay = Relay {
            decoder,
            limit: read_limit,
            length: 0,
        };
        let relayed = relay.run(&mut sending, reader, self.sink).await;
        self.record.upstream_length = relay.length;
        match relayed {
            Err(()) => Ok(Done::After(After::Broken)),
            Ok(())
                if sending.succeeded()
                    && !policy.proxy.http10
                    && keeps(&response, reader, &relay.decoder) =>
            {
                Ok(Done::Keep)
            }
            Ok(()) => Ok(Done::After(After::Answered)),
        }
    }

    /// Lets client and backend speak another protocol with each other.
    async fn switch(&mut self, backend: (&mut Reader, &mut Writer), idle: Duration) {
        let _ = self.sink.flush().await;
        if let (Sink::H1(sink), RequestBody::H1 { reader, .. }) =
            (&mut *self.sink, &mut self.incoming.body)
        {
            splice((reader, &mut *sink.writer), backend, idle).await;
        }
    }
}

/// How the body goes on to the client.
fn length(response: &ResponseHead, decoder: &Decoder) -> Result<Length, Failure> {
    if matches!(response.status, 101 | 204 | 304) {
        return Ok(Length::None);
    }
    Ok(match content_length(&response.headers)? {
        Some(length) => Length::Known(length),
        None if decoder.is_done() => Length::None,
        None => Length::Unknown,
    })
}

/// Sends the response's head to the client.
fn start(
    decision: &Decision,
    request: &RequestHead,
    sink: &mut Sink<'_>,
    record: &mut Record,
    response: &ResponseHead,
    length: Length,
) -> io::Result<()> {
    let mut headers = response.headers.clone();
    respond::from_backend(decision, request, &mut headers);
    if response.status == 101 {
        headers.push("Connection", "upgrade");
    } else {
        headers.remove("upgrade");
    }
    respond::finish(decision, request, &mut headers);
    record.status = response.status;
    sink.head(response.status, &response.reason, &headers, length)
}

enum Done {
    /// The backend's connection can be used again
    Keep,
    After(After),
}

enum Lost {
    Failure(Failure),
    /// The backend answered with a status after which another one is to be asked
    Retry,
    /// The backend answered with a status that has an error page
    Page(u16),
}

/// Where a request may go.
#[derive(Default)]
struct Target {
    addresses: Vec<SocketAddr>,
    /// Turn of the round robin
    turn: usize,
}

/// A request for a backend.
struct Plan<'p> {
    target: &'p [u8],
    headers: &'p Headers,
    body: &'p Outgoing,
    policy: &'p Policy,
    /// Whether error pages stand in for the backend's errors
    intercept: bool,
}

struct Tried {
    failure: Lost,
    /// Whether bytes of the request reached the backend
    sent: bool,
}
