//! The internal form of a definition's spec, which validation speaks of: what all versions have in
//! common stands at the top, so that errors name `spec.validation` and not `spec.versions[0].schema`
//! (`Convert_v1_CustomResourceDefinitionSpec_To_apiextensions_…`).

use crate::field::path::Path;
use crate::field::read::Read;
use serde_json::Value;

/// A definition's spec with common parts moved to the top. A part that is absent reads as null.
pub(super) struct Spec<'a> {
    /// `spec` as users write it
    pub(super) raw: &'a Value,
    /// All versions in order
    pub(super) versions: Vec<Version<'a>>,
    /// The schema that all versions share
    pub(super) validation: Option<&'a Value>,
    /// The subresources that all versions share
    pub(super) subresources: Option<&'a Value>,
    /// The printer columns that all versions share
    pub(super) columns: &'a [Value],
    /// The selectable fields that all versions share
    pub(super) selectable: &'a [Value],
}

/// One version without what stands at the top.
pub(super) struct Version<'a> {
    pub(super) raw: &'a Value,
    pub(super) name: &'a str,
    pub(super) schema: Option<&'a Value>,
    pub(super) subresources: Option<&'a Value>,
    pub(super) columns: &'a [Value],
    pub(super) selectable: &'a [Value],
}

impl<'a> Version<'a> {
    fn new(raw: &'a Value) -> Self {
        Self {
            raw,
            name: raw.text("name"),
            schema: present(raw, "schema"),
            subresources: present(raw, "subresources"),
            columns: raw.items("additionalPrinterColumns"),
            selectable: raw.items("selectableFields"),
        }
    }
}

fn present<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.get(key).filter(|value| !value.is_null())
}

/// Whether all versions say the same.
fn alike<T: PartialEq>(versions: &[Version<'_>], part: impl Fn(&Version<'_>) -> T) -> bool {
    versions
        .windows(2)
        .all(|two| part(&two[0]) == part(&two[1]))
}

impl<'a> Spec<'a> {
    pub(super) fn new(spec: &'a Value) -> Self {
        let versions = spec.items("versions").iter();
        let mut versions: Vec<Version<'a>> = versions.map(Version::new).collect();
        let mut found = Self {
            raw: spec,
            versions: Vec::new(),
            validation: None,
            subresources: None,
            columns: &[],
            selectable: &[],
        };
        if let Some(first) = versions.first() {
            if alike(&versions, |version| version.subresources.cloned()) {
                found.subresources = first.subresources;
            }
            if alike(&versions, |version| version.schema.cloned()) {
                found.validation = first.schema;
            }
            if alike(&versions, |version| version.columns.to_vec()) {
                found.columns = first.columns;
            }
            if alike(&versions, |version| version.selectable.to_vec()) {
                found.selectable = first.selectable;
            }
        }
        for version in &mut versions {
            version.subresources = version
                .subresources
                .filter(|_| found.subresources.is_none());
            version.schema = version.schema.filter(|_| found.validation.is_none());
            if !found.columns.is_empty() {
                version.columns = &[];
            }
            if !found.selectable.is_empty() {
                version.selectable = &[];
            }
        }
        found.versions = versions;
        found
    }

    /// Every schema with the path that errors name it by, and the name of its version; a common
    /// schema belongs to the first one.
    pub(super) fn schemas(&self) -> Vec<Schema<'a>> {
        let mut found = Vec::new();
        let path = Path::new("spec");
        for (index, version) in self.versions.iter().enumerate() {
            if let Some(schema) = version.schema {
                found.push(Schema {
                    path: path.child("versions").index(index).child("schema"),
                    version: version.name,
                    value: schema,
                    has_status: has_status(version.subresources.or(self.subresources)),
                });
            }
        }
        if let (Some(schema), Some(first)) = (self.validation, self.versions.first()) {
            found.push(Schema {
                path: path.child("validation"),
                version: first.name,
                value: schema,
                has_status: has_status(self.subresources)
                    || self
                        .versions
                        .iter()
                        .any(|version| has_status(version.subresources)),
            });
        }
        found
    }
}

/// One `CustomResourceValidation`.
pub(super) struct Schema<'a> {
    pub(super) path: Path,
    pub(super) version: &'a str,
    pub(super) value: &'a Value,
    /// The status subresource is on
    pub(super) has_status: bool,
}

fn has_status(subresources: Option<&Value>) -> bool {
    subresources.is_some_and(|subresources| subresources.has("status"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_versions_share_stands_at_the_top() {
        let schema = |kind: &str| json!({"openAPIV3Schema": {"type": kind}});
        let one = json!({"name": "v1", "schema": schema("object"), "subresources": {"status": {}}});
        let mut two = one.clone();
        two["name"] = "v2".into();
        let spec = json!({"versions": [one, two]});
        let internal = Spec::new(&spec);
        assert!(internal.validation.is_some() && internal.versions[1].schema.is_none());
        assert_eq!(internal.schemas()[0].path.as_str(), "spec.validation");
        assert!(internal.schemas()[0].has_status);
        two["schema"] = schema("string");
        let spec = json!({"versions": [one, two]});
        let paths: Vec<String> = Spec::new(&spec)
            .schemas()
            .iter()
            .map(|s| s.path.to_string())
            .collect();
        assert_eq!(
            paths,
            ["spec.versions[0].schema", "spec.versions[1].schema"]
        );
    }
}
