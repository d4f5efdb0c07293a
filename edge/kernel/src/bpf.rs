//! Connect hooks: BPF programs that lead sockets to endpoints when they connect, so that no
//! packet of theirs has to be rewritten.
//!
//! ```text
//! connect(VIP) ─► frontends ─► slots ─► the socket connects to the endpoint
//!                    │ none              └► peers: getpeername() and recvfrom() say VIP
//!                    ▼
//!            left alone: nf_tables sees the VIP
//! ```
//!
//! They are a shortcut beside the rules and never instead of them: whatever the maps do not hold
//! goes its usual way. TCP is led when it connects, UDP with each datagram that names a
//! destination; connected UDP is left alone, for such a socket could not be led elsewhere when
//! its endpoint goes. So are IPv6 sockets that connect to IPv4 addresses, and MPTCP. When this
//! process ends, programs and maps go with it.
//!
//! Programs are assembled here, without compiler, and use nothing but the stable interface of
//! `struct bpf_sock_addr` (`linux/bpf.h`).

mod asm;
mod cgroup;
mod layout;
mod maps;
mod programs;
mod sys;
#[cfg(test)]
mod tests;

pub use cgroup::cgroup2;
pub use maps::{Frontend, Room};

use layout::Layout;
use maps::Maps;
use programs::Hook;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Hooks could not be attached, or their maps not be changed.
#[derive(Debug, thiserror::Error)]
pub enum HooksError {
    /// There is no cgroup2 to attach to.
    #[error("no cgroup2 file system is mounted; connect hooks need one")]
    NoCgroup,
    /// The directory cannot be opened.
    #[error("open {path}: {error}")]
    Cgroup {
        /// The directory
        path: PathBuf,
        /// What the system said
        error: std::io::Error,
    },
    /// The kernel refused.
    #[error("{what}: {error}{}", cause(error))]
    Refused {
        /// What was asked
        what: String,
        /// What the system said
        error: std::io::Error,
    },
    /// The machine is of a kind that the programs are not written for.
    #[error("connect hooks are only written for little-endian machines")]
    BigEndian,
}

fn cause(error: &std::io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => ": CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, are missing",
        Some(libc::ENOSYS) => ": this kernel has no BPF",
        Some(libc::E2BIG | libc::ENOSPC) => ": the map is full",
        Some(libc::EINVAL) => ": this kernel is too old for it (Linux 5.8 has all of it)",
        _ => "",
    }
}

/// Hooks that are attached to a cgroup: they lead the sockets of all processes in and below it.
/// Dropping them detaches them.
#[derive(Debug)]
pub struct ConnectHooks {
    v4: Maps,
    v6: Maps,
    links: Vec<OwnedFd>,
}

impl ConnectHooks {
    /// Attaches hooks without any frontend to the cgroup2 directory; [`cgroup2`] finds that of the
    /// whole machine.
    ///
    /// # Errors
    /// When the kernel refuses; the text says why. Nothing stays behind then.
    pub fn attach(cgroup: &Path, room: Room) -> Result<Self, HooksError> {
        if cfg!(target_endian = "big") {
            return Err(HooksError::BigEndian);
        }
        let directory = std::fs::File::open(cgroup).map_err(|error| HooksError::Cgroup {
            path: cgroup.to_owned(),
            error,
        })?;
        let mut hooks = Self {
            v4: Maps::new(Layout::V4, room)?,
            v6: Maps::new(Layout::V6, room)?,
            links: Vec::new(),
        };
        for maps in [&hooks.v4, &hooks.v6] {
            for hook in Hook::ALL {
                let program = hook.load(maps)?;
                let link = sys::link(&program, &directory, hook.attach_type(maps.layout()))
                    .map_err(|error| HooksError::Refused {
                        what: format!("attach {} to {}", hook.name(), cgroup.display()),
                        error,
                    })?;
                hooks.links.push(link);
            }
        }
        Ok(hooks)
    }

    /// Leads connections to the frontend to these endpoints, each with the share of slots that it
    /// fills; to none at all when there are none, so that the rules decide.
    ///
    /// # Errors
    /// When the maps are full or the kernel refuses; then the frontend is left to the rules.
    pub fn set(&mut self, frontend: Frontend, slots: &[SocketAddr]) -> Result<(), HooksError> {
        let maps = match frontend.address.is_ipv4() {
            true => &mut self.v4,
            false => &mut self.v6,
        };
        maps.set(frontend, slots)
    }

    /// Number of frontends that are led.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
