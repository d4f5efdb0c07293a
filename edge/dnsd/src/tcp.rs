//! The TCP side of a listener (RFC 7766): questions on one connection do not wait for each other.

use crate::metrics::Family;
use crate::service::{Outcome, Service, Source};
use dns::Transport;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::timeout;
use tracing::debug;

/// Memory that a connection keeps for its next question.
const QUESTION_USUAL: usize = 1024;
/// Questions of one connection that may wait for other servers at a time.
const PIPELINE: u32 = 64;
/// How long the rest of a frame may take, and how long a reply may take to be sent.
const FRAME: Duration = Duration::from_secs(3);
const SEND: Duration = Duration::from_secs(5);
/// Pause after a failed accept, which mostly means that there are no file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Limits of all connections.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) idle: Duration,
}

type Writer = Arc<Mutex<OwnedWriteHalf>>;

/// Serves a listener until `stop` says so.
pub(crate) async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    limits: Arc<Limits>,
    mut stop: watch::Receiver<()>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "cannot accept");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = limits.connections.clone().try_acquire_owned() else {
            continue;
        };
        let (service, idle, mut stop) = (service.clone(), limits.idle, stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let ended = tokio::select! {
                ended = connection(stream, &service, idle) => ended,
                _ = stop.changed() => Ok(()),
            };
            if let Err(error) = ended {
                debug!(%error, "connection ended");
            }
        });
    }
}

/// Reads questions until the client is done, silent for too long, or sends rubbish.
async fn connection(stream: TcpStream, service: &Arc<Service>, idle: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let source = Source {
        transport: Transport::Tcp,
        family: Family::of(stream.peer_addr()?.ip()),
    };
    let (mut reader, writer) = stream.into_split();
    let writer: Writer = Arc::new(Mutex::new(writer));
    let pipeline = Arc::new(Semaphore::new(PIPELINE as usize));
    let (mut message, mut out) = (Vec::new(), Vec::new());
    loop {
        let length = match timeout(idle, reader.read_u16()).await? {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        };
        // Grows with what comes, not with what is announced.
        message.clear();
        message.shrink_to(QUESTION_USUAL);
        let mut frame = (&mut reader).take(u64::from(length));
        timeout(FRAME, frame.read_to_end(&mut message)).await??;
        if message.len() < usize::from(length) {
            break;
        }
        match service.ask(&message, source, &mut out) {
            Outcome::Nothing => break,
            Outcome::Ready => send(&writer, &out).await?,
            Outcome::Waiting(waiting) => {
                let permit = pipeline.clone().acquire_owned().await;
                let (service, writer) = (service.clone(), writer.clone());
                tokio::spawn(async move {
                    let _permit = permit;
                    let mut out = Vec::new();
                    service.finish(waiting, &mut out).await;
                    if let Err(error) = send(&writer, &out).await {
                        debug!(%error, "cannot reply");
                    }
                });
            }
        }
    }
    // Replies that are still to come hold the writing half open.
    let _ = pipeline.acquire_many(PIPELINE).await;
    Ok(())
}

async fn send(writer: &Writer, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let frame = [&length.to_be_bytes()[..], message].concat();
    let mut writer = writer.lock().await;
    timeout(SEND, writer.write_all(&frame)).await?
}
