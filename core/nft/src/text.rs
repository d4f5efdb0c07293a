//! The canonical text form: for golden cases, `explain` and people. Close to nft's own words, one
//! line for each rule and element, always in the same order.
//!
//! ```text
//! map endpoints4 {
//!   type ipv4_addr . inet_proto . inet_service . mark : ipv4_addr . inet_service
//!   10.96.0.1 . tcp . 443 . 0 : 10.0.0.2 . 6443  # default/kubernetes
//! }
//! chain cluster-3 {
//!   r10 = numgen random mod 3; r10 = @endpoints4[r4..]; dnat ip to r10:r14
//! }
//! ```

mod expr;
mod fields;

use crate::{
    Base, Chain, ChainKind, Data, Element, FieldType, Hook, Name, Op, Rule, Ruleset, Set, SetSpec,
    SetValue, Transaction, Value, Verdict,
};
use fields::{Duration, Fields, Hex, Types};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

impl Display for Ruleset {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (name, set) in &self.sets {
            writeln!(f, "{} {name} {{\n{set}}}", set.spec.word())?;
        }
        for (name, chain) in &self.chains {
            writeln!(f, "chain {name} {{\n{chain}}}")?;
        }
        Ok(())
    }
}

/// What stands between the braces: the specification, then one line for each element.
impl Display for Set {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.spec)?;
        for element in self.elements.values() {
            writeln!(f, "  {}", element.with_types(Some(&self.spec)))?;
        }
        Ok(())
    }
}

/// What stands between the braces: the hook, then one line for each rule.
impl Display for Chain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(base) = &self.base {
            writeln!(f, "  {base}")?;
        }
        for rule in &self.rules {
            writeln!(f, "  {rule}")?;
        }
        Ok(())
    }
}

impl Display for Base {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ChainKind::Filter => "filter",
            ChainKind::Nat => "nat",
        };
        write!(f, "type {kind} hook {} priority ", self.hook)?;
        match self.priority {
            -300 => f.write_str("raw"),
            -100 => f.write_str("dstnat"),
            0 => f.write_str("filter"),
            100 => f.write_str("srcnat"),
            other => write!(f, "{other}"),
        }
    }
}

impl Display for Hook {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        })
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut known = expr::Known::default();
        for (at, expr) in self.exprs.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "; " })?;
            known.write(expr, f)?;
        }
        comment(f, self.comment.as_deref())
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

impl Display for FieldType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4Addr => "ipv4_addr",
            Self::Ipv6Addr => "ipv6_addr",
            Self::InetProto => "inet_proto",
            Self::InetService => "inet_service",
            Self::Mark => "mark",
        })
    }
}

impl SetSpec {
    fn word(&self) -> &'static str {
        match self.value {
            SetValue::None => "set",
            _ => "map",
        }
    }

    fn value_types(&self) -> &[FieldType] {
        match &self.value {
            SetValue::Fields(types) => types,
            _ => &[],
        }
    }
}

impl Display for SetSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "type {}", Types(&self.key))?;
        match &self.value {
            SetValue::None => {}
            SetValue::Fields(types) => write!(f, " : {}", Types(types))?,
            SetValue::Verdict => f.write_str(" : verdict")?,
        }
        if self.dynamic {
            f.write_str("; flags dynamic")?;
        }
        if self.timeout_ms > 0 {
            write!(f, "; timeout {}", Duration(self.timeout_ms))?;
        }
        if self.size > 0 {
            write!(f, "; size {}", self.size)?;
        }
        f.write_str(if self.counters { "; counter" } else { "" })
    }
}

impl Element {
    /// How it reads in a set of that specification; without one, keys and values read as bytes.
    pub fn with_types<'a>(&'a self, spec: Option<&'a SetSpec>) -> impl Display + 'a {
        ElementText {
            element: self,
            spec,
            key_only: false,
        }
    }
}

struct ElementText<'a> {
    element: &'a Element,
    spec: Option<&'a SetSpec>,
    key_only: bool,
}

impl Display for ElementText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Element {
            key,
            value,
            comment: note,
            timeout_ms,
        } = self.element;
        match self.spec {
            Some(spec) => write!(f, "{}", Fields(&spec.key, key))?,
            None => write!(f, "{}", Hex(key.as_slice()))?,
        }
        if self.key_only {
            return Ok(());
        }
        if *timeout_ms > 0 {
            write!(f, " timeout {}", Duration(*timeout_ms))?;
        }
        match (value, self.spec) {
            (Value::None, _) => {}
            (Value::Verdict(verdict), _) => write!(f, " : {verdict}")?,
            (Value::Data(data), Some(spec)) => {
                write!(f, " : {}", Fields(spec.value_types(), data))?;
            }
            (Value::Data(data), None) => write!(f, " : {}", Hex(data.as_slice()))?,
        }
        comment(f, note.as_deref())
    }
}

/// A key of a set, by its types when the set is known.
pub(crate) fn key(set: Option<&Set>, key: &Data) -> String {
    match set {
        Some(set) => Fields(&set.spec.key, key).to_string(),
        None => Hex(key.as_slice()).to_string(),
    }
}

fn comment(f: &mut Formatter<'_>, comment: Option<&str>) -> fmt::Result {
    comment.map_or(Ok(()), |comment| write!(f, "  # {comment}"))
}

/// One line for each step; elements of sets that the transaction did not make itself read as
/// bytes. [`Transaction::against`] knows better.
impl Display for Transaction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write(f, &BTreeMap::new())
    }
}

impl Transaction {
    /// How it reads to someone who knows the sets that are there.
    pub fn against<'a>(&'a self, present: &'a Ruleset) -> impl Display + 'a {
        Against(self, present)
    }

    fn write(&self, f: &mut Formatter<'_>, present: &BTreeMap<Name, Set>) -> fmt::Result {
        let mut specs: BTreeMap<&str, &SetSpec> = present
            .iter()
            .map(|(name, set)| (&**name, &set.spec))
            .collect();
        for op in &self.ops {
            if let Op::AddSet(name, spec) = op {
                specs.insert(name, spec);
            }
            write_op(op, specs.get(&**op.object()).copied(), f)?;
        }
        Ok(())
    }
}

struct Against<'a>(&'a Transaction, &'a Ruleset);

impl Display for Against<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.write(f, &self.1.sets)
    }
}

/// The step alone: elements read as bytes.
impl Display for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_op(self, None, f)
    }
}

fn write_op(op: &Op, spec: Option<&SetSpec>, f: &mut Formatter<'_>) -> fmt::Result {
    match op {
        Op::AddChain(name, None) => writeln!(f, "add chain {name}"),
        Op::AddChain(name, Some(base)) => writeln!(f, "add chain {name} {{ {base} }}"),
        Op::AddSet(name, spec) => writeln!(f, "add {} {name} {{ {spec} }}", spec.word()),
        Op::DeleteElements(name, elements) => elements.iter().try_for_each(|element| {
            let key_only = true;
            let text = ElementText {
                element,
                spec,
                key_only,
            };
            writeln!(f, "delete element {name} {{ {text} }}")
        }),
        Op::AddElements(name, elements) => elements.iter().try_for_each(|element| {
            writeln!(f, "add element {name} {{ {} }}", element.with_types(spec))
        }),
        Op::FlushChain(name) => writeln!(f, "flush chain {name}"),
        Op::AddRule(name, rule) => writeln!(f, "add rule {name} {rule}"),
        Op::DeleteChain(name) => writeln!(f, "delete chain {name}"),
        Op::DeleteSet(name) => writeln!(f, "delete set {name}"),
    }
}

#[cfg(test)]
mod tests;
