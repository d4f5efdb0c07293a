//! Which registers a rule loads and reads. Newer kernels refuse rules that read what they did not
//! load; older ones let them see what an earlier rule left there.

use super::Found;
use crate::{Expr, FieldType, Name, Reg, Rule, Ruleset, Set, SetValue};

/// Number of registers.
const REGISTERS: usize = 16;

pub(super) fn check(ruleset: &Ruleset, rule: &Rule, found: &mut Found) {
    let mut loaded = Loaded {
        ruleset,
        bits: 0,
        found,
    };
    let mut ended: Option<&Expr> = None;
    for expr in &rule.exprs {
        if let Some(end) = ended {
            loaded.found.say(format!("{expr} comes after {end}"));
        }
        loaded.reads(expr);
        loaded.loads(expr);
        let ends = matches!(
            expr,
            Expr::Verdict(_) | Expr::Dnat { .. } | Expr::Masquerade { .. } | Expr::Reject(_)
        );
        ended = ended.or(ends.then_some(expr));
    }
}

struct Loaded<'a> {
    ruleset: &'a Ruleset,
    bits: u16,
    found: &'a mut Found,
}

impl Loaded<'_> {
    fn reads(&mut self, expr: &Expr) {
        match expr {
            Expr::SetMark { sreg } => self.read(expr, *sreg, 4),
            Expr::Cmp {
                sreg, data, len, ..
            } => {
                self.read(expr, *sreg, usize::from(*len));
                self.covers(expr, data.len(), *len);
            }
            Expr::Bitwise {
                sreg,
                mask,
                xor,
                len,
                ..
            } => {
                self.read(expr, *sreg, usize::from(*len));
                self.covers(expr, mask.len().min(xor.len()), *len);
            }
            Expr::InSet { set, sreg, .. } => {
                let wanted = |value: &SetValue| *value == SetValue::None;
                self.lookup(expr, set, *sreg, (wanted, "set"));
            }
            Expr::Map { set, sreg, .. } => {
                let wanted = |value: &SetValue| matches!(value, SetValue::Fields(_));
                self.lookup(expr, set, *sreg, (wanted, "map"));
            }
            Expr::VerdictMap { set, sreg } => {
                let wanted = |value: &SetValue| *value == SetValue::Verdict;
                self.lookup(expr, set, *sreg, (wanted, "map of verdicts"));
            }
            Expr::Random { modulus: 0, .. } | Expr::Hash { modulus: 0, .. } => {
                self.found.say(format!("{expr}: the bound is zero"));
            }
            Expr::Hash { sreg, len, .. } => self.read(expr, *sreg, usize::from(*len)),
            Expr::Dynset { set, key, data, .. } => self.dynset(expr, set, *key, *data),
            Expr::Dnat {
                family,
                address,
                port,
            } => {
                self.read(expr, *address, family.address_bytes());
                self.read(expr, *port, 2);
            }
            _ => {}
        }
    }

    fn loads(&mut self, expr: &Expr) {
        match expr {
            Expr::Payload { len, dreg, .. } => self.load(expr, *dreg, *len as usize),
            Expr::Meta { key, dreg } => self.load(expr, *dreg, key.bytes()),
            Expr::Ct { key, dreg } => self.load(expr, *dreg, key.bytes()),
            Expr::Immediate { dreg, data } => self.load(expr, *dreg, data.len()),
            Expr::Bitwise { dreg, len, .. } => self.load(expr, *dreg, usize::from(*len)),
            Expr::Map { set, dreg, .. } => {
                if let Some(Set { spec, .. }) = self.ruleset.sets.get(set)
                    && let SetValue::Fields(types) = &spec.value
                {
                    self.load(expr, *dreg, padded(types));
                }
            }
            Expr::Random { dreg, .. } | Expr::Hash { dreg, .. } | Expr::Fib { dreg, .. } => {
                self.load(expr, *dreg, 4);
            }
            _ => {}
        }
    }

    fn lookup(
        &mut self,
        expr: &Expr,
        name: &Name,
        sreg: Reg,
        (wanted, word): (fn(&SetValue) -> bool, &str),
    ) {
        let Some(set) = self.ruleset.sets.get(name) else {
            self.found.say(format!("{expr}: no set {name}"));
            return;
        };
        if !wanted(&set.spec.value) {
            self.found.say(format!("{expr}: {name} is no {word}"));
        }
        self.read(expr, sreg, set.spec.key_len());
    }

    fn dynset(&mut self, expr: &Expr, name: &Name, key: Reg, data: Option<Reg>) {
        let Some(set) = self.ruleset.sets.get(name) else {
            self.found.say(format!("{expr}: no set {name}"));
            return;
        };
        if !set.spec.dynamic {
            self.found.say(format!("{expr}: {name} is not dynamic"));
        }
        self.read(expr, key, set.spec.key_len());
        match (&set.spec.value, data) {
            (SetValue::Fields(types), Some(data)) => self.read(expr, data, padded(types)),
            (SetValue::None, None) => {}
            _ => self
                .found
                .say(format!("{expr}: the value does not fit {name}")),
        }
    }

    fn covers(&mut self, expr: &Expr, data: usize, len: u8) {
        if data < usize::from(len) {
            self.found.say(format!("{expr}: the constant is too short"));
        }
    }

    fn read(&mut self, expr: &Expr, Reg(first): Reg, len: usize) {
        let needed = bits(first, len);
        if needed.is_none_or(|needed| needed & !self.bits != 0) {
            let count = len.div_ceil(4);
            let text = format!("{expr}: reads {count} registers from r{first}, not all are loaded");
            self.found.say(text);
        }
    }

    fn load(&mut self, expr: &Expr, Reg(first): Reg, len: usize) {
        match bits(first, len) {
            Some(bits) => self.bits |= bits,
            None => self
                .found
                .say(format!("{expr}: loads past the last register")),
        }
    }
}

/// One bit for each register; `None` where they end, or for no bytes.
fn bits(first: u8, len: usize) -> Option<u16> {
    let (first, count) = (usize::from(first), len.div_ceil(4));
    let fits = count > 0 && first + count <= REGISTERS;
    fits.then(|| (((1_u32 << count) - 1) << first) as u16)
}

fn padded(types: &[FieldType]) -> usize {
    types.iter().map(|field| field.padded()).sum()
}
