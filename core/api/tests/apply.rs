//! Server-side apply through the engine: examples, and what holds for all configurations.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use api::{Engine, Env, Outcome, PatchForm, Payload, Query, Reply, Request, Settings, State, Verb};
use model::{ApiError, Resource, Timestamp, User};
use proptest::prelude::*;
use schema::Registry;
use serde_json::{Value, json};

struct Bench {
    engine: Engine,
    settings: Settings,
    seconds: i64,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            engine: Engine::new(State::default(), 0),
            settings: Settings {
                service_cidrs: vec!["10.96.0.0/16".parse().unwrap()],
                node_ports: (30000, 32767),
                loopback_endpoints: false,
            },
            seconds: 0,
        };
        let namespace = json!({"metadata": {"name": "d"}});
        let env = Env {
            now: Timestamp::from_micros(0),
            random: &|| 7,
            settings: &bench.settings,
        };
        bench
            .engine
            .seed(Resource::NAMESPACES, namespace, &env)
            .unwrap();
        bench
    }

    fn send(&mut self, request: &Request) -> Result<Outcome, ApiError> {
        self.seconds += 1;
        let env = Env {
            now: Timestamp::from_micros(self.seconds * 1_000_000),
            random: &|| 7,
            settings: &self.settings,
        };
        self.engine.handle(request, &env)
    }

    fn request(kind: &str, form: PatchForm, query: &[(&str, &str)], body: Value) -> Request {
        let registry = Registry::builtin();
        let query = query
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Request {
            verb: Verb::Patch,
            kind: registry.by_kind("v1", kind).unwrap().clone(),
            namespace: "d".to_owned(),
            name: "x".to_owned(),
            subresource: String::new(),
            query: Query(query.collect()),
            payload: Payload::Value(body),
            patch: Some(form),
            user: User::default(),
            agent: "test".to_owned(),
            create_refusal: None,
        }
    }

    /// Applies the rest of a ConfigMap.
    fn apply(&mut self, manager: &str, force: bool, data: &Value) -> Result<Value, ApiError> {
        let mut config =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}});
        if let (Value::Object(config), Value::Object(data)) = (&mut config, data) {
            config.extend(data.clone());
        }
        let force = if force { "true" } else { "false" };
        let query = [("fieldManager", manager), ("force", force)];
        let request = Self::request("ConfigMap", PatchForm::Apply, &query, config);
        Ok(shown(self.send(&request)?))
    }

    fn patch(&mut self, manager: &str, patch: Value) -> Result<Value, ApiError> {
        let query = [("fieldManager", manager)];
        let request = Self::request("ConfigMap", PatchForm::Merge, &query, patch);
        Ok(shown(self.send(&request)?))
    }
}

fn shown(outcome: Outcome) -> Value {
    match outcome.reply {
        Reply::Stored(object) => object.value(),
        Reply::Value(value) => value,
        Reply::Items(_) => Value::Null,
    }
}

fn owned<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let entries = object["metadata"]["managedFields"].as_array();
    let mut entries = entries.into_iter().flatten();
    entries
        .find(|entry| entry["manager"] == manager)
        .map_or(&Value::Null, |entry| &entry["fieldsV1"])
}

#[test]
fn what_a_manager_no_longer_names_goes() {
    let mut bench = Bench::new();
    let both = json!({"data": {"a": "1", "b": "2"}});
    let made = bench.apply("one", false, &both).unwrap();
    assert_eq!(
        owned(&made, "one"),
        &json!({"f:data": {"f:a": {}, "f:b": {}}})
    );
    let shared = bench.apply("two", false, &json!({"data": {"b": "2"}}));
    assert_eq!(
        owned(&shared.unwrap(), "two"),
        &json!({"f:data": {"f:b": {}}})
    );
    let less = bench
        .apply("one", false, &json!({"data": {"c": "3"}}))
        .unwrap();
    assert_eq!(less["data"], json!({"b": "2", "c": "3"}));
    let none = bench.apply("one", false, &json!({})).unwrap();
    assert_eq!(none["data"], json!({"b": "2"}));
    assert_eq!(owned(&none, "one"), &Value::Null);
}

#[test]
fn conflicts_name_owners_and_fields() {
    let mut bench = Bench::new();
    bench
        .apply("one", false, &json!({"data": {"a": "1", "b": "1"}}))
        .unwrap();
    bench.patch("edit", json!({"data": {"b": "2"}})).unwrap();
    let change = json!({"data": {"a": "9", "b": "9"}});
    let error = bench.apply("two", false, &change).unwrap_err();
    assert_eq!((error.code, error.reason), (409, "Conflict"));
    assert_eq!(
        error.message,
        "Apply failed with 2 conflicts: conflicts with \"edit\" using v1:\n- .data.b\nconflicts with \"one\":\n- .data.a"
    );
    let taken = bench.apply("two", true, &change).unwrap();
    assert_eq!(taken["data"], json!({"a": "9", "b": "9"}));
    assert_eq!(owned(&taken, "edit"), &Value::Null);
}

#[test]
fn many_updaters_become_one() {
    let mut bench = Bench::new();
    bench
        .apply("one", false, &json!({"data": {"own": "1"}}))
        .unwrap();
    let mut last = Value::Null;
    for i in 0..12 {
        let key = format!("k{i:02}");
        let patch = json!({"data": {key.clone(): "v"}});
        last = bench.patch(&format!("m{i:02}"), patch).unwrap();
    }
    let entries = last["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 11);
    let want = json!({"f:data": {"f:k00": {}, "f:k01": {}, "f:k02": {}}});
    assert_eq!(owned(&last, "ancient-changes"), &want);
}

fn config() -> impl Strategy<Value = Value> {
    let map = || proptest::collection::btree_map("[a-e]", "[xyz]", 0..4);
    let finalizers = proptest::collection::btree_set("[a-d]", 0..3);
    (map(), map(), finalizers).prop_map(|(data, labels, finalizers)| {
        let finalizers: Vec<String> = finalizers.iter().map(|f| format!("ex.io/{f}")).collect();
        json!({
            "data": data,
            "metadata": {"name": "x", "labels": labels, "finalizers": finalizers},
        })
    })
}

/// Whether all that a configuration names has its value in an object.
fn says(object: &Value, config: &Value) -> bool {
    match (object, config) {
        (object, Value::Object(config)) => config
            .iter()
            .all(|(key, value)| says(&object[key.as_str()], value) || value == &json!({})),
        (Value::Array(object), Value::Array(config)) => {
            config.iter().all(|item| object.contains(item))
        }
        (Value::Null, Value::Array(config)) => config.is_empty(),
        (object, value) => object == value,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn applying_twice_changes_nothing(first in config(), second in config()) {
        let mut bench = Bench::new();
        bench.apply("one", false, &first).unwrap();
        let once = bench.apply("two", true, &second).unwrap();
        let version = bench.engine.version();
        let twice = bench.apply("two", false, &second).unwrap();
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(bench.engine.version(), version);
        prop_assert!(says(&twice, &second), "{} {}", twice, second);
    }

    #[test]
    fn giving_everything_up_leaves_what_others_own(first in config(), second in config()) {
        let mut alone = Bench::new();
        let want = alone.apply("one", false, &first).unwrap();
        let mut bench = Bench::new();
        bench.apply("one", false, &first).unwrap();
        bench.apply("two", true, &second).unwrap();
        bench.apply("one", true, &first).unwrap();
        let left = bench.apply("two", false, &json!({"metadata": {"name": "x"}})).unwrap();
        prop_assert_eq!(&left["data"], &want["data"]);
        prop_assert_eq!(&left["metadata"]["labels"], &want["metadata"]["labels"]);
        prop_assert_eq!(owned(&left, "one"), owned(&want, "one"));
        prop_assert_eq!(owned(&left, "two"), &Value::Null);
    }
}
