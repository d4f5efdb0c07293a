//! Client certificates. The handshake takes any, so that a wrong one gets an answer: 401 in the
//! API's own form instead of an alert that clients show as a broken connection.

use ::access::AUTHENTICATED;
use api::User;
use model::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What the certificate of a connection says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Certificate {
    /// There is none
    #[default]
    Nobody,
    /// It is none of this server's authority, or names nobody
    Stranger,
    /// It names a user
    User {
        /// Whom
        user: User,
        /// Until when it is good
        until: Timestamp,
    },
}

/// Takes every certificate whose key the client holds; whose it is, is asked after the handshake.
#[derive(Debug)]
pub(crate) struct AnyCertificate(Arc<dyn ClientCertVerifier>);

impl AnyCertificate {
    /// `strict` knows which certificates are good.
    pub(crate) fn new(strict: Arc<dyn ClientCertVerifier>) -> Self {
        Self(strict)
    }

    /// Whom a certificate chain names.
    pub(crate) fn peer(&self, chain: Option<&[CertificateDer<'_>]>) -> Certificate {
        let Some([first, others @ ..]) = chain else {
            return Certificate::Nobody;
        };
        match self.0.verify_client_cert(first, others, UnixTime::now()) {
            Ok(_) => user_of(first).unwrap_or(Certificate::Stranger),
            Err(error) => {
                tracing::debug!(%error, "a client certificate was refused");
                Certificate::Stranger
            }
        }
    }
}

/// The user that a verified certificate names: common name and organisations.
fn user_of(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|o| o.as_str().ok());
    let mut groups: Vec<String> = groups.map(str::to_owned).collect();
    groups.push(AUTHENTICATED.to_owned());
    let digest = Sha256::digest(der);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = "authentication.kubernetes.io/credential-id".to_owned();
    let until = certificate.validity().not_after.timestamp();
    Some(Certificate::User {
        user: User {
            name,
            uid: String::new(),
            groups,
            extra: BTreeMap::from([(key, vec![format!("X509SHA256={digest}")])]),
        },
        until: Timestamp::from_micros(until.saturating_mul(1_000_000)),
    })
}

impl ClientCertVerifier for AnyCertificate {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
