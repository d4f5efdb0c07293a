//! Serves the Ingresses of a JSON list (`kubectl get … -o json`), and reads it again when it
//! changes:
//!
//! ```sh
//! cargo run -p httpd --example serve_http -- 127.0.0.1:8080 127.0.0.1:8443 objects.json
//! ```

use gateway::Planner;
use model::{ChangedKeys, Event, EventKind, Object, ObjectKey, Resource, Snapshot};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

type Objects = BTreeMap<ObjectKey, Arc<Object>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [http, https, path, flags @ ..] = arguments.as_slice() else {
        return Err("usage: serve HTTP-ADDRESS HTTPS-ADDRESS OBJECTS.json [--flags]".into());
    };
    let settings = httpd::Settings {
        http: Some(http.parse()?),
        https: Some(https.parse()?),
        threads: 2,
        ..httpd::Settings::default()
    };
    let bound = httpd::Server::bind(&settings)?;
    let mut gateway = gateway::Settings {
        https_port: bound.local_addrs().https.map_or(443, |a| a.port()),
        ..gateway::Settings::default()
    };
    if flags.iter().any(|flag| flag == "--flags") {
        let id = model::NamespacedName::new;
        gateway.default_backend = Some(id("replay", "svc-err"));
        gateway.default_certificate = Some(id("replay", "default-cert"));
        gateway.watch_without_class = true;
    }
    let mut snapshot = Snapshot::default();
    let (mut planner, update) = Planner::new(&snapshot, &gateway);
    let table = planner.table().clone();
    let server = bound.serve(table)?;
    server.apply(update);
    let mut known = Objects::new();
    let mut text = String::new();
    println!("serving on {:?}", server.local_addrs());
    loop {
        let now = std::fs::read_to_string(path).unwrap_or_default();
        if now != text
            && let Ok(objects) = read(&now)
        {
            let changed = take(&mut snapshot, &known, &objects);
            let update = planner.apply(&snapshot, &changed);
            for error in server.apply(update) {
                println!("{error}");
            }
            for problem in planner.table().problems(&snapshot) {
                if flags.iter().any(|flag| flag == "--problems") {
                    println!("{problem}");
                }
            }
            known = objects;
            text = now;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn read(text: &str) -> Result<Objects, Box<dyn Error>> {
    let list: Value = serde_json::from_str(text)?;
    let mut objects = Objects::new();
    for item in list["items"].as_array().into_iter().flatten() {
        let resource = match item["kind"].as_str().unwrap_or_default() {
            "Service" => Resource::SERVICES,
            "EndpointSlice" => Resource::ENDPOINT_SLICES,
            "Ingress" => Resource::INGRESSES,
            "IngressClass" => Resource::INGRESS_CLASSES,
            "Secret" => Resource::SECRETS,
            "ConfigMap" => Resource::CONFIG_MAPS,
            _ => continue,
        };
        let object = Arc::new(Object::from_value(resource, item)?);
        objects.insert(object.key(), object);
    }
    Ok(objects)
}

fn take(snapshot: &mut Snapshot, old: &Objects, new: &Objects) -> ChangedKeys {
    let mut changed = ChangedKeys::default();
    for (key, object) in old {
        if !new.contains_key(key) {
            let event = Event {
                kind: EventKind::Deleted,
                object: object.clone(),
                old: None,
            };
            snapshot.apply(&event, &mut changed);
        }
    }
    for (key, object) in new {
        let before = old.get(key);
        if before.is_none_or(|before| before.bytes != object.bytes) {
            let event = Event {
                kind: EventKind::Modified,
                object: object.clone(),
                old: before.cloned(),
            };
            snapshot.apply(&event, &mut changed);
        }
    }
    changed
}
