//! Carries decisions out: answers, or sends the request to an endpoint and the response back.

use crate::body::{BodyError, Incoming, RequestBody};
use crate::h1::parse::ResponseHead;
use crate::log::Record;
use crate::sink::{Length, Sink};
use crate::splice::splice;
use crate::upstream::exchange::{
    Failure, Outgoing, Timeouts, collect, content_length, keeps, receive, request_head,
    response_body, send,
};
use crate::upstream::{PoolKey, Upstream, Worker, connect};
use bytes::Bytes;
use gateway::{
    Action, Answer, BackendProtocol, Decision, Endpoint, Forward, Headers, Policy, RequestHead,
    forward, respond,
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
        let state = self.worker.shared.service(&forward.backend);
        let endpoints = state.as_ref().map(|state| state.endpoints.load_full());
        let endpoints = endpoints
            .map(|set| set.endpoints.clone())
            .unwrap_or_default();
        let turn = state.as_ref().map_or(0, |state| state.turn());
        let addresses = self.resolve(&endpoints).await;
        if addresses.is_empty() {
            return self.fail_with(503).await;
        }
        if forward.forbidden {
            return self.fail_with(403).await;
        }
        match policy.proxy.protocol {
            BackendProtocol::Grpc | BackendProtocol::Grpcs => {
                return crate::grpc::forward(self, forward, &policy, &addresses, turn).await;
            }
            BackendProtocol::Fcgi => return self.fail_with(502).await,
            _ => {}
        }
        let body = match collect(self.incoming, policy.proxy.request_buffering).await {
            Ok(body) => body,
            Err(error) => return self.client_failed(error).await,
        };
        self.attempts(forward, &policy, &addresses, turn, &body)
            .await
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

    async fn attempts(
        &mut self,
        forward: &Forward,
        policy: &Policy,
        addresses: &[SocketAddr],
        turn: usize,
        body: &Outgoing,
    ) -> After {
        let next = &policy.proxy.next;
        let limit = match next.tries {
            0 => addresses.len(),
            tries => addresses
                .len()
                .min(usize::try_from(tries).unwrap_or(usize::MAX)),
        };
        let started = Instant::now();
        let headers = forward::headers(self.decision, forward, self.head);
        let mut tried = 0;
        loop {
            let index = (turn + tried) % addresses.len();
            let Some(&address) = addresses.get(index) else {
                return self.fail_with(502).await;
            };
            tried += 1;
            self.record.upstream = Some(address);
            let in_time = next.timeout_seconds == 0
                || started.elapsed() < Duration::from_secs(next.timeout_seconds);
            let more = tried < limit && in_time;
            match self
                .attempt(forward, policy, address, &headers, body, more)
                .await
            {
                Ok(after) => return after,
                Err(Tried { failure, sent }) => {
                    let idempotent =
                        !matches!(self.head.method.as_str(), "POST" | "LOCK" | "PATCH");
                    let repeatable = !sent || body.repeats() && (idempotent || next.non_idempotent);
                    let wanted = match &failure {
                        Lost::Failure(Failure::Error(_)) => next.error,
                        Lost::Failure(Failure::Timeout) => next.timeout,
                        Lost::Failure(Failure::Malformed) => next.invalid_header,
                        Lost::Status => true,
                        Lost::Failure(Failure::Client(_)) => false,
                    };
                    if more && repeatable && wanted && !self.sink.started() {
                        continue;
                    }
                    return self.give_up(failure).await;
                }
            }
        }
    }

    async fn give_up(&mut self, failure: Lost) -> After {
        if self.sink.started() {
            self.sink.abort();
            return After::Broken;
        }
        match failure {
            Lost::Failure(Failure::Timeout) => self.fail_with(504).await,
            Lost::Failure(Failure::Error(error)) => {
                tracing::debug!(%error, upstream = ?self.record.upstream, "a backend failed");
                self.fail_with(502).await
            }
            Lost::Failure(Failure::Client(error)) => self.client_failed(error).await,
            _ => self.fail_with(502).await,
        }
    }

    async fn attempt(
        &mut self,
        forward: &Forward,
        policy: &Policy,
        address: SocketAddr,
        headers: &Headers,
        body: &Outgoing,
        more: bool,
    ) -> Result<After, Tried> {
        let proxy = &policy.proxy;
        let tls = match proxy.protocol {
            BackendProtocol::Https => true,
            BackendProtocol::Auto => self.head.https,
            _ => false,
        };
        let key = PoolKey {
            address,
            tls: tls.then(String::new),
        };
        let limit = Duration::from_secs(proxy.connect_timeout);
        let mut upstream = match self.worker.pool.reuse(&key).await {
            Some(upstream) => upstream,
            None => connect(&key, limit).await.map_err(|error| Tried {
                failure: Lost::Failure(error.into()),
                sent: false,
            })?,
        };
        let head = request_head(
            &self.head.method,
            &forward.target,
            headers,
            body,
            proxy.http10,
        );
        let reused = upstream.reused;
        match self.exchange(&mut upstream, head, policy, body, more).await {
            Ok(Done::Keep) => {
                self.worker.pool.keep(key, upstream);
                Ok(After::Answered)
            }
            Ok(Done::After(after)) => Ok(after),
            Err(failure) => {
                // A kept connection that the backend closed meanwhile was never read from.
                let stale = reused && matches!(&failure, Lost::Failure(Failure::Error(_)));
                if stale && body.repeats() && !self.sink.started() {
                    return self
                        .fresh(&key, limit, forward, policy, headers, body, more)
                        .await;
                }
                Err(Tried {
                    failure,
                    sent: true,
                })
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the second half of attempt, which has the same"
    )]
    async fn fresh(
        &mut self,
        key: &PoolKey,
        limit: Duration,
        forward: &Forward,
        policy: &Policy,
        headers: &Headers,
        body: &Outgoing,
        more: bool,
    ) -> Result<After, Tried> {
        let mut upstream = connect(key, limit).await.map_err(|error| Tried {
            failure: Lost::Failure(error.into()),
            sent: false,
        })?;
        let http10 = policy.proxy.http10;
        let head = request_head(&self.head.method, &forward.target, headers, body, http10);
        match self.exchange(&mut upstream, head, policy, body, more).await {
            Ok(Done::Keep) => {
                self.worker.pool.keep(key.clone(), upstream);
                Ok(After::Answered)
            }
            Ok(Done::After(after)) => Ok(after),
            Err(failure) => Err(Tried {
                failure,
                sent: true,
            }),
        }
    }

    async fn exchange(
        &mut self,
        upstream: &mut Upstream,
        head: Vec<u8>,
        policy: &Policy,
        body: &Outgoing,
        more: bool,
    ) -> Result<Done, Lost> {
        let timeouts = Timeouts {
            send: Duration::from_secs(policy.proxy.send_timeout.max(1)),
            read: Duration::from_secs(policy.proxy.read_timeout.max(1)),
        };
        let room = usize::try_from(policy.proxy.buffer_size).unwrap_or(HEAD_ROOM);
        let room = room.max(HEAD_ROOM);
        let Upstream { reader, writer, .. } = upstream;
        let mut sending = Box::pin(send(
            &mut *writer,
            head,
            body,
            &mut *self.incoming,
            timeouts.send,
        ));
        let mut sent = false;
        let mut send_failed = None;
        // The response may come before the request is through; interim ones come first.
        let response = loop {
            let read = receive(reader, room);
            let limited = async {
                if sent {
                    match tokio::time::timeout(timeouts.read, read).await {
                        Ok(done) => done,
                        Err(_) => Err(Failure::Timeout),
                    }
                } else {
                    read.await
                }
            };
            tokio::select! {
                biased;
                done = &mut sending, if !sent => {
                    sent = true;
                    match done {
                        Ok(()) => {}
                        Err(Failure::Client(error)) => {
                            return Err(Lost::Failure(Failure::Client(error)));
                        }
                        // The backend may have answered before it stopped reading.
                        Err(error) => send_failed = Some(error),
                    }
                }
                response = limited => match response {
                    Ok(response) if response.status == 100 || response.status == 102 => {}
                    Ok(response) if response.status < 200 && response.status != 101 => {
                        let _ = self.sink.interim(response.status, &response.headers).await;
                    }
                    Ok(response) => break response,
                    Err(error) => return Err(Lost::Failure(send_failed.unwrap_or(error))),
                },
            }
        };
        self.record.upstream_status = response.status;
        if more && policy.proxy.next.statuses.contains(&response.status) {
            return Err(Lost::Status);
        }
        let mut decoder = response_body(&response, self.sink.head_only()).map_err(Lost::Failure)?;
        if response.status == 101 {
            if !self.upgradable || !sent {
                return Err(Lost::Failure(Failure::Malformed));
            }
            start(
                self.decision,
                self.head,
                self.sink,
                self.record,
                &response,
                Length::None,
            )
            .map_err(|error| Lost::Failure(error.into()))?;
            drop(sending);
            let _ = self.sink.flush().await;
            if let (Sink::H1(sink), RequestBody::H1 { reader: client, .. }) =
                (&mut *self.sink, &mut self.incoming.body)
            {
                splice((client, &mut *sink.writer), (reader, writer), timeouts.read).await;
            }
            return Ok(Done::After(After::Spliced));
        }
        let length = if matches!(response.status, 204 | 304) {
            Length::None
        } else {
            match content_length(&response.headers).map_err(Lost::Failure)? {
                Some(length) => Length::Known(length),
                None if decoder.is_done() => Length::None,
                None => Length::Unknown,
            }
        };
        if start(
            self.decision,
            self.head,
            self.sink,
            self.record,
            &response,
            length,
        )
        .is_err()
        {
            return Ok(Done::After(After::Broken));
        }
        // The body, while the rest of the request may still be on its way.
        loop {
            if reader.buffer.is_empty() && !decoder.is_done() && self.sink.flush().await.is_err() {
                return Ok(Done::After(After::Broken));
            }
            tokio::select! {
                biased;
                done = &mut sending, if !sent => {
                    sent = true;
                    if let Err(error) = done {
                        send_failed = Some(error);
                    }
                }
                piece = decoder.next(reader, timeouts.read) => match piece {
                    Ok(Some(piece)) => {
                        self.record.upstream_length += piece.len() as u64;
                        if self.sink.data(piece).await.is_err() {
                            return Ok(Done::After(After::Broken));
                        }
                    }
                    Ok(None) => break,
                    Err(_) => {
                        let _ = self.sink.flush().await;
                        self.sink.abort();
                        return Ok(Done::After(After::Broken));
                    }
                },
            }
        }
        if self.sink.end(None).await.is_err() {
            return Ok(Done::After(After::Broken));
        }
        if sent
            && send_failed.is_none()
            && !policy.proxy.http10
            && keeps(&response, reader, &decoder)
        {
            return Ok(Done::Keep);
        }
        Ok(Done::After(After::Answered))
    }
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
    Status,
}

struct Tried {
    failure: Lost,
    /// Whether bytes of the request reached the backend
    sent: bool,
}
