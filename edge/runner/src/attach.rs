//! Where clients attach to a container that runs: its input, and copies of what it prints.

use crate::logs::Output;
use crate::spawn::{Input, Terminal};
use bytes::Bytes;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Pieces that may wait for a client.
const QUEUE: usize = 64;

/// A client that takes nothing for so long is cut off; until then its container waits for it.
const STALLED: Duration = Duration::from_secs(10);

/// Clients of one container at once, at most.
const CLIENTS: usize = 32;

/// One run of a container, as clients see it.
#[derive(Default)]
pub(crate) struct Point {
    stdin: tokio::sync::Mutex<Option<Input>>,
    /// `stdinOnce`: the first client's end of input is the process' as well
    once: bool,
    terminal: Option<Terminal>,
    taps: Mutex<Taps>,
}

#[derive(Default)]
struct Taps {
    open: Vec<(Output, mpsc::Sender<Bytes>)>,
    /// Nothing more will be printed there
    over: Vec<Output>,
}

impl Point {
    pub(crate) fn new(stdin: Option<Input>, once: bool, terminal: Option<Terminal>) -> Self {
        Self {
            stdin: tokio::sync::Mutex::new(stdin),
            once,
            terminal,
            taps: Mutex::default(),
        }
    }

    /// Whether everything that is printed goes through a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// From now on, what is printed; nothing when there are too many clients.
    pub(crate) fn tap(&self, output: Output) -> Option<mpsc::Receiver<Bytes>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        if taps.open.len() >= 2 * CLIENTS {
            return None;
        }
        if !taps.over.contains(&output) {
            taps.open.push((output, sender));
        }
        Some(receiver)
    }

    /// Hands out what was printed.
    pub(crate) async fn printed(&self, output: Output, bytes: &[u8]) {
        let listeners: Vec<mpsc::Sender<Bytes>> = {
            let taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
            let of_output = taps.open.iter().filter(|(of, _)| *of == output);
            of_output.map(|(_, sender)| sender.clone()).collect()
        };
        if listeners.is_empty() {
            return;
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let mut lost = Vec::new();
        for listener in listeners {
            let sent = timeout(STALLED, listener.send(bytes.clone())).await;
            if !matches!(sent, Ok(Ok(()))) {
                lost.push(listener);
            }
        }
        if !lost.is_empty() {
            let mut taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
            let is_lost =
                |sender: &mpsc::Sender<Bytes>| lost.iter().any(|l| l.same_channel(sender));
            taps.open.retain(|(_, sender)| !is_lost(sender));
        }
    }

    /// Nothing more will be printed there.
    pub(crate) fn over(&self, output: Output) {
        let mut taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        taps.over.push(output);
        taps.open.retain(|(of, _)| *of != output);
    }

    /// Gives a client's input to the process.
    pub(crate) async fn feed(&self, mut from: mpsc::Receiver<Bytes>) {
        while let Some(bytes) = from.recv().await {
            let mut stdin = self.stdin.lock().await;
            let Some(to) = stdin.as_mut() else { return };
            if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
                *stdin = None;
                return;
            }
        }
        if self.once {
            *self.stdin.lock().await = None;
        }
    }

    pub(crate) fn resize(&self, width: u16, height: u16) {
        if let Some(terminal) = &self.terminal {
            terminal.resize(width, height);
        }
    }
}
