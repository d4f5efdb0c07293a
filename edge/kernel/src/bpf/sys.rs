//! The system call `bpf(2)`.
#![allow(unsafe_code, reason = "bpf(2) takes pointers, and has no safe wrapper")]

use super::asm::Insn;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// `enum bpf_cmd`
const MAP_CREATE: u32 = 0;
const MAP_UPDATE: u32 = 2;
const MAP_DELETE: u32 = 3;
const PROG_LOAD: u32 = 5;
const LINK_CREATE: u32 = 28;
/// `BPF_PROG_TYPE_CGROUP_SOCK_ADDR`
const CGROUP_SOCK_ADDR: u32 = 18;
/// `BPF_F_NO_PREALLOC`: memory is taken with each entry.
const NO_PREALLOC: u32 = 1;
/// Room for what the kernel has to say about a program that it refuses.
const LOG: usize = 64 * 1024;

/// `enum bpf_map_type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum MapKind {
    /// `BPF_MAP_TYPE_HASH`
    Hash = 1,
    /// `BPF_MAP_TYPE_LRU_HASH`: forgets the longest unused
    Lru = 9,
}

/// The kernel reads as many bytes as it is told, and takes fields behind for zero.
fn bpf<T>(command: u32, attr: &T) -> io::Result<i32> {
    // SAFETY: `attr` is a `repr(C)` structure without padding, laid out as `union bpf_attr` is for
    // the command; what its pointers lead to outlives the call, for the callers hold it.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) };
    match i32::try_from(done) {
        Ok(done) if done >= 0 => Ok(done),
        _ => Err(io::Error::last_os_error()),
    }
}

fn made<T>(command: u32, attr: &T) -> io::Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: the kernel just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
}

/// Makes a map.
pub(super) fn map(kind: MapKind, key: u32, value: u32, entries: u32) -> io::Result<OwnedFd> {
    let attr = MapCreate {
        map_type: kind as u32,
        key_size: key,
        value_size: value,
        max_entries: entries,
        map_flags: match kind {
            MapKind::Hash => NO_PREALLOC,
            MapKind::Lru => 0,
        },
    };
    match made(MAP_CREATE, &attr) {
        // Kernels before 5.11 count maps as locked memory.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) && unlock_memory() => {
            made(MAP_CREATE, &attr)
        }
        made => made,
    }
}

fn unlock_memory() -> bool {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    setrlimit(Resource::Memlock, unlimited).is_ok()
}

#[repr(C)]
struct MapElement {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

fn pointer<T>(of: &[T]) -> u64 {
    of.as_ptr() as u64
}

/// Puts an entry into a map, whose sizes key and value must have.
pub(super) fn update(map: &OwnedFd, key: &[u8], value: &[u8]) -> io::Result<()> {
    let attr = MapElement {
        map_fd: map.as_raw_fd() as u32,
        padding: 0,
        key: pointer(key),
        value: pointer(value),
        flags: 0,
    };
    bpf(MAP_UPDATE, &attr).map(drop)
}

/// Deletes an entry of a map, whose size the key must have.
pub(super) fn delete(map: &OwnedFd, key: &[u8]) -> io::Result<()> {
    let attr = MapElement {
        map_fd: map.as_raw_fd() as u32,
        padding: 0,
        key: pointer(key),
        value: 0,
        flags: 0,
    };
    bpf(MAP_DELETE, &attr).map(drop)
}

#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

/// Loads a program for a kind of hook; the error says what the kernel has against it.
pub(super) fn load(program: &[Insn], attach_type: u32) -> io::Result<OwnedFd> {
    let mut attr = ProgLoad {
        prog_type: CGROUP_SOCK_ADDR,
        insn_cnt: program.len() as u32,
        insns: pointer(program),
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
        prog_name: *b"portolan\0\0\0\0\0\0\0\0",
        prog_ifindex: 0,
        expected_attach_type: attach_type,
    };
    let error = match made(PROG_LOAD, &attr) {
        Ok(program) => return Ok(program),
        Err(error) => error,
    };
    let mut log = vec![0_u8; LOG];
    attr.log_level = 1;
    attr.log_size = LOG as u32;
    attr.log_buf = log.as_mut_ptr() as u64;
    match made(PROG_LOAD, &attr) {
        Ok(program) => Ok(program),
        Err(_) => Err(with_log(error, &log)),
    }
}

/// The error with the kernel's reason, which stands before the last line of its log.
fn with_log(error: io::Error, log: &[u8]) -> io::Error {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let text = String::from_utf8_lossy(&log[..end]);
    let mut lines = text
        .lines()
        .rev()
        .filter(|line| !line.starts_with("processed "));
    match lines.next() {
        Some(reason) => io::Error::new(error.kind(), format!("{error} ({reason})")),
        None => error,
    }
}

#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
}

/// Attaches a program to a cgroup for as long as the descriptor that it gives is open.
pub(super) fn link(program: &OwnedFd, cgroup: &impl AsFd, attach_type: u32) -> io::Result<OwnedFd> {
    let attr = LinkCreate {
        prog_fd: program.as_raw_fd() as u32,
        target_fd: cgroup.as_fd().as_raw_fd() as u32,
        attach_type,
        flags: 0,
    };
    made(LINK_CREATE, &attr)
}
