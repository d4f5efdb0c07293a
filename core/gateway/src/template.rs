//! Annotation values with nginx variables (`$host`, `$http_x`, `$1`), parsed once.

use crate::pattern::Captures;
use crate::request::{Context, RequestHead};
use crate::{path, table::Location};

/// A text with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Capture(usize),
    Variable(String),
}

/// What variables are filled from.
pub struct Scope<'a> {
    /// The request
    pub head: &'a RequestHead,
    /// What was worked out about the request
    pub context: &'a Context,
    /// The location that serves it
    pub location: Option<&'a Location>,
    /// Captures of the rewrite or of the location
    pub captures: Option<&'a Captures>,
}

const KNOWN: &[&str] = &[
    "host",
    "http_host",
    "request_uri",
    "uri",
    "document_uri",
    "scheme",
    "args",
    "query_string",
    "is_args",
    "remote_addr",
    "binary_remote_addr",
    "remote_port",
    "request_method",
    "server_port",
    "server_name",
    "server_protocol",
    "request_id",
    "req_id",
    "best_http_host",
    "pass_access_scheme",
    "pass_server_port",
    "pass_port",
    "namespace",
    "ingress_name",
    "service_name",
    "service_port",
    "location_path",
    "proxy_upstream_name",
    "proxy_host",
    "content_type",
    "content_length",
    "server_addr",
    "hostname",
    "connection",
    "msec",
    "time_iso8601",
    "time_local",
    "realip_remote_addr",
    "ssl_client_s_dn",
    "ssl_client_i_dn",
    "ssl_client_verify",
    "ssl_client_escaped_cert",
    "ssl_server_name",
    "ssl_protocol",
    "escaped_request_uri",
    "subdomain",
    "remote_user",
];

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    /// The first variable that does not exist.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, after) = rest.split_at(at);
            plain.push_str(before);
            let after = after.get(1..).unwrap_or_default();
            let (name, tail) = variable_name(after);
            rest = tail;
            if name.is_empty() {
                plain.push('$');
                continue;
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(part(name)?);
        }
        plain.push_str(rest);
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// Whether the template has no variables.
    pub fn is_plain(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Fills the variables in.
    pub fn fill(&self, scope: &Scope<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Capture(n) => {
                    if let Some(captures) = scope.captures {
                        out.extend_from_slice(captures.get(*n));
                    }
                }
                Part::Variable(name) => scope.variable(name, &mut out),
            }
        }
        out
    }
}

/// Splits `name…` or `{name}…`; nginx takes a single digit as a capture.
fn variable_name(text: &str) -> (&str, &str) {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').unwrap_or(("", text));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.split_at(1);
    }
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.split_at(end)
}

fn part(name: &str) -> Result<Part, String> {
    if let Ok(n) = name.parse::<usize>() {
        return Ok(Part::Capture(n));
    }
    let open = ["http_", "arg_", "cookie_"];
    if KNOWN.contains(&name) || open.iter().any(|prefix| name.starts_with(prefix)) {
        return Ok(Part::Variable(name.to_owned()));
    }
    Err(format!("${name}"))
}

impl Scope<'_> {
    /// Appends the value of a variable; unknown ones are empty.
    pub fn variable(&self, name: &str, out: &mut Vec<u8>) {
        let (head, context) = (self.head, self.context);
        let (_, query) = path::split_query(&head.target);
        match name {
            "host" => out.extend_from_slice(context.host.as_bytes()),
            "http_host" => out.extend_from_slice(head.host_header()),
            "best_http_host" => out.extend_from_slice(&context.best_host),
            "request_uri" => out.extend_from_slice(&head.target),
            "escaped_request_uri" => path::escape_component(&head.target, out),
            "uri" | "document_uri" => out.extend_from_slice(&context.path),
            "scheme" => out.extend_from_slice(head.scheme().as_bytes()),
            "pass_access_scheme" => out.extend_from_slice(&context.scheme),
            "args" | "query_string" => out.extend_from_slice(query.unwrap_or_default()),
            "is_args" if query.is_some_and(|q| !q.is_empty()) => out.push(b'?'),
            "remote_addr" | "binary_remote_addr" => {
                out.extend_from_slice(context.client.to_string().as_bytes());
            }
            "realip_remote_addr" => out.extend_from_slice(head.peer.ip().to_string().as_bytes()),
            "remote_port" => out.extend_from_slice(head.peer.port().to_string().as_bytes()),
            "request_method" => out.extend_from_slice(head.method.as_bytes()),
            "server_port" => out.extend_from_slice(head.server_port.to_string().as_bytes()),
            "pass_port" | "pass_server_port" => out.extend_from_slice(&context.port),
            "server_protocol" => out.extend_from_slice(head.version.as_str().as_bytes()),
            "request_id" => out.extend_from_slice(head.id.as_bytes()),
            "req_id" => out.extend_from_slice(&context.request_id),
            "content_type" => out.extend(head.headers.get("content-type").unwrap_or_default()),
            "content_length" => out.extend(head.headers.get("content-length").unwrap_or_default()),
            _ => self.derived(name, query, out),
        }
    }

    fn derived(&self, name: &str, query: Option<&[u8]>, out: &mut Vec<u8>) {
        if let Some(header) = name.strip_prefix("http_") {
            let header = header.replace('_', "-");
            out.extend(self.head.headers.joined(&header).unwrap_or_default());
            return;
        }
        if let Some(cookie) = name.strip_prefix("cookie_") {
            out.extend(self.head.headers.cookie(cookie).unwrap_or_default());
            return;
        }
        if let Some(argument) = name.strip_prefix("arg_") {
            out.extend(find_argument(query.unwrap_or_default(), argument));
            return;
        }
        if let Some(location) = self.location {
            location.variable(name, out);
        }
    }
}

fn find_argument<'q>(query: &'q [u8], name: &str) -> &'q [u8] {
    query
        .split(|&b| b == b'&')
        .find_map(|pair| {
            let at = pair.iter().position(|&b| b == b'=')?;
            let (key, value) = (pair.get(..at)?, pair.get(at + 1..)?);
            key.eq_ignore_ascii_case(name.as_bytes()).then_some(value)
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_told_apart_from_text() {
        let template = Template::parse("/v/$host/${arg_x}y$1z$").unwrap();
        assert_eq!(
            template.parts,
            [
                Part::Text("/v/".into()),
                Part::Variable("host".into()),
                Part::Text("/".into()),
                Part::Variable("arg_x".into()),
                Part::Text("y".into()),
                Part::Capture(1),
                Part::Text("z$".into()),
            ]
        );
        assert!(Template::parse("plain").unwrap().is_plain());
        assert_eq!(Template::parse("$nope"), Err("$nope".to_owned()));
    }
}
