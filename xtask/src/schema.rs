//! `cargo xtask schema`: writes `core/schema/data/types.txt` from the sources of `k8s.io/api` and
//! `k8s.io/apimachinery`: facts about types and fields, no prose.

mod golang;

use crate::root;
use anyhow::{Context, Result, bail};
use golang::{Body, FieldDecl, TypeDecl};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Types that read and write themselves; the registry knows them by name.
const OPAQUE: &[&str] = &[
    "apiextensions/v1.JSON",
    "apiextensions/v1.JSONSchemaPropsOrArray",
    "apiextensions/v1.JSONSchemaPropsOrBool",
    "apiextensions/v1.JSONSchemaPropsOrStringArray",
    "intstr.IntOrString",
    "meta/v1.Duration",
    "meta/v1.FieldsV1",
    "meta/v1.MicroTime",
    "meta/v1.Time",
    "resource.Quantity",
    "runtime.RawExtension",
];

const PRIMITIVES: &[&str] = &[
    "bool", "string", "int32", "int64", "uint8", "byte", "float64", "int",
];

/// Reads the modules in `api` and `apimachinery` (by default its neighbour of the same version) and
/// rewrites the data file.
pub(crate) fn run(api: &Path, apimachinery: Option<&Path>) -> Result<()> {
    let machinery = match apimachinery {
        Some(path) => path.to_owned(),
        None => neighbour(api, "apimachinery")?,
    };
    let data = root().join("core/schema/data");
    let kinds = std::fs::read_to_string(data.join("kinds.txt"))?;
    let mut sources = Sources {
        api: api.to_owned(),
        machinery,
        extensions: neighbour(api, "apiextensions-apiserver")?,
        packages: BTreeMap::new(),
    };
    let mut text = format!(
        "# Written by `cargo xtask schema` from {}, {} and {}. Do not edit.\n",
        module_name(&sources.api, "k8s.io/api"),
        module_name(&sources.machinery, "k8s.io/apimachinery"),
        module_name(&sources.extensions, "k8s.io/apiextensions-apiserver"),
    );
    for (name, declaration) in reachable(&mut sources, roots(&kinds))? {
        write_type(&mut text, &mut sources, &name, &declaration)?;
    }
    let path = data.join("types.txt");
    std::fs::write(&path, text)?;
    println!("wrote {}", path.display());
    Ok(())
}

/// `…/k8s.io/api@v0.36.2` → `…/k8s.io/apimachinery@v0.36.2`.
fn neighbour(api: &Path, module: &str) -> Result<PathBuf> {
    let name = api
        .file_name()
        .and_then(|name| name.to_str())
        .context("no folder name")?;
    Ok(api.with_file_name(name.replacen("api", module, 1)))
}

fn module_name(dir: &Path, module: &str) -> String {
    let name = dir
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    match name.split_once('@') {
        Some((_, version)) => format!("{module} {version}"),
        None => module.to_owned(),
    }
}

/// The structs that the table of kinds names, as `package.Name`, lists included.
fn roots(kinds: &str) -> Vec<String> {
    let mut roots = Vec::new();
    for line in kinds.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["kind", _, _, kind, package, ..] => roots.push(format!("{package}.{kind}")),
            ["serve", _, _, kind, package, .., verbs] => {
                roots.push(format!("{package}.{kind}"));
                // Reviews and bindings are created and never listed.
                if *verbs != "create" {
                    roots.push(format!("{package}.{kind}List"));
                }
            }
            _ => {}
        }
    }
    roots
}

struct Sources {
    api: PathBuf,
    machinery: PathBuf,
    extensions: PathBuf,
    packages: BTreeMap<String, Package>,
}

#[derive(Default)]
struct Package {
    types: BTreeMap<String, (TypeDecl, BTreeMap<String, String>)>,
    constants: Vec<(String, String, String)>,
}

impl Sources {
    /// The package by its short name, e.g. `core/v1`; read when first asked for.
    fn package(&mut self, name: &str) -> Result<&Package> {
        if !self.packages.contains_key(name) {
            let dir = match name {
                "meta/v1" => self.machinery.join("pkg/apis/meta/v1"),
                "apiextensions/v1" => self.extensions.join("pkg/apis/apiextensions/v1"),
                "types" => self.machinery.join("pkg/types"),
                _ => self.api.join(name),
            };
            self.packages.insert(name.to_owned(), read_package(&dir)?);
        }
        self.packages.get(name).context("package was just read")
    }

    fn find(&mut self, name: &str) -> Result<(TypeDecl, BTreeMap<String, String>)> {
        let (package, local) = name.rsplit_once('.').context("name without package")?;
        let found = self.package(package)?.types.get(local);
        found
            .cloned()
            .with_context(|| format!("there is no type {name}"))
    }
}

fn read_package(dir: &Path) -> Result<Package> {
    let mut package = Package::default();
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    files.sort();
    for path in files {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if !name.ends_with(".go") || name.ends_with("_test.go") || name.contains("generated") {
            continue;
        }
        let file = golang::parse(&std::fs::read_to_string(&path)?);
        package.constants.extend(file.constants);
        for declaration in file.types {
            let name = declaration.name.clone();
            package
                .types
                .insert(name, (declaration, file.imports.clone()));
        }
    }
    Ok(package)
}

/// Everything reachable from `roots`, by full name.
fn reachable(sources: &mut Sources, roots: Vec<String>) -> Result<BTreeMap<String, TypeDecl>> {
    let mut found = BTreeMap::new();
    let mut open = roots;
    while let Some(name) = open.pop() {
        if found.contains_key(&name) || OPAQUE.contains(&name.as_str()) {
            continue;
        }
        let (declaration, imports) = sources.find(&name)?;
        let package = name.rsplit_once('.').map_or("", |(package, _)| package);
        let qualified = qualify(declaration, package, &imports);
        match &qualified.body {
            Body::Named(expression) => open.extend(names_in(expression)),
            Body::Struct(fields) => {
                for field in fields {
                    open.extend(names_in(&field.expression));
                }
            }
        }
        found.insert(name, qualified);
    }
    Ok(found)
}

/// Rewrites the types in a declaration from import aliases to short package names.
fn qualify(
    mut declaration: TypeDecl,
    package: &str,
    imports: &BTreeMap<String, String>,
) -> TypeDecl {
    match &mut declaration.body {
        Body::Named(expression) => *expression = qualify_type(expression, package, imports),
        Body::Struct(fields) => {
            for field in fields {
                field.expression = qualify_type(&field.expression, package, imports);
            }
        }
    }
    declaration
}

fn qualify_type(expression: &str, package: &str, imports: &BTreeMap<String, String>) -> String {
    for prefix in ["*", "[]"] {
        if let Some(rest) = expression.strip_prefix(prefix) {
            return format!("{prefix}{}", qualify_type(rest, package, imports));
        }
    }
    if let Some((key, value)) = expression
        .strip_prefix("map[")
        .and_then(|m| m.split_once(']'))
    {
        let key = qualify_type(key, package, imports);
        return format!("map[{key}]{}", qualify_type(value, package, imports));
    }
    if PRIMITIVES.contains(&expression) {
        return expression.to_owned();
    }
    if expression == "interface{}" {
        return "any".to_owned();
    }
    match expression.split_once('.') {
        None => format!("{package}.{expression}"),
        Some((alias, name)) => {
            let path = imports.get(alias).map_or(alias, String::as_str);
            format!("{}.{name}", short_package(path))
        }
    }
}

fn short_package(path: &str) -> &str {
    if let Some(short) = path.strip_prefix("k8s.io/api/") {
        return short;
    }
    if path.ends_with("/meta/v1") {
        return "meta/v1";
    }
    path.rsplit('/').next().unwrap_or(path)
}

/// The named types in an expression.
fn names_in(expression: &str) -> Vec<String> {
    let parts = expression.split(['[', ']', '*']);
    let named = parts.filter(|part| part.contains('.'));
    named.map(str::to_owned).collect()
}

fn write_type(
    text: &mut String,
    sources: &mut Sources,
    name: &str,
    declaration: &TypeDecl,
) -> Result<()> {
    match &declaration.body {
        Body::Named(expression) => {
            write!(text, "\ntype {name} {expression}")?;
            if declaration.markers.iter().any(|marker| marker == "enum") {
                let values = enum_values(sources, name)?;
                write!(text, " enum={}", values.join(","))?;
            }
            text.push('\n');
        }
        Body::Struct(_) => {
            write!(text, "\nstruct {name}")?;
            let atomic = marker(&declaration.markers, "structType") == Some("atomic");
            text.push_str(if atomic { " atomic" } else { "" });
            let fields = flatten(sources, declaration)?;
            write!(text, "{}", union_of(declaration, &fields))?;
            text.push('\n');
            for field in &fields {
                write_field(text, sources, name, field)?;
            }
        }
    }
    Ok(())
}

/// `union=DISCRIMINATOR` or `union` of a struct that is marked as one.
fn union_of(declaration: &TypeDecl, fields: &[FieldDecl]) -> String {
    if !declaration.markers.iter().any(|marker| marker == "union") {
        return String::new();
    }
    let marked = |field: &&FieldDecl| field.markers.iter().any(|m| m == "unionDiscriminator");
    match fields.iter().find(marked) {
        Some(field) => format!(" union={}", json_name(field)),
        None => " union".to_owned(),
    }
}

/// The struct's own fields and those of its inlined ones, in Go's order.
fn flatten(sources: &mut Sources, declaration: &TypeDecl) -> Result<Vec<FieldDecl>> {
    let Body::Struct(fields) = &declaration.body else {
        bail!("{} is no struct", declaration.name);
    };
    let mut flat = Vec::new();
    for field in fields {
        let json = field.tags.get("json").map_or("", String::as_str);
        if json == "-" {
            continue;
        }
        if field.embedded && json.split(',').next().unwrap_or_default().is_empty() {
            let name = field.expression.trim_start_matches('*');
            let (inner, imports) = sources.find(name)?;
            let package = name.rsplit_once('.').map_or("", |(package, _)| package);
            let inner = qualify(inner, package, &imports);
            let outer = wire_number(field);
            for mut inner in flatten(sources, &inner)? {
                // In protobuf an inlined struct is a message of its own, except TypeMeta.
                let path = match (outer.as_str(), wire_number(&inner).as_str()) {
                    ("", _) | (_, "") => String::new(),
                    (outer, inner) => format!("{outer}/{inner}"),
                };
                inner.tags.insert("protobuf".to_owned(), format!(",{path}"));
                flat.push(inner);
            }
        } else {
            flat.push(field.clone());
        }
    }
    Ok(flat)
}

/// Number in the protobuf message, or numbers from the outermost one in; empty when it has none.
fn wire_number(field: &FieldDecl) -> String {
    let tag = field.tags.get("protobuf").map_or("", String::as_str);
    tag.split(',').nth(1).unwrap_or_default().to_owned()
}

fn json_name(field: &FieldDecl) -> &str {
    let json = field.tags.get("json").map_or("", String::as_str);
    match json.split(',').next() {
        Some(name) if !name.is_empty() => name,
        _ => &field.name,
    }
}

fn write_field(
    text: &mut String,
    sources: &mut Sources,
    owner: &str,
    field: &FieldDecl,
) -> Result<()> {
    write!(text, "  {} {}", json_name(field), field.expression)?;
    let json = field.tags.get("json").map_or("", String::as_str);
    let options: BTreeSet<&str> = json.split(',').skip(1).collect();
    for option in ["omitempty", "omitzero"] {
        if options.contains(option) {
            write!(text, " {option}")?;
        }
    }
    // OpenAPI refers to the type in another way then.
    if !field.documented && field.expression.starts_with('*') {
        text.push_str(" bare");
    }
    if is_required(field, &options) {
        text.push_str(" required");
    }
    let number = wire_number(field);
    if !number.is_empty() {
        write!(text, " pb={number}")?;
    }
    for (tag, word) in [("patchStrategy", "patch"), ("patchMergeKey", "merge-key")] {
        if let Some(value) = field.tags.get(tag) {
            write!(text, " {word}={value}")?;
        }
    }
    for (name, word) in [
        ("listType", "list"),
        ("mapType", "map"),
        ("structType", "map"),
    ] {
        if let Some(value) = marker(&field.markers, name) {
            write!(text, " {word}={value}")?;
        }
    }
    let keys = field
        .markers
        .iter()
        .filter_map(|m| m.strip_prefix("listMapKey="));
    let keys: Vec<&str> = keys.collect();
    if !keys.is_empty() {
        write!(text, " keys={}", keys.join(","))?;
    }
    if let Some(value) = marker(&field.markers, "default") {
        write!(text, " default={}", default_value(sources, owner, value)?)?;
    }
    text.push('\n');
    Ok(())
}

/// As the OpenAPI generator has it: the markers decide, otherwise `omitempty` means optional.
fn is_required(field: &FieldDecl, options: &BTreeSet<&str>) -> bool {
    let has = |name: &str| field.markers.iter().any(|marker| marker == name);
    if has("required") {
        return true;
    }
    !has("optional") && !options.contains("omitempty")
}

/// A JSON literal; `ref(Constant)` stands for the constant's value.
fn default_value(sources: &mut Sources, owner: &str, value: &str) -> Result<String> {
    let Some(name) = value
        .strip_prefix("ref(")
        .and_then(|rest| rest.strip_suffix(')'))
    else {
        return Ok(value.to_owned());
    };
    let package = owner.rsplit_once('.').map_or("", |(package, _)| package);
    let constants = &sources.package(package)?.constants;
    let found = constants.iter().find(|(known, _, _)| known == name);
    let (_, _, value) = found.with_context(|| format!("there is no constant {name}"))?;
    Ok(format!("\"{value}\""))
}

fn enum_values(sources: &mut Sources, name: &str) -> Result<Vec<String>> {
    let (package, local) = name.rsplit_once('.').context("name without package")?;
    let constants = sources.package(package)?.constants.clone();
    let mut values = BTreeSet::new();
    for (_, kind, value) in constants {
        if kind != local {
            continue;
        }
        match value.strip_prefix('&') {
            Some(reference) => values.insert(constant(sources, reference)?),
            None => values.insert(value),
        };
    }
    Ok(values.into_iter().collect())
}

/// The value of a constant of some other package.
fn constant(sources: &mut Sources, name: &str) -> Result<String> {
    let core = &sources.package("core/v1")?.constants;
    let found = core.iter().find(|(known, _, _)| known == name);
    found
        .map(|(_, _, value)| value.clone())
        .with_context(|| format!("there is no constant {name}"))
}

/// The value of `+name=value`.
fn marker<'a>(markers: &'a [String], name: &str) -> Option<&'a str> {
    markers
        .iter()
        .find_map(|marker| marker.strip_prefix(name)?.strip_prefix('='))
}
