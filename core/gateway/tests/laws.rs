//! Laws: choosing agrees with a naive reading of the Ingress API, the order of the input does not
//! matter, and planning a change gives what planning everything gives.

use gateway::{Action, Planner, RequestHead, Settings, plan, replan, select};
use model::{ChangedKeys, Event, EventKind, Object, Resource, Snapshot};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const HOSTS: [&str; 4] = ["a.test", "b.test", "*.test", ""];
const PATHS: [&str; 7] = ["/", "/x", "/x/", "/x/y", "/xy", "/X", "/z/y/x"];
const TYPES: [&str; 3] = ["Prefix", "Exact", "ImplementationSpecific"];

#[derive(Clone, Debug)]
struct Rule {
    host: usize,
    path: usize,
    kind: usize,
}

#[derive(Clone, Debug)]
struct Draft {
    name: usize,
    second: u8,
    regex: bool,
    rules: Vec<Rule>,
}

fn draft(regex: bool) -> impl Strategy<Value = Draft> {
    let rule = (0..HOSTS.len(), 0..PATHS.len(), 0..TYPES.len())
        .prop_map(|(host, path, kind)| Rule { host, path, kind });
    let rules = proptest::collection::vec(rule, 0..4);
    (0..5usize, 0..3u8, any::<bool>(), rules).prop_map(move |(name, second, with, rules)| Draft {
        name,
        second,
        regex: regex && with,
        rules,
    })
}

/// The port tells the rules apart.
fn port(draft: &Draft, rule: usize) -> usize {
    1 + draft.name * 10 + rule
}

fn object(draft: &Draft) -> Arc<Object> {
    let rules: Vec<Value> = draft
        .rules
        .iter()
        .enumerate()
        .map(|(n, rule)| {
            let backend = json!({"service": {"name": "s", "port": {"number": port(draft, n)}}});
            let path = json!({"path": PATHS[rule.path], "pathType": TYPES[rule.kind],
                "backend": backend});
            json!({"host": HOSTS[rule.host], "http": {"paths": [path]}})
        })
        .collect();
    let mut annotations = json!({});
    if draft.regex {
        annotations["nginx.ingress.kubernetes.io/use-regex"] = "true".into();
    }
    let value = json!({
        "kind": "Ingress",
        "metadata": {
            "name": format!("i{}", draft.name), "namespace": "d", "annotations": annotations,
            "creationTimestamp": format!("2026-01-01T00:00:0{}Z", draft.second),
        },
        "spec": {"ingressClassName": "nginx", "rules": rules},
    });
    Arc::new(Object::from_value(Resource::INGRESSES, &value).expect("an Ingress"))
}

fn class() -> Arc<Object> {
    let value = json!({"kind": "IngressClass", "metadata": {"name": "nginx"},
        "spec": {"controller": "k8s.io/ingress-nginx"}});
    Arc::new(Object::from_value(Resource::INGRESS_CLASSES, &value).expect("a class"))
}

fn snapshot(drafts: &[Draft]) -> Snapshot {
    let mut objects = vec![class()];
    objects.extend(drafts.iter().map(object));
    Snapshot::from_objects(&objects)
}

/// Drafts of one name each: the last one stands.
fn distinct(drafts: Vec<Draft>) -> Vec<Draft> {
    let mut out: Vec<Draft> = Vec::new();
    for draft in drafts {
        out.retain(|other| other.name != draft.name);
        out.push(draft);
    }
    out
}

/// The port that the Ingress API gives a request to: exact before prefix, the longest first, the
/// oldest Ingress of equals (of two of one second, the one with the larger name).
fn naive(drafts: &[Draft], host: &str, path: &str) -> Option<usize> {
    let mut ordered: Vec<&Draft> = drafts.iter().collect();
    ordered.sort_by(|a, b| a.second.cmp(&b.second).then(b.name.cmp(&a.name)));
    let rules: Vec<(&Rule, usize)> = ordered
        .iter()
        .flat_map(|draft| {
            let numbered = draft.rules.iter().enumerate();
            numbered.map(|(n, rule)| (rule, port(draft, n)))
        })
        .collect();
    let has = |name: &str| rules.iter().any(|(rule, _)| HOSTS[rule.host] == name);
    let host = match host {
        host if has(host) => host,
        host if host.split('.').nth(1) == Some("test") && has("*.test") => "*.test",
        _ => "",
    };
    let of_host = || rules.iter().filter(|(rule, _)| HOSTS[rule.host] == host);
    let exact = of_host().find(|(rule, _)| rule.kind == 1 && PATHS[rule.path] == path);
    if let Some((_, port)) = exact {
        return Some(*port);
    }
    let mut best: Option<(usize, usize)> = None;
    for (rule, port) in of_host().filter(|(rule, _)| rule.kind != 1) {
        let prefix = PATHS[rule.path];
        let bare = prefix.trim_end_matches('/');
        let rest = path.strip_prefix(bare);
        let takes = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        // Of `/x` and `/x/` the first takes `/x`, and the longer takes what lies below.
        let length = if path == bare && prefix != bare {
            bare.len()
        } else {
            prefix.len()
        };
        let length = if path == prefix { length + 1 } else { length };
        if takes && best.is_none_or(|(longest, _)| length > longest) {
            best = Some((length, *port));
        }
    }
    best.map(|(_, port)| port)
}

fn chosen(table: &gateway::RouteTable, host: &str, path: &str) -> Option<usize> {
    match select(table, &RequestHead::new("GET", host, path, false)).action {
        Action::Forward(forward) => forward.backend.port_text().parse().ok(),
        Action::Answer(answer) => {
            assert_eq!(answer.status, 404);
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn select_agrees_with_the_api(drafts in proptest::collection::vec(draft(false), 0..5)) {
        let drafts = distinct(drafts);
        let (table, _) = plan(&snapshot(&drafts), &Settings::default());
        for host in ["a.test", "b.test", "c.test", "d.c.test", "other"] {
            for path in ["/", "/x", "/x/", "/x/y", "/x/y/z", "/xy", "/X/q", "/z/y/x", "/q"] {
                let want = naive(&drafts, host, path);
                prop_assert_eq!(chosen(&table, host, path), want, "{} {} {:?}", host, path, drafts);
            }
        }
    }

    #[test]
    fn the_order_of_objects_does_not_matter(
        drafts in proptest::collection::vec(draft(true), 0..6),
        turn in 0..6usize,
    ) {
        let drafts = distinct(drafts);
        let mut turned = drafts.clone();
        if !turned.is_empty() {
            let by = turn % turned.len();
            turned.rotate_left(by);
        }
        let settings = Settings::default();
        prop_assert_eq!(plan(&snapshot(&drafts), &settings), plan(&snapshot(&turned), &settings));
    }

    #[test]
    fn planning_changes_gives_what_planning_everything_gives(
        changes in proptest::collection::vec((draft(true), any::<bool>()), 0..12),
    ) {
        let settings = Settings::default();
        let mut snapshot = Snapshot::from_objects(&[class()]);
        let (mut table, _) = plan(&snapshot, &settings);
        let (mut planner, _) = Planner::new(&snapshot, &settings);
        for (draft, gone) in changes {
            let kind = if gone { EventKind::Deleted } else { EventKind::Modified };
            let event = Event { kind, object: object(&draft), old: None };
            let mut changed = ChangedKeys::default();
            snapshot.apply(&event, &mut changed);
            table = replan(&table, &snapshot, &changed);
            planner.apply(&snapshot, &changed);
            let (whole, problems) = plan(&snapshot, &settings);
            prop_assert_eq!(&table, &whole);
            prop_assert_eq!(&**planner.table(), &whole);
            prop_assert_eq!(table.problems(&snapshot), problems);
        }
    }
}
