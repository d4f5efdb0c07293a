//! Headers of the request that goes to a backend (nginx.tmpl, `proxy_set_header`).

use crate::headers::Headers;
use crate::request::RequestHead;
use crate::select::{Decision, Forward};
use crate::template::{Scope, Template};

/// Client headers that never pass, because they are about the connection or set anew.
const DROPPED: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "keep-alive",
    "expect",
    "upgrade",
    "proxy",
    "http2-settings",
    "x-request-id",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-scheme",
    "x-original-forwarded-for",
    "x-original-forwarded-host",
];

/// The backend request's headers, but for the framing of the body.
pub fn headers(decision: &Decision, forward: &Forward, head: &RequestHead) -> Headers {
    let (global, context) = (&decision.global, &decision.context);
    let location = decision.location.as_deref();
    let policy = location.map(|location| &location.policy);
    let scope = Scope {
        head,
        context,
        location,
        captures: forward.captures.as_ref(),
    };
    let client = context.client.to_string();
    let get = |name: &str| head.headers.joined(name).unwrap_or_default();
    let mut set: Vec<(String, Vec<u8>)> = Vec::new();
    let mut put = |name: &str, value: Vec<u8>| set.push((name.to_owned(), value));

    let vhost = policy.and_then(|policy| policy.proxy.vhost.as_ref());
    put(
        "Host",
        vhost.map_or_else(|| context.best_host.clone(), |vhost| vhost.fill(&scope)),
    );
    let upgrade = get("upgrade");
    let connection = policy.and_then(|policy| policy.proxy.connection.as_ref());
    put(
        "Connection",
        match connection {
            Some(text) => text.clone().into_bytes(),
            None if upgrade.is_empty() => Vec::new(),
            None => b"upgrade".to_vec(),
        },
    );
    put("Upgrade", upgrade);
    put("X-Request-ID", context.request_id.clone());
    put("X-Real-IP", client.clone().into_bytes());
    put("X-Forwarded-For", forwarded_for(decision, head, &client));
    put("X-Forwarded-Host", context.best_host.clone());
    put("X-Forwarded-Port", context.port.clone());
    put("X-Forwarded-Proto", context.scheme.clone());
    put("X-Forwarded-Scheme", context.scheme.clone());
    if global.add_original_uri {
        put("X-Original-URI", head.target.clone());
    }
    put("X-Scheme", context.scheme.clone());
    put(
        "X-Original-Forwarded-For",
        get(&global.forwarded_for_header),
    );
    put("X-Original-Forwarded-Host", get("x-forwarded-host"));
    for (name, value) in &global.set_headers {
        let value = Template::parse(value).map_or_else(
            |_| value.clone().into_bytes(),
            |template| template.fill(&scope),
        );
        put(name, value);
    }
    if forward.rewritten
        && let Some(prefix) = policy.and_then(|policy| policy.rewrite.forwarded_prefix.as_ref())
    {
        put("X-Forwarded-Prefix", prefix.fill(&scope));
    }
    merge(set, head)
}

/// Headers of a request for an error page (`custom-http-errors`): the client's, and what there is
/// to tell about the request that failed.
pub fn error_headers(decision: &Decision, head: &RequestHead, status: u16) -> Headers {
    let mut set = about_failure(decision, head, status);
    set.push(("X-Original-URI".to_owned(), head.target.clone()));
    let client = decision.context.client.to_string();
    set.push(("X-Forwarded-For".to_owned(), client.into_bytes()));
    set.push(("Host".to_owned(), decision.context.best_host.clone()));
    merge(set, head)
}

/// Headers of a request that goes to the default backend because the Service has no endpoints.
pub fn fallback_headers(decision: &Decision, forward: &Forward, head: &RequestHead) -> Headers {
    let mut out = headers(decision, forward, head);
    for (name, value) in about_failure(decision, head, 503) {
        if !value.is_empty() {
            out.set(name, value);
        }
    }
    out
}

fn about_failure(decision: &Decision, head: &RequestHead, status: u16) -> Vec<(String, Vec<u8>)> {
    let location = decision.location.as_deref();
    let variable = |name: &str| {
        let mut value = Vec::new();
        if let Some(location) = location {
            location.variable(name, &mut value);
        }
        value
    };
    let accept = head.headers.joined("accept").unwrap_or_default();
    [
        ("X-Code", status.to_string().into_bytes()),
        ("X-Format", accept),
        ("X-Namespace", variable("namespace")),
        ("X-Ingress-Name", variable("ingress_name")),
        ("X-Service-Name", variable("service_name")),
        ("X-Service-Port", variable("service_port")),
        ("X-Request-ID", decision.context.request_id.clone()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn forwarded_for(decision: &Decision, head: &RequestHead, client: &str) -> Vec<u8> {
    let global = &decision.global;
    if !(global.use_forwarded_headers && global.full_forwarded_for) {
        return client.as_bytes().to_vec();
    }
    let peer = head.peer.ip().to_string();
    match head.headers.joined("x-forwarded-for") {
        Some(mut list) if !list.is_empty() => {
            list.extend_from_slice(b", ");
            list.extend_from_slice(peer.as_bytes());
            list
        }
        _ => peer.into_bytes(),
    }
}

/// What is set comes first and hides the client's fields of the same name; an empty value removes.
fn merge(set: Vec<(String, Vec<u8>)>, head: &RequestHead) -> Headers {
    let mut out = Headers::new();
    for (index, (name, value)) in set.iter().enumerate() {
        let later = set.get(index + 1..).unwrap_or_default();
        let overridden = later.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !overridden && !value.is_empty() {
            out.push(name, value);
        }
    }
    for (name, value) in head.headers.iter() {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let hidden = DROPPED.iter().any(|dropped| is(dropped)) || set.iter().any(|(n, _)| is(n));
        if !hidden {
            out.push(name, value);
        }
    }
    out
}
