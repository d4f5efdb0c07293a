//! Tokens of ServiceAccounts: made on request, believed as long as what they are bound to is there.

use super::Keys;
use crate::clock;
use crate::hub::Hub;
use ::access::token::{self, Claims, Holder, ISSUER, Named, Unverified};
use api::{TokenRequest, answer};
use model::{ApiError, Timestamp};
use serde_json::Value;

/// A new token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// The token
    pub token: String,
    /// When whoever holds it should have a new one; it may hold for longer
    pub expires: Timestamp,
}

/// What makes and reads tokens.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    pub(crate) keys: &'a Keys,
    pub(crate) hub: &'a Hub,
}

impl Tokens<'_> {
    /// Whose token it is, if it is good for one of these audiences; none are the server's own.
    pub(crate) fn check(&self, text: &str, audiences: &[String]) -> Result<Holder, String> {
        const NONE: &str = "invalid bearer token";
        let read = Unverified::parse(text).ok_or(NONE)?;
        let own = [ISSUER.to_owned()];
        let wanted = if audiences.is_empty() {
            &own
        } else {
            audiences
        };
        let checked = self
            .keys
            .verify(&read.key, &text[..read.signed], &read.signature)
            .and_then(|()| {
                let committed = self.hub.committed();
                token::check(&read.claims, text, wanted, committed.state(), clock::now())
            });
        checked.map_err(|why| format!("[{NONE}, {why}]"))
    }

    fn sign(&self, claims: &Claims) -> Result<String, ApiError> {
        let signed = self
            .keys
            .id()
            .and_then(|id| self.keys.sign(&claims.signing_input(id)));
        signed.map_err(|why| answer::internal(format!("failed to generate token: {why}")))
    }

    /// Answers a decoded TokenRequest for a ServiceAccount.
    pub(crate) fn request(
        &self,
        namespace: &str,
        name: &str,
        request: Value,
    ) -> Result<Value, ApiError> {
        let (mut answered, claims) = {
            let committed = self.hub.committed();
            let context = TokenRequest {
                namespace,
                name,
                view: committed.state(),
                now: clock::now(),
                random: &clock::random,
            };
            api::token_request(&context, request)?
        };
        answered["status"]["token"] = self.sign(&claims)?.into();
        Ok(answered)
    }

    /// The token that a Secret is to hold.
    pub(crate) fn in_secret(
        &self,
        namespace: &str,
        account: &Named,
        secret: &str,
    ) -> Result<String, ApiError> {
        self.sign(&Claims::in_secret(namespace, account, secret))
    }
}
