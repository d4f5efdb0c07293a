//! What the fuzz targets share: an engine with something in it, and inputs as sections of text.

use api::{Engine, Env, Payload, Query, Request, Route, Settings, State, Verb};
use model::{ApiError, Timestamp};
use serde_json::Value;
use std::cell::Cell;

/// An API server's engine whose clock stands still.
pub struct Server {
    /// The engine
    pub engine: Engine,
    settings: Settings,
    random: Cell<u64>,
}

impl Default for Server {
    fn default() -> Self {
        let cidr = "10.96.0.0/16".parse().expect("a constant");
        Self {
            engine: Engine::new(State::default(), 0),
            settings: Settings {
                service_cidrs: vec![cidr],
                node_ports: (30000, 32767),
                loopback_endpoints: true,
            },
            random: Cell::new(7),
        }
    }
}

impl Server {
    /// Sends one request as it would come from the network: method, path with query, content type,
    /// body. Reads are parsed and left unanswered.
    pub fn send(&mut self, method: &str, target: &str, content_type: &str, body: &[u8]) -> Option<Result<u16, ApiError>> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        let Route::Resource(route) = Route::parse(self.engine.registry(), &segments) else {
            return None;
        };
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query = Query(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
        let watch = query.flag("watch").unwrap_or(false);
        let verb = Verb::of(method, &route, watch).ok()?;
        if matches!(verb, Verb::List | Verb::Watch) {
            let options = api::ListOptions::parse(&query, verb == Verb::Watch);
            let _ = options.map(|options| api::Selection::new(&route, &options).is_ok());
            return None;
        }
        if matches!(verb, Verb::Get | Verb::Connect) {
            return None;
        }
        let patch = match verb {
            Verb::Patch => Some(api::patch_form(&route.kind, Some(content_type)).ok()?),
            _ => None,
        };
        let request = Request {
            verb,
            kind: route.kind.clone(),
            namespace: route.namespace.clone(),
            name: route.name.clone(),
            subresource: route.subresource.clone(),
            query,
            payload: if body.is_empty() { Payload::Empty } else { Payload::Json(body.to_vec()) },
            patch,
            user: model::User::default(),
            agent: "fuzz".to_owned(),
            create_refusal: None,
        };
        let env = Env {
            now: Timestamp::parse("2026-11-25T12:00:00Z").unwrap_or_default(),
            random: &|| {
                self.random.set(self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                self.random.get()
            },
            settings: &self.settings,
        };
        Some(self.engine.handle(&request, &env).map(|outcome| outcome.code))
    }

    /// Stores an object; it must be a good one.
    pub fn must(&mut self, target: &str, body: &Value) {
        let sent = self.send("POST", target, "application/json", body.to_string().as_bytes());
        assert!(matches!(sent, Some(Ok(201))), "{target}: {sent:?}");
    }
}

/// Text split at lines that hold nothing but `--`.
pub fn sections(data: &[u8]) -> Option<Vec<&str>> {
    Some(std::str::from_utf8(data).ok()?.split("\n--\n").collect())
}
