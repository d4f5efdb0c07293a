//! Deployments, StatefulSets and single Pods, as kubectl shows them.

use crate::harness::{Up, eventually};

#[test]
fn kubectl_sees_pods_run_logs_and_end() {
    let up = Up::start(&["--image", "shell=sh"]);
    up.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: talker}\nspec:\n  restartPolicy: Never\n  containers:\n  \
         - name: c\n    image: shell\n    command: [sh, -c, 'echo one; echo $WORD; exit 3']\n    \
         env: [{name: WORD, value: two}]\n",
    );
    let phase = || up.kubectl(&["get", "pod", "talker", "-o", "jsonpath={.status.phase}"]);
    eventually(phase, |phase| phase == "Failed");
    assert_eq!(up.kubectl(&["logs", "talker"]), "one\ntwo\n");
    let code = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}";
    assert_eq!(up.kubectl(&["get", "pod", "talker", "-o", code]), "3");
    let told = up.kubectl(&["describe", "pod", "talker"]);
    assert!(told.contains("Exit Code:    3"), "{told}");
    up.kubectl(&["delete", "pod", "talker", "--timeout=30s"]);
}

#[test]
fn an_image_that_nothing_maps_says_what_to_do() {
    let up = Up::start(&[]);
    up.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'nginx:1.27'}]}\n",
    );
    let message = "jsonpath={.status.containerStatuses[0].state.waiting.message}";
    let told = eventually(
        || up.kubectl(&["get", "pod", "p", "-o", message]),
        |message| !message.is_empty(),
    );
    assert!(told.contains("--image") && told.contains("nginx"), "{told}");
}

#[test]
fn statefulset_rolls_in_order_and_deployment_rolls_back() {
    let up = Up::start(&[]);
    up.kubectl(&[
        "apply",
        "-f",
        &format!(
            "{}/service-headless.yaml",
            crate::harness::examples("mission")
        ),
    ]);
    up.kubectl(&["rollout", "status", "statefulset", "my-db", "--timeout=60s"]);
    let names = up.kubectl(&[
        "get",
        "pods",
        "-l",
        "app=my-db",
        "-o",
        "jsonpath={.items[*].metadata.name}",
    ]);
    assert_eq!(names, "my-db-0 my-db-1");
    up.kubectl(&["scale", "statefulset", "my-db", "--replicas=1"]);
    eventually(
        || up.dig("my-db.default.svc.cluster.local", "A"),
        |pods| pods.len() == 1,
    );

    up.kubectl(&["create", "deployment", "web", "--image=portolan/echo"]);
    up.kubectl(&["rollout", "status", "deployment", "web", "--timeout=60s"]);
    up.kubectl(&["set", "env", "deployment/web", "COLOR=blue"]);
    up.kubectl(&["rollout", "status", "deployment", "web", "--timeout=60s"]);
    up.kubectl(&["rollout", "undo", "deployment", "web"]);
    up.kubectl(&["rollout", "status", "deployment", "web", "--timeout=60s"]);
    let env = "jsonpath={.spec.template.spec.containers[0].env}";
    assert_eq!(up.kubectl(&["get", "deployment", "web", "-o", env]), "");
    up.kubectl(&[
        "expose",
        "deployment",
        "web",
        "--port=8000",
        "--target-port=8080",
    ]);
    let address = up.kubectl(&["get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"]);
    eventually(
        || up.curl(&[&format!("http://{address}:8000/")]).0,
        |status| *status == 200,
    );
    up.kubectl(&["delete", "deployment", "web", "--timeout=60s"]);
    eventually(
        || up.kubectl(&["get", "pods", "-l", "app=web", "-o", "name"]),
        |pods| pods.is_empty(),
    );
}
