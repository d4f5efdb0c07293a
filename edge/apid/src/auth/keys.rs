//! The key that signs tokens of ServiceAccounts, made when the first one is wanted.

use crate::StartError;
use crate::pki::write_private;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// The key, read or made when it is first needed: making one takes a tenth of a second, which
/// most runs never need.
pub(crate) struct Keys {
    path: PathBuf,
    key: OnceLock<Result<Key, String>>,
}

struct Key {
    pair: KeyPair,
    id: String,
}

impl Keys {
    /// The key in `dir/pki`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            path: dir.join("pki/sa.key"),
            key: OnceLock::new(),
        }
    }

    fn key(&self) -> Result<&Key, String> {
        let open = || {
            open(&self.path).map_err(|error| {
                tracing::error!(%error, "no tokens can be made or read");
                error.to_string()
            })
        };
        self.key.get_or_init(open).as_ref().map_err(Clone::clone)
    }

    /// The name of the key in tokens.
    pub(crate) fn id(&self) -> Result<&str, String> {
        Ok(&self.key()?.id)
    }

    /// Completes a token whose first two parts are given.
    pub(crate) fn sign(&self, input: &str) -> Result<String, String> {
        let pair = &self.key()?.pair;
        let mut signature = vec![0; pair.public_modulus_len()];
        let random = SystemRandom::new();
        pair.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)
            .map_err(|_| "cannot sign".to_owned())?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Whether the key made the signature; `id` is the key that a token names, empty for any.
    pub(crate) fn verify(&self, id: &str, input: &str, signature: &[u8]) -> Result<(), String> {
        let key = self.key()?;
        if !id.is_empty() && id != key.id {
            return Err("invalid signature, no keys found".to_owned());
        }
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.pair.public_key());
        let verified = public.verify(input.as_bytes(), signature);
        verified.map_err(|_| "go-jose/go-jose: error in cryptographic primitive".to_owned())
    }

    /// The public half as a JSON Web Key Set (RFC 7517).
    pub(crate) fn jwks(&self) -> Result<Value, String> {
        let key = self.key()?;
        let der = key.pair.public_key().as_ref();
        let (_, public) = RSAPublicKey::from_der(der).map_err(|error| error.to_string())?;
        let number = |bytes: &[u8]| {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            URL_SAFE_NO_PAD.encode(&bytes[zeros..])
        };
        Ok(json!({"keys": [{
            "use": "sig", "kty": "RSA", "kid": key.id, "alg": "RS256",
            "n": number(public.modulus), "e": number(public.exponent),
        }]}))
    }
}

fn open(path: &Path) -> Result<Key, StartError> {
    let failed = |why: &str| StartError::Pki(format!("{}: {why}", path.display()));
    if !path.exists() {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| failed("cannot make a key"))?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed("cannot write the key"))?;
        write_private(path, &to_pem(der.as_ref()))?;
    }
    let pem = std::fs::read_to_string(path).map_err(StartError::file(path))?;
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let der = STANDARD
        .decode(body.trim())
        .map_err(|_| failed("is no PEM"))?;
    let pair = KeyPair::from_pkcs8(&der).map_err(|_| failed("is no RSA key in PKCS #8"))?;
    let public: PublicKeyX509Der<'_> = pair
        .public_key()
        .as_der()
        .map_err(|_| failed("has no public key"))?;
    let id = URL_SAFE_NO_PAD.encode(Sha256::digest(public.as_ref()));
    Ok(Key { pair, id })
}

fn to_pem(der: &[u8]) -> String {
    let coded = STANDARD.encode(der);
    let mut pem = format!("{BEGIN}\n");
    for line in coded.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(END);
    pem.push('\n');
    pem
}
