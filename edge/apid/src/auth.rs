//! Who asks, and whether they may: until there is access control, administrators may do
//! everything and everyone else may read health and version.

use api::{ResourcePath, User, Verb};
use http::HeaderMap;
use model::ApiError;
use serde_json::json;
use x509_parser::prelude::{FromDer, X509Certificate};

const MASTERS: &str = "system:masters";

/// The user that a verified client certificate names: common name and organisations.
pub(crate) fn user_of(certificate: &[u8]) -> Option<User> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|o| o.as_str().ok());
    let mut groups: Vec<String> = groups.map(str::to_owned).collect();
    groups.push("system:authenticated".to_owned());
    Some(User {
        name,
        groups,
        ..User::default()
    })
}

fn anonymous() -> User {
    User {
        name: "system:anonymous".to_owned(),
        groups: vec!["system:unauthenticated".to_owned()],
        ..User::default()
    }
}

fn is_admin(user: &User) -> bool {
    user.groups.iter().any(|group| group == MASTERS)
}

/// The user of a request, impersonation included.
pub(crate) fn authenticate(peer: Option<&User>, headers: &HeaderMap) -> Result<User, ApiError> {
    let token = headers
        .get(http::header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let is_bearer = token.is_some_and(|text| {
        text.get(..7)
            .is_some_and(|t| t.eq_ignore_ascii_case("bearer "))
    });
    let user = match peer {
        Some(user) => user.clone(),
        None if is_bearer => return Err(ApiError::new(401, "Unauthorized", "Unauthorized")),
        None => anonymous(),
    };
    impersonate(user, headers)
}

fn impersonate(user: User, headers: &HeaderMap) -> Result<User, ApiError> {
    let all = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .filter_map(|value| value.to_str().ok())
            .map(str::to_owned)
            .collect()
    };
    let (name, groups) = (all("impersonate-user"), all("impersonate-group"));
    let Some(name) = name.into_iter().next().filter(|name| !name.is_empty()) else {
        if !groups.is_empty() {
            let mut error = api::answer::internal(
                "requested [{Group  ".to_owned() + &groups[0] + "  }] without impersonating a user",
            );
            error.details = Some(
                json!({"causes": [{"message": format!("requested {groups:?} without impersonating a user")}]}),
            );
            return Err(error);
        }
        return Ok(user);
    };
    if !is_admin(&user) {
        let mut error = ApiError::new(403, "Forbidden", "");
        error.message = format!(
            "users {name:?} is forbidden: User {:?} cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
            user.name
        );
        error.details = Some(json!({"name": name, "kind": "users"}));
        return Err(error);
    }
    let mut groups = groups;
    groups.push("system:authenticated".to_owned());
    Ok(User {
        name,
        groups,
        ..User::default()
    })
}

/// Whether anyone may read this path.
fn is_public(method: &str, path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    matches!(first, "healthz" | "livez" | "readyz")
        || (path == "/version" || path == "/version/") && method == "GET"
}

/// Refuses those who may not use a path that names no objects.
pub(crate) fn authorize_path(user: &User, method: &str, path: &str) -> Result<(), ApiError> {
    if is_admin(user) || is_public(method, path) {
        return Ok(());
    }
    let mut error = ApiError::new(403, "Forbidden", "");
    error.message = format!(
        "forbidden: User {:?} cannot {} path {path:?}",
        user.name,
        method.to_lowercase()
    );
    error.details = Some(json!({}));
    Err(error)
}

/// Refuses those who may not use an object or a collection.
pub(crate) fn authorize_resource(
    user: &User,
    verb: Verb,
    path: &ResourcePath,
) -> Result<(), ApiError> {
    if is_admin(user) {
        return Ok(());
    }
    let kind = &path.kind;
    let resource = if path.subresource.is_empty() {
        kind.plural.clone()
    } else {
        format!("{}/{}", kind.plural, path.subresource)
    };
    // A Namespace is in itself.
    let namespace = match path.kind.resource {
        model::Resource::NAMESPACES => &path.name,
        _ => &path.namespace,
    };
    let scope = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {namespace:?}")
    };
    let qualified = if kind.group.is_empty() {
        kind.plural.clone()
    } else {
        format!("{}.{}", kind.plural, kind.group)
    };
    let named = if path.name.is_empty() {
        qualified
    } else {
        format!("{qualified} {:?}", path.name)
    };
    let mut error = ApiError::new(403, "Forbidden", "");
    error.message = format!(
        "{named} is forbidden: User {:?} cannot {} resource {resource:?} in API group {:?} {scope}",
        user.name,
        verb.as_str(),
        kind.group
    );
    let mut details = json!({"kind": kind.plural});
    if !kind.group.is_empty() {
        details["group"] = kind.group.clone().into();
    }
    if !path.name.is_empty() {
        details["name"] = path.name.clone().into();
    }
    error.details = Some(details);
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admin() -> User {
        User {
            name: "admin".to_owned(),
            groups: vec![MASTERS.to_owned()],
            ..User::default()
        }
    }

    #[test]
    fn strangers_read_health_and_nothing_else() {
        let nobody = authenticate(None, &HeaderMap::new()).unwrap();
        assert!(authorize_path(&nobody, "GET", "/healthz").is_ok());
        assert!(authorize_path(&nobody, "GET", "/readyz/ping").is_ok());
        let refused = authorize_path(&nobody, "GET", "/apis").unwrap_err();
        assert_eq!(
            refused.message,
            "forbidden: User \"system:anonymous\" cannot get path \"/apis\""
        );
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer x".parse().unwrap());
        assert_eq!(authenticate(None, &headers).map_err(|e| e.code), Err(401));
    }

    #[test]
    fn only_administrators_impersonate() {
        let mut headers = HeaderMap::new();
        headers.insert("impersonate-user", "jane".parse().unwrap());
        assert_eq!(authenticate(Some(&admin()), &headers).unwrap().name, "jane");
        assert_eq!(authenticate(None, &headers).map_err(|e| e.code), Err(403));
    }
}
