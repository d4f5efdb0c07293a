//! TLS towards clients: certificates by SNI out of a map that is swapped whole.

use arc_swap::ArcSwap;
use gateway::{Certificates, KeyPair, RouteTable};
use model::NamespacedName;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A key pair that TLS cannot use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateError {
    /// The Secret it is from
    pub secret: NamespacedName,
    /// What is wrong, as a sentence
    pub message: String,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret {}: {}", self.secret, self.message)
    }
}

impl std::error::Error for CertificateError {}

/// Loads a key pair as TLS needs it, and checks that key and certificate belong together.
///
/// # Errors
/// What is wrong with it.
pub fn check_key_pair(pair: &KeyPair) -> Result<(), CertificateError> {
    load(pair).map(|_| ())
}

fn load(pair: &KeyPair) -> Result<CertifiedKey, CertificateError> {
    let error = |message: String| CertificateError {
        secret: pair.secret.clone(),
        message,
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pair.certificate).collect();
    let chain = chain.map_err(|e| error(format!("tls.crt cannot be read: {e}.")))?;
    let key = PrivateKeyDer::from_pem_slice(&pair.key)
        .map_err(|e| error(format!("tls.key cannot be read: {e}.")))?;
    let key = aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|e| error(format!("tls.key is of no kind that TLS can use: {e}.")))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(certified)
        }
        Err(_) => Err(error(
            "tls.key does not belong to the certificate in tls.crt.".to_owned(),
        )),
    }
}

struct Loaded {
    names: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
    reject_unknown: bool,
}

/// Certificates in use.
pub(crate) struct Resolver {
    loaded: ArcSwap<Loaded>,
    own: Arc<CertifiedKey>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    /// A resolver that knows the self-signed default only.
    pub(crate) fn new() -> Result<Self, String> {
        let own = Arc::new(self_signed()?);
        Ok(Self {
            loaded: ArcSwap::from_pointee(Loaded {
                names: HashMap::new(),
                default: own.clone(),
                reject_unknown: false,
            }),
            own,
        })
    }

    /// Takes new certificates; those that cannot be used are replaced by the default and told.
    pub(crate) fn publish(&self, certificates: &Certificates) -> Vec<CertificateError> {
        let mut errors = Vec::new();
        let mut seen: HashMap<NamespacedName, Option<Arc<CertifiedKey>>> = HashMap::new();
        let mut get = |pair: &Option<Arc<KeyPair>>| {
            let pair = pair.as_ref()?;
            if let Some(found) = seen.get(&pair.secret) {
                return found.clone();
            }
            let loaded = match load(pair) {
                Ok(key) => Some(Arc::new(key)),
                Err(error) => {
                    errors.push(error);
                    None
                }
            };
            seen.insert(pair.secret.clone(), loaded.clone());
            loaded
        };
        let default = get(&certificates.default).unwrap_or_else(|| self.own.clone());
        let names = certificates.names.iter().map(|(name, pair)| {
            let key = get(pair).unwrap_or_else(|| default.clone());
            (name.to_ascii_lowercase(), key)
        });
        let names = names.collect();
        self.loaded.store(Arc::new(Loaded {
            names,
            default,
            reject_unknown: certificates.reject_unknown,
        }));
        errors
    }

    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let loaded = self.loaded.load();
        if let Some(name) = name {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if let Some(found) = loaded.names.get(&name) {
                return Some(found.clone());
            }
            let rest = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
            if let Some(found) = rest.and_then(|wild| loaded.names.get(&wild).cloned()) {
                return Some(found);
            }
        }
        (!loaded.reject_unknown).then(|| loaded.default.clone())
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

fn self_signed() -> Result<CertifiedKey, String> {
    let text = |e: rcgen::Error| e.to_string();
    let key = rcgen::KeyPair::generate().map_err(text)?;
    let mut params =
        rcgen::CertificateParams::new(vec!["ingress.local".to_owned()]).map_err(text)?;
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::OrganizationName, "Acme Co");
    name.push(
        rcgen::DnType::CommonName,
        "Kubernetes Ingress Controller Fake Certificate",
    );
    params.distinguished_name = name;
    let certificate = params.self_signed(&key).map_err(text)?;
    let der = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let signing = aws_lc_rs::sign::any_supported_type(&der).map_err(|e| e.to_string())?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], signing))
}

/// The TLS settings that a table asks for.
pub(crate) fn server_config(
    resolver: &Arc<Resolver>,
    table: &RouteTable,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let global = &table.global;
    let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
    if global.tls13 {
        versions.push(&rustls::version::TLS13);
    }
    if global.tls12 || versions.is_empty() {
        versions.push(&rustls::version::TLS12);
    }
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let mut config = builder
        .with_protocol_versions(&versions)?
        .with_no_client_auth()
        .with_cert_resolver(resolver.clone());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if global.http2 {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    Ok(Arc::new(config))
}
