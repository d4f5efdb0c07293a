//! The real helm with its defaults: server-side apply, three-way upgrades, Secrets as storage.

use crate::harness::{Up, eventually, text};
use std::process::Command;

/// Runs helm against the server; it must succeed.
fn helm(up: &Up, arguments: &[&str]) -> String {
    let (success, told) = try_helm(up, arguments);
    assert!(success, "helm {arguments:?}: {told}");
    told
}

fn try_helm(up: &Up, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("helm")
        .arg("--kubeconfig")
        .arg(up.dir().join("kubeconfig"))
        .args(arguments)
        .current_dir(up.dir())
        .env("HOME", up.dir())
        .env_remove("KUBECONFIG")
        .output()
        .expect("helm is installed: cargo xtask tools");
    let told = text(&output.stdout) + &text(&output.stderr);
    (output.status.success(), told)
}

/// The image that the server gives to the Deployment's only container.
fn image(up: &Up) -> String {
    let path = "jsonpath={.spec.template.spec.containers[0].image}";
    up.kubectl(&["get", "deployment", "shop-web", "-o", path])
}

#[test]
fn the_default_chart_lives_its_whole_life() {
    let up = Up::start(&["--image", "nginx=portolan/echo"]);
    helm(&up, &["create", "web"]);
    let told = helm(&up, &["install", "shop", "web", "--wait", "--timeout=60s"]);
    assert!(told.contains("STATUS: deployed"), "{told}");
    let first = image(&up);
    let managers = up.kubectl(&[
        "get",
        "deployment",
        "shop-web",
        "--show-managed-fields",
        "-o",
        "jsonpath={.metadata.managedFields[?(@.operation=='Apply')].manager}",
    ]);
    assert_eq!(managers, "helm");

    let settings = [
        "--set=replicaCount=2",
        "--set=image.tag=2.0",
        "--set=ingress.enabled=true",
        "--set=ingress.className=nginx",
        "--set=service.port=8081",
    ];
    let mut upgrade = vec!["upgrade", "shop", "web", "--wait", "--timeout=60s"];
    upgrade.extend(settings);
    helm(&up, &upgrade);
    assert_eq!(image(&up), "nginx:2.0");
    eventually(
        || up.get("chart-example.local", "/hello"),
        |(status, body)| *status == 200 && body.contains("/hello"),
    );
    let ports = "jsonpath={.spec.ports[*].port}";
    assert_eq!(
        up.kubectl(&["get", "service", "shop-web", "-o", ports]),
        "8081"
    );

    helm(&up, &["rollback", "shop", "1", "--wait", "--timeout=60s"]);
    assert_eq!(image(&up), first);
    let ingresses = up.kubectl(&["get", "ingress", "-o", "name"]);
    assert_eq!(ingresses, "", "what an older revision did not have goes");
    assert_eq!(
        up.kubectl(&["get", "service", "shop-web", "-o", ports]),
        "80"
    );
    let history = helm(&up, &["history", "shop"]);
    assert!(history.contains("Rollback to 1"), "{history}");

    helm(&up, &["uninstall", "shop", "--wait", "--timeout=60s"]);
    let left = || {
        let all = "all,serviceaccounts";
        let ours = "app.kubernetes.io/instance=shop";
        up.kubectl(&["get", all, "-l", ours, "-o", "name"])
    };
    eventually(left, String::is_empty);
}

#[test]
fn the_charts_own_test_reaches_its_service_by_name() {
    let Some(up) = Up::start_inside(&["--image", "nginx=portolan/echo"]) else {
        return;
    };
    helm(&up, &["create", "web"]);
    helm(&up, &["install", "shop", "web", "--wait", "--timeout=60s"]);
    let told = helm(&up, &["test", "shop", "--timeout=60s"]);
    assert!(told.contains("Succeeded"), "{told}");
    let log = up.kubectl(&["logs", "shop-web-test-connection"]);
    assert!(log.contains("shop-web"), "{log}");
}

#[test]
fn fields_of_others_survive_an_upgrade_and_conflicts_are_told() {
    let up = Up::start(&["--image", "nginx=portolan/echo"]);
    helm(&up, &["create", "web"]);
    helm(&up, &["install", "shop", "web"]);
    up.kubectl(&[
        "annotate",
        "deployment",
        "shop-web",
        "example.com/note=kept",
    ]);
    up.kubectl(&["scale", "deployment", "shop-web", "--replicas=3"]);
    let (success, told) = try_helm(&up, &["upgrade", "shop", "web", "--set=replicaCount=2"]);
    assert!(!success, "{told}");
    assert!(
        told.contains("conflict") && told.contains(".spec.replicas"),
        "{told}"
    );
    helm(
        &up,
        &[
            "upgrade",
            "shop",
            "web",
            "--set=replicaCount=2",
            "--force-conflicts",
        ],
    );
    let shown = up.kubectl(&[
        "get",
        "deployment",
        "shop-web",
        "-o",
        "jsonpath={.spec.replicas} {.metadata.annotations.example\\.com/note}",
    ]);
    assert_eq!(shown, "2 kept");
}
