//! Who asks: the client's address, host, scheme and port, as far as forwarded headers are believed.

use crate::global::Global;
use crate::policy::Policy;
use crate::request::{Context, RequestHead};
use crate::table::RouteTable;
use std::net::{IpAddr, SocketAddr};

/// What can be told of a request before its host and path are looked at.
pub(crate) fn context(table: &RouteTable, head: &RequestHead) -> Context {
    let global = &table.global;
    let forwarded = |name: &str| {
        let trusted = global.use_forwarded_headers;
        trusted.then(|| head.headers.joined(name)).flatten()
    };
    let port = if head.https { 443 } else { head.server_port };
    let given = head.headers.joined("x-request-id").unwrap_or_default();
    let request_id = match (given.is_empty(), global.generate_request_id) {
        (true, true) => head.id.as_bytes().to_vec(),
        _ => given,
    };
    Context {
        host: String::new(),
        path: Vec::new(),
        best_host: Vec::new(),
        scheme: forwarded("x-forwarded-proto").unwrap_or_else(|| head.scheme().as_bytes().to_vec()),
        port: forwarded("x-forwarded-port").unwrap_or_else(|| port.to_string().into_bytes()),
        client: address(global, head),
        request_id,
    }
}

/// The host to tell the backend.
pub(crate) fn best_host(table: &RouteTable, head: &RequestHead) -> Vec<u8> {
    let own = || {
        let authority = head.authority.as_deref().unwrap_or_default();
        head.headers.get("host").unwrap_or(authority).to_vec()
    };
    if !table.global.use_forwarded_headers {
        return own();
    }
    let Some(forwarded) = head.headers.joined("x-forwarded-host") else {
        return own();
    };
    let first = forwarded.split(|&b| b == b',').next().unwrap_or_default();
    first.to_vec()
}

/// The client's address: from the right of the forwarded-for header, over trusted hops.
fn address(global: &Global, head: &RequestHead) -> IpAddr {
    let mut current = head.peer.ip();
    if !global.use_forwarded_headers && !global.enable_real_ip {
        return current;
    }
    let Some(list) = head.headers.joined(&global.forwarded_for_header) else {
        return current;
    };
    let list = String::from_utf8_lossy(&list).into_owned();
    for hop in list.rsplit(',') {
        if !global.trusts(current) {
            break;
        }
        let Some(address) = parse(hop.trim()) else {
            break;
        };
        current = address;
    }
    current
}

/// An address with or without port.
fn parse(text: &str) -> Option<IpAddr> {
    let plain = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || text.parse::<SocketAddr>().ok().map(|a| a.ip());
    plain.parse().ok().or_else(with_port)
}

/// Whether the source range lists refuse a client.
pub(crate) fn forbidden(global: &Global, policy: &Policy, client: IpAddr) -> bool {
    let access = &policy.access;
    let within = |ranges: &[model::Cidr]| ranges.iter().any(|range| range.contains(client));
    if !access.deny.is_empty() || !access.allow.is_empty() {
        // A location's own list replaces the controller's, as nginx has it.
        return within(&access.deny) || !access.allow.is_empty() && !within(&access.allow);
    }
    within(&global.block_cidrs)
}
