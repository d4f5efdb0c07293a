//! `/etc/resolv.conf` and `/etc/hosts` of a Pod, as kubelet writes them.

use crate::hostname::HostNames;
use crate::spec::{DnsConfig, PodSpec};
use std::fmt::Write as _;
use std::net::IpAddr;

/// What the lookup of names needs to know besides the Pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver<'a> {
    /// The cluster's DNS servers
    pub(crate) servers: &'a [IpAddr],
    /// `clusterDomain`
    pub(crate) domain: &'a str,
    /// This machine's `/etc/resolv.conf`
    pub(crate) machine: &'a str,
}

#[derive(Default)]
struct Lines {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

/// The content of a Pod's `/etc/resolv.conf`.
///
/// The servers of the machine are out of reach of a Pod, whose network ends at the Node: policy
/// `Default` asks the cluster's servers, which ask those of the machine.
pub(crate) fn resolv_conf(spec: &PodSpec, namespace: &str, resolver: &Resolver<'_>) -> String {
    let mut lines = Lines::default();
    let policy = match (spec.dns_policy.as_str(), spec.host_network) {
        ("ClusterFirst" | "", true) => "Default",
        (policy, _) => policy,
    };
    if policy != "None" {
        lines.servers = resolver.servers.iter().map(ToString::to_string).collect();
        let domain = resolver.domain;
        if policy != "Default" {
            lines.searches = vec![
                format!("{namespace}.svc.{domain}"),
                format!("svc.{domain}"),
                domain.to_owned(),
            ];
            lines.options = vec!["ndots:5".to_owned()];
        }
        let machine = searches(resolver.machine);
        let more = machine.filter(|search| *search != ".");
        merge(&mut lines.searches, more.map(str::to_owned));
    }
    lines.take(&spec.dns_config);
    lines.print()
}

/// The last `search` or `domain` line counts (`resolv.conf(5)`).
fn searches(text: &str) -> impl Iterator<Item = &str> {
    let mut last = "";
    for line in text.lines() {
        for key in ["search", "domain"] {
            if let Some(rest) = line.trim_start().strip_prefix(key)
                && rest.starts_with(char::is_whitespace)
            {
                last = rest;
            }
        }
    }
    last.split_whitespace()
}

fn merge(list: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    for entry in more {
        if !list.contains(&entry) {
            list.push(entry);
        }
    }
}

impl Lines {
    /// Adds `dnsConfig`: an option of the same name takes the place of the one that is there.
    fn take(&mut self, config: &DnsConfig) {
        merge(&mut self.servers, config.nameservers.iter().cloned());
        merge(&mut self.searches, config.searches.iter().cloned());
        for option in &config.options {
            let name = |line: &String| line.split(':').next() == Some(option.name.as_str());
            self.options.retain(|line| !name(line));
            self.options.push(match &option.value {
                Some(value) => format!("{}:{value}", option.name),
                None => option.name.clone(),
            });
        }
    }

    fn print(&self) -> String {
        let mut text = String::new();
        if !self.searches.is_empty() {
            text += &format!("search {}\n", self.searches.join(" "));
        }
        for server in &self.servers {
            text += &format!("nameserver {server}\n");
        }
        if !self.options.is_empty() {
            text += &format!("options {}\n", self.options.join(" "));
        }
        text
    }
}

/// The part of a Pod's `/etc/hosts` that names the Pod itself.
pub(crate) fn own_hosts(names: &HostNames, ips: &[IpAddr]) -> String {
    let mut text = "127.0.0.1\tlocalhost\n\
        ::1\tlocalhost ip6-localhost ip6-loopback\n\
        fe00::0\tip6-localnet\n\
        ff00::0\tip6-mcastprefix\n\
        ff02::1\tip6-allnodes\n\
        ff02::2\tip6-allrouters\n"
        .to_owned();
    let HostNames { short, domain, .. } = names;
    for ip in ips {
        let line = match domain.as_str() {
            "" => format!("{ip}\t{short}\n"),
            domain => format!("{ip}\t{short}.{domain}\t{short}\n"),
        };
        text += &line;
    }
    text
}

/// The content of a Pod's `/etc/hosts`: what is its own, or with `hostNetwork` its machine's, and
/// then its `hostAliases`.
pub(crate) fn with_aliases(mut own: String, spec: &PodSpec) -> String {
    if !own.is_empty() && !own.ends_with('\n') {
        own.push('\n');
    }
    for alias in &spec.host_aliases {
        let names = alias.hostnames.join("\t");
        // Writing to a String cannot fail.
        let _ = writeln!(own, "{}\t{names}", alias.ip);
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(value: serde_json::Value) -> PodSpec {
        serde_json::from_value(value).unwrap()
    }

    fn written(value: serde_json::Value) -> String {
        let resolver = Resolver {
            servers: &["10.96.0.10".parse().unwrap()],
            domain: "cluster.local",
            machine: "# old\ndomain gone\nsearch corp.example .\nnameserver 192.0.2.1\n",
        };
        resolv_conf(&spec(value), "dev", &resolver)
    }

    #[test]
    fn names_of_the_cluster_come_first_by_default() {
        let cluster = "search dev.svc.cluster.local svc.cluster.local cluster.local corp.example\n\
                       nameserver 10.96.0.10\noptions ndots:5\n";
        assert_eq!(written(json!({})), cluster);
        assert_eq!(written(json!({"dnsPolicy": "ClusterFirst"})), cluster);
        let host = json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true});
        assert_eq!(written(host), cluster);
    }

    #[test]
    fn default_has_the_machines_domains_and_asks_the_cluster() {
        let machine = "search corp.example\nnameserver 10.96.0.10\n";
        assert_eq!(written(json!({"dnsPolicy": "Default"})), machine);
        assert_eq!(written(json!({"hostNetwork": true})), machine);
    }

    #[test]
    fn the_pods_own_settings_are_added_and_win() {
        let config = json!({
            "nameservers": ["192.0.2.53"], "searches": ["a.example", "cluster.local"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
        });
        assert_eq!(
            written(json!({"dnsPolicy": "None", "dnsConfig": config})),
            "search a.example cluster.local\nnameserver 192.0.2.53\noptions ndots:2 edns0\n"
        );
        let added = written(json!({"dnsConfig": config}));
        assert!(added.ends_with("options ndots:2 edns0\n"), "{added}");
        assert!(added.contains("corp.example a.example\n"), "{added}");
    }

    #[test]
    fn hosts_name_the_pod_and_its_aliases() {
        let aliased = json!({"hostAliases": [{"ip": "192.0.2.9", "hostnames": ["foo", "bar"]}]});
        let ips = ["10.244.0.5", "fd00::5"].map(|ip| ip.parse().unwrap());
        let names = HostNames {
            short: "web-0".to_owned(),
            domain: "db.dev.svc.cluster.local".to_owned(),
            host: "web-0".to_owned(),
        };
        let aliased = spec(aliased);
        let text = with_aliases(own_hosts(&names, &ips), &aliased);
        let fqdn = "web-0.db.dev.svc.cluster.local\tweb-0";
        let tail = format!("10.244.0.5\t{fqdn}\nfd00::5\t{fqdn}\n192.0.2.9\tfoo\tbar\n");
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"), "{text}");
        assert!(text.ends_with(&tail), "{text}");
        let machine = with_aliases("192.0.2.1 box".to_owned(), &aliased);
        assert_eq!(machine, "192.0.2.1 box\n192.0.2.9\tfoo\tbar\n");
    }
}
