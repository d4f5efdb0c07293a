//! `portolan plan`: what YAML would make, with no server.

use crate::cli::{Output, PlanOptions};
use crate::config::parse_cidrs;
use crate::datapath::{Asked, Chosen, DataPath, foresee};
use crate::dataplane::{NOT_RELAYED, plan_problems};
use crate::load::load;
use crate::network::NodeAddresses;
use crate::problems::{as_json, as_text};
use crate::sandbox::Sandbox;
use gateway::RouteTable;
use model::{Cidr, NamespacedName, Problem, Service, Severity, Snapshot};
use proxy::LoadBalancers;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Prints the plan; fails when an object would be refused or would not work.
pub(crate) fn run(options: &PlanOptions) -> anyhow::Result<()> {
    let cidrs = |text: &Option<String>, flag: &str| {
        let text = text.as_deref();
        text.map(|text| parse_cidrs(text, flag)).transpose()
    };
    let asked = Asked {
        path: options.data_path,
        services: cidrs(&options.service_cidr, "service-cidr")?,
        pods: cidrs(&options.pod_cidr, "pod-cidr")?,
        runner: true,
    };
    let chosen = foresee(&asked, options.data_dir.as_deref())?;
    let loading = load(&options.filename);
    let mut sandbox = Sandbox::new(&chosen)?;
    sandbox.apply(&loading.objects);
    let snapshot = sandbox.snapshot();
    let (table, _) = gateway::plan(&snapshot, &gateway::Settings::default());
    let mut problems = problems(&sandbox, &snapshot, &table);
    if chosen.path == DataPath::Nftables {
        problems.retain(|problem| problem.reason != NOT_RELAYED);
    }
    let plan = json!({
        "dataPath": data_path(&chosen),
        "services": services(&sandbox, &snapshot),
        "records": records(&sandbox, &snapshot),
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
    all.retain(|problem| !sandbox.is_builtin(&problem.object.namespace, &problem.object.name));
    all.extend(sandbox.refused.iter().cloned());
    all
}

/// The data path, its ranges and the addresses that follow from them.
fn data_path(chosen: &Chosen) -> Value {
    let texts = |ranges: &[Cidr]| ranges.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut plan = json!({
        "name": chosen.path.as_str(),
        "why": chosen.why,
        "serviceCIDRs": texts(&chosen.services),
        "podCIDRs": texts(&chosen.pods),
    });
    if chosen.path == DataPath::Nftables {
        let addresses = NodeAddresses::new(&chosen.pods, &chosen.services);
        let texts = |ips: &[IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>();
        plan["nodeIPs"] = texts(&addresses.node).into();
        plan["dnsIPs"] = texts(&addresses.dns).into();
    }
    plan
}

fn users_services<'a>(
    sandbox: &'a Sandbox,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = &'a Service> {
    let all = snapshot.services.values().map(AsRef::as_ref);
    all.filter(|service: &&Service| !sandbox.is_builtin(&service.id.namespace, &service.id.name))
}

fn services(sandbox: &Sandbox, snapshot: &Snapshot) -> Vec<Value> {
    users_services(sandbox, snapshot)
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

fn records(sandbox: &Sandbox, snapshot: &Snapshot) -> Vec<String> {
    let settings = dns::Settings::new(0);
    let services = users_services(sandbox, snapshot);
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
    let path = &plan["dataPath"];
    println!("Data path {}", text(path, "name"));
    if let Some(why) = path["why"].as_str() {
        println!("  because {why}");
    }
    for (name, key) in [
        ("Services", "serviceCIDRs"),
        ("Pods", "podCIDRs"),
        ("Node", "nodeIPs"),
        ("DNS", "dnsIPs"),
    ] {
        let addresses = joined(&path[key]);
        if !addresses.is_empty() {
            println!("  {name} {addresses}");
        }
    }
    println!("\nServices (addresses are examples where the YAML names none)");
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
