//! What describes the server: discovery, OpenAPI, version.

use super::{Answer, Call, Failure, Front, health};
use api::{Accept, answer};
use bytes::Bytes;
use http::header;
use schema::Registry;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Hashes of documents, made when they are first asked for: the documents are large and asked for
/// rarely, so that only the hashes are kept.
#[derive(Default)]
pub(crate) struct Documents {
    index: OnceLock<BTreeMap<String, String>>,
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02X}")).collect()
}

impl Documents {
    /// Documents of built-in kinds by their path. They never change.
    fn builtin(&self) -> &BTreeMap<String, String> {
        self.index.get_or_init(|| {
            let registry = Registry::builtin();
            let hashed = registry.openapi_v3_builtin().into_iter().map(|path| {
                let document = registry.openapi_v3(&path).unwrap_or_default();
                let hash = hash(document.to_string().as_bytes());
                (path, hash)
            });
            hashed.collect()
        })
    }

    fn hashes(&self, registry: &Registry) -> BTreeMap<String, String> {
        let mut hashes = self.builtin().clone();
        for (path, mark) in registry.openapi_v3_custom() {
            hashes.insert(path, format!("{mark:016X}"));
        }
        hashes
    }
}

/// Answers a path that names no objects.
pub(super) fn serve(
    front: &Front,
    call: Call,
    method: &str,
    path: &str,
    segments: &[String],
) -> Result<Answer, Failure> {
    if let Some(answer) = health::serve(front, &call, segments) {
        return Ok(answer);
    }
    let parts: Vec<&str> = segments
        .iter()
        .map(String::as_str)
        .filter(|s| !s.is_empty())
        .collect();
    let pretty = api::is_pretty(&call.query, call.agent());
    let registry = &call.registry;
    let document = match parts[..] {
        ["version"] => Some(version()),
        ["openid", "v1", "jwks"] if method == "GET" => return issuer_keys(front),
        [".well-known", "openid-configuration"] if method == "GET" => {
            return Ok(issuer(front));
        }
        ["metrics"] if method == "GET" => return Ok(Answer::text(200, metrics(front))),
        ["openapi", "v2"] if method == "GET" => return Ok(openapi_v2(&call, registry)),
        ["openapi", "v3"] if method == "GET" => {
            return Ok(openapi_index(&front.documents, registry));
        }
        ["openapi", "v3", ..] if method == "GET" => {
            let name = path
                .trim_start_matches("/openapi/v3/")
                .trim_end_matches('/');
            let document = openapi_v3(&front.documents, registry, &call, name);
            return Ok(document.unwrap_or_else(|| Answer::new(404, "", Bytes::new())));
        }
        ["api"] | ["apis"] => match Accept::aggregated_discovery(call.accept_text().as_deref()) {
            Some(version) if method == "GET" => {
                return Ok(aggregated(registry, parts[0] == "api", version, &call));
            }
            _ if parts[0] == "api" => Some(registry.api_versions(&front.address)),
            _ => Some(registry.api_groups()),
        },
        ["apis", group] => registry.api_group(group),
        ["api", version] => registry.api_resources("", version),
        ["apis", group, version] => registry.api_resources(group, version),
        [] if method == "GET" => Some(root_paths(registry)),
        _ => None,
    };
    let document = document.ok_or_else(|| not_found(path))?;
    if method != "GET" {
        return Err(answer::method_not_allowed().into());
    }
    Ok(Answer::json(200, &document, pretty))
}

/// Documents about the issuer of ServiceAccounts' tokens may be kept for an hour.
fn for_an_hour(content_type: &'static str, document: &Value) -> Answer {
    let mut answer = Answer::new(200, content_type, document.to_string());
    answer.header(header::CACHE_CONTROL, "public, max-age=3600");
    answer
}

/// The public keys of the issuer (RFC 7517).
fn issuer_keys(front: &Front) -> Result<Answer, Failure> {
    let keys = front.keys.jwks().map_err(answer::internal)?;
    Ok(for_an_hour("application/jwk-set+json", &keys))
}

/// The issuer (OpenID Connect Discovery 1.0, section 3).
fn issuer(front: &Front) -> Answer {
    let document = json!({
        "issuer": access::token::ISSUER,
        "jwks_uri": format!("https://{}/openid/v1/jwks", front.address),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    for_an_hour("application/json", &document)
}

/// The server's own metrics, and those that it was given.
fn metrics(front: &Front) -> String {
    let mut text = front.hub.metrics.render();
    if let Some(more) = &front.metrics {
        text.push_str(&more());
    }
    text
}

fn not_found(_path: &str) -> Failure {
    Failure::Stream(Answer::text(404, "404 page not found\n"))
}

fn root_paths(registry: &Registry) -> Value {
    let mut paths: Vec<String> = [
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/readyz",
        "/openapi/v2",
        "/openapi/v3",
        "/version",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    for kind in registry.kinds() {
        if kind.group.is_empty() {
            paths.push(format!("/api/{}", kind.version));
        } else {
            paths.push(format!("/apis/{}", kind.group));
            paths.push(format!("/apis/{}/{}", kind.group, kind.version));
        }
    }
    paths.sort();
    paths.dedup();
    json!({"paths": paths})
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
        "gitVersion": "v1.36.2", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2026-06-10T00:00:00Z", "goVersion": "go1.26", "compiler": "gc",
        "platform": format!("{}/{}", std::env::consts::OS, match std::env::consts::ARCH {
            "x86_64" => "amd64", "aarch64" => "arm64", other => other,
        }),
    })
}

/// An answer with an ETag; 304 when the client has it already.
fn tagged(call: &Call, content_type: &'static str, bytes: Vec<u8>) -> Answer {
    let tag = format!("\"{}\"", hash(&bytes));
    let has = call
        .header("if-none-match")
        .is_some_and(|known| known == tag);
    let mut answer = if has {
        Answer::new(304, "", Bytes::new())
    } else {
        Answer::new(200, content_type, bytes)
    };
    answer.header(header::ETAG, &tag);
    answer.header(header::VARY, "Accept");
    answer
}

fn aggregated(registry: &Registry, core: bool, version: &'static str, call: &Call) -> Answer {
    let document = registry.aggregated_discovery(core, version);
    let content_type = match version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    tagged(call, content_type, document.to_string().into_bytes())
}

fn openapi_v2(call: &Call, registry: &Registry) -> Answer {
    let wants = call.accept_text().unwrap_or_default();
    if wants.contains("proto-openapi.spec.v2") {
        let content_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
        return tagged(call, content_type, registry.openapi_v2_protobuf());
    }
    tagged(
        call,
        "application/json",
        registry.openapi_v2().to_string().into_bytes(),
    )
}

fn openapi_index(documents: &Documents, registry: &Registry) -> Answer {
    let paths: serde_json::Map<String, Value> = documents
        .hashes(registry)
        .iter()
        .map(|(path, hash)| {
            let url = format!("/openapi/v3/{path}?hash={hash}");
            (path.clone(), json!({"serverRelativeURL": url}))
        })
        .collect();
    Answer::new(
        200,
        "text/plain; charset=utf-8",
        json!({"paths": paths}).to_string(),
    )
}

fn openapi_v3(
    documents: &Documents,
    registry: &Registry,
    call: &Call,
    name: &str,
) -> Option<Answer> {
    let hashes = documents.hashes(registry);
    let current = hashes.get(name)?;
    if let Some(asked) = call.query.get("hash").filter(|asked| asked != current) {
        tracing::debug!(asked, "an OpenAPI document was asked for by an old hash");
        let mut answer = Answer::new(301, "", Bytes::new());
        answer.header(
            header::LOCATION,
            &format!("/openapi/v3/{name}?hash={current}"),
        );
        return Some(answer);
    }
    let document = registry.openapi_v3(name)?;
    let mut answer = tagged(call, "application/json", document.to_string().into_bytes());
    if call.query.get("hash").is_some() {
        answer.header(header::EXPIRES, "Fri, 31 Dec 2100 00:00:00 GMT");
    }
    Some(answer)
}
