//! What a Pod is called on its own machine, as kubelet decides it.

use crate::spec::PodSpec;

/// Most bytes of a Pod's host name; the kernel takes one more, for names with a domain.
const LONGEST: usize = 63;

/// Most bytes of a host name that the kernel takes (`__NEW_UTS_LEN`).
const KERNEL: usize = 64;

/// A Pod's names for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostNames {
    /// Name without a domain, for `/etc/hosts`
    pub(crate) short: String,
    /// Domain of `spec.subdomain`; empty without one
    pub(crate) domain: String,
    /// What the kernel is told, and `$HOSTNAME` says
    pub(crate) host: String,
}

/// The names of the Pod `name` in `namespace` of the cluster with the domain `cluster`.
///
/// # Errors
/// With `setHostnameAsFQDN`, a name that the kernel does not take.
pub(crate) fn host_names(
    spec: &PodSpec,
    name: &str,
    namespace: &str,
    cluster: &str,
) -> Result<HostNames, String> {
    let wanted = [&spec.hostname_override, &spec.hostname];
    let wanted = wanted.into_iter().find(|name| !name.is_empty());
    let short = shortened(wanted.map_or(name, String::as_str));
    let domain = match (spec.hostname_override.as_str(), spec.subdomain.as_str()) {
        ("", subdomain) if !subdomain.is_empty() => {
            format!("{subdomain}.{namespace}.svc.{cluster}")
        }
        _ => String::new(),
    };
    let host = match spec.set_hostname_as_fqdn && !domain.is_empty() {
        true => format!("{short}.{domain}"),
        false => short.to_owned(),
    };
    if host.len() > KERNEL {
        return Err(format!(
            "spec.setHostnameAsFQDN: the host name {host} has {} bytes, and the kernel takes at \
             most {KERNEL}: shorten the hostname or the subdomain",
            host.len()
        ));
    }
    Ok(HostNames {
        short: short.to_owned(),
        domain,
        host,
    })
}

fn shortened(name: &str) -> &str {
    match name.get(..LONGEST) {
        Some(begin) if name.len() > LONGEST => begin.trim_end_matches(['-', '.']),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn names(spec: Value, name: &str) -> Result<[String; 3], String> {
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let names = host_names(&spec, name, "dev", "cluster.local")?;
        Ok([names.short, names.domain, names.host])
    }

    #[test]
    fn a_pod_is_called_by_its_name_unless_it_says_otherwise() {
        let of = |spec| names(spec, "web-0").unwrap();
        assert_eq!(of(json!({})), ["web-0", "", "web-0"]);
        assert_eq!(of(json!({"hostname": "a"})), ["a", "", "a"]);
        let domain = "db.dev.svc.cluster.local";
        let full = json!({"hostname": "a", "subdomain": "db"});
        assert_eq!(of(full), ["a", domain, "a"]);
        let full = json!({"subdomain": "db", "setHostnameAsFQDN": true});
        assert_eq!(
            of(full),
            ["web-0", domain, "web-0.db.dev.svc.cluster.local"]
        );
        let alone = json!({"setHostnameAsFQDN": true});
        assert_eq!(of(alone), ["web-0", "", "web-0"]);
        let other = json!({"hostname": "a", "subdomain": "db", "hostnameOverride": "x.example"});
        assert_eq!(of(other), ["x.example", "", "x.example"]);
    }

    #[test]
    fn long_names_are_cut_and_long_full_names_refused() {
        let long = format!("{}-.tail", "a".repeat(61));
        let [short, _, host] = names(json!({}), &long).unwrap();
        assert_eq!((short.len(), host.len()), (61, 61));
        let full = json!({"subdomain": "db", "setHostnameAsFQDN": true});
        let error = names(full, &"a".repeat(40)).unwrap_err();
        assert!(error.contains("65 bytes"), "{error}");
    }
}
