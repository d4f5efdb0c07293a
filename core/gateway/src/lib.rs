//! Ingress as ingress-nginx 1.15.1 serves it, as values.
//!
//! ```text
//! Snapshot ─plan─► RouteTable ─select(head)─► Decision ─(edge: endpoints)─► forward / respond
//! ```
//!
//! [`Planner`] keeps a [`RouteTable`] up to date host by host; [`select`] decides about one
//! request; [`forward::headers`] and [`respond`] make the headers on both sides of the proxy.
//! Endpoints ([`endpoints`]) and certificates ([`certificates`]) are published beside the table, so
//! that Pods and Secrets come and go without touching it.
//!
//! **Invariants.** A plan never fails: one bad Ingress becomes a Problem and does not touch the
//! others; the table does not depend on the order of the input; planning a change gives what
//! planning everything gives.
//!
//! **Does not** do I/O, read a clock, draw random numbers or log.
#![forbid(unsafe_code)]

mod answer;
mod class;
mod client;
mod endpoints;
mod explain;
pub mod forward;
mod global;
mod headers;
mod host;
pub mod limit;
mod path;
mod pattern;
mod plan;
mod policy;
mod problem;
mod problems;
mod request;
pub mod respond;
mod select;
mod status;
mod table;
mod template;
mod tls;

pub use answer::{Answer, reason};
pub use class::CLASS_ANNOTATION;
pub use endpoints::{Endpoint, EndpointSet, endpoints};
pub use explain::{Explanation, Step, explain};
pub use global::{Global, Settings};
pub use headers::Headers;
pub use pattern::{Captures, Pattern};
pub use plan::{Planner, Update, plan, replan};
pub use policy::{
    Access, BackendProtocol, Canary, Cors, Errors, Limits, NextUpstream, PREFIX, Policy, Proxy,
    Redirect, Rewrite,
};
pub use request::{BadHost, ClientCertificate, Context, RequestHead, Version, host_name};
pub use select::{Action, Decision, Forward, select};
pub use status::{Publish, statuses};
pub use table::{
    CATCH_ALL, CanaryRoute, HostTable, Location, Origin, PathRewrite, RouteTable, ServiceRef,
    TlsChoice, WwwRedirect,
};
pub use template::{Scope, Template};
pub use tls::{Broken, Certificates, KeyPair, certificates, key_pair};
