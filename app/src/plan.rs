//! `portolan plan`: what YAML would make, with no server.

use crate::cli::{Output, PlanOptions};
use crate::config::{DEFAULT_SERVICE_CIDR, parse_cidrs};
use crate::dataplane::plan_problems;
use crate::load::load;
use crate::problems::{as_json, as_text};
use crate::sandbox::Sandbox;
use gateway::RouteTable;
use model::{NamespacedName, Problem, Service, Severity, Snapshot};
use proxy::LoadBalancers;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Prints the plan; fails when an object would be refused or would not work.
pub(crate) fn run(options: &PlanOptions) -> anyhow::Result<()> {
    let range = options
        .service_cidr
        .as_deref()
        .unwrap_or(DEFAULT_SERVICE_CIDR);
    let loading = load(&options.filename);
    let mut sandbox = Sandbox::new(parse_cidrs(range, "service-cidr")?)?;
    sandbox.apply(&loading.objects);
    let snapshot = sandbox.snapshot();
    let (table, _) = gateway::plan(&snapshot, &gateway::Settings::default());
    let problems = problems(&sandbox, &snapshot, &table);
    let plan = json!({
        "services": services(&snapshot),
        "records": records(&snapshot),
        "routes": routes(&table, &snapshot),
        "problems": problems.iter().map(as_json).collect::<Vec<_>>(),
        "unread": loading.errors.iter().map(|e| format!("{e:#}")).collect::<Vec<_>>(),
    });
    match options.output {
        Output::Json => println!("{plan:#}"),
        Output::Text => print(&plan),
    }
    let errors = problems
        .iter()
        .filter(|p| p.severity == Severity::Error)
        .count();
    let errors = errors + loading.errors.len();
    if errors > 0 && options.output == Output::Text {
        anyhow::bail!("{errors} error(s)");
    }
    Ok(())
}

fn problems(sandbox: &Sandbox, snapshot: &Snapshot, table: &RouteTable) -> BTreeSet<Problem> {
    let mut planner = proxy::Planner::new(proxy::Settings::default());
    planner.replan_all(snapshot);
    let load_balancers = LoadBalancers {
        served: true,
        our_class: crate::up::LOAD_BALANCER_CLASS,
    };
    let mut all = plan_problems(snapshot, table, &planner, load_balancers);
    all.retain(|problem| !is_builtin(&problem.object.namespace, &problem.object.name));
    all.extend(sandbox.refused.iter().cloned());
    all
}

/// The Service `kubernetes` is there without anyone's YAML.
fn is_builtin(namespace: &str, name: &str) -> bool {
    namespace == "default" && name == "kubernetes"
}

fn users_services(snapshot: &Snapshot) -> impl Iterator<Item = &Service> {
    let all = snapshot.services.values().map(AsRef::as_ref);
    all.filter(|service| !is_builtin(&service.id.namespace, &service.id.name))
}

fn services(snapshot: &Snapshot) -> Vec<Value> {
    users_services(snapshot)
        .map(|service| {
            let ports: Vec<Value> = service
                .ports
                .iter()
                .map(|port| {
                    json!({
                        "name": port.name, "port": port.port, "protocol": port.protocol.as_str(),
                        "nodePort": if port.node_port == 0 { Value::Null } else { port.node_port.into() },
                    })
                })
                .collect();
            let addresses = service.cluster_ips.iter().map(ToString::to_string);
            let balanced = service.load_balancer.iter().filter_map(|ingress| ingress.ip);
            json!({
                "namespace": &*service.id.namespace,
                "name": &*service.id.name,
                "type": format!("{:?}", service.kind),
                "headless": service.headless,
                "clusterIPs": addresses.collect::<Vec<_>>(),
                "loadBalancerIPs": balanced.map(|ip| ip.to_string()).collect::<Vec<_>>(),
                "externalName": service.external_name,
                "ports": ports,
                "endpoints": endpoints(snapshot, &service.id),
            })
        })
        .collect()
}

/// Ready endpoints of a Service, `address:port`.
pub(crate) fn endpoints(snapshot: &Snapshot, service: &NamespacedName) -> Vec<String> {
    let mut all = BTreeSet::new();
    for slice in snapshot.slices_of_service(service) {
        for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.ready) {
            for port in slice.ports.iter().filter_map(|port| port.port) {
                all.extend(
                    endpoint
                        .addresses
                        .first()
                        .map(|address| format!("{address}:{port}")),
                );
            }
        }
    }
    all.into_iter().collect()
}

fn records(snapshot: &Snapshot) -> Vec<String> {
    let settings = dns::Settings::new(0);
    let services = users_services(snapshot);
    services
        .flat_map(|service| dns::records(snapshot, &service.id, &settings))
        .map(|record| record.to_string())
        .collect()
}

fn routes(table: &RouteTable, snapshot: &Snapshot) -> Vec<Value> {
    let mut routes = Vec::new();
    for (name, host) in &table.hosts {
        for location in host
            .locations
            .iter()
            .filter(|location| location.origin.is_some())
        {
            let Some(origin) = &location.origin else {
                continue;
            };
            let backend = location.backend.as_ref();
            let ready = backend.map(|backend| gateway::endpoints(snapshot, backend).endpoints);
            let ready = ready.unwrap_or_default();
            let ready: Vec<String> = ready
                .iter()
                .map(|e| format!("{}:{}", e.host, e.port))
                .collect();
            routes.push(json!({
                "host": if **name == *gateway::CATCH_ALL { "*" } else { name },
                "path": location.path,
                "match": match (host.is_regex(), location.exact) {
                    (true, _) => "regex",
                    (false, true) => "exact",
                    (false, false) => "prefix",
                },
                "tls": host.tls.is_some(),
                "ingress": origin.ingress.to_string(),
                "backend": backend.map(ToString::to_string),
                "endpoints": ready,
            }));
        }
    }
    routes
}

fn print(plan: &Value) {
    let list = |key: &str| plan[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let joined = |value: &Value| {
        let items = value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        items.collect::<Vec<_>>().join(", ")
    };
    println!("Services (addresses are examples where the YAML names none)");
    for service in list("services") {
        let mut at = joined(&service["clusterIPs"]);
        if service["headless"] == true {
            at = "headless".to_owned();
        } else if text(&service, "type") == "ExternalName" {
            at = format!("alias of {}", text(&service, "externalName"));
        }
        let balanced = joined(&service["loadBalancerIPs"]);
        if !balanced.is_empty() {
            at.push_str(&format!(", load balancer {balanced}"));
        }
        let ports = service["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .map(port_text);
        println!(
            "  {}/{} {} {at} {} → {}",
            text(&service, "namespace"),
            text(&service, "name"),
            text(&service, "type"),
            ports.collect::<Vec<_>>().join(" "),
            joined(&service["endpoints"]),
        );
    }
    println!("\nDNS records");
    for record in list("records") {
        println!("  {}", record.as_str().unwrap_or_default());
    }
    println!("\nRoutes");
    for route in list("routes") {
        let scheme = if route["tls"] == true {
            "https"
        } else {
            "http"
        };
        println!(
            "  {scheme}://{}{} ({}) → {} by Ingress {}",
            text(&route, "host"),
            text(&route, "path"),
            text(&route, "match"),
            text(&route, "backend"),
            text(&route, "ingress"),
        );
    }
    let (problems, unread) = (list("problems"), list("unread"));
    println!("\nProblems");
    for error in &unread {
        println!("  error: {}", error.as_str().unwrap_or_default());
    }
    for problem in &problems {
        println!("  {}", as_text(problem));
    }
    if problems.is_empty() && unread.is_empty() {
        println!("  none");
    }
}

fn port_text(port: &Value) -> String {
    let node = port["nodePort"]
        .as_u64()
        .map_or_else(String::new, |node| format!("/node {node}"));
    format!(
        "{}/{}{node}",
        port["port"],
        port["protocol"].as_str().unwrap_or_default()
    )
}
