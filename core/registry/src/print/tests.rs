use super::*;

const NOW: &str = "2026-11-25T18:10:00Z";
const OLD: &str = "2026-11-25T18:00:00Z";

fn cells(resource: Resource, object: Value) -> Value {
    let now = Timestamp::parse(NOW).expect("time");
    let mut object = object;
    object["metadata"]["creationTimestamp"] = OLD.into();
    if object["metadata"]["name"].is_null() {
        object["metadata"]["name"] = "a".into();
    }
    builtin_row(resource, &object, now).into()
}

#[test]
fn every_row_has_a_cell_for_each_column() {
    for kind in schema::Registry::builtin().kinds() {
        let mut object = json!({});
        schema::Registry::builtin().normalise(kind, &mut object);
        let cells = row(kind, &object, Timestamp::default()).len();
        let extra = usize::from(kind.resource == Resource::IP_ADDRESSES);
        assert_eq!(
            cells,
            columns(kind.resource).len() + extra,
            "{}",
            kind.resource
        );
    }
}

#[test]
fn services() {
    let service = |spec: Value, status: Value| {
        let cells = cells(Resource::SERVICES, json!({"spec": spec, "status": status}));
        let cells = cells.as_array().expect("cells").clone();
        cells
            .iter()
            .skip(1)
            .map(|cell| cell.as_str().unwrap_or("?").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        service(
            json!({"type": "NodePort", "clusterIPs": ["10.96.0.9"], "selector": {"b": "2", "a": "1"},
                   "ports": [{"port": 80, "nodePort": 30000, "protocol": "TCP"},
                             {"port": 53, "protocol": "UDP"}]}),
            json!({}),
        ),
        [
            "NodePort",
            "10.96.0.9",
            "<none>",
            "80:30000/TCP,53/UDP",
            "10m",
            "a=1,b=2"
        ]
    );
    let balancer = json!({"type": "LoadBalancer", "externalIPs": ["192.0.2.9"]});
    let status = json!({"loadBalancer": {"ingress": [
        {"ip": "192.0.2.2"}, {"hostname": "lb.example"}, {"ip": "192.0.2.1"},
    ]}});
    assert_eq!(
        service(balancer, status)[2],
        "192.0.2.1,192.0.2.2,lb.example,192.0.2.9"
    );
    assert_eq!(
        service(json!({"type": "LoadBalancer"}), json!({}))[2],
        "<pending>"
    );
    assert_eq!(
        service(
            json!({"type": "ExternalName", "externalName": "x.example"}),
            json!({})
        ),
        [
            "ExternalName",
            "<none>",
            "x.example",
            "<none>",
            "10m",
            "<none>"
        ]
    );
}

#[test]
fn long_lists_are_shortened() {
    let addresses: Vec<Value> = (1..=4)
        .map(|n| json!({"ip": format!("10.0.0.{n}")}))
        .collect();
    let endpoints = json!({"subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]});
    assert_eq!(
        cells(Resource::ENDPOINTS, endpoints)[1],
        "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more..."
    );
    assert_eq!(
        cells(Resource::ENDPOINTS, json!({"subsets": []}))[1],
        "<none>"
    );
    let slice = json!({
        "addressType": "IPv6", "ports": [{"port": 80}, {"name": "x"}, {}],
        "endpoints": [{"addresses": ["2001:db8::1"]}],
    });
    assert_eq!(
        cells(Resource::ENDPOINT_SLICES, slice),
        json!(["a", "IPv6", "80,x,*", "2001:db8::1", "10m"])
    );
    let rules: Vec<Value> = ["a", "b", "c", "d", "e"]
        .map(|host| json!({"host": host}))
        .to_vec();
    let ingress = json!({"spec": {"rules": rules, "tls": [{}], "ingressClassName": "nginx"}});
    assert_eq!(
        cells(Resource::INGRESSES, ingress),
        json!(["a", "nginx", "a,b,c + 2 more...", "", "80, 443", "10m"])
    );
}

fn pod_cells(spec: Value, status: Value) -> Vec<String> {
    let cells = cells(Resource::PODS, json!({"spec": spec, "status": status}));
    let cells = cells.as_array().expect("cells").clone();
    cells
        .iter()
        .take(4)
        .skip(1)
        .map(|cell| cell.as_str().unwrap_or("?").to_owned())
        .collect()
}

#[test]
fn the_status_of_a_pod_is_that_of_its_containers() {
    let one = json!({"containers": [{"name": "c"}]});
    let status = |state: Value| {
        json!({"phase": "Running", "containerStatuses": [
            {"name": "c", "ready": true, "restartCount": 2, "state": state,
             "lastState": {"terminated": {"finishedAt": "2026-11-25T18:09:00Z"}}},
        ]})
    };
    assert_eq!(
        pod_cells(one.clone(), status(json!({"running": {}}))),
        ["1/1", "Running", "2 (60s ago)"]
    );
    assert_eq!(
        pod_cells(
            one.clone(),
            status(json!({"waiting": {"reason": "CrashLoopBackOff"}}))
        )[1],
        "CrashLoopBackOff"
    );
    assert_eq!(
        pod_cells(one.clone(), status(json!({"terminated": {"exitCode": 3}})))[1],
        "ExitCode:3"
    );
    assert_eq!(
        pod_cells(
            one.clone(),
            status(json!({"terminated": {"exitCode": 0, "signal": 9}}))
        )[1],
        "Signal:9"
    );
    assert_eq!(
        pod_cells(one, json!({"phase": "Pending"})),
        ["0/1", "Pending", "0"]
    );
}

#[test]
fn init_containers_come_first() {
    let spec = json!({
        "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}, {"name": "j"}],
        "containers": [{"name": "c"}],
    });
    let init = |last: Value| {
        json!({"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "restartCount": 1, "state": {"terminated": {"exitCode": 0}}},
            {"name": "s", "started": true, "ready": true, "state": {"running": {}}},
            {"name": "j", "state": last},
        ]})
    };
    assert_eq!(
        pod_cells(spec.clone(), init(json!({}))),
        ["1/2", "Init:2/3", "1"]
    );
    assert_eq!(
        pod_cells(
            spec.clone(),
            init(json!({"waiting": {"reason": "ErrImagePull"}}))
        )[1],
        "Init:ErrImagePull"
    );
    assert_eq!(
        pod_cells(
            spec,
            init(json!({"terminated": {"exitCode": 2, "reason": "Error"}}))
        )[1],
        "Init:Error"
    );
}

#[test]
fn the_end_of_a_pod() {
    let object = json!({
        "metadata": {"deletionTimestamp": NOW}, "status": {"phase": "Running"},
        "spec": {"containers": [{"name": "c"}], "readinessGates": [{"conditionType": "x"}]},
    });
    assert_eq!(
        cells(Resource::PODS, object),
        json!([
            "a",
            "0/1",
            "Terminating",
            "0",
            "10m",
            "<none>",
            "<none>",
            "<none>",
            "0/1"
        ])
    );
    let ended = json!({"status": {"phase": "Failed"}});
    let conditions = conditions(Resource::PODS, &ended).expect("conditions");
    assert_eq!(conditions[0]["message"], "The pod failed.");
}

#[test]
fn workloads() {
    let spec = json!({
        "replicas": 3,
        "selector": {"matchLabels": {"b": "1"}, "matchExpressions": [
            {"key": "a", "operator": "In", "values": ["y", "x"]},
            {"key": "c", "operator": "DoesNotExist"},
        ]},
        "template": {"spec": {"containers": [
            {"name": "c", "image": "i"}, {"name": "d", "image": "j"},
        ]}},
    });
    let object = json!({"spec": spec, "status": {
        "readyReplicas": 1, "updatedReplicas": 2, "replicas": 3,
    }});
    assert_eq!(
        cells(Resource::DEPLOYMENTS, object.clone()),
        json!(["a", "1/3", 2, 0, "10m", "c,d", "i,j", "a in (x,y),b=1,!c"])
    );
    assert_eq!(
        cells(Resource::REPLICA_SETS, object.clone()),
        json!(["a", 3, 3, 1, "10m", "c,d", "i,j", "a in (x,y),b=1,!c"])
    );
    assert_eq!(
        cells(Resource::STATEFUL_SETS, object),
        json!(["a", "1/3", "10m", "c,d", "i,j"])
    );
    let revision = json!({"revision": 4, "metadata": {"ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "controller": true},
    ]}});
    assert_eq!(
        cells(Resource::CONTROLLER_REVISIONS, revision),
        json!(["a", "statefulset.apps/web", 4, "10m"])
    );
}

#[test]
fn nodes_events_and_addresses() {
    let node = json!({
        "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "x"}},
        "spec": {"unschedulable": true},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "nodeInfo": {"kernelVersion": "6", "architecture": "amd64"},
        },
    });
    assert_eq!(
        cells(Resource::NODES, node),
        json!([
            "a",
            "Ready,SchedulingDisabled",
            "worker,x",
            "10m",
            "",
            "10.0.0.1",
            "<none>",
            "<unknown>",
            "6 (amd64)",
            "<unknown>"
        ])
    );
    let event = json!({
        "involvedObject": {"kind": "Pod", "name": "p"}, "type": "Normal", "reason": "Started",
        "message": " started ", "eventTime": "2026-11-25T18:08:00.000000Z",
        "reportingComponent": "kubelet", "reportingInstance": "n",
    });
    assert_eq!(
        cells(Resource::EVENTS, event),
        json!([
            "2m",
            "Normal",
            "Started",
            "pod/p",
            "",
            "kubelet, n",
            "started",
            "2m",
            1,
            "a"
        ])
    );
    let address = json!({"spec": {"parentRef": {
        "group": "", "resource": "services", "namespace": "default", "name": "web",
    }}});
    assert_eq!(
        cells(Resource::IP_ADDRESSES, address),
        json!(["a", "services/default/web", "10m"])
    );
}
