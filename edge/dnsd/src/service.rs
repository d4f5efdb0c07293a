//! From one message to one reply, however it came.

use crate::forwarder::Forwarder;
use crate::metrics::{Family, Metrics};
use arc_swap::ArcSwap;
use dns::{Answer, Forward, Stored, Transport, Zone, rtype};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all listeners share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) zone: Arc<ArcSwap<Zone>>,
    pub(crate) forwarder: Arc<Forwarder>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) in_flight: Arc<Semaphore>,
}

/// A question that waits for another server.
pub(crate) struct Waiting {
    forward: Box<Forward>,
    source: Source,
    start: Instant,
    _permit: OwnedSemaphorePermit,
}

/// What became of a message.
pub(crate) enum Outcome {
    /// The reply is written
    Ready,
    /// There is none
    Nothing,
    /// It needs [`Service::finish`]
    Waiting(Waiting),
}

/// How a message came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) transport: Transport,
    pub(crate) family: Family,
}

impl Service {
    /// Answers a message as far as that goes without waiting.
    pub(crate) fn ask(&self, message: &[u8], source: Source, out: &mut Vec<u8>) -> Outcome {
        let start = Instant::now();
        self.metrics.request(message, source);
        let seed = self.forwarder.seed();
        let forward = {
            let zone = self.zone.load();
            match dns::answer(&zone, message, source.transport, seed, out) {
                Answer::Drop => return Outcome::Nothing,
                Answer::Reply => None,
                Answer::Shared(forward) => {
                    self.share(&forward, seed, out);
                    None
                }
                Answer::Forward(forward) => Some(forward),
            }
        };
        let Some(forward) = forward else {
            self.metrics.response(out, start.elapsed());
            return Outcome::Ready;
        };
        if let Some((stored, age)) = self.forwarder.cached(&forward.key) {
            forward.complete(&stored, age, seed, out);
        } else if let Ok(permit) = self.in_flight.clone().try_acquire_owned() {
            return Outcome::Waiting(Waiting {
                forward,
                source,
                start,
                _permit: permit,
            });
        } else {
            self.metrics.rejected();
            forward.fail(rtype::REFUSED, out);
        }
        self.metrics.response(out, start.elapsed());
        Outcome::Ready
    }

    /// Waits for the other server and writes the reply.
    pub(crate) async fn finish(&self, waiting: Waiting, out: &mut Vec<u8>) {
        let tcp = waiting.source.transport == Transport::Tcp;
        let forward = &waiting.forward;
        let stored = self.forwarder.resolve(&forward.key, tcp).await;
        forward.complete(&stored, 0, self.forwarder.seed(), out);
        self.metrics.response(out, waiting.start.elapsed());
    }

    /// A name of a reverse zone: a kept answer goes before the zone's, which is kept otherwise.
    fn share(&self, forward: &Forward, seed: u64, out: &mut Vec<u8>) {
        if let Some((stored, age)) = self.forwarder.cached(&forward.key) {
            forward.complete(&stored, age, seed, out);
            return;
        }
        let id = out.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
        if let Ok(stored) = Stored::read(&forward.key, id, false, out) {
            self.forwarder.keep(&forward.key, Arc::new(stored));
        }
    }
}
