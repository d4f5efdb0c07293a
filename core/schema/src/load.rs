//! Reads the committed tables: `data/types.txt` (generated) and `data/kinds.txt` (by hand).
//!
//! Both are part of the program; what is wrong in them shows in this crate's tests, so that loading
//! skips rather than fails.

use crate::kind::Body;
use crate::types::{Field, SchemaOr, Shape, StructInfo, TypeId, TypeInfo, Types};
use crate::{GroupVersionKind, Kind, Subresource};
use model::Resource;
use std::collections::BTreeMap;
use std::sync::Arc;

const ALL_VERBS: &str = "create,delete,deletecollection,get,list,patch,update,watch";

/// Reads the types; returns them with the lines that make no sense.
pub(crate) fn types(text: &str) -> (Types, Vec<String>) {
    let mut loader = Loader::default();
    let mut current = None;
    for line in text.lines() {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let first = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        match (first, words.as_slice()) {
            ("" | "#", _) => {}
            ("type", [name, expression, options @ ..]) if !line.starts_with(' ') => {
                loader
                    .named
                    .insert((*name).to_owned(), named(expression, options));
            }
            ("struct", [name, options @ ..]) if !line.starts_with(' ') => {
                current = Some(loader.add_struct(name, options))
            }
            (field, [expression, options @ ..]) if line.starts_with(' ') => {
                loader.lines.push((
                    current.unwrap_or_default(),
                    field,
                    expression,
                    options.to_vec(),
                ));
            }
            _ => loader.strange.push(line.to_owned()),
        }
    }
    loader.finish()
}

/// A named type that is no struct: expression and allowed values.
type Named = (String, Vec<String>);

fn named(expression: &str, options: &[&str]) -> Named {
    let values = options
        .iter()
        .find_map(|option| option.strip_prefix("enum="));
    // An empty value is part of a few enumerations.
    let values = values.map(|list| list.split(',').map(str::to_owned).collect());
    (expression.to_owned(), values.unwrap_or_default())
}

/// Struct, JSON name, type expression and options of a field.
type FieldLine<'a> = (usize, &'a str, &'a str, Vec<&'a str>);

#[derive(Default)]
struct Loader<'a> {
    types: Types,
    named: BTreeMap<String, Named>,
    ids: BTreeMap<String, TypeId>,
    /// Fields whose types are looked up once all names are known
    lines: Vec<FieldLine<'a>>,
    strange: Vec<String>,
}

impl Loader<'_> {
    fn add_struct(&mut self, name: &str, options: &[&str]) -> usize {
        let union = options
            .iter()
            .find_map(|option| option.strip_prefix("union"));
        self.types.structs.push(StructInfo {
            name: name.to_owned(),
            fields: Vec::new(),
            atomic: options.contains(&"atomic"),
            union: union.map(|rest| rest.trim_start_matches('=').to_owned()),
        });
        let id = self.types.structs.len() - 1;
        self.types.by_name.insert(name.to_owned(), id);
        id
    }

    fn finish(mut self) -> (Types, Vec<String>) {
        for (owner, name, expression, options) in std::mem::take(&mut self.lines) {
            let mut field = field(name, &options);
            field.ty = self.type_id(expression);
            if let Some(structure) = self.types.structs.get_mut(owner) {
                field.order = structure.fields.len();
                structure.fields.push(field);
            }
        }
        for structure in &mut self.types.structs {
            structure.fields.sort_by(|a, b| a.name.cmp(&b.name));
        }
        (self.types, self.strange)
    }

    /// The type behind an expression such as `[]core/v1.ServicePort`; each gets one number.
    fn type_id(&mut self, expression: &str) -> TypeId {
        if let Some(id) = self.ids.get(expression) {
            return *id;
        }
        let (shape, values) = self.shape(expression);
        self.types.infos.push(TypeInfo {
            shape,
            go: go_name(expression),
            values,
        });
        let id = self.types.infos.len() - 1;
        self.ids.insert(expression.to_owned(), id);
        id
    }

    fn shape(&mut self, expression: &str) -> (Shape, Vec<String>) {
        if let Some(shape) = leaf(expression) {
            return (shape, Vec::new());
        }
        if let Some(shape) = self.schema_or(expression) {
            return (shape, Vec::new());
        }
        if let Some(inner) = expression.strip_prefix('*') {
            return (Shape::Pointer(self.type_id(inner)), Vec::new());
        }
        if let Some(inner) = expression.strip_prefix("[]") {
            return (Shape::List(self.type_id(inner)), Vec::new());
        }
        if let Some((_, value)) = expression
            .strip_prefix("map[")
            .and_then(|m| m.split_once(']'))
        {
            return (Shape::Map(self.type_id(value)), Vec::new());
        }
        if let Some(id) = self.types.by_name.get(expression) {
            return (Shape::Struct(*id), Vec::new());
        }
        if let Some((inner, values)) = self.named.get(expression).cloned() {
            return (self.shape(&inner).0, values);
        }
        self.strange.push(expression.to_owned());
        (Shape::Any, Vec::new())
    }
}

impl Loader<'_> {
    /// Types that read a JSON schema or something else.
    fn schema_or(&self, expression: &str) -> Option<Shape> {
        const PROPS: &str = "apiextensions/v1.JSONSchemaProps";
        let other = match expression.strip_prefix(PROPS)? {
            "OrArray" => SchemaOr::Schemas,
            "OrBool" => SchemaOr::Bool,
            "OrStringArray" => SchemaOr::Texts,
            _ => return None,
        };
        let props = self.types.by_name.get(PROPS)?;
        Some(Shape::Schema(other, *props))
    }
}

fn leaf(expression: &str) -> Option<Shape> {
    Some(match expression {
        "bool" => Shape::Bool,
        "string" => Shape::String,
        "int32" => Shape::Int(32),
        "int64" | "int" => Shape::Int(64),
        "float64" => Shape::Float,
        "[]byte" => Shape::Bytes,
        "any" => Shape::Any,
        "meta/v1.Time" => Shape::Time,
        "meta/v1.MicroTime" => Shape::MicroTime,
        "meta/v1.Duration" => Shape::Duration,
        "meta/v1.FieldsV1" => Shape::Fields,
        "resource.Quantity" => Shape::Quantity,
        "intstr.IntOrString" => Shape::IntOrString,
        "runtime.RawExtension" => Shape::Raw,
        "apiextensions/v1.JSON" => Shape::Any,
        _ => return None,
    })
}

/// Go's way to print a type: only the last part of the package path stands before the name.
fn go_name(expression: &str) -> String {
    for prefix in ["*", "[]"] {
        if let Some(inner) = expression.strip_prefix(prefix) {
            let inner = if inner == "byte" { "uint8" } else { inner };
            return format!("{prefix}{}", go_name(inner));
        }
    }
    if let Some((key, value)) = expression
        .strip_prefix("map[")
        .and_then(|m| m.split_once(']'))
    {
        return format!("map[{}]{}", go_name(key), go_name(value));
    }
    match expression {
        "any" => "interface {}".to_owned(),
        _ => expression
            .rsplit('/')
            .next()
            .unwrap_or(expression)
            .to_owned(),
    }
}

fn field(name: &str, options: &[&str]) -> Field {
    let mut field = Field {
        name: name.to_owned(),
        ..Field::default()
    };
    for option in options {
        let (word, value) = option.split_once('=').unwrap_or((option, ""));
        match word {
            "omitempty" => field.omitempty = true,
            "omitzero" => field.omitzero = true,
            "required" => field.required = true,
            "bare" => field.bare = true,
            "patch" => {
                field.merge = value.split(',').any(|part| part == "merge");
                field.retain_keys = value.split(',').any(|part| part == "retainKeys");
            }
            "pb" => field.wire = value.split('/').filter_map(|n| n.parse().ok()).collect(),
            "merge-key" => field.merge_key = value.to_owned(),
            "list" => field.list = value.to_owned(),
            "keys" => field.keys = value.split(',').map(str::to_owned).collect(),
            "map" => field.map = value.to_owned(),
            "default" => field.default = serde_json::from_str(value).ok(),
            _ => {}
        }
    }
    field
}

/// Reads the table of kinds; returns them with the lines that make no sense.
pub(crate) fn kinds(text: &str, types: &Types) -> (Vec<Arc<Kind>>, Vec<String>) {
    let mut kinds: Vec<Kind> = Vec::new();
    let mut strange = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let words: Vec<&str> = line
            .split_whitespace()
            .map(|w| if w == "-" { "" } else { w })
            .collect();
        let known = match words.as_slice() {
            ["kind", group, version, kind, package] => {
                let made = body_kind(types, [group, version, kind, package]);
                made.map(|kind| kinds.push(kind))
            }
            ["serve", group, version, kind, package, rest @ ..] => {
                let made = body_kind(types, [group, version, kind, package]);
                made.and_then(|made| serve(made, rest))
                    .map(|kind| kinds.push(kind))
            }
            ["sub", rest @ ..] => subresource(rest).and_then(|sub| {
                kinds.last_mut()?.subresources.push(sub);
                Some(())
            }),
            _ => None,
        };
        if known.is_none() {
            strange.push(line.to_owned());
        }
    }
    (kinds.into_iter().map(Arc::new).collect(), strange)
}

fn body_kind(types: &Types, [group, version, kind, package]: [&&str; 4]) -> Option<Kind> {
    Some(Kind {
        group: (*group).to_owned(),
        version: (*version).to_owned(),
        kind: (*kind).to_owned(),
        list_kind: format!("{kind}List"),
        plural: String::new(),
        singular: String::new(),
        resource: Resource::new(group, &kind.to_lowercase()),
        namespaced: false,
        short_names: Vec::new(),
        categories: Vec::new(),
        verbs: Vec::new(),
        subresources: Vec::new(),
        internal_package: internal_package(package).to_owned(),
        body: Body::Struct(*types.by_name.get(&format!("{package}.{kind}"))?),
    })
}

fn serve(mut kind: Kind, columns: &[&str]) -> Option<Kind> {
    let [plural, singular, scope, stored, short, categories, verbs] = columns else {
        return None;
    };
    let (stored, group) = stored.split_once('.').unwrap_or((stored, ""));
    kind.plural = (*plural).to_owned();
    kind.singular = (*singular).to_owned();
    kind.resource = Resource::new(group, stored);
    kind.namespaced = *scope == "namespaced";
    kind.short_names = list(short);
    kind.categories = list(categories);
    kind.verbs = list(if *verbs == "all" { ALL_VERBS } else { verbs });
    Some(kind)
}

fn subresource(columns: &[&str]) -> Option<Subresource> {
    let [name, group, version, kind, verbs] = columns else {
        return None;
    };
    Some(Subresource {
        name: (*name).to_owned(),
        kind: GroupVersionKind {
            group: (*group).to_owned(),
            version: (*version).to_owned(),
            kind: (*kind).to_owned(),
        },
        verbs: list(verbs),
    })
}

fn list(words: &str) -> Vec<String> {
    words
        .split(',')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Go's package of the internal type; Events of both groups share one.
fn internal_package(package: &str) -> &str {
    match package {
        "events/v1" => "core",
        _ => package.split('/').next().unwrap_or(package),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_understood() {
        let (types, strange) = types(include_str!("../data/types.txt"));
        assert_eq!(strange, Vec::<String>::new());
        let (kinds, strange) = kinds(include_str!("../data/kinds.txt"), &types);
        assert_eq!(strange, Vec::<String>::new());
        assert!(
            kinds.len() > 30 && types.structs.len() > 250,
            "{}",
            types.structs.len()
        );
        let port = types.structure(types.by_name["core/v1.ServiceSpec"]);
        let ports = port.field("ports").expect("ports");
        assert_eq!((ports.merge, ports.merge_key.as_str()), (true, "port"));
        assert_eq!(types.info(ports.ty).go, "[]v1.ServicePort");
    }
}
