//! Reading logs back: the tail, since when, and what is still to come.

use super::rotated;
use crate::LogOptions;
use bytes::Bytes;
use model::Timestamp;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, watch};

/// Most lines that `tailLines` keeps in memory.
const TAIL_MAX: u64 = 1_000_000;

/// Sends the log of one run; with `changed`, goes on until the run has ended.
pub(crate) fn stream(
    path: PathBuf,
    options: LogOptions,
    changed: Option<watch::Receiver<u64>>,
) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(16);
    let changed = changed.filter(|_| options.follow);
    tokio::spawn(async move {
        let mut reader = Reader::new(path, options);
        if let Some(mut changed) = changed {
            reader.follow(&sender, &mut changed).await;
        } else {
            reader.catch_up(&sender).await;
        }
    });
    receiver
}

struct Reader {
    path: PathBuf,
    options: LogOptions,
    file: Option<BufReader<File>>,
    /// A line of which the end is not written yet
    part: Vec<u8>,
    left: Option<u64>,
    begun: bool,
    /// The next output continues a line
    midline: bool,
}

impl Reader {
    fn new(path: PathBuf, options: LogOptions) -> Self {
        Self {
            left: options.limit_bytes,
            path,
            options,
            file: None,
            part: Vec::new(),
            begun: false,
            midline: false,
        }
    }

    async fn follow(&mut self, to: &mpsc::Sender<Bytes>, changed: &mut watch::Receiver<u64>) {
        loop {
            changed.borrow_and_update();
            if !self.catch_up(to).await {
                return;
            }
            tokio::select! {
                result = changed.changed() => {
                    if result.is_err() {
                        // The run has ended: one last look.
                        self.catch_up(to).await;
                        return;
                    }
                }
                () = to.closed() => return,
            }
        }
    }

    /// Sends what is there; false when nobody wants more.
    async fn catch_up(&mut self, to: &mpsc::Sender<Bytes>) -> bool {
        if !self.begun {
            self.begun = true;
            for piece in self.begin() {
                if !self.send(piece, to).await {
                    return false;
                }
            }
        }
        while let Some(line) = self.next_line() {
            if let Some(piece) = self.render(&line)
                && !self.send(piece, to).await
            {
                return false;
            }
        }
        true
    }

    /// What the rotated file holds, or the tail of both.
    fn begin(&mut self) -> Vec<Vec<u8>> {
        let mut old = File::open(rotated(&self.path)).ok().map(BufReader::new);
        self.file = File::open(&self.path).ok().map(BufReader::new);
        let keep = self.options.tail_lines.map(|lines| lines.min(TAIL_MAX));
        let mut kept: VecDeque<Vec<u8>> = VecDeque::new();
        let mut take = |reader: &mut Self, line: Vec<u8>| {
            if let Some(piece) = reader.render(&line) {
                kept.push_back(piece);
                if keep.is_some_and(|keep| kept.len() as u64 > keep) {
                    kept.pop_front();
                }
            }
        };
        while let Some(line) = old.as_mut().and_then(read_line) {
            take(self, line);
        }
        if keep.is_some() {
            while let Some(line) = self.next_line() {
                take(self, line);
            }
        }
        kept.into()
    }

    /// The next whole record of the current file; goes over to a new file after a rotation.
    fn next_line(&mut self) -> Option<Vec<u8>> {
        loop {
            let file = self.file.as_mut()?;
            let mut line = std::mem::take(&mut self.part);
            match file.read_until(b'\n', &mut line) {
                Ok(_) if line.last() == Some(&b'\n') => {
                    line.pop();
                    return Some(line);
                }
                Ok(_) => self.part = line,
                Err(_) => return None,
            }
            if !self.is_replaced() {
                return None;
            }
            self.part.clear();
            self.file = File::open(&self.path).ok().map(BufReader::new);
        }
    }

    /// Whether the path names another file than the one that is open.
    fn is_replaced(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let inode = |meta: io::Result<std::fs::Metadata>| meta.ok().map(|meta| meta.ino());
        let open = self
            .file
            .as_ref()
            .map(|file| inode(file.get_ref().metadata()));
        open.is_some_and(|open| {
            let named = inode(std::fs::metadata(Path::new(&self.path)));
            named.is_some() && named != open
        })
    }

    /// What the user sees of a record; nothing when it is too old.
    fn render(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        let (time, whole, text) = body(line)?;
        if self.options.since.is_some() && Timestamp::parse(time) < self.options.since {
            return None;
        }
        let mut out = Vec::with_capacity(text.len() + time.len() + 2);
        if self.options.timestamps && !self.midline {
            out.extend_from_slice(time.as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(text);
        if whole {
            out.push(b'\n');
        }
        self.midline = !whole;
        Some(out)
    }

    async fn send(&mut self, mut piece: Vec<u8>, to: &mpsc::Sender<Bytes>) -> bool {
        if let Some(left) = &mut self.left {
            let length = usize::try_from(*left)
                .unwrap_or(usize::MAX)
                .min(piece.len());
            piece.truncate(length);
            *left -= length as u64;
        }
        let ended = self.left == Some(0);
        to.send(piece.into()).await.is_ok() && !ended
    }
}

fn read_line(file: &mut BufReader<File>) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    file.read_until(b'\n', &mut line).ok()?;
    (line.pop() == Some(b'\n')).then_some(line)
}

/// Time, whether the line ends here, and the text of a record.
pub(super) fn body(line: &[u8]) -> Option<(&str, bool, &[u8])> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let (_output, tag, text) = (parts.next()?, parts.next()?, parts.next()?);
    Some((time, tag == b"F", text))
}
