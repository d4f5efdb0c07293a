//! The other commands of the binary.

use crate::harness::{Up, eventually, examples, portolan};
use serde_json::Value;

#[test]
fn plan_needs_no_server() {
    let (ok, text, errors) = portolan(&["plan", "-f", &examples("quickstart")]);
    assert!(ok, "{errors}");
    for want in ["app1.dev.svc.cluster.local", "app1.localhost", "app1-svc"] {
        assert!(text.contains(want), "no {want} in {text}");
    }
    let (ok, json, errors) = portolan(&["plan", "-o", "json", "-f", &examples("mission")]);
    assert!(ok, "{errors}");
    let plan: Value = serde_json::from_str(&json).expect("JSON");
    let problems = plan["problems"].as_array().expect("problems");
    let alb = problems.iter().find(|p| {
        p["object"]
            .as_str()
            .is_some_and(|o| o.ends_with("ingress-alb"))
    });
    let alb = alb.expect("nobody serves class alb");
    assert!(
        !alb["cure"].as_str().unwrap_or_default().is_empty(),
        "{alb}"
    );
}

#[test]
fn plan_fits_the_data_path() {
    let files = examples("quickstart");
    let plan = |arguments: &[&str]| -> Value {
        let all = [&["plan", "-o", "json", "-f", &files], arguments].concat();
        let (ok, json, errors) = portolan(&all);
        assert!(ok, "{errors}");
        serde_json::from_str(&json).expect("JSON")
    };
    let starts =
        |value: &Value, with: &str| value.as_str().is_some_and(|text| text.starts_with(with));
    let kernel = plan(&["--data-path=nftables"]);
    assert_eq!(kernel["dataPath"]["name"], "nftables");
    assert!(starts(
        &kernel["dataPath"]["serviceCIDRs"][0],
        "10.96.0.0/16"
    ));
    assert_eq!(kernel["dataPath"]["dnsIPs"][0], "10.96.0.10");
    assert!(starts(&kernel["services"][0]["clusterIPs"][0], "10.96."));
    assert!(starts(&kernel["services"][0]["endpoints"][0], "10.244."));
    assert_eq!(kernel["problems"], Value::Array(Vec::new()));
    let relay = plan(&["--data-path=userspace"]);
    assert!(starts(&relay["services"][0]["clusterIPs"][0], "127.96."));
    assert!(starts(&relay["services"][0]["endpoints"][0], "127.244."));

    // A data directory's own choice comes before the default.
    let dir = std::env::temp_dir().join(format!("portolan-plan-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    let kept = r#"{"data_path": "nftables", "service_cidrs": ["10.50.0.0/16"], "pod_cidrs": ["10.51.0.0/16"]}"#;
    std::fs::write(dir.join("portolan.json"), kept).expect("a file");
    let data = dir.display().to_string();
    let same = plan(&["--data-dir", &data]);
    let arguments = [
        "plan",
        "--data-path=userspace",
        "--data-dir",
        &data,
        "-f",
        ".",
    ];
    let (ok, _, errors) = portolan(&arguments);
    std::fs::remove_dir_all(&dir).expect("the folder goes");
    assert!(starts(&same["services"][0]["clusterIPs"][0], "10.50."));
    assert!(starts(&same["services"][0]["endpoints"][0], "10.51."));
    assert!(!ok && errors.contains("--data-path userspace"), "{errors}");
}

#[test]
fn plan_reports_each_gotcha_with_its_cure() {
    let dir = std::env::temp_dir().join(format!("portolan-gotchas-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    std::fs::write(
        dir.join("all.yaml"),
        "apiVersion: v1\nkind: Service\nmetadata: {name: far}\n\
         spec: {type: NodePort, selector: {app: x}, ports: [{name: http, port: 80, nodePort: 8080}]}\n\
         ---\napiVersion: v1\nkind: Service\nmetadata: {name: nothing}\n\
         spec: {selector: {app: nobody}, ports: [{port: 80}]}\n\
         ---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: web}}\n\
         spec: {containers: [{name: c, image: portolan/echo, ports: [{name: http, containerPort: 8080}]}]}\n\
         ---\napiVersion: v1\nkind: Service\nmetadata: {name: port}\n\
         spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: web}]}\n\
         ---\napiVersion: v1\nkind: Service\nmetadata: {name: lb}\n\
         spec: {type: LoadBalancer, loadBalancerClass: example.com/none, selector: {app: web}, \
         ports: [{name: http, port: 80, targetPort: http}]}\n\
         ---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: classless}\n\
         spec: {ingressClassName: absent, defaultBackend: {service: {name: port, port: {number: 80}}}}\n",
    )
    .expect("a file");
    let (_, json, errors) = portolan(&["plan", "-o", "json", "-f", &dir.display().to_string()]);
    std::fs::remove_dir_all(&dir).expect("the folder goes");
    let plan: Value =
        serde_json::from_str(&json).unwrap_or_else(|e| panic!("{e}: {json} {errors}"));
    for (object, field) in [
        ("services/default/far", "spec.ports[0].nodePort"),
        ("services/default/nothing", "spec.selector"),
        ("services/default/nothing", "spec.ports[0].name"),
        ("services/default/port", "spec.ports[0].targetPort"),
        ("services/default/lb", "spec.loadBalancerClass"),
        (
            "ingresses.networking.k8s.io/default/classless",
            "spec.ingressClassName",
        ),
    ] {
        let problems = plan["problems"].as_array().expect("problems");
        let found = problems
            .iter()
            .find(|p| p["object"] == object && p["field"] == field);
        let cure = found.and_then(|p| p["cure"].as_str()).unwrap_or_default();
        assert!(!cure.is_empty(), "{object} {field} in {problems:#?}");
    }
}

#[test]
fn explain_walks_to_the_pod_and_names_the_broken_link() {
    let up = Up::start(&["-f", &examples("quickstart")]);
    eventually(
        || up.get("app1.example.com", "/").0,
        |status| *status == 200,
    );
    let data = up.dir().display().to_string();
    let url = format!("http://app1.example.com:{}/x", up.port("http"));
    let (ok, text, errors) = portolan(&["explain", "--data-dir", &data, &url]);
    assert!(ok, "{text} {errors}");
    for want in ["ingress-host-based", "app1-svc", "8080"] {
        assert!(text.contains(want), "no {want} in {text}");
    }
    let (_, text, _) = eventually(
        || portolan(&["explain", "--data-dir", &data, "-n", "dev", "service/app1"]),
        |(ok, _, _)| *ok,
    );
    assert!(text.contains("app1.dev.svc.cluster.local"), "{text}");

    up.kubectl(&["scale", "deployment", "app1", "--replicas=0"]);
    eventually(
        || up.get("app1.example.com", "/").0,
        |status| *status == 503,
    );
    let (ok, json, _) = portolan(&["explain", "--data-dir", &data, "-o", "json", &url]);
    assert!(!ok, "a broken way is a failure");
    let explained: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(explained["broken"]["stage"], "endpoints", "{explained:#}");
}

#[test]
fn a_second_up_on_the_same_data_is_refused_and_status_and_reset_know_it() {
    let up = Up::start(&["--no-runner"]);
    let data = up.dir().display().to_string();
    let (ok, _, errors) = portolan(&["up", "--data-dir", &data]);
    assert!(!ok && errors.contains("in use"), "{errors}");
    let (ok, _, errors) = portolan(&["reset", "--yes", "--data-dir", &data]);
    assert!(!ok && errors.contains("in use"), "{errors}");
    let (ok, text, _) = portolan(&["status", "--data-dir", &data]);
    assert!(ok && text.contains(&up.address("http")), "{text}");
    let mode = std::fs::metadata(up.dir().join("kubeconfig"))
        .expect("a kubeconfig")
        .permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o600
    );
}
