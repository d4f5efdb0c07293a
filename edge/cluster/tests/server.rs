//! The client against a real API server: this project's own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use apid::{Server, Settings};
use cluster::{
    Client, Collection, Config, Feed, Lease, LeaseSettings, Notes, Notice, Regarding, Told,
};
use model::{Event, EventKind, ObjectKey, Resource, Write};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn dir(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("portolan-cluster-{name}-{}", std::process::id()))
}

async fn start(dir: &Path, listen: &str) -> Server {
    let listen: SocketAddr = listen.parse().unwrap();
    let cidr = "10.96.0.0/16".parse().unwrap();
    Server::start(Settings::new(dir, listen, vec![cidr]))
        .await
        .unwrap()
}

fn client(server: &Server) -> Client {
    Client::new(
        Config::from_kubeconfig(server.kubeconfig()).unwrap(),
        "tests",
    )
}

fn config_map(name: &str, value: &str) -> Write {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"}, "data": {"v": value}});
    Write::Create {
        resource: Resource::CONFIG_MAPS,
        object,
    }
}

fn maps() -> BTreeSet<Collection> {
    let mut all = Collection::all(Resource::CONFIG_MAPS, "ConfigMap");
    "default".clone_into(&mut all.namespace);
    BTreeSet::from([all])
}

/// Reads until everything is told once.
async fn synced(feed: &mut Feed) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match within(feed.next()).await {
            Notice::Events(more) => events.extend(more.iter().cloned()),
            Notice::Synced => return events,
            other => panic!("{other:?}"),
        }
    }
}

async fn event(feed: &mut Feed) -> (EventKind, String) {
    loop {
        if let Notice::Events(events) = within(feed.next()).await {
            assert_eq!(events.len(), 1);
            return (events[0].kind, events[0].object.meta.name.to_string());
        }
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what)
        .await
        .expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_in_pages_watches_and_goes_on_after_the_server_was_gone() {
    let dir = dir("feed");
    let server = start(&dir, "127.0.0.1:0").await;
    let address = server.address().to_string();
    let client = client(&server);
    for n in 0..1100 {
        client
            .submit(&config_map(&format!("m{n}"), "1"))
            .await
            .unwrap();
    }
    let mut feed = Feed::new(client.clone());
    feed.follow(maps());
    let first = synced(&mut feed).await;
    assert!(first.len() >= 1100, "{}", first.len());
    assert!(
        first
            .iter()
            .all(|event| event.object.value()["kind"] == "ConfigMap")
    );

    client.submit(&config_map("new", "1")).await.unwrap();
    assert_eq!(event(&mut feed).await, (EventKind::Added, "new".to_owned()));
    let key = ObjectKey::new(Resource::CONFIG_MAPS, "default", "new");
    let patch = Write::MergePatch {
        key: key.clone(),
        subresource: "",
        patch: json!({"data": {"v": "2"}}),
    };
    client.submit(&patch).await.unwrap();
    assert_eq!(
        event(&mut feed).await,
        (EventKind::Modified, "new".to_owned())
    );

    server.stop().await;
    assert!(matches!(within(feed.next()).await, Notice::Trouble { .. }));
    let server = start(&dir, &address).await;
    let delete = Write::Delete {
        key: key.clone(),
        uid: None,
        grace_seconds: None,
        propagation: None,
    };
    client.submit(&delete).await.unwrap();
    assert_eq!(
        event(&mut feed).await,
        (EventKind::Deleted, "new".to_owned())
    );
    assert_eq!(client.object(&key).await.unwrap(), None);

    feed.follow(BTreeSet::new());
    let Notice::Events(gone) = within(feed.next()).await else {
        panic!("no events");
    };
    assert!(gone.len() >= 1100 && gone.iter().all(|event| event.kind == EventKind::Deleted));
    server.stop().await;
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_events_are_counted_and_refusals_are_told() {
    let dir = dir("notes");
    let server = start(&dir, "127.0.0.1:0").await;
    let client = client(&server);
    let notes = Notes::new(client.clone(), "portolan", "node-1");
    let told = Told {
        regarding: Regarding {
            resource: Resource::NODES,
            kind: "Node",
            namespace: String::new(),
            name: "node-1".to_owned(),
            uid: "node-1".to_owned(),
        },
        kind: "Warning",
        reason: "RulesetRepaired".to_owned(),
        action: "Repairing".to_owned(),
        note: "ü".repeat(900),
    };
    notes.tell(told.clone()).await.unwrap();
    notes.tell(told.clone()).await.unwrap();
    let list = client
        .get("/apis/events.k8s.io/v1/namespaces/default/events")
        .await
        .unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let items = list["items"].as_array().unwrap();
    let ours = items
        .iter()
        .filter(|item| item["reason"] == "RulesetRepaired");
    let ours: Vec<&Value> = ours.collect();
    assert_eq!(ours.len(), 1, "an equal event is not written twice");
    assert_eq!(ours[0]["regarding"]["name"], "node-1");
    assert_eq!(ours[0]["note"].as_str().unwrap().chars().count(), 500);

    let bad = Write::Create {
        resource: Resource::SERVICES,
        object: json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "x", "namespace": "default"}, "spec": {}}),
    };
    let error = client.submit(&bad).await.unwrap_err();
    assert_eq!(error.code(), Some(422));
    assert!(
        error.to_string().contains("spec.ports: Required value"),
        "{error}"
    );
    server.stop().await;
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_leads_and_hands_over_when_it_ends() {
    let dir = dir("lease");
    let server = start(&dir, "127.0.0.1:0").await;
    let settings = |identity: &str| LeaseSettings {
        retry: Duration::from_millis(50),
        ..LeaseSettings::new("default", "leader", identity)
    };
    let mut first = Lease::start(client(&server), settings("a"));
    within(first.changed()).await;
    assert!(first.leads());
    let mut second = Lease::start(client(&server), settings("b"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(first.leads() && !second.leads());
    drop(first);
    within(second.changed()).await;
    assert!(second.leads());
    server.stop().await;
    std::fs::remove_dir_all(&dir).unwrap();
}
