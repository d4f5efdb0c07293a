//! Host names of their own: UTS namespaces (uts_namespaces(7)).

use super::rights::unshare_host_name;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The calling thread's namespace.
const OWN: &str = "/proc/thread-self/ns/uts";

/// A namespace in which the host has another name. It goes away with this value and its last
/// process.
#[derive(Debug)]
pub struct HostName {
    fd: OwnedFd,
}

impl HostName {
    /// Makes one; the calling thread keeps the name that it sees.
    ///
    /// # Errors
    /// What the kernel said: `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` for a name of more than 64
    /// bytes.
    pub fn create(name: &str) -> io::Result<Self> {
        std::thread::scope(|scope| {
            let make = || {
                unshare_host_name()?;
                rustix::system::sethostname(name.as_bytes())?;
                let fd = File::open(OWN)?.into();
                Ok(Self { fd })
            };
            let thread = std::thread::Builder::new().name("hostname".to_owned());
            let joined = thread.spawn_scoped(scope, make)?.join();
            joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The file that stands for it, for another process; good while this value lives.
    pub fn path(&self) -> PathBuf {
        let fd = self.fd.as_raw_fd();
        PathBuf::from(format!("/proc/{}/fd/{fd}", std::process::id()))
    }
}

/// Moves the calling thread into the namespace that a file stands for.
pub(super) fn join(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let kind = Some(LinkNameSpaceType::HostNameAndNISDomainName);
    move_into_link_name_space(file.as_fd(), kind).map_err(io::Error::from)
}
