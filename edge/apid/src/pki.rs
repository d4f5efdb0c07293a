//! The server's own certificate authority, and what it signs.

use crate::StartError;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const CA_YEARS: i32 = 10;
const LEAF_YEARS: i32 = 1;

/// The authority, kept in the data directory so that kubeconfigs stay good.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    year: i32,
}

/// A signed certificate and its key.
pub(crate) struct Leaf {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
    key: Vec<u8>,
}

impl Leaf {
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

fn failed(error: impl std::fmt::Display) -> StartError {
    StartError::Pki(error.to_string())
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), StartError> {
    let new = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    let written = options.open(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written
        .and_then(|()| std::fs::rename(&new, path))
        .map_err(StartError::file(path))
}

fn this_year() -> i32 {
    let now = crate::clock::now().rfc3339();
    now[..4].parse().unwrap_or(2026)
}

fn params(name: &str, groups: &[&str], year: i32, years: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    for group in groups {
        subject.push(DnType::OrganizationName, *group);
    }
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + years, 12, 31);
    params.use_authority_key_identifier_extension = true;
    params
}

impl Authority {
    /// Reads the authority from `dir/pki`, or makes one.
    pub(crate) fn open(dir: &Path) -> Result<Self, StartError> {
        let dir = dir.join("pki");
        std::fs::create_dir_all(&dir).map_err(StartError::file(&dir))?;
        let (cert_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
        let year = this_year();
        if !cert_path.exists() || !key_path.exists() {
            let (pem, key) = Self::make(year)?;
            write_private(&key_path, &key)?;
            write_private(&cert_path, &pem)?;
        }
        let read = |path: &Path| std::fs::read_to_string(path).map_err(StartError::file(path));
        let (pem, key) = (read(&cert_path)?, read(&key_path)?);
        let key = KeyPair::from_pem(&key).map_err(failed)?;
        // Name and key are all that a signature takes from its issuer.
        let issuer = Issuer::new(Self::params(year), key);
        Ok(Self { issuer, pem, year })
    }

    fn params(year: i32) -> CertificateParams {
        let mut params = params("portolan-ca", &[], year, CA_YEARS);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        params
    }

    fn make(year: i32) -> Result<(String, String), StartError> {
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = Self::params(year).self_signed(&key).map_err(failed)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// Its certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Its certificate, for verifying others.
    pub(crate) fn der(&self) -> Result<CertificateDer<'static>, StartError> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).map_err(failed)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Result<Leaf, StartError> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Leaf {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            key: key.serialize_der(),
        })
    }

    /// A server's certificate for these addresses and the names of the API Service.
    pub(crate) fn server(&self, addresses: &[IpAddr]) -> Result<Leaf, StartError> {
        let mut params = params("portolan-apiserver", &[], self.year, LEAF_YEARS);
        let names = [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ];
        for name in names {
            let name = name.try_into().map_err(failed)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        let addresses = addresses.iter().copied().map(SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A user's certificate.
    pub(crate) fn client(&self, name: &str, groups: &[&str]) -> Result<Leaf, StartError> {
        let params = params(name, groups, self.year, LEAF_YEARS);
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
    }
}
