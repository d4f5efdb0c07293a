//! The table in the kernel: brought to what is wanted, piece by piece where the kernel refuses some.

use kernel::nftables::{ApplyError, Table};
use nft::{Element, Name, Op, Ruleset, Transaction};

/// Attempts to find out what the kernel refuses, before all of it is left for later.
const ATTEMPTS: u32 = 400;

/// What a synchronisation did.
pub(super) struct Outcome {
    /// Steps that were needed
    pub(super) steps: usize,
    /// What the kernel refused
    pub(super) refused: Vec<String>,
}

/// Reads the table and changes the difference to `wanted`. With `in_step`, all of it was applied
/// before and nobody is known to have changed it.
pub(super) fn bring(table: &mut Table, wanted: &Ruleset, in_step: bool) -> Outcome {
    let present = match table.read_for(wanted, in_step) {
        Ok(present) => present.unwrap_or_default(),
        Err(error) => {
            return Outcome {
                steps: 0,
                refused: vec![format!("the table cannot be read: {error}")],
            };
        }
    };
    apply(table, nft::diff(wanted, &present))
}

/// Applies a transaction; what is refused is left out, the rest is applied.
pub(super) fn apply(table: &mut Table, transaction: Transaction) -> Outcome {
    let steps = transaction.ops.len();
    let mut sieve = Sieve {
        table,
        attempts: 0,
        refused: Vec::new(),
    };
    sieve.take(transaction.ops);
    Outcome {
        steps,
        refused: sieve.refused,
    }
}

struct Sieve<'a> {
    table: &'a mut Table,
    attempts: u32,
    refused: Vec<String>,
}

impl Sieve<'_> {
    fn attempt(&mut self, ops: &[Op]) -> Result<(), ApplyError> {
        self.attempts += 1;
        let transaction = Transaction { ops: ops.to_vec() };
        self.table.apply(&transaction)
    }

    /// Takes steps out until the rest goes through.
    fn take(&mut self, mut ops: Vec<Op>) {
        let mut aside = Vec::new();
        while let Err(error) = self.attempt(&ops) {
            let Some(index) = error.op().filter(|_| self.attempts < ATTEMPTS) else {
                self.refused.push(error.to_string());
                return;
            };
            match ops.remove(index) {
                Op::AddElements(set, elements) if elements.len() > 1 => {
                    aside.push((set, elements, true));
                }
                Op::DeleteElements(set, elements) if elements.len() > 1 => {
                    aside.push((set, elements, false));
                }
                op => {
                    self.refused.push(error.to_string());
                    drop_with(&op, &mut ops);
                }
            }
        }
        for (set, elements, add) in aside {
            self.halve(&set, elements, add);
        }
    }

    /// Finds the elements that are refused by trying halves.
    fn halve(&mut self, set: &Name, mut elements: Vec<Element>, add: bool) {
        let step = match add {
            true => Op::AddElements(set.clone(), elements.clone()),
            false => Op::DeleteElements(set.clone(), elements.clone()),
        };
        let Err(error) = self.attempt(&[step]) else {
            return;
        };
        if elements.len() == 1 || self.attempts >= ATTEMPTS {
            self.refused.push(error.to_string());
            return;
        }
        let second = elements.split_off(elements.len() / 2);
        self.halve(set, elements, add);
        self.halve(set, second, add);
    }
}

/// Takes out what makes no sense without a step: the rules of a chain that is not made.
fn drop_with(refused: &Op, ops: &mut Vec<Op>) {
    let (Op::AddChain(chain, _) | Op::AddRule(chain, _)) = refused else {
        return;
    };
    ops.retain(|op| !matches!(op, Op::AddRule(name, _) | Op::AddChain(name, _) if name == chain));
}
