//! Refusals that the machinery itself makes, in apimachinery's words.

use model::{ApiError, FieldError, FieldErrorKind, Resource, go_quote};
use serde_json::{Value, json};

/// 400 with a sentence.
pub fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "BadRequest", message)
}

/// 500 without a reason: an error of the original that was never made a Status.
pub fn plain_500(message: impl Into<String>) -> ApiError {
    ApiError::new(500, "", message)
}

/// 500 `Internal error occurred: …`
pub fn internal(message: impl std::fmt::Display) -> ApiError {
    let mut error = ApiError::new(
        500,
        "InternalError",
        format!("Internal error occurred: {message}"),
    );
    error.details = Some(json!({"causes": [{"message": message.to_string()}]}));
    error
}

/// 404 for a path that nothing serves.
pub fn no_such_resource() -> ApiError {
    generic(
        404,
        "NotFound",
        "the server could not find the requested resource",
    )
}

/// 405
pub fn method_not_allowed() -> ApiError {
    generic(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    )
}

/// 405 `delete is not supported on resources of kind "widgets.example.com"`
pub fn method_not_supported(resource: Resource, verb: &str) -> ApiError {
    let mut error = ApiError::not_found(resource, "");
    error.code = 405;
    error.reason = "MethodNotAllowed";
    let kind = go_quote(resource.as_str());
    error.message = format!("{verb} is not supported on resources of kind {kind}");
    error
}

/// 415 of a patch in a form that built-in kinds do not take.
pub fn unsupported_media_type() -> ApiError {
    let message = "415: Unsupported Media Type";
    generic(415, "UnsupportedMediaType", message)
}

/// 422 of a JSON patch that cannot be applied.
pub fn unprocessable() -> ApiError {
    generic(
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
    )
}

fn generic(code: u16, reason: &'static str, message: &str) -> ApiError {
    let mut error = ApiError::new(code, reason, message);
    error.details = Some(json!({}));
    error
}

/// 409 `services "x" already exists`
pub fn already_exists(resource: Resource, name: &str) -> ApiError {
    let mut error = ApiError::not_found(resource, name);
    error.code = 409;
    error.reason = "AlreadyExists";
    error.message = format!("{resource} {} already exists", go_quote(name));
    error
}

/// 409 `Operation cannot be fulfilled on services "x": …`
pub fn conflict(resource: &str, group: &str, name: &str, message: &str) -> ApiError {
    let mut error = ApiError::new(409, "Conflict", "");
    let qualified = if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}.{group}")
    };
    error.message = format!(
        "Operation cannot be fulfilled on {qualified} {}: {message}",
        go_quote(name)
    );
    let mut details = json!({"kind": resource, "name": name});
    if !group.is_empty() {
        details["group"] = group.into();
    }
    error.details = Some(details);
    error
}

/// 409 of an update whose resourceVersion is not the latest.
pub fn stale(resource: Resource, name: &str) -> ApiError {
    conflict(
        resource.plural(),
        resource.group(),
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )
}

/// 403 `services "x" is forbidden: …`
pub fn forbidden(resource: Resource, name: &str, message: &str) -> ApiError {
    let mut error = ApiError::not_found(resource, name);
    error.code = 403;
    error.reason = "Forbidden";
    error.message = if name.is_empty() {
        format!("{resource} is forbidden: {message}")
    } else {
        format!("{resource} {} is forbidden: {message}", go_quote(name))
    };
    error
}

/// 410 of a version whose history is gone.
pub fn expired(message: impl Into<String>) -> ApiError {
    ApiError::new(410, "Expired", message)
}

/// 504 of a version that is not there yet.
pub fn too_large_version(wanted: u64, current: u64) -> ApiError {
    let mut error = ApiError::new(
        504,
        "Timeout",
        format!("Timeout: Too large resource version: {wanted}, current: {current}"),
    );
    error.details = Some(json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }));
    error
}

/// 422 about the parameters of a request: `CreateOptions.meta.k8s.io "" is invalid: …`
pub fn invalid_options(kind: &str, errors: &[FieldError]) -> ApiError {
    ApiError::invalid("meta.k8s.io", kind, "", errors)
}

/// 422 of a patch whose result is no object of the kind: ` "" is invalid: patch: Invalid value: …`
pub fn invalid_patch(printed: &str, message: &str) -> ApiError {
    let value = Value::from(printed);
    let error = FieldError::new(FieldErrorKind::Invalid, "patch", Some(&value), message);
    let mut refusal = ApiError::invalid("", "", "", &[error]);
    if let Some(details) = refusal.details.as_mut().and_then(Value::as_object_mut) {
        details.remove("kind");
    }
    refusal
}

/// `data` as error texts show it: the start of a JSON object as it is, the rest in hexadecimal.
pub fn summarise(data: &[u8]) -> String {
    const SHOWN: usize = 30;
    let (head, tail) = match data.len() > SHOWN {
        true => (&data[..SHOWN], " ..."),
        false => (data, ""),
    };
    match data.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(head).into_owned() + tail,
        Some(_) => {
            let hex: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
            hex + tail
        }
    }
}
