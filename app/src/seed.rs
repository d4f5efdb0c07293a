//! Applies the YAML that `up -f` was given.

use crate::apply;
use crate::load::{Loaded, load};
use apid::Client;
use model::{ApiError, ObjectKey, View, Write};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How many objects were applied, and how many could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seeded {
    pub(crate) applied: usize,
    pub(crate) failed: usize,
}

/// How long definitions may take until their kinds are served.
const ESTABLISHED: Duration = Duration::from_secs(10);

/// Applies every object, Namespaces and definitions first, and says what became of each.
pub(crate) async fn apply(client: &Client, paths: &[PathBuf]) -> Seeded {
    let mut loading = load(paths);
    let mut seeded = Seeded {
        applied: 0,
        failed: loading.errors.len(),
    };
    for error in &loading.errors {
        eprintln!("error: {error:#}");
    }
    loading.objects.sort_by_key(|loaded| !loaded.comes_first());
    let defined: BTreeSet<&str> = loading.objects.iter().filter_map(Loaded::defines).collect();
    // One wait for all kinds: a definition that is never served must not hold up each object.
    let mut deadline = None;
    for loaded in &loading.objects {
        let kind = loaded.object["kind"].as_str().unwrap_or_default();
        if defined.contains(kind) {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + ESTABLISHED);
            wait_for_kind(client, &loaded.object, deadline).await;
        }
        match apply_one(client, loaded).await {
            Ok(line) => {
                println!("{line}");
                seeded.applied += 1;
            }
            Err(error) => {
                let at = format!("{}, document {}", loaded.path.display(), loaded.document);
                eprintln!("error: {at}: {error}");
                seeded.failed += 1;
            }
        }
    }
    seeded
}

/// Waits until the object's kind is served, but not for ever: what is wrong with the definition
/// has been said already.
async fn wait_for_kind(client: &Client, object: &Value, deadline: Instant) {
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    let is_served = || {
        let registry = client.registry();
        registry.by_kind(text("apiVersion"), text("kind")).is_some()
    };
    while !is_served() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn apply_one(client: &Client, loaded: &Loaded) -> Result<String, ApiError> {
    let object = &loaded.object;
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(|v| v.as_str())
            .unwrap_or_default()
    };
    let (version, kind) = (text("/apiVersion"), text("/kind"));
    let Some(known) = client.registry().by_kind(version, kind).cloned() else {
        let message = format!("no kind {kind:?} is served in {version:?}");
        return Err(ApiError::new(404, "NotFound", message));
    };
    let name = text("/metadata/name");
    let namespace = match text("/metadata/namespace") {
        _ if !known.namespaced => "",
        "" => "default",
        namespace => namespace,
    };
    let mut wanted = object.clone();
    if known.namespaced
        && let Some(meta) = wanted["metadata"].as_object_mut()
    {
        meta.insert("namespace".to_owned(), namespace.into());
    }
    let shown = format!("{}/{name}", known.resource);
    let Some(live) = client.get(known.resource, namespace, name) else {
        let object = apply::annotated(&wanted);
        client
            .submit(Write::Create {
                resource: known.resource,
                object,
            })
            .await?;
        return Ok(format!("{shown} created"));
    };
    let Some(patch) = apply::patch(&wanted, &live.value()) else {
        return Ok(format!("{shown} unchanged"));
    };
    let key = ObjectKey::new(known.resource, namespace, name);
    client
        .submit(Write::MergePatch {
            key,
            subresource: "",
            patch,
        })
        .await?;
    Ok(format!("{shown} configured"))
}
