//! What an Ingress's annotations say, typed: one [`Policy`] per Ingress.
//!
//! To add an annotation: a field in its group's struct, a line in the group's reader, and what it
//! does in `select`, `forward` or `respond`.

mod read;
mod reader;
mod risk;
pub(crate) mod valid;

use crate::global::Global;
use crate::pattern::Pattern;
use crate::template::Template;
use model::{Cidr, Ingress, NamespacedName, Problem, Snapshot};

pub use reader::PREFIX;
pub(crate) use reader::parse_bool;

/// All annotations of one Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Path rewriting and the redirect to https
    pub rewrite: Rewrite,
    /// Redirects that answer instead of a backend
    pub redirect: Redirect,
    /// How the backend is talked to
    pub proxy: Proxy,
    /// CORS headers; `None` unless enabled
    pub cors: Option<Cors>,
    /// Client address lists
    pub access: Access,
    /// `server-alias`
    pub aliases: Vec<String>,
    /// Response headers of `custom-headers`
    pub custom_headers: Vec<(String, String)>,
    /// `enable-access-log`
    pub access_log: bool,
    /// `custom-http-errors` and `default-backend`
    pub errors: Errors,
    /// Why every location answers 503
    pub denied: Option<String>,
    /// `canary: "true"` with its group
    pub canary: Option<Canary>,
    /// Rate and connection limits
    pub limits: Limits,
}

/// `rewrite-target` and its group
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// `rewrite-target` as written
    pub target: Option<String>,
    /// `rewrite-target` with its variables
    pub template: Option<Template>,
    /// `use-regex`
    pub use_regex: bool,
    /// `app-root`
    pub app_root: Option<String>,
    /// `ssl-redirect`
    pub ssl_redirect: bool,
    /// `force-ssl-redirect`
    pub force_ssl_redirect: bool,
    /// `preserve-trailing-slash`
    pub preserve_trailing_slash: bool,
    /// `x-forwarded-prefix`
    pub forwarded_prefix: Option<Template>,
}

/// `permanent-redirect` and its group
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    /// Status and Location
    pub to: Option<(u16, String)>,
    /// `from-to-www-redirect`
    pub www: bool,
    /// `relative-redirects`
    pub relative: bool,
    /// `use-port-in-redirects`
    pub with_port: bool,
}

/// Protocol spoken with the backend
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendProtocol {
    /// HTTP/1
    #[default]
    Http,
    /// HTTP/1 over TLS
    Https,
    /// What the client spoke
    Auto,
    /// HTTP/2 without TLS
    Grpc,
    /// HTTP/2 over TLS
    Grpcs,
    /// FastCGI, which is not served
    Fcgi,
}

/// Failures after which another endpoint is tried (`proxy-next-upstream`)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NextUpstream {
    /// Connection errors
    pub error: bool,
    /// Time-outs
    pub timeout: bool,
    /// Malformed responses
    pub invalid_header: bool,
    /// Statuses
    pub statuses: Vec<u16>,
    /// Also for methods that may not be repeated
    pub non_idempotent: bool,
    /// `proxy-next-upstream-tries`; zero is no limit
    pub tries: u64,
    /// `proxy-next-upstream-timeout`, seconds; zero is no limit
    pub timeout_seconds: u64,
}

/// The `proxy-…` group and its neighbours
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// `backend-protocol`
    pub protocol: BackendProtocol,
    /// `proxy-connect-timeout`, seconds
    pub connect_timeout: u64,
    /// `proxy-send-timeout`, seconds between two writes
    pub send_timeout: u64,
    /// `proxy-read-timeout`, seconds between two reads
    pub read_timeout: u64,
    /// `proxy-body-size`, bytes; zero is no limit
    pub body_size: u64,
    /// `proxy-request-buffering`
    pub request_buffering: bool,
    /// `proxy-buffer-size`, bytes
    pub buffer_size: u64,
    /// `proxy-http-version: "1.0"`
    pub http10: bool,
    /// `proxy-next-upstream` and its group
    pub next: NextUpstream,
    /// `proxy-redirect-from` and `-to`
    pub redirect: Option<(String, String)>,
    /// `proxy-cookie-domain`: from, to
    pub cookie_domain: Option<(String, String)>,
    /// `proxy-cookie-path`: from, to
    pub cookie_path: Option<(String, String)>,
    /// `upstream-vhost`
    pub vhost: Option<Template>,
    /// `connection-proxy-header`
    pub connection: Option<String>,
}

/// The `cors-…` group
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// `cors-allow-origin`; a single `*` is any
    pub origins: Vec<String>,
    /// `cors-allow-methods`
    pub methods: String,
    /// `cors-allow-headers`
    pub headers: String,
    /// `cors-expose-headers`
    pub expose: String,
    /// `cors-allow-credentials`
    pub credentials: bool,
    /// `cors-max-age`, seconds
    pub max_age: i64,
}

/// The source range lists
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `whitelist-source-range` or `allowlist-source-range`; empty allows all
    pub allow: Vec<Cidr>,
    /// `denylist-source-range`
    pub deny: Vec<Cidr>,
    /// `satisfy: any`
    pub any: bool,
}

/// The `canary-…` group
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Canary {
    /// `canary-weight`
    pub weight: i64,
    /// `canary-weight-total`, at least 100
    pub total: i64,
    /// `canary-by-header`
    pub header: Option<String>,
    /// `canary-by-header-value`
    pub value: Option<String>,
    /// `canary-by-header-pattern`; one that cannot be compiled sends nobody to the canary
    pub pattern: Option<Result<Pattern, String>>,
    /// `canary-by-cookie`
    pub cookie: Option<String>,
}

/// The `limit-…` group; zero is no limit
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `limit-rps`
    pub per_second: u64,
    /// `limit-rpm`
    pub per_minute: u64,
    /// `limit-burst-multiplier`
    pub burst: u64,
    /// `limit-connections`: requests at once
    pub connections: u64,
    /// `limit-allowlist`: addresses without limits
    pub allow: Vec<Cidr>,
}

/// The error page group
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// `custom-http-errors`
    pub codes: Vec<u16>,
    /// `default-backend`
    pub backend: Option<NamespacedName>,
    /// `disable-proxy-intercept-errors`
    pub disabled: bool,
}

/// What reading gave: a policy, or `None` when the Ingress is not to be served at all.
pub(crate) struct Read {
    pub(crate) policy: Option<Policy>,
    pub(crate) problems: Vec<Problem>,
}

/// Reads the annotations of an Ingress.
pub(crate) fn read(ingress: &Ingress, global: &Global, snapshot: &Snapshot) -> Read {
    read::read(ingress, global, snapshot)
}
