//! Bodies: whole ones and those that come in pieces; and reading a request's within bounds.

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use model::ApiError;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// A request's body may have so many bytes.
const LIMIT: usize = 3 * 1024 * 1024;
/// What is over the limit is read this far, so that the client gets to see the refusal.
const DRAIN: usize = 32 * 1024 * 1024;

/// The body of an answer.
pub(crate) enum Body {
    /// All of it; `None` once it was sent
    Whole(Option<Bytes>),
    /// Pieces as they come
    Pieces(mpsc::Receiver<Bytes>),
    /// Another server's answer, after what was read of it already; the permit is given back at
    /// its end
    Passed {
        first: Option<Bytes>,
        rest: Pin<Box<Incoming>>,
        _permit: OwnedSemaphorePermit,
    },
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(pieces) => pieces
                .poll_recv(context)
                .map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
            Self::Passed { first, rest, .. } => match first.take() {
                Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
                None => rest.as_mut().poll_frame(context),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Pieces(_) => false,
            Self::Passed { first, rest, .. } => first.is_none() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Whole(bytes) => {
                http_body::SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Self::Passed {
                first: None, rest, ..
            } => rest.size_hint(),
            Self::Pieces(_) | Self::Passed { .. } => http_body::SizeHint::default(),
        }
    }
}

/// Reads a request's body.
///
/// # Errors
/// 413 when it is too large, 400 when the connection breaks.
pub(crate) async fn read(body: &mut Incoming) -> Result<Bytes, ApiError> {
    let mut all = BytesMut::new();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| api::answer::bad_request(error.to_string()))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        seen += data.len();
        if seen <= LIMIT {
            all.extend_from_slice(data);
        } else if seen > DRAIN {
            break;
        }
    }
    if seen > LIMIT {
        let text = format!("Request entity too large: limit is {LIMIT}");
        return Err(ApiError::new(413, "RequestEntityTooLarge", text));
    }
    Ok(all.freeze())
}
