//! Transactions that are taken while further ones are made.

use super::{ApplyError, Table};
use nft::Transaction;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, scope};

impl Table {
    /// Takes in turn what `make` hands out, on another thread, so that making goes on meanwhile;
    /// gives what `make` gives. Nothing is taken after a transaction that was refused.
    ///
    /// # Errors
    /// As [`Table::apply`], of the transaction that was refused; those before it were taken.
    pub fn apply_while<T>(
        &mut self,
        make: impl FnOnce(&mut dyn FnMut(Transaction)) -> T,
    ) -> (T, Result<(), ApplyError>) {
        let (sender, receiver) = channel();
        let (table, receiver) = (Mutex::new(self), Mutex::new(receiver));
        let take = || take_all(&table, &receiver);
        scope(|scope| {
            let taking = Builder::new().spawn_scoped(scope, take);
            let made = make(&mut |transaction| {
                // Nobody listens after a refusal, which is told below.
                let _ = sender.send(transaction);
            });
            drop(sender);
            let done = match taking.map(|taking| taking.join()) {
                Ok(Ok(done)) => done,
                Ok(Err(panic)) => resume_unwind(panic),
                // Without another thread they are taken now.
                Err(_) => take(),
            };
            (made, done)
        })
    }
}

fn take_all(
    table: &Mutex<&mut Table>,
    transactions: &Mutex<Receiver<Transaction>>,
) -> Result<(), ApplyError> {
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    let transactions = transactions.lock().unwrap_or_else(PoisonError::into_inner);
    let mut transactions = transactions.iter();
    transactions.try_for_each(|transaction| table.apply(&transaction))
}
