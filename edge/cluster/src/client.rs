//! Requests and their answers.

use crate::config::Config;
use crate::connect::{self, Connection};
use crate::credentials::Holder;
use crate::error::Error;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest answer that is read at once: a page of a list, or an object.
const ANSWER_BYTES: usize = 64 << 20;
/// How long a request may take until its answer is whole; a watch until its answer begins.
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// Connections that are kept for the next request.
const IDLE: usize = 4;

/// A client of one API server. Clones share everything.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    credentials: Holder,
    user_agent: String,
    idle: Mutex<Vec<Connection>>,
}

/// One request.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// Path and query below the server's prefix
    pub(crate) path: &'a str,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            content_type: "",
            body: Vec::new(),
        }
    }
}

impl Client {
    /// A client that has not connected yet; `user_agent` says who asks.
    pub fn new(config: Config, user_agent: &str) -> Self {
        let credentials = Holder::new(config.credentials.clone());
        let inner = Inner {
            config,
            credentials,
            user_agent: user_agent.to_owned(),
            idle: Mutex::new(Vec::new()),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Address of the server, for messages.
    pub fn server(&self) -> String {
        self.inner.config.server()
    }

    /// GET of a path below the server, `/version` for instance.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn get(&self, path: &str) -> Result<Bytes, Error> {
        self.call(Call::get(path)).await
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Bytes, Error> {
        let answered = tokio::time::timeout(REQUEST_TIME, self.attempt(&call)).await;
        answered.unwrap_or_else(|_| Err(self.broken(format!("no answer in {REQUEST_TIME:?}"))))
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Bytes, Error> {
        while let Some(mut kept) = self.take_idle() {
            // What was kept may have been closed by the server meanwhile.
            if kept.ready().await.is_ok()
                && let Ok(answer) = self.send(&mut kept, call).await
            {
                return self.finish(kept, answer).await;
            }
        }
        let mut fresh = connect::open(&self.inner.config).await?;
        let answer = self.send(&mut fresh, call).await?;
        self.finish(fresh, answer).await
    }

    /// Sends a request on a connection of its own and gives its answer back as it comes.
    pub(crate) async fn stream(&self, path: &str) -> Result<(Connection, Incoming), Error> {
        let started = async {
            let mut connection = connect::open(&self.inner.config).await?;
            let answer = self.send(&mut connection, &Call::get(path)).await?;
            if answer.status() == StatusCode::OK {
                return Ok((connection, answer.into_body()));
            }
            Err(self.refusal(answer).await)
        };
        let started = tokio::time::timeout(REQUEST_TIME, started).await;
        started.unwrap_or_else(|_| Err(self.broken(format!("no answer in {REQUEST_TIME:?}"))))
    }

    async fn send(
        &self,
        connection: &mut Connection,
        call: &Call<'_>,
    ) -> Result<Response<Incoming>, Error> {
        let config = &self.inner.config;
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}", config.prefix, call.path))
            .header(header::HOST, config.authority())
            .header(header::USER_AGENT, &self.inner.user_agent)
            .header(header::ACCEPT, "application/json");
        if !call.content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, call.content_type);
        }
        if let Some(value) = self.inner.credentials.header().await? {
            request = request.header(header::AUTHORIZATION, value);
        }
        let body = Full::new(Bytes::copy_from_slice(&call.body));
        let request = request
            .body(body)
            .map_err(|error| Error::Answer(format!("{}: {error}", call.path)))?;
        let sent = connection.send_request(request).await;
        sent.map_err(|error| self.broken(error.to_string()))
    }

    async fn finish(
        &self,
        connection: Connection,
        answer: Response<Incoming>,
    ) -> Result<Bytes, Error> {
        if !answer.status().is_success() {
            return Err(self.refusal(answer).await);
        }
        let body = self.read(answer.into_body()).await?;
        let mut idle = self.idle();
        if idle.len() < IDLE && !connection.is_closed() {
            idle.push(connection);
        }
        Ok(body)
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Error> {
        let read = Limited::new(body, ANSWER_BYTES).collect().await;
        let read = read.map_err(|error| self.broken(error.to_string()))?;
        Ok(read.to_bytes())
    }

    async fn refusal(&self, answer: Response<Incoming>) -> Error {
        let code = answer.status();
        if code == StatusCode::UNAUTHORIZED {
            self.inner.credentials.forget().await;
        }
        let after = answer.headers().get(header::RETRY_AFTER);
        let retry_after = after.and_then(|value| value.to_str().ok()?.parse().ok());
        let body = self.read(answer.into_body()).await.unwrap_or_default();
        status_error(code.as_u16(), retry_after, &body)
    }

    fn broken(&self, message: String) -> Error {
        Error::Transport {
            server: self.server(),
            message,
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle().pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.inner
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
    reason: String,
    message: String,
}

/// What a `Status` says, or whatever else came.
pub(crate) fn status_error(code: u16, retry_after: Option<u64>, body: &[u8]) -> Error {
    let status: Status = serde_json::from_slice(body).unwrap_or_else(|_| Status {
        message: String::from_utf8_lossy(body).chars().take(200).collect(),
        ..Status::default()
    });
    Error::Status {
        code: if status.code == 0 { code } else { status.code },
        reason: status.reason,
        message: status.message,
        retry_after,
    }
}
