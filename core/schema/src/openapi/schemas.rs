//! Schemas of structs and of the types that read themselves.

use super::kind_extension;
use crate::types::{Field, Shape, StructId, TypeId};
use crate::{Kind, Registry};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Bodies that paths speak about beside the kinds themselves.
const SHARED: [&str; 5] = [
    "meta/v1.APIResourceList",
    "meta/v1.DeleteOptions",
    "meta/v1.Status",
    "meta/v1.WatchEvent",
    "meta/v1.ObjectMeta",
];

/// Where version 3 keeps its schemas.
pub(super) const V3: &str = "#/components/schemas/";
/// Where version 2 does.
pub(super) const V2: &str = "#/definitions/";

/// Collects schemas with everything they refer to.
pub(super) struct Schemas<'a> {
    registry: &'a Registry,
    /// What stands before a name in a `$ref`
    prefix: &'static str,
    found: Map<String, Value>,
    group_versions: Vec<(String, String)>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(registry: &'a Registry, prefix: &'static str) -> Self {
        Self {
            registry,
            prefix,
            found: Map::new(),
            group_versions: Vec::new(),
        }
    }

    /// A kind, its list and the bodies of its subresources.
    pub(super) fn add_kind(&mut self, kind: &Arc<Kind>) {
        let pair = (kind.group.clone(), kind.version.clone());
        if !self.group_versions.contains(&pair) {
            self.group_versions.push(pair);
        }
        let Some(structure) = kind.structure() else {
            self.add_custom(kind);
            return;
        };
        let name = &self.registry.types.structure(structure).name;
        let list = format!("{name}List");
        self.mark(structure, &[kind_extension(kind, &kind.kind)]);
        if let Some(id) = self.registry.types.by_name.get(&list) {
            self.mark(*id, &[kind_extension(kind, &kind.list_kind)]);
        }
        for sub in &kind.subresources {
            let body = self
                .registry
                .by_kind(&sub.kind.api_version(), &sub.kind.kind);
            if let Some(body) = body
                && let Some(other) = body.structure().filter(|id| *id != structure)
            {
                self.mark(other, &[kind_extension(body, &body.kind)]);
            }
        }
    }

    /// A custom kind and its list.
    fn add_custom(&mut self, kind: &Arc<Kind>) {
        let Some(custom) = kind.custom() else { return };
        let [name, list] = [&kind.kind, &kind.list_kind].map(|name| custom_name(kind, name));
        let is_v2 = self.prefix == V2;
        let published = custom.structural().map(|schema| {
            if is_v2 {
                schema.open_api_v2()
            } else {
                schema.open_api_v3()
            }
        });
        let mut schema = published.unwrap_or_else(|| json!({"type": "object"}));
        // Where anything is allowed, more properties would make clients refuse the rest.
        if custom.structural().is_some() && (!is_v2 || schema.get("properties").is_some()) {
            self.add_type(&mut schema, "meta/v1.ObjectMeta");
        }
        schema["x-kubernetes-group-version-kind"] = json!([kind_extension(kind, &kind.kind)]);
        let reference = format!("{}{name}", self.prefix);
        let mut all = json!({
            "type": "object", "required": ["items"],
            "description": format!("{} is a list of {}", kind.list_kind, kind.kind),
            "properties": {"items": {
                "type": "array", "items": {"$ref": reference},
                "description": format!("List of {}", kind.plural),
            }},
        });
        self.add_type(&mut all, "meta/v1.ListMeta");
        all["x-kubernetes-group-version-kind"] = json!([kind_extension(kind, &kind.list_kind)]);
        self.found.insert(name, schema);
        self.found.insert(list, all);
        if kind.subresource("scale").is_some()
            && let Some(scale) = self.registry.by_kind("autoscaling/v1", "Scale")
            && let Some(id) = scale.structure()
        {
            self.mark(id, &[kind_extension(scale, "Scale")]);
        }
    }

    /// `apiVersion`, `kind` and `metadata`.
    fn add_type(&mut self, schema: &mut Value, metadata: &str) {
        let Some(id) = self.registry.types.by_name.get(metadata).copied() else {
            return;
        };
        self.add(id);
        let reference = self.reference(metadata);
        let described = |text: &str| json!({"type": "string", "description": text});
        let properties = &mut schema["properties"];
        properties["apiVersion"] = described("Version of the schema of this object");
        properties["kind"] = described("Kind of this object");
        properties["metadata"] = if self.prefix == V2 {
            reference
        } else {
            json!({"allOf": [reference]})
        };
    }

    pub(super) fn add_shared(&mut self, is_custom: bool) {
        let kinds = |schemas: &Self, name: &str| -> Vec<Value> {
            let mut all = schemas.group_versions.clone();
            if !all.iter().any(|(group, _)| group.is_empty()) {
                all.insert(0, (String::new(), "v1".to_owned()));
            }
            all.sort();
            let entry =
                |(group, version)| json!({"group": group, "version": version, "kind": name});
            all.into_iter().map(entry).collect()
        };
        for name in SHARED {
            // Documents of custom kinds alone speak of fewer.
            if is_custom && matches!(name, "meta/v1.APIResourceList" | "meta/v1.WatchEvent") {
                continue;
            }
            let Some(id) = self.registry.types.by_name.get(name).copied() else {
                continue;
            };
            let extension = match name {
                "meta/v1.DeleteOptions" => kinds(self, "DeleteOptions"),
                "meta/v1.WatchEvent" => kinds(self, "WatchEvent"),
                "meta/v1.Status" => vec![json!({"group": "", "version": "v1", "kind": "Status"})],
                "meta/v1.APIResourceList" => {
                    vec![json!({"group": "", "version": "v1", "kind": "APIResourceList"})]
                }
                _ => Vec::new(),
            };
            self.mark(id, &extension);
        }
        self.found
            .insert(openapi_name("meta/v1.Patch"), json!({"type": "object"}));
    }

    pub(super) fn finish(self) -> Value {
        Value::Object(self.found)
    }

    /// Adds a struct and says which kinds it is.
    fn mark(&mut self, id: StructId, kinds: &[Value]) {
        let name = openapi_name(&self.registry.types.structure(id).name);
        self.add(id);
        if let (Some(schema), false) = (self.found.get_mut(&name), kinds.is_empty()) {
            schema["x-kubernetes-group-version-kind"] = kinds.into();
        }
    }

    fn add(&mut self, id: StructId) {
        let registry = self.registry;
        let structure = registry.types.structure(id);
        let name = openapi_name(&structure.name);
        if self.found.contains_key(&name) {
            return;
        }
        // Types may contain themselves.
        self.found.insert(name.clone(), Value::Null);
        let mut properties = Map::new();
        for field in &structure.fields {
            properties.insert(field.name.clone(), self.field(field));
        }
        let mut schema = json!({"type": "object"});
        if !properties.is_empty() {
            schema["properties"] = Value::Object(properties);
        }
        let mut required: Vec<&Field> = structure.fields.iter().filter(|f| f.required).collect();
        required.sort_by_key(|field| field.order);
        if !required.is_empty() {
            schema["required"] = required.iter().map(|field| field.name.as_str()).collect();
        }
        if structure.atomic {
            schema["x-kubernetes-map-type"] = "atomic".into();
        }
        if let Some(discriminator) = &structure.union {
            schema["x-kubernetes-unions"] = json!([union(&structure.fields, discriminator)]);
        }
        self.found.insert(name, schema);
    }

    fn field(&mut self, field: &Field) -> Value {
        let types = &self.registry.types;
        let mut schema = self.schema(field.ty);
        let reference = schema.get("$ref").cloned();
        // Version 2 has references without siblings only in theory.
        if let Some(reference) = reference.filter(|_| self.prefix == V3 && !field.bare) {
            schema = json!({"allOf": [{"$ref": reference}]});
        }
        match (&field.default, default_of(types.shape(field.ty), field)) {
            (Some(default), _) => schema["default"] = default.clone(),
            (None, Some(default)) => schema["default"] = default,
            (None, None) => {}
        }
        if !field.list.is_empty() {
            schema["x-kubernetes-list-type"] = field.list.as_str().into();
        }
        if !field.keys.is_empty() {
            schema["x-kubernetes-list-map-keys"] = field.keys.clone().into();
        }
        let strategy = match (field.merge, field.retain_keys) {
            (true, true) => "merge,retainKeys",
            (true, false) => "merge",
            (false, true) => "retainKeys",
            (false, false) => "",
        };
        for (key, value) in [
            ("x-kubernetes-patch-strategy", strategy),
            ("x-kubernetes-patch-merge-key", &field.merge_key),
            ("x-kubernetes-map-type", &field.map),
        ] {
            if !value.is_empty() {
                schema[key] = value.into();
            }
        }
        schema
    }

    fn schema(&mut self, ty: TypeId) -> Value {
        let registry = self.registry;
        let (ty, shape) = registry.types.pointee(ty);
        match shape {
            Shape::Struct(id) => {
                self.add(id);
                self.reference(&registry.types.structure(id).name)
            }
            Shape::List(element) => json!({"type": "array", "items": self.schema(element)}),
            Shape::Map(element) => {
                json!({"type": "object", "additionalProperties": self.schema(element)})
            }
            Shape::Bool => json!({"type": "boolean"}),
            Shape::Int(bits) => json!({"type": "integer", "format": format!("int{bits}")}),
            Shape::Float => json!({"type": "number", "format": "double"}),
            Shape::Bytes => json!({"type": "string", "format": "byte"}),
            // Types that read themselves as any JSON, or as a schema or something else.
            Shape::Any | Shape::Schema(..) if registry.types.info(ty).go.starts_with("v1.JSON") => {
                let go = &registry.types.info(ty).go;
                let name = go.replacen("v1.", "apiextensions/v1.", 1);
                self.found.insert(openapi_name(&name), json!({}));
                self.reference(&name)
            }
            Shape::Any => json!({"type": "object"}),
            Shape::String => {
                let values = &registry.types.info(ty).values;
                let mut schema = json!({"type": "string"});
                if !values.is_empty() {
                    schema["enum"] = values.clone().into();
                }
                schema
            }
            _ => self.opaque(shape),
        }
    }

    fn reference(&self, name: &str) -> Value {
        json!({"$ref": format!("{}{}", self.prefix, openapi_name(name))})
    }

    /// A type that reads itself.
    fn opaque(&mut self, shape: Shape) -> Value {
        let is_v2 = self.prefix == V2;
        let (name, schema) = match shape {
            Shape::Time => (
                "meta/v1.Time",
                json!({"type": "string", "format": "date-time"}),
            ),
            Shape::MicroTime => (
                "meta/v1.MicroTime",
                json!({"type": "string", "format": "date-time"}),
            ),
            Shape::Duration => ("meta/v1.Duration", json!({"type": "string"})),
            Shape::Fields => ("meta/v1.FieldsV1", json!({"type": "object"})),
            Shape::Raw => ("runtime.RawExtension", json!({"type": "object"})),
            Shape::Quantity if is_v2 => ("resource.Quantity", json!({"type": "string"})),
            Shape::Quantity => (
                "resource.Quantity",
                json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            ),
            _ if is_v2 => (
                "intstr.IntOrString",
                json!({"type": "string", "format": "int-or-string"}),
            ),
            _ => (
                "intstr.IntOrString",
                json!({
                    "format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}],
                }),
            ),
        };
        self.found.insert(openapi_name(name), schema);
        self.reference(name)
    }
}

/// The zero value that OpenAPI tells for fields that are always there.
fn default_of(shape: Shape, field: &Field) -> Option<Value> {
    match shape {
        Shape::Struct(_) => Some(json!({})),
        Shape::Bool if !field.omitempty => Some(false.into()),
        Shape::Int(_) | Shape::Float if !field.omitempty => Some(0.into()),
        Shape::String if !field.omitempty => Some("".into()),
        _ => None,
    }
}

fn union(fields: &[Field], discriminator: &str) -> Value {
    let members = fields.iter().filter(|field| field.name != discriminator);
    let members: Map<String, Value> = members
        .map(|field| {
            let mut go = field.name.clone();
            if let Some(first) = go.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            (field.name.clone(), go.into())
        })
        .collect();
    let mut union = json!({"fields-to-discriminateBy": members});
    if !discriminator.is_empty() {
        union["discriminator"] = discriminator.into();
    }
    union
}

/// `com.example.v1.Widget`
pub(super) fn custom_name(kind: &Kind, name: &str) -> String {
    let mut parts: Vec<&str> = kind.group.split('.').collect();
    parts.reverse();
    format!("{}.{}.{name}", parts.join("."), kind.version)
}

/// `core/v1.Service` → `io.k8s.api.core.v1.Service`
pub(super) fn openapi_name(name: &str) -> String {
    let (package, local) = name.rsplit_once('.').unwrap_or(("", name));
    let path = match package {
        "meta/v1" => "io.k8s.apimachinery.pkg.apis.meta.v1".to_owned(),
        "resource" => "io.k8s.apimachinery.pkg.api.resource".to_owned(),
        "intstr" => "io.k8s.apimachinery.pkg.util.intstr".to_owned(),
        "apiextensions/v1" => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1".to_owned(),
        "runtime" => "io.k8s.apimachinery.pkg.runtime".to_owned(),
        other => format!("io.k8s.api.{}", other.replace('/', ".")),
    };
    format!("{path}.{local}")
}
