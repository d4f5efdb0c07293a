//! The crate's parts together, over a small cluster.

use crate::token::{self, Bound, Claims, Named, Unverified};
use crate::*;
use model::{ApiError, Object, Resource, Timestamp, User, View};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A cluster in a map.
#[derive(Default)]
struct Cluster(BTreeMap<(Resource, String, String), Arc<Object>>);

impl Cluster {
    fn bootstrapped() -> Self {
        let mut cluster = Self::default();
        for (resource, value) in bootstrap() {
            cluster.put(resource, value);
        }
        cluster
    }

    fn put(&mut self, resource: Resource, value: Value) -> Arc<Object> {
        let object = Arc::new(Object::from_value(resource, &value).unwrap());
        let (namespace, name) = (
            object.meta.namespace.to_string(),
            object.meta.name.to_string(),
        );
        self.0.insert((resource, namespace, name), object.clone());
        object
    }

    fn role(&mut self, namespace: &str, name: &str, rules: Value) -> Arc<Object> {
        let (resource, kind) = match namespace {
            "" => (Resource::CLUSTER_ROLES, "ClusterRole"),
            _ => (Resource::ROLES, "Role"),
        };
        self.put(
            resource,
            named(kind, namespace, name, json!({"rules": rules})),
        )
    }

    fn bind(&mut self, namespace: &str, name: &str, role: (&str, &str), subject: Value) {
        let (resource, kind) = match namespace {
            "" => (Resource::CLUSTER_ROLE_BINDINGS, "ClusterRoleBinding"),
            _ => (Resource::ROLE_BINDINGS, "RoleBinding"),
        };
        let body = json!({"roleRef": {"kind": role.0, "name": role.1}, "subjects": [subject]});
        self.put(resource, named(kind, namespace, name, body));
    }

    fn policy(&self) -> Policy {
        Policy::of_view(self)
    }
}

fn named(kind: &str, namespace: &str, name: &str, mut body: Value) -> Value {
    body["kind"] = kind.into();
    body["metadata"] = json!({"name": name});
    if !namespace.is_empty() {
        body["metadata"]["namespace"] = namespace.into();
    }
    body
}

impl View for Cluster {
    fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let key = (resource, namespace.to_owned(), name.to_owned());
        self.0.get(&key).cloned()
    }

    fn list(&self, resource: Resource, namespace: Option<&str>) -> Vec<Arc<Object>> {
        let all = self.0.values().filter(|object| object.resource == resource);
        all.filter(|object| namespace.is_none_or(|n| *object.meta.namespace == *n))
            .cloned()
            .collect()
    }

    fn owned_by(&self, _: &str) -> Vec<Arc<Object>> {
        Vec::new()
    }

    fn resources(&self) -> Vec<Resource> {
        Vec::new()
    }
}

fn user(name: &str, groups: &[&str]) -> User {
    User {
        name: name.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..User::default()
    }
}

fn jane() -> User {
    user("jane", &[AUTHENTICATED])
}

fn asks(method: &str, path: &str) -> Attributes {
    Attributes::of_request(method, path, Asked::default())
}

fn grant(user: &str) -> Value {
    json!({"kind": "User", "name": user})
}

#[test]
fn requests_are_read_as_the_api_server_reads_them() {
    let all = [
        (
            "GET",
            "/api/v1/namespaces/a/pods/p/log",
            "get /a pods/log p",
        ),
        ("GET", "/api/v1/pods", "list / pods/ "),
        ("HEAD", "/api/v1/namespaces/a/pods/p", "get /a pods/ p"),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/a/deployments",
            "deletecollection apps/a deployments/ ",
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/d/scale",
            "patch apps/a deployments/scale d",
        ),
        ("GET", "/api/v1/namespaces/a", "get /a namespaces/ a"),
        (
            "PUT",
            "/api/v1/namespaces/a/finalize",
            "update /a namespaces/finalize a",
        ),
        ("GET", "/api/v1/watch/namespaces/a/pods", "watch /a pods/ "),
        ("GET", "/apis/x.io/v1/things", "list x.io/ things/ "),
        (
            "GET",
            "/api/v1/namespaces/a/pods/p/proxy/x/y",
            "get /a pods/proxy p",
        ),
    ];
    for (method, path, wanted) in all {
        let a = asks(method, path);
        let text = format!(
            "{} {}/{} {}/{} {}",
            a.verb, a.group, a.namespace, a.resource, a.subresource, a.name
        );
        assert_eq!(text, wanted, "{method} {path}");
        assert!(a.is_resource);
    }
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/apis/apps",
        "/apis/apps/v1",
        "/healthz/ping",
    ] {
        let a = asks("GET", path);
        assert_eq!(
            (a.verb.as_str(), a.path.as_str(), a.is_resource),
            ("get", path, false)
        );
    }
    let watch = Asked {
        watch: true,
        name: Some("n"),
    };
    let a = Attributes::of_request("GET", "/api/v1/pods", watch);
    assert_eq!((a.verb.as_str(), a.name.as_str()), ("watch", "n"));
}

#[test]
fn everyone_starts_with_discovery_and_strangers_with_health() {
    let policy = Cluster::bootstrapped().policy();
    let stranger = user(ANONYMOUS, &[UNAUTHENTICATED]);
    for (user, path, may) in [
        (&stranger, "/healthz", true),
        (&stranger, "/version", true),
        (&stranger, "/livez/ping", false),
        (&stranger, "/api", false),
        (&jane(), "/api", true),
        (&jane(), "/openapi/v3/apis/apps/v1", true),
        (&jane(), "/metrics", false),
        (&jane(), "/api/v1/pods", false),
        (&user("x", &[MASTERS]), "/api/v1/pods", true),
        (
            &user("system:kube-controller-manager", &[]),
            "/api/v1/pods",
            true,
        ),
    ] {
        let decision = policy.authorize(user, &asks("GET", path));
        assert_eq!(decision.allowed, may, "{} {path}", user.name);
    }
    let reason = policy.authorize(&jane(), &asks("GET", "/api")).reason;
    assert_eq!(
        reason,
        "RBAC: allowed by ClusterRoleBinding \"system:discovery\" of ClusterRole \"system:discovery\" to Group \"system:authenticated\""
    );
}

#[test]
fn bindings_grant_in_their_namespace_only() {
    let mut cluster = Cluster::default();
    let rules = json!([
        {"apiGroups": [""], "resources": ["pods", "*/scale"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"], "verbs": ["*"]},
    ]);
    cluster.role("a", "r", rules);
    cluster.bind(
        "a",
        "b",
        ("Role", "r"),
        json!({"kind": "ServiceAccount", "name": "robot"}),
    );
    let policy = cluster.policy();
    let robot = user("system:serviceaccount:a:robot", &[]);
    for (path, may) in [
        ("/api/v1/namespaces/a/pods/p", true),
        ("/api/v1/namespaces/a/pods/p/log", false),
        ("/api/v1/namespaces/a/replicationcontrollers/x/scale", true),
        ("/apis/apps/v1/namespaces/a/deployments/x/scale", false),
        ("/api/v1/namespaces/b/pods/p", false),
        ("/api/v1/namespaces/a/secrets/s", true),
        ("/api/v1/namespaces/a/secrets/t", false),
        ("/api/v1/namespaces/a/secrets", false),
    ] {
        assert_eq!(
            policy.authorize(&robot, &asks("GET", path)).allowed,
            may,
            "{path}"
        );
    }
    let reason = policy
        .authorize(&robot, &asks("GET", "/api/v1/namespaces/a/pods/p"))
        .reason;
    assert_eq!(
        reason,
        "RBAC: allowed by RoleBinding \"b/a\" of Role \"r\" to ServiceAccount \"robot/a\""
    );
}

#[test]
fn a_missing_role_is_the_reason_of_a_refusal() {
    let mut cluster = Cluster::default();
    cluster.bind("a", "b", ("ClusterRole", "gone"), grant("jane"));
    let asked = asks("GET", "/api/v1/namespaces/a/pods");
    let decision = cluster.policy().authorize(&jane(), &asked);
    let error = forbidden(&jane(), &asked, &decision.reason);
    assert_eq!(
        error.message,
        "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"a\": RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found"
    );
}

fn message(result: Result<(), ApiError>) -> String {
    result.unwrap_err().message
}

#[test]
fn nobody_grants_what_they_do_not_have() {
    let mut cluster = Cluster::bootstrapped();
    let pods = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]);
    cluster.role("a", "own", pods.clone());
    cluster.bind("a", "own", ("Role", "own"), grant("jane"));
    let policy = cluster.policy();
    let role = |rules: Value| named("Role", "a", "new", json!({"rules": rules}));
    assert!(check_role(&policy, &jane(), "", &role(pods), None).is_ok());
    let more =
        json!([{"apiGroups": ["", "apps"], "resources": ["pods"], "verbs": ["get", "watch"]}]);
    assert_eq!(
        message(check_role(&policy, &jane(), "", &role(more), None)),
        "roles.rbac.authorization.k8s.io \"new\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"watch\"]}\n{APIGroups:[\"apps\"], Resources:[\"pods\"], Verbs:[\"get\" \"watch\"]}"
    );
    let binding = |kind: &str, name: &str| {
        named(
            "RoleBinding",
            "a",
            "b",
            json!({"roleRef": {"kind": kind, "name": name}}),
        )
    };
    assert!(check_binding(&policy, &jane(), &binding("Role", "own"), None).is_ok());
    assert_eq!(
        message(check_binding(
            &policy,
            &jane(),
            &binding("Role", "gone"),
            None
        )),
        "rolebindings.rbac.authorization.k8s.io \"gone\" not found"
    );
    assert!(check_binding(&policy, &jane(), &binding("ClusterRole", "edit"), None).is_ok());
    let refused = check_binding(
        &policy,
        &jane(),
        &binding("ClusterRole", "cluster-admin"),
        None,
    );
    assert!(message(refused).ends_with(
        "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}"
    ));
}

#[test]
fn rules_with_very_many_pieces_are_compared_as_a_whole() {
    let many: Vec<String> = (0..2000).map(|i| format!("x{i}")).collect();
    let rule = json!([{"apiGroups": many, "resources": many, "verbs": ["get"]}]);
    let role = named("Role", "a", "big", json!({"rules": rule}));
    let cluster = Cluster::default();
    assert_eq!(
        check_role(&cluster.policy(), &jane(), "", &role, None)
            .unwrap_err()
            .code,
        403
    );
}

#[test]
fn impersonation_wants_the_right_for_both_halves() {
    let mut cluster = Cluster::default();
    let on = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["impersonate-on:user-info:list"]}]);
    cluster.role("", "on", on);
    cluster.bind("", "on", ("ClusterRole", "on"), grant("jane"));
    let who = json!([{"apiGroups": ["authentication.k8s.io"], "resources": ["users"], "resourceNames": ["joe"], "verbs": ["impersonate:user-info"]}]);
    cluster.role("", "who", who);
    cluster.bind("", "who", ("ClusterRole", "who"), grant("jane"));
    let policy = cluster.policy();
    let wanted = |name: &str| Wanted {
        name: name.to_owned(),
        ..Wanted::default()
    };
    let list = asks("GET", "/api/v1/pods");
    let joe = impersonate(&policy, &jane(), &wanted("joe"), &list, None)
        .unwrap()
        .user;
    assert_eq!(
        (joe.name.as_str(), joe.groups),
        ("joe", vec![AUTHENTICATED.to_owned()])
    );
    let refused = |name: &str, asked: &Attributes| {
        impersonate(&policy, &jane(), &wanted(name), asked, None)
            .unwrap_err()
            .message
    };
    assert_eq!(
        refused("ann", &list),
        "users.authentication.k8s.io \"ann\" is forbidden: User \"jane\" cannot impersonate:user-info resource \"users\" in API group \"authentication.k8s.io\" at the cluster scope"
    );
    assert_eq!(
        refused("joe", &asks("GET", "/api/v1/pods/p")),
        "pods \"p\" is forbidden: User \"jane\" cannot impersonate-on:user-info:get resource \"pods\" in API group \"\" at the cluster scope"
    );
    let admin = user("root", &[MASTERS]);
    let account = impersonate(
        &policy,
        &admin,
        &wanted("system:serviceaccount:a:b"),
        &list,
        None,
    );
    assert_eq!(
        account.unwrap().user.groups,
        [
            "system:serviceaccounts",
            "system:serviceaccounts:a",
            AUTHENTICATED
        ]
    );
    let nameless = Wanted {
        groups: vec!["dev".to_owned()],
        ..Wanted::default()
    };
    assert_eq!(
        nameless.check().unwrap_err().message,
        "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"dev\"}, Extra:map[string][]string(nil)} without impersonating a user name"
    );
}

const NOW: &str = "2026-01-01T00:00:00Z";

fn bound_token(account: &Object, pod: &Object) -> Claims {
    let bound = Bound {
        namespace: "a".to_owned(),
        serviceaccount: Named::of(account),
        pod: Some(Named::of(pod)),
        ..Bound::default()
    };
    let now = Timestamp::parse(NOW).unwrap();
    Claims::bound(
        bound,
        vec![token::ISSUER.to_owned()],
        "1-2".to_owned(),
        now,
        600,
    )
}

fn with_uid(kind: &str, name: &str, uid: &str) -> Value {
    let mut value = named(kind, "a", name, json!({}));
    value["metadata"]["uid"] = uid.into();
    value
}

#[test]
fn tokens_end_with_their_time_and_with_what_they_are_bound_to() {
    let mut cluster = Cluster::default();
    let account = cluster.put(
        Resource::SERVICE_ACCOUNTS,
        with_uid("ServiceAccount", "robot", "u1"),
    );
    let pod = cluster.put(Resource::PODS, with_uid("Pod", "p", "u2"));
    let claims = bound_token(&account, &pod);
    let text = format!("{}.c2ln", claims.signing_input("k"));
    let read = Unverified::parse(&text).unwrap();
    assert_eq!((&read.claims, read.key.as_str()), (&claims, "k"));
    assert_eq!(&text[read.signed..], ".c2ln");
    let own = [token::ISSUER.to_owned()];
    let at = |seconds: i64| Timestamp::parse(NOW).unwrap().plus_seconds(seconds);
    let check = |cluster: &Cluster, seconds: i64| {
        token::check(&claims, &text, &own, cluster, at(seconds)).map(|holder| holder.user.name)
    };
    assert_eq!(
        check(&cluster, 0).as_deref(),
        Ok("system:serviceaccount:a:robot")
    );
    assert!(check(&cluster, 659).is_ok());
    let why = |result: Result<String, String>| result.unwrap_err();
    assert_eq!(
        why(check(&cluster, 661)),
        "service account token has expired"
    );
    assert_eq!(
        why(check(&cluster, -61)),
        "service account token is not valid yet"
    );
    let others = ["x".to_owned()];
    assert_eq!(
        token::check(&claims, &text, &others, &cluster, at(0)).unwrap_err(),
        "token audiences [\"https://kubernetes.default.svc\"] is invalid for the target audiences [\"x\"]"
    );
    cluster.put(Resource::PODS, with_uid("Pod", "p", "u3"));
    assert_eq!(
        why(check(&cluster, 0)),
        "pod UID (u3) does not match service account pod ref claim (u2)"
    );
    cluster
        .0
        .retain(|(resource, ..), _| *resource != Resource::PODS);
    assert_eq!(
        why(check(&cluster, 0)),
        "service account token has been invalidated"
    );
    cluster.0.clear();
    assert_eq!(
        why(check(&cluster, 0)),
        "serviceaccounts \"robot\" not found"
    );
}

#[test]
fn texts_that_are_no_tokens_are_not_read() {
    let big = format!("{}.a.b", "a".repeat(100_000));
    for text in ["", "a", "a.b.c", "..", "e30.e30.e30", big.as_str()] {
        assert!(Unverified::parse(text).is_none(), "{text:.20}");
    }
}

/// One change of a small world: which object, whether it is there, and what it says.
fn change() -> impl Strategy<Value = (usize, bool, usize)> {
    (0..6usize, any::<bool>(), 0..3usize)
}

fn object(which: usize, form: usize) -> (Resource, Value) {
    let verb = ["get", "list", "*"][form];
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]}]);
    let subject = [
        grant("jane"),
        json!({"kind": "Group", "name": AUTHENTICATED}),
        json!({"kind": "ServiceAccount", "name": "s", "namespace": "a"}),
    ][form]
        .clone();
    let role = json!({"roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [subject]});
    match which {
        0 => (
            Resource::CLUSTER_ROLES,
            named("ClusterRole", "", "r", json!({"rules": rules})),
        ),
        1 => (
            Resource::ROLES,
            named("Role", "a", "r", json!({"rules": rules})),
        ),
        2 => (
            Resource::ROLE_BINDINGS,
            named("RoleBinding", "a", "x", role),
        ),
        3 => (
            Resource::ROLE_BINDINGS,
            named("RoleBinding", "a", "y", role),
        ),
        4 => (
            Resource::ROLE_BINDINGS,
            named("RoleBinding", "b", "x", role),
        ),
        _ => (
            Resource::CLUSTER_ROLE_BINDINGS,
            named("ClusterRoleBinding", "", "x", role),
        ),
    }
}

proptest! {
    #[test]
    fn a_policy_kept_up_to_date_equals_one_read_anew(changes in prop::collection::vec(change(), 0..40)) {
        let (mut cluster, mut policy) = (Cluster::default(), Policy::default());
        for (which, there, form) in changes {
            let (resource, value) = object(which, form);
            let object = cluster.put(resource, value);
            if !there {
                cluster.0.retain(|_, known| !Arc::ptr_eq(known, &object));
            }
            policy.apply(&object, there);
            prop_assert_eq!(&policy, &cluster.policy());
        }
    }
}
