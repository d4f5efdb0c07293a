//! `log`, `exec`, `attach` and `portforward` of Pods.

use super::{Answer, Call, Failure, Front, objects};
use crate::LogOptions;
use api::{Query, ResourcePath, answer};
use bytes::Bytes;
use model::{ApiError, FieldError, Object, Timestamp};
use serde_json::Value;

/// Answers a stream subresource.
pub(super) async fn connect(
    front: &Front,
    call: &Call,
    path: &ResourcePath,
) -> Result<Answer, Failure> {
    let options = match path.subresource.as_str() {
        "log" => Some(log_options(&call.query, &path.name)?),
        _ => None,
    };
    let pod = front
        .hub
        .committed()
        .get(path.kind.resource, &path.namespace, &path.name, "")?;
    let value = pod.value();
    let container = match path.subresource.as_str() {
        "portforward" | "proxy" => String::new(),
        _ => container(&pod, &value, call.query.text("container"))?,
    };
    let node = value["spec"]["nodeName"].as_str().unwrap_or_default();
    let Some(mut options) = options else {
        let text = if node.is_empty() {
            format!("pod {} does not have a host assigned", path.name)
        } else {
            format!("{} is not supported by this server yet", path.subresource)
        };
        return Err(answer::bad_request(text).into());
    };
    if node.is_empty() {
        return Ok(Answer::new(204, "", Bytes::new()));
    }
    options.container = container;
    let here = front.pods.as_ref().filter(|pods| pods.runs(&pod));
    let Some(pods) = here else {
        return Err(no_kubelet(node, path, &options.container).into());
    };
    let stream = pods.logs(pod.clone(), options).await?;
    let mut answer = objects::pieces("text/plain", stream);
    answer.headers.clear();
    Err(Failure::Stream(answer))
}

/// Pods of other nodes: nobody here can reach their kubelet.
fn no_kubelet(node: &str, path: &ResourcePath, container: &str) -> ApiError {
    let text = format!(
        "Get \"https://{node}:10250/containerLogs/{}/{}/{container}\": dial tcp: lookup {node}: no such host",
        path.namespace, path.name
    );
    answer::plain_500(text)
}

fn log_options(query: &Query, pod: &str) -> Result<LogOptions, ApiError> {
    let mut errors = Vec::new();
    let (tail, limit, since) = (
        query.number("tailLines")?,
        query.number("limitBytes")?,
        query.number("sinceSeconds")?,
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
    let since_time = query.get("sinceTime").filter(|text| !text.is_empty());
    if let Some(seconds) = since {
        if since_time.is_some() {
            errors.push(FieldError::forbidden(
                "",
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
        since: since
            .map(|s| now.plus_seconds(-s))
            .or_else(|| since_time.and_then(Timestamp::parse)),
        tail_lines: positive(tail),
        limit_bytes: positive(limit),
        timestamps: query.flag("timestamps").unwrap_or(false),
    })
}

/// The container that is meant.
fn container(pod: &Object, value: &Value, asked: &str) -> Result<String, ApiError> {
    let names = |key: &str| -> Vec<String> {
        let list = value["spec"][key].as_array().into_iter().flatten();
        list.filter_map(|c| c["name"].as_str())
            .map(str::to_owned)
            .collect()
    };
    let (main, init, ephemeral) = (
        names("containers"),
        names("initContainers"),
        names("ephemeralContainers"),
    );
    let name = &pod.meta.name;
    let mut asked = asked.to_owned();
    if asked.is_empty() {
        let preferred = pod
            .meta
            .annotations
            .get("kubectl.kubernetes.io/default-container");
        asked = match (preferred, main.as_slice()) {
            (Some(preferred), _) if main.contains(preferred) => preferred.clone(),
            (_, [only]) => only.clone(),
            (_, []) => {
                return Err(answer::bad_request(format!(
                    "a container name must be specified for pod {name}"
                )));
            }
            _ => {
                let mut text = format!(
                    "a container name must be specified for pod {name}, choose one of: [{}]",
                    main.join(" ")
                );
                if !init.is_empty() {
                    text.push_str(&format!(
                        " or one of the init containers: [{}]",
                        init.join(" ")
                    ));
                }
                if !ephemeral.is_empty() {
                    text.push_str(&format!(
                        " or one of the ephemeral containers: [{}]",
                        ephemeral.join(" ")
                    ));
                }
                return Err(answer::bad_request(text));
            }
        };
    }
    if main.contains(&asked) || init.contains(&asked) || ephemeral.contains(&asked) {
        return Ok(asked);
    }
    Err(answer::bad_request(format!(
        "container {asked} is not valid for pod {name}"
    )))
}
