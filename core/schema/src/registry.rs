//! The registry itself and what it answers about kinds.

use crate::types::Types;
use crate::{
    DecodeError, Decoded, Kind, PatchError, TypeMeta, custom, decode, json, load, merge, normal,
    restore,
};
use model::Resource;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// All kinds with their fields. Cheap to clone; a change (a new CustomResourceDefinition) makes a
/// new registry.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) kinds: Arc<Vec<Arc<Kind>>>,
    pub(crate) types: Arc<Types>,
    index: Arc<Index>,
}

/// Where kinds stand in the list, by the words that requests and objects use.
#[derive(Debug, Default)]
struct Index {
    by_plural: HashMap<String, Vec<usize>>,
    by_kind: HashMap<String, Vec<usize>>,
    stored: HashMap<Resource, usize>,
}

impl Index {
    fn new(kinds: &[Arc<Kind>]) -> Self {
        let mut index = Self::default();
        for (at, kind) in kinds.iter().enumerate() {
            let same = index.by_kind.entry(kind.kind.clone()).or_default();
            same.push(at);
            if !kind.is_served() && kind.custom().is_none() {
                continue;
            }
            let same = index.by_plural.entry(kind.plural.clone()).or_default();
            same.push(at);
            // The first in discovery's order, unless another one holds the objects.
            let first = index.stored.entry(kind.resource).or_insert(at);
            if !holds_objects(&kinds[*first]) && holds_objects(kind) {
                *first = at;
            }
        }
        index
    }
}

/// Whether objects of the resource are stored in the form of this kind.
fn holds_objects(kind: &Kind) -> bool {
    match kind.custom() {
        Some(custom) => custom.storage_version == kind.version,
        None => kind.resource.group() == kind.group,
    }
}

/// Parsed once: the tables are part of the program and never change.
static BUILTIN: LazyLock<Registry> = LazyLock::new(|| {
    let (types, _) = load::types(include_str!("../data/types.txt"));
    let (kinds, _) = load::kinds(include_str!("../data/kinds.txt"), &types);
    Registry {
        index: Arc::new(Index::new(&kinds)),
        kinds: Arc::new(kinds),
        types: Arc::new(types),
    }
});

/// Optional lists that are there with nothing in them, where that tells something.
#[derive(Clone, Copy, Default)]
struct Kept {
    /// `metadata.managedFields`: it is reset
    managed: bool,
    /// `spec.rules` of an Ingress without a default backend: the error shows it
    rules: bool,
}

impl Kept {
    fn of(value: &Value) -> Self {
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        Self {
            managed: is_empty(&value["metadata"]["managedFields"]),
            rules: value["kind"] == "Ingress"
                && is_empty(&value["spec"]["rules"])
                && value["spec"]["defaultBackend"].is_null(),
        }
    }

    /// Of a custom object's text, which hardly ever says anything about managers.
    fn in_text(text: &[u8]) -> Self {
        const NAME: &[u8] = b"managedFields";
        if !text.windows(NAME.len()).any(|part| part == NAME) {
            return Self::default();
        }
        Self::of(&json::parse(text).unwrap_or_default())
    }

    fn restore(self, value: &mut Value) {
        let none = || Value::Array(Vec::new());
        if self.managed && value["metadata"].is_object() {
            value["metadata"]["managedFields"] = none();
        }
        if self.rules && value["spec"].is_object() {
            value["spec"]["rules"] = none();
        }
    }
}

impl Registry {
    /// The kinds that are built in.
    pub fn builtin() -> Self {
        BUILTIN.clone()
    }

    /// The registry after the CustomResourceDefinition `name` became `definition`, or went. Only an
    /// Established one has kinds.
    #[must_use]
    pub fn with_definition(&self, name: &str, definition: Option<&Value>) -> Self {
        let is_other = |kind: &&Arc<Kind>| kind.custom().is_none_or(|c| c.definition != name);
        let (mut kinds, old): (Vec<Arc<Kind>>, Vec<Arc<Kind>>) =
            self.kinds.iter().cloned().partition(|kind| is_other(&kind));
        let new = definition.map(|definition| custom::kinds_of(definition, &old));
        kinds.extend(new.unwrap_or_default());
        // Discovery's order: built-in groups as the table has them, then the others by name.
        let builtin = kinds.partition_point(|kind| kind.custom().is_none());
        if let Some(custom) = kinds.get_mut(builtin..) {
            custom.sort_by(|a, b| {
                let version = || custom::newest_first(&a.version, &b.version);
                let group = a.group.cmp(&b.group).then_with(version);
                group.then_with(|| a.plural.cmp(&b.plural))
            });
        }
        Self {
            index: Arc::new(Index::new(&kinds)),
            kinds: Arc::new(kinds),
            types: self.types.clone(),
        }
    }

    /// All served kinds, in the order of discovery.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.iter().filter(|kind| kind.is_served())
    }

    fn at<'a>(&'a self, places: Option<&'a Vec<usize>>) -> impl Iterator<Item = &'a Arc<Kind>> {
        let places = places.into_iter().flatten();
        places.filter_map(|at| self.kinds.get(*at))
    }

    /// The served kind behind a URL.
    pub fn by_resource(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.at(self.index.by_plural.get(plural))
            .find(|kind| kind.group == group && kind.version == version)
    }

    /// Whether any kind is served in the version of the group.
    pub fn has_version(&self, group: &str, version: &str) -> bool {
        self.kinds()
            .any(|kind| kind.group == group && kind.version == version)
    }

    /// The kind by the words in an object, kinds that are only bodies included (`Scale`,
    /// `DeleteOptions`, `Eviction`, `Binding`…). Those of `meta.k8s.io/v1` are found in every
    /// group-version that has kinds, as `v1` `DeleteOptions`.
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let same = || self.at(self.index.by_kind.get(kind));
        let exact = same().find(|known| known.group == group && known.version == version);
        exact.or_else(|| {
            let shared = same().find(|known| known.group == "meta.k8s.io")?;
            self.has_version(group, version).then_some(shared)
        })
    }

    /// The kind in which objects of a resource are stored.
    pub fn stored(&self, resource: Resource) -> Option<&Arc<Kind>> {
        let at = self.index.stored.get(&resource)?;
        self.kinds.get(*at)
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
        let (value, strict) = match (kind.structure(), kind.custom()) {
            (Some(id), _) => decode::decode(&self.types, id, body)?,
            (None, Some(custom)) => {
                let kept = Kept::in_text(body);
                let (mut value, strict) = custom::decode(&self.types, kind, custom, body)?;
                kept.restore(&mut value);
                return Ok(Decoded { value, strict });
            }
            (None, None) => return Err(DecodeError::new("the kind has no fields")),
        };
        Ok(self.finish(kind, value, strict))
    }

    /// As [`Registry::decode`], from a tree and with the words of Go's unstructured converter: for
    /// what a strategic merge patch gave.
    ///
    /// # Errors
    /// Values of the wrong type.
    pub fn restore(&self, kind: &Kind, value: Value) -> Result<Decoded, DecodeError> {
        let strict = match kind.structure() {
            Some(id) => restore::check(&self.types, id, &value)?,
            None => return self.receive(kind, value),
        };
        Ok(self.finish(kind, value, strict))
    }

    /// As [`Registry::decode`] for a custom object that is a tree already; others are only brought
    /// into normal form.
    ///
    /// # Errors
    /// Metadata that is none, of the object or of one inside it.
    pub fn receive(&self, kind: &Kind, value: Value) -> Result<Decoded, DecodeError> {
        let Some(custom) = kind.custom() else {
            return Ok(self.finish(kind, value, Vec::new()));
        };
        let kept = Kept::of(&value);
        let (mut value, strict) = custom::receive(&self.types, kind, custom, value)?;
        kept.restore(&mut value);
        Ok(Decoded { value, strict })
    }

    fn finish(&self, kind: &Kind, mut value: Value, strict: Vec<String>) -> Decoded {
        let kept = Kept::of(&value);
        if let Some(id) = kind.structure() {
            normal::decoded(&self.types, id, &mut value);
        }
        kept.restore(&mut value);
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
        if let Some(id) = kind.structure() {
            normal::structure(&self.types, id, value);
        }
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
        match kind.structure() {
            Some(id) => merge::apply(&self.types, id, original, patch),
            None => Err(PatchError {
                code: 415,
                message: "strategic merge patch is not supported for custom kinds".to_owned(),
            }),
        }
    }
}
