//! Reads struct definitions, named types and string constants out of Go source. It knows as much
//! Go as gofmt leaves in the API packages: one declaration or field a line.

use std::collections::BTreeMap;

/// One `type` declaration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TypeDecl {
    /// Name without package
    pub(crate) name: String,
    /// `+marker` comments above it, without the plus
    pub(crate) markers: Vec<String>,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Struct(Vec<FieldDecl>),
    /// `type Name EXPRESSION`
    Named(String),
}

/// One field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldDecl {
    /// Go name; for an embedded field the type's name
    pub(crate) name: String,
    /// Type as written, with import aliases
    pub(crate) expression: String,
    pub(crate) embedded: bool,
    /// Struct tags by key: `json`, `patchStrategy`, `patchMergeKey`
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) markers: Vec<String>,
    /// Has a comment
    pub(crate) documented: bool,
}

/// What one file declares.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct File {
    /// Import path by the name it is used under
    pub(crate) imports: BTreeMap<String, String>,
    pub(crate) types: Vec<TypeDecl>,
    /// Constants: name, type (empty when untyped), value without quotes
    pub(crate) constants: Vec<(String, String, String)>,
}

/// Parses one file.
pub(crate) fn parse(source: &str) -> File {
    let mut file = File::default();
    let mut lines = source.lines();
    let mut comments = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(comment) = line.strip_prefix("//") {
            comments.push(comment.trim().to_owned());
            continue;
        }
        match line {
            "import (" => parse_imports(&mut lines, &mut file.imports),
            "const (" => parse_constants(&mut lines, &mut file.constants),
            _ => parse_declaration(line, &mut lines, &comments, &mut file),
        }
        comments.clear();
    }
    file
}

fn parse_declaration<'a>(
    line: &str,
    lines: &mut impl Iterator<Item = &'a str>,
    comments: &[String],
    file: &mut File,
) {
    if let Some(constant) = line.strip_prefix("const ") {
        file.constants.extend(constant_of(constant));
        return;
    }
    let Some((name, rest)) = line.strip_prefix("type ").and_then(|l| l.split_once(' ')) else {
        return;
    };
    let body = match rest {
        "struct {" => Body::Struct(parse_fields(lines)),
        "struct{}" => Body::Struct(Vec::new()),
        _ => Body::Named(rest.trim_start_matches("= ").to_owned()),
    };
    file.types.push(TypeDecl {
        name: name.to_owned(),
        markers: markers(comments),
        body,
    });
}

fn parse_imports<'a>(
    lines: &mut impl Iterator<Item = &'a str>,
    imports: &mut BTreeMap<String, String>,
) {
    for line in lines.take_while(|line| *line != ")") {
        let line = line.trim();
        let (alias, path) = line.split_once(' ').unwrap_or(("", line));
        let path = path.trim_matches('"');
        let last = path.rsplit('/').next().unwrap_or_default();
        let alias = if alias.is_empty() { last } else { alias };
        imports.insert(alias.to_owned(), path.to_owned());
    }
}

fn parse_constants<'a>(
    lines: &mut impl Iterator<Item = &'a str>,
    constants: &mut Vec<(String, String, String)>,
) {
    for line in lines.take_while(|line| *line != ")") {
        constants.extend(constant_of(line));
    }
}

/// `Name Type = "value"`, `Name = Type("value")` or `Name = Type(package.Other)`; the last one keeps
/// the reference as `&Other`.
fn constant_of(line: &str) -> Option<(String, String, String)> {
    let (left, right) = line.trim().split_once(" = ")?;
    let mut words = left.split_whitespace();
    let name = words.next()?.to_owned();
    let declared = words.next().unwrap_or_default();
    let (before, value) = match right.split_once('"') {
        Some((before, quoted)) => (before, quoted.split_once('"')?.0.to_owned()),
        None => {
            let (before, reference) = right.split_once('(')?;
            let reference = reference.split_once(')')?.0;
            (before, format!("&{}", reference.rsplit('.').next()?))
        }
    };
    let kind = if declared.is_empty() {
        before.trim_end_matches('(')
    } else {
        declared
    };
    Some((name, kind.to_owned(), value))
}

fn parse_fields<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<FieldDecl> {
    let mut fields = Vec::new();
    let mut comments = Vec::new();
    let mut in_comment = false;
    for line in lines.take_while(|line| *line != "}") {
        let line = line.trim();
        if in_comment || line.starts_with("/*") {
            in_comment = !line.ends_with("*/");
            continue;
        }
        if let Some(comment) = line.strip_prefix("//") {
            comments.push(comment.trim().to_owned());
        } else if !line.is_empty() {
            // A blank line does not end the comments of a field: markers stand above it too.
            fields.extend(field_of(line, &comments));
            comments.clear();
        }
    }
    fields
}

fn field_of(line: &str, comments: &[String]) -> Option<FieldDecl> {
    let (declaration, tag) = match line.split_once('`') {
        Some((declaration, rest)) => (declaration, rest.split('`').next().unwrap_or_default()),
        None => (line.split(" //").next().unwrap_or_default(), ""),
    };
    let mut words = declaration.split_whitespace();
    let first = words.next()?;
    let expression = words.collect::<Vec<_>>().join(" ");
    let embedded = expression.is_empty();
    let name = first
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .trim_start_matches('*');
    Some(FieldDecl {
        name: name.to_owned(),
        expression: if embedded {
            first.to_owned()
        } else {
            expression
        },
        embedded,
        tags: tags_of(tag),
        markers: markers(comments),
        documented: comments.iter().any(|comment| !comment.starts_with('+')),
    })
}

fn tags_of(mut tag: &str) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    while let Some((key, rest)) = tag.trim_start().split_once(":\"") {
        let Some((value, rest)) = rest.split_once('"') else {
            break;
        };
        tags.insert(key.to_owned(), value.to_owned());
        tag = rest;
    }
    tags
}

fn markers(comments: &[String]) -> Vec<String> {
    let marked = comments
        .iter()
        .filter_map(|comment| comment.strip_prefix('+'));
    marked.map(|marker| marker.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Mode says how.
// +enum
type Mode string

const (
	// ModeA is one
	ModeA Mode = "A"
	ModeB = Mode("B")
)

// Thing is a thing.
// +structType=atomic
type Thing struct {
	metav1.TypeMeta `json:",inline"`
	// Ports are ports.
	// +listType=map
	// +listMapKey=port
	Ports []Port `json:"ports,omitempty" patchStrategy:"merge" patchMergeKey:"port"`

	Target *intstr.IntOrString `json:"target"` // trailing
}
"#;

    #[test]
    fn reads_what_gofmt_leaves() {
        let file = parse(SOURCE);
        assert_eq!(
            file.imports["metav1"],
            "k8s.io/apimachinery/pkg/apis/meta/v1"
        );
        assert_eq!(
            file.imports["intstr"],
            "k8s.io/apimachinery/pkg/util/intstr"
        );
        let constant = |n: &str, v: &str| (n.to_owned(), "Mode".to_owned(), v.to_owned());
        assert_eq!(
            file.constants,
            [constant("ModeA", "A"), constant("ModeB", "B")]
        );
        assert_eq!(file.types[0].markers, ["enum"]);
        let Body::Struct(fields) = &file.types[1].body else {
            panic!("Thing is a struct");
        };
        assert!(fields[0].embedded && fields[0].expression == "metav1.TypeMeta");
        assert_eq!(fields[1].markers, ["listType=map", "listMapKey=port"]);
        assert_eq!(fields[1].tags["patchMergeKey"], "port");
        assert_eq!(fields[2].expression, "*intstr.IntOrString");
        assert_eq!(fields[2].tags["json"], "target");
    }
}
