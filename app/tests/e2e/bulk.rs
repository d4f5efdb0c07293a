//! A large directory with one broken object in it.

use crate::harness::{Up, eventually, text};
use std::fmt::Write;

const SERVICES: usize = 1000;
const INGRESSES: usize = 100;

fn directory(up: &Up) -> String {
    let dir = up.dir().join("bulk");
    std::fs::create_dir_all(&dir).expect("a folder");
    let mut services = String::new();
    for n in 0..SERVICES {
        write!(
            services,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}}}\nspec:\n  selector: {{app: web}}\n  \
             ports: [{{name: http, port: {}, targetPort: 8080}}]\n",
            8000 + n % 1000
        )
        .expect("a string grows");
    }
    let mut ingresses = String::new();
    for n in 0..INGRESSES {
        write!(
            ingresses,
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: i{n}}}\nspec:\n  \
             ingressClassName: nginx\n  rules:\n  - host: h{n}.example.com\n    http:\n      paths:\n      \
             - {{path: /, pathType: Prefix, backend: {{service: {{name: s{n}, port: {{name: http}}}}}}}}\n"
        )
        .expect("a string grows");
    }
    let broken = "apiVersion: v1\nkind: Service\nmetadata: {name: broken}\n\
                  spec: {type: NodePort, ports: [{port: 80, nodePort: 80}]}\n";
    let web = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  \
               selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
               spec: {containers: [{name: web, image: portolan/echo}]}\n";
    for (name, text) in [
        ("1-broken", broken),
        ("2-web", web),
        ("3-services", &services),
        ("4-ingresses", &ingresses),
    ] {
        std::fs::write(dir.join(format!("{name}.yaml")), text).expect("a file");
    }
    dir.display().to_string()
}

#[test]
fn a_thousand_services_and_a_hundred_ingresses_in_one_apply() {
    let up = Up::start(&[]);
    let output = up.kubectl_stdin(&["apply", "-f", &directory(&up)], "");
    assert!(!output.status.success(), "one object is broken");
    let errors = text(&output.stderr);
    assert!(
        errors.contains("spec.ports[0].nodePort") && errors.contains("30000-32767"),
        "{errors}"
    );
    assert_eq!(
        text(&output.stdout).lines().count(),
        SERVICES + INGRESSES + 1
    );
    for n in [0, INGRESSES / 2, INGRESSES - 1] {
        let host = format!("h{n}.example.com");
        eventually(|| up.get(&host, "/").0, |status| *status == 200);
    }
    let last = SERVICES - 1;
    let name = format!("s{last}");
    let address = up.kubectl(&["get", "service", &name, "-o", "jsonpath={.spec.clusterIP}"]);
    assert_eq!(
        up.dig(&format!("{name}.default.svc.cluster.local"), "A"),
        [address.as_str()]
    );
    let url = format!("http://{address}:{}/", 8000 + last % 1000);
    eventually(|| up.curl(&[&url]).0, |status| *status == 200);
}
