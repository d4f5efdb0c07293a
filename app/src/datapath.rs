//! Which data path `up` uses, and with which ranges: chosen once for a data directory, and kept.

use crate::marker::Marker;
use anyhow::bail;
use clap::ValueEnum;
use model::Cidr;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Who carries traffic from Services to Pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DataPath {
    /// A relay in user space on loopback addresses; needs no privilege
    Userspace,
    /// The kernel's nf_tables, in network namespaces of its own; needs the right to make them
    Nftables,
}

impl DataPath {
    /// As the flag has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Userspace => "userspace",
            Self::Nftables => "nftables",
        }
    }

    fn services(self) -> &'static str {
        match self {
            Self::Userspace => "127.96.0.0/16",
            Self::Nftables => "10.96.0.0/16,fd00:10:96::/112",
        }
    }

    fn pods(self) -> &'static str {
        match self {
            Self::Userspace => "127.244.0.0/16",
            Self::Nftables => "10.244.0.0/16,fd00:10:244::/64",
        }
    }
}

/// What flags and the configuration file ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) path: Option<DataPath>,
    pub(crate) services: Option<Vec<Cidr>>,
    pub(crate) pods: Option<Vec<Cidr>>,
    /// Whether Pods are run
    pub(crate) runner: bool,
}

/// What a data directory was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) path: DataPath,
    pub(crate) services: Vec<Cidr>,
    pub(crate) pods: Vec<Cidr>,
}

/// What is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) path: DataPath,
    /// What the data directory keeps; differs where no Pods are run this time
    pub(crate) keep: DataPath,
    /// Why not the kernel, when nobody has chosen
    pub(crate) why: Option<String>,
    pub(crate) services: Vec<Cidr>,
    pub(crate) pods: Vec<Cidr>,
}

impl Kept {
    /// Reads the marker of a data directory; `None` for a new one.
    pub(crate) fn read(data_dir: &Path) -> Option<Self> {
        let marker = Marker::read(data_dir).ok()?;
        let ranges = |texts: &[String]| -> Vec<Cidr> {
            texts.iter().filter_map(|text| text.parse().ok()).collect()
        };
        let services = ranges(&marker.service_cidrs);
        if services.is_empty() {
            return None;
        }
        Some(Self {
            path: marker.data_path.unwrap_or_else(|| path_of(&services)),
            services,
            pods: ranges(&marker.pod_cidrs),
        })
    }
}

/// The data path that can serve ranges; before there were two, all were loopback ones.
fn path_of(services: &[Cidr]) -> DataPath {
    match services.iter().any(is_loopback) {
        true => DataPath::Userspace,
        false => DataPath::Nftables,
    }
}

/// Whether a range lies within 127.0.0.0/8, or is `::1`.
pub(crate) fn is_loopback(range: &Cidr) -> bool {
    range.base().is_loopback() && (range.prefix() >= 8 || range.base().is_ipv6())
}

/// Chooses; `possible` says why namespaces cannot be made, and is asked only where that matters.
///
/// # Errors
/// What was asked for cannot be had, with the cure.
pub(crate) fn choose(
    asked: &Asked,
    kept: Option<&Kept>,
    possible: impl FnOnce() -> Result<(), String>,
) -> anyhow::Result<Chosen> {
    let (keep, why) = path(asked, kept, possible)?;
    let path = if asked.runner {
        keep
    } else {
        DataPath::Userspace
    };
    if let (Some(services), Some(kept)) = (&asked.services, kept)
        && *services != kept.services
    {
        let (services, kept) = (texts(services), texts(&kept.services));
        bail!(
            "--service-cidr {services}: the cluster in the data directory has {kept}, and its \
             Services keep their addresses: leave the flag out, or choose another --data-dir for a \
             new cluster"
        );
    }
    let services = asked.services.clone();
    let services = services.or_else(|| kept.map(|kept| kept.services.clone()));
    let pods = asked.pods.clone();
    let pods = pods.or_else(|| {
        let pods = kept.map(|kept| kept.pods.clone())?;
        (!pods.is_empty() && fits(keep, &pods)).then_some(pods)
    });
    let chosen = Chosen {
        path,
        keep,
        why,
        services: services.map_or_else(|| ranges(keep.services()), Ok)?,
        pods: pods.map_or_else(|| ranges(keep.pods()), Ok)?,
    };
    check_ranges(&chosen)?;
    Ok(chosen)
}

/// What `up` would choose, for commands without a server: who names a data path, or has a cluster
/// with one, is believed that it can be had where that cluster runs.
///
/// # Errors
/// As [`choose`].
pub(crate) fn foresee(asked: &Asked, data_dir: Option<&Path>) -> anyhow::Result<Chosen> {
    let data_dir = match data_dir {
        Some(dir) => Some(dir.to_owned()),
        None => crate::config::default_data_dir().ok(),
    };
    let kept = data_dir.and_then(|dir| Kept::read(&dir));
    let known = asked.path.is_some() || kept.is_some();
    choose(asked, kept.as_ref(), || match known {
        true => Ok(()),
        false => crate::network::would_be_possible(),
    })
}

fn path(
    asked: &Asked,
    kept: Option<&Kept>,
    possible: impl FnOnce() -> Result<(), String>,
) -> anyhow::Result<(DataPath, Option<String>)> {
    if let (Some(path), Some(kept)) = (asked.path, kept)
        && path != kept.path
        && !can_move(path, kept)
    {
        let (path, old) = (path.as_str(), kept.path.as_str());
        bail!(
            "--data-path {path}: the cluster in the data directory was made for {old}, and its \
             Services keep their addresses ({}), which {path} cannot serve: leave the flag out, \
             or choose another --data-dir for a new cluster",
            texts(&kept.services)
        );
    }
    let wanted = asked.path.or(kept.map(|kept| kept.path));
    match wanted {
        Some(DataPath::Nftables) if asked.runner => match possible() {
            Ok(()) => Ok((DataPath::Nftables, None)),
            Err(why) if asked.path.is_some() => bail!("--data-path nftables: {why}"),
            Err(why) => bail!(
                "the cluster in the data directory was made with --data-path nftables, which \
                 cannot be had now: {why}; start it as before, or choose another --data-dir"
            ),
        },
        Some(path) => Ok((path, None)),
        None => Ok(by_itself(asked, possible)),
    }
}

/// What a new data directory gets when nobody has chosen.
fn by_itself(
    asked: &Asked,
    possible: impl FnOnce() -> Result<(), String>,
) -> (DataPath, Option<String>) {
    if !asked.runner {
        return (DataPath::Userspace, Some("no Pods are run".to_owned()));
    }
    let mut asked_ranges = asked.services.iter().chain(&asked.pods).flatten();
    if let Some(range) = asked_ranges.find(|range| is_loopback(range)) {
        let why = format!("{range} is a range of loopback addresses");
        return (DataPath::Userspace, Some(why));
    }
    match possible() {
        Ok(()) => (DataPath::Nftables, None),
        Err(why) => (DataPath::Userspace, Some(why)),
    }
}

/// Whether a cluster can go over to another data path: Services that only DNS has answered for may
/// be served by the kernel from now on.
fn can_move(to: DataPath, kept: &Kept) -> bool {
    to == DataPath::Nftables && fits(to, &kept.services)
}

fn fits(path: DataPath, ranges: &[Cidr]) -> bool {
    // Ranges that userspace cannot relay to are allocated from and answered by DNS all the same.
    path == DataPath::Userspace || !ranges.iter().any(is_loopback)
}

fn check_ranges(chosen: &Chosen) -> anyhow::Result<()> {
    if chosen.path != DataPath::Nftables {
        return Ok(());
    }
    for (flag, list) in [
        ("service-cidr", &chosen.services),
        ("pod-cidr", &chosen.pods),
    ] {
        if let Some(range) = list.iter().find(|range| is_loopback(range)) {
            bail!(
                "--{flag} {range}: loopback addresses never leave their network namespace, so \
                 that nftables cannot serve them: choose another range, or --data-path userspace"
            );
        }
    }
    for range in &chosen.pods {
        if let Some(other) = chosen.services.iter().find(|other| overlap(range, other)) {
            bail!("--pod-cidr {range} and --service-cidr {other} overlap: give each its own");
        }
    }
    Ok(())
}

fn overlap(a: &Cidr, b: &Cidr) -> bool {
    a.contains(b.base()) || b.contains(a.base())
}

fn ranges(text: &str) -> anyhow::Result<Vec<Cidr>> {
    let parts = text.split(',').map(str::parse::<Cidr>);
    let mut all = parts.collect::<Result<Vec<_>, _>>()?;
    if !crate::network::ipv6() {
        all.retain(Cidr::is_ipv4);
    }
    Ok(all)
}

fn texts(ranges: &[Cidr]) -> String {
    let texts: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidrs(text: &str) -> Vec<Cidr> {
        text.split(',')
            .map(|range| range.parse().unwrap())
            .collect()
    }

    fn asked() -> Asked {
        Asked {
            runner: true,
            ..Asked::default()
        }
    }

    fn kept(path: DataPath, services: &str) -> Kept {
        Kept {
            path,
            services: cidrs(services),
            pods: cidrs(path.pods()),
        }
    }

    fn no() -> Result<(), String> {
        Err("no rights".to_owned())
    }

    #[test]
    fn a_new_directory_gets_the_kernel_where_it_can_be_had() {
        let chosen = choose(&asked(), None, || Ok(())).unwrap();
        assert_eq!((chosen.path, chosen.why), (DataPath::Nftables, None));
        assert_eq!(chosen.services[0].to_string(), "10.96.0.0/16");
        let chosen = choose(&asked(), None, no).unwrap();
        assert_eq!(chosen.path, DataPath::Userspace);
        assert_eq!(chosen.why.as_deref(), Some("no rights"));
        assert_eq!(texts(&chosen.pods), "127.244.0.0/16");
    }

    #[test]
    fn loopback_ranges_and_no_pods_are_left_to_the_relay() {
        let mut loopback = asked();
        loopback.services = Some(cidrs("127.50.0.0/16"));
        let chosen = choose(&loopback, None, || panic!("nobody has to ask")).unwrap();
        assert_eq!(chosen.path, DataPath::Userspace);
        loopback.path = Some(DataPath::Nftables);
        let error = choose(&loopback, None, || Ok(())).unwrap_err().to_string();
        assert!(error.contains("--service-cidr 127.50.0.0/16"), "{error}");
        let mut still = asked();
        still.runner = false;
        still.services = Some(cidrs("10.96.0.0/16"));
        let chosen = choose(&still, None, || panic!("nobody has to ask")).unwrap();
        assert_eq!(chosen.path, DataPath::Userspace);
    }

    #[test]
    fn a_directory_keeps_what_it_was_made_with() {
        let relay = kept(DataPath::Userspace, "127.96.0.0/16");
        let chosen = choose(&asked(), Some(&relay), || Ok(())).unwrap();
        assert_eq!(chosen.path, DataPath::Userspace);
        assert_eq!(chosen.services, relay.services);
        let mut other = asked();
        other.services = Some(cidrs("127.97.0.0/16"));
        let error = choose(&other, Some(&relay), || Ok(()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("127.97.0.0/16: the cluster"), "{error}");
        let mut other = asked();
        other.path = Some(DataPath::Nftables);
        let error = choose(&other, Some(&relay), || Ok(()))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("--data-dir") && error.contains("127.96.0.0/16"),
            "{error}"
        );

        let kernel = kept(DataPath::Nftables, "10.96.0.0/16");
        let mut back = asked();
        back.path = Some(DataPath::Userspace);
        let error = choose(&back, Some(&kernel), || Ok(()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("--data-path userspace"), "{error}");
        let error = choose(&asked(), Some(&kernel), no).unwrap_err().to_string();
        assert!(
            error.contains("no rights") && error.contains("--data-dir"),
            "{error}"
        );
        let mut still = asked();
        still.runner = false;
        let chosen = choose(&still, Some(&kernel), no).unwrap();
        assert_eq!(
            (chosen.path, chosen.keep),
            (DataPath::Userspace, DataPath::Nftables)
        );
        assert_eq!(chosen.services, kernel.services);
    }

    #[test]
    fn ranges_that_overlap_are_refused() {
        let mut both = asked();
        both.pods = Some(cidrs("10.96.8.0/24"));
        let error = choose(&both, None, || Ok(())).unwrap_err().to_string();
        assert!(error.contains("overlap"), "{error}");
    }
}
