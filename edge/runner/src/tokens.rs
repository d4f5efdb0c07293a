//! Tokens of ServiceAccounts in volumes: made once, and again before they expire.

use crate::spec::TokenProjection;
use model::{Object, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// `expirationSeconds` of a volume that says nothing.
const SECONDS: i64 = 3600;

/// A token is renewed after so much of its time, as kubelet does: four fifths, a day at most.
const RENEW_TENTHS: i64 = 8;
const RENEW_MAX_SECONDS: i64 = 24 * 3600;

/// Pause after a renewal that failed.
const RETRY_SECONDS: i64 = 60;

/// A token that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What goes into the file
    pub text: String,
    /// When whoever holds it should have a new one
    pub expires: Timestamp,
}

type Mint = dyn Fn(&Object, &str, i64) -> Result<Token, String> + Send + Sync;

/// Makes tokens for a Pod's ServiceAccount, given the Pod, the audience (empty for the API
/// server) and how many seconds they shall hold.
#[derive(Clone)]
pub struct TokenSource(pub Arc<Mint>);

impl fmt::Debug for TokenSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TokenSource")
    }
}

/// The tokens of one Pod.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    source: Option<TokenSource>,
    /// By audience and seconds
    held: Mutex<BTreeMap<(String, i64), Held>>,
}

#[derive(Clone, Debug)]
struct Held {
    text: String,
    renew: Timestamp,
}

impl Tokens {
    pub(crate) fn new(source: Option<TokenSource>) -> Self {
        Self {
            source,
            held: Mutex::default(),
        }
    }

    /// The token for a volume; nothing when nobody makes tokens.
    ///
    /// # Errors
    /// Why none is made.
    pub(crate) fn get(
        &self,
        pod: &Object,
        wanted: &TokenProjection,
        now: Timestamp,
    ) -> Result<Option<String>, String> {
        let Some(TokenSource(mint)) = &self.source else {
            return Ok(None);
        };
        let seconds = wanted.expiration_seconds.unwrap_or(SECONDS);
        let key = (wanted.audience.clone(), seconds);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = held.get(&key).filter(|held| held.renew > now) {
            return Ok(Some(known.text.clone()));
        }
        let token = match (mint(pod, &wanted.audience, seconds), held.get_mut(&key)) {
            (Ok(token), _) => token,
            (Err(why), None) => return Err(format!("failed to fetch token: {why}")),
            (Err(why), Some(old)) => {
                tracing::warn!(%why, "a token cannot be renewed yet");
                old.renew = now.plus_seconds(RETRY_SECONDS);
                return Ok(Some(old.text.clone()));
            }
        };
        let life = (token.expires.micros() - now.micros()) / 1_000_000;
        let after = (life * RENEW_TENTHS / 10).clamp(1, RENEW_MAX_SECONDS);
        let renewed = Held {
            text: token.text.clone(),
            renew: now.plus_seconds(after),
        };
        held.insert(key, renewed);
        Ok(Some(token.text))
    }

    /// When the next token has to be renewed.
    pub(crate) fn renew_at(&self) -> Option<Timestamp> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.values().map(|held| held.renew).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[test]
    fn a_token_is_kept_until_it_is_due() {
        let made = Arc::new(AtomicI64::new(0));
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let count = made.clone();
        let tokens = Tokens::new(Some(TokenSource(Arc::new(move |_, audience, seconds| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            Ok(Token {
                text: format!("{audience}-{number}"),
                expires: at(seconds * (number + 1)),
            })
        }))));
        let pod = testkit::object(&serde_json::json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"},
        }));
        let wanted = TokenProjection {
            audience: "vault".to_owned(),
            expiration_seconds: Some(1000),
            path: "token".to_owned(),
        };
        let get = |now| tokens.get(&pod, &wanted, at(now)).unwrap().unwrap();
        assert_eq!(get(0), "vault-0");
        assert_eq!(get(799), "vault-0");
        assert_eq!(tokens.renew_at(), Some(at(800)));
        assert_eq!(get(800), "vault-1");
        assert_eq!(made.load(Ordering::Relaxed), 2);
    }
}
