//! TokenRequests: what a token will say.

use super::texts;
use crate::{answer, meta};
use access::token::{Bound, Claims, EXTENDED_SECONDS, ISSUER, Named, PROJECTED_SECONDS};
use model::{ApiError, FieldError, Object, Resource, Timestamp, View};
use serde_json::{Value, json};
use std::sync::Arc;

const GROUP: &str = "authentication.k8s.io";
const MIN_SECONDS: i64 = 10 * 60;
const MAX_SECONDS: i64 = 1 << 32;
const DEFAULT_SECONDS: i64 = 60 * 60;

/// What a request for a token may look at.
pub struct TokenRequest<'a> {
    /// Namespace in the path
    pub namespace: &'a str,
    /// Name of the ServiceAccount in the path
    pub name: &'a str,
    /// The cluster
    pub view: &'a dyn View,
    /// The time of the request
    pub now: Timestamp,
    /// Draws a random number
    pub random: &'a dyn Fn() -> u64,
}

/// The answer to a decoded TokenRequest, still without its token, and what the token is to say.
///
/// # Errors
/// What is wrong with the request.
pub fn token_request(
    context: &TokenRequest<'_>,
    mut request: Value,
) -> Result<(Value, Claims), ApiError> {
    let account = context.account(&request)?;
    complete(context, &mut request, &account);
    let spec = &request["spec"];
    let seconds = spec["expirationSeconds"]
        .as_i64()
        .unwrap_or(DEFAULT_SECONDS);
    check_seconds(seconds)?;
    let mut bound = Bound {
        namespace: context.namespace.to_owned(),
        serviceaccount: Named::of(&account),
        ..Bound::default()
    };
    context.bind(&spec["boundObjectRef"], &mut bound)?;
    let audiences = texts(&spec["audiences"]);
    let mut lasts = seconds;
    let is_own = audiences.iter().all(|audience| audience == ISSUER);
    if bound.pod.is_some() && seconds == PROJECTED_SECONDS && is_own {
        bound.warnafter = Some(context.now.micros() / 1_000_000 + seconds);
        lasts = EXTENDED_SECONDS;
    }
    let id = crate::engine::uid(context.random);
    let claims = Claims::bound(bound, audiences, id, context.now, lasts);
    let expires = context.now.plus_seconds(seconds).rfc3339();
    request["status"] = json!({"token": "", "expirationTimestamp": expires});
    Ok((request, claims))
}

fn complete(context: &TokenRequest<'_>, request: &mut Value, account: &Object) {
    let map = meta::of_mut(request);
    let known = [
        ("name", context.name),
        ("namespace", context.namespace),
        ("uid", &*account.meta.uid),
        ("creationTimestamp", &context.now.rfc3339()),
    ];
    for (key, value) in known {
        map.insert(key.to_owned(), value.into());
    }
    let spec = &mut request["spec"];
    if texts(&spec["audiences"]).is_empty() {
        spec["audiences"] = json!([ISSUER]);
    }
    if spec["expirationSeconds"].is_null() {
        spec["expirationSeconds"] = DEFAULT_SECONDS.into();
    }
}

fn check_seconds(seconds: i64) -> Result<(), ApiError> {
    let text = match seconds {
        _ if seconds < MIN_SECONDS => "may not specify a duration less than 10 minutes",
        _ if seconds > MAX_SECONDS => "may not specify a duration larger than 2^32 seconds",
        _ => return Ok(()),
    };
    let error = FieldError::invalid("spec.expirationSeconds", &seconds.into(), text);
    Err(ApiError::invalid(GROUP, "TokenRequest", "", &[error]))
}

impl TokenRequest<'_> {
    fn account(&self, request: &Value) -> Result<Arc<Object>, ApiError> {
        let name = meta::text(request, "name");
        if !name.is_empty() && name != self.name {
            let text = "must match the service account name if specified";
            let error = FieldError::invalid("metadata.name", &name.into(), text);
            return Err(ApiError::invalid(
                GROUP,
                "TokenRequest",
                self.name,
                &[error],
            ));
        }
        let found = self
            .view
            .get(Resource::SERVICE_ACCOUNTS, self.namespace, self.name);
        let missing = || ApiError::not_found(Resource::SERVICE_ACCOUNTS, self.name);
        let found = found.ok_or_else(missing)?;
        let uid = meta::text(request, "uid");
        if !uid.is_empty() && uid != &*found.meta.uid {
            let text = format!(
                "the UID in the token request ({uid}) does not match the UID of the service account ({})",
                found.meta.uid
            );
            return Err(answer::conflict("TokenRequest", GROUP, self.name, &text));
        }
        Ok(found)
    }

    fn find(&self, resource: Resource, name: &str) -> Result<Arc<Object>, ApiError> {
        let namespace = match resource {
            Resource::NODES => "",
            _ => self.namespace,
        };
        let found = self.view.get(resource, namespace, name);
        found.ok_or_else(|| ApiError::not_found(resource, name))
    }

    /// Binds to the object that `reference` names, so that the token ends with it.
    fn bind(&self, reference: &Value, bound: &mut Bound) -> Result<(), ApiError> {
        if reference.is_null() {
            return Ok(());
        }
        let text = |key: &str| reference[key].as_str().unwrap_or_default();
        let (api_version, kind, name) = (text("apiVersion"), text("kind"), text("name"));
        let object = match (api_version.split_once('/'), kind) {
            (None, "Pod") => self.bind_pod(name, bound)?,
            (None, "Node") => {
                let node = self.find(Resource::NODES, name)?;
                bound.node = Some(Named::of(&node));
                node
            }
            (None, "Secret") => {
                let secret = self.find(Resource::SECRETS, name)?;
                bound.secret = Some(Named::of(&secret));
                secret
            }
            (group, _) => {
                let (group, version) = group.unwrap_or(("", api_version));
                let text =
                    format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
                return Err(answer::bad_request(text));
            }
        };
        let uid = text("uid");
        if !uid.is_empty() && uid != &*object.meta.uid {
            let text = format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
            );
            return Err(answer::conflict(kind, "", name, &text));
        }
        Ok(())
    }

    fn bind_pod(&self, name: &str, bound: &mut Bound) -> Result<Arc<Object>, ApiError> {
        let pod = self.find(Resource::PODS, name)?;
        let spec = &pod.value()["spec"];
        if spec["serviceAccountName"] != self.name {
            let text = format!(
                "cannot bind token for serviceaccount {} to pod running with different serviceaccount name.",
                model::go_quote(self.name)
            );
            return Err(answer::bad_request(text));
        }
        bound.pod = Some(Named::of(&pod));
        let node = spec["nodeName"].as_str().filter(|node| !node.is_empty());
        bound.node = node.map(|node| {
            let found = self.view.get(Resource::NODES, "", node);
            found.map_or_else(
                || Named {
                    name: node.to_owned(),
                    uid: String::new(),
                },
                |found| Named::of(&found),
            )
        });
        Ok(pod)
    }
}
