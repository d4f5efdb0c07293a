//! Readers of the annotation groups, one function each.

use super::reader::{Fail, Miss, Reader, annotation_field, lenient, strict};
use super::{
    Access, BackendProtocol, Canary, Cors, Errors, Limits, NextUpstream, PREFIX, Policy, Proxy,
    Read, Redirect, Rewrite, risk, valid,
};
use crate::global::{Global, cidr, cidrs};
use crate::pattern::Pattern;
use crate::problem;
use crate::template::Template;
use model::{Ingress, NamespacedName, Severity, Snapshot};

struct World<'a> {
    global: &'a Global,
    snapshot: &'a Snapshot,
    namespace: &'a str,
}

pub(super) fn read(ingress: &Ingress, global: &Global, snapshot: &Snapshot) -> Read {
    let mut reader = Reader::new(ingress);
    let world = World {
        global,
        snapshot,
        namespace: &ingress.id.namespace,
    };
    let outcome = refused(ingress, global).and_then(|()| groups(&mut reader, &world));
    let mut problems = reader.problems;
    let policy = match outcome {
        Ok(policy) => {
            if let Some(reason) = &policy.denied {
                problems.push(denied_problem(ingress, reason));
            }
            Some(policy)
        }
        Err(name) => {
            problems.push(dropped_problem(ingress, name));
            None
        }
    };
    Read { policy, problems }
}

/// Annotations beyond the risk level, snippets above all, and forbidden words.
fn refused<'a>(ingress: &'a Ingress, global: &Global) -> Result<(), &'a str> {
    for (key, value) in &ingress.meta.annotations {
        let Some(name) = key.strip_prefix(PREFIX) else {
            continue;
        };
        let level = risk::risk(name);
        if level.is_some_and(|level| level > global.risk.min(2)) {
            return Err(name);
        }
        let words = &global.word_blocklist;
        if words.iter().any(|word| value.contains(word.as_str())) {
            return Err(name);
        }
    }
    Ok(())
}

fn dropped_problem(ingress: &Ingress, name: &str) -> model::Problem {
    let snippet = name.ends_with("-snippet");
    let (message, cure) = if snippet {
        (
            format!("{PREFIX}{name} is refused: configuration text is never executed."),
            "Replace the snippet by the annotation that does the same, and remove it.",
        )
    } else {
        (
            format!("{PREFIX}{name} is not accepted, so this Ingress is not served as written."),
            "Correct or remove the annotation; a version that was served before stays.",
        )
    };
    let reason = if snippet {
        "SnippetRefused"
    } else {
        "Rejected"
    };
    let field = annotation_field(name);
    problem::ingress(ingress, field, Severity::Error, reason, message, cure)
}

fn denied_problem(ingress: &Ingress, reason: &str) -> model::Problem {
    problem::ingress(
        ingress,
        "metadata.annotations".to_owned(),
        Severity::Error,
        "AnnotationParsingFailed",
        format!("Error parsing annotations: {reason}. All its paths answer 503."),
        "Correct the annotation; protection that cannot be set up never falls away silently.",
    )
}

/// Runs all readers: `Err` names the annotation that drops the Ingress.
fn groups(reader: &mut Reader<'_>, world: &World<'_>) -> Result<Policy, &'static str> {
    let mut denied = None;
    let mut policy = Policy {
        rewrite: rewrite(reader, world),
        redirect: settle(redirect(reader, world), &mut denied)?,
        proxy: settle(proxy(reader, world), &mut denied)?,
        cors: cors(reader),
        access: settle(access(reader, world), &mut denied)?,
        aliases: settle(aliases(reader), &mut denied)?,
        custom_headers: settle(custom_headers(reader, world), &mut denied)?,
        access_log: lenient(reader.flag("enable-access-log")).unwrap_or(true),
        errors: settle(errors(reader, world), &mut denied)?,
        denied: None,
        canary: canary(reader),
        limits: settle(limits(reader), &mut denied)?,
    };
    settle(checked_only(reader), &mut denied)?;
    settle(protections(reader, world), &mut denied)?;
    if policy.rewrite.forwarded_prefix.is_none() {
        policy.rewrite.forwarded_prefix = settle(forwarded_prefix(reader), &mut denied)?;
    }
    policy.denied = denied;
    Ok(policy)
}

fn settle<T: Default>(
    result: Result<T, Fail>,
    denied: &mut Option<String>,
) -> Result<T, &'static str> {
    match result {
        Ok(value) => Ok(value),
        Err(Fail::Drop(name)) => Err(name),
        Err(Fail::Deny(reason)) => {
            denied.get_or_insert(reason);
            Ok(T::default())
        }
        Err(Fail::Default) => Ok(T::default()),
    }
}

fn rewrite(reader: &mut Reader<'_>, world: &World<'_>) -> Rewrite {
    let global = |key: &str, default: bool| {
        let set = world.global.raw(key).and_then(super::parse_bool);
        set.unwrap_or(default)
    };
    let target = lenient(reader.text("rewrite-target", valid::path_with_captures));
    let template = target
        .as_deref()
        .and_then(|text| template(reader, "rewrite-target", text));
    Rewrite {
        target: target.filter(|_| template.is_some()),
        template,
        use_regex: lenient(reader.flag("use-regex")).unwrap_or(false),
        app_root: lenient(reader.text("app-root", valid::path_with_captures))
            .filter(|root| root.starts_with('/')),
        ssl_redirect: lenient(reader.flag("ssl-redirect"))
            .unwrap_or_else(|| global("ssl-redirect", true)),
        force_ssl_redirect: lenient(reader.flag("force-ssl-redirect"))
            .unwrap_or_else(|| global("force-ssl-redirect", false)),
        preserve_trailing_slash: lenient(reader.flag("preserve-trailing-slash"))
            .unwrap_or_else(|| global("preserve-trailing-slash", false)),
        forwarded_prefix: None,
    }
}

fn template(reader: &mut Reader<'_>, name: &str, text: &str) -> Option<Template> {
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(variable) => {
            reader.warn(
                name,
                "UnknownVariable",
                format!("The variable {variable} does not exist; the annotation is left out."),
                "Use a variable that nginx has, such as $host or $1.",
            );
            None
        }
    }
}

fn forwarded_prefix(reader: &mut Reader<'_>) -> Result<Option<Template>, Fail> {
    let text = strict(reader.text("x-forwarded-prefix", |text| {
        valid::path_with_captures(&text.replace(' ', ""))
    }))?;
    Ok(text.and_then(|text| template(reader, "x-forwarded-prefix", &text)))
}

fn redirect(reader: &mut Reader<'_>, world: &World<'_>) -> Result<Redirect, Fail> {
    let default = |key: &str| world.global.raw(key).and_then(super::parse_bool);
    let mut out = Redirect {
        to: None,
        www: strict(reader.flag("from-to-www-redirect"))?.unwrap_or(false),
        relative: strict(reader.flag("relative-redirects"))?
            .unwrap_or_else(|| default("relative-redirects").unwrap_or(false)),
        with_port: lenient(reader.flag("use-port-in-redirects"))
            .unwrap_or_else(|| default("use-port-in-redirects").unwrap_or(false)),
    };
    if let Some(url) = strict(reader.text("temporal-redirect", valid::url))? {
        let code = strict(reader.number("temporal-redirect-code"))?.unwrap_or(0);
        if !url.starts_with("http") || !url.contains(':') {
            return Err(Fail::Default);
        }
        let code = if (300..=307).contains(&code) {
            code
        } else {
            302
        };
        out.to = Some((u16::try_from(code).unwrap_or(302), url));
        return Ok(out);
    }
    let url = strict(reader.text("permanent-redirect", valid::url))?;
    let code = strict(reader.number("permanent-redirect-code"))?.unwrap_or(0);
    let code = if (300..=308).contains(&code) {
        code
    } else {
        301
    };
    out.to = url.map(|url| (u16::try_from(code).unwrap_or(301), url));
    Ok(out)
}

fn proxy(reader: &mut Reader<'_>, world: &World<'_>) -> Result<Proxy, Fail> {
    let default = |key: &str, text: &str| world.global.raw(key).unwrap_or(text).to_owned();
    let mut seconds = |name: &'static str, default: u64| {
        let global = world.global.raw(name).and_then(|text| text.parse().ok());
        let set = lenient(reader.number(name)).and_then(|n| u64::try_from(n).ok());
        set.or(global).unwrap_or(default)
    };
    let connect_timeout = seconds("proxy-connect-timeout", 5);
    let send_timeout = seconds("proxy-send-timeout", 60);
    let read_timeout = seconds("proxy-read-timeout", 60);
    let tries = seconds("proxy-next-upstream-tries", 3);
    let timeout_seconds = seconds("proxy-next-upstream-timeout", 0);
    let size = |reader: &mut Reader<'_>, name: &'static str, text: &str| {
        lenient(reader.text(name, valid::size))
            .or_else(|| world.global.raw(name).map(str::to_owned))
            .and_then(|text| valid::parse_size(&text))
            .or_else(|| valid::parse_size(text))
            .unwrap_or(0)
    };
    let on_off = lenient(reader.text("proxy-request-buffering", valid::on_off))
        .unwrap_or_else(|| default("proxy-request-buffering", "on"));
    let next = lenient(reader.text("proxy-next-upstream", next_upstream_words))
        .unwrap_or_else(|| default("proxy-next-upstream", "error timeout"));
    let vhost = strict(reader.text("upstream-vhost", |v| valid::regex_chars(v.trim())))?;
    Ok(Proxy {
        protocol: protocol(reader),
        connect_timeout,
        send_timeout,
        read_timeout,
        body_size: size(reader, "proxy-body-size", "1m"),
        request_buffering: on_off.trim() == "on",
        buffer_size: size(reader, "proxy-buffer-size", "4k"),
        http10: lenient(reader.text("proxy-http-version", |v| matches!(v.trim(), "1.0" | "1.1")))
            .unwrap_or_else(|| default("proxy-http-version", "1.1"))
            .trim()
            == "1.0",
        next: NextUpstream {
            tries,
            timeout_seconds,
            non_idempotent: next.contains("non_idempotent") || world.global.retry_non_idempotent,
            ..next_upstream(&next)
        },
        redirect: proxy_redirect(reader, &default),
        cookie_domain: pair(
            lenient(reader.text("proxy-cookie-domain", valid::basic_chars_blanks))
                .unwrap_or_else(|| default("proxy-cookie-domain", "off")),
        ),
        cookie_path: pair(
            lenient(reader.text("proxy-cookie-path", valid::url_blanks))
                .unwrap_or_else(|| default("proxy-cookie-path", "off")),
        ),
        vhost: vhost.and_then(|text| template(reader, "upstream-vhost", &text)),
        connection: strict(reader.text("connection-proxy-header", |v| {
            matches!(v.replace(' ', "").as_str(), "close" | "keep-alive")
        }))?,
    })
}

fn protocol(reader: &mut Reader<'_>) -> BackendProtocol {
    let known = ["auto_http", "http", "https", "grpc", "grpcs", "fcgi"];
    let valid = |text: &str| known.contains(&text.trim().to_ascii_lowercase().as_str());
    let text = lenient(reader.text("backend-protocol", valid)).unwrap_or_default();
    match text.to_ascii_uppercase().as_str() {
        "HTTPS" => BackendProtocol::Https,
        "AUTO_HTTP" => BackendProtocol::Auto,
        "GRPC" => BackendProtocol::Grpc,
        "GRPCS" => BackendProtocol::Grpcs,
        "FCGI" => BackendProtocol::Fcgi,
        _ => BackendProtocol::Http,
    }
}

fn next_upstream_words(text: &str) -> bool {
    text.split_whitespace().all(|word| {
        matches!(
            word,
            "error"
                | "timeout"
                | "invalid_header"
                | "non_idempotent"
                | "off"
                | "http_500"
                | "http_502"
                | "http_503"
                | "http_504"
                | "http_403"
                | "http_404"
                | "http_429"
        )
    })
}

fn next_upstream(text: &str) -> NextUpstream {
    let words: Vec<&str> = text.split_whitespace().collect();
    let statuses = words.iter().filter_map(|word| word.strip_prefix("http_"));
    let off = words.contains(&"off");
    NextUpstream {
        error: !off && words.contains(&"error"),
        timeout: !off && words.contains(&"timeout"),
        invalid_header: !off && words.contains(&"invalid_header"),
        statuses: statuses.filter_map(|code| code.parse().ok()).collect(),
        ..NextUpstream::default()
    }
}

fn proxy_redirect(
    reader: &mut Reader<'_>,
    default: &impl Fn(&str, &str) -> String,
) -> Option<(String, String)> {
    let from = lenient(reader.text("proxy-redirect-from", valid::url_blanks))
        .unwrap_or_else(|| default("proxy-redirect-from", "off"));
    let to = lenient(reader.text("proxy-redirect-to", valid::url_blanks))
        .unwrap_or_else(|| default("proxy-redirect-to", "off"));
    match (from.as_str(), to.as_str()) {
        ("off", _) => None,
        ("default", _) => Some(("http://upstream_balancer/".to_owned(), "/".to_owned())),
        (_, "off") => None,
        _ => Some((from, to)),
    }
}

/// `from to`; `off` is none.
fn pair(text: String) -> Option<(String, String)> {
    let (from, to) = text.trim().split_once(char::is_whitespace)?;
    Some((from.to_owned(), to.trim().to_owned()))
}

fn cors(reader: &mut Reader<'_>) -> Option<Cors> {
    let enabled = lenient(reader.flag("enable-cors")).unwrap_or(false);
    if !enabled {
        return None;
    }
    let origins = lenient(reader.text("cors-allow-origin", cors_origin_chars));
    let methods = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphabetic() || c == ',' || c.is_whitespace())
    };
    let expose = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_*, ".contains(c))
    };
    Some(Cors {
        origins: origins.map_or_else(|| vec!["*".to_owned()], |text| cors_origins(&text)),
        methods: lenient(reader.text("cors-allow-methods", methods))
            .unwrap_or_else(|| "GET, PUT, POST, DELETE, PATCH, OPTIONS".to_owned()),
        headers: lenient(reader.text("cors-allow-headers", valid::header_list)).unwrap_or_else(
            || {
                "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,\
                 Content-Type,Range,Authorization"
                    .to_owned()
            },
        ),
        expose: lenient(reader.text("cors-expose-headers", expose)).unwrap_or_default(),
        credentials: lenient(reader.flag("cors-allow-credentials")).unwrap_or(true),
        max_age: lenient(reader.number("cors-max-age")).unwrap_or(1_728_000),
    })
}

fn cors_origin_chars(text: &str) -> bool {
    let text = text.replace(' ', "");
    text == "*" || text.split(',').all(|origin| cors_origin(origin, true))
}

/// `[scheme://][*.]host[:port]` or `null`.
fn cors_origin(origin: &str, bare: bool) -> bool {
    if origin == "null" || origin.is_empty() {
        return true;
    }
    let rest = match origin.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|b| b.is_ascii_lowercase()) => rest,
        Some(_) => return false,
        None if bare => origin,
        None => return false,
    };
    let rest = rest.strip_prefix("*.").unwrap_or(rest);
    let (host, port) = rest.split_once(':').unwrap_or((rest, "0"));
    let name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    host.chars().all(name) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn cors_origins(text: &str) -> Vec<String> {
    let items: Vec<&str> = text.split(',').map(str::trim).collect();
    if items.contains(&"*") {
        return vec!["*".to_owned()];
    }
    let usable = |origin: &&str| !origin.is_empty() && cors_origin(origin, false);
    items
        .into_iter()
        .filter(usable)
        .map(str::to_owned)
        .collect()
}

fn ranges(text: &str) -> bool {
    text.split(',').all(|item| cidr(item).is_some())
}

fn access(reader: &mut Reader<'_>, world: &World<'_>) -> Result<Access, Fail> {
    let list = |key: &str| -> Vec<String> {
        let text = world.global.raw(key).unwrap_or_default();
        text.split(',').map(str::to_owned).collect()
    };
    let deny = |miss: &Miss, name: &str| match miss {
        Miss::Missing => Fail::Default,
        _ => Fail::Deny(format!("{name} holds no valid address or network")),
    };
    let mut out = Access {
        allow: cidrs(&list("whitelist-source-range")),
        deny: cidrs(&list("denylist-source-range")),
        any: lenient(reader.text("satisfy", |v| matches!(v.trim(), "any" | "all")))
            .is_some_and(|value| value == "any"),
    };
    match reader.text_or("allowlist-source-range", "whitelist-source-range", ranges) {
        Ok(text) => out.allow = text.split(',').filter_map(cidr).collect(),
        Err(Miss::Missing) => {}
        Err(miss) => return Err(deny(&miss, "whitelist-source-range")),
    }
    match reader.text("denylist-source-range", ranges) {
        Ok(text) => out.deny = text.split(',').filter_map(cidr).collect(),
        Err(Miss::Missing) => {}
        Err(miss) => return Err(deny(&miss, "denylist-source-range")),
    }
    Ok(out)
}

fn aliases(reader: &mut Reader<'_>) -> Result<Vec<String>, Fail> {
    let text = strict(reader.text("server-alias", valid::server_names))?.unwrap_or_default();
    let mut names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    Ok(names)
}

fn custom_headers(
    reader: &mut Reader<'_>,
    world: &World<'_>,
) -> Result<Vec<(String, String)>, Fail> {
    let Some(name) = lenient(reader.text("custom-headers", valid::basic_chars_blanks)) else {
        return Ok(Vec::new());
    };
    let (namespace, map) = name.split_once('/').unwrap_or(("", &name));
    let id = NamespacedName::new(namespace, map);
    let Some(map) = world.snapshot.config_maps.get(&id) else {
        return Err(Fail::Deny(format!("unable to find configMap {name:?}")));
    };
    let token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    for header in map.data.keys() {
        if header.is_empty() || !header.chars().all(token) {
            return Err(Fail::Deny("invalid header name in configmap".to_owned()));
        }
        if !world.global.allowed_response_headers.contains(header) {
            return Err(Fail::Deny(format!(
                "header {header} is not allowed, defined allowed headers inside \
                 global-allowed-response-headers {:?}",
                world.global.allowed_response_headers
            )));
        }
    }
    let sane =
        |value: &String| !value.is_empty() && value.bytes().all(|b| (0x20..0x7f).contains(&b));
    if !map.data.values().all(sane) {
        return Err(Fail::Deny("invalid header value in configmap".to_owned()));
    }
    Ok(map.data.clone().into_iter().collect())
}

fn errors(reader: &mut Reader<'_>, world: &World<'_>) -> Result<Errors, Fail> {
    let codes = |text: &str| {
        text.replace(' ', "").split(',').all(|code| {
            code.is_empty()
                || code.len() == 3
                    && code.starts_with(['4', '5'])
                    && code.bytes().all(|b| b.is_ascii_digit())
        })
    };
    let codes = strict(reader.text("custom-http-errors", codes))?.map_or_else(
        || world.global.custom_errors.clone(),
        |text| {
            text.split(',')
                .filter_map(|c| c.trim().parse().ok())
                .collect()
        },
    );
    let backend = strict(reader.text("default-backend", valid::service_name))?;
    Ok(Errors {
        codes,
        backend: backend.map(|name| NamespacedName::new(world.namespace, &name)),
        disabled: lenient(reader.flag("disable-proxy-intercept-errors")).unwrap_or(false),
    })
}

fn canary(reader: &mut Reader<'_>) -> Option<Canary> {
    if lenient(reader.flag("canary")) != Some(true) {
        return None;
    }
    let pattern = lenient(reader.text("canary-by-header-pattern", valid::regex_chars));
    let mut basic = |name: &'static str| lenient(reader.text(name, valid::basic_chars_blanks));
    let (header, value) = (basic("canary-by-header"), basic("canary-by-header-value"));
    let cookie = basic("canary-by-cookie");
    Some(Canary {
        weight: lenient(reader.number("canary-weight")).unwrap_or(0),
        total: lenient(reader.number("canary-weight-total"))
            .unwrap_or(100)
            .max(100),
        header,
        value,
        pattern: pattern.map(|text| Pattern::compile(&text)),
        cookie,
    })
}

fn limits(reader: &mut Reader<'_>) -> Result<Limits, Fail> {
    let positive = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let per_minute = positive(strict(reader.number("limit-rpm"))?);
    let per_second = positive(strict(reader.number("limit-rps"))?);
    let connections = positive(strict(reader.number("limit-connections"))?);
    let burst = lenient(reader.number("limit-burst-multiplier"));
    let allow = strict(reader.text_or("limit-allowlist", "limit-whitelist", ranges))?;
    Ok(Limits {
        per_second,
        per_minute,
        connections,
        burst: positive(burst.filter(|n| *n > 0).or(Some(5))),
        allow: allow.map_or_else(Vec::new, |text| text.split(',').filter_map(cidr).collect()),
    })
}

/// Protections that are not built yet: the locations answer 503 rather than be open.
fn protections(reader: &mut Reader<'_>, world: &World<'_>) -> Result<(), Fail> {
    let everywhere = world.global.raw("global-auth-url").unwrap_or_default();
    let wanted = lenient(reader.flag("enable-global-auth")).unwrap_or(true);
    if wanted && !everywhere.is_empty() {
        return Err(Fail::Deny("global-auth-url is not served yet".to_owned()));
    }
    let kind = |text: &str| text.contains("basic") || text.contains("digest");
    let secret_type = |text: &str| text.contains("auth-file") || text.contains("auth-map");
    let auth = strict(reader.text("auth-type", kind))?;
    if auth.is_some() {
        strict(reader.text("auth-secret-type", secret_type))?;
        strict(reader.text("auth-realm", valid::words))?;
        strict(reader.text("auth-secret", valid::basic_chars))?;
        return Err(Fail::Deny("auth-type is not served yet".to_owned()));
    }
    if strict(reader.text("auth-url", valid::url_with_variables))?.is_some() {
        return Err(Fail::Deny("auth-url is not served yet".to_owned()));
    }
    if strict(reader.text("auth-tls-secret", valid::basic_chars))?.is_some() {
        return Err(Fail::Deny("auth-tls-secret is not served yet".to_owned()));
    }
    let verify = lenient(reader.text("proxy-ssl-verify", valid::on_off));
    if verify.as_deref() == Some("on") {
        return Err(Fail::Deny("proxy-ssl-verify is not served yet".to_owned()));
    }
    Ok(())
}

/// Annotations that are accepted and change nothing here, but whose bad values drop the Ingress.
fn checked_only(reader: &mut Reader<'_>) -> Result<(), Fail> {
    strict(reader.text("client-body-buffer-size", valid::size))?;
    strict(reader.text("ssl-ciphers", |text| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "!:+-_@=".contains(c))
    }))?;
    strict(reader.text("upstream-hash-by", valid::variable))?;
    strict(reader.flag("upstream-hash-by-subset"))?;
    strict(reader.number("upstream-hash-by-subset-size"))?;
    Ok(())
}
