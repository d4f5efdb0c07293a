//! Keeps up with one collection: list, watch, and list again where the watch cannot go on.

use crate::client::Client;
use crate::decode::{Decoder, Line};
use crate::error::Error;
use crate::paths::{Collection, escaped};
use crate::retry::{Backoff, chance};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use model::{Event, EventKind, Meta, Object};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// Objects in one page of a list.
const PAGE: u32 = 500;
/// The server ends a watch after this long, and up to twice that.
const WATCH_SECONDS: f64 = 300.0;
/// A watch without a line, bookmarks included, for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(200);
/// Longest line of a watch.
const LINE_BYTES: usize = 16 << 20;
/// How often a resource that the server does not know is asked for again.
const UNKNOWN_AGAIN: Duration = Duration::from_secs(60);
/// So many refusals of a watch lead to a new list.
const WATCH_REFUSALS: u32 = 5;

/// What an informer tells.
pub(crate) enum Message {
    Events(Vec<Event>),
    /// The whole collection is told
    Listed,
    /// An attempt failed; told once until it goes well again
    Trouble(Error),
    Recovered,
}

type Key = (Arc<str>, Arc<str>);

/// Follows one collection until it is dropped.
pub(crate) struct Informer {
    client: Client,
    what: Collection,
    decoder: Decoder,
    tell: Sender<(Collection, Message)>,
    /// Versions of all objects that were told, for the differences to a new list
    known: BTreeMap<Key, (u64, Arc<str>)>,
    version: String,
    troubled: bool,
}

impl Informer {
    pub(crate) fn new(
        client: Client,
        what: Collection,
        tell: Sender<(Collection, Message)>,
    ) -> Self {
        Self {
            decoder: Decoder::new(&what),
            client,
            what,
            tell,
            known: BTreeMap::new(),
            version: String::new(),
            troubled: false,
        }
    }

    /// Never returns but when nobody listens any more.
    pub(crate) async fn run(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            match self.list().await {
                Ok(()) => backoff.reset(),
                Err(error) if self.what.optional && matches!(error.code(), Some(403 | 404)) => {
                    if error.code() == Some(403) {
                        tracing::warn!(%error, "going without {}", self.what.resource);
                    }
                    self.forget_all().await;
                    self.tell(Message::Listed).await;
                    tokio::time::sleep(UNKNOWN_AGAIN).await;
                    continue;
                }
                Err(error) => {
                    self.wait_after(error, &mut backoff).await;
                    continue;
                }
            }
            self.recovered().await;
            self.tell(Message::Listed).await;
            self.watch_on(&mut backoff).await;
            if self.tell.is_closed() {
                return;
            }
        }
    }

    /// Tells that all objects are gone, for nobody wants to follow them any more.
    pub(crate) async fn forget_all(&mut self) {
        let keys: Vec<Key> = self.known.keys().cloned().collect();
        let events = keys.iter().filter_map(|key| self.gone(key)).collect();
        self.tell(Message::Events(events)).await;
    }

    /// Watches from the last version, again and again, until only a new list helps.
    async fn watch_on(&mut self, backoff: &mut Backoff) {
        let mut refusals = 0;
        while !self.tell.is_closed() {
            let since = Instant::now();
            let mut heard = false;
            let ended = self.watch(&mut heard).await;
            if heard {
                backoff.reset();
                refusals = 0;
            }
            match ended {
                Err(error) if error.is_gone() => {
                    tracing::debug!(what = %self.what.resource, "listing again");
                    return;
                }
                Err(error) => {
                    refusals += u32::from(error.code().is_some());
                    self.wait_after(error, backoff).await;
                    if refusals >= WATCH_REFUSALS {
                        return;
                    }
                }
                // A server that ends watches at once is asked less often.
                Ok(()) if since.elapsed() < Duration::from_secs(1) => {
                    tokio::time::sleep(backoff.next()).await;
                }
                Ok(()) => {}
            }
        }
    }

    async fn wait_after(&mut self, error: Error, backoff: &mut Backoff) {
        let mut wait = backoff.next();
        if let Error::Status {
            retry_after: Some(seconds),
            ..
        } = &error
        {
            wait = wait.max(Duration::from_secs((*seconds).min(60)));
        }
        tracing::debug!(what = %self.what.resource, %error, ?wait, "trying again");
        if !self.troubled {
            self.troubled = true;
            self.tell(Message::Trouble(error)).await;
        }
        tokio::time::sleep(wait).await;
    }

    async fn recovered(&mut self) {
        if self.troubled {
            self.troubled = false;
            self.tell(Message::Recovered).await;
        }
    }

    async fn tell(&self, message: Message) {
        if matches!(&message, Message::Events(events) if events.is_empty()) {
            return;
        }
        let _ = self.tell.send((self.what.clone(), message)).await;
    }

    /// Lists page by page and tells what differs from what was told before.
    async fn list(&mut self) -> Result<(), Error> {
        let base = self.what.path();
        let mut seen = BTreeSet::new();
        let mut next = String::new();
        loop {
            let mut path = format!("{base}limit={PAGE}");
            if !next.is_empty() {
                path.push_str("&continue=");
                path.push_str(&escaped(&next));
            }
            let page = self.decoder.page(&self.client.get(&path).await?)?;
            let mut events = Vec::new();
            for object in page.objects {
                seen.insert(key(&object.meta));
                events.extend(self.changed(object));
            }
            self.tell(Message::Events(events)).await;
            if page.next.is_empty() {
                self.version = page.version;
                break;
            }
            next = page.next;
        }
        let gone: Vec<Key> = self
            .known
            .keys()
            .filter(|k| !seen.contains(*k))
            .cloned()
            .collect();
        let events = gone.iter().filter_map(|key| self.gone(key)).collect();
        self.tell(Message::Events(events)).await;
        Ok(())
    }

    /// One watch, to its end.
    async fn watch(&mut self, heard: &mut bool) -> Result<(), Error> {
        let seconds = WATCH_SECONDS * (1.0 + chance());
        let path = format!(
            "{}watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={seconds:.0}",
            self.what.path(),
            escaped(&self.version),
        );
        let (_connection, body) = self.client.stream(&path).await?;
        self.recovered().await;
        self.follow(body, heard).await
    }

    async fn follow(&mut self, mut body: Incoming, heard: &mut bool) -> Result<(), Error> {
        let mut buffer: Vec<u8> = Vec::new();
        loop {
            let frame = tokio::time::timeout(SILENCE, body.frame()).await;
            let frame = frame.map_err(|_| self.broken(format!("silent for {SILENCE:?}")))?;
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.map_err(|error| self.broken(error.to_string()))?;
            let Some(data) = frame.data_ref() else {
                continue;
            };
            buffer.extend_from_slice(data);
            if buffer.len() > LINE_BYTES {
                return Err(Error::Answer("a line of a watch has no end".to_owned()));
            }
            if let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') {
                *heard = true;
                let taken = self.take_lines(&buffer[..end]);
                buffer.drain(..=end);
                let (events, result) = taken;
                self.tell(Message::Events(events)).await;
                result?;
            }
        }
    }

    /// Reads whole lines; an error comes with what was read before it.
    fn take_lines(&mut self, lines: &[u8]) -> (Vec<Event>, Result<(), Error>) {
        let mut events = Vec::new();
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            match self.decoder.line(line) {
                Ok(Some(Line::Change(EventKind::Deleted, object))) => {
                    self.version = object.meta.resource_version.to_string();
                    self.known.remove(&key(&object.meta));
                    events.push(Event {
                        kind: EventKind::Deleted,
                        object,
                        old: None,
                    });
                }
                Ok(Some(Line::Change(_, object))) => {
                    self.version = object.meta.resource_version.to_string();
                    events.extend(self.changed(object));
                }
                Ok(Some(Line::Bookmark(version))) => self.version = version,
                Ok(None) => {}
                Err(error) => return (events, Err(error)),
            }
        }
        (events, Ok(()))
    }

    /// An event, unless this version was told already.
    fn changed(&mut self, object: Arc<Object>) -> Option<Event> {
        let now = (object.meta.resource_version, object.meta.uid.clone());
        let before = self.known.insert(key(&object.meta), now.clone());
        let kind = match before {
            Some(before) if before == now => return None,
            Some(_) => EventKind::Modified,
            None => EventKind::Added,
        };
        Some(Event {
            kind,
            object,
            old: None,
        })
    }

    /// The deletion of an object that is no longer listed; of its last state only the name is left.
    fn gone(&mut self, key: &Key) -> Option<Event> {
        let (resource_version, uid) = self.known.remove(key)?;
        let meta = Meta {
            namespace: key.0.clone(),
            name: key.1.clone(),
            uid,
            resource_version,
            ..Meta::default()
        };
        let object = Object {
            resource: self.what.resource,
            meta: Arc::new(meta),
            bytes: Arc::from(b"{}".as_slice()),
        };
        Some(Event {
            kind: EventKind::Deleted,
            object: Arc::new(object),
            old: None,
        })
    }

    fn broken(&self, message: String) -> Error {
        Error::Transport {
            server: self.client.server(),
            message,
        }
    }
}

fn key(meta: &Meta) -> Key {
    (meta.namespace.clone(), meta.name.clone())
}
