//! The UDP side of a listener.

use crate::metrics::Family;
use crate::service::{Outcome, Service, Source};
use dns::Transport;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tracing::debug;

/// Largest question that is read: one name and a few options take a small part of it.
const DATAGRAM: usize = 4096;
/// Pause after a failed read, so that a lasting failure does not burn a core.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves a socket until `stop` says so.
pub(crate) async fn serve(socket: UdpSocket, service: Arc<Service>, mut stop: watch::Receiver<()>) {
    let socket = Arc::new(socket);
    let mut message = vec![0; DATAGRAM];
    let mut out = Vec::with_capacity(DATAGRAM);
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut message) => received,
            _ = stop.changed() => return,
        };
        let (length, peer) = match received {
            Ok(received) => received,
            Err(error) => {
                debug!(%error, "cannot receive");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let source = Source {
            transport: Transport::Udp,
            family: Family::of(peer.ip()),
        };
        match service.ask(&message[..length], source, &mut out) {
            Outcome::Nothing => {}
            Outcome::Ready => {
                if let Err(error) = socket.send_to(&out, peer).await {
                    debug!(%error, %peer, "cannot reply");
                }
            }
            Outcome::Waiting(waiting) => {
                let (socket, service) = (socket.clone(), service.clone());
                tokio::spawn(async move {
                    let mut out = Vec::new();
                    service.finish(waiting, &mut out).await;
                    if let Err(error) = socket.send_to(&out, peer).await {
                        debug!(%error, %peer, "cannot reply");
                    }
                });
            }
        }
    }
}
