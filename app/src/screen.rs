//! The one screen that `up` shows once everything runs.

use crate::config::Config;
use crate::datapath::{Chosen, DataPath, is_loopback};
use crate::marker::Marker;
use crate::seed::Seeded;
use std::net::SocketAddr;

/// Prints where everything listens and what to type next.
pub(crate) fn print(marker: &Marker, config: &Config, seeded: Seeded) {
    println!(
        "\nportolan {} is up. Ctrl-C stops all of it.\n",
        marker.version
    );
    let address = |address: Option<SocketAddr>| address.map_or_else(String::new, |a| a.to_string());
    let http = address(marker.listen.http);
    println!("  API server   https://{}", address(marker.listen.api));
    println!(
        "  Ingress      http://{http}  https://{}",
        address(marker.listen.https)
    );
    println!(
        "  DNS          {} (UDP and TCP)",
        address(marker.listen.dns)
    );
    println!("  Services     {}", marker.service_cidrs.join(", "));
    match &marker.node {
        Some(node) => println!(
            "  Pods         {} on node {node}",
            marker.pod_cidrs.join(", ")
        ),
        None => println!("  Pods         none are run (--no-runner)"),
    }
    println!("  data path    {}", data_path(&config.chosen));
    println!("  kubeconfig   {}", marker.kubeconfig.display());
    if let Some(ca) = &marker.ca {
        println!("  CA           {}", ca.display());
    }
    println!("  data         {}", config.data_dir.display());
    if seeded != Seeded::default() {
        println!(
            "  applied      {} objects, {} errors",
            seeded.applied, seeded.failed
        );
    }
    warn_about_ranges(config);
    next_steps(marker, &http);
}

/// The data path, and what follows from it.
fn data_path(chosen: &Chosen) -> String {
    let path = chosen.path.as_str();
    match (chosen.path, &chosen.why) {
        (DataPath::Nftables, _) => {
            let rights = match kernel::netns::origin() {
                Some(_) => ", without root",
                None => "",
            };
            format!("{path}: Pods and Services live in network namespaces of their own{rights}")
        }
        (DataPath::Userspace, Some(why)) => format!("{path}: {why}"),
        (DataPath::Userspace, None) => path.to_owned(),
    }
}

fn warn_about_ranges(config: &Config) {
    let chosen = &config.chosen;
    if chosen.path == DataPath::Nftables {
        return;
    }
    let ranges = chosen.services.iter().chain(&chosen.pods);
    for range in ranges.filter(|range| !is_loopback(range)) {
        println!(
            "\n  {range} is outside 127.0.0.0/8: addresses are allocated and answered by DNS, but\n  \
             nothing relays to them."
        );
    }
}

fn next_steps(marker: &Marker, http: &str) {
    let dns = marker.listen.dns.map_or(53, |address| address.port());
    println!("\nNext:");
    println!(
        "  export KUBECONFIG={}; kubectl get all -A",
        marker.kubeconfig.display()
    );
    println!("  curl -H 'Host: app1.example.com' http://{http}/");
    println!("  dig @127.0.0.1 -p {dns} kubernetes.default.svc.cluster.local");
    std::io::Write::flush(&mut std::io::stdout()).unwrap_or_default();
}
