//! The streams of Pods: `log`, `exec`, `attach`, `portforward` and the `proxy` subresources.
//!
//! ```text
//! request ─► target (Pod, container, node) ─► upgrade ─► SPDY or WebSocket ─► session ─► PodAccess
//! ```
//!
//! **Invariants.** Every queue has a bound; whoever is slow makes its counterpart wait. A session
//! ends with its client's connection, and with the server.

mod exec;
mod forward;
mod pipe;
mod proxy;
mod spdy;
pub(super) mod target;
mod upgrade;
mod websocket;

use super::{Answer, Body, Call, Failure, Front};
use api::{ResourcePath, answer};
use http::Response;
use model::ApiError;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Sessions and proxied upgrades at once, at most.
pub(crate) const SESSIONS: usize = 512;

/// Answers a request for a stream subresource.
pub(super) async fn connect(
    front: &Arc<Front>,
    call: Call,
    path: &ResourcePath,
) -> Result<Answer, Failure> {
    if path.subresource == "log" {
        return super::logs::serve(front, &call, path).await;
    }
    if call
        .query
        .get("dryRun")
        .is_some_and(|text| !text.is_empty())
    {
        return Err(answer::bad_request("dryRun is not supported").into());
    }
    if path.subresource != "proxy" {
        may_create(front, &call)?;
    }
    match path.subresource.as_str() {
        "proxy" => proxy::serve(front, call, path).await,
        "portforward" => forward::serve(front, call, path),
        _ => exec::serve(front, call, path),
    }
}

/// Streams into a Pod need the right to create them, even when they are asked for with GET, as
/// WebSocket clients must.
fn may_create(front: &Front, call: &Call) -> Result<(), ApiError> {
    let mut asked = super::attributes(call);
    "create".clone_into(&mut asked.verb);
    let allowed = front.access.authorize(&front.hub, &call.user, &asked);
    allowed.map_err(|error| match error.code {
        403 => answer::forbidden(model::Resource::PODS, &asked.name, ""),
        _ => error,
    })
}

/// An answer that is ready as it is.
fn raw(response: Response<Body>) -> Failure {
    Failure::Raw(Box::new(response))
}

/// Room for one more session.
fn permit(front: &Front) -> Result<OwnedSemaphorePermit, ApiError> {
    front.sessions.clone().try_acquire_owned().map_err(|_| {
        ApiError::new(
            429,
            "TooManyRequests",
            "Too many requests: too many streams, please try again later",
        )
    })
}
