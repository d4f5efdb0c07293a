//! Why a request goes where it goes: which rule won, and why each other rule of the host lost.

use crate::endpoints::endpoints;
use crate::request::RequestHead;
use crate::select::{Action, Decision, select};
use crate::table::{HostTable, Location, RouteTable, TlsChoice};
use model::{PathType, Snapshot};
use serde::Serialize;

/// One step of a request's way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// `certificate`, `host`, `path`, `rule`, `answer`, `service`, `endpoints`
    pub stage: &'static str,
    /// Whether the request gets past this step
    pub ok: bool,
    /// What happens, in one sentence
    pub text: String,
}

/// A request's way through the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The steps in order
    pub steps: Vec<Step>,
    /// Rules of the host that did not take the request, and why
    pub lost: Vec<String>,
    /// Status that the gateway answers itself; `None` when the backend answers
    pub status: Option<u16>,
    /// `namespace/name:port` of the Service that gets the request
    pub service: Option<String>,
}

/// Explains a GET of `path` on `host`.
pub fn explain(
    table: &RouteTable,
    snapshot: &Snapshot,
    host: &str,
    path: &str,
    https: bool,
) -> Explanation {
    let head = RequestHead::new("GET", host, path, https);
    let decision = select(table, &head);
    let mut steps = Vec::new();
    if https {
        steps.push(certificate(table, &decision.context.host));
    }
    let mut out = Explanation {
        steps: Vec::new(),
        lost: Vec::new(),
        status: None,
        service: None,
    };
    match &decision.host {
        Some(found) => {
            steps.push(host_step(found, &decision.context.host));
            steps.push(path_step(path, &decision));
            steps.extend(decision.location.as_deref().map(rule_step));
            out.lost = lost(found, &decision);
        }
        None => steps.push(step("host", false, "The request is refused.".to_owned())),
    }
    match &decision.action {
        Action::Answer(answer) => {
            let to = answer.headers.get("location");
            let to = to.map(|to| format!(" with Location {}", String::from_utf8_lossy(to)));
            let text = format!(
                "The gateway answers {}{}.",
                answer.status,
                to.unwrap_or_default()
            );
            steps.push(step("answer", answer.status < 400, text));
            out.status = Some(answer.status);
        }
        Action::Forward(forward) => {
            out.service = Some(forward.backend.to_string());
            let set = endpoints(snapshot, &forward.backend).endpoints;
            let target = String::from_utf8_lossy(&forward.target).into_owned();
            let exists = snapshot.services.contains_key(&forward.backend.service);
            let what = if exists { "" } else { ", which does not exist" };
            steps.push(step(
                "service",
                exists,
                format!("Service {} is asked for {target}{what}.", forward.backend),
            ));
            let list: Vec<String> = set
                .iter()
                .map(|e| format!("{}:{}", e.host, e.port))
                .collect();
            let ok = !list.is_empty();
            if !ok {
                out.status = Some(503);
            } else if forward.forbidden {
                out.status = Some(403);
            }
            let text = match list.as_slice() {
                [] => "No ready endpoint: the gateway answers 503.".to_owned(),
                list => format!("Ready endpoints: {}.", list.join(", ")),
            };
            steps.push(step("endpoints", ok, text));
        }
    }
    out.steps = steps;
    out
}

fn step(stage: &'static str, ok: bool, text: String) -> Step {
    Step { stage, ok, text }
}

fn certificate(table: &RouteTable, host: &str) -> Step {
    let text = match table.tls(host) {
        Some(TlsChoice::Secret(id)) => format!("The certificate is that of Secret {id}."),
        Some(TlsChoice::Default) => {
            "The Ingress asks for TLS, but its Secret is unusable: the default certificate is \
             shown."
                .to_owned()
        }
        None => "No Ingress has TLS for this host: the default certificate is shown.".to_owned(),
    };
    step("certificate", true, text)
}

fn host_step(host: &HostTable, name: &str) -> Step {
    let mode = if host.is_regex() {
        "; its paths are regular expressions, ignoring case"
    } else {
        ""
    };
    let text = if &*host.name == crate::CATCH_ALL {
        format!("No Ingress has a rule for host {name:?}: the catch-all takes it{mode}.")
    } else {
        format!("The rules of host {:?} take it{mode}.", host.name)
    };
    step("host", true, text)
}

fn path_step(raw: &str, decision: &Decision) -> Step {
    let path = String::from_utf8_lossy(&decision.context.path).into_owned();
    step("path", true, format!("{raw} is matched as {path}."))
}

fn rule_step(location: &Location) -> Step {
    match (&location.origin, location.is_default) {
        (Some(origin), false) => step(
            "rule",
            true,
            format!(
                "Ingress {} {} ({:?} {}) takes it.",
                origin.ingress, origin.field, origin.path_type, origin.path
            ),
        ),
        (origin, _) => {
            let whose = origin.as_ref().filter(|_| location.backend.is_some());
            let text = match whose {
                Some(origin) => format!(
                    "No path matches: the default backend of Ingress {} takes it.",
                    origin.ingress
                ),
                None => "No path matches: the controller's default backend takes it.".to_owned(),
            };
            step("rule", location.backend.is_some(), text)
        }
    }
}

fn lost(host: &HostTable, decision: &Decision) -> Vec<String> {
    let winner = decision.location.as_deref();
    let path = &decision.context.path;
    let mut out = Vec::new();
    for location in &host.locations {
        let (Some(origin), false) = (&location.origin, location.is_default) else {
            continue;
        };
        let won = winner.and_then(|winner| winner.origin.as_ref());
        if won.is_some_and(|won| won == origin) {
            continue;
        }
        let why = reason(host, location, path);
        let text = format!(
            "Ingress {} {} ({:?} {}): {why}.",
            origin.ingress, origin.field, origin.path_type, origin.path
        );
        if !out.contains(&text) {
            out.push(text);
        }
    }
    out
}

fn reason(host: &HostTable, location: &Location, path: &[u8]) -> &'static str {
    let written = location
        .origin
        .as_ref()
        .map_or("", |origin| origin.path.as_str());
    if host.is_regex() {
        let pattern = crate::Pattern::ignoring_case(&format!("^{written}"));
        return if pattern.is_ok_and(|pattern| pattern.is_match(path)) {
            "a longer pattern that also matches comes first"
        } else {
            "the pattern does not match"
        };
    }
    if location.origin.as_ref().map(|origin| origin.path_type) == Some(PathType::Exact) {
        return "the path is not equal";
    }
    let bare = written.strip_suffix('/').unwrap_or(written).as_bytes();
    match path.strip_prefix(bare) {
        Some(rest) if rest.is_empty() || rest.starts_with(b"/") => "a more specific path matches",
        _ => "the path does not begin with these elements",
    }
}
