//! Small HTTP servers that answer a GET with a text: health, metrics.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Connections of one server at once.
const CONNECTIONS: usize = 64;
/// How long a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is sent back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// A text that a browser does not guess about.
    pub(crate) fn new(status: StatusCode, content_type: &str, body: String) -> Self {
        let headers = vec![
            ("content-type", content_type.to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ];
        Self {
            status,
            headers,
            body,
        }
    }

    /// Plain text with status 200.
    pub(crate) fn text(body: String) -> Self {
        Self::new(StatusCode::OK, "text/plain; charset=utf-8", body)
    }

    /// There is nothing at that path.
    pub(crate) fn not_found() -> Self {
        let body = "404 page not found\n".to_owned();
        Self::new(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", body)
    }
}

/// Answers a path; may block for a moment.
pub(crate) type Handler = Arc<dyn Fn(&str) -> Answer + Send + Sync>;

/// A running server. It stops when it is dropped.
pub(crate) struct Server {
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Listens on an address.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub(crate) async fn start(address: SocketAddr, handler: Handler) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            task: tokio::spawn(accept(listener, handler)),
        })
    }
}

async fn accept(listener: TcpListener, handler: Handler) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let handler = handler.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, handler.clone()));
            let mut server = http1::Builder::new();
            server
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE);
            let served = server.serve_connection(TokioIo::new(stream), service);
            // A client that asks now and then keeps its connection; one that stays is let go.
            let _ = tokio::time::timeout(PATIENCE * 30, served).await;
            drop(permit);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    handler: Handler,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let made = tokio::task::spawn_blocking(move || handler(&path)).await;
    let made = made.unwrap_or_else(|_| {
        let body = String::new();
        Answer::new(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", body)
    });
    let mut response = Response::new(Full::new(Bytes::from(made.body)));
    *response.status_mut() = made.status;
    for (name, value) in made.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}
