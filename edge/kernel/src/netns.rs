//! Network namespaces: making them, finding them again, and acting inside them from outside.
//!
//! ```text
//! Namespace ──run(closure)──► a thread of its own inside
//!     └──────socket(…)──────► a socket made inside, usable from everywhere
//! ```
//!
//! A socket belongs for ever to the namespace it was made in, whichever thread or process uses it
//! later. So a process that stays in the host's namespace serves and dials in others by making
//! its sockets there. An unnamed namespace lives as long as something holds it: nothing is left
//! of it when the process dies, however it dies. A named one is a file and outlives the process.

mod enter;
mod hostname;
mod named;
mod pass;
mod rights;
mod sockets;
#[cfg(test)]
mod tests;

pub use enter::{Enter, enter};
pub use hostname::HostName;
pub use named::{DEFAULT_DIR, Leftover, delete, leftovers};
pub use pass::{receive_fd, send_fd};
pub use rights::{
    Refusal, User, become_root, has_rights, may_create, origin, rootless, user_refusal,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// What the parked thread of a namespace is asked to do.
type Job = Box<dyn FnOnce() + Send>;

/// A network namespace that is held open. Clones share it; it goes away with the last holder,
/// unless it has a name.
#[derive(Clone)]
pub struct Namespace {
    inner: Arc<Inner>,
}

struct Inner {
    fd: OwnedFd,
    path: Option<PathBuf>,
    /// Thread that stays inside and makes sockets; started when first needed
    worker: Mutex<Option<Sender<Job>>>,
}

impl std::fmt::Debug for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Namespace")
            .field("fd", &self.inner.fd)
            .field("path", &self.inner.path)
            .finish()
    }
}

impl Namespace {
    /// Makes a namespace without a name, with its loopback interface up.
    ///
    /// # Errors
    /// What the kernel said: `EPERM` without `CAP_SYS_ADMIN`, `ENOSPC` when there are too many.
    /// [`may_create`] has it in words.
    pub fn create() -> io::Result<Self> {
        Self::create_with(|| File::open(OWN).map(OwnedFd::from)).map(|fd| Self::holding(fd, None))
    }

    /// Makes a namespace with a name, as a file in `dir` ([`DEFAULT_DIR`] is where `ip netns`
    /// looks), with its loopback interface up. It lives until [`Namespace::delete`].
    ///
    /// # Errors
    /// As [`Namespace::create`]; `AlreadyExists` when the name is taken; `InvalidInput` when it is no file name.
    pub fn create_named(dir: &Path, name: &str) -> io::Result<Self> {
        let path = named::prepare(dir, name)?;
        let made = Self::create_with(|| {
            named::bind(Path::new(OWN), &path)?;
            File::open(OWN).map(OwnedFd::from)
        });
        match made {
            Ok(fd) => Ok(Self::holding(fd, Some(path))),
            Err(error) => {
                drop(std::fs::remove_file(&path));
                Err(error)
            }
        }
    }

    /// Opens the namespace that a file stands for: a named one, or `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// When the file is missing or stands for something else.
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = OwnedFd::from(File::open(path)?);
        let probe = Self::holding(fd, Some(path.to_owned()));
        probe.run(|| ())?;
        Ok(probe)
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn own() -> io::Result<Self> {
        File::open(OWN).map(|file| Self::holding(file.into(), None))
    }

    /// Removes the name, if there is one. The namespace itself goes away when nobody holds it.
    ///
    /// # Errors
    /// What unmounting or removing the file said.
    pub fn delete(self) -> io::Result<()> {
        match &self.inner.path {
            Some(path) => named::delete(path),
            None => Ok(()),
        }
    }

    /// The file that stands for it, for another process: its name, or a path through this
    /// process's `/proc` entry that is good while this value lives.
    pub fn path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        self.inner.path.clone().unwrap_or_else(|| {
            let fd = self.inner.fd.as_raw_fd();
            PathBuf::from(format!("/proc/{}/fd/{fd}", std::process::id()))
        })
    }

    /// Runs `work` on a new thread inside and waits for it.
    ///
    /// # Errors
    /// When no thread can be started or the kernel refuses entry.
    ///
    /// # Panics
    /// When `work` panics, with its panic.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> io::Result<R> {
        std::thread::scope(|scope| {
            let inside = move || self.move_thread().map(|()| work());
            let thread = std::thread::Builder::new().name("netns".to_owned());
            let joined = thread.spawn_scoped(scope, inside)?.join();
            joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs a short `work` on the thread that is kept inside, and waits for it: cheaper than
    /// [`Namespace::run`], for making sockets. Must not block, for all callers share the thread.
    ///
    /// # Errors
    /// When the thread cannot be started, or `work` panicked.
    pub fn make<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> io::Result<R> {
        let (answer, made) = channel();
        let mut job: Job = Box::new(move || drop(answer.send(work())));
        // A thread that died of a panic is replaced once.
        for _ in 0..2 {
            match self.worker()?.send(job) {
                Ok(()) => {
                    let gone = |_| io::Error::other("the work inside the namespace panicked");
                    return made.recv().map_err(gone);
                }
                Err(unsent) => {
                    job = unsent.0;
                    *self.worker_slot() = None;
                }
            }
        }
        Err(io::Error::other("the thread inside the namespace ended"))
    }

    /// Moves the calling thread inside, for good. Other threads stay where they are.
    ///
    /// # Errors
    /// What `setns(2)` said.
    pub fn move_thread(&self) -> io::Result<()> {
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(self.inner.fd.as_fd(), kind).map_err(io::Error::from)
    }

    fn worker_slot(&self) -> std::sync::MutexGuard<'_, Option<Sender<Job>>> {
        let lock = self.inner.worker.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    fn worker(&self) -> io::Result<Sender<Job>> {
        let mut slot = self.worker_slot();
        if let Some(sender) = &*slot {
            return Ok(sender.clone());
        }
        let (sender, jobs) = channel();
        let fd = self.inner.fd.try_clone()?;
        let inside = Self::holding(fd, None);
        let (entered, entry) = channel();
        let thread = std::thread::Builder::new().name("netns-sockets".to_owned());
        thread.spawn(move || {
            let entry = inside.move_thread();
            drop(inside);
            let failed = entry.is_err();
            if entered.send(entry).is_ok() && !failed {
                work_through(jobs);
            }
        })?;
        entry.recv().map_err(io::Error::other)??;
        *slot = Some(sender.clone());
        Ok(sender)
    }

    /// Makes a namespace on a thread that then ends, and returns what `held` took of it.
    fn create_with(held: impl FnOnce() -> io::Result<OwnedFd> + Send) -> io::Result<OwnedFd> {
        std::thread::scope(|scope| {
            let make = move || {
                rights::unshare_network()?;
                sockets::loopback_up()?;
                held()
            };
            let thread = std::thread::Builder::new().name("netns-create".to_owned());
            let joined = thread.spawn_scoped(scope, make)?.join();
            joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn holding(fd: OwnedFd, path: Option<PathBuf>) -> Self {
        let worker = Mutex::new(None);
        Self {
            inner: Arc::new(Inner { fd, path, worker }),
        }
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.fd.as_fd()
    }
}

/// The calling thread's namespace.
const OWN: &str = "/proc/thread-self/ns/net";

fn work_through(jobs: Receiver<Job>) {
    for job in jobs {
        job();
    }
}
