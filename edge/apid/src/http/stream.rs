//! Watches. Each reads the shared history at its own pace; one that falls behind it is ended with
//! 410, one that does not read at all is cut, so that neither holds memory: a watch owns a few
//! pieces of bounded size and a place in the history.

use super::{Answer, Call, Failure, Front, objects};
use crate::hub::Hub;
use api::{
    Accept, Include, ListOptions, Renderer, ResourcePath, Selection, Transform, answer,
    parse_version, watch as events,
};
use bytes::{Bytes, BytesMut};
use model::{ApiError, Object, Resource};
use schema::Registry;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// Events taken out of the history at a time.
const CHUNK: usize = 64;
/// Events go out in pieces of about this size, or as soon as there are no more.
const PIECE: usize = 64 * 1024;
/// An object of this size is sent as it is stored, shared by all watches.
const SHARED: usize = 16 * 1024;
/// Pieces that may wait for a client.
const QUEUE: usize = 4;
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// The last bookmark comes so long before the end of the watch.
const BEFORE_END: Duration = Duration::from_secs(2);
/// A client that takes nothing for so long is cut.
const STALLED: Duration = Duration::from_secs(30);
const DEFAULT_SECONDS: u64 = 1800;

struct Watcher {
    hub: Arc<Hub>,
    registry: Registry,
    selection: Selection,
    path: ResourcePath,
    accept: Accept,
    include: Include,
    bookmarks: bool,
    end: Instant,
    out: mpsc::Sender<Bytes>,
    /// Lines that are not sent yet
    lines: BytesMut,
    first: bool,
}

/// GET with `watch`.
pub(super) fn watch(front: &Front, call: &Call, path: &ResourcePath) -> Result<Answer, Failure> {
    let accept = call.accept()?;
    let options = ListOptions::parse(&call.query, true)?;
    let selection = Selection::new(path, &options)?;
    let wanted = parse_version(&options.resource_version).map_err(answer::plain_500)?;
    let include = match accept.transform {
        Transform::Table(_) => Include::parse(&call.query)?,
        _ => Include::default(),
    };
    let permit = front.watches.clone().try_acquire_owned().map_err(|_| {
        ApiError::new(
            429,
            "TooManyRequests",
            "Too many requests: too many watches, please try again later",
        )
    })?;
    let seconds = options
        .timeout_seconds
        .and_then(|s| u64::try_from(s).ok())
        .filter(|s| *s > 0);
    let seconds =
        seconds.unwrap_or_else(|| DEFAULT_SECONDS + crate::clock::random() % DEFAULT_SECONDS);
    let now = Instant::now();
    let end = now.checked_add(Duration::from_secs(seconds));
    let end = end.unwrap_or(now + Duration::from_secs(DEFAULT_SECONDS * 2));
    let (out, pieces) = mpsc::channel(QUEUE);
    let watcher = Watcher {
        hub: front.hub.clone(),
        selection,
        registry: call.registry.clone(),
        path: path.clone(),
        accept: accept.clone(),
        include,
        bookmarks: options.bookmarks,
        end,
        out,
        lines: BytesMut::new(),
        first: true,
    };
    let mut stopping = front.stopping.clone();
    tokio::spawn(async move {
        let hub = watcher.hub.clone();
        hub.metrics.watches.fetch_add(1, Ordering::Relaxed);
        let closed = watcher.out.clone();
        tokio::select! {
            _ = watcher.run(wanted, options.initial_events) => {}
            () = tokio::time::sleep_until(end) => {}
            () = closed.closed() => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        hub.metrics.watches.fetch_sub(1, Ordering::Relaxed);
        drop(permit);
    });
    let content_type = match accept.encoding {
        api::Encoding::Json => "application/json",
        api::Encoding::Yaml => "application/yaml",
    };
    Err(Failure::Stream(objects::pieces(content_type, pieces)))
}

/// The client is gone or does not read.
struct Gone;

impl Watcher {
    async fn run(mut self, wanted: u64, initial: Option<bool>) -> Result<(), Gone> {
        let mut changes = self.hub.changes(self.selection.resource);
        let mut definitions = self.hub.changes(Resource::DEFINITIONS);
        let custom = self.path.kind.custom().is_some();
        let mut at = match initial {
            Some(true) => self.initial(true).await?,
            None if wanted == 0 => self.initial(false).await?,
            _ if wanted == 0 => self.hub.committed().version(),
            _ => wanted,
        };
        let mut due = self.next_bookmark();
        loop {
            let chunk = {
                let committed = self.hub.committed();
                let chunk = committed.changes_after(self.selection.resource, at, CHUNK);
                if chunk.as_ref().is_ok_and(Vec::is_empty) {
                    at = at.max(committed.version());
                }
                chunk
            };
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    self.append(&events::line("ERROR", &error.status())).await?;
                    return self.flush().await;
                }
            };
            if !chunk.is_empty() {
                for logged in chunk {
                    at = logged.version();
                    if let Some(seen) = events::seen(&self.selection, &logged) {
                        self.event(seen.kind, &seen.object).await?;
                    }
                }
                continue;
            }
            if self.bookmarks && Instant::now() >= due {
                self.bookmark(at, false).await?;
                due = self.next_bookmark();
            }
            self.flush().await?;
            tokio::select! {
                changed = changes.changed() => changed.map_err(|_| Gone)?,
                changed = definitions.changed(), if custom => {
                    changed.map_err(|_| Gone)?;
                    if self.is_outdated() {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(due), if self.bookmarks => {}
            }
        }
    }

    /// Roughly every minute, and shortly before the end.
    fn next_bookmark(&self) -> Instant {
        let now = Instant::now();
        let regular = now + BOOKMARK_EVERY;
        match self.end.checked_sub(BEFORE_END) {
            Some(last) if last > now && last < regular => last,
            _ => regular,
        }
    }

    /// Whether the definition of the custom kind has changed or gone: as in the original, its
    /// watches end then.
    fn is_outdated(&self) -> bool {
        let kind = &self.path.kind;
        let registry = self.hub.registry();
        let now = registry.by_resource(&kind.group, &kind.version, &kind.plural);
        let now = now.and_then(|kind| kind.custom());
        match (kind.custom(), now) {
            (Some(then), Some(now)) => !then.has_same_spec(now),
            (then, now) => then.is_some() != now.is_some(),
        }
    }

    /// What is there already, as ADDED events.
    async fn initial(&mut self, marked: bool) -> Result<u64, Gone> {
        let (items, version) = {
            let committed = self.hub.committed();
            let page = committed.list(&self.selection, &ListOptions::default());
            page.map_or((Vec::new(), 0), |page| (page.items, page.version))
        };
        for object in items {
            self.event("ADDED", &object).await?;
        }
        if marked && self.bookmarks {
            self.bookmark(version, true).await?;
        }
        Ok(version)
    }

    fn renderer(&self) -> Renderer<'_> {
        Renderer {
            registry: &self.registry,
            kind: &self.path.kind,
            accept: &self.accept,
            include: self.include,
            pretty: false,
            now: crate::clock::now(),
        }
    }

    async fn event(&mut self, kind: &str, object: &Arc<Object>) -> Result<(), Gone> {
        if self.renderer().is_verbatim(object) {
            // The text was made once, when the object was stored.
            self.append(events::line_start(kind).as_bytes()).await?;
            if object.bytes.len() < SHARED {
                self.append(&object.bytes).await?;
            } else {
                self.flush().await?;
                self.send(Bytes::from_owner(object.bytes.clone())).await?;
            }
            return self.append(events::LINE_END.as_bytes()).await;
        }
        let value = self.renderer().event_object(object, self.first);
        self.first = false;
        self.append(&events::line(kind, &value)).await
    }

    async fn bookmark(&mut self, version: u64, initial_end: bool) -> Result<(), Gone> {
        let line = events::bookmark(&self.renderer(), version, initial_end);
        self.append(&line).await
    }

    async fn append(&mut self, text: &[u8]) -> Result<(), Gone> {
        self.lines.extend_from_slice(text);
        if self.lines.len() < PIECE {
            return Ok(());
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.lines).freeze();
        self.send(piece).await
    }

    async fn send(&self, piece: Bytes) -> Result<(), Gone> {
        match timeout(STALLED, self.out.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }
}
