//! An ordinary kube-rs controller: it defines its own kind, keeps a ConfigMap for each object by
//! server-side apply, holds a finalizer, and tells a status. It ends when it has cleaned up after
//! the object `last`. Argument: kubeconfig.

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher;
use kube::{Client, Config, CustomResource, CustomResourceExt, Resource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

const MANAGER: &str = "pages.example.com";

/// A page of text.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "example.com",
    version = "v1",
    kind = "Page",
    namespaced,
    status = "PageStatus",
    shortname = "pg"
)]
#[kube(printcolumn = r#"{"name":"Words","type":"integer","jsonPath":".status.words"}"#)]
#[serde(rename_all = "camelCase")]
struct PageSpec {
    /// What stands on the page
    text: String,
    #[serde(default)]
    #[schemars(range(min = 0, max = 9))]
    level: i32,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct PageStatus {
    words: i64,
}

struct Shared {
    client: Client,
    done: Notify,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error("finalizer: {0}")]
    Finalizer(#[source] Box<kube::runtime::finalizer::Error<kube::Error>>),
}

async fn reconcile(page: Arc<Page>, shared: Arc<Shared>) -> Result<Action, Error> {
    let pages: Api<Page> =
        Api::namespaced(shared.client.clone(), &page.namespace().unwrap_or_default());
    finalizer(&pages, "example.com/page", page, |event| async {
        match event {
            Event::Apply(page) => apply(&page, &shared).await,
            Event::Cleanup(page) => clean(&page, &shared).await,
        }
    })
    .await
    .map_err(|error| Error::Finalizer(Box::new(error)))
}

async fn apply(page: &Page, shared: &Shared) -> Result<Action, kube::Error> {
    let namespace = page.namespace().unwrap_or_default();
    let maps: Api<ConfigMap> = Api::namespaced(shared.client.clone(), &namespace);
    let name = page.name_any();
    let owner = page.controller_owner_ref(&());
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": owner.into_iter().collect::<Vec<_>>()},
        "data": {"text": page.spec.text},
    });
    let ours = PatchParams::apply(MANAGER).force();
    maps.patch(&name, &ours, &Patch::Apply(map)).await?;
    let words = page.spec.text.split_whitespace().count();
    let status =
        json!({"apiVersion": "example.com/v1", "kind": "Page", "status": {"words": words}});
    let pages: Api<Page> = Api::namespaced(shared.client.clone(), &namespace);
    pages
        .patch_status(&name, &ours, &Patch::Apply(status))
        .await?;
    Ok(Action::requeue(Duration::from_secs(300)))
}

async fn clean(page: &Page, shared: &Shared) -> Result<Action, kube::Error> {
    let maps: Api<ConfigMap> =
        Api::namespaced(shared.client.clone(), &page.namespace().unwrap_or_default());
    match maps
        .delete(&page.name_any(), &DeleteParams::default())
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        other => drop(other?),
    }
    if page.name_any() == "last" {
        shared.done.notify_one();
    }
    Ok(Action::await_change())
}

async fn define(client: &Client) -> anyhow::Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = "pages.example.com";
    definitions
        .patch(
            name,
            &PatchParams::apply(MANAGER),
            &Patch::Apply(Page::crd()),
        )
        .await?;
    let established = await_condition(definitions, name, conditions::is_crd_established());
    tokio::time::timeout(Duration::from_secs(30), established).await??;
    Ok(())
}

async fn refuses_what_the_schema_forbids(client: &Client) -> anyhow::Result<()> {
    let pages: Api<Page> = Api::default_namespaced(client.clone());
    let wrong = Page::new(
        "wrong",
        PageSpec {
            text: "x".to_owned(),
            level: 99,
        },
    );
    match pages.create(&PostParams::default(), &wrong).await {
        Err(kube::Error::Api(status))
            if status.code == 422 && status.message.contains("spec.level") =>
        {
            Ok(())
        }
        other => anyhow::bail!("not refused: {other:?}"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_default();
    let config =
        Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default())
            .await?;
    let client = Client::try_from(config)?;
    define(&client).await?;
    refuses_what_the_schema_forbids(&client).await?;
    println!("ready");
    let shared = Arc::new(Shared {
        client: client.clone(),
        done: Notify::new(),
    });
    let pages: Api<Page> = Api::all(client.clone());
    let maps: Api<ConfigMap> = Api::all(client.clone());
    let controller = Controller::new(pages, watcher::Config::default())
        .owns(maps, watcher::Config::default())
        .run(
            reconcile,
            |page: Arc<Page>, error, _| {
                eprintln!("{}: {error}", page.name_any());
                Action::requeue(Duration::from_millis(200))
            },
            shared.clone(),
        )
        .for_each(|_| futures::future::ready(()));
    // A task of its own: it has the last finalizer to remove after the last clean-up.
    let controller = tokio::spawn(controller);
    tokio::select! {
        ended = controller => anyhow::bail!("the controller ended: {ended:?}"),
        () = tokio::time::sleep(Duration::from_secs(120)) => anyhow::bail!("nobody deleted the last page"),
        () = shared.done.notified() => {}
    }
    // The finalizer's own removal comes after the clean-up.
    let pages: Api<Page> = Api::default_namespaced(client);
    for _ in 0..200 {
        if pages.get_opt("last").await?.is_none() {
            println!("done");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the last page keeps its finalizer")
}
