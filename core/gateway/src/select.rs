//! Chooses what happens to a request: the phases of ingress-nginx in their order, as far as the
//! table and the request decide them. What needs state (endpoints, limits) is the edge's turn.

use crate::answer::Answer;
use crate::global::Global;
use crate::pattern::{Captures, Pattern};
use crate::policy::{Canary, Cors, Redirect};
use crate::request::{Context, RequestHead, Version, host_name};
use crate::table::{CATCH_ALL, HostTable, Location, RouteTable, ServiceRef, WwwRedirect};
use crate::template::Scope;
use crate::{client, path};
use std::sync::Arc;

/// What to do with a request.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Controller-wide settings
    pub global: Arc<Global>,
    /// The host that took it; `None` when it was refused before
    pub host: Option<Arc<HostTable>>,
    /// The location that took it
    pub location: Option<Arc<Location>>,
    /// What was worked out about the request
    pub context: Context,
    /// Value of Access-Control-Allow-Origin, when CORS headers go on the response
    pub cors_origin: Option<Vec<u8>>,
    /// What to do
    pub action: Action,
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// Answer it without a backend
    Answer(Answer),
    /// Send it to a backend
    Forward(Forward),
}

/// A request that goes to a backend, if it has endpoints and access is granted.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The Service
    pub backend: ServiceRef,
    /// Request target for the backend
    pub target: Vec<u8>,
    /// The canary Service, when the request is for it; it gets the request if it has endpoints,
    /// and if the main Service has
    pub canary: Option<ServiceRef>,
    /// Groups of the rewrite
    pub captures: Option<Captures>,
    /// Whether a rewrite-target is in effect
    pub rewritten: bool,
    /// Whether the client's address is refused with 403, once there are endpoints
    pub forbidden: bool,
}

/// Decides about a request.
pub fn select(table: &RouteTable, head: &RequestHead) -> Decision {
    match prepare(table, head) {
        Ok(context) => route(table, head, context),
        Err(refused) => Decision {
            global: table.global.clone(),
            host: None,
            location: None,
            context: refused.0,
            cors_origin: None,
            action: Action::Answer(refused.1),
        },
    }
}

/// Works out host, path and client, or refuses the request.
fn prepare(table: &RouteTable, head: &RequestHead) -> Result<Context, Box<(Context, Answer)>> {
    let mut context = client::context(table, head);
    if matches!(head.method.as_str(), "TRACE" | "CONNECT") {
        return Err(Box::new((context, Answer::status(405))));
    }
    let hosts = head.headers.count("host");
    if hosts > 1 || hosts == 0 && head.authority.is_none() && head.version == Version::Http11 {
        return Err(Box::new((context, Answer::bad_request())));
    }
    if hosts > 0 || head.authority.is_some() {
        let named = head.authority.as_deref().unwrap_or(head.host_header());
        match host_name(named) {
            Ok(host) => context.host = host,
            Err(_) => return Err(Box::new((context, Answer::bad_request()))),
        }
        if head.authority.is_none() || head.headers.get("host").is_some() {
            context.best_host = client::best_host(table, head);
        }
    }
    match path::normalise(&head.target) {
        Ok(path) => context.path = path,
        Err(_) => return Err(Box::new((context, Answer::bad_request()))),
    }
    Ok(context)
}

fn route(table: &RouteTable, head: &RequestHead, context: Context) -> Decision {
    let mut decision = Decision {
        global: table.global.clone(),
        host: None,
        location: None,
        context,
        cors_origin: None,
        action: Action::Answer(Answer::status(404)),
    };
    if blocked(&table.global, head) {
        decision.action = Action::Answer(Answer::status(403));
        return decision;
    }
    if let Some(www) = table.www.get(&decision.context.host) {
        let answer = www_redirect(table, head, www);
        decision.action = Action::Answer(answer);
        return decision;
    }
    let Some(host) = table.host(&decision.context.host) else {
        return decision;
    };
    decision.host = Some(host.clone());
    if &*host.name == CATCH_ALL && decision.context.path.starts_with(b"/healthz") {
        decision.action = Action::Answer(Answer::status(200));
        return decision;
    }
    if let Some(root) = host
        .app_root
        .as_ref()
        .filter(|_| decision.context.path == b"/")
    {
        let mut location = format!("{}://", head.scheme()).into_bytes();
        location.extend_from_slice(head.host_header());
        location.extend_from_slice(root.as_bytes());
        decision.action = Action::Answer(Answer::redirect(302, location));
        return decision;
    }
    if let Some(location) = host.find(&decision.context.path) {
        decision.location = Some(location.clone());
        decide(table, head, location.clone(), &mut decision);
    }
    decision
}

fn blocked(global: &Global, head: &RequestHead) -> bool {
    let listed = |list: &[String], header: &str| {
        if list.is_empty() {
            return false;
        }
        let value = head.headers.get(header).unwrap_or_default();
        list.iter().any(|item| match item.strip_prefix('~') {
            Some(pattern) => {
                let (text, fold) = pattern
                    .strip_prefix('*')
                    .map_or((pattern, false), |rest| (rest, true));
                let compiled = if fold {
                    Pattern::ignoring_case(text)
                } else {
                    Pattern::compile(text)
                };
                compiled.is_ok_and(|pattern| pattern.is_match(value))
            }
            None => value.eq_ignore_ascii_case(item.trim_matches('"').as_bytes()),
        })
    };
    listed(&global.block_user_agents, "user-agent") || listed(&global.block_referers, "referer")
}

fn www_redirect(table: &RouteTable, head: &RequestHead, www: &WwwRedirect) -> Answer {
    let target = head.target.strip_suffix(b"/").unwrap_or(&head.target);
    let mut location = Vec::new();
    let forwarded = |name: &str| {
        let trusted = table.global.use_forwarded_headers;
        trusted.then(|| head.headers.joined(name)).flatten()
    };
    let scheme = forwarded("x-forwarded-proto");
    location.extend(scheme.unwrap_or_else(|| head.scheme().as_bytes().to_vec()));
    location.extend_from_slice(b"://");
    location.extend_from_slice(www.to.as_bytes());
    location.push(b':');
    let port = forwarded("x-forwarded-port");
    location.extend(port.unwrap_or_else(|| head.server_port.to_string().into_bytes()));
    location.extend_from_slice(target);
    Answer::redirect(table.global.redirect_code, location)
}

/// The phases inside a location.
fn decide(
    table: &RouteTable,
    head: &RequestHead,
    location: Arc<Location>,
    decision: &mut Decision,
) {
    let policy = &location.policy;
    if too_large(head, policy.proxy.body_size) {
        let answer = Answer::status(413);
        decision.action = Action::Answer(Answer {
            close: true,
            ..answer
        });
        return;
    }
    if policy.denied.is_some() {
        decision.action = Action::Answer(Answer::status(503));
        return;
    }
    if let Some(cors) = &policy.cors {
        decision.cors_origin = cors_origin(cors, head);
        if decision.cors_origin.is_some() && head.method == "OPTIONS" {
            decision.action = Action::Answer(Answer::preflight());
            return;
        }
    }
    if let Some((code, url)) = &policy.redirect.to {
        let answer = redirect(*code, url.as_bytes(), &policy.redirect, head, decision);
        decision.action = Action::Answer(answer);
        return;
    }
    let rewritten = match rewrite(head, &location, &decision.context) {
        Ok(rewritten) => rewritten,
        Err(answer) => {
            decision.action = Action::Answer(answer);
            return;
        }
    };
    if to_https(table, &location, &decision.context) {
        let answer = https_redirect(table, head, &location, &decision.context);
        decision.action = Action::Answer(answer);
        return;
    }
    let Some(backend) = location.backend.clone() else {
        let forbidden = client::forbidden(&table.global, policy, decision.context.client);
        let status = if forbidden { 403 } else { 404 };
        decision.action = Action::Answer(Answer::status(status));
        return;
    };
    let (target, captures, is_rewritten) = rewritten;
    decision.action = Action::Forward(Forward {
        canary: location
            .canary
            .as_ref()
            .filter(|canary| is_canary(&canary.rules, head))
            .map(|canary| canary.backend.clone()),
        backend,
        target,
        captures,
        rewritten: is_rewritten,
        forbidden: client::forbidden(&table.global, policy, decision.context.client),
    });
}

/// Header, then cookie, then chance: the first that says something decides.
fn is_canary(rules: &Canary, head: &RequestHead) -> bool {
    let header = rules.header.as_ref();
    if let Some(value) = header.and_then(|header| head.headers.joined(header)) {
        match (&rules.value, &rules.pattern) {
            (Some(wanted), _) if value == wanted.as_bytes() => return true,
            (Some(_), _) => {}
            (None, Some(Ok(pattern))) if pattern.is_match(&value) => return true,
            (None, Some(Ok(_))) => {}
            (None, Some(Err(_))) => return false,
            (None, None) if value == b"always" => return true,
            (None, None) if value == b"never" => return false,
            (None, None) => {}
        }
    }
    match rules
        .cookie
        .as_ref()
        .and_then(|name| head.headers.cookie(name))
    {
        Some(b"always") => return true,
        Some(b"never") => return false,
        _ => {}
    }
    // The request's id is random, and the only randomness that a pure decision can have.
    let random = head
        .id
        .get(..8)
        .and_then(|digits| i64::from_str_radix(digits, 16).ok());
    random.unwrap_or(0) % rules.total < rules.weight
}

/// nginx looks at Content-Length as soon as the location is known, before any redirect.
fn too_large(head: &RequestHead, limit: u64) -> bool {
    let length = head.headers.get("content-length");
    let length = length.and_then(|text| String::from_utf8_lossy(text).parse::<u64>().ok());
    limit != 0 && length.is_some_and(|length| length > limit)
}

fn cors_origin(cors: &Cors, head: &RequestHead) -> Option<Vec<u8>> {
    if matches!(cors.origins.as_slice(), [any] if any == "*") {
        return Some(b"*".to_vec());
    }
    let origin = head.headers.joined("origin")?;
    let matches = cors
        .origins
        .iter()
        .any(|allowed| origin_matches(allowed, &origin));
    matches.then_some(origin)
}

/// nginx's expression is anchored at the end only; we hold the whole origin, which is stricter for
/// values that no browser sends.
fn origin_matches(allowed: &str, origin: &[u8]) -> bool {
    let Some((before, after)) = allowed.split_once('*') else {
        return origin.eq_ignore_ascii_case(allowed.as_bytes());
    };
    let (start, end) = (before.as_bytes(), after.as_bytes());
    if origin.len() <= start.len() + end.len() {
        return false;
    }
    let head = origin.get(..start.len()).unwrap_or_default();
    let tail = origin.get(origin.len() - end.len()..).unwrap_or_default();
    let label = origin
        .get(start.len()..origin.len() - end.len())
        .unwrap_or_default();
    head.eq_ignore_ascii_case(start)
        && tail.eq_ignore_ascii_case(end)
        && label
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

fn redirect(
    code: u16,
    url: &[u8],
    settings: &Redirect,
    head: &RequestHead,
    decision: &Decision,
) -> Answer {
    if !matches!(code, 301 | 302 | 303 | 307 | 308) {
        return Answer::status(code);
    }
    let mut location = url.to_vec();
    if url.starts_with(b"/") && !settings.relative {
        location = absolute(url, settings.with_port, head, &decision.context);
    }
    Answer::redirect(code, location)
}

/// nginx makes its own relative redirects absolute, with the host's name and no port.
pub(crate) fn absolute(
    url: &[u8],
    with_port: bool,
    head: &RequestHead,
    context: &Context,
) -> Vec<u8> {
    let mut out = format!("{}://{}", head.scheme(), context.host).into_bytes();
    let standard = if head.https { 443 } else { 80 };
    if with_port && head.server_port != standard {
        out.extend_from_slice(format!(":{}", head.server_port).as_bytes());
    }
    out.extend_from_slice(url);
    out
}

type Rewritten = (Vec<u8>, Option<Captures>, bool);

fn rewrite(
    head: &RequestHead,
    location: &Location,
    context: &Context,
) -> Result<Rewritten, Answer> {
    let Some(rule) = &location.rewrite else {
        return Ok((head.target.clone(), None, false));
    };
    let Some(captures) = rule.pattern.captures(&context.path) else {
        return Ok((head.target.clone(), None, true));
    };
    let scope = Scope {
        head,
        context,
        location: Some(location),
        captures: Some(&captures),
    };
    let path = rule.target.fill(&scope);
    if path.is_empty() {
        return Err(Answer::status(500));
    }
    let (_, query) = path::split_query(&head.target);
    let query = query.filter(|query| !query.is_empty());
    if path.starts_with(b"http://") || path.starts_with(b"https://") {
        let mut target = path;
        if let Some(query) = query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        return Err(Answer::redirect(302, target));
    }
    let mut target = Vec::with_capacity(path.len());
    path::escape(&path, &mut target);
    if let Some(query) = query {
        target.push(b'?');
        target.extend_from_slice(query);
    }
    Ok((target, Some(captures), true))
}

fn to_https(table: &RouteTable, location: &Location, context: &Context) -> bool {
    if location.no_tls_redirect || context.scheme != b"http" {
        return false;
    }
    let rewrite = &location.policy.rewrite;
    rewrite.force_ssl_redirect || rewrite.ssl_redirect && table.tls(&context.host).is_some()
}

fn https_redirect(
    table: &RouteTable,
    head: &RequestHead,
    location: &Location,
    context: &Context,
) -> Answer {
    let mut target = head.target.as_slice();
    if !location.policy.rewrite.preserve_trailing_slash {
        target = target.strip_suffix(b"/").unwrap_or(target);
    }
    let host = context.best_host.as_slice();
    let name = host.split(|&b| b == b':').next().unwrap_or_default();
    let mut out = b"https://".to_vec();
    out.extend_from_slice(name);
    let settings = &table.settings;
    if location.policy.redirect.with_port {
        out.extend_from_slice(format!(":{}", settings.https_port).as_bytes());
    } else if settings.https_redirect_port != 443 {
        out.extend_from_slice(format!(":{}", settings.https_redirect_port).as_bytes());
    }
    out.extend_from_slice(target);
    Answer::redirect(table.global.redirect_code, out)
}
