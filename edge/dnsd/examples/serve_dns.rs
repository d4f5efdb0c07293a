//! Serves the objects of YAML files: `serve_dns LISTEN UPSTREAM FILE…`, e.g.
//! `serve_dns 127.0.0.1:5300 127.0.0.1:15353 objects.yaml`. A file that changes is read again.

use anyhow::Context;
use arc_swap::ArcSwap;
use dns::Zone;
use model::{ChangedKeys, Event, EventKind, Object, Snapshot};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Objects = BTreeMap<model::ObjectKey, Arc<Object>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: serve LISTEN UPSTREAM FILE…";
    let listen = args.next().context(usage)?.parse()?;
    let upstream = args.next().context(usage)?.parse()?;
    let files: Vec<PathBuf> = args.map(PathBuf::from).collect();

    let mut objects = read(&files)?;
    let mut snapshot = Snapshot::from_objects(objects.values());
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let settings = dns::Settings::new(u32::try_from(now)?);
    let zone = Arc::new(ArcSwap::from_pointee(Zone::build(settings, &snapshot)));
    let settings = dnsd::Settings::new(vec![listen], vec![upstream]);
    let server = dnsd::Server::start(&settings, zone.clone())?;
    println!("listening on {:?}", server.local_addrs());

    let mut seen = changed_at(&files);
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if changed_at(&files) == seen {
            continue;
        }
        seen = changed_at(&files);
        let Ok(new) = read(&files) else {
            continue;
        };
        let mut changed = ChangedKeys::default();
        for event in differences(&objects, &new) {
            snapshot.apply(&event, &mut changed);
        }
        objects = new;
        let mut next = Zone::clone(&zone.load());
        next.update(&snapshot, &changed);
        zone.store(Arc::new(next));
    }
}

fn changed_at(files: &[PathBuf]) -> Vec<Option<SystemTime>> {
    let modified = |file: &PathBuf| std::fs::metadata(file).ok()?.modified().ok();
    files.iter().map(modified).collect()
}

fn read(files: &[PathBuf]) -> anyhow::Result<Objects> {
    let mut objects = Objects::new();
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        for document in testkit::documents(&text) {
            let object = testkit::object(&document);
            objects.insert(object.key(), object);
        }
    }
    Ok(objects)
}

fn differences(old: &Objects, new: &Objects) -> Vec<Event> {
    let event = |kind, object: &Arc<Object>| Event {
        kind,
        object: object.clone(),
        old: None,
    };
    let gone = old.iter().filter(|(key, _)| !new.contains_key(*key));
    let deleted = gone.map(|(_, object)| event(EventKind::Deleted, object));
    let come = new
        .iter()
        .filter(|(key, object)| old.get(*key) != Some(*object));
    let written = come.map(|(_, object)| event(EventKind::Modified, object));
    deleted.chain(written).collect()
}
