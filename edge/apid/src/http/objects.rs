//! Get, list and the writes.

use super::{Answer, Body, Call, Failure, Front, body};
use api::{
    Accept, BodyForm, Include, ListOptions, Payload, Renderer, Reply, Request, ResourcePath,
    Selection, Transform, Verb, answer,
};
use bytes::Bytes;
use http::header;
use model::ApiError;
use schema::{Kind, Registry};

pub(super) fn renderer<'a>(
    call: &'a Call,
    kind: &'a Kind,
    accept: &'a Accept,
) -> Result<Renderer<'a>, ApiError> {
    let include = match accept.transform {
        Transform::Table(_) => Include::parse(&call.query)?,
        _ => Include::default(),
    };
    Ok(Renderer {
        registry: &call.registry,
        kind,
        accept,
        include,
        pretty: api::is_pretty(&call.query, call.agent()),
        now: crate::clock::now(),
    })
}

/// GET of one object or of its `status` or `scale`.
pub(super) fn get(front: &Front, call: &Call, path: &ResourcePath) -> Result<Answer, Failure> {
    let accept = call.accept()?;
    let found = {
        let committed = front.hub.committed();
        committed.get(
            path.kind.resource,
            &path.namespace,
            &path.name,
            call.query.text("resourceVersion"),
        )
    };
    let object = found.map_err(|error| named_as_asked(error, path))?;
    let renderer = renderer(call, &path.kind, &accept)?;
    let bytes = match path.subresource.as_str() {
        "scale" => {
            let object = renderer.shown(&object);
            renderer.value(api::scale_of(&path.kind, &object)?)
        }
        _ => renderer.object(&object),
    };
    Ok(Answer::new(200, accept.encoding.media_type(), bytes))
}

/// Errors name the resource by the group of the path, not of the storage.
fn named_as_asked(error: ApiError, path: &ResourcePath) -> ApiError {
    if error.code == 404 {
        let resource = model::Resource::new(&path.kind.group, &path.kind.plural);
        return ApiError::not_found(resource, &path.name);
    }
    error
}

/// GET of a collection.
pub(super) fn list(front: &Front, call: &Call, path: &ResourcePath) -> Result<Answer, Failure> {
    let accept = call.accept()?;
    let options = ListOptions::parse(&call.query, false)?;
    let selection = Selection::new(path, &options)?;
    let page = front.hub.committed().list(&selection, &options)?;
    let renderer = renderer(call, &path.kind, &accept)?;
    Ok(Answer::new(
        200,
        accept.encoding.media_type(),
        renderer.list(&page),
    ))
}

/// POST, PUT, PATCH and DELETE.
pub(super) async fn write(
    front: &Front,
    mut call: Call,
    path: &ResourcePath,
    verb: Verb,
) -> Result<Answer, Failure> {
    let accept = call.accept()?;
    let content_type = call.header("content-type").map(str::to_owned);
    let patch = match verb {
        Verb::Patch => Some(api::patch_form(&path.kind, content_type.as_deref())?),
        _ => None,
    };
    let bytes = body::read(&mut call.body).await?;
    let payload = match patch {
        Some(api::PatchForm::Apply) => read_configuration(&bytes)?,
        Some(_) => Payload::Json(bytes.to_vec()),
        None => read_payload(&call.registry, path, verb, content_type.as_deref(), &bytes)?,
    };
    let request = Request {
        verb,
        kind: path.kind.clone(),
        namespace: path.namespace.clone(),
        name: path.name.clone(),
        subresource: path.subresource.clone(),
        query: call.query.clone(),
        payload,
        patch,
        user: call.user.clone(),
        agent: api::agent_name(call.agent()),
        create_refusal: super::create_refusal(front, &call, verb),
    };
    let renderer = renderer(&call, &path.kind, &accept)?;
    if verb == Verb::DeleteCollection {
        let options = ListOptions::parse(&call.query, false)?;
        let committed = front.hub.committed();
        committed.check_list(path.kind.resource, &options)?;
    }
    let outcome = front.hub.write(&request).await?;
    let bytes = match outcome.reply {
        Reply::Stored(object) => renderer.object(&object),
        Reply::Value(value) => renderer.value(value),
        Reply::Items(page) => renderer.list(&page),
    };
    let mut answer = Answer::new(outcome.code, accept.encoding.media_type(), bytes);
    answer.warnings(&outcome.warnings);
    Ok(answer)
}

/// The body of a server-side apply.
fn read_configuration(bytes: &Bytes) -> Result<Payload, ApiError> {
    match crate::yaml::document(bytes) {
        Ok((value, repeated)) => Ok(Payload::Document { value, repeated }),
        Err(why) => Err(answer::bad_request(format!(
            "error decoding YAML: error converting YAML to JSON: {why}"
        ))),
    }
}

pub(super) fn read_payload(
    registry: &Registry,
    path: &ResourcePath,
    verb: Verb,
    content_type: Option<&str>,
    bytes: &Bytes,
) -> Result<Payload, ApiError> {
    let deleting = matches!(verb, Verb::Delete | Verb::DeleteCollection);
    if bytes.is_empty() && deleting {
        return Ok(Payload::Empty);
    }
    let form = api::body_form(content_type)?;
    if form == BodyForm::Json {
        return Ok(Payload::Json(bytes.to_vec()));
    }
    let expected = body_kind(registry, path, deleting);
    let value = match form {
        BodyForm::Yaml => crate::yaml::read(bytes),
        _ => registry
            .protobuf_to_json(expected, bytes)
            .map_err(|e| e.message),
    };
    let value = value.map_err(|why| {
        answer::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why} ({})",
            expected.kind,
            answer::summarise(bytes)
        ))
    })?;
    Ok(Payload::Json(value.to_string().into_bytes()))
}

/// The kind that a path takes.
fn body_kind<'a>(registry: &'a Registry, path: &'a ResourcePath, deleting: bool) -> &'a Kind {
    let found = if deleting {
        registry.by_kind("v1", "DeleteOptions")
    } else {
        let sub = path.kind.subresource(&path.subresource);
        sub.and_then(|sub| registry.by_kind(&sub.kind.api_version(), &sub.kind.kind))
    };
    found.map_or(&path.kind, |kind| kind)
}

/// An answer whose body comes in pieces.
pub(super) fn pieces(
    content_type: &'static str,
    pieces: tokio::sync::mpsc::Receiver<Bytes>,
) -> Answer {
    let mut answer = Answer::new(200, content_type, Bytes::new());
    answer.body = Body::Pieces(pieces);
    answer.header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    answer
}
