//! HTTP/2 connections to gRPC backends, shared by all requests of a thread.

use super::PoolKey;
use crate::SocketSource;
use bytes::Bytes;
use h2::client::SendRequest;
use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Open connections.
#[derive(Default)]
pub(crate) struct GrpcPool {
    open: Mutex<HashMap<PoolKey, SendRequest<Bytes>>>,
}

impl GrpcPool {
    /// A connection that takes a further stream.
    pub(crate) async fn get(
        &self,
        key: &PoolKey,
        limit: Duration,
        from: Option<&SocketSource>,
    ) -> io::Result<SendRequest<Bytes>> {
        let known = {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.get(key).cloned()
        };
        if let Some(known) = known
            && let Ok(ready) = known.ready().await
        {
            return Ok(ready);
        }
        let stream = super::open(key, limit, &[b"h2"], from).await?;
        let handshake = h2::client::Builder::new()
            .initial_window_size(1 << 20)
            .initial_connection_window_size(1 << 21)
            .handshake(stream);
        let (sender, connection) = handshake.await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        self.remember(key, &sender);
        sender.ready().await.map_err(io::Error::other)
    }

    fn remember(&self, key: &PoolKey, sender: &SendRequest<Bytes>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(key.clone(), sender.clone());
    }

    /// Forgets a connection that failed.
    pub(crate) fn forget(&self, key: &PoolKey) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(key);
    }
}
