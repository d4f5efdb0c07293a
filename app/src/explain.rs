//! `portolan explain`: a request's way, step by step, and the first link that is broken.

use crate::cli::{ExplainOptions, Output};
use crate::datapath::{Asked, foresee};
use crate::load::load;
use crate::marker::Marker;
use crate::plan::endpoints;
use crate::problems;
use crate::remote::Remote;
use crate::sandbox::Sandbox;
use anyhow::{Context, bail};
use model::{ChangedKeys, Cidr, NamespacedName, Problem, Service, ServiceType, Severity, Snapshot};
use proxy::kernel::RulesetPlanner;
use proxy::{Frontend, LoadBalancers};
use serde::Serialize;
use serde_json::json;
use std::net::{IpAddr, SocketAddr};

/// One link of the way.
#[derive(Clone, Debug, Serialize)]
struct Step {
    stage: &'static str,
    ok: bool,
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cure: String,
}

/// The whole way.
#[derive(Default)]
struct Way {
    steps: Vec<Step>,
    lost: Vec<String>,
}

/// Explains a URL or a Service; fails when a link is broken.
pub(crate) fn run(options: &ExplainOptions) -> anyhow::Result<()> {
    let (snapshot, marker) = picture(options)?;
    let way = match options.target.split_once('/') {
        Some(("service" | "services" | "svc", name)) => {
            let id = NamespacedName::new(&options.namespace, name);
            service_way(&snapshot, &id, marker.as_ref())
        }
        _ => url_way(&snapshot, &options.target, marker.as_ref())?,
    };
    let broken = way.steps.iter().find(|step| !step.ok).cloned();
    match options.output {
        Output::Json => {
            let way = json!({"target": options.target, "steps": way.steps, "lost": way.lost, "broken": broken});
            println!("{way:#}");
        }
        Output::Text => print(&way),
    }
    match broken {
        Some(step) => bail!("broken at {}: {}", step.stage, step.text),
        None => Ok(()),
    }
}

/// The cluster: of files, or of the running server.
fn picture(options: &ExplainOptions) -> anyhow::Result<(Snapshot, Option<Marker>)> {
    if !options.filename.is_empty() {
        let mut loading = load(&options.filename);
        if let Some(error) = loading.errors.pop() {
            return Err(error);
        }
        let asked = Asked {
            runner: true,
            ..Asked::default()
        };
        let mut sandbox = Sandbox::new(&foresee(&asked, options.data_dir.as_deref())?)?;
        sandbox.apply(&loading.objects);
        return Ok((sandbox.snapshot(), None));
    }
    let data_dir = match &options.data_dir {
        Some(dir) => dir.clone(),
        None => crate::config::default_data_dir()?,
    };
    let marker = Marker::read(&data_dir)?;
    let remote = Remote::from_kubeconfig(&marker.kubeconfig)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let objects = runtime.block_on(remote.objects())?;
    Ok((Snapshot::from_objects(&objects), Some(marker)))
}

struct Url {
    https: bool,
    host: String,
    port: Option<u16>,
    path: String,
}

fn parse_url(text: &str) -> anyhow::Result<Url> {
    let wrong =
        || format!("{text:?} is neither a URL such as http://app1.localhost/ nor service/NAME");
    let (scheme, rest) = text.split_once("://").with_context(wrong)?;
    let https = match scheme {
        "http" => false,
        "https" => true,
        _ => bail!("{}", wrong()),
    };
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (
            host,
            Some(
                port.parse()
                    .with_context(|| format!("{port:?} is no port"))?,
            ),
        ),
        _ => (authority, None),
    };
    if host.is_empty() {
        bail!("{}", wrong());
    }
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok(Url {
        https,
        host: host.trim_matches(['[', ']']).to_lowercase(),
        port,
        path,
    })
}

fn url_way(snapshot: &Snapshot, text: &str, marker: Option<&Marker>) -> anyhow::Result<Way> {
    let url = parse_url(text)?;
    if let Some(service) = service_of_host(snapshot, &url.host) {
        return Ok(service_way(snapshot, &service, marker));
    }
    let mut way = Way::default();
    way.steps.push(name_step(&url, marker));
    way.steps
        .extend(marker.map(|marker| listener_step(&url, marker)));
    let redirect = marker
        .and_then(|marker| marker.listen.https)
        .map_or(443, |a| a.port());
    let settings = gateway::Settings {
        https_port: redirect,
        https_redirect_port: redirect,
        ..gateway::Settings::default()
    };
    let (table, _) = gateway::plan(snapshot, &settings);
    let explained = gateway::explain(&table, snapshot, &url.host, &url.path, url.https);
    for step in explained.steps {
        let cure = cure_of(step.stage, step.ok);
        way.steps.push(Step {
            stage: step.stage,
            ok: step.ok,
            text: step.text,
            cure,
        });
    }
    way.lost = explained.lost;
    Ok(way)
}

fn cure_of(stage: &str, ok: bool) -> String {
    let cure = match stage {
        _ if ok => "",
        "host" => "Add a rule with this host to an Ingress of class nginx.",
        "path" | "rule" | "answer" => {
            "Add a rule for this path, or correct the one that was meant."
        }
        "service" => "Create the Service, or correct the backend's name in the Ingress.",
        "endpoints" => {
            "Start Pods that the Service selects; `portolan explain service/NAME` says more."
        }
        _ => "",
    };
    cure.to_owned()
}

/// The Service that a cluster name or a Service address means.
fn service_of_host(snapshot: &Snapshot, host: &str) -> Option<NamespacedName> {
    if let Ok(address) = host.parse::<IpAddr>() {
        let found = snapshot.services.values().find(|service| {
            service.cluster_ips.contains(&address)
                || service
                    .load_balancer
                    .iter()
                    .any(|ingress| ingress.ip == Some(address))
        });
        return found.map(|service| service.id.clone());
    }
    let inner = host
        .trim_end_matches('.')
        .strip_suffix(".svc.cluster.local")?;
    let mut labels = inner.rsplit('.');
    let (namespace, name) = (labels.next()?, labels.next()?);
    Some(NamespacedName::new(namespace, name))
}

fn name_step(url: &Url, marker: Option<&Marker>) -> Step {
    let local = url.host == "localhost" || url.host.ends_with(".localhost");
    let address = marker
        .and_then(|marker| marker.listen.http)
        .map(|address| address.ip());
    let address = address.map_or_else(|| "the gateway".to_owned(), |ip| ip.to_string());
    let text = if local || url.host.parse::<IpAddr>().is_ok() {
        format!("{} is this machine.", url.host)
    } else {
        format!(
            "{} has to lead to {address}; until DNS or a hosts file says so, send the name as the \
             Host header.",
            url.host
        )
    };
    Step {
        stage: "name",
        ok: true,
        text,
        cure: String::new(),
    }
}

fn listener_step(url: &Url, marker: &Marker) -> Step {
    let (name, listener): (_, Option<SocketAddr>) = match url.https {
        true => ("HTTPS", marker.listen.https),
        false => ("HTTP", marker.listen.http),
    };
    let Some(listener) = listener else {
        let text = format!("Nothing listens for {name}.");
        return Step {
            stage: "listener",
            ok: false,
            text,
            cure: String::new(),
        };
    };
    let port = url.port.unwrap_or(if url.https { 443 } else { 80 });
    if url.port.is_some() && port != listener.port() {
        return Step {
            stage: "listener",
            ok: false,
            text: format!("Ingress does not listen on port {port}; {name} is on {listener}."),
            cure: format!("Use port {}.", listener.port()),
        };
    }
    let text = if port == listener.port() {
        format!("{name} listens on {listener}.")
    } else {
        format!(
            "{name} listens on {listener}: add :{} to the URL.",
            listener.port()
        )
    };
    Step {
        stage: "listener",
        ok: true,
        text,
        cure: String::new(),
    }
}

fn service_way(snapshot: &Snapshot, id: &NamespacedName, marker: Option<&Marker>) -> Way {
    let mut way = Way::default();
    let Some(service) = snapshot.services.get(id) else {
        way.steps.push(Step {
            stage: "service",
            ok: false,
            text: format!("There is no Service {id}."),
            cure: "Create it, or name its namespace with -n.".to_owned(),
        });
        return way;
    };
    way.steps.push(dns_step(snapshot, service));
    if service.kind == ServiceType::ExternalName {
        let text = format!(
            "Clients go on to {}; nothing is proxied.",
            service.external_name
        );
        way.steps.push(Step {
            stage: "address",
            ok: true,
            text,
            cure: String::new(),
        });
        return way;
    }
    way.steps.push(address_step(service));
    way.steps
        .extend(marker.and_then(|marker| inside_step(service, marker)));
    way.steps
        .extend(marker.and_then(|marker| rules_step(snapshot, service, marker)));
    way.steps
        .extend(marker.and_then(|marker| bound_step(service, marker)));
    let load_balancers = LoadBalancers {
        served: marker.is_none_or(|m| m.node.is_some()),
        our_class: crate::up::LOAD_BALANCER_CLASS,
    };
    for problem in proxy::gotchas(snapshot, service, load_balancers) {
        way.steps.push(problem_step(&problem));
    }
    way.steps.push(endpoints_step(snapshot, service));
    way
}

fn dns_step(snapshot: &Snapshot, service: &Service) -> Step {
    let records = dns::records(snapshot, &service.id, &dns::Settings::new(0));
    let name = format!(
        "{}.{}.svc.cluster.local",
        service.id.name, service.id.namespace
    );
    let own: Vec<&str> = records
        .iter()
        .filter(|record| record.name.trim_end_matches('.') == name)
        .map(|record| record.data.as_str())
        .collect();
    let text = if own.is_empty() {
        format!("{name} has no address.")
    } else {
        format!("{name} is {}.", own.join(", "))
    };
    Step {
        stage: "dns",
        ok: !own.is_empty(),
        text,
        cure: String::new(),
    }
}

fn address_step(service: &Service) -> Step {
    let ports: Vec<String> = service
        .ports
        .iter()
        .map(|port| match port.node_port {
            0 => format!("{}/{}", port.port, port.protocol.as_str()),
            node => format!(
                "{}/{} and node port {node}",
                port.port,
                port.protocol.as_str()
            ),
        })
        .collect();
    let text = if service.headless {
        "It is headless: clients connect to the Pods themselves.".to_owned()
    } else {
        let addresses: Vec<String> = service
            .cluster_ips
            .iter()
            .map(ToString::to_string)
            .collect();
        format!(
            "{} listens on {}.",
            addresses.join(" and "),
            ports.join(", ")
        )
    };
    Step {
        stage: "address",
        ok: true,
        text,
        cure: String::new(),
    }
}

/// How a Service is reached where its addresses are the kernel's and not the host's.
fn inside_step(service: &Service, marker: &Marker) -> Option<Step> {
    let node = marker.node_addresses.first()?;
    if service.headless {
        return None;
    }
    let id = &service.id;
    let port = service.ports.first().map_or(0, |port| port.port);
    let mut text = format!(
        "nf_tables carries it, in network namespaces of `portolan up`: Pods connect to the          addresses above. From this machine: kubectl -n {} port-forward service/{} :{port}, or an          Ingress",
        id.namespace, id.name
    );
    let balanced = service
        .load_balancer
        .iter()
        .filter_map(|ingress| ingress.ip);
    for ip in balanced {
        text += &format!(", or {ip}:{port}");
    }
    let mut node_ports = service.ports.iter().filter(|port| port.node_port != 0);
    if let Some(port) = node_ports.next() {
        let number = port.node_port;
        text += &format!(", or 127.0.0.1:{number} ({node}:{number} for Pods)");
    }
    text += ".";
    Some(Step {
        stage: "data path",
        ok: true,
        text,
        cure: String::new(),
    })
}

/// What the rules in the kernel do with the Service's addresses, as Services rather than as rules.
fn rules_step(snapshot: &Snapshot, service: &Service, marker: &Marker) -> Option<Step> {
    let node = marker.node.as_deref()?;
    let _inside = marker.network.as_ref()?;
    let (services, pods) = (ranges(&marker.service_cidrs), ranges(&marker.pod_cidrs));
    let settings = crate::inside::node_settings(node, &pods, &services);
    let mut planner = RulesetPlanner::new(settings);
    let mut all = ChangedKeys::default();
    all.services.extend(snapshot.services.keys().cloned());
    planner.update(snapshot, &all);
    let balanced = service
        .load_balancer
        .iter()
        .filter_map(|ingress| ingress.ip);
    let addresses: Vec<IpAddr> = service
        .cluster_ips
        .iter()
        .copied()
        .chain(balanced)
        .collect();
    let mut lines = Vec::new();
    for port in &service.ports {
        for address in &addresses {
            lines.extend(planner.explain(&Frontend {
                address: *address,
                protocol: port.protocol,
                port: port.port,
            }));
        }
        if port.node_port != 0 {
            lines.extend(planner.explain_node_port(true, port.protocol, port.node_port));
        }
    }
    (!lines.is_empty()).then(|| Step {
        stage: "rules",
        ok: true,
        text: lines.join("\n  "),
        cure: String::new(),
    })
}

fn ranges(texts: &[String]) -> Vec<Cidr> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// A port that the relay could not open.
fn bound_step(service: &Service, marker: &Marker) -> Option<Step> {
    let data_dir = marker.kubeconfig.parent()?;
    let key = format!("services/{}/{}", service.id.namespace, service.id.name);
    let all = problems::read(data_dir);
    let found = all
        .iter()
        .find(|p| p["object"] == key && p["severity"] == "error")?;
    Some(Step {
        stage: "listener",
        ok: false,
        text: found["message"].as_str().unwrap_or_default().to_owned(),
        cure: found["cure"].as_str().unwrap_or_default().to_owned(),
    })
}

fn problem_step(problem: &Problem) -> Step {
    Step {
        stage: if problem.field.contains("ports") {
            "port"
        } else {
            "selector"
        },
        ok: problem.severity != Severity::Error,
        text: problem.message.clone(),
        cure: problem.cure.clone(),
    }
}

fn endpoints_step(snapshot: &Snapshot, service: &Service) -> Step {
    let ready = endpoints(snapshot, &service.id);
    let (text, cure) = if ready.is_empty() {
        (
            "No endpoint is ready: connections are refused.",
            "Start Pods that the selector matches.",
        )
    } else {
        ("", "")
    };
    let text = if text.is_empty() {
        format!("Ready: {}.", ready.join(", "))
    } else {
        text.to_owned()
    };
    Step {
        stage: "endpoints",
        ok: !ready.is_empty(),
        text,
        cure: cure.to_owned(),
    }
}

fn print(way: &Way) {
    for step in &way.steps {
        let mark = if step.ok { "✓" } else { "✗" };
        println!("{mark} {:<12} {}", step.stage, step.text);
        if !step.cure.is_empty() {
            println!("  {:<12} {}", "", step.cure);
        }
    }
    if !way.lost.is_empty() {
        println!("\nRules that did not take it:");
        for line in &way.lost {
            println!("  {line}");
        }
    }
}
