//! Starting a program inside a namespace, with its own host name and view of name resolution.

use super::{Namespace, User, hostname, named, rights};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is to run, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enter {
    /// File of a user namespace to be root of first, which the network namespace belongs to
    pub user: Option<PathBuf>,
    /// Whom the program takes itself for, in a user namespace of its own, once it is inside; without,
    /// it keeps what this process is
    pub become_user: Option<User>,
    /// File of the network namespace
    pub netns: PathBuf,
    /// File of the namespace with the host's name ([`super::HostName::path`])
    pub uts: Option<PathBuf>,
    /// File that stands in the place of `/etc/resolv.conf`
    pub resolv_conf: Option<PathBuf>,
    /// File that stands in the place of `/etc/hosts`
    pub hosts: Option<PathBuf>,
    /// Program, looked up in PATH
    pub program: OsString,
    /// Its arguments
    pub arguments: Vec<OsString>,
}

/// Turns this process into the program, inside the namespace. The files take their places in a
/// mount namespace of the process's own; `/sys` keeps showing the host, as nothing here reads it.
///
/// Returns only when something failed, with what that was. The process may then be half inside
/// and should end.
pub fn enter(what: &Enter) -> io::Error {
    match prepare(what) {
        Ok(()) => {
            let error = Command::new(&what.program).args(&what.arguments).exec();
            named_error(&error, &what.program.to_string_lossy())
        }
        Err(error) => error,
    }
}

fn prepare(what: &Enter) -> io::Result<()> {
    if let Some(user) = &what.user {
        join_user(user).map_err(|e| named_error(&e, &user.display().to_string()))?;
    }
    let namespace = Namespace::open(&what.netns);
    let namespace = namespace.map_err(|e| named_error(&e, &what.netns.display().to_string()))?;
    namespace.move_thread()?;
    if let Some(uts) = &what.uts {
        hostname::join(uts).map_err(|e| named_error(&e, &uts.display().to_string()))?;
    }
    let files = [
        (&what.resolv_conf, "/etc/resolv.conf"),
        (&what.hosts, "/etc/hosts"),
    ];
    if files.iter().any(|(file, _)| file.is_some()) {
        named::private_mounts().map_err(|e| named_error(&e, "mount namespace"))?;
    }
    for (file, place) in files {
        if let Some(file) = file {
            cover(file, Path::new(place))?;
        }
    }
    if let Some(user) = what.become_user {
        rights::become_user(user).map_err(|e| named_error(&e, "user namespace"))?;
    }
    Ok(())
}

fn join_user(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::User))?;
    Ok(())
}

/// Mounts `file` over `place`, following a symbolic link that stands there, as mount(2) does.
fn cover(file: &Path, place: &Path) -> io::Result<()> {
    let text = format!("{} over {}", file.display(), place.display());
    named::bind(file, place).map_err(|e| named_error(&e, &text))
}

fn named_error(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
