//! Bodies of answers.

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Largest gRPC message that is echoed, bytes (the default limit of gRPC clients).
const MESSAGE_BYTES: usize = 4 << 20;

/// What an answer carries.
pub(super) enum Answer {
    /// Known at once
    Whole(Option<Bytes>),
    /// Messages, then `grpc-status`
    Grpc(GrpcEcho),
}

/// Sends messages back as they arrive.
pub(super) struct GrpcEcho {
    from: Option<Incoming>,
    pending: BytesMut,
    ready: VecDeque<Bytes>,
    status: Option<&'static str>,
}

impl GrpcEcho {
    /// Echoes the messages of a request.
    pub(super) fn new(from: Incoming) -> Self {
        Self {
            from: Some(from),
            pending: BytesMut::new(),
            ready: VecDeque::new(),
            status: Some("0"),
        }
    }

    /// Answers with one message.
    pub(super) fn message(frame: Vec<u8>) -> Self {
        Self {
            from: None,
            pending: BytesMut::new(),
            ready: VecDeque::from([frame.into()]),
            status: Some("0"),
        }
    }

    /// Takes whole messages out of what has arrived.
    fn split(&mut self) {
        const RESOURCE_EXHAUSTED: &str = "8";
        while let Some(head) = self.pending.first_chunk::<5>() {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            if length > MESSAGE_BYTES {
                self.from = None;
                self.status = Some(RESOURCE_EXHAUSTED);
                return;
            }
            if self.pending.len() < length + 5 {
                return;
            }
            self.ready
                .push_back(self.pending.split_to(length + 5).freeze());
        }
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, hyper::Error>>>;

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        match self.get_mut() {
            Self::Whole(bytes) => {
                let bytes = bytes.take().filter(|bytes| bytes.has_remaining());
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Grpc(echo) => echo.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Grpc(echo) => echo.status.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Grpc(_) => SizeHint::default(),
        }
    }
}

impl GrpcEcho {
    fn poll(&mut self, context: &mut Context<'_>) -> Polled {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(message))));
            }
            let Some(from) = &mut self.from else {
                return Poll::Ready(self.status.take().map(|status| {
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", HeaderValue::from_static(status));
                    Ok(Frame::trailers(trailers))
                }));
            };
            match Pin::new(from).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.pending.extend_from_slice(&data);
                        self.split();
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => self.from = None,
            }
        }
    }
}
