//! Tokens of ServiceAccounts as JSON Web Tokens (RFC 7519): what they say, and whether it still
//! holds.
//!
//! Source: `pkg/serviceaccount/claims.go`, `legacy.go`, `jwt.go`.

use crate::subject::account_groups;
use crate::{AUTHENTICATED, service_account_of, service_account_user};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{NO_PAD, STANDARD, URL_SAFE_NO_PAD};
use model::{Object, Resource, Timestamp, User, View, go_quote};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `--service-account-issuer`, and the audience of the server itself.
pub const ISSUER: &str = "https://kubernetes.default.svc";
/// The issuer of tokens in Secrets.
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";
/// Clocks may differ by so many seconds.
const LEEWAY: i64 = 60;
/// A token of exactly this many seconds is one that a Pod was given, which some clients never read
/// again.
pub const PROJECTED_SECONDS: i64 = 60 * 60 + 7;
/// So that such a token holds for a year.
pub const EXTENDED_SECONDS: i64 = 365 * 24 * 60 * 60;
/// Takes bits at the end that say nothing, as Go does.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));
/// Longer texts are no tokens.
const LONGEST: usize = 64 * 1024;

/// An object that a token names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Named {
    /// `metadata.name`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `metadata.uid`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

impl Named {
    /// The name and uid of an object.
    pub fn of(object: &Object) -> Self {
        Self {
            name: object.meta.name.to_string(),
            uid: object.meta.uid.to_string(),
        }
    }
}

/// The claim `kubernetes.io`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bound {
    /// Namespace of the ServiceAccount
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The Node of the Pod, or the one that the token is bound to
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Named>,
    /// The Pod that the token is bound to
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Named>,
    /// The Secret that the token is bound to
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Named>,
    /// The ServiceAccount
    pub serviceaccount: Named,
    /// When whoever uses it should have asked for a new one, in seconds since 1970
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnafter: Option<i64>,
}

/// What a token says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// Whom it is meant for
    #[serde(
        rename = "aud",
        deserialize_with = "one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub audiences: Vec<String>,
    /// Seconds since 1970
    #[serde(rename = "exp", skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Seconds since 1970
    #[serde(rename = "iat", skip_serializing_if = "Option::is_none")]
    pub issued: Option<i64>,
    /// Who made it
    #[serde(rename = "iss")]
    pub issuer: String,
    /// Its own name
    #[serde(rename = "jti", skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What it is bound to; tokens in Secrets have other claims
    #[serde(rename = "kubernetes.io", skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
    /// Namespace of the Secret that holds it
    #[serde(
        rename = "kubernetes.io/serviceaccount/namespace",
        skip_serializing_if = "String::is_empty"
    )]
    pub secret_namespace: String,
    /// Name of the Secret that holds it
    #[serde(
        rename = "kubernetes.io/serviceaccount/secret.name",
        skip_serializing_if = "String::is_empty"
    )]
    pub secret_name: String,
    /// ServiceAccount of the Secret that holds it
    #[serde(
        rename = "kubernetes.io/serviceaccount/service-account.name",
        skip_serializing_if = "String::is_empty"
    )]
    pub account_name: String,
    /// uid of that ServiceAccount
    #[serde(
        rename = "kubernetes.io/serviceaccount/service-account.uid",
        skip_serializing_if = "String::is_empty"
    )]
    pub account_uid: String,
    /// Seconds since 1970
    #[serde(rename = "nbf", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<i64>,
    /// User name of the ServiceAccount
    #[serde(rename = "sub")]
    pub subject: String,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Option::<Either>::deserialize(from)? {
        None => Vec::new(),
        Some(Either::One(one)) => vec![one],
        Some(Either::Many(many)) => many,
    })
}

impl Claims {
    /// What a token in a Secret says. It never expires.
    pub fn in_secret(namespace: &str, account: &Named, secret: &str) -> Self {
        Self {
            issuer: LEGACY_ISSUER.to_owned(),
            subject: service_account_user(namespace, &account.name),
            secret_namespace: namespace.to_owned(),
            secret_name: secret.to_owned(),
            account_name: account.name.clone(),
            account_uid: account.uid.clone(),
            ..Self::default()
        }
    }

    /// What a token of a ServiceAccount says that holds for `seconds` from `now` on.
    pub fn bound(
        bound: Bound,
        audiences: Vec<String>,
        id: String,
        now: Timestamp,
        seconds: i64,
    ) -> Self {
        let now = now.micros() / 1_000_000;
        Self {
            audiences,
            expires: Some(now.saturating_add(seconds)),
            issued: Some(now),
            not_before: Some(now),
            issuer: ISSUER.to_owned(),
            id,
            subject: service_account_user(&bound.namespace, &bound.serviceaccount.name),
            bound: Some(bound),
            ..Self::default()
        }
    }

    /// The part of a token that is signed; `key` names the key that will sign it with RS256.
    pub fn signing_input(&self, key: &str) -> String {
        let header = serde_json::json!({"alg": "RS256", "kid": key});
        let claims = serde_json::to_vec(self).unwrap_or_default();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(&claims)
        )
    }
}

/// A token that was read, but not believed yet.
pub struct Unverified {
    /// What it says
    pub claims: Claims,
    /// Which key it claims to be signed with; empty when it does not say
    pub key: String,
    /// Length of the signed part of the text
    pub signed: usize,
    /// The signature
    pub signature: Vec<u8>,
}

impl Unverified {
    /// Reads a token; `None` when it is none of this server's.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let mut parts = text.split('.');
        let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let decode = |part: &str| LENIENT.decode(part).ok();
        let claims: Claims = serde_json::from_slice(&decode(claims)?).ok()?;
        if claims.issuer != ISSUER && claims.issuer != LEGACY_ISSUER {
            return None;
        }
        let head: Value = serde_json::from_slice(&decode(header)?).ok()?;
        if head["alg"] != "RS256" {
            return None;
        }
        Some(Self {
            claims,
            key: head["kid"].as_str().unwrap_or_default().to_owned(),
            signed: text.rfind('.')?,
            signature: decode(signature)?,
        })
    }
}

/// Whose token it is, and which of the wanted audiences it is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The user
    pub user: User,
    /// Audiences that were wanted and that the token has
    pub audiences: Vec<String>,
}

/// Whether a token with a good signature still holds; `text` is the token, `wanted` the audiences
/// that would do.
///
/// # Errors
/// Why it does not, in the words of kube-apiserver.
pub fn check(
    claims: &Claims,
    text: &str,
    wanted: &[String],
    view: &dyn View,
    now: Timestamp,
) -> Result<Holder, String> {
    let own = [ISSUER.to_owned()];
    let has = match claims.audiences.as_slice() {
        [] => &own[..],
        some => some,
    };
    let audiences: Vec<String> = has
        .iter()
        .filter(|one| wanted.contains(one))
        .cloned()
        .collect();
    if audiences.is_empty() {
        return Err(format!(
            "token audiences {} is invalid for the target audiences {}",
            crate::rule::go_list(has),
            crate::rule::go_list(wanted)
        ));
    }
    let user = match &claims.bound {
        _ if claims.issuer == LEGACY_ISSUER => check_secret(claims, text, view)?,
        Some(bound) => Check { view, now }.bound(claims, bound)?,
        None => return Err("service account token claims could not be validated".to_owned()),
    };
    Ok(Holder { user, audiences })
}

fn account_user(namespace: &str, account: &Named, extra: BTreeMap<String, Vec<String>>) -> User {
    let mut groups = account_groups(namespace);
    groups.push(AUTHENTICATED.to_owned());
    User {
        name: service_account_user(namespace, &account.name),
        uid: account.uid.clone(),
        groups,
        extra,
    }
}

fn missing(resource: Resource, name: &str) -> String {
    format!("{resource} {} not found", go_quote(name))
}

struct Check<'a> {
    view: &'a dyn View,
    now: Timestamp,
}

const INVALIDATED: &str = "service account token has been invalidated";

impl Check<'_> {
    fn times(&self, claims: &Claims) -> Result<(), String> {
        let now = self.now.micros() / 1_000_000;
        let late = claims
            .expires
            .is_some_and(|at| now > at.saturating_add(LEEWAY));
        let early = |at: Option<i64>| at.is_some_and(|at| now < at.saturating_sub(LEEWAY));
        let why = match () {
            () if early(claims.not_before) => "service account token is not valid yet",
            () if late => "service account token has expired",
            () if early(claims.issued) => "service account token is issued in the future",
            () => return Ok(()),
        };
        Err(why.to_owned())
    }

    /// Whether an object was to be gone for longer than clocks differ.
    fn is_gone(&self, object: &Object) -> bool {
        let time = object
            .meta
            .deletion_timestamp
            .as_deref()
            .and_then(Timestamp::parse);
        time.is_some_and(|time| time < self.now.plus_seconds(-LEEWAY))
    }

    fn bound(&self, claims: &Claims, bound: &Bound) -> Result<User, String> {
        self.times(claims)?;
        let (namespace, account) = (bound.namespace.as_str(), &bound.serviceaccount);
        let found = self
            .view
            .get(Resource::SERVICE_ACCOUNTS, namespace, &account.name);
        let found = found.ok_or_else(|| missing(Resource::SERVICE_ACCOUNTS, &account.name))?;
        if *found.meta.uid != *account.uid {
            let (has, says) = (&found.meta.uid, &account.uid);
            return Err(format!(
                "service account UID ({has}) does not match claim ({says})"
            ));
        }
        if self.is_gone(&found) {
            let name = &account.name;
            return Err(format!(
                "service account {namespace}/{name} has been deleted"
            ));
        }
        if let Some(secret) = &bound.secret {
            self.exists(Resource::SECRETS, namespace, secret, "secret")?;
        }
        let mut extra = BTreeMap::new();
        let mut note = |key: &str, value: &str| {
            if !value.is_empty() {
                let key = format!("authentication.kubernetes.io/{key}");
                extra.insert(key, vec![value.to_owned()]);
            }
        };
        if !claims.id.is_empty() {
            note("credential-id", &format!("JTI={}", claims.id));
        }
        if let Some(pod) = &bound.pod {
            self.exists(Resource::PODS, namespace, pod, "pod")?;
            note("pod-name", &pod.name);
            note("pod-uid", &pod.uid);
        }
        if let Some(node) = &bound.node {
            if bound.pod.is_none() {
                self.exists(Resource::NODES, "", node, "node")?;
            }
            note("node-name", &node.name);
            note("node-uid", &node.uid);
        }
        Ok(account_user(namespace, account, extra))
    }

    fn exists(
        &self,
        resource: Resource,
        namespace: &str,
        named: &Named,
        word: &str,
    ) -> Result<(), String> {
        let found = self.view.get(resource, namespace, &named.name);
        let found: Arc<Object> = found.ok_or(INVALIDATED)?;
        if *found.meta.uid != *named.uid {
            let (has, says) = (&found.meta.uid, &named.uid);
            return Err(format!(
                "{word} UID ({has}) does not match service account {word} ref claim ({says})"
            ));
        }
        if self.is_gone(&found) {
            return Err(INVALIDATED.to_owned());
        }
        Ok(())
    }
}

/// A token in a Secret holds as long as the Secret holds it.
fn check_secret(claims: &Claims, text: &str, view: &dyn View) -> Result<User, String> {
    let namespace = claims.secret_namespace.as_str();
    let needed = [
        ("sub", claims.subject.as_str()),
        ("namespace", namespace),
        ("secretName", &claims.secret_name),
        ("serviceAccountName", &claims.account_name),
        ("serviceAccountUID", &claims.account_uid),
    ];
    if let Some((claim, _)) = needed.iter().find(|(_, value)| value.is_empty()) {
        return Err(format!("{claim} claim is missing"));
    }
    let account = claims.account_name.as_str();
    if service_account_of(&claims.subject) != Some((namespace, account)) {
        return Err("sub claim is invalid".to_owned());
    }
    let secret = view.get(Resource::SECRETS, namespace, &claims.secret_name);
    let secret = secret.filter(|secret| !secret.meta.is_deleting());
    let secret = secret.ok_or("Token has been invalidated")?;
    let held = secret.value()["data"]["token"]
        .as_str()
        .map(|coded| STANDARD.decode(coded));
    if !matches!(held, Some(Ok(held)) if same(&held, text.as_bytes())) {
        return Err("Token does not match server's copy".to_owned());
    }
    let found = view.get(Resource::SERVICE_ACCOUNTS, namespace, account);
    let found = found.ok_or_else(|| missing(Resource::SERVICE_ACCOUNTS, account))?;
    if found.meta.is_deleting() {
        return Err(format!(
            "ServiceAccount {namespace}/{account} has been deleted"
        ));
    }
    if *found.meta.uid != *claims.account_uid {
        let (has, says) = (&found.meta.uid, &claims.account_uid);
        return Err(format!(
            "ServiceAccount UID ({has}) does not match claim ({says})"
        ));
    }
    if secret.meta.labels.contains_key(INVALID_SINCE) {
        let name = &claims.secret_name;
        return Err(format!(
            "the token in secret {namespace}/{name} for service account {namespace}/{account} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '{INVALID_SINCE}' label from the secret to temporarily allow use of this token"
        ));
    }
    Ok(account_user(namespace, &Named::of(&found), BTreeMap::new()))
}

const INVALID_SINCE: &str = "kubernetes.io/legacy-token-invalid-since";

/// Compares without telling by its time where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
}
