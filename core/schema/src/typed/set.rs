//! A set of fields: the tree of their paths.

use super::Element;
use super::ty::Type;
use std::cmp::Ordering;

/// A set of fields of an object. The names in it may be borrowed from the object or from
/// `fieldsV1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet<'a> {
    /// Sorted by element; none of them is neither a member nor has something below
    pub(super) nodes: Vec<Node<'a>>,
}

/// What a set has at one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node<'a> {
    pub(super) element: Element<'a>,
    /// The path that ends here is in the set
    pub(super) member: bool,
    /// Longer paths
    pub(super) below: FieldSet<'a>,
}

impl Node<'_> {
    fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl<'a> FieldSet<'a> {
    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The set of one path.
    pub fn of_path(path: &[&'a str]) -> Self {
        let mut set = Self::default();
        if let [first, rest @ ..] = path {
            let below = Self::of_path(rest);
            set.put(Element::field(first), rest.is_empty(), below);
        }
        set
    }

    /// Whether a path is in the set.
    pub fn has(&self, path: &[Element<'_>]) -> bool {
        match path {
            [] => false,
            [last] => self.get(last).is_some_and(|node| node.member),
            [first, rest @ ..] => self.get(first).is_some_and(|node| node.below.has(rest)),
        }
    }

    fn place(&self, element: &Element<'_>) -> Result<usize, usize> {
        self.nodes
            .binary_search_by(|node| node.element.cmp(element))
    }

    pub(super) fn get(&self, element: &Element<'_>) -> Option<&Node<'a>> {
        let at = self.place(element).ok()?;
        self.nodes.get(at)
    }

    /// Adds what a value has at one step; most values come in order.
    pub(super) fn put(&mut self, element: Element<'a>, member: bool, below: FieldSet<'a>) {
        if !member && below.is_empty() {
            return;
        }
        let node = Node {
            element,
            member,
            below,
        };
        if self
            .nodes
            .last()
            .is_none_or(|last| last.element < node.element)
        {
            self.nodes.push(node);
            return;
        }
        match self.place(&node.element) {
            Err(at) => self.nodes.insert(at, node),
            Ok(at) => {
                let known = &mut self.nodes[at];
                known.member |= node.member;
                known.below.add(node.below);
            }
        }
    }

    /// Union.
    pub fn add(&mut self, more: Self) {
        if self.is_empty() {
            *self = more;
            return;
        }
        for node in more.nodes {
            self.put(node.element, node.member, node.below);
        }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &FieldSet<'_>) -> Self {
        let mut both = Self::default();
        for (node, other) in self.shared(other) {
            let below = node.below.intersection(&other.below);
            both.put(node.element.clone(), node.member && other.member, below);
        }
        both
    }

    /// The nodes that have a counterpart.
    fn shared<'b, 'c>(
        &'b self,
        other: &'b FieldSet<'c>,
    ) -> impl Iterator<Item = (&'b Node<'a>, &'b Node<'c>)> {
        let mut rest = other.nodes.as_slice();
        self.nodes.iter().filter_map(move |node| {
            while let [first, tail @ ..] = rest {
                match first.element.cmp(&node.element) {
                    Ordering::Less => rest = tail,
                    Ordering::Equal => return Some((node, first)),
                    Ordering::Greater => return None,
                }
            }
            None
        })
    }

    /// Difference, path by path. Answers whether anything was there to go.
    pub fn subtract(&mut self, less: &FieldSet<'_>) -> bool {
        self.take_out(less, false)
    }

    /// Difference, where a path takes along all that is below it.
    pub fn subtract_deep(&mut self, less: &FieldSet<'_>) -> bool {
        self.take_out(less, true)
    }

    fn take_out(&mut self, less: &FieldSet<'_>, deep: bool) -> bool {
        if less.is_empty() {
            return false;
        }
        let mut changed = false;
        self.nodes.retain_mut(|node| {
            let Some(other) = less.get(&node.element) else {
                return true;
            };
            if other.member {
                changed |= node.member || deep;
                node.member = false;
                if deep {
                    return false;
                }
            }
            changed |= node.below.take_out(&other.below, deep);
            !node.is_empty()
        });
        changed
    }

    /// Takes out one path, given by names of fields.
    pub fn remove_path(&mut self, path: &[&str]) {
        let [first, rest @ ..] = path else { return };
        let Ok(at) = self.place(&Element::field(first)) else {
            return;
        };
        let node = &mut self.nodes[at];
        if rest.is_empty() {
            node.member = false;
        } else {
            node.below.remove_path(rest);
        }
        if node.is_empty() {
            self.nodes.remove(at);
        }
    }

    /// Keeps the paths that begin with one of the patterns; `*` stands for any element. Paths that
    /// lead there are kept, too.
    pub fn keep_below(&mut self, patterns: &[&[&str]]) {
        self.nodes.retain_mut(|node| {
            let fits = |first: &str| first == "*" || node.element.name() == Some(first);
            let rests: Vec<&[&str]> = patterns
                .iter()
                .filter_map(|pattern| pattern.split_first())
                .filter(|(first, _)| fits(first))
                .map(|(_, rest)| rest)
                .collect();
            if rests.is_empty() {
                return false;
            }
            if rests.iter().all(|rest| !rest.is_empty()) {
                node.below.keep_below(&rests);
            }
            !node.is_empty()
        });
    }

    /// Every path, members of a level before what is below them.
    pub fn each(&self, visit: &mut dyn FnMut(&[Element<'_>])) {
        self.each_below(&mut Vec::new(), visit);
    }

    fn each_below(&self, path: &mut Vec<Element<'a>>, visit: &mut dyn FnMut(&[Element<'_>])) {
        for node in self.nodes.iter().filter(|node| node.member) {
            path.push(node.element.clone());
            visit(path);
            path.pop();
        }
        for node in &self.nodes {
            path.push(node.element.clone());
            node.below.each_below(path, visit);
            path.pop();
        }
    }

    /// The set together with the structs' fields that lead to its paths.
    #[must_use]
    pub fn with_named(&self, ty: Option<Type<'_>>) -> Self {
        let atom = ty.map(Type::atom);
        let map = atom.as_ref().and_then(|atom| atom.map);
        let list = atom.as_ref().and_then(|atom| atom.list);
        let nodes = self.nodes.iter().map(|node| {
            let field = node
                .element
                .name()
                .and_then(|name| map.and_then(|map| map.field(name)));
            let below = match &node.element {
                Element::Field(_) => field.or_else(|| map.and_then(|map| map.element)),
                Element::Key(_) => list.map(|list| list.element),
                _ => None,
            };
            let leads = field.is_some() && !node.below.is_empty();
            Node {
                element: node.element.clone(),
                member: node.member || leads,
                below: node.below.with_named(below),
            }
        });
        Self {
            nodes: nodes.collect(),
        }
    }

    /// The same, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> FieldSet<'static> {
        let nodes = self.nodes.into_iter().map(|node| Node {
            element: node.element.into_owned(),
            member: node.member,
            below: node.below.into_owned(),
        });
        FieldSet {
            nodes: nodes.collect(),
        }
    }
}
