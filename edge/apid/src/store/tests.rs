use super::*;
use serde_json::json;
use std::collections::BTreeMap;

mod crash;
pub(crate) mod platter;

fn event(kind: EventKind, name: &str, version: u64, size: usize) -> Event {
    let value = json!({
        "metadata": {"name": name, "namespace": "n", "resourceVersion": version.to_string()},
        "data": {"text": "x".repeat(size)},
    });
    let object = Object::from_value(Resource::CONFIG_MAPS, &value).unwrap();
    Event {
        kind,
        object: Arc::new(object),
        old: None,
    }
}

/// Names and versions of all objects.
fn contents(state: &State) -> BTreeMap<String, u64> {
    let all = state.all();
    all.map(|object| (object.meta.name.to_string(), object.meta.resource_version))
        .collect()
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let dir = crate::tests::TempDir::new();
    let mut loaded = Store::open(dir.path()).unwrap();
    assert_eq!(loaded.version, FIRST_VERSION);
    let events = [
        event(EventKind::Added, "a", 1001, 10),
        event(EventKind::Added, "b", 1002, 10),
        event(EventKind::Deleted, "a", 1003, 10),
    ];
    loaded.store.commit(&events).unwrap();
    drop(loaded);
    let loaded = Store::open(dir.path()).unwrap();
    assert_eq!(loaded.version, 1003);
    assert_eq!(contents(&loaded.state), [("b".to_owned(), 1002)].into());
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let dir = crate::tests::TempDir::new();
    let mut loaded = Store::open(dir.path()).unwrap();
    let newer = loaded.store.change(|transaction| {
        transaction.open_table(NUMBERS)?.insert("format", 99)?;
        Ok(())
    });
    newer.unwrap();
    drop(loaded);
    let refused = Store::open(dir.path()).err().map(|e| e.to_string());
    assert!(refused.unwrap_or_default().contains("has format 99"));
}

#[test]
fn an_emptied_file_is_damage_and_names_the_cure() {
    let dir = crate::tests::TempDir::new();
    drop(Store::open(dir.path()).unwrap());
    std::fs::write(dir.path().join(FILE), b"").unwrap();
    let refused = Store::open(dir.path()).err().map(|e| e.to_string());
    let refused = refused.unwrap_or_default();
    assert!(refused.contains("store.redb is damaged"), "{refused}");
    assert!(refused.contains("portolan restore FILE"), "{refused}");
}
