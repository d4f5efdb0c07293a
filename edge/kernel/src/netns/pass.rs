//! Handing open files to another process over a Unix socket (`SCM_RIGHTS`, unix(7)).

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Sends a file with a note of at least one byte.
///
/// # Errors
/// What `sendmsg(2)` said.
pub fn send_fd(over: &UnixStream, note: &[u8], fd: BorrowedFd<'_>) -> io::Result<()> {
    let fds = [fd];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("no room for a file descriptor"));
    }
    let sent = sendmsg(
        over,
        &[IoSlice::new(note)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    match sent == note.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Receives one file with its note, of which at most `note.len()` bytes are taken; `None` when
/// the other side has closed.
///
/// # Errors
/// What `recvmsg(2)` said; `InvalidData` for a message without a file.
pub fn receive_fd(over: &UnixStream, note: &mut [u8]) -> io::Result<Option<(usize, OwnedFd)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(note)];
    let received = recvmsg(over, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(fd) = fds.next()
        {
            return Ok(Some((received.bytes, fd)));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "no file came with the note",
    ))
}
