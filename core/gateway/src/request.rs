//! A request as a listener read it, and what is worked out about it once.

use crate::headers::Headers;
use std::net::{IpAddr, SocketAddr};

/// HTTP version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

impl Version {
    /// As it stands in a request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }
}

/// A client's certificate, as far as it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate and its chain, DER
    pub chain: Vec<Vec<u8>>,
}

/// The head of a request, as bytes off the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Method
    pub method: String,
    /// Raw path and query, without scheme and host
    pub target: Vec<u8>,
    /// Host of an absolute-form target
    pub authority: Option<Vec<u8>>,
    /// HTTP version
    pub version: Version,
    /// Header fields, in order
    pub headers: Headers,
    /// Whether the listener speaks TLS
    pub https: bool,
    /// The peer's address
    pub peer: SocketAddr,
    /// The listener's port
    pub server_port: u16,
    /// 32 hexadecimal digits, random per request
    pub id: String,
    /// The name that the client asked for in its TLS hello
    pub sni: Option<String>,
    /// The certificate it showed
    pub client_certificate: Option<std::sync::Arc<ClientCertificate>>,
}

impl RequestHead {
    /// A plain request, for tests and explanations.
    pub fn new(method: &str, host: &str, target: &str, https: bool) -> Self {
        Self {
            method: method.to_owned(),
            target: target.as_bytes().to_vec(),
            authority: None,
            version: Version::Http11,
            headers: [("Host", host)].into_iter().collect(),
            https,
            peer: SocketAddr::from(([127, 0, 0, 1], 0)),
            server_port: if https { 443 } else { 80 },
            id: "0".repeat(32),
            sni: https.then(|| host.to_owned()),
            client_certificate: None,
        }
    }

    /// `http` or `https`, by the listener.
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// The Host header, empty when there is none.
    pub fn host_header(&self) -> &[u8] {
        self.headers.get("host").unwrap_or_default()
    }
}

/// What is worked out about a request before a location is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Host for choosing the server: lower case, without port and trailing dot
    pub host: String,
    /// Path for choosing the location: decoded and normalised
    pub path: Vec<u8>,
    /// Host to tell the backend: X-Forwarded-Host when trusted, else the Host header
    pub best_host: Vec<u8>,
    /// Scheme to tell the backend: X-Forwarded-Proto when trusted, else the listener's
    pub scheme: Vec<u8>,
    /// Port to tell the backend
    pub port: Vec<u8>,
    /// The client's address, by the forwarded-for header when that is trusted
    pub client: IpAddr,
    /// X-Request-ID: the client's, or a new one
    pub request_id: Vec<u8>,
}

/// Why a Host is refused with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHost;

/// The name in a Host header or authority: lower case, without port and trailing dot.
///
/// # Errors
/// When it is empty or holds what no host name may.
pub fn host_name(host: &[u8]) -> Result<String, BadHost> {
    let name = if host.first() == Some(&b'[') {
        let end = host.iter().position(|&b| b == b']').ok_or(BadHost)?;
        host.get(..=end).ok_or(BadHost)?
    } else {
        let end = host.iter().position(|&b| b == b':').unwrap_or(host.len());
        host.get(..end).ok_or(BadHost)?
    };
    let bad = |b: &u8| *b <= 0x20 || *b == 0x7f || *b == b'/';
    if host.iter().any(bad) || name.windows(2).any(|pair| pair == b"..") {
        return Err(BadHost);
    }
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.is_empty() {
        return Err(BadHost);
    }
    Ok(String::from_utf8_lossy(name).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_cut_out() {
        for (host, want) in [
            ("HOST-forms.test", "host-forms.test"),
            ("a.test:80", "a.test"),
            ("a.test.", "a.test"),
            ("a.test.:80", "a.test"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
        ] {
            assert_eq!(host_name(host.as_bytes()).as_deref(), Ok(want), "{host}");
        }
        for bad in ["", ".", ":80", "a..b", "a b", "a/b", "[::1"] {
            assert_eq!(host_name(bad.as_bytes()), Err(BadHost), "{bad}");
        }
    }
}
