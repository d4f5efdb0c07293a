//! What nft can list, checked without nft: it takes a register for what the last step that began
//! there loaded, finds the parts of keys and values by the lengths of those, and has no length
//! for the result of a map.

use super::generate::{history, settings};
use model::{ChangedKeys, Snapshot};
use nft::{Expr, FieldType, Reg, Rule, Ruleset, SetSpec, SetValue};
use proptest::prelude::*;
use proxy::kernel::{NodeSettings, plan_ruleset};

/// Lengths of what registers begin with, in bytes; zero for the result of a map.
#[derive(Default)]
struct Listed([Option<usize>; 16]);

impl Listed {
    fn set(&mut self, reg: Reg, len: usize) {
        self.0[usize::from(reg.0)] = Some(len);
    }

    fn get(&self, at: usize, what: &str) -> Result<usize, String> {
        let len = self.0.get(at).copied().flatten();
        len.ok_or_else(|| format!("{what}: nothing begins at register {at}"))
    }

    /// A key or value of so many bytes.
    fn read(&self, reg: Reg, len: usize, what: &str) -> Result<(), String> {
        let mut at = usize::from(reg.0);
        if self.get(at, what)? >= len {
            return Ok(());
        }
        let mut rest = len;
        while rest > 0 {
            let part = self.get(at, what)?.next_multiple_of(4);
            if part == 0 {
                return Err(format!("{what}: register {at} holds the result of a map"));
            }
            if part > rest {
                return Err(format!("{what}: ends within what begins at register {at}"));
            }
            (rest, at) = (rest - part, at + part / 4);
        }
        Ok(())
    }

    fn step(&mut self, expr: &Expr, ruleset: &Ruleset) -> Result<(), String> {
        let spec = |name: &nft::Name| &ruleset.sets[name].spec;
        match expr {
            Expr::Payload { len, dreg, .. } => self.set(*dreg, *len as usize),
            Expr::Meta { key, dreg } => self.set(*dreg, key.bytes()),
            Expr::Ct { key, dreg } => self.set(*dreg, key.bytes()),
            Expr::Immediate { dreg, data } => self.set(*dreg, data.len()),
            Expr::Random { dreg, .. } | Expr::Fib { dreg, .. } => self.set(*dreg, 4),
            Expr::Hash {
                sreg, len, dreg, ..
            } => {
                self.read(*sreg, usize::from(*len), "hash")?;
                self.set(*dreg, 4);
            }
            Expr::Bitwise { sreg, dreg, .. } => {
                let len = self.get(usize::from(sreg.0), "bitwise")?;
                self.set(*dreg, len);
            }
            Expr::Map { set, sreg, dreg } => {
                self.read(*sreg, key_len(spec(set)), set)?;
                self.set(*dreg, 0);
            }
            Expr::InSet { set, sreg, .. } | Expr::VerdictMap { set, sreg } => {
                self.read(*sreg, key_len(spec(set)), set)?;
            }
            Expr::Dynset { set, key, data, .. } => {
                self.read(*key, key_len(spec(set)), set)?;
                if let (Some(data), SetValue::Fields(types)) = (data, &spec(set).value) {
                    self.read(*data, padded(types), set)?;
                }
            }
            Expr::Cmp { sreg, .. } | Expr::SetMark { sreg } => {
                self.get(usize::from(sreg.0), "comparison or mark")?;
            }
            // A map may answer both.
            Expr::Dnat { address, port, .. } if self.get(usize::from(address.0), "dnat")? > 0 => {
                self.get(usize::from(port.0), "dnat")?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn padded(types: &[FieldType]) -> usize {
    types.iter().map(|field| field.padded()).sum()
}

fn key_len(spec: &SetSpec) -> usize {
    padded(&spec.key)
}

fn listed(rule: &Rule, ruleset: &Ruleset) -> Result<(), String> {
    let mut listed = Listed::default();
    let mut steps = rule.exprs.iter();
    steps.try_for_each(|expr| listed.step(expr, ruleset))
}

#[test]
fn the_answer_of_a_map_has_no_name_in_a_key() {
    let (ruleset, _) = plan_ruleset(&Snapshot::default(), &NodeSettings::default());
    let number = |dreg| Expr::Immediate {
        dreg: Reg(dreg),
        data: nft::Data::EMPTY.number(0),
    };
    let answer = Expr::Map {
        set: "services4".into(),
        sreg: Reg(1),
        dreg: Reg(4),
    };
    let verdict = Expr::VerdictMap {
        set: "shapes4".into(),
        sreg: Reg(4),
    };
    let rule = Rule {
        exprs: vec![number(1), number(2), number(3), answer, verdict],
        comment: None,
    };
    let reason = "shapes4: register 4 holds the result of a map";
    assert_eq!(listed(&rule, &ruleset), Err(reason.to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nft_has_names_for_whatever_keys_and_values_hold(
        history in history(),
        settings in settings(),
    ) {
        let mut snapshot = Snapshot::default();
        for (value, gone) in &history {
            snapshot.apply(&testkit::event(value, *gone), &mut ChangedKeys::default());
        }
        let (ruleset, _) = plan_ruleset(&snapshot, &settings);
        for (name, chain) in &ruleset.chains {
            for (at, rule) in chain.rules.iter().enumerate() {
                let listed = listed(rule, &ruleset);
                prop_assert!(listed.is_ok(), "rule {at} of {name}: {listed:?}");
            }
        }
    }
}
