//! Secrets of type `kubernetes.io/service-account-token`: filled while their ServiceAccount is
//! there, deleted with it (`serviceaccount-token-controller`).

use crate::fields::text;
use crate::{Context, Controller, Key, Outcome};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Event, Object, Resource, View, Write};
use serde_json::{Map, Value, json};
use std::fmt;
use std::sync::Arc;

const TYPE: &str = "kubernetes.io/service-account-token";
const ACCOUNT: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";

/// Tokens in Secrets.
pub(crate) const CONTROLLER: Controller = Controller {
    name: "serviceaccount-token-controller",
    keys,
    reconcile: fill,
    refused: crate::silent,
};

/// Whom a token in a Secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyToken<'a> {
    /// Namespace of Secret and ServiceAccount
    pub namespace: &'a str,
    /// Name of the ServiceAccount
    pub account: &'a str,
    /// uid of the ServiceAccount
    pub uid: &'a str,
    /// Name of the Secret
    pub secret: &'a str,
}

/// Whoever can sign tokens; equal questions get equal answers, `None` when there is no key.
type Sign = dyn Fn(LegacyToken<'_>) -> Option<String> + Send + Sync;

/// Signs tokens for Secrets.
#[derive(Clone)]
pub struct TokenSigner(pub Arc<Sign>);

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSigner")
    }
}

fn is_token(object: &Object) -> bool {
    object.resource == Resource::SECRETS
        && object.meta.annotations.contains_key(ACCOUNT)
        && text(&object.value(), "/type") == TYPE
}

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    match object.resource {
        Resource::SECRETS if is_token(object) => vec![object.key()],
        Resource::SERVICE_ACCOUNTS => {
            let all = view.list(Resource::SECRETS, Some(&object.meta.namespace));
            let own = |secret: &&Arc<Object>| {
                let account = secret.meta.annotations.get(ACCOUNT);
                account.is_some_and(|name| **name == *object.meta.name) && is_token(secret)
            };
            all.iter().filter(own).map(|secret| secret.key()).collect()
        }
        _ => Vec::new(),
    }
}

fn fill(context: &Context<'_>, key: &Key) -> Outcome {
    let Some(secret) = context.view.get(key.resource, &key.namespace, &key.name) else {
        return Outcome::default();
    };
    if !is_token(&secret) || secret.meta.is_deleting() {
        return Outcome::default();
    }
    let note = |name: &str| {
        secret
            .meta
            .annotations
            .get(name)
            .cloned()
            .unwrap_or_default()
    };
    let (name, uid) = (note(ACCOUNT), note(ACCOUNT_UID));
    let account = context
        .view
        .get(Resource::SERVICE_ACCOUNTS, &key.namespace, &name);
    let account = account.filter(|account| uid.is_empty() || *account.meta.uid == *uid);
    let Some(account) = account else {
        return Outcome::of([Write::Delete {
            key: secret.key(),
            uid: Some(secret.meta.uid.clone()),
            grace_seconds: None,
            propagation: None,
        }]);
    };
    let missing = missing(context, &secret, &account);
    if missing.is_empty() {
        return Outcome::default();
    }
    let annotations = json!({ACCOUNT: &*account.meta.name, ACCOUNT_UID: &*account.meta.uid});
    let version = secret.meta.resource_version.to_string();
    Outcome::of([Write::MergePatch {
        key: secret.key(),
        subresource: "",
        patch: json!({
            "metadata": {"annotations": annotations, "resourceVersion": version},
            "data": missing,
        }),
    }])
}

/// Entries of `data` that the Secret needs.
fn missing(context: &Context<'_>, secret: &Object, account: &Object) -> Map<String, Value> {
    let value = secret.value();
    let has = |key: &str| text(&value["data"], &format!("/{key}")).to_owned();
    let mut missing = Map::new();
    let authority = base64(context.settings.ca_pem.as_bytes());
    if !authority.is_empty() && has("ca.crt") != authority {
        missing.insert("ca.crt".to_owned(), authority.into());
    }
    if has("namespace").is_empty() {
        let namespace = base64(secret.meta.namespace.as_bytes());
        missing.insert("namespace".to_owned(), namespace.into());
    }
    if has("token").is_empty() {
        let whom = LegacyToken {
            namespace: &secret.meta.namespace,
            account: &account.meta.name,
            uid: &account.meta.uid,
            secret: &secret.meta.name,
        };
        let signer = context.settings.token_signer.as_ref();
        let token = signer.and_then(|signer| (signer.0)(whom));
        if let Some(token) = token {
            missing.insert("token".to_owned(), base64(token.as_bytes()).into());
        }
    }
    missing
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
