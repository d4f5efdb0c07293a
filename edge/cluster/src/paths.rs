//! Where resources are in the API.

use model::Resource;
use std::fmt::Write;

/// Version in which we use the resources of each group.
fn group_version(resource: Resource) -> &'static str {
    match resource.group() {
        "autoscaling" => "v2",
        _ => "v1",
    }
}

/// `apiVersion` of a resource's objects.
pub(crate) fn api_version(resource: Resource) -> String {
    let version = group_version(resource);
    match resource.group() {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// Path of all objects of a resource, of one namespace or (when it is empty) of all.
pub(crate) fn collection(resource: Resource, namespace: &str) -> String {
    let version = group_version(resource);
    let mut path = match resource.group() {
        "" => format!("/api/{version}"),
        group => format!("/apis/{group}/{version}"),
    };
    if !namespace.is_empty() {
        path.push_str("/namespaces/");
        path.push_str(&escaped(namespace));
    }
    path.push('/');
    path.push_str(resource.plural());
    path
}

/// Path of one object, or of a subresource of it.
pub(crate) fn object(resource: Resource, namespace: &str, name: &str, subresource: &str) -> String {
    let mut path = collection(resource, namespace);
    path.push('/');
    path.push_str(&escaped(name));
    if !subresource.is_empty() {
        path.push('/');
        path.push_str(subresource);
    }
    path
}

/// Percent-encodes everything but unreserved characters (RFC 3986 section 2.3).
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Which objects to follow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Collection {
    /// Resource
    pub resource: Resource,
    /// `kind` of its objects, which lists leave out
    pub kind: &'static str,
    /// Namespace; empty for all, or for resources without
    pub namespace: String,
    /// Field selector, such as `metadata.name=node-1`; empty for none
    pub fields: String,
    /// Label selector; empty for none
    pub labels: String,
    /// Where the server does not know the resource, or does not let us read it, there are none
    pub optional: bool,
}

impl Collection {
    /// All objects of a built-in resource.
    pub fn all(resource: Resource, kind: &'static str) -> Self {
        Self {
            resource,
            kind,
            namespace: String::new(),
            fields: String::new(),
            labels: String::new(),
            optional: false,
        }
    }

    /// One object.
    pub fn one(resource: Resource, kind: &'static str, namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            fields: format!("metadata.name={name}"),
            ..Self::all(resource, kind)
        }
    }

    /// Only objects that a label selector takes.
    pub fn labelled(mut self, selector: &str) -> Self {
        selector.clone_into(&mut self.labels);
        self
    }

    /// Goes without it where the server does not know the resource, or does not let us read it.
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Path with selectors, to which more parameters may be added with `&`.
    pub(crate) fn path(&self) -> String {
        let mut path = collection(self.resource, &self.namespace);
        path.push('?');
        for (name, value) in [
            ("fieldSelector", &self.fields),
            ("labelSelector", &self.labels),
        ] {
            if !value.is_empty() {
                let _ = write!(path, "{name}={}&", escaped(value));
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        assert_eq!(collection(Resource::SERVICES, ""), "/api/v1/services");
        assert_eq!(
            object(Resource::INGRESSES, "a", "b", "status"),
            "/apis/networking.k8s.io/v1/namespaces/a/ingresses/b/status"
        );
        let one = Collection::one(Resource::NODES, "Node", "", "n 1").labelled("!a/b,c");
        assert_eq!(
            one.path(),
            "/api/v1/nodes?fieldSelector=metadata.name%3Dn%201&labelSelector=%21a%2Fb%2Cc&"
        );
        assert_eq!(api_version(Resource::LEASES), "coordination.k8s.io/v1");
    }
}
