//! Whether this process may make namespaces, and how it may without being root.

#![expect(unsafe_code, reason = "unshare(2), and work between fork and exec")]

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;

/// Why the kernel lets us make no namespace, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Whether a network namespace can be made, by making one.
///
/// # Errors
/// Says what is missing and what helps.
pub fn may_create() -> Result<(), Refusal> {
    super::Namespace::create()
        .map(drop)
        .map_err(|error| Refusal(words(&error)))
}

/// Whether the process has the capability that making namespaces takes (`CAP_SYS_ADMIN`). Unlike
/// [`may_create`] it starts no thread, so that [`become_root`] can follow.
pub fn has_rights() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bits.is_some_and(|bits| bits & (1 << CAP_SYS_ADMIN) != 0)
}

/// `CAP_SYS_ADMIN` of `linux/capability.h`
const CAP_SYS_ADMIN: u32 = 21;

/// Moves the calling process into new user and mount namespaces in which it is root, so that it
/// may make network namespaces although it is nobody outside. Its files keep their owner. Must be
/// called before the process has a second thread.
///
/// # Errors
/// Says why the kernel refuses.
pub fn become_root() -> Result<(), Refusal> {
    let (user, identity) = (User::of_this_process(), Identity::of_this_process());
    let done = identity.become_root();
    done.map_err(|error| user_refusal(&error))?;
    let _ = ORIGIN.set(user);
    Ok(())
}

/// Why the kernel makes no user namespace, by what [`become_root`] or the start of a [`rootless`]
/// command said.
pub fn user_refusal(error: &io::Error) -> Refusal {
    Refusal(user_words(error))
}

/// A user and a group, as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// `uid`
    pub uid: u32,
    /// `gid`
    pub gid: u32,
}

impl User {
    fn of_this_process() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }
}

/// Who this process was before [`become_root`].
static ORIGIN: OnceLock<User> = OnceLock::new();

/// Whom this process is to everyone outside of the user namespace that [`become_root`] has made;
/// `None` when it has made none.
pub fn origin() -> Option<User> {
    ORIGIN.get().copied()
}

/// Moves the calling process from a user namespace in which it is root on into one in which it is
/// `user`, without any rights once it executes a program: to programs it then is who it is
/// outside. Must be called while the process has one thread.
pub(super) fn become_user(user: User) -> io::Result<()> {
    let own = User::of_this_process();
    let identity = Identity {
        users: format!("{} {} 1", user.uid, own.uid),
        groups: format!("{} {} 1", user.gid, own.gid),
    };
    unshare(libc::CLONE_NEWUSER)?;
    identity.map()
}

/// Lets a command start as root of a user namespace of its own, as [`become_root`] does; `spawn`
/// fails where the kernel refuses.
pub fn rootless(command: &mut Command) {
    let identity = Identity::of_this_process();
    // SAFETY: between fork and exec `become_root` makes system calls only; it allocates nothing.
    unsafe {
        command.pre_exec(move || identity.become_root());
    }
}

/// Gives the calling thread a network namespace of its own.
pub(super) fn unshare_network() -> io::Result<()> {
    unshare(libc::CLONE_NEWNET)
}

/// Gives the calling thread a host name of its own.
pub(super) fn unshare_host_name() -> io::Result<()> {
    unshare(libc::CLONE_NEWUTS)
}

fn unshare(what: libc::c_int) -> io::Result<()> {
    // SAFETY: takes numbers only.
    match unsafe { libc::unshare(what) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The maps that make us root inside, prepared ahead so that writing them needs no memory.
struct Identity {
    users: String,
    groups: String,
}

impl Identity {
    fn of_this_process() -> Self {
        let own = User::of_this_process();
        Self {
            users: format!("0 {} 1", own.uid),
            groups: format!("0 {} 1", own.gid),
        }
    }

    fn become_root(&self) -> io::Result<()> {
        unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
        self.map()
    }

    fn map(&self) -> io::Result<()> {
        // user_namespaces(7): without rights outside, setgroups must be given up before groups
        // can be mapped.
        write(c"/proc/self/setgroups", "deny")?;
        write(c"/proc/self/uid_map", &self.users)?;
        write(c"/proc/self/gid_map", &self.groups)
    }
}

/// Writes without memory of its own, for the time between fork and exec.
fn write(path: &std::ffi::CStr, text: &str) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text.as_bytes())?;
    Ok(())
}

fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "the process may make no network namespace: it needs CAP_SYS_ADMIN (root, or \
             `--privileged` in a container)"
                .to_owned()
        }
        Some(libc::ENOSPC | libc::EUSERS) => {
            "there are too many network namespaces: raise user.max_net_namespaces".to_owned()
        }
        Some(libc::EINVAL | libc::ENOSYS) => {
            "this kernel has no network namespaces (CONFIG_NET_NS)".to_owned()
        }
        _ => format!("no network namespace can be made: {error}"),
    }
}

fn user_words(error: &io::Error) -> String {
    let setting = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    let reason = if setting("user/max_user_namespaces") == "0" {
        "user.max_user_namespaces is 0"
    } else if setting("kernel/unprivileged_userns_clone") == "0" {
        "kernel.unprivileged_userns_clone is 0"
    } else if setting("kernel/apparmor_restrict_unprivileged_userns") == "1" {
        "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1)"
    } else if error.raw_os_error() == Some(libc::EINVAL) {
        "the process has several threads, or the kernel has no user namespaces"
    } else {
        return format!("no user namespace can be made: {error}; run as root");
    };
    format!("no user namespace can be made: {reason}; change that or run as root")
}
