//! The `proxy` subresources: requests that are passed on to a Pod, a Service or a Node.

mod exchange;
mod html;
mod links;
mod place;

use super::upgrade::{self, Wanted};
use super::{permit, raw};
use crate::http::{Answer, Body, Call, Failure, Front};
use api::ResourcePath;
use http::{HeaderValue, Method, Response, StatusCode, header};
use links::Links;
use place::Place;
use std::sync::Arc;

/// Answers a request for `proxy` or below.
pub(super) async fn serve(
    front: &Arc<Front>,
    call: Call,
    path: &ResourcePath,
) -> Result<Answer, Failure> {
    let (prefix, tail) = split(call.parts.uri.path(), path.kind.namespaced);
    if *path.kind.plural == *"nodes" {
        return node(front, path, &tail);
    }
    let place = Place::find(front, path)?;
    let links = Links {
        prefix,
        backend: place.authority(),
        host: host(&call).to_owned(),
    };
    let permit = permit(front)?;
    let uri = target(&tail, call.parts.uri.query());
    if upgrade::wanted(&call.parts.headers) != Wanted::None {
        return exchange::upgrade(front, call, place, &uri, permit).await;
    }
    let reads = matches!(call.parts.method, Method::GET | Method::HEAD);
    if tail.is_empty() && reads {
        return Err(raw(redirect(&call)));
    }
    exchange::pass_on(call, place, &uri, links, permit).await
}

/// The path up to `proxy`, and the rest of it as its backend sees it.
fn split(path: &str, namespaced: bool) -> (String, String) {
    // /api/v1/namespaces/NAMESPACE/RESOURCE/NAME/proxy or /api/v1/RESOURCE/NAME/proxy
    let segments = if namespaced { 7 } else { 5 };
    let mut slashes = path.match_indices('/').map(|(at, _)| at);
    let end = slashes.nth(segments).unwrap_or(path.len());
    let (prefix, tail) = path.split_at(end);
    (prefix.to_owned(), links::clean(tail))
}

/// Path and query for the backend.
fn target(tail: &str, query: Option<&str>) -> String {
    let path = if tail.is_empty() { "/" } else { tail };
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// The name by which the client calls this server.
fn host(call: &Call) -> &str {
    let named = call.header("host");
    let authority = call.parts.uri.authority().map(|a| a.as_str());
    named.or(authority).unwrap_or_default()
}

/// To the same path with a slash at its end, so that relative links work.
fn redirect(call: &Call) -> Response<Body> {
    let query = call.parts.uri.query();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}/{query}", call.parts.uri.path());
    let mut response = Response::new(Body::Whole(None));
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// A Node answers by its kubelet: here that is the server itself, which knows whether it is well.
fn node(front: &Front, path: &ResourcePath, tail: &str) -> Result<Answer, Failure> {
    let host = place::node(front, path)?;
    if host.is_none() {
        return Ok(match tail {
            "/healthz" => Answer::text(200, "ok"),
            _ => Answer::text(404, "404 page not found\n"),
        });
    }
    Err(api::answer::bad_request("address not allowed").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_the_subresource() {
        let at = |path: &str| split(path, true);
        let prefix = "/api/v1/namespaces/n/services/https:s:web/proxy";
        assert_eq!(at(prefix), (prefix.to_owned(), String::new()));
        let cases = [
            ("/", "/"),
            ("/a%20b", "/a%20b"),
            ("//a/./b/../c/", "/a/c/"),
            ("/proxy/proxy", "/proxy/proxy"),
        ];
        for (tail, cleaned) in cases {
            let got = at(&format!("{prefix}{tail}"));
            assert_eq!(got, (prefix.to_owned(), cleaned.to_owned()));
        }
        assert_eq!(target("", Some("a=b")), "/?a=b");
    }
}
