//! Applies the YAML that `up -f` was given.

use crate::apply;
use crate::load::{Loaded, load};
use apid::Client;
use model::{ApiError, ObjectKey, View, Write};
use std::path::PathBuf;

/// How many objects were applied, and how many could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seeded {
    pub(crate) applied: usize,
    pub(crate) failed: usize,
}

/// Applies every object, Namespaces first, and says what became of each.
pub(crate) async fn apply(client: &Client, paths: &[PathBuf]) -> Seeded {
    let mut loading = load(paths);
    let mut seeded = Seeded {
        applied: 0,
        failed: loading.errors.len(),
    };
    for error in &loading.errors {
        eprintln!("error: {error:#}");
    }
    loading
        .objects
        .sort_by_key(|loaded| loaded.object["kind"] != "Namespace");
    for loaded in &loading.objects {
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
