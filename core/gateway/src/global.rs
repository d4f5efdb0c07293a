//! The controller-wide settings: flags of the process, and the controller's ConfigMap.

use crate::policy::parse_bool;
use crate::policy::valid::parse_size;
use model::{Cidr, NamespacedName, Snapshot};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What the process was started with (ingress-nginx's command line).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `--controller-class`: value of `spec.controller` of the IngressClasses that are ours
    pub controller: String,
    /// `--ingress-class`: value of the annotation `kubernetes.io/ingress.class` that is ours
    pub annotation_class: String,
    /// `--watch-ingress-without-class`
    pub watch_without_class: bool,
    /// `--default-backend-service`
    pub default_backend: Option<NamespacedName>,
    /// `--default-ssl-certificate`
    pub default_certificate: Option<NamespacedName>,
    /// `--configmap`
    pub config_map: NamespacedName,
    /// Port in redirects to https; 443 is left out
    pub https_redirect_port: u16,
    /// Port of the HTTPS listener, for `use-port-in-redirects`
    pub https_port: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            controller: "k8s.io/ingress-nginx".to_owned(),
            annotation_class: "nginx".to_owned(),
            watch_without_class: false,
            default_backend: None,
            default_certificate: None,
            config_map: NamespacedName::new("ingress-nginx", "ingress-nginx-controller"),
            https_redirect_port: 443,
            https_port: 443,
        }
    }
}

/// The ConfigMap's keys, with ingress-nginx's defaults for those that are not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    data: BTreeMap<String, String>,
    /// `use-forwarded-headers`
    pub use_forwarded_headers: bool,
    /// `compute-full-forwarded-for`
    pub full_forwarded_for: bool,
    /// `enable-real-ip`
    pub enable_real_ip: bool,
    /// `forwarded-for-header`
    pub forwarded_for_header: String,
    /// `proxy-real-ip-cidr`
    pub trusted: Vec<Cidr>,
    /// `http-redirect-code`
    pub redirect_code: u16,
    /// Value of Strict-Transport-Security; `None` with `hsts: "false"`
    pub hsts: Option<String>,
    /// `no-tls-redirect-locations`
    pub no_tls_redirect: Vec<String>,
    /// `no-auth-locations`
    pub no_auth: Vec<String>,
    /// `generate-request-id`
    pub generate_request_id: bool,
    /// `proxy-add-original-uri-header`
    pub add_original_uri: bool,
    /// `add-headers`: response headers
    pub add_headers: Vec<(String, String)>,
    /// `proxy-set-headers`: request headers
    pub set_headers: Vec<(String, String)>,
    /// `hide-headers`
    pub hide_headers: Vec<String>,
    /// `allow-backend-server-header`
    pub allow_server_header: bool,
    /// `global-allowed-response-headers`
    pub allowed_response_headers: Vec<String>,
    /// `block-cidrs`
    pub block_cidrs: Vec<Cidr>,
    /// `block-user-agents`: names, or patterns after `~`
    pub block_user_agents: Vec<String>,
    /// `block-referers`
    pub block_referers: Vec<String>,
    /// `keep-alive`: seconds that an idle client connection lives
    pub keep_alive_seconds: u64,
    /// `keep-alive-requests`
    pub keep_alive_requests: u64,
    /// `client-header-timeout`, seconds
    pub client_header_timeout: u64,
    /// `client-body-timeout`, seconds
    pub client_body_timeout: u64,
    /// `large-client-header-buffers`: number and bytes of each
    pub header_buffers: (u64, u64),
    /// `enable-underscores-in-headers`
    pub underscores: bool,
    /// `ignore-invalid-headers`
    pub ignore_invalid_headers: bool,
    /// `use-http2`
    pub http2: bool,
    /// `ssl-reject-handshake`
    pub reject_unknown_names: bool,
    /// `ssl-protocols` holds TLSv1.2
    pub tls12: bool,
    /// `ssl-protocols` holds TLSv1.3
    pub tls13: bool,
    /// `use-gzip`
    pub gzip: bool,
    /// `gzip-min-length`, bytes
    pub gzip_min_length: u64,
    /// `gzip-types`
    pub gzip_types: Vec<String>,
    /// `limit-req-status-code`
    pub limit_status: u16,
    /// `limit-conn-status-code`
    pub limit_connections_status: u16,
    /// `custom-http-errors`
    pub custom_errors: Vec<u16>,
    /// `retry-non-idempotent`
    pub retry_non_idempotent: bool,
    /// `allow-cross-namespace-resources`
    pub cross_namespace: bool,
    /// `annotations-risk-level`: 0 Low to 3 Critical
    pub risk: u8,
    /// `allow-snippet-annotations`
    pub allow_snippets: bool,
    /// `annotation-value-word-blocklist`
    pub word_blocklist: Vec<String>,
    /// `disable-access-log` or `disable-http-access-log`
    pub no_access_log: bool,
}

impl Default for Global {
    fn default() -> Self {
        Self::read(BTreeMap::new(), |_| None)
    }
}

impl Global {
    /// Reads the ConfigMap that the settings name.
    pub fn from_snapshot(snapshot: &Snapshot, settings: &Settings) -> Self {
        let found = snapshot.config_maps.get(&settings.config_map);
        let data = found.map(|map| map.data.clone()).unwrap_or_default();
        Self::read(data, |name| {
            let (namespace, name) = name.split_once('/')?;
            let id = NamespacedName::new(namespace, name);
            let map = snapshot.config_maps.get(&id)?;
            Some(map.data.clone())
        })
    }

    fn read(
        data: BTreeMap<String, String>,
        config_map: impl Fn(&str) -> Option<BTreeMap<String, String>>,
    ) -> Self {
        let get = Keys(&data);
        let pairs = |key: &str| -> Vec<(String, String)> {
            let named = data.get(key).and_then(|name| config_map(name.trim()));
            named.unwrap_or_default().into_iter().collect()
        };
        let add_headers = pairs("add-headers");
        let set_headers = pairs("proxy-set-headers");
        let protocols = get.text("ssl-protocols", "TLSv1.2 TLSv1.3");
        let agents = "allow-cross-namespace-resources";
        Self {
            use_forwarded_headers: get.flag("use-forwarded-headers", false),
            full_forwarded_for: get.flag("compute-full-forwarded-for", false),
            enable_real_ip: get.flag("enable-real-ip", false),
            forwarded_for_header: get.text("forwarded-for-header", "X-Forwarded-For"),
            trusted: cidrs(&get.list("proxy-real-ip-cidr", "0.0.0.0/0")),
            redirect_code: get.redirect_code(),
            hsts: get.hsts(),
            no_tls_redirect: get.list("no-tls-redirect-locations", "/.well-known/acme-challenge"),
            no_auth: get.list("no-auth-locations", "/.well-known/acme-challenge"),
            generate_request_id: get.flag("generate-request-id", true),
            add_original_uri: get.flag("proxy-add-original-uri-header", false),
            add_headers,
            set_headers,
            hide_headers: get.list("hide-headers", ""),
            allow_server_header: get.flag("allow-backend-server-header", false),
            allowed_response_headers: get.list("global-allowed-response-headers", ""),
            block_cidrs: cidrs(&get.list("block-cidrs", "")),
            block_user_agents: get.list("block-user-agents", ""),
            block_referers: get.list("block-referers", ""),
            keep_alive_seconds: get.number("keep-alive", 75),
            keep_alive_requests: get.number("keep-alive-requests", 1000),
            client_header_timeout: get.number("client-header-timeout", 60),
            client_body_timeout: get.number("client-body-timeout", 60),
            header_buffers: get.header_buffers(),
            underscores: get.flag("enable-underscores-in-headers", false),
            ignore_invalid_headers: get.flag("ignore-invalid-headers", true),
            http2: get.flag("use-http2", true),
            reject_unknown_names: get.flag("ssl-reject-handshake", false),
            tls12: protocols.split_whitespace().any(|p| p == "TLSv1.2"),
            tls13: protocols.split_whitespace().any(|p| p == "TLSv1.3"),
            gzip: get.flag("use-gzip", false),
            gzip_min_length: get.number("gzip-min-length", 256),
            gzip_types: get.gzip_types(),
            limit_status: get.status("limit-req-status-code"),
            limit_connections_status: get.status("limit-conn-status-code"),
            custom_errors: get.custom_errors(),
            retry_non_idempotent: get.flag("retry-non-idempotent", false),
            cross_namespace: get.flag(agents, false),
            risk: match get.text("annotations-risk-level", "High").as_str() {
                "Low" => 0,
                "Medium" => 1,
                "Critical" => 3,
                _ => 2,
            },
            allow_snippets: get.flag("allow-snippet-annotations", false),
            word_blocklist: get.list("annotation-value-word-blocklist", ""),
            no_access_log: get.flag("disable-access-log", false)
                || get.flag("disable-http-access-log", false),
            data,
        }
    }

    /// A key's text, for the defaults of annotations that share their name with a key.
    pub(crate) fn raw(&self, key: &str) -> Option<&str> {
        self.data.get(key).map(String::as_str)
    }

    /// Whether a key names a ConfigMap (`namespace/name`).
    pub(crate) fn names(&self, config_map: &str) -> bool {
        self.data.values().any(|value| value.trim() == config_map)
    }

    /// Whether a peer may tell the client's address.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|range| range.contains(peer))
    }
}

struct Keys<'a>(&'a BTreeMap<String, String>);

impl Keys<'_> {
    fn flag(&self, key: &str, default: bool) -> bool {
        self.0
            .get(key)
            .and_then(|text| parse_bool(text))
            .unwrap_or(default)
    }

    fn number(&self, key: &str, default: u64) -> u64 {
        self.0
            .get(key)
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(default)
    }

    fn text(&self, key: &str, default: &str) -> String {
        self.0.get(key).map_or(default, String::as_str).to_owned()
    }

    fn list(&self, key: &str, default: &str) -> Vec<String> {
        let text = self.0.get(key).map_or(default, String::as_str);
        let items = text.split(',').map(|item| item.trim().to_owned());
        items.filter(|item| !item.is_empty()).collect()
    }

    fn status(&self, key: &str) -> u16 {
        u16::try_from(self.number(key, 503)).unwrap_or(503)
    }

    fn redirect_code(&self) -> u16 {
        match self.number("http-redirect-code", 308) {
            301 => 301,
            302 => 302,
            307 => 307,
            _ => 308,
        }
    }

    fn hsts(&self) -> Option<String> {
        if !self.flag("hsts", true) {
            return None;
        }
        let mut value = format!("max-age={}", self.text("hsts-max-age", "31536000"));
        if self.flag("hsts-include-subdomains", true) {
            value.push_str("; includeSubDomains");
        }
        if self.flag("hsts-preload", false) {
            value.push_str("; preload");
        }
        Some(value)
    }

    fn header_buffers(&self) -> (u64, u64) {
        let text = self.text("large-client-header-buffers", "4 8k");
        let (count, size) = text.split_once(' ').unwrap_or(("4", "8k"));
        (
            count.trim().parse().unwrap_or(4),
            parse_size(size).unwrap_or(8192),
        )
    }

    fn gzip_types(&self) -> Vec<String> {
        const DEFAULT: &str = "application/atom+xml application/javascript \
            application/x-javascript application/json application/rss+xml \
            application/vnd.ms-fontobject application/x-font-ttf application/x-web-app-manifest+json \
            application/xhtml+xml application/xml font/opentype image/svg+xml image/x-icon text/css \
            text/javascript text/plain text/x-component";
        let text = self.text("gzip-types", DEFAULT);
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn custom_errors(&self) -> Vec<u16> {
        let codes = self.list("custom-http-errors", "");
        let codes = codes.iter().filter_map(|code| code.parse().ok());
        codes.filter(|code| (300..600).contains(code)).collect()
    }
}

/// Reads ranges and single addresses; what is neither is left out.
pub(crate) fn cidrs(items: &[String]) -> Vec<Cidr> {
    items.iter().filter_map(|item| cidr(item)).collect()
}

/// Reads a range or a single address.
pub(crate) fn cidr(text: &str) -> Option<Cidr> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Cidr::new(address, if address.is_ipv4() { 32 } else { 128 }).ok();
    }
    text.parse().ok()
}
