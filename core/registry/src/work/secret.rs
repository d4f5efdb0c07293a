//! Secrets. Source: `pkg/registry/core/secret`.

use super::config_map::{MAX_SIZE, decoded_size, immutable};
use crate::field::path::{Errors, IMMUTABLE, Path};
use crate::field::read::{Read, copy_field, ensure, remove, set, set_default};
use crate::field::{names, words};
use crate::{Context, Strategy};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::FieldError;
use serde_json::Value;

/// The rules of Secrets.
pub(crate) struct Secrets;

impl Strategy for Secrets {
    fn default(&self, object: &mut Value) {
        set_default(object, "type", "Opaque");
        let texts = remove(object, "stringData");
        let entries = texts.as_ref().and_then(Value::as_object);
        for (key, value) in entries.into_iter().flatten() {
            let encoded = STANDARD.encode(value.as_str().unwrap_or_default());
            if let Some(data) = ensure(object, "data") {
                set(data, key, encoded);
            }
        }
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        if object.text("type").is_empty() {
            copy_field(object, old, "type");
        }
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::default();
        data(&mut errors, object);
        required_keys(&mut errors, object);
        errors.0
    }

    fn validate_update(
        &self,
        object: &Value,
        old: &Value,
        context: &Context<'_>,
    ) -> Vec<FieldError> {
        let mut errors = Errors::default();
        if object.text("type") != old.text("type") {
            errors.invalid(&Path::new("type"), object.text("type"), IMMUTABLE);
        }
        immutable(&mut errors, object, old, &["data"]);
        errors.extend(self.validate(object, context));
        errors.0
    }

    fn warnings(&self, object: &Value, _: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        if object.text("type") != "kubernetes.io/tls" {
            return Vec::new();
        }
        tls_problem(object).into_iter().collect()
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        vec![("type", object.text("type").to_owned())]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["type"]
    }
}

fn data(errors: &mut Errors, object: &Value) {
    let (path, mut size) = (Path::new("data"), 0);
    for (key, value) in object.entries("data") {
        errors.invalid_each(&path.key(key), key, words::config_key(key));
        size += decoded_size(value);
    }
    if size > MAX_SIZE {
        errors.too_long(&path, MAX_SIZE);
    }
}

/// Each known type needs its keys.
fn required_keys(errors: &mut Errors, object: &Value) {
    let (path, data) = (Path::new("data"), object.at("data"));
    let there = |key: &str| data.get(key).is_some();
    match object.text("type") {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            if object.at("metadata").at("annotations").text(key).is_empty() {
                let annotations = Path::new("metadata").child("annotations");
                errors.required(&annotations.key(key), "");
            }
        }
        "kubernetes.io/dockercfg" => docker(errors, object, ".dockercfg"),
        "kubernetes.io/dockerconfigjson" => docker(errors, object, ".dockerconfigjson"),
        "kubernetes.io/basic-auth" if !there("username") && !there("password") => {
            errors.required(&path.key("username"), "");
            errors.required(&path.key("password"), "");
        }
        "kubernetes.io/ssh-auth" if data.text("ssh-privatekey").is_empty() => {
            errors.required(&path.key("ssh-privatekey"), "");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"] {
                if !there(key) {
                    errors.required(&path.key(key), "");
                }
            }
        }
        _ => {}
    }
}

fn decoded(object: &Value, key: &str) -> Option<Vec<u8>> {
    let text = object.at("data").get(key)?.as_str().unwrap_or_default();
    Some(STANDARD.decode(text).unwrap_or_default())
}

fn docker(errors: &mut Errors, object: &Value, key: &str) {
    let path = Path::new("data").key(key);
    let Some(bytes) = decoded(object, key) else {
        errors.required(&path, "");
        return;
    };
    if let Some(text) = json_object_problem(&bytes) {
        errors.invalid(&path, "<secret contents redacted>", text);
    }
}

/// What Go's JSON decoder says when it wants an object (`null` is one too).
fn json_object_problem(bytes: &[u8]) -> Option<String> {
    match schema::json::parse(bytes) {
        Ok(Value::Object(_) | Value::Null) => None,
        Ok(other) => Some(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            schema::json::type_word(&other)
        )),
        Err(error) => Some(error.to_string()),
    }
}

/// A certificate and key that no TLS server could use (`tls.X509KeyPair`).
fn tls_problem(object: &Value) -> Option<String> {
    let parts = [("tls.crt", "certificate"), ("tls.key", "key")];
    for (key, what) in parts {
        let bytes = decoded(object, key).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        if !has_pem_block(&text) {
            return Some(format!("tls: failed to find any PEM data in {what} input"));
        }
        let fits = match what {
            "certificate" => text.contains("-----BEGIN CERTIFICATE-----"),
            _ => text.contains("PRIVATE KEY-----"),
        };
        if !fits {
            return Some(wrong_block(&text, what));
        }
    }
    None
}

fn has_pem_block(text: &str) -> bool {
    let Some(start) = text.find("-----BEGIN ") else {
        return false;
    };
    let rest = &text[start + 11..];
    let Some(end) = rest.find("-----") else {
        return false;
    };
    rest.contains(&format!("-----END {}-----", &rest[..end]))
}

fn wrong_block(text: &str, what: &str) -> String {
    let kinds: Vec<&str> = text
        .split("-----BEGIN ")
        .skip(1)
        .filter_map(|rest| rest.split_once("-----").map(|(kind, _)| kind))
        .collect();
    if what == "certificate" {
        let private = kinds.iter().any(|kind| kind.ends_with("PRIVATE KEY"));
        if kinds.len() == 1 && private {
            return "tls: failed to find certificate PEM data in certificate input, but did find a \
                    private key; PEM inputs may have been switched"
                .to_owned();
        }
        return format!(
            "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping \
             PEM blocks of the following types: [{}]",
            kinds.join(" ")
        );
    }
    if kinds == ["CERTIFICATE"] {
        return "tls: found a certificate rather than a key in the PEM for the private key"
            .to_owned();
    }
    format!(
        "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after \
         skipping PEM blocks of the following types: [{}]",
        kinds.join(" ")
    )
}
