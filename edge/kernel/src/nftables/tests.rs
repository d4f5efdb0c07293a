mod damaged;
mod edges;
mod generate;
mod packets;
mod round_trip;
mod speed;

use super::*;
use crate::netns::{Namespace, may_create};
use nft::{
    Base, Chain, ChainKind, Element, Expr, FieldType, Hook, Rule, Ruleset, Set, SetValue, diff,
};
use std::process::Command;
use std::sync::Arc;

/// Runs a test on a thread in a network namespace of its own; says so when it cannot.
fn inside<R: Send>(work: impl FnOnce() -> R + Send) -> Option<R> {
    if let Err(reason) = may_create() {
        eprintln!("skipped: {reason}");
        return None;
    }
    let namespace = Namespace::create().unwrap();
    Some(namespace.run(work).unwrap())
}

/// What a program of the machine prints, run in the current network namespace; `None` without it.
fn oracle(program: &str, arguments: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("not compared with {program}: {error}");
            return None;
        }
    };
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn fields(fields: &[FieldType]) -> Arc<[FieldType]> {
    fields.into()
}

fn spec(key: &[FieldType], value: SetValue) -> SetSpec {
    SetSpec {
        key: fields(key),
        value,
        dynamic: false,
        timeout_ms: 0,
        size: 0,
        counters: false,
    }
}

fn set_of(spec: SetSpec, elements: impl IntoIterator<Item = (Data, Value)>) -> Set {
    let element = |(key, value)| Element {
        key,
        value,
        comment: None,
        timeout_ms: 0,
    };
    Set {
        spec,
        elements: elements
            .into_iter()
            .map(|pair| (pair.0, element(pair)))
            .collect(),
    }
}

fn rule(exprs: impl Into<Vec<Expr>>) -> Rule {
    Rule {
        exprs: exprs.into(),
        comment: None,
    }
}

fn chain(rules: Vec<Rule>) -> Chain {
    Chain { base: None, rules }
}

fn nat(hook: Hook, priority: i32, rules: Vec<Rule>) -> Chain {
    let kind = ChainKind::Nat;
    let base = Some(Base {
        kind,
        hook,
        priority,
    });
    Chain { base, rules }
}

/// Applies what leads from nothing to the ruleset.
fn load(table: &mut Table, wanted: &Ruleset) {
    table.apply(&diff(wanted, &Ruleset::default())).unwrap();
}
