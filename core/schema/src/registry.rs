//! The registry itself and what it answers about kinds.

use crate::types::Types;
use crate::{
    DecodeError, Decoded, Kind, PatchError, TypeMeta, decode, load, merge, normal, restore,
};
use model::Resource;
use serde_json::Value;
use std::sync::{Arc, LazyLock};

/// All kinds with their fields. Cheap to clone; a change (a new CustomResourceDefinition) makes a
/// new registry.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) kinds: Arc<Vec<Arc<Kind>>>,
    pub(crate) types: Arc<Types>,
}

/// Parsed once: the tables are part of the program and never change.
static BUILTIN: LazyLock<Registry> = LazyLock::new(|| {
    let (types, _) = load::types(include_str!("../data/types.txt"));
    let (kinds, _) = load::kinds(include_str!("../data/kinds.txt"), &types);
    Registry {
        kinds: Arc::new(kinds),
        types: Arc::new(types),
    }
});

impl Registry {
    /// The kinds that are built in.
    pub fn builtin() -> Self {
        BUILTIN.clone()
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
    /// `DeleteOptions`, `Eviction`, `Binding`…). Those of `meta.k8s.io/v1` are found in every
    /// group-version that has kinds, as `v1` `DeleteOptions`.
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let exact = |known: &&Arc<Kind>| {
            known.kind == kind && known.group == group && known.version == version
        };
        let found = self.kinds.iter().find(exact);
        found.or_else(|| {
            let mut all = self.kinds.iter();
            let shared = all.find(|known| known.kind == kind && known.group == "meta.k8s.io")?;
            let exists = self
                .kinds()
                .any(|k| k.group == group && k.version == version);
            exists.then_some(shared)
        })
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
        decode::type_meta(body)
    }

    /// Decodes a JSON body as `kind`, as Go would into the kind's struct; the result is in normal
    /// form. Use it for create, update, and for what a JSON patch or merge patch gave.
    ///
    /// # Errors
    /// Syntax errors and values of the wrong type, in Go's words.
    pub fn decode(&self, kind: &Kind, body: &[u8]) -> Result<Decoded, DecodeError> {
        let (value, strict) = decode::decode(&self.types, kind.fields, body)?;
        Ok(self.finish(kind, value, strict))
    }

    /// As [`Registry::decode`], from a tree and with the words of Go's unstructured converter: for
    /// what a strategic merge patch gave.
    ///
    /// # Errors
    /// Values of the wrong type.
    pub fn restore(&self, kind: &Kind, value: Value) -> Result<Decoded, DecodeError> {
        let strict = restore::check(&self.types, kind.fields, &value)?;
        Ok(self.finish(kind, value, strict))
    }

    fn finish(&self, kind: &Kind, mut value: Value, strict: Vec<String>) -> Decoded {
        self.normalise(kind, &mut value);
        if let Some(object) = value.as_object_mut() {
            object.insert("apiVersion".to_owned(), kind.api_version().into());
            object.insert("kind".to_owned(), kind.kind.as_str().into());
        }
        Decoded { value, strict }
    }

    /// Brings an object into the form that decoding it into the Go struct and encoding that again
    /// would give: unknown fields dropped, empty optional fields dropped, empty required ones
    /// present. Values of a wrong type become empty.
    pub fn normalise(&self, kind: &Kind, value: &mut Value) {
        normal::structure(&self.types, kind.fields, value);
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
        merge::apply(&self.types, kind.fields, original, patch)
    }
}
