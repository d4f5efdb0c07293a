//! What a laboratory says of itself.

use super::cluster::Cluster;
use crate::problems::{as_json, as_text};
use kernel::lab::{Lab, Machine, POD_PREFIX};
use model::Service;

/// Prints the machines, the Services and what to type next.
pub(super) fn print(lab: &Lab, cluster: &Cluster) {
    println!("\nThe laboratory is up. Ctrl-C ends it, and nothing is left.\n");
    let row = |machine: &Machine, more: &str| {
        let ips = machine.addresses;
        let (v4, v6) = (ips.v4.to_string(), ips.v6.to_string());
        println!("  {:<10} {v4:<16} {v6:<24} {more}", machine.name);
    };
    for node in &lab.nodes {
        let ((v4, v6), nets) = (POD_PREFIX, node.pod_networks);
        row(
            &node.machine,
            &format!("Pods in {}/{v4}, {}/{v6}", nets.v4, nets.v6),
        );
    }
    for pod in &lab.pods {
        row(
            &pod.machine,
            &format!("on {}", lab.nodes[pod.node].machine.name),
        );
    }
    row(&lab.client, "outside, behind the router");
    println!();
    for service in cluster.services() {
        print_service(service, cluster);
    }
    for problem in &cluster.problems {
        println!("  {}", as_text(&as_json(problem)));
    }
    next_steps(lab, cluster);
}

fn print_service(service: &Service, cluster: &Cluster) {
    let name = format!("{}/{}", service.id.namespace, service.id.name);
    let ips: Vec<String> = service
        .cluster_ips
        .iter()
        .map(ToString::to_string)
        .collect();
    let ports: Vec<String> = service
        .ports
        .iter()
        .map(|port| match port.node_port {
            0 => format!("{}/{}", port.port, port.protocol.as_str()),
            node => format!("{}:{node}/{}", port.port, port.protocol.as_str()),
        })
        .collect();
    let balanced: Vec<String> = service
        .load_balancer
        .iter()
        .filter_map(|ingress| ingress.ip)
        .map(|ip| ip.to_string())
        .collect();
    let endpoints = crate::plan::endpoints(&cluster.snapshot, &service.id).len();
    println!("  Service {name}: {} {}", ips.join(" "), ports.join(" "));
    if !balanced.is_empty() {
        println!("    load balancer {}", balanced.join(" "));
    }
    println!("    {endpoints} endpoints");
}

fn next_steps(lab: &Lab, cluster: &Cluster) {
    let from = lab
        .pods
        .first()
        .map_or("node1", |pod| pod.machine.name.as_str());
    let service = cluster
        .services()
        .find(|service| !service.cluster_ips.is_empty());
    println!("\n  Enter a machine in another terminal:");
    if let Some(service) = service
        && let (Some(ip), Some(port)) = (service.cluster_ips.first(), service.ports.first())
    {
        let at = std::net::SocketAddr::new(*ip, port.port);
        println!("    portolan lab exec {from} -- curl http://{at}");
        println!("    portolan lab exec client -- curl http://{at}");
    }
    println!("    portolan lab exec node1 -- nft list ruleset");
    println!("    portolan lab exec {from} -- sh\n");
}
