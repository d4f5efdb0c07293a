use super::*;
use std::io::Cursor;

fn backup() -> Backup {
    let object = |name: &str, version: u64| {
        let value = json!({"metadata": {
            "name": name, "namespace": "n", "resourceVersion": version.to_string()}});
        Arc::new(Object::from_value(Resource::CONFIG_MAPS, &value).unwrap())
    };
    Backup {
        version: 7,
        objects: vec![object("a", 3), object("b", 7)],
    }
}

fn text() -> Vec<u8> {
    backup().lines().flatten().collect()
}

fn refused(text: Vec<u8>) -> String {
    let read = Backup::read(Cursor::new(text), |_, _| ());
    read.err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

#[test]
fn what_is_written_is_read() {
    let mut told = Vec::new();
    let read = Backup::read(Cursor::new(text()), |done, all| told.push((done, all))).unwrap();
    assert_eq!((read.version, read.objects), (7, backup().objects));
    assert_eq!(told, [(1, 2), (2, 2)]);
}

#[test]
fn every_change_and_every_cut_is_refused() {
    let whole = text();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert_ne!(refused(changed), "", "byte {at}");
        assert_ne!(refused(whole[..at].to_vec()), "", "cut at {at}");
    }
    let end = whole.len() - 90;
    assert!(refused(whole[..end].to_vec()).contains("not written to its end"));
    assert!(refused(b"apiVersion: v1\n".to_vec()).contains("line 1"));
    let newer = String::from_utf8(whole)
        .unwrap()
        .replace("\"version\":1", "\"version\":2");
    assert!(refused(newer.into_bytes()).contains("use a newer one"));
}

#[test]
fn a_restored_cluster_goes_on_above_all_it_knows_of() {
    let dir = crate::tests::TempDir::new();
    let first = backup().restore(dir.path(), false).unwrap();
    assert!(first > 7 + AHEAD);
    let again = backup().restore(dir.path(), false).err().unwrap();
    assert!(again.to_string().contains("say --force"), "{again}");
    let second = backup().restore(dir.path(), true).unwrap();
    assert!(second >= first + AHEAD);
    let read = Backup::of_directory(dir.path()).unwrap();
    assert_eq!((read.version, read.objects), (second, backup().objects));
    std::fs::write(dir.path().join(FILE), b"rubbish").unwrap();
    assert!(Backup::of_directory(dir.path()).is_err());
    backup().restore(dir.path(), true).unwrap();
    assert!(dir.path().join("store.redb.replaced").exists());
}

#[test]
fn a_running_server_keeps_its_directory() {
    let dir = crate::tests::TempDir::new();
    backup().restore(dir.path(), false).unwrap();
    let _lock = Lock::take(dir.path()).unwrap();
    let refused = backup().restore(dir.path(), true).err().unwrap();
    assert!(refused.to_string().contains("is in use by process"));
    let empty = crate::tests::TempDir::new();
    let nothing = Backup::of_directory(empty.path()).err().unwrap();
    assert!(nothing.to_string().contains("there is no cluster in"));
}
