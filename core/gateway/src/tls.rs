//! Which certificate a host shows, and whether a certificate covers a name.

use crate::host::has_rule;
use crate::problem;
use crate::table::{CATCH_ALL, RouteTable, Served, TlsChoice};
use base64::Engine;
use model::{Ingress, NamespacedName, ObjectKey, Problem, Resource, Secret, Severity, Snapshot};
use std::collections::BTreeMap;
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate with its key, as PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The Secret it is from
    pub secret: NamespacedName,
    /// `tls.crt`
    pub certificate: Vec<u8>,
    /// `tls.key`
    pub key: Vec<u8>,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyPair {}", self.secret)
    }
}

/// All certificates that listeners choose from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// By host name or `*.`-wildcard; `None` is the default certificate
    pub names: BTreeMap<String, Option<Arc<KeyPair>>>,
    /// The default certificate; `None` is a self-signed one
    pub default: Option<Arc<KeyPair>>,
    /// Refuse the handshake for names that are not here
    pub reject_unknown: bool,
}

/// Collects the certificates of all hosts.
pub fn certificates(table: &RouteTable, snapshot: &Snapshot) -> Certificates {
    let mut pairs: BTreeMap<NamespacedName, Option<Arc<KeyPair>>> = BTreeMap::new();
    let mut pair = |choice: &TlsChoice| match choice {
        TlsChoice::Default => None,
        TlsChoice::Secret(id) => pairs
            .entry(id.clone())
            .or_insert_with(|| key_pair(snapshot.secrets.get(id)?).ok().map(Arc::new))
            .clone(),
    };
    let mut names = BTreeMap::new();
    for host in table.hosts.values() {
        let Some(choice) = host.tls.as_ref() else {
            continue;
        };
        names.insert(host.name.to_string(), pair(choice));
        for alias in &host.aliases {
            if table.aliases.get(alias) == Some(&host.name) {
                names.insert(alias.clone(), pair(choice));
            }
        }
    }
    for (name, www) in &table.www {
        if let Some(choice) = &www.tls {
            names.insert(name.clone(), pair(choice));
        }
    }
    let default = table.settings.default_certificate.as_ref();
    let default = default.and_then(|id| pair(&TlsChoice::Secret(id.clone())));
    Certificates {
        names,
        default,
        reject_unknown: table.global.reject_unknown_names,
    }
}

/// Chooses a host's certificate: the first Ingress with a `tls` section decides.
pub(crate) fn choose(
    host: &str,
    ingresses: &[Arc<Served>],
    snapshot: &Snapshot,
    problems: &mut Vec<Problem>,
) -> Option<TlsChoice> {
    if host == CATCH_ALL {
        return None;
    }
    let served = ingresses.iter().find(|served| {
        served.policy.canary.is_none()
            && has_rule(&served.ingress, host)
            && !served.ingress.tls.is_empty()
    })?;
    let ingress = &served.ingress;
    let Some((index, name)) = secret_name(host, ingress, snapshot) else {
        return Some(TlsChoice::Default);
    };
    let id = NamespacedName::new(&ingress.id.namespace, name);
    match usable(host, &id, snapshot) {
        Ok(()) => Some(TlsChoice::Secret(id)),
        Err(unusable) => {
            problems.push(unusable.problem(ingress, index, &id, host));
            Some(TlsChoice::Default)
        }
    }
}

/// The `tls` entry that lists the host, else the first whose certificate covers it.
fn secret_name<'i>(
    host: &str,
    ingress: &'i Ingress,
    snapshot: &Snapshot,
) -> Option<(usize, &'i str)> {
    let listed = ingress.tls.iter().enumerate().find(|(_, tls)| {
        tls.hosts
            .iter()
            .any(|listed| listed.eq_ignore_ascii_case(host))
    });
    if let Some((index, tls)) = listed {
        return (!tls.secret_name.is_empty()).then_some((index, tls.secret_name.as_str()));
    }
    let covering = ingress.tls.iter().enumerate().find(|(_, tls)| {
        let id = NamespacedName::new(&ingress.id.namespace, &tls.secret_name);
        !tls.secret_name.is_empty() && usable(host, &id, snapshot).is_ok()
    });
    covering.map(|(index, tls)| (index, tls.secret_name.as_str()))
}

enum Unusable {
    Missing,
    Broken(Broken),
    OtherHost,
}

/// What is wrong with a TLS Secret: the key of its data, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// `data.tls.crt` or `data.tls.key`
    pub field: &'static str,
    /// What is wrong, as a half sentence
    pub why: String,
}

fn usable(host: &str, id: &NamespacedName, snapshot: &Snapshot) -> Result<(), Unusable> {
    let secret = snapshot.secrets.get(id).ok_or(Unusable::Missing)?;
    let pair = key_pair(secret).map_err(Unusable::Broken)?;
    let leaf = first_block(&pair.certificate).ok_or(Unusable::OtherHost)?;
    if covers(&leaf.1, host) {
        Ok(())
    } else {
        Err(Unusable::OtherHost)
    }
}

impl Unusable {
    fn problem(&self, ingress: &Ingress, index: usize, id: &NamespacedName, host: &str) -> Problem {
        let field = format!("spec.tls[{index}].secretName");
        let what = "so the default certificate is shown instead";
        match self {
            Self::Missing => problem::ingress(
                ingress,
                field,
                Severity::Error,
                "SecretMissing",
                format!("There is no Secret {id} for host {host}, {what}."),
                "Create the Secret with kubectl create secret tls.",
            ),
            Self::OtherHost => problem::ingress(
                ingress,
                field,
                Severity::Error,
                "CertificateForOtherHost",
                format!("The certificate in Secret {id} does not cover {host}, {what}."),
                "Issue a certificate whose subject alternative names hold the host.",
            ),
            Self::Broken(broken) => Problem {
                object: ObjectKey::new(Resource::SECRETS, &id.namespace, &id.name),
                field: broken.field.to_owned(),
                severity: Severity::Error,
                reason: "SecretUnusable",
                message: format!("{}, {what} for host {host}.", broken.why),
                cure: "Create the Secret again from the whole PEM files, with kubectl create \
                       secret tls."
                    .to_owned(),
            },
        }
    }
}

/// Reads `tls.crt` and `tls.key` of a Secret and checks that both are whole.
///
/// # Errors
/// Which of the two is missing or broken, and how.
pub fn key_pair(secret: &Secret) -> Result<KeyPair, Broken> {
    let certificate = part(secret, "tls.crt", "data[tls.crt]")?;
    let key = part(secret, "tls.key", "data[tls.key]")?;
    let (label, der) = first_block(&certificate).ok_or_else(|| Broken {
        field: "data[tls.crt]",
        why: "tls.crt holds no whole PEM block".to_owned(),
    })?;
    if label != "CERTIFICATE" || X509Certificate::from_der(&der).is_err() {
        return Err(Broken {
            field: "data[tls.crt]",
            why: format!("tls.crt holds no certificate, but a block {label:?} that is none"),
        });
    }
    check_key(&key)?;
    Ok(KeyPair {
        secret: secret.id.clone(),
        certificate,
        key,
    })
}

fn part(secret: &Secret, name: &str, field: &'static str) -> Result<Vec<u8>, Broken> {
    let text = secret.data.get(name).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Broken {
        field,
        why: format!("The Secret has no {name}"),
    })?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(text);
    decoded.map_err(|_| Broken {
        field,
        why: format!("{name} is no base64"),
    })
}

fn check_key(pem: &[u8]) -> Result<(), Broken> {
    let broken = |why: &str| Broken {
        field: "data[tls.key]",
        why: why.to_owned(),
    };
    let mut rest = pem;
    loop {
        let (label, der, tail) =
            block(rest).ok_or_else(|| broken("tls.key is truncated: no whole PEM block"))?;
        // `openssl ecparam` writes the curve in front of the key.
        if label == "EC PARAMETERS" {
            rest = tail;
            continue;
        }
        if !label.ends_with("PRIVATE KEY") {
            return Err(broken(&format!(
                "tls.key holds a block {label:?} and no private key"
            )));
        }
        if label == "ENCRYPTED PRIVATE KEY" {
            return Err(broken("tls.key is encrypted with a passphrase"));
        }
        return if whole_der(&der) {
            Ok(())
        } else {
            Err(broken("tls.key is truncated or damaged"))
        };
    }
}

/// Whether the outer DER sequence has just the length that it says.
fn whole_der(der: &[u8]) -> bool {
    let [0x30, first, rest @ ..] = der else {
        return false;
    };
    if *first < 0x80 {
        return rest.len() == usize::from(*first);
    }
    let count = usize::from(first & 0x7f);
    let Some(length) = rest.get(..count).filter(|_| count <= 4) else {
        return false;
    };
    let length = length
        .iter()
        .fold(0usize, |sum, &b| sum << 8 | usize::from(b));
    rest.len() - count == length
}

/// The first PEM block: label and DER.
fn first_block(pem: &[u8]) -> Option<(String, Vec<u8>)> {
    block(pem).map(|(label, der, _)| (label, der))
}

fn block(pem: &[u8]) -> Option<(String, Vec<u8>, &[u8])> {
    let text = std::str::from_utf8(pem).ok()?;
    let at = text.find("-----BEGIN ")?;
    let after = text.get(at + "-----BEGIN ".len()..)?;
    let (label, after) = after.split_once("-----")?;
    let end = format!("-----END {label}-----");
    let at = after.find(&end)?;
    let body: String = after
        .get(..at)?
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(body)
        .ok()?;
    let tail = after.get(at + end.len()..)?;
    Some((label.to_owned(), der, tail.as_bytes()))
}

/// Whether a certificate is for `host`: by its alternative names, or its common name without them.
fn covers(der: &[u8], host: &str) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return false;
    };
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let mut names: Vec<&str> = Vec::new();
    if let Some(alternative) = &alternative {
        for name in &alternative.value.general_names {
            if let GeneralName::DNSName(name) = name {
                names.push(name);
            }
        }
    }
    let common = certificate.subject().iter_common_name();
    names.extend(common.filter_map(|name| name.as_str().ok()));
    names.iter().any(|name| name_matches(name, host))
}

/// Compares a name of a certificate, which may begin with `*.`, with a host, which may as well.
fn name_matches(name: &str, host: &str) -> bool {
    let (name, host) = (name.trim_end_matches('.'), host.trim_end_matches('.'));
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(suffix) = name.strip_prefix("*.") else {
        return false;
    };
    let rest = host.split_once('.').map(|(_, rest)| rest);
    rest.is_some_and(|rest| rest.eq_ignore_ascii_case(suffix))
}
