//! Options of `portolan up`: flags, then the configuration file, then defaults.

use crate::datapath::{Asked, Chosen, DataPath, Kept, choose};
use anyhow::{Context, bail};
use clap::Args;
use model::Cidr;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Flags of `portolan up`.
#[derive(Args, Clone, Default)]
pub(crate) struct UpOptions {
    /// Apply this YAML once everything runs; may be given several times
    #[arg(short, long = "filename", value_name = "FILE|DIR")]
    pub(crate) filename: Vec<PathBuf>,
    /// Configuration file: YAML with the names of these flags
    #[arg(long, value_name = "FILE", env = "PORTOLAN_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where the cluster is kept [default: ~/.local/share/portolan]
    #[arg(long, value_name = "DIR", env = "PORTOLAN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Write the kubeconfig here [default: DIR/kubeconfig]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Address of the API server; port 0 picks one [default: 127.0.0.1:16443]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) api_listen: Option<SocketAddr>,
    /// Address of the DNS server, UDP and TCP [default: 127.0.0.1:10053]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) dns_listen: Option<SocketAddr>,
    /// Address of Ingress over HTTP [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) http_listen: Option<SocketAddr>,
    /// Address of Ingress over HTTPS [default: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) https_listen: Option<SocketAddr>,
    /// Port that redirects to HTTPS name; 443 leaves it out [default: where HTTPS listens]
    #[arg(long, value_name = "PORT")]
    pub(crate) https_redirect_port: Option<u16>,
    /// Server for names outside the cluster; may be given several times [default: those of
    /// /etc/resolv.conf]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) dns_upstream: Vec<SocketAddr>,
    /// Who carries traffic to Pods; kept in the data directory [default: nftables where network
    /// namespaces can be made, if need be within a user namespace, else userspace]
    #[arg(long, value_name = "PATH")]
    pub(crate) data_path: Option<DataPath>,
    /// Ranges of Service addresses, at most one of each family; kept in the data directory
    /// [default: 10.96.0.0/16,fd00:10:96::/112; with userspace 127.96.0.0/16]
    #[arg(long, value_name = "CIDR[,CIDR]")]
    pub(crate) service_cidr: Option<String>,
    /// Ranges of Pod addresses, at most one of each family
    /// [default: 10.244.0.0/16,fd00:10:244::/64; with userspace 127.244.0.0/16]
    #[arg(long, value_name = "CIDR[,CIDR]")]
    pub(crate) pod_cidr: Option<String>,
    /// Range of load-balancer addresses [default: 127.97.0.0/24]
    #[arg(long, value_name = "CIDR")]
    pub(crate) load_balancer_cidr: Option<String>,
    /// Run containers of this image as this command, or as portolan/echo; may be given several
    /// times
    #[arg(long, value_name = "NAME=CMD")]
    pub(crate) image: Vec<String>,
    /// Register no Node and run no Pods; every other controller runs
    #[arg(long)]
    pub(crate) no_runner: bool,
    /// Name of the Node [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
}

/// The configuration file: the same names as the flags.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct File {
    filename: Vec<PathBuf>,
    data_dir: Option<PathBuf>,
    kubeconfig: Option<PathBuf>,
    api_listen: Option<SocketAddr>,
    dns_listen: Option<SocketAddr>,
    http_listen: Option<SocketAddr>,
    https_listen: Option<SocketAddr>,
    https_redirect_port: Option<u16>,
    dns_upstream: Vec<SocketAddr>,
    data_path: Option<DataPath>,
    service_cidr: Option<String>,
    pod_cidr: Option<String>,
    load_balancer_cidr: Option<String>,
    image: BTreeMap<String, String>,
    no_runner: bool,
    node_name: Option<String>,
}

/// What `up` runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) filename: Vec<PathBuf>,
    pub(crate) data_dir: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) api_listen: SocketAddr,
    pub(crate) dns_listen: SocketAddr,
    pub(crate) http_listen: SocketAddr,
    pub(crate) https_listen: SocketAddr,
    pub(crate) https_redirect_port: Option<u16>,
    pub(crate) dns_upstream: Vec<SocketAddr>,
    /// Data path and ranges
    pub(crate) chosen: Chosen,
    pub(crate) load_balancer_cidr: Cidr,
    pub(crate) images: BTreeMap<String, String>,
    pub(crate) runner: bool,
    pub(crate) node_name: String,
}

impl UpOptions {
    /// Joins flags, file, what the data directory keeps, and defaults.
    pub(crate) fn resolve(&self) -> anyhow::Result<Config> {
        self.resolve_where(crate::network::possible)
    }

    fn resolve_where(
        &self,
        possible: impl FnOnce() -> Result<(), String>,
    ) -> anyhow::Result<Config> {
        let file = self
            .config
            .as_deref()
            .map(read_file)
            .transpose()?
            .unwrap_or_default();
        let data_dir = match self.data_dir.clone().or(file.data_dir) {
            Some(dir) => dir,
            None => default_data_dir()?,
        };
        let cidrs = |flag: &Option<String>, file: Option<String>, name: &str| {
            let text = flag.clone().or(file);
            text.map(|text| parse_cidrs(&text, name)).transpose()
        };
        let asked = Asked {
            path: self.data_path.or(file.data_path),
            services: cidrs(&self.service_cidr, file.service_cidr, "service-cidr")?,
            pods: cidrs(&self.pod_cidr, file.pod_cidr, "pod-cidr")?,
            runner: !(self.no_runner || file.no_runner),
        };
        let balancers = self.load_balancer_cidr.clone().or(file.load_balancer_cidr);
        let balancers = balancers.unwrap_or_else(|| "127.97.0.0/24".to_owned());
        let mut images = file.image;
        for pair in &self.image {
            let (name, command) = parse_image(pair)?;
            images.insert(name, command);
        }
        let chosen = choose(&asked, Kept::read(&data_dir).as_ref(), possible)?;
        let kubeconfig = self.kubeconfig.clone().or(file.kubeconfig);
        Ok(Config {
            filename: if self.filename.is_empty() {
                file.filename
            } else {
                self.filename.clone()
            },
            kubeconfig: kubeconfig.unwrap_or_else(|| data_dir.join("kubeconfig")),
            data_dir,
            api_listen: listen(self.api_listen.or(file.api_listen), 16443, "api-listen")?,
            dns_listen: listen(self.dns_listen.or(file.dns_listen), 10053, "dns-listen")?,
            http_listen: listen(self.http_listen.or(file.http_listen), 8080, "http-listen")?,
            https_listen: listen(
                self.https_listen.or(file.https_listen),
                8443,
                "https-listen",
            )?,
            https_redirect_port: self.https_redirect_port.or(file.https_redirect_port),
            dns_upstream: if self.dns_upstream.is_empty() {
                file.dns_upstream
            } else {
                self.dns_upstream.clone()
            },
            chosen,
            load_balancer_cidr: parse_cidrs(&balancers, "load-balancer-cidr")?[0],
            images,
            runner: asked.runner,
            node_name: self
                .node_name
                .clone()
                .or(file.node_name)
                .unwrap_or_else(host_name),
        })
    }
}

fn read_file(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    if text.trim().is_empty() {
        return Ok(File::default());
    }
    serde_saphyr::from_str(&text)
        .with_context(|| format!("the configuration file {} is wrong", path.display()))
}

/// The data directory when none is named: `$XDG_DATA_HOME/portolan` or `~/.local/share/portolan`.
pub(crate) fn default_data_dir() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("XDG_DATA_HOME").filter(|dir| !dir.is_empty()) {
        return Ok(PathBuf::from(dir).join("portolan"));
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.context("there is no $HOME to keep data under: say --data-dir DIR")?;
    Ok(PathBuf::from(home).join(".local/share/portolan"))
}

fn listen(given: Option<SocketAddr>, port: u16, flag: &str) -> anyhow::Result<SocketAddr> {
    let address = given.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], port)));
    if address.ip().is_unspecified() {
        bail!("--{flag} {address} would listen on every network: name one address");
    }
    Ok(address)
}

/// One or two ranges, of different families.
pub(crate) fn parse_cidrs(text: &str, flag: &str) -> anyhow::Result<Vec<Cidr>> {
    let ranges: Vec<Cidr> = text
        .split(',')
        .map(|range| {
            range
                .trim()
                .parse()
                .with_context(|| format!("--{flag} {text}"))
        })
        .collect::<anyhow::Result<_>>()?;
    match ranges.as_slice() {
        [_] => {}
        [first, second] if first.is_ipv4() != second.is_ipv4() => {}
        _ => bail!("--{flag} {text}: give one range, or one of each family with a comma between"),
    }
    Ok(ranges)
}

fn parse_image(pair: &str) -> anyhow::Result<(String, String)> {
    let split = pair
        .split_once('=')
        .filter(|(name, cmd)| !name.is_empty() && !cmd.is_empty());
    let (name, command) =
        split.with_context(|| format!("--image {pair:?} is not of the form NAME=CMD"))?;
    Ok((name.to_owned(), command.to_owned()))
}

fn host_name() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .to_ascii_lowercase();
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let clean: String = name.chars().filter(|c| valid(*c)).collect();
    let clean = clean.trim_matches(|c| c == '-' || c == '.');
    if clean.is_empty() {
        "portolan".to_owned()
    } else {
        clean.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> UpOptions {
        UpOptions {
            data_dir: Some(PathBuf::from("d")),
            ..UpOptions::default()
        }
    }

    #[test]
    fn defaults_need_no_privilege_and_stay_on_loopback() {
        let config = options().resolve_where(|| Err(String::new())).unwrap();
        for address in [
            config.api_listen,
            config.dns_listen,
            config.http_listen,
            config.https_listen,
        ] {
            assert!(
                address.ip().is_loopback() && address.port() > 1023,
                "{address}"
            );
        }
        assert_eq!(config.chosen.services[0].to_string(), "127.96.0.0/16");
        assert_eq!(config.kubeconfig, PathBuf::from("d/kubeconfig"));
        assert!(config.runner);
    }

    #[test]
    fn mistakes_name_the_flag() {
        for (change, text) in [
            (
                (|o: &mut UpOptions| o.service_cidr = Some("10.0.0.0".into()))
                    as fn(&mut UpOptions),
                "--service-cidr",
            ),
            (
                |o| o.pod_cidr = Some("10.0.0.0/8,11.0.0.0/8".into()),
                "--pod-cidr",
            ),
            (|o| o.image = vec!["web".into()], "--image"),
            (
                |o| o.http_listen = "0.0.0.0:80".parse().ok(),
                "--http-listen",
            ),
            (
                |o| o.config = Some("/nonexistent/c.yaml".into()),
                "/nonexistent/c.yaml",
            ),
        ] {
            let mut options = options();
            change(&mut options);
            let error = options.resolve_where(|| Err(String::new())).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_file_says_the_same_as_flags_and_flags_win() {
        let file: File = serde_saphyr::from_str(
            "http-listen: 127.0.0.1:9000\nimage:\n  web: portolan/echo\nno-runner: true\n",
        )
        .unwrap();
        assert_eq!(file.http_listen.unwrap().port(), 9000);
        assert_eq!(file.image["web"], "portolan/echo");
        assert!(file.no_runner);
        assert!(serde_saphyr::from_str::<File>("http-listne: x\n").is_err());
    }
}
