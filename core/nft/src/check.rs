//! What the kernel would refuse, or what would not do what it says.

mod flow;
mod registers;

use crate::{Element, Name, Rule, Ruleset, Set, SetValue, Value};
use std::fmt;

/// Longest name in bytes (`NFT_NAME_MAXLEN` less the closing zero).
const NAME: usize = 255;
/// Longest comment in bytes (`NFTNL_UDATA_COMMENT_MAXLEN`).
const COMMENT: usize = 128;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Name of the chain or set
    pub object: Name,
    /// Number of the rule in the chain, from 0
    pub rule: Option<usize>,
    /// What is wrong
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, rule, text } = self;
        match rule {
            Some(rule) => write!(f, "{object}, rule {rule}: {text}"),
            None => write!(f, "{object}: {text}"),
        }
    }
}

/// Looks for rules that read registers which they did not load, lookups into sets that are missing
/// or have other keys, elements that do not fit, ways to chains that are missing, that loop, nest
/// too deep or lead to expressions which their hook does not take, and for texts that are too long.
pub fn check(ruleset: &Ruleset) -> Vec<Violation> {
    let mut found = Found::default();
    for (name, set) in &ruleset.sets {
        check_set(ruleset, name, set, &mut found);
    }
    for (name, chain) in &ruleset.chains {
        check_name(name, &mut found);
        for (at, rule) in chain.rules.iter().enumerate() {
            found.at(name, Some(at));
            check_rule(ruleset, rule, &mut found);
        }
    }
    flow::check(ruleset, &mut found);
    found.violations
}

/// Violations so far, and where we look.
#[derive(Default)]
struct Found {
    violations: Vec<Violation>,
    place: Option<(Name, Option<usize>)>,
}

impl Found {
    fn at(&mut self, object: &Name, rule: Option<usize>) {
        self.place = Some((object.clone(), rule));
    }

    fn say(&mut self, text: impl Into<String>) {
        if let Some((object, rule)) = self.place.clone() {
            let text = text.into();
            self.violations.push(Violation { object, rule, text });
        }
    }
}

fn check_name(name: &Name, found: &mut Found) {
    found.at(name, None);
    if name.is_empty() || name.len() > NAME {
        found.say(format!("a name has 1 to {NAME} bytes"));
    }
}

fn check_comment(comment: Option<&str>, found: &mut Found) {
    if comment.is_some_and(|comment| comment.len() > COMMENT) {
        found.say(format!("a comment has at most {COMMENT} bytes"));
    }
}

fn check_set(ruleset: &Ruleset, name: &Name, set: &Set, found: &mut Found) {
    check_name(name, found);
    for (key, element) in &set.elements {
        check_comment(element.comment.as_deref(), found);
        if *key != element.key || !set.spec.fits(element) {
            found.say(format!("the element {key:?} does not fit the set"));
        }
        check_target(ruleset, element, found);
    }
    let size = set.spec.size as usize;
    if size > 0 && set.elements.len() > size {
        found.say(format!("{} elements, room for {size}", set.elements.len()));
    }
    if set.spec.dynamic && set.spec.value == SetValue::Verdict {
        found.say("a map of verdicts cannot be dynamic");
    }
}

fn check_target(ruleset: &Ruleset, element: &Element, found: &mut Found) {
    if let (Value::Verdict(_), Some(target)) = (&element.value, element.target()) {
        leads(ruleset, target, found);
    }
}

fn leads(ruleset: &Ruleset, target: &Name, found: &mut Found) {
    match ruleset.chains.get(target) {
        None => found.say(format!("no chain {target} to lead to")),
        Some(chain) if chain.base.is_some() => {
            found.say(format!("{target} has a hook, so nothing may lead to it"));
        }
        Some(_) => {}
    }
}

fn check_rule(ruleset: &Ruleset, rule: &Rule, found: &mut Found) {
    check_comment(rule.comment.as_deref(), found);
    for target in rule.targets() {
        leads(ruleset, target, found);
    }
    registers::check(ruleset, rule, found);
}

#[cfg(test)]
mod tests;
