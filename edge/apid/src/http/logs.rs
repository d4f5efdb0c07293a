//! `log` of Pods.

use super::streams::target::{self, Node};
use super::{Answer, Call, Failure, Front, objects};
use crate::LogOptions;
use api::{Query, ResourcePath, answer};
use bytes::Bytes;
use model::{ApiError, FieldError, Timestamp};

/// Answers with a container's log.
pub(super) async fn serve(
    front: &Front,
    call: &Call,
    path: &ResourcePath,
) -> Result<Answer, Failure> {
    let mut options = log_options(&call.query, &path.name)?;
    let target = target::find(front, path, Some(call.query.text("container")))?;
    let pods = match target.node {
        Node::None => return Ok(Answer::new(204, "", Bytes::new())),
        Node::Elsewhere { host, why } => {
            let text = format!(
                "Get \"https://{host}/containerLogs/{}/{}/{}\": {why}",
                path.namespace, path.name, target.container
            );
            return Err(answer::plain_500(text).into());
        }
        Node::Here(pods) => pods,
    };
    options.container = target.container;
    let stream = pods.logs(target.pod, options).await?;
    let mut answer = objects::pieces("text/plain", stream);
    answer.headers.clear();
    Err(Failure::Stream(answer))
}

fn log_options(query: &Query, pod: &str) -> Result<LogOptions, ApiError> {
    let mut errors = Vec::new();
    let (tail, limit, since) = (
        number(query, "tailLines")?,
        number(query, "limitBytes")?,
        number(query, "sinceSeconds")?,
    );
    if let Some(tail) = tail.filter(|n| *n < 0) {
        errors.push(FieldError::invalid(
            "tailLines",
            &tail.into(),
            "must be greater than or equal to 0",
        ));
    }
    if let Some(limit) = limit.filter(|n| *n < 1) {
        errors.push(FieldError::invalid(
            "limitBytes",
            &limit.into(),
            "must be greater than 0",
        ));
    }
    if query.get("stream").is_some() {
        errors.push(FieldError::forbidden("stream", "may not be specified"));
    }
    let since_time = match query.get("sinceTime").filter(|text| !text.is_empty()) {
        Some(text) => Some(Timestamp::parse(text).ok_or_else(|| unreadable(text))?),
        None => None,
    };
    if let Some(seconds) = since {
        if since_time.is_some() {
            errors.push(FieldError::forbidden(
                "[]",
                "at most one of `sinceTime` or `sinceSeconds` may be specified",
            ));
        } else if seconds < 1 {
            errors.push(FieldError::invalid(
                "sinceSeconds",
                &seconds.into(),
                "must be greater than 0",
            ));
        }
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid("", "PodLogOptions", pod, &errors));
    }
    let now = crate::clock::now();
    let positive = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
    Ok(LogOptions {
        container: String::new(),
        follow: query.flag("follow").unwrap_or(false),
        previous: query.flag("previous").unwrap_or(false),
        since: since.map(|s| now.plus_seconds(-s)).or(since_time),
        tail_lines: positive(tail),
        limit_bytes: positive(limit),
        timestamps: query.flag("timestamps").unwrap_or(false),
    })
}

/// A number; unlike in other queries an empty text is none.
fn number(query: &Query, key: &str) -> Result<Option<i64>, ApiError> {
    if query.get(key) == Some("") {
        let text = "strconv.ParseInt: parsing \"\": invalid syntax";
        return Err(answer::bad_request(text));
    }
    query.number(key)
}

fn unreadable(time: &str) -> ApiError {
    let quoted = model::go_quote(time);
    answer::bad_request(format!(
        "parsing time {quoted} as \"2006-01-02T15:04:05Z07:00\": cannot parse {quoted} as \"2006\""
    ))
}
