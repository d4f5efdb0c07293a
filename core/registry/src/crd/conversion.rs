//! Rules of `spec.conversion`, whose webhook is stored and checked as the original does.

use crate::field::names::{dns1035_label, dns1123_subdomain, port_number};
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use base64::Engine;
use serde_json::Value;

const FORM: &str = "; desired format: https://host[/path]";
/// Versions of ConversionReview that the original understands.
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];

/// What an update tightens only where the stored object was right.
#[derive(Clone, Copy)]
pub(super) struct Strictness {
    pub(super) known_review: bool,
    pub(super) bundle: bool,
}

/// Checks `spec.conversion`.
pub(super) fn check(errors: &mut Errors, path: &Path, conversion: &Value, strict: Strictness) {
    let strategy = conversion.text("strategy");
    errors.one_of(&path.child("strategy"), strategy, &["None", "Webhook"]);
    let webhook = conversion.at("webhook");
    let client = webhook
        .get("clientConfig")
        .filter(|client| !client.is_null());
    let reviews = webhook.texts("conversionReviewVersions");
    let (client_path, reviews_path) = (
        path.child("webhookClientConfig"),
        path.child("conversionReviewVersions"),
    );
    if strategy != "Webhook" {
        let text = "should not be set when strategy is not set to Webhook";
        if client.is_some() {
            errors.forbidden(&client_path, text);
        }
        if !reviews.is_empty() {
            errors.forbidden(&reviews_path, text);
        }
        return;
    }
    match client {
        None => errors.required(&client_path, "required when strategy is set to Webhook"),
        Some(client) => check_client(errors, &client_path, client, strict.bundle),
    }
    check_reviews(errors, &reviews_path, &reviews, strict.known_review);
}

fn check_client(errors: &mut Errors, path: &Path, client: &Value, strict: bool) {
    let service = client.get("service").filter(|service| !service.is_null());
    match (client.optional_text("url"), service) {
        (Some(url), None) => check_url(errors, &path.child("url"), url),
        (None, Some(service)) => check_service(errors, &path.child("service"), service),
        _ => errors.required(path, "exactly one of url or service is required"),
    }
    let bundle = client.text("caBundle");
    if strict && !bundle.is_empty() && !is_bundle(bundle) {
        let text = "unable to load root certificates: unable to parse bytes as PEM block";
        errors.invalid(&path.child("caBundle"), bundle, text);
    }
}

/// Whether the base64 text holds certificates in PEM.
pub(super) fn is_bundle(base64: &str) -> bool {
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64);
    let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let body = text.as_deref().and_then(|text| {
        let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
        Some(rest.split_once("-----END CERTIFICATE-----")?.0)
    });
    let der = body.and_then(|body| {
        let packed: String = body.chars().filter(|c| !c.is_whitespace()).collect();
        base64::engine::general_purpose::STANDARD
            .decode(packed)
            .ok()
    });
    // A DER sequence: more is not looked at, since nothing here calls webhooks.
    der.is_some_and(|der| der.first() == Some(&0x30))
}

/// `ValidateWebhookURL`
fn check_url(errors: &mut Errors, path: &Path, url: &str) {
    if url.starts_with(':') {
        let why = format!("parse {}: missing protocol scheme", model::go_quote(url));
        errors.required(path, &format!("url must be a valid URL: {why}{FORM}"));
        return;
    }
    let url = Url::parse(url);
    if url.scheme != "https" {
        let text = format!("'https' is the only allowed URL scheme{FORM}");
        errors.invalid(path, url.scheme, text);
    }
    if url.host.is_empty() {
        errors.invalid(path, "", format!("host must be specified{FORM}"));
    }
    for (part, text) in [
        (url.user, "user information is not permitted in the URL"),
        (Some(url.fragment), "fragments are not permitted in the URL"),
        (
            Some(url.query),
            "query parameters are not permitted in the URL",
        ),
    ] {
        if let Some(part) = part.filter(|part| url.user == Some(*part) || !part.is_empty()) {
            errors.invalid(path, part, text);
        }
    }
}

/// The parts of a URL as far as webhooks need them.
struct Url<'a> {
    scheme: &'a str,
    user: Option<&'a str>,
    host: &'a str,
    query: &'a str,
    fragment: &'a str,
}

impl<'a> Url<'a> {
    fn parse(text: &'a str) -> Self {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        let is_scheme = |scheme: &str| {
            !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            _ => ("", text),
        };
        let authority = rest.strip_prefix("//").unwrap_or_default();
        let authority = authority.split('/').next().unwrap_or_default();
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        Self {
            scheme,
            user,
            host,
            query,
            fragment,
        }
    }
}

/// `ValidateWebhookService`; the original mixes up its arguments, so that a missing name is told of
/// the namespace and the other way round.
fn check_service(errors: &mut Errors, path: &Path, service: &Value) {
    if service.text("namespace").is_empty() {
        errors.required(&path.child("name"), "");
    }
    if service.text("name").is_empty() {
        errors.required(&path.child("namespace"), "");
    }
    let port = service.number("port").unwrap_or(443);
    let reasons = port_number(port);
    if !reasons.is_empty() {
        let text = format!("port is not valid: {}", reasons.join(", "));
        errors.invalid(&path.child("port"), port, text);
    }
    let target = service.text("path");
    if matches!(target, "" | "/") {
        return;
    }
    let path = path.child("path");
    if target == "//" {
        errors.invalid(&path, target, "segment[0] may not be empty");
        return;
    }
    if !target.starts_with('/') {
        errors.invalid(&path, target, "must start with a '/'");
    }
    let mut rest = target.chars();
    rest.next();
    let rest = rest.as_str();
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    for (index, segment) in rest.split('/').enumerate() {
        if segment.is_empty() {
            errors.invalid(&path, target, format!("segment[{index}] may not be empty"));
            continue;
        }
        for reason in dns1123_subdomain(segment) {
            errors.invalid(&path, target, format!("segment[{index}]: {reason}"));
        }
    }
}

fn check_reviews(errors: &mut Errors, path: &Path, versions: &[&str], strict: bool) {
    if versions.is_empty() {
        errors.required(path, "");
        return;
    }
    for (index, version) in versions.iter().enumerate() {
        let path = path.index(index);
        if versions[..index].contains(version) {
            errors.invalid(&path, *version, "duplicate version");
            continue;
        }
        errors.invalid_each(&path, version, dns1035_label(version));
    }
    if strict && !knows_review(versions) {
        let text = format!("must include at least one of {}", REVIEWS.join(", "));
        errors.invalid(path, versions.to_vec(), text);
    }
}

fn knows_review(versions: &[&str]) -> bool {
    versions.iter().any(|version| REVIEWS.contains(version))
}

/// What an update may be held to, given what is stored.
pub(super) fn strictness(old: &Value, established: bool) -> Strictness {
    let conversion = old.at("spec").at("conversion");
    let webhook = conversion.at("webhook");
    let reviews = webhook.texts("conversionReviewVersions");
    let bundle = webhook.at("clientConfig").text("caBundle");
    Strictness {
        known_review: reviews.is_empty() || knows_review(&reviews),
        bundle: established && (bundle.is_empty() || is_bundle(bundle)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(conversion: &Value) -> Vec<String> {
        let mut errors = Errors::default();
        let strict = Strictness {
            known_review: true,
            bundle: true,
        };
        check(&mut errors, &Path::new("c"), conversion, strict);
        errors.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn webhooks_are_checked() {
        let none =
            texts(&json!({"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}));
        assert_eq!(
            none,
            [
                "c.conversionReviewVersions: Forbidden: should not be set when strategy is not set to Webhook"
            ]
        );
        let url = |url: &str| {
            texts(&json!({"strategy": "Webhook", "webhook": {
                "conversionReviewVersions": ["v1"], "clientConfig": {"url": url}}}))
        };
        assert!(url("https://a.b/c").is_empty());
        assert_eq!(
            url("http://u@h/#f"),
            [
                "c.webhookClientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
                "c.webhookClientConfig.url: Invalid value: \"u\": user information is not permitted in the URL",
                "c.webhookClientConfig.url: Invalid value: \"f\": fragments are not permitted in the URL",
            ]
        );
        let service = texts(&json!({"strategy": "Webhook", "webhook": {
            "conversionReviewVersions": ["v2", "v2"],
            "clientConfig": {"service": {"name": "", "namespace": "n", "path": "/a//b", "port": 0}}}}));
        assert_eq!(service.len(), 5, "{service:?}");
    }
}
