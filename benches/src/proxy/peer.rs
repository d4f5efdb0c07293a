//! The same Services in the layout of kube-proxy 1.36 (nftables mode): a chain for each Service
//! port whose rule draws from an anonymous map of its own, written as text for `nft -f`.

use super::cluster::{self, PORT, Size, TARGET};
use super::stats::{median, millis};
use anyhow::{Context, Result, ensure};
use kernel::netns::Namespace;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What was measured of one size.
pub(super) struct Figures {
    /// In milliseconds
    pub(super) cold: f64,
    /// All chains written again, as kube-proxy's first sync does
    pub(super) restart: f64,
    /// In microseconds, without the listing
    pub(super) added: f64,
    pub(super) replaced: f64,
    /// In milliseconds: `nft --json --terse list table`, with which each sync begins
    pub(super) listing: f64,
}

const HEAD: &str = "\
add table ip kube-proxy
add set ip kube-proxy cluster-ips { type ipv4_addr ; }
add map ip kube-proxy service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; }
add map ip kube-proxy service-nodeports { type inet_proto . inet_service : verdict ; }
add map ip kube-proxy no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict ; }
add chain ip kube-proxy services
add chain ip kube-proxy nat-prerouting { type nat hook prerouting priority -100 ; }
add chain ip kube-proxy nat-output { type nat hook output priority -100 ; }
add chain ip kube-proxy nat-postrouting { type nat hook postrouting priority 100 ; }
add chain ip kube-proxy filter-input { type filter hook input priority 0 ; }
add chain ip kube-proxy filter-forward { type filter hook forward priority 0 ; }
add chain ip kube-proxy filter-output { type filter hook output priority 0 ; }
add rule ip kube-proxy nat-prerouting jump services
add rule ip kube-proxy nat-output jump services
add rule ip kube-proxy services ip daddr . meta l4proto . th dport vmap @service-ips
add rule ip kube-proxy filter-forward ct state new ip daddr . meta l4proto . th dport vmap @no-endpoint-services
add rule ip kube-proxy filter-output ct state new ip daddr . meta l4proto . th dport vmap @no-endpoint-services
";

pub(super) fn measure(size: Size) -> Result<Figures> {
    let everything = (0..size.services).fold(HEAD.to_owned(), |mut text, number| {
        add(&mut text, size, number);
        text
    });
    let again = (0..size.services).fold(String::new(), |mut text, number| {
        rewrite(&mut text, size, number, None);
        text
    });
    let inside = || -> Result<Figures> {
        let cold = millis(load(&everything)?);
        let listing = millis(list()?);
        let mut added = Vec::new();
        let mut replaced = Vec::new();
        for number in 0..15 {
            let mut text = String::new();
            add(&mut text, size, size.services + number);
            added.push(millis(load(&text)?) * 1e3);
            let mut text = String::new();
            rewrite(&mut text, size, number, Some(number));
            replaced.push(millis(load(&text)?) * 1e3);
        }
        Ok(Figures {
            cold,
            restart: millis(load(&again)?),
            added: median(added),
            replaced: median(replaced),
            listing,
        })
    };
    Namespace::create()?.run(inside)?
}

fn chain(number: usize) -> String {
    let (namespace, name) = cluster::name(number);
    // Eight characters of a hash keep names apart there.
    let hash = (number as u32).wrapping_mul(2_654_435_761);
    format!("service-{hash:08X}-{namespace}/{name}/tcp/http")
}

fn add(text: &mut String, size: Size, number: usize) {
    let (chain, ip) = (chain(number), cluster::cluster_ip(number));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "add element ip kube-proxy cluster-ips {{ {ip} }}");
    let _ = writeln!(text, "add chain ip kube-proxy {chain}");
    dnat(text, size, number, None);
    let _ = writeln!(
        text,
        "add element ip kube-proxy service-ips {{ {ip} . tcp . {PORT} : goto {chain} }}"
    );
}

fn rewrite(text: &mut String, size: Size, number: usize, replaced: Option<usize>) {
    let _ = writeln!(text, "flush chain ip kube-proxy {}", chain(number));
    dnat(text, size, number, replaced);
}

fn dnat(text: &mut String, size: Size, number: usize, replaced: Option<usize>) {
    let chain = chain(number);
    let addresses = cluster::addresses(size, number, replaced);
    let endpoints = addresses.iter().enumerate();
    let endpoints = endpoints.map(|(slot, ip)| format!("{slot} : {ip} . {TARGET}"));
    let endpoints: Vec<String> = endpoints.collect();
    let (count, map) = (endpoints.len(), endpoints.join(" , "));
    let _ = writeln!(
        text,
        "add rule ip kube-proxy {chain} meta l4proto tcp dnat ip addr . port to numgen random mod {count} map {{ {map} }}"
    );
}

/// Time of `nft -f`.
fn load(text: &str) -> Result<Duration> {
    let mut nft = Command::new("nft");
    nft.args(["-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    let begin = Instant::now();
    let mut child = nft.spawn().context("nft is missing (Debian: nftables)")?;
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    let error: String = error.chars().take(500).collect();
    ensure!(output.status.success(), "nft -f: {error}");
    Ok(begin.elapsed())
}

fn list() -> Result<Duration> {
    let mut nft = Command::new("nft");
    nft.args(["--json", "--terse", "list", "table", "ip", "kube-proxy"]);
    let begin = Instant::now();
    let status = nft.stdout(Stdio::null()).status()?;
    ensure!(status.success(), "nft list: {status}");
    Ok(begin.elapsed())
}
