//! Which of a Route's backends is next.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Most clients that one Service port remembers; the longest unseen are forgotten first.
pub const AFFINITY_ENTRIES: usize = 10_000;

/// Chooses backends in turn and, with affinity, keeps clients where they were. One balancer serves
/// all frontends of a Service port, so that a client meets the same Pod by each of them.
#[derive(Debug, Default)]
pub struct Balancer {
    turn: usize,
    clients: BTreeMap<IpAddr, Seat>,
}

#[derive(Clone, Copy, Debug)]
struct Seat {
    backend: SocketAddr,
    seen: Duration,
}

impl Balancer {
    /// A balancer whose first choice is number `start` of the backends, modulo their count.
    pub fn starting_at(start: usize) -> Self {
        Self {
            turn: start,
            clients: BTreeMap::new(),
        }
    }

    /// The backend for a new connection of `client` at monotonic time `now`, none of `tried`.
    /// With `affinity`, the client's last backend comes first as long as it is among `backends`
    /// and was used within that time.
    pub fn choose(
        &mut self,
        backends: &[SocketAddr],
        client: IpAddr,
        affinity: Option<Duration>,
        now: Duration,
        tried: &[SocketAddr],
    ) -> Option<SocketAddr> {
        let usable = |at: &SocketAddr| backends.contains(at) && !tried.contains(at);
        let Some(timeout) = affinity else {
            self.clients.clear();
            return self.next(backends, tried);
        };
        let seat = self.clients.get(&client).copied();
        let kept = seat.filter(|seat| usable(&seat.backend) && fresh(seat, timeout, now));
        let backend = match kept {
            Some(seat) => seat.backend,
            None => self.next(backends, tried)?,
        };
        if seat.is_none() {
            self.make_room(timeout, now);
        }
        self.clients.insert(client, Seat { backend, seen: now });
        Some(backend)
    }

    /// Number of clients that are remembered.
    pub fn remembered(&self) -> usize {
        self.clients.len()
    }

    fn next(&mut self, backends: &[SocketAddr], tried: &[SocketAddr]) -> Option<SocketAddr> {
        let count = backends.len();
        let first = self.turn.checked_rem(count)?;
        let mut order = (0..count).map(|step| (first + step) % count);
        let index = order.find(|index| !tried.contains(&backends[*index]))?;
        self.turn = index + 1;
        Some(backends[index])
    }

    /// Forgets the clients whose time is over and, when that is not enough, the eighth that was
    /// not seen for longest, so that a flood of clients costs little per client.
    fn make_room(&mut self, timeout: Duration, now: Duration) {
        if self.clients.len() < AFFINITY_ENTRIES {
            return;
        }
        self.clients.retain(|_, seat| fresh(seat, timeout, now));
        if self.clients.len() < AFFINITY_ENTRIES {
            return;
        }
        let mut seen: Vec<Duration> = self.clients.values().map(|seat| seat.seen).collect();
        let (_, cut, _) = seen.select_nth_unstable(AFFINITY_ENTRIES / 8);
        let cut = *cut;
        self.clients.retain(|_, seat| seat.seen > cut);
    }
}

fn fresh(seat: &Seat, timeout: Duration, now: Duration) -> bool {
    now.saturating_sub(seat.seen) < timeout
}

#[cfg(test)]
mod tests;
