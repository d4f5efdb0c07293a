//! The client against a server that says what a script says: what a real one does rarely.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cluster::{Client, Collection, Config, Feed, Notice};
use model::{EventKind, Resource};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Serves `answers` one after another, each on a connection of its own, and tells what was asked.
fn serve(answers: Vec<(u16, String)>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = channel();
    std::thread::spawn(move || {
        for (code, body) in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(&stream).lines();
            let _ = tell.send(lines.next().unwrap().unwrap());
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let head = format!(
                "HTTP/1.1 {code} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = (&stream).write_all((head + &body).as_bytes());
        }
        std::thread::sleep(Duration::from_secs(60));
    });
    (url, asked)
}

fn client(url: &str) -> Client {
    let name = url.rsplit(':').next().unwrap();
    let path = std::env::temp_dir().join(format!("portolan-script-{name}-{}", std::process::id()));
    let text = format!(
        "clusters: [{{name: c, cluster: {{server: \"{url}\"}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    let config = Config::from_kubeconfig(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    Client::new(config, "tests")
}

fn list(version: u64, items: &[(&str, u64)]) -> (u16, String) {
    let items: Vec<String> = items.iter().map(|(name, version)| {
        format!(r#"{{"metadata":{{"name":"{name}","namespace":"a","uid":"{name}","resourceVersion":"{version}"}}}}"#)
    }).collect();
    (
        200,
        format!(
            r#"{{"kind":"ServiceList","metadata":{{"resourceVersion":"{version}"}},"items":[{}]}}"#,
            items.join(",")
        ),
    )
}

async fn next(feed: &mut Feed) -> Notice {
    let next = tokio::time::timeout(Duration::from_secs(30), feed.next()).await;
    next.expect("in time")
}

async fn changes(feed: &mut Feed) -> Vec<(EventKind, String)> {
    loop {
        if let Notice::Events(events) = next(feed).await {
            let each = events
                .iter()
                .map(|e| (e.kind, e.object.meta.name.to_string()));
            return each.collect();
        }
    }
}

#[tokio::test]
async fn what_was_missed_is_told_when_the_version_is_gone() {
    let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}"#;
    let (url, asked) = serve(vec![
        list(10, &[("kept", 1), ("changed", 2), ("gone", 3)]),
        (200, format!("{gone}\n")),
        list(20, &[("kept", 1), ("changed", 12), ("new", 13)]),
    ]);
    let mut feed = Feed::new(client(&url));
    feed.follow(BTreeSet::from([Collection::all(
        Resource::SERVICES,
        "Service",
    )]));
    assert_eq!(changes(&mut feed).await.len(), 3);
    let told = changes(&mut feed).await;
    let want = [
        (EventKind::Modified, "changed".to_owned()),
        (EventKind::Added, "new".to_owned()),
    ];
    assert_eq!(told, want);
    assert_eq!(
        changes(&mut feed).await,
        [(EventKind::Deleted, "gone".to_owned())]
    );
    assert!(
        asked
            .recv()
            .unwrap()
            .starts_with("GET /api/v1/services?limit=500 ")
    );
    assert!(
        asked
            .recv()
            .unwrap()
            .contains("watch=1&allowWatchBookmarks=true&resourceVersion=10&")
    );
    assert!(asked.recv().unwrap().contains("limit=500"));
}

#[tokio::test]
async fn an_optional_resource_may_be_missing_and_trouble_is_told_once() {
    let (url, _asked) = serve(vec![(404, "no".to_owned())]);
    let mut feed = Feed::new(client(&url));
    let cidrs = Collection::all(Resource::SERVICE_CIDRS, "ServiceCIDR");
    feed.follow(BTreeSet::from([cidrs.clone().optional()]));
    assert!(matches!(next(&mut feed).await, Notice::Synced));

    let (url, _asked) = serve(vec![
        (
            403,
            r#"{"kind":"Status","code":403,"message":"not you"}"#.to_owned(),
        ),
        (500, String::new()),
        list(1, &[]),
    ]);
    let mut feed = Feed::new(client(&url));
    feed.follow(BTreeSet::from([cidrs]));
    let Notice::Trouble { error, .. } = next(&mut feed).await else {
        panic!("no trouble");
    };
    assert!(error.to_string().contains("not you"), "{error}");
    assert!(matches!(next(&mut feed).await, Notice::Recovered { .. }));
    assert!(matches!(next(&mut feed).await, Notice::Synced));
}
