//! `portolan status`

use crate::cli::{Output, StatusOptions};
use crate::marker::Marker;
use crate::problems;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Shows where everything listens and what is wrong.
pub(crate) fn run(options: &StatusOptions) -> anyhow::Result<()> {
    let data_dir = match &options.data_dir {
        Some(dir) => dir.clone(),
        None => crate::config::default_data_dir()?,
    };
    let marker = Marker::read(&data_dir)?;
    let running = marker.ready && marker.listen.api.is_some_and(answers);
    let problems = problems::read(&data_dir);
    if options.output == Output::Json {
        let status = json!({ "running": running, "marker": marker, "problems": problems });
        println!("{status:#}");
    } else {
        print(&marker, running, &problems);
    }
    if !running {
        anyhow::bail!("`portolan up` is not running on {}", data_dir.display());
    }
    Ok(())
}

fn answers(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok()
}

fn print(marker: &Marker, running: bool, problems: &[Value]) {
    let state = if running { "running" } else { "not running" };
    println!(
        "portolan {} is {state} (process {})",
        marker.version, marker.pid
    );
    for (name, address) in [
        ("API server", marker.listen.api),
        ("DNS", marker.listen.dns),
        ("HTTP", marker.listen.http),
        ("HTTPS", marker.listen.https),
    ] {
        if let Some(address) = address {
            println!("  {name:<11} {address}");
        }
    }
    println!("  {:<11} {}", "kubeconfig", marker.kubeconfig.display());
    if let Some(path) = marker.data_path {
        let why = marker.fallback.as_deref().unwrap_or_default();
        let colon = if why.is_empty() { "" } else { ": " };
        println!("  {:<11} {}{colon}{why}", "data path", path.as_str());
    }
    if !marker.node_addresses.is_empty() {
        println!("  {:<11} {}", "Node", marker.node_addresses.join(", "));
    }
    println!("  {:<11} {}", "Services", marker.service_cidrs.join(", "));
    println!("  {:<11} {}", "Pods", marker.pod_cidrs.join(", "));
    if problems.is_empty() {
        println!("No problem is known.");
        return;
    }
    println!("{} problem(s):", problems.len());
    for problem in problems {
        println!("  {}", problems::as_text(problem));
    }
}
