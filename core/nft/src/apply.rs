//! What the kernel does with a transaction.

use crate::{Chain, Data, Element, Name, Op, Rule, Ruleset, Set, SetValue, Transaction, Value};
use std::fmt;

/// Why a step is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyError {
    /// Which step of the transaction, from 0
    pub step: usize,
    /// Name of the chain or set that the step is about
    pub object: Name,
    /// What is wrong
    pub reason: ApplyErrorReason,
}

/// What is wrong with a step. Beside each what the kernel answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyErrorReason {
    /// `EEXIST`
    ChainExists,
    /// `EEXIST`
    SetExists,
    /// `EEXIST`: an element with that key
    ElementExists(Data),
    /// `ENOENT`
    NoSuchChain,
    /// `ENOENT`
    NoSuchSet,
    /// `ENOENT`: an element with that key
    NoSuchElement(Data),
    /// `ENOENT`: a rule or element leads to a chain that is missing
    NoSuchTarget(Name),
    /// `ENOENT`: a rule names a set that is missing
    RuleWithoutSet(Name),
    /// `EINVAL`: an element's key or value is none of this set
    ElementMismatch(Data),
    /// `EBUSY`: rules or elements lead to the chain, or it still has rules
    ChainInUse,
    /// `EBUSY`: rules name the set
    SetInUse,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            object,
            reason,
        } = self;
        write!(f, "step {step}, {object}: ")?;
        match reason {
            ApplyErrorReason::ChainExists => f.write_str("the chain exists"),
            ApplyErrorReason::SetExists => f.write_str("the set exists"),
            ApplyErrorReason::ElementExists(key) => write!(f, "the element {key:?} exists"),
            ApplyErrorReason::NoSuchChain => f.write_str("no such chain"),
            ApplyErrorReason::NoSuchSet => f.write_str("no such set"),
            ApplyErrorReason::NoSuchElement(key) => write!(f, "no such element {key:?}"),
            ApplyErrorReason::NoSuchTarget(chain) => write!(f, "no chain {chain} to lead to"),
            ApplyErrorReason::RuleWithoutSet(set) => write!(f, "no set {set} for the rule"),
            ApplyErrorReason::ElementMismatch(key) => {
                write!(f, "the element {key:?} does not fit the set")
            }
            ApplyErrorReason::ChainInUse => f.write_str("the chain is in use"),
            ApplyErrorReason::SetInUse => f.write_str("the set is in use"),
        }
    }
}

impl std::error::Error for ApplyError {}

impl Ruleset {
    /// Takes the steps, as the kernel would.
    ///
    /// # Errors
    /// The first step that the kernel would refuse. The kernel then takes none; here the steps
    /// before it have been taken.
    pub fn apply(&mut self, transaction: &Transaction) -> Result<(), ApplyError> {
        for (step, op) in transaction.ops.iter().enumerate() {
            self.step(op).map_err(|reason| ApplyError {
                step,
                object: op.object().clone(),
                reason,
            })?;
        }
        Ok(())
    }

    fn step(&mut self, op: &Op) -> Result<(), ApplyErrorReason> {
        match op {
            Op::AddChain(name, base) => {
                let chain = Chain {
                    base: *base,
                    rules: Vec::new(),
                };
                let old = self.chains.insert(name.clone(), chain);
                old.map_or(Ok(()), |_| Err(ApplyErrorReason::ChainExists))
            }
            Op::AddSet(name, spec) => {
                let set = Set {
                    spec: spec.clone(),
                    elements: Default::default(),
                };
                let old = self.sets.insert(name.clone(), set);
                old.map_or(Ok(()), |_| Err(ApplyErrorReason::SetExists))
            }
            Op::DeleteElements(name, elements) => self.delete_elements(name, elements),
            Op::AddElements(name, elements) => self.add_elements(name, elements),
            Op::FlushChain(name) => {
                self.chain(name)?.rules.clear();
                Ok(())
            }
            Op::AddRule(name, rule) => self.add_rule(name, rule),
            Op::DeleteChain(name) => self.delete_chain(name),
            Op::DeleteSet(name) => self.delete_set(name),
        }
    }

    fn chain(&mut self, name: &Name) -> Result<&mut Chain, ApplyErrorReason> {
        let chain = self.chains.get_mut(name);
        chain.ok_or(ApplyErrorReason::NoSuchChain)
    }

    fn delete_elements(&mut self, name: &Name, gone: &[Element]) -> Result<(), ApplyErrorReason> {
        let set = self.sets.get_mut(name).ok_or(ApplyErrorReason::NoSuchSet)?;
        for element in gone {
            let old = set.elements.remove(&element.key);
            old.ok_or(ApplyErrorReason::NoSuchElement(element.key))?;
        }
        Ok(())
    }

    fn add_elements(&mut self, name: &Name, fresh: &[Element]) -> Result<(), ApplyErrorReason> {
        let set = self.sets.get_mut(name).ok_or(ApplyErrorReason::NoSuchSet)?;
        for element in fresh {
            if !set.spec.fits(element) {
                return Err(ApplyErrorReason::ElementMismatch(element.key));
            }
            let missing = element.target().filter(|to| !self.chains.contains_key(*to));
            if let Some(target) = missing {
                return Err(ApplyErrorReason::NoSuchTarget(target.clone()));
            }
            let old = set.elements.insert(element.key, element.clone());
            // What passes away by itself may or may not be there.
            if old.is_some() && !set.spec.dynamic {
                return Err(ApplyErrorReason::ElementExists(element.key));
            }
        }
        Ok(())
    }

    fn add_rule(&mut self, name: &Name, rule: &Rule) -> Result<(), ApplyErrorReason> {
        let missing = rule.sets().find(|set| !self.sets.contains_key(*set));
        if let Some(set) = missing {
            return Err(ApplyErrorReason::RuleWithoutSet(set.clone()));
        }
        let missing = rule.targets().find(|to| !self.chains.contains_key(*to));
        if let Some(target) = missing {
            return Err(ApplyErrorReason::NoSuchTarget(target.clone()));
        }
        self.chain(name)?.rules.push(rule.clone());
        Ok(())
    }

    fn delete_chain(&mut self, name: &Name) -> Result<(), ApplyErrorReason> {
        if !self.chain(name)?.rules.is_empty() || self.leads_to(name) {
            return Err(ApplyErrorReason::ChainInUse);
        }
        self.chains.remove(name);
        Ok(())
    }

    fn delete_set(&mut self, name: &Name) -> Result<(), ApplyErrorReason> {
        let mut rules = self.chains.values().flat_map(|chain| &chain.rules);
        if rules.any(|rule| rule.sets().any(|set| set == name)) {
            return Err(ApplyErrorReason::SetInUse);
        }
        let old = self.sets.remove(name);
        old.map(|_| ()).ok_or(ApplyErrorReason::NoSuchSet)
    }

    fn leads_to(&self, chain: &Name) -> bool {
        let maps = self.sets.values();
        let maps = maps.filter(|set| set.spec.value == SetValue::Verdict);
        let mut elements = maps.flat_map(|map| map.elements.values());
        let mut rules = self.chains.values().flat_map(|chain| &chain.rules);
        elements.any(|element| element.target() == Some(chain))
            || rules.any(|rule| rule.targets().any(|target| target == chain))
    }
}

impl crate::SetSpec {
    /// True when an element of this set may look like that.
    pub fn fits(&self, element: &Element) -> bool {
        let value = match (&self.value, &element.value) {
            (SetValue::None, Value::None) | (SetValue::Verdict, Value::Verdict(_)) => true,
            (SetValue::Fields(types), Value::Data(data)) => {
                types.iter().map(|field| field.padded()).sum::<usize>() == data.len()
            }
            _ => false,
        };
        value && self.key_len() == element.key.len()
    }

    /// Number of bytes of a key.
    pub fn key_len(&self) -> usize {
        self.key.iter().map(|field| field.padded()).sum()
    }
}
