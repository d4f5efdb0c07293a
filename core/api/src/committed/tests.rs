use super::*;
use crate::query::Query;
use crate::route::ResourcePath;
use model::EventKind;
use serde_json::json;

const TINY: HistoryLimits = HistoryLimits {
    events: 4,
    bytes: 1 << 20,
    all_bytes: 1 << 20,
};

fn object(resource: Resource, name: &str, version: u64) -> Arc<Object> {
    let value = json!({"metadata": {
        "name": name, "namespace": "n", "resourceVersion": version.to_string()}});
    Arc::new(Object::from_value(resource, &value).unwrap())
}

/// A store in which a, b, c, … were created in this order.
fn committed(limits: HistoryLimits, names: &str) -> Committed {
    let mut committed = Committed::new(State::default(), Registry::builtin(), 100, limits);
    for (version, name) in (101..).zip(names.chars()) {
        change(&mut committed, EventKind::Added, &name.to_string(), version);
    }
    committed
}

fn change(committed: &mut Committed, kind: EventKind, name: &str, version: u64) {
    let old = committed.state.get(Resource::SECRETS, "n", name);
    committed.publish(&[Event {
        kind,
        object: object(Resource::SECRETS, name, version),
        old,
    }]);
}

fn list(committed: &Committed, query: &[(&str, &str)]) -> Result<Page, ApiError> {
    let pairs = query
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let options = ListOptions::parse(&Query(pairs.collect()), false)?;
    let kind = committed
        .registry()
        .by_resource("", "v1", "secrets")
        .unwrap();
    let path = ResourcePath {
        kind: kind.clone(),
        namespace: "n".to_owned(),
        name: String::new(),
        subresource: String::new(),
        watch: false,
    };
    committed.list(&Selection::new(&path, &options)?, &options)
}

fn names(page: &Page) -> String {
    page.items.iter().map(|object| &*object.meta.name).collect()
}

#[test]
fn an_old_version_is_listed_as_it_was() {
    let mut committed = committed(HistoryLimits::default(), "abcd");
    change(&mut committed, EventKind::Deleted, "b", 105);
    change(&mut committed, EventKind::Added, "bb", 106);
    change(&mut committed, EventKind::Modified, "c", 107);
    for (version, wanted) in [
        ("104", "abcd"),
        ("105", "acd"),
        ("102", "ab"),
        ("107", "abbcd"),
    ] {
        let exact = [
            ("resourceVersion", version),
            ("resourceVersionMatch", "Exact"),
        ];
        assert_eq!(
            names(&list(&committed, &exact).unwrap()),
            wanted,
            "{version}"
        );
    }
    let as_was = [("resourceVersion", "104"), ("limit", "2")];
    let page = list(&committed, &as_was).unwrap();
    assert_eq!((names(&page).as_str(), page.remaining), ("ab", Some(2)));
    let page = list(&committed, &[("continue", &page.continue_token)]).unwrap();
    assert_eq!(
        (names(&page).as_str(), page.version, page.remaining),
        ("cd", 104, None)
    );
}

#[test]
fn a_list_goes_on_inconsistently_once_its_version_is_forgotten() {
    let mut committed = committed(TINY, "abcd");
    let page = list(&committed, &[("limit", "2")]).unwrap();
    for (version, name) in (105..).zip(["e", "f", "g", "h", "i"]) {
        change(&mut committed, EventKind::Added, name, version);
    }
    let error = list(&committed, &[("continue", &page.continue_token)]).unwrap_err();
    assert_eq!((error.code, error.reason), (410, "Expired"));
    let token = error.list_continue.unwrap();
    let page = list(&committed, &[("continue", &token), ("limit", "3")]).unwrap();
    assert_eq!((names(&page).as_str(), page.version), ("cde", 109));
    let exact = [
        ("resourceVersion", "104"),
        ("resourceVersionMatch", "Exact"),
    ];
    assert_eq!(
        list(&committed, &exact).map(|_| ()).unwrap_err().message,
        EXPIRED
    );
}

#[test]
fn the_longest_history_gives_way() {
    let limits = HistoryLimits {
        all_bytes: 1500,
        ..HistoryLimits::default()
    };
    let mut committed = committed(limits, "a");
    committed.publish(&[Event {
        kind: EventKind::Added,
        object: object(Resource::CONFIG_MAPS, "quiet", 102),
        old: None,
    }]);
    for version in 103..200 {
        change(&mut committed, EventKind::Modified, "a", version);
        assert!(committed.bytes <= limits.all_bytes);
    }
    let quiet = committed
        .changes_after(Resource::CONFIG_MAPS, 101, 9)
        .unwrap();
    assert_eq!(quiet.len(), 1);
    let busy = committed.changes_after(Resource::SECRETS, 101, 9);
    assert_eq!(busy.map(|_| ()).unwrap_err().code, 410);
    assert!(
        !committed
            .changes_after(Resource::SECRETS, 198, 9)
            .unwrap()
            .is_empty()
    );
}
