//! POST of kinds that are asked and never stored.

use super::{Answer, Call, Failure, Front, body, objects};
use crate::auth::Tokens;
use api::{Env, Request, ResourcePath, Reviewer, Verb};
use model::ApiError;
use schema::Kind;
use serde_json::Value;
use std::sync::Arc;

/// Whether a POST to the path is answered here.
pub(super) fn answers(path: &ResourcePath) -> bool {
    let group = path.kind.group.as_str();
    is_token(path) || matches!(group, "authentication.k8s.io" | "authorization.k8s.io")
}

fn is_token(path: &ResourcePath) -> bool {
    path.subresource == "token" && path.kind.resource == model::Resource::SERVICE_ACCOUNTS
}

/// Answers a review or a TokenRequest.
pub(super) async fn create(
    front: &Front,
    mut call: Call,
    path: &ResourcePath,
) -> Result<Answer, Failure> {
    let accept = call.accept()?.without_tables()?;
    let content_type = call.header("content-type").map(str::to_owned);
    let bytes = body::read(&mut call.body).await?;
    let registry = &call.registry;
    let payload = objects::read_payload(
        registry,
        path,
        Verb::Create,
        content_type.as_deref(),
        &bytes,
    )?;
    let request = Request {
        verb: Verb::Create,
        kind: kind_of(&call, path),
        namespace: path.namespace.clone(),
        name: path.name.clone(),
        subresource: path.subresource.clone(),
        query: call.query.clone(),
        payload,
        patch: None,
        user: call.user.clone(),
        agent: api::agent_name(call.agent()),
        create_refusal: None,
    };
    let env = Env {
        now: crate::clock::now(),
        random: &crate::clock::random,
        settings: &front.hub.settings,
    };
    let (value, warnings) = api::receive(&request, &env, registry)?;
    let answered = answer(front, &call, path, value).map_err(|e| e.warned(warnings.clone()))?;
    let renderer = objects::renderer(&call, &request.kind, &accept)?;
    let bytes = renderer.value(answered);
    let mut answer = Answer::new(201, accept.encoding.media_type(), bytes);
    answer.warnings(&warnings);
    Ok(answer)
}

/// The kind of the body: that of the path, unless it is a subresource.
fn kind_of(call: &Call, path: &ResourcePath) -> Arc<Kind> {
    let sub = path.kind.subresource(&path.subresource);
    let found = sub.and_then(|sub| {
        call.registry
            .by_kind(&sub.kind.api_version(), &sub.kind.kind)
    });
    found.unwrap_or(&path.kind).clone()
}

fn answer(
    front: &Front,
    call: &Call,
    path: &ResourcePath,
    value: Value,
) -> Result<Value, ApiError> {
    let tokens = Tokens {
        keys: &front.keys,
        hub: &front.hub,
    };
    if is_token(path) {
        return tokens.request(&path.namespace, &path.name, value);
    }
    let policy = front.access.policy(&front.hub);
    let reviewer = Reviewer {
        policy: &policy,
        user: &call.user,
        now: crate::clock::now(),
        token: &|token, audiences| tokens.check(token, audiences),
    };
    reviewer.answer(value)
}
