//! Where the API server is and who we are to it.

use crate::credentials::Credentials;
use crate::error::ConfigError;
use crate::kubeconfig::{Cluster, File, User};
use base64::Engine;
use std::path::{Path, PathBuf};

/// Where a Pod finds its ServiceAccount.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Bundles of certificate authorities that distributions bring, for servers with public names.
const SYSTEM_BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// PEM text, at hand or in a file that may be written anew.
#[derive(Clone, Debug)]
pub(crate) enum Pem {
    Text(Vec<u8>),
    File(PathBuf),
}

impl Pem {
    pub(crate) fn read(&self) -> Result<Vec<u8>, ConfigError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => read(path),
        }
    }
}

/// How to reach a cluster.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) secure: bool,
    /// Path in front of all paths of the API, without a slash at its end
    pub(crate) prefix: String,
    /// Certificate authorities; none trusts every server
    pub(crate) authorities: Option<Pem>,
    pub(crate) server_name: Option<String>,
    pub(crate) certificate: Option<(Pem, Pem)>,
    pub(crate) credentials: Credentials,
}

impl Config {
    /// By a kubeconfig file's current context.
    ///
    /// # Errors
    /// When the file cannot be read, or says something that cannot be done.
    pub fn from_kubeconfig(path: &Path) -> Result<Self, ConfigError> {
        let text = String::from_utf8_lossy(&read(path)?).into_owned();
        let wrong = |message: String| ConfigError::Kubeconfig {
            path: path.to_owned(),
            message,
        };
        let file: File = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let (cluster, user) = file.current().map_err(wrong)?;
        let beside = path.parent().unwrap_or(Path::new(""));
        build(&cluster, user, beside).map_err(wrong)
    }

    /// By what Kubernetes puts into a Pod: two variables, a token and a certificate.
    ///
    /// # Errors
    /// When this is no Pod with a ServiceAccount.
    pub fn in_cluster() -> Result<Self, ConfigError> {
        let variable = |name: &'static str| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.ok_or(ConfigError::NotInCluster(name))
        };
        let host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        let port = port.parse().map_err(|_| {
            ConfigError::Value(format!("KUBERNETES_SERVICE_PORT {port:?} is no port"))
        })?;
        let dir = Path::new(SERVICE_ACCOUNT);
        let token = dir.join("token");
        read(&token)?;
        Ok(Self {
            host,
            port,
            secure: true,
            prefix: String::new(),
            authorities: Some(Pem::File(dir.join("ca.crt"))),
            server_name: None,
            certificate: None,
            credentials: Credentials::TokenFile(token),
        })
    }

    /// Goes to another server with the same credentials (`--master`).
    ///
    /// # Errors
    /// When `url` is no URL of a server.
    pub fn with_server(mut self, url: &str) -> Result<Self, ConfigError> {
        let server = server(url).map_err(ConfigError::Value)?;
        (self.secure, self.host, self.port, self.prefix) = server;
        Ok(self)
    }

    /// Address of the server, for messages.
    pub fn server(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.prefix)
    }

    /// `host:port`, as it stands in a Host header.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }
}

fn build(cluster: &Cluster, user: User, beside: &Path) -> Result<Config, String> {
    let url = cluster.server.as_deref().unwrap_or_default();
    let (secure, host, port, prefix) = server(url)?;
    if cluster
        .proxy_url
        .as_ref()
        .is_some_and(|url| !url.is_empty())
    {
        return Err("proxy-url is not supported: reach the server directly".to_owned());
    }
    let data = cluster.certificate_authority_data.as_deref();
    let file = cluster.certificate_authority.as_deref();
    let authorities = match pem(data, file, beside, "certificate-authority-data")? {
        _ if cluster.insecure_skip_tls_verify == Some(true) => None,
        Some(found) => Some(found),
        None if !secure => None,
        None => Some(system_bundle()?),
    };
    Ok(Config {
        host,
        port,
        secure,
        prefix,
        authorities,
        server_name: cluster.tls_server_name.clone(),
        certificate: certificate(&user, beside)?,
        credentials: Credentials::of(user, beside)?,
    })
}

fn certificate(user: &User, beside: &Path) -> Result<Option<(Pem, Pem)>, String> {
    let data = user.client_certificate_data.as_deref();
    let file = user.client_certificate.as_deref();
    let chain = pem(data, file, beside, "client-certificate-data")?;
    let data = user.client_key_data.as_deref();
    let file = user.client_key.as_deref();
    let key = pem(data, file, beside, "client-key-data")?;
    match (chain, key) {
        (Some(chain), Some(key)) => Ok(Some((chain, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err("there is a client certificate without a key".to_owned()),
        (None, Some(_)) => Err("there is a client key without a certificate".to_owned()),
    }
}

fn pem(
    data: Option<&str>,
    file: Option<&Path>,
    beside: &Path,
    field: &str,
) -> Result<Option<Pem>, String> {
    if let Some(data) = data.filter(|data| !data.is_empty()) {
        let engine = base64::engine::general_purpose::STANDARD;
        let text = engine.decode(data.trim());
        return match text {
            Ok(text) => Ok(Some(Pem::Text(text))),
            Err(error) => Err(format!("{field} is no base64: {error}")),
        };
    }
    let file = file.filter(|file| !file.as_os_str().is_empty());
    Ok(file.map(|file| Pem::File(beside.join(file))))
}

fn system_bundle() -> Result<Pem, String> {
    let found = SYSTEM_BUNDLES
        .iter()
        .map(Path::new)
        .find(|path| path.exists());
    found.map(|path| Pem::File(path.to_owned())).ok_or_else(|| {
        "the cluster has no certificate-authority-data, nor the system a bundle".to_owned()
    })
}

/// Takes a URL apart: secure, host, port, path in front.
fn server(url: &str) -> Result<(bool, String, u16, String), String> {
    let url = url.trim();
    let (secure, rest) = if let Some(rest) = url.strip_prefix("https://") {
        (true, rest)
    } else if let Some(rest) = url.strip_prefix("http://") {
        (false, rest)
    } else if !url.contains("://") && !url.is_empty() {
        (true, url)
    } else {
        return Err(format!(
            "server {url:?} is no URL such as https://192.0.2.1:6443"
        ));
    };
    let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority: http::uri::Authority = authority
        .parse()
        .map_err(|error| format!("server {url:?}: {error}"))?;
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let port = authority
        .port_u16()
        .unwrap_or(if secure { 443 } else { 80 });
    Ok((secure, host, port, prefix.trim_end_matches('/').to_owned()))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|error| ConfigError::File {
        path: path.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests;
