//! The response on its way back, while the request may still be on its way out.

use crate::body::Decoder;
use crate::h1::parse::ResponseHead;
use crate::sink::Sink;
use crate::upstream::exchange::{Failure, receive};
use crate::wire::Reader;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

type BoxedSend<'s> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 's>>;

/// A request that is being sent.
pub(crate) struct Sending<'s> {
    future: Option<BoxedSend<'s>>,
    failed: Option<Failure>,
}

impl<'s> Sending<'s> {
    pub(crate) fn new(future: impl Future<Output = Result<(), Failure>> + Send + 's) -> Self {
        Self {
            future: Some(Box::pin(future)),
            failed: None,
        }
    }

    /// Whether the sending is over, well or not.
    pub(crate) fn is_done(&self) -> bool {
        self.future.is_none()
    }

    /// Whether the whole request was sent.
    pub(crate) fn succeeded(&self) -> bool {
        self.is_done() && self.failed.is_none()
    }

    /// Goes on sending; never returns once that is over.
    async fn go_on(&mut self) {
        let Some(future) = &mut self.future else {
            return std::future::pending().await;
        };
        let done = future.await;
        self.future = None;
        self.failed = done.err();
    }

    /// Waits for the response's head, which may come before the request is through. Interim
    /// responses are passed on. Time is limited from the moment that the request is sent.
    pub(crate) async fn response(
        &mut self,
        reader: &mut Reader,
        sink: &mut Sink<'_>,
        room: usize,
        limit: Duration,
    ) -> Result<ResponseHead, Failure> {
        loop {
            let limit = self.is_done().then_some(limit);
            tokio::select! {
                biased;
                () = self.go_on() => {
                    if matches!(self.failed, Some(Failure::Client(_)))
                        && let Some(failed) = self.failed.take()
                    {
                        return Err(failed);
                    }
                }
                response = within(limit, receive(reader, room)) => match response {
                    Ok(response) if matches!(response.status, 100 | 102) => {}
                    Ok(response) if response.status < 200 && response.status != 101 => {
                        let _ = sink.interim(response.status, &response.headers).await;
                    }
                    Ok(response) => return Ok(response),
                    // The backend may have stopped reading without an answer.
                    Err(error) => return Err(self.failed.take().unwrap_or(error)),
                },
            }
        }
    }
}

async fn within(
    limit: Option<Duration>,
    response: impl Future<Output = Result<ResponseHead, Failure>>,
) -> Result<ResponseHead, Failure> {
    match limit {
        None => response.await,
        Some(limit) => match tokio::time::timeout(limit, response).await {
            Ok(done) => done,
            Err(_) => Err(Failure::Timeout),
        },
    }
}

/// A response's body.
pub(crate) struct Relay {
    pub(crate) decoder: Decoder,
    /// Longest wait between two pieces
    pub(crate) limit: Duration,
    /// Bytes passed on
    pub(crate) length: u64,
}

impl Relay {
    /// Passes the body on; `Err` when it broke off on either side.
    pub(crate) async fn run(
        &mut self,
        sending: &mut Sending<'_>,
        reader: &mut Reader,
        sink: &mut Sink<'_>,
    ) -> Result<(), ()> {
        loop {
            if reader.buffer.is_empty() && !self.decoder.is_done() {
                sink.flush().await.map_err(|_| ())?;
            }
            tokio::select! {
                biased;
                () = sending.go_on() => {}
                piece = self.decoder.next(reader, self.limit) => match piece {
                    Ok(Some(piece)) => {
                        self.length += piece.len() as u64;
                        sink.data(piece).await.map_err(|_| ())?;
                    }
                    Ok(None) => break,
                    Err(_) => {
                        let _ = sink.flush().await;
                        sink.abort();
                        return Err(());
                    }
                },
            }
        }
        sink.end(None).await.map_err(|_| ())
    }
}
