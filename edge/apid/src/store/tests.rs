use super::*;
use serde_json::json;

fn event(kind: EventKind, name: &str, version: u64) -> Event {
    let value = json!({"metadata": {"name": name, "namespace": "n", "resourceVersion": version.to_string()}});
    let object = Object::from_value(Resource::CONFIG_MAPS, &value).unwrap();
    Event {
        kind,
        object: Arc::new(object),
        old: None,
    }
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let dir = crate::tests::TempDir::new();
    let loaded = Store::open(dir.path()).unwrap();
    assert_eq!(loaded.version, 0);
    let events = [
        event(EventKind::Added, "a", 1),
        event(EventKind::Added, "b", 2),
        event(EventKind::Deleted, "a", 3),
    ];
    loaded.store.commit(&events).unwrap();
    drop(loaded);
    let loaded = Store::open(dir.path()).unwrap();
    assert_eq!(loaded.version, 3);
    let names: Vec<_> = loaded
        .state
        .all()
        .map(|o| o.meta.name.to_string())
        .collect();
    assert_eq!(names, ["b"]);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let dir = crate::tests::TempDir::new();
    let loaded = Store::open(dir.path()).unwrap();
    let transaction = loaded.store.database.begin_write().unwrap();
    transaction
        .open_table(NUMBERS)
        .unwrap()
        .insert("format", 99)
        .unwrap();
    transaction.commit().unwrap();
    drop(loaded);
    let refused = Store::open(dir.path())
        .err()
        .map(|e| e.to_string())
        .unwrap_or_default();
    assert!(refused.contains("has format 99"), "{refused}");
}
