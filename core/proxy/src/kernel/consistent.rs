//! A table that keeps clients on their endpoints when others come and go, as Maglev's does
//! (Eisenbud et al., NSDI 2016): every endpoint has an order of its own in which it would like to
//! have the slots, and they take turns.

use super::endpoints::{At, Member};
use super::weights::reduced;
use std::net::IpAddr;

/// Annotation of a Service: `consistent` or `consistent-port`.
pub const BALANCE: &str = "portolan.dev/balance";
/// Number of slots, a prime. It does not depend on the number of endpoints, for clients keep their
/// slot only in a table of the same size.
pub(super) const SLOTS: u32 = 1021;

/// Endpoints by slot; empty without endpoints. Depends on nothing but the endpoints, so that every
/// node has the same table.
pub(super) fn table(members: &[Member]) -> Vec<At> {
    let mut seats: Vec<Seat> = members
        .iter()
        .zip(reduced(members))
        .filter(|(_, turns)| *turns > 0)
        .map(|(member, turns)| Seat::new(member.at, turns))
        .collect();
    if seats.is_empty() {
        return Vec::new();
    }
    let mut table: Vec<Option<At>> = vec![None; SLOTS as usize];
    let mut left = table.len();
    while left > 0 {
        for seat in &mut seats {
            for _ in 0..seat.turns.min(left) {
                seat.take(&mut table);
                left -= 1;
            }
        }
    }
    table.into_iter().flatten().collect()
}

/// An endpoint with its order of slots.
struct Seat {
    at: At,
    turns: usize,
    next: usize,
    step: usize,
}

impl Seat {
    fn new(at: At, turns: usize) -> Self {
        let slots = SLOTS as usize;
        Self {
            at,
            turns,
            next: hash(at, 1) as usize % slots,
            step: hash(at, 2) as usize % (slots - 1) + 1,
        }
    }

    /// Takes the first free slot in its order. The step has no divisor in common with the number
    /// of slots, so that the order goes through all of them.
    fn take(&mut self, table: &mut [Option<At>]) {
        for _ in 0..table.len() {
            let slot = self.next;
            self.next = (self.next + self.step) % table.len();
            if table[slot].is_none() {
                table[slot] = Some(self.at);
                return;
            }
        }
    }
}

/// FNV-1a, its bits mixed once more, for its low ones are poor.
fn hash(at: At, seed: u8) -> u32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut eat = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    eat(seed);
    match at.ip {
        IpAddr::V4(ip) => ip.octets().into_iter().for_each(&mut eat),
        IpAddr::V6(ip) => ip.octets().into_iter().for_each(&mut eat),
    }
    at.port.to_be_bytes().into_iter().for_each(&mut eat);
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed ^ (mixed >> 33)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn members(numbers: impl Iterator<Item = u8>) -> Vec<Member> {
        let member = |n| Member {
            at: At {
                ip: IpAddr::from([10, 0, 0, n]),
                port: 80,
            },
            weight: 1,
            local: false,
        };
        numbers.map(member).collect()
    }

    #[test]
    fn shares_are_even_and_few_slots_move() {
        let before = table(&members(1..=10));
        let after = table(&members((1..=10).filter(|n| *n != 4)));
        let mut shares: BTreeMap<At, usize> = BTreeMap::new();
        for at in &before {
            *shares.entry(*at).or_default() += 1;
        }
        assert!(shares.values().all(|share| (100..=104).contains(share)));
        let gone = At {
            ip: IpAddr::from([10, 0, 0, 4]),
            port: 80,
        };
        let kept = before.iter().zip(&after);
        let moved = kept.filter(|(b, a)| **b != gone && b != a).count();
        assert!(moved < 60, "{moved} slots of other endpoints moved");
    }

    #[test]
    fn weights_count() {
        let mut two = members(1..=2);
        two[0].weight = 30;
        two[1].weight = 10;
        let share = table(&two).iter().filter(|at| **at == two[0].at).count();
        assert!((760..=770).contains(&share), "{share} of {SLOTS}");
        two[1].weight = 0;
        assert!(table(&two).iter().all(|at| *at == two[0].at));
        assert!(table(&[]).is_empty());
    }
}
