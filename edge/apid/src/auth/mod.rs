//! Who asks, and whether they may.
//!
//! A request comes with a client certificate of the server's own authority, with a token of a
//! ServiceAccount, or with nothing, which makes it anonymous. What is wrong gets 401; a right user
//! without the right gets 403.

mod access;
mod certificate;
mod keys;
mod tokens;

pub(crate) use access::{Access, is_master};
pub(crate) use certificate::{AnyCertificate, Certificate};
pub(crate) use keys::Keys;
pub use tokens::Minted;
pub(crate) use tokens::Tokens;

use ::access::{ANONYMOUS, UNAUTHENTICATED, Wanted};
use api::User;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use model::{ApiError, Timestamp};
use std::collections::BTreeMap;

fn unauthorized() -> ApiError {
    ApiError::new(401, "Unauthorized", "Unauthorized")
}

fn anonymous() -> User {
    User {
        name: ANONYMOUS.to_owned(),
        groups: vec![UNAUTHENTICATED.to_owned()],
        ..User::default()
    }
}

/// The user whom the credentials of a request name; impersonation comes later.
///
/// # Errors
/// 401 when there are credentials and none of them is good.
pub(crate) fn authenticate(
    certificate: &Certificate,
    headers: &HeaderMap,
    tokens: &Tokens<'_>,
    now: Timestamp,
) -> Result<User, ApiError> {
    let mut wrong = false;
    match certificate {
        Certificate::Nobody => {}
        Certificate::User { user, until } if now <= *until => return Ok(user.clone()),
        Certificate::User { .. } | Certificate::Stranger => wrong = true,
    }
    if let Some(token) = bearer(headers) {
        match tokens.check(&token, &[]) {
            Ok(holder) => return Ok(holder.user),
            Err(why) => {
                tracing::debug!(why, "a token was refused");
                wrong = true;
            }
        }
    }
    if wrong {
        return Err(unauthorized());
    }
    Ok(anonymous())
}

/// The token of a request: in `Authorization`, or among the protocols of a WebSocket, where
/// browsers can put it.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(http::header::AUTHORIZATION);
    let mut words = text
        .and_then(|text| text.to_str().ok())
        .unwrap_or_default()
        .trim()
        .splitn(3, ' ');
    if words
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("bearer"))
        && let Some(token) = words.next().filter(|token| !token.is_empty())
    {
        return Some(token.to_owned());
    }
    let protocols = headers.get_all(http::header::SEC_WEBSOCKET_PROTOCOL).iter();
    let protocols = protocols.filter_map(|text| text.to_str().ok());
    let coded = protocols.flat_map(|text| text.split(',')).find_map(|one| {
        one.trim()
            .strip_prefix("base64url.bearer.authorization.k8s.io.")
    })?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(coded).ok()?).ok()
}

/// Whom a request wants to act as.
pub(crate) fn wanted(headers: &HeaderMap) -> Wanted {
    let all = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    };
    let first = |name: &str| all(name).into_iter().next().unwrap_or_default();
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in headers.keys() {
        if let Some(key) = name.as_str().strip_prefix("impersonate-extra-") {
            extra
                .entry(decoded(key))
                .or_default()
                .extend(all(name.as_str()));
        }
    }
    Wanted {
        name: first("impersonate-user"),
        uid: first("impersonate-uid"),
        groups: all("impersonate-group"),
        extra,
    }
}

/// A key as it was before it became part of a header's name; unchanged when it cannot be read.
fn decoded(key: &str) -> String {
    let escapes = key.split('%').skip(1);
    let good = escapes.into_iter().all(|rest| {
        let hex = rest.as_bytes().get(..2);
        hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if good {
        crate::http::percent_decode(key)
    } else {
        key.to_owned()
    }
}

#[cfg(test)]
mod tests;
