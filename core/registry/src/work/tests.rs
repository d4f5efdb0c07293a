//! Golden cases, recorded texts, and that nothing panics or changes twice.

use crate::net::bench::Bench;
use crate::{Context, Subresource, builtin};
use model::{ApiError, Resource};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::fmt::Write;

const KINDS: [Resource; 31] = [
    Resource::PODS,
    Resource::NAMESPACES,
    Resource::NODES,
    Resource::SECRETS,
    Resource::CONFIG_MAPS,
    Resource::EVENTS,
    Resource::SERVICE_ACCOUNTS,
    Resource::LEASES,
    Resource::DEPLOYMENTS,
    Resource::REPLICA_SETS,
    Resource::STATEFUL_SETS,
    Resource::CONTROLLER_REVISIONS,
    Resource::DAEMON_SETS,
    Resource::REPLICATION_CONTROLLERS,
    Resource::POD_TEMPLATES,
    Resource::JOBS,
    Resource::CRON_JOBS,
    Resource::DISRUPTION_BUDGETS,
    Resource::AUTOSCALERS,
    Resource::NETWORK_POLICIES,
    Resource::RESOURCE_QUOTAS,
    Resource::LIMIT_RANGES,
    Resource::VOLUMES,
    Resource::VOLUME_CLAIMS,
    Resource::STORAGE_CLASSES,
    Resource::CSI_DRIVERS,
    Resource::PRIORITY_CLASSES,
    Resource::RUNTIME_CLASSES,
    Resource::MUTATING_WEBHOOKS,
    Resource::VALIDATING_WEBHOOKS,
    Resource::VOLUME_ATTACHMENTS,
];

/// A bench with the default service account in the namespace `ns`.
fn bench() -> Bench {
    let mut bench = Bench::new(&["10.96.0.0/16"]);
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": "ns"},
        "automountServiceAccountToken": false,
    });
    bench.create(account).unwrap();
    bench
}

/// Creates or patches each object in turn; prints what is stored or why it is refused.
#[test]
fn cases_are_answered_as_recorded() {
    answer_cases("cases/work");
}

#[test]
fn kinds_that_charts_contain_are_answered_as_recorded() {
    answer_cases("cases/kinds");
}

fn answer_cases(folder: &str) {
    testkit::run_cases(folder, |case| {
        let (mut bench, mut out) = (bench(), String::new());
        for object in case.objects() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
            let _ = writeln!(out, "# {kind} {name}");
            match bench.apply(object) {
                Err(error) => out.push_str(&refusal(&error)),
                Ok(mut stored) => {
                    for warning in &bench.warnings {
                        let _ = writeln!(out, "warning: {warning}");
                    }
                    stored["metadata"]
                        .as_object_mut()
                        .unwrap()
                        .remove("creationTimestamp");
                    let _ = writeln!(out, "{}", serde_json::to_string_pretty(&stored).unwrap());
                }
            }
        }
        vec![("stored", out)]
    });
}

fn refusal(error: &ApiError) -> String {
    let mut out = format!("{} {}\n", error.code, error.message);
    let causes = error.details.as_ref().map(|details| &details["causes"]);
    for cause in causes.and_then(Value::as_array).into_iter().flatten() {
        let _ = writeln!(
            out,
            "  {}: {}",
            cause["field"].as_str().unwrap(),
            cause["message"].as_str().unwrap()
        );
    }
    out
}

/// Errors of a Pod whose only container has these further fields.
fn container_errors(fields: Value) -> Vec<String> {
    let mut container = json!({"name": "c", "image": "i"});
    let map = container.as_object_mut().unwrap();
    map.extend(fields.as_object().unwrap().clone());
    pod_errors(json!({"containers": [container]}))
}

fn pod_errors(mut spec: Value) -> Vec<String> {
    if spec.get("containers").is_none() {
        spec["containers"] = json!([{"name": "c", "image": "i"}]);
    }
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns"},
        "spec": spec,
    });
    match bench().create(pod) {
        Ok(_) => Vec::new(),
        Err(error) => {
            let causes = error.details.unwrap_or_default()["causes"].clone();
            let causes = causes.as_array().cloned().unwrap_or_default();
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            causes
                .iter()
                .map(|cause| format!("{}: {}", text(&cause["field"]), text(&cause["message"])))
                .collect()
        }
    }
}

#[test]
fn recorded_texts_of_environments() {
    let env = "spec.containers[0].env[0]";
    for (variable, want) in [
        (json!({"name": ""}), ".name: Required value"),
        (
            json!({"name": "A=B"}),
            ".name: Invalid value: \"A=B\": a valid environment variable name must consist only \
             of printable ASCII characters other than '='",
        ),
        (
            json!({"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
            ".valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
        ),
        (
            json!({"name": "A", "valueFrom": {}}),
            ".valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, \
             `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        ),
        (
            json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "nope"}}}),
            ".valueFrom.fieldRef.fieldPath: Invalid value: \"nope\": error converting fieldPath: \
             field label not supported: nope",
        ),
        (
            json!({"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x"}}}),
            ".valueFrom.configMapKeyRef.key: Required value",
        ),
    ] {
        let got = container_errors(json!({"env": [variable]}));
        assert_eq!(got, [format!("{env}{want}")]);
    }
}

#[test]
fn recorded_texts_of_ports() {
    let path = "spec.containers[0].ports";
    for (ports, want) in [
        (
            json!([{"containerPort": 0}]),
            "[0].containerPort: Required value",
        ),
        (
            json!([{"containerPort": 65536}]),
            "[0].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
        ),
        (
            json!([{"containerPort": 80, "protocol": "X"}]),
            "[0].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ),
        (
            json!([{"containerPort": 80, "name": "x"}, {"containerPort": 81, "name": "x"}]),
            "[1].name: Duplicate value: \"x\"",
        ),
        (
            json!([{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]),
            "[1].hostPort: Duplicate value: \"TCP//80\"",
        ),
    ] {
        assert_eq!(
            container_errors(json!({"ports": ports})),
            [format!("{path}{want}")]
        );
    }
}

#[test]
fn recorded_texts_of_policies_and_volumes() {
    for (spec, want) in [
        (
            json!({"restartPolicy": "Sometimes"}),
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \
             \"OnFailure\", \"Never\"",
        ),
        (
            json!({"dnsPolicy": "None"}),
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
        ),
        (
            json!({"activeDeadlineSeconds": 0}),
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, \
             inclusive",
        ),
        (
            json!({"subdomain": "bad.sub"}),
            "spec.subdomain: Invalid value: \"bad.sub\": must not contain dots",
        ),
        (
            json!({"volumes": [{"name": "v", "emptyDir": {}, "configMap": {"name": "x"}}]}),
            "spec.volumes[0].configMap: Forbidden: may not specify more than 1 volume type",
        ),
        (
            json!({"volumes": [{"name": "v", "secret": {"secretName": ""}}]}),
            "spec.volumes[0].secret.secretName: Required value",
        ),
        (
            json!({"volumes": [{"name": "v"}, {"name": "v"}]}),
            "spec.volumes[1].name: Duplicate value: \"v\"",
        ),
    ] {
        assert_eq!(pod_errors(spec), [want]);
    }
    let mount = json!({"volumeMounts": [{"name": "none", "mountPath": "/x"}]});
    assert_eq!(
        container_errors(mount),
        ["spec.containers[0].volumeMounts[0].name: Not found: \"none\""]
    );
}

#[test]
fn requests_and_limits_are_compared_as_quantities() {
    let resources = json!({"resources": {
        "requests": {"cpu": "2", "memory": "1Gi"},
        "limits": {"cpu": "1500m", "memory": "1024Mi"},
    }});
    assert_eq!(
        container_errors(resources),
        [
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal \
          to cpu limit of 1500m"
        ]
    );
}

#[test]
fn a_bound_pod_is_given_time_to_end() {
    let pods = builtin(Resource::PODS);
    let spec = json!({"terminationGracePeriodSeconds": 30});
    let bound = json!({"terminationGracePeriodSeconds": 30, "nodeName": "a"});
    for (spec, phase, wanted, want) in [
        (&spec, "Pending", None, 0),
        (&bound, "Running", None, 30),
        (&bound, "Running", Some(5), 5),
        (&bound, "Running", Some(-1), 1),
        (&bound, "Failed", None, 0),
    ] {
        let pod = json!({"spec": spec, "status": {"phase": phase}});
        assert_eq!(
            pods.grace_seconds(&pod, wanted),
            Some(want),
            "{pod} {wanted:?}"
        );
    }
}

/// Values of any shape, with keys that the rules look at.
fn any_json() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "metadata",
        "spec",
        "status",
        "template",
        "containers",
        "initContainers",
        "volumes",
        "name",
        "image",
        "ports",
        "env",
        "valueFrom",
        "resources",
        "limits",
        "requests",
        "cpu",
        "affinity",
        "nodeAffinity",
        "securityContext",
        "labels",
        "annotations",
        "selector",
        "matchLabels",
        "matchExpressions",
        "data",
        "type",
        "strategy",
        "rollingUpdate",
        "maxSurge",
        "tolerations",
        "projected",
        "sources",
        "conditions",
        "podIPs",
        "ip",
        "involvedObject",
        "series",
        "taints",
        "podCIDRs",
        "finalizers",
        "volumeClaimTemplates",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[-a-zA-Z0-9./:%é]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..6).prop_map(|pairs| {
                let map: Map<String, Value> =
                    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
                Value::Object(map)
            }),
        ]
    })
}

/// Asks every question about `new` and `old`.
fn ask_everything(resource: Resource, new: &Value, old: &Value, context: &Context<'_>) {
    let rules = builtin(resource);
    let mut created = new.clone();
    rules.default(&mut created);
    let _ = rules.admit(&mut created, None, context);
    rules.prepare_create(&mut created, context);
    rules.validate(&created, context);
    rules.warnings(&created, None, context);
    rules.selectable_fields(&created);
    rules.grace_seconds(&created, None);
    let mut updated = new.clone();
    let _ = rules.admit(&mut updated, Some(old), context);
    rules.prepare_update(&mut updated, old, context);
    rules.validate_update(&updated, old, context);
    rules.warnings(&updated, Some(old), context);
    for part in [
        Subresource::Status,
        Subresource::Other("ephemeralcontainers"),
        Subresource::Other("resize"),
        Subresource::Other("finalize"),
    ] {
        let mut changed = new.clone();
        rules.prepare_subresource(part, &mut changed, old, context);
        rules.validate_subresource(part, &changed, old, context);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_panics_and_defaults_settle(new in any_json(), old in any_json()) {
        let bench = bench();
        for resource in KINDS {
            bench.with_context(|context| ask_everything(resource, &new, &old, context));
            let mut once = new.clone();
            builtin(resource).default(&mut once);
            let mut twice = once.clone();
            builtin(resource).default(&mut twice);
            prop_assert_eq!(once, twice, "{}", resource);
        }
    }
}
