//! Namespaces with names: files that a namespace is mounted on, as `ip netns` keeps them.

#![expect(unsafe_code, reason = "mount(2) and umount2(2)")]

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where `ip netns` keeps its names.
pub const DEFAULT_DIR: &str = "/run/netns";

/// A namespace whose name begins as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Name
    pub name: String,
    /// File
    pub path: PathBuf,
}

/// The names in `dir` that begin with `prefix`: what an earlier process left, once the caller
/// knows that no other process of the kind runs.
///
/// # Errors
/// When the directory cannot be read; one that is missing holds none.
pub fn leftovers(dir: &Path, prefix: &str) -> io::Result<Vec<Leftover>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) {
            let path = entry.path();
            found.push(Leftover { name, path });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Removes a name: unmounts the namespace and deletes the file. Processes inside stay inside.
///
/// # Errors
/// What the kernel said; a name that is gone is no error.
pub fn delete(path: &Path) -> io::Result<()> {
    let target = c_path(path)?;
    let flags = libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW;
    // SAFETY: `target` is a C string that lives through the call.
    let done = unsafe { libc::umount2(target.as_ptr(), flags) };
    let error = io::Error::last_os_error();
    // EINVAL: nothing is mounted there, as after a crash between the file and the mount.
    let absent = [Some(libc::EINVAL), Some(libc::ENOENT)].contains(&error.raw_os_error());
    if done != 0 && !absent {
        return Err(error);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the directory and the empty file that a namespace is to be mounted on.
pub(super) fn prepare(dir: &Path, name: &str) -> io::Result<PathBuf> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    if !plain {
        let text = format!("{name:?} is no name for a network namespace");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    fs::create_dir_all(dir)?;
    if dir == Path::new(DEFAULT_DIR) {
        share(dir)?;
    }
    let path = dir.join(name);
    let mut options = OpenOptions::new();
    let _: File = options
        .write(true)
        .create_new(true)
        .mode(0o444)
        .open(&path)?;
    Ok(path)
}

/// Lets other mount namespaces see what is mounted in `dir`, as `ip netns add` does.
fn share(dir: &Path) -> io::Result<()> {
    let propagate = |dir| mount(None, dir, libc::MS_SHARED | libc::MS_REC);
    match propagate(dir) {
        // No mount point yet: it becomes one.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            mount(Some(dir), dir, libc::MS_BIND | libc::MS_REC)?;
            propagate(dir)
        }
        other => other,
    }
}

/// Mounts `source` on the file or directory `target`, which it covers.
pub(super) fn bind(source: &Path, target: &Path) -> io::Result<()> {
    mount(Some(source), target, libc::MS_BIND)
}

/// Gives the calling process mounts of its own, which nobody else sees.
pub(super) fn private_mounts() -> io::Result<()> {
    // SAFETY: takes numbers only.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(io::Error::last_os_error());
    }
    mount(None, Path::new("/"), libc::MS_PRIVATE | libc::MS_REC)
}

fn mount(source: Option<&Path>, target: &Path, flags: libc::c_ulong) -> io::Result<()> {
    let source = c_path(source.unwrap_or(Path::new("none")))?;
    let target = c_path(target)?;
    let (kind, data) = (std::ptr::null(), std::ptr::null());
    // SAFETY: both paths are C strings that live through the call; the kernel takes no type and
    // no data for these flags.
    let done = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, data) };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}
