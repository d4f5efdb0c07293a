//! Hands out all objects as they are committed at this instant.

use super::{Failure, Front, objects};
use crate::backup::Backup;
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

/// Lines are sent in pieces of this size.
const PIECE: usize = 64 * 1024;
const QUEUE: usize = 4;

/// GET of a backup.
pub(super) fn serve(front: &Front) -> Failure {
    let backup = {
        let committed = front.hub.committed();
        Backup {
            version: committed.version(),
            objects: committed.state().all().cloned().collect(),
        }
    };
    let (out, pieces) = mpsc::channel(QUEUE);
    tokio::spawn(send(backup.lines(), out));
    Failure::Stream(objects::pieces("application/x-ndjson", pieces))
}

/// A client that goes away ends it.
async fn send(lines: impl Iterator<Item = Bytes> + Send, out: mpsc::Sender<Bytes>) {
    let mut piece = BytesMut::new();
    for line in lines {
        piece.extend_from_slice(&line);
        if piece.len() >= PIECE && out.send(piece.split().freeze()).await.is_err() {
            return;
        }
    }
    let _ = out.send(piece.freeze()).await;
}
