//! Processes with ends that others hold: pipes, or a terminal.

use crate::process::Launch;
use rustix::termios::{Winsize, tcsetwinsize};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::Child;

/// What a process reads from.
pub(crate) type Input = Box<dyn AsyncWrite + Send + Unpin>;

/// What a process prints to.
pub(crate) type Printed = Box<dyn AsyncRead + Send + Unpin>;

/// A terminal as its owner sees it.
#[derive(Debug)]
pub(crate) struct Terminal(OwnedFd);

impl Terminal {
    /// Tells the process about another size.
    pub(crate) fn resize(&self, width: u16, height: u16) {
        let size = Winsize {
            ws_row: height,
            ws_col: width,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        if let Err(error) = tcsetwinsize(&self.0, size) {
            tracing::debug!(%error, "a terminal does not take another size");
        }
    }
}

/// A process that was started. It leads a process group of its own.
pub(crate) struct Spawned {
    pub(crate) child: Child,
    pub(crate) stdin: Option<Input>,
    pub(crate) stdout: Option<Printed>,
    /// None with a terminal, which mixes both
    pub(crate) stderr: Option<Printed>,
    pub(crate) terminal: Option<Terminal>,
}

/// Starts a process with pipes; without `stdin` it reads nothing.
///
/// # Errors
/// Why it does not start, in the words of container runtimes.
pub(crate) fn with_pipes(
    launch: &Launch,
    words: &[String],
    stdin: bool,
) -> Result<Spawned, String> {
    let mut command = launch.command(words)?;
    if stdin {
        command.stdin(Stdio::piped());
    }
    let child = command.spawn();
    let mut child = child.map_err(|error| complaint(launch, words, &error))?;
    let stdin = child.stdin.take().map(|pipe| Box::new(pipe) as Input);
    let stdout = child.stdout.take().map(|pipe| Box::new(pipe) as Printed);
    let stderr = child.stderr.take().map(|pipe| Box::new(pipe) as Printed);
    Ok(Spawned {
        child,
        stdin,
        stdout,
        stderr,
        terminal: None,
    })
}

/// Starts a process on a terminal of its own.
///
/// # Errors
/// Why it does not start, in the words of container runtimes.
pub(crate) fn with_terminal(launch: &Launch, words: &[String]) -> Result<Spawned, String> {
    let whole = launch.whole(words)?;
    let (program, arguments) = whole.split_first().ok_or("the command is empty")?;
    let no_terminal = |error: &dyn std::fmt::Display| format!("no terminal: {error}");
    let (pty, pts) = pty_process::open().map_err(|error| no_terminal(&error))?;
    let own = pty.as_fd().try_clone_to_owned();
    let terminal = Terminal(own.map_err(|error| no_terminal(&error))?);
    let mut environment = launch.env.clone();
    environment
        .entry("TERM".to_owned())
        .or_insert_with(|| "xterm".to_owned());
    let spawned = pty_process::Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(&environment)
        .current_dir(&launch.folder)
        .kill_on_drop(true)
        .spawn(pts);
    let child = spawned.map_err(|error| {
        let error = match error {
            pty_process::Error::Io(error) => error,
            other => io::Error::other(other.to_string()),
        };
        complaint(launch, words, &error)
    })?;
    let (from, to) = pty.into_split();
    Ok(Spawned {
        child,
        stdin: Some(Box::new(to)),
        stdout: Some(Box::new(from)),
        stderr: None,
        terminal: Some(terminal),
    })
}

fn complaint(launch: &Launch, words: &[String], error: &io::Error) -> String {
    let program = words.first().map_or("", String::as_str);
    if !launch.folder.is_dir() {
        return no_folder(&launch.folder);
    }
    match error.kind() {
        io::ErrorKind::NotFound => no_program(program),
        _ => format!("exec: {program:?}: {error}"),
    }
}

pub(crate) fn no_folder(folder: &Path) -> String {
    format!(
        "chdir {}: no such directory on this machine",
        folder.display()
    )
}

pub(crate) fn no_program(program: &str) -> String {
    format!("exec: {program:?}: executable file not found on this machine")
}
