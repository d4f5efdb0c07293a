//! Kinds that CustomResourceDefinitions make.
//!
//! A definition is read once per change of it; its schemas, columns and paths are compiled when the
//! first object asks for them, and shared by all who hold the kind.

mod decode;
mod definition;
pub mod jsonpath;
mod scale;
mod version_order;

pub(crate) use decode::{decode, receive};
pub(crate) use definition::kinds_of;
pub use scale::ScalePaths;
pub(crate) use version_order::newest_first;

use crate::structural::Structural;
use crate::{DecodeError, Kind, typed};
use jsonpath::JsonPath;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// What one version of a CustomResourceDefinition says about its objects.
#[derive(Debug)]
pub struct Custom {
    /// Name of the CustomResourceDefinition
    pub definition: String,
    /// The version in which objects are stored
    pub storage_version: String,
    /// `spec.preserveUnknownFields`
    pub preserve_unknown_fields: bool,
    /// Text of a `Warning` header for requests in this version
    pub deprecation: Option<String>,
    /// No objects are created any more
    pub terminating: bool,
    /// Place of this version among those of the family
    at: usize,
    family: Arc<Family>,
    columns: OnceLock<Vec<Column>>,
    selectable: OnceLock<Vec<Selectable>>,
    ownership: OnceLock<typed::Schema>,
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.definition == other.definition
            && self.at == other.at
            && self.terminating == other.terminating
            && self.family.spec == other.family.spec
    }
}

impl Eq for Custom {}

/// All versions of a definition.
#[derive(Debug)]
pub(crate) struct Family {
    /// `spec` as it is stored
    spec: Value,
    /// Version of the store at which the spec became what it is, or a later one
    since: u64,
    mark: OnceLock<u64>,
    schemas: Vec<OnceLock<Option<Structural>>>,
}

/// A printer column.
#[derive(Debug)]
pub struct Column {
    /// Heading
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`
    pub kind: String,
    /// Format of the type
    pub format: String,
    /// For the reader
    pub description: String,
    /// 0 is always shown
    pub priority: i64,
    /// Where the value is
    pub path: JsonPath,
}

/// A field that field selectors may use.
#[derive(Debug)]
pub struct Selectable {
    /// As selectors name it: `spec.color`
    pub name: String,
    /// Where the value is
    pub path: JsonPath,
}

impl Family {
    fn new(spec: &Value, since: u64) -> Self {
        let count = spec["versions"].as_array().map_or(0, Vec::len);
        Self {
            spec: spec.clone(),
            since,
            mark: OnceLock::new(),
            schemas: std::iter::repeat_with(OnceLock::new).take(count).collect(),
        }
    }

    /// FNV-1a over the spec.
    fn mark(&self) -> u64 {
        *self.mark.get_or_init(|| {
            let text = self.spec.to_string();
            text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            })
        })
    }

    fn version(&self, at: usize) -> &Value {
        &self.spec["versions"][at]
    }

    fn named(&self, name: &str) -> Option<usize> {
        let versions = self.spec["versions"].as_array()?;
        versions.iter().position(|version| version["name"] == name)
    }

    fn structural(&self, at: usize) -> Option<&Structural> {
        let schema = || {
            let schema = self.version(at)["schema"].get("openAPIV3Schema")?;
            Structural::parse(schema).ok()
        };
        self.schemas.get(at)?.get_or_init(schema).as_ref()
    }
}

impl Custom {
    /// `spec.versions[i]` as it is stored.
    pub fn version(&self) -> &Value {
        self.family.version(self.at)
    }

    /// `schema.openAPIV3Schema` of the version; null when there is none.
    pub fn schema(&self) -> &Value {
        &self.version()["schema"]["openAPIV3Schema"]
    }

    /// The compiled schema of the version; `None` when there is none that can be used.
    pub fn structural(&self) -> Option<&Structural> {
        self.family.structural(self.at)
    }

    /// What the schema says about who owns which fields.
    pub(crate) fn ownership(&self) -> &typed::Schema {
        let read = || typed::Schema::new(self.schema(), self.preserve_unknown_fields);
        self.ownership.get_or_init(read)
    }

    /// Whether both are of one definition with one spec.
    pub fn has_same_spec(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.family, &other.family)
    }

    /// Another number for another spec, to tell documents apart that are made of it.
    pub fn mark(&self) -> u64 {
        self.family.mark()
    }

    /// Whether `subresources.status` is there.
    pub fn has_status(&self) -> bool {
        self.version()["subresources"]["status"].is_object()
    }

    /// The paths of `subresources.scale`.
    pub fn scale(&self) -> Option<ScalePaths<'_>> {
        ScalePaths::new(&self.version()["subresources"]["scale"])
    }

    /// `apiVersion` of stored objects of a kind in `group`.
    pub fn stored_api_version(&self, group: &str) -> String {
        format!("{group}/{}", self.storage_version)
    }

    /// `additionalPrinterColumns`, or the age when there are none; nothing at all when one of them
    /// cannot be read.
    pub fn columns(&self) -> &[Column] {
        self.columns.get_or_init(|| {
            let listed = self.version()["additionalPrinterColumns"].as_array();
            match listed.filter(|listed| !listed.is_empty()) {
                Some(listed) => listed.iter().map_while(column).collect(),
                None => age_column().into_iter().collect(),
            }
        })
    }

    /// `selectableFields`
    pub fn selectable(&self) -> &[Selectable] {
        self.selectable.get_or_init(|| {
            let listed = self.version()["selectableFields"].as_array();
            let paths = listed.into_iter().flatten();
            let paths = paths.filter_map(|field| field["jsonPath"].as_str());
            paths
                .filter_map(|path| {
                    Some(Selectable {
                        name: path.trim_start_matches('.').to_owned(),
                        path: JsonPath::parse(path).ok()?,
                    })
                })
                .collect()
        })
    }

    /// Whether objects written at this version of the store have the form of the present schema.
    pub fn is_current(&self, resource_version: u64) -> bool {
        self.version()["name"] == *self.storage_version && resource_version > self.family.since
    }

    /// What decoding does to an object, whose `metadata` is not in there, by the schema of the
    /// version that it names. Answers the paths of unknown fields.
    pub(crate) fn receive(
        &self,
        kind: &Kind,
        object: &mut Value,
    ) -> Result<Vec<String>, DecodeError> {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        if group != kind.group {
            return Ok(Vec::new());
        }
        let schema = self.family.named(version);
        let schema = schema.and_then(|at| self.family.structural(at));
        match schema {
            Some(schema) => {
                let found = schema.receive(object);
                found.map_err(|error| DecodeError::new(error.to_string()))
            }
            None if self.preserve_unknown_fields => Ok(Vec::new()),
            None => Ok(drop_all(object)),
        }
    }

    /// Rewrites a stored object as one of `to`, which is this version: by the schema in which it was
    /// stored, then by that of this version.
    pub(crate) fn read(&self, to: &Kind, object: &mut Value) {
        let stored = object["apiVersion"].as_str().unwrap_or_default();
        let stored = stored.rsplit('/').next().unwrap_or_default();
        let at = self.family.named(stored);
        if let Some(schema) = at.and_then(|at| self.family.structural(at)) {
            self.restore(schema, object, true);
        }
        if at != Some(self.at) {
            self.convert(to, object);
        }
    }

    /// Brings an object of any version into the form in which it is stored, as one of `to`, which is
    /// this version. Defaults are filled in already here, so that what is stored can be shown as it
    /// is.
    pub(crate) fn store(&self, to: &Kind, object: &mut Value) {
        self.read(to, object);
        if let Some(schema) = self.structural() {
            self.restore(schema, object, true);
        }
    }

    /// Rewrites an object of another version as one of `to`, which is this version. Nothing but
    /// `apiVersion` changes, as conversion `None` has it, and fields that this version does not know
    /// are dropped.
    pub(crate) fn convert(&self, to: &Kind, object: &mut Value) {
        if let Some(map) = object.as_object_mut() {
            map.insert("apiVersion".to_owned(), to.api_version().into());
        }
        if let Some(schema) = self.structural() {
            self.restore(schema, object, false);
        }
    }

    fn restore(&self, schema: &Structural, object: &mut Value, defaults: bool) {
        let Some(metadata) = object.as_object_mut().map(|map| map.remove("metadata")) else {
            return;
        };
        if !self.preserve_unknown_fields {
            schema.prune(object);
        }
        if defaults {
            schema.apply_defaults(object);
        }
        if let (Some(metadata), Some(map)) = (metadata, object.as_object_mut()) {
            map.insert("metadata".to_owned(), metadata);
        }
    }
}

/// Without a schema nothing is specified.
fn drop_all(object: &mut Value) -> Vec<String> {
    let Some(map) = object.as_object_mut() else {
        return Vec::new();
    };
    let known = |key: &String| matches!(key.as_str(), "apiVersion" | "kind");
    let dropped = map.keys().filter(|key| !known(key)).cloned().collect();
    map.retain(|key, _| known(key));
    dropped
}

fn column(column: &Value) -> Option<Column> {
    let text = |key: &str| column[key].as_str().unwrap_or_default().to_owned();
    let path = text("jsonPath");
    let described = text("description");
    Some(Column {
        name: text("name"),
        kind: text("type"),
        format: text("format"),
        description: if described.is_empty() {
            format!("Custom resource definition column (in JSONPath format): {path}")
        } else {
            described
        },
        priority: column["priority"].as_i64().unwrap_or(0),
        path: JsonPath::parse(&path).ok()?,
    })
}

fn age_column() -> Option<Column> {
    Some(Column {
        name: "Age".to_owned(),
        kind: "date".to_owned(),
        format: String::new(),
        description: "Time since the object was created".to_owned(),
        priority: 0,
        path: JsonPath::parse(".metadata.creationTimestamp").ok()?,
    })
}

#[cfg(test)]
mod tests;
