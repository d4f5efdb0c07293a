//! Headers of the response that goes to the client.

use crate::headers::Headers;
use crate::policy::{Cors, Proxy};
use crate::request::RequestHead;
use crate::select::{Decision, absolute};

/// Fields of a backend's response that are about the connection, or that nginx keeps to itself.
const HIDDEN: &[&str] = &[
    "connection",
    "keep-alive",
    "transfer-encoding",
    "date",
    "server",
    "x-pad",
    "x-accel-expires",
    "x-accel-redirect",
    "x-accel-limit-rate",
    "x-accel-buffering",
    "x-accel-charset",
];

/// Takes out of a backend's response what does not pass, and rewrites redirects and cookies.
pub fn from_backend(decision: &Decision, head: &RequestHead, headers: &mut Headers) {
    let global = &decision.global;
    headers.retain(|name, _| {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("server") && global.allow_server_header {
            return true;
        }
        !HIDDEN.iter().any(|hidden| is(hidden))
            && !global.hide_headers.iter().any(|hidden| is(hidden))
    });
    let Some(location) = &decision.location else {
        return;
    };
    let proxy = &location.policy.proxy;
    if let Some((from, to)) = &proxy.redirect {
        let relative = location.policy.redirect.relative;
        rewrite_location(from, to, relative, decision, head, headers);
    }
    if proxy.cookie_domain.is_some() || proxy.cookie_path.is_some() {
        rewrite_cookies(proxy, headers);
    }
}

fn rewrite_location(
    from: &str,
    to: &str,
    relative: bool,
    decision: &Decision,
    head: &RequestHead,
    headers: &mut Headers,
) {
    for field in ["Location", "Refresh"] {
        let Some(value) = headers.get(field) else {
            continue;
        };
        let prefix: &[u8] = if field == "Refresh" {
            let at = value
                .windows(4)
                .position(|w| w.eq_ignore_ascii_case(b"url="));
            value.get(..at.map_or(0, |at| at + 4)).unwrap_or_default()
        } else {
            b""
        };
        let url = value.get(prefix.len()..).unwrap_or_default();
        let Some(rest) = url.strip_prefix(from.as_bytes()) else {
            continue;
        };
        let mut changed = to.as_bytes().to_vec();
        changed.extend_from_slice(rest);
        if field == "Location" && changed.starts_with(b"/") && !relative {
            changed = absolute(&changed, false, head, &decision.context);
        }
        let mut out = prefix.to_vec();
        out.extend_from_slice(&changed);
        headers.set(field, out);
    }
}

fn rewrite_cookies(proxy: &Proxy, headers: &mut Headers) {
    let cookies: Vec<Vec<u8>> = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"set-cookie"))
        .map(|(_, value)| rewrite_cookie(proxy, value))
        .collect();
    headers.remove("Set-Cookie");
    for cookie in cookies {
        headers.push("Set-Cookie", cookie);
    }
}

fn rewrite_cookie(proxy: &Proxy, cookie: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(cookie).into_owned();
    let parts = text.split(';').enumerate().map(|(index, part)| {
        let Some((key, value)) = part.split_once('=').filter(|_| index > 0) else {
            return part.to_owned();
        };
        let name = key.trim();
        if name.eq_ignore_ascii_case("domain")
            && let Some((from, to)) = &proxy.cookie_domain
        {
            let bare = value.trim_start_matches('.');
            if bare.eq_ignore_ascii_case(from.trim_start_matches('.')) {
                return format!("{key}={to}");
            }
        }
        if name.eq_ignore_ascii_case("path")
            && let Some((from, to)) = &proxy.cookie_path
            && let Some(rest) = value.strip_prefix(from.as_str())
        {
            return format!("{key}={to}{rest}");
        }
        part.to_owned()
    });
    parts.collect::<Vec<_>>().join(";").into_bytes()
}

/// Adds what this controller puts on every response of a location, and on all responses.
pub fn finish(decision: &Decision, head: &RequestHead, headers: &mut Headers) {
    let global = &decision.global;
    for (name, value) in &global.add_headers {
        set(headers, name, value.as_bytes());
    }
    let Some(location) = &decision.location else {
        return;
    };
    if location.policy.denied.is_none() {
        for (name, value) in &location.policy.custom_headers {
            set(headers, name, value.as_bytes());
        }
        if let (Some(cors), Some(origin)) = (&location.policy.cors, &decision.cors_origin) {
            add_cors(cors, origin, headers);
        }
    }
    if let Some(hsts) = global.hsts.as_ref().filter(|_| head.https) {
        headers.set("Strict-Transport-Security", hsts);
    }
}

fn set(headers: &mut Headers, name: &str, value: &[u8]) {
    if value.is_empty() {
        headers.remove(name);
    } else {
        headers.set(name, value);
    }
}

fn add_cors(cors: &Cors, origin: &[u8], headers: &mut Headers) {
    headers.set("Access-Control-Allow-Origin", origin);
    if cors.credentials {
        headers.set("Access-Control-Allow-Credentials", "true");
    }
    headers.set("Access-Control-Allow-Methods", &cors.methods);
    headers.set("Access-Control-Allow-Headers", &cors.headers);
    if !cors.expose.is_empty() {
        headers.set("Access-Control-Expose-Headers", &cors.expose);
    }
    headers.set("Access-Control-Max-Age", cors.max_age.to_string());
}
