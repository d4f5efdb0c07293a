//! What is known of sizes while an expression is gone through.

use super::Size;
use crate::ast::{Expr, Id, Kind, Literal};
use crate::decl::Decl;
use crate::types::Type;
use std::collections::BTreeMap;

/// The way from a variable to a value: fields, `@items`, `@values`, `@keys`, `@indices`.
pub(super) type Path = Vec<String>;

/// The sizes of the keys and values in a list or map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entries {
    pub(super) list: bool,
    pub(super) key: Size,
    pub(super) value: Size,
}

impl Entries {
    pub(super) fn or(self, other: Entries) -> Entries {
        Entries {
            list: self.list,
            key: self.key.or(other.key),
            value: self.value.or(other.value),
        }
    }
}

/// A variable of a loop or binding.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) name: String,
    pub(super) path: Path,
    pub(super) size: Option<Size>,
    pub(super) entries: Option<Entries>,
}

/// What was found so far.
#[derive(Debug)]
pub(super) struct Sizes<'c> {
    types: &'c [Type],
    root: Option<&'c Decl>,
    pub(super) locals: Vec<Local>,
    paths: BTreeMap<Id, Path>,
    sizes: BTreeMap<Id, Size>,
    entries: BTreeMap<Id, Entries>,
}

impl<'c> Sizes<'c> {
    pub(super) fn new(types: &'c [Type], root: Option<&'c Decl>) -> Sizes<'c> {
        Sizes {
            types,
            root,
            locals: Vec::new(),
            paths: BTreeMap::new(),
            sizes: BTreeMap::new(),
            entries: BTreeMap::new(),
        }
    }

    pub(super) fn type_of(&self, expr: &Expr) -> &'c Type {
        &self.types[expr.id]
    }

    pub(super) fn local(&self, name: &str) -> Option<&Local> {
        self.locals.iter().rev().find(|local| local.name == name)
    }

    pub(super) fn set_path(&mut self, expr: &Expr, path: Path) {
        self.paths.insert(expr.id, path);
    }

    pub(super) fn path(&self, expr: &Expr) -> Path {
        if let Kind::Ident(name) = &expr.kind
            && let Some(local) = self.local(name)
        {
            return local.path.clone();
        }
        self.paths.get(&expr.id).cloned().unwrap_or_default()
    }

    pub(super) fn set_size(&mut self, expr: &Expr, size: Option<Size>) {
        if let Some(size) = size {
            self.sizes.insert(expr.id, size);
        }
    }

    pub(super) fn set_entries(&mut self, expr: &Expr, entries: Option<Entries>) {
        if let Some(entries) = entries {
            self.entries.insert(expr.id, entries);
        }
    }

    pub(super) fn copy(&mut self, to: &Expr, from: &Expr) {
        let (size, entries) = (self.size(from), self.entries(from));
        self.set_size(to, size);
        self.set_entries(to, entries);
    }

    pub(super) fn entries(&self, expr: &Expr) -> Option<Entries> {
        if let Some(known) = self.entries.get(&expr.id) {
            return Some(*known);
        }
        match &expr.kind {
            Kind::Ident(name) => self.local(name)?.entries,
            _ => None,
        }
    }

    pub(super) fn size(&mut self, expr: &Expr) -> Option<Size> {
        if let Some(known) = self.sizes.get(&expr.id) {
            return Some(*known);
        }
        if let Some(size) = written_size(expr) {
            return Some(Size::fixed(size));
        }
        let path = self.path(expr);
        if let Some(size) = self.declared(&path) {
            self.sizes.insert(expr.id, size);
            return Some(size);
        }
        if is_scalar(self.type_of(expr)) {
            return Some(Size::ONE);
        }
        match &expr.kind {
            Kind::Ident(name) => self.local(name)?.size,
            _ => None,
        }
    }

    pub(super) fn size_or_unknown(&mut self, expr: &Expr) -> Size {
        self.size(expr).unwrap_or(Size::UNKNOWN)
    }

    /// The size that the declaration at the end of a path bounds.
    pub(super) fn declared(&self, path: &[String]) -> Option<Size> {
        let (_, steps) = path.split_first()?;
        let root = self.root?;
        let decl = steps.iter().try_fold(root, |decl, step| decl.step(step))?;
        Some(Size::new(0, decl.max_elements()))
    }
}

/// The size of what is written out.
fn written_size(expr: &Expr) -> Option<u64> {
    Some(match &expr.kind {
        Kind::Literal(Literal::String(text)) => text.chars().count() as u64,
        Kind::Literal(Literal::Bytes(octets)) => octets.len() as u64,
        Kind::Literal(_) => 1,
        Kind::List(elements) => elements.len() as u64,
        Kind::Map(entries) => entries.len() as u64,
        _ => return None,
    })
}

fn is_scalar(of: &Type) -> bool {
    match of {
        Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => {
            true
        }
        Type::Optional(inner) => is_scalar(inner),
        _ => false,
    }
}
