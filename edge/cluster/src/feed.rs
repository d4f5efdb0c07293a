//! Several collections as one stream of events.

use crate::client::Client;
use crate::error::Error;
use crate::informer::{Informer, Message};
use crate::paths::Collection;
use model::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

/// Messages that wait for the reader before informers wait too.
const QUEUE: usize = 64;

/// What a feed tells.
#[derive(Debug)]
pub enum Notice {
    /// Changes, in the order of each collection
    Events(Arc<[Event]>),
    /// Everything that is there of all collections has been told
    Synced,
    /// A collection cannot be followed at the moment; it is tried again until it can
    Trouble {
        /// Which
        what: Collection,
        /// Why
        error: Error,
    },
    /// It can again
    Recovered {
        /// Which
        what: Collection,
    },
}

/// Follows collections; it stops when it is dropped.
pub struct Feed {
    client: Client,
    messages: Receiver<(Collection, Message)>,
    tell: Sender<(Collection, Message)>,
    running: BTreeMap<Collection, Running>,
    synced: bool,
}

struct Running {
    listed: bool,
    _stop: oneshot::Sender<()>,
}

impl Feed {
    /// A feed of nothing.
    pub fn new(client: Client) -> Self {
        let (tell, messages) = channel(QUEUE);
        Self {
            client,
            messages,
            tell,
            running: BTreeMap::new(),
            synced: false,
        }
    }

    /// From now on follows exactly these; objects of collections that are no longer among them are
    /// told as deleted.
    pub fn follow(&mut self, wanted: BTreeSet<Collection>) {
        self.running.retain(|what, _| wanted.contains(what));
        for what in wanted {
            if self.running.contains_key(&what) {
                continue;
            }
            let (stop, stopped) = oneshot::channel();
            let running = Running {
                listed: false,
                _stop: stop,
            };
            self.running.insert(what.clone(), running);
            let informer = Informer::new(self.client.clone(), what, self.tell.clone());
            tokio::spawn(keep_up(informer, stopped));
            self.synced = false;
        }
    }

    /// Waits for the next notice. May be dropped while it waits.
    pub async fn next(&mut self) -> Notice {
        loop {
            if !self.synced && self.running.values().all(|running| running.listed) {
                self.synced = true;
                return Notice::Synced;
            }
            let Some((what, message)) = self.messages.recv().await else {
                return std::future::pending().await;
            };
            match message {
                Message::Events(events) => return Notice::Events(events.into()),
                Message::Listed => {
                    if let Some(running) = self.running.get_mut(&what) {
                        running.listed = true;
                    }
                }
                Message::Trouble(error) => return Notice::Trouble { what, error },
                Message::Recovered => return Notice::Recovered { what },
            }
        }
    }
}

async fn keep_up(mut informer: Informer, stopped: oneshot::Receiver<()>) {
    tokio::select! {
        () = informer.run() => {}
        _ = stopped => informer.forget_all().await,
    }
}
