//! HTTP probes.

use super::{drive, refused, tls};
use crate::network::Sockets;
use crate::spec::HttpGet;
use bytes::Bytes;
use http::header::{ACCEPT, HOST, LOCATION, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;

/// Redirects to the same host that are followed.
const REDIRECTS: usize = 10;

/// Status and `Location`.
type Head = (StatusCode, Option<String>);

/// The URL of a probe, for messages.
pub(super) fn url(action: &HttpGet, host: &str, port: u16) -> String {
    whole(action, host, port, &path(&action.path))
}

fn whole(action: &HttpGet, host: &str, port: u16, path: &str) -> String {
    let scheme = if is_https(action) { "https" } else { "http" };
    format!("{scheme}://{host}:{port}{path}")
}

fn is_https(action: &HttpGet) -> bool {
    action.scheme.eq_ignore_ascii_case("https")
}

fn path(path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    format!("/{path}")
}

/// Asks, and follows redirects to the same host; 200 to 399 is success.
pub(super) async fn get(
    action: &HttpGet,
    host: &str,
    port: u16,
    from: &Sockets,
) -> Result<(), String> {
    let mut path = path(&action.path);
    for _ in 0..=REDIRECTS {
        let (status, location) = ask(action, host, port, &path, from)
            .await
            .map_err(|why| format!("Get \"{}\": {why}", whole(action, host, port, &path)))?;
        let code = status.as_u16();
        if !(200..400).contains(&code) {
            return Err(format!("HTTP probe failed with statuscode: {code}"));
        }
        let next = location.and_then(|to| same_host(&to, action, host, port));
        match next {
            Some(next) if status.is_redirection() => path = next,
            _ => return Ok(()),
        }
    }
    Err(format!(
        "Get \"{}\": stopped after 10 redirects",
        whole(action, host, port, &path)
    ))
}

/// The path of a redirect that leads to the server asked.
fn same_host(to: &str, action: &HttpGet, host: &str, port: u16) -> Option<String> {
    if to.starts_with('/') && !to.starts_with("//") {
        return Some(to.to_owned());
    }
    let (scheme, usual) = if is_https(action) {
        ("https://", 443)
    } else {
        ("http://", 80)
    };
    let rest = to.strip_prefix(scheme)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let same = authority == format!("{host}:{port}") || (port == usual && authority == host);
    same.then(|| format!("/{path}"))
}

async fn ask(
    action: &HttpGet,
    host: &str,
    port: u16,
    path: &str,
    from: &Sockets,
) -> Result<Head, String> {
    let request = request(action, host, port, path)?;
    let stream = from.connect_host(host, port).await;
    let stream = stream.map_err(|error| refused(host, port, &error))?;
    if is_https(action) {
        let stream = tls::connect(stream, host).await?;
        return exchange(TokioIo::new(stream), request).await;
    }
    exchange(TokioIo::new(stream), request).await
}

async fn exchange<T>(io: T, request: Request<Empty<Bytes>>) -> Result<Head, String>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let handshake = hyper::client::conn::http1::handshake(io).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let answer = async move {
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| error.to_string())?;
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|to| to.to_str().ok()).map(str::to_owned);
        Ok((response.status(), location))
    };
    // The connection is driven only until the head is there; the body is of no interest.
    drive(connection, answer).await
}

fn request(
    action: &HttpGet,
    host: &str,
    port: u16,
    path: &str,
) -> Result<Request<Empty<Bytes>>, String> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = path.parse().map_err(|e| format!("path {path:?}: {e}"))?;
    let headers = request.headers_mut();
    for header in &action.http_headers {
        let name: http::HeaderName = header.name.parse().map_err(|e| format!("{e}"))?;
        let value = header
            .value
            .parse()
            .map_err(|e| format!("{}: {e}", header.name))?;
        headers.append(name, value);
    }
    let mut default = |name: http::HeaderName, value: String| {
        if let (false, Ok(value)) = (headers.contains_key(&name), value.parse()) {
            headers.insert(name, value);
        }
    };
    default(HOST, format!("{host}:{port}"));
    default(USER_AGENT, "kube-probe/1.36".to_owned());
    default(ACCEPT, "*/*".to_owned());
    Ok(request)
}
