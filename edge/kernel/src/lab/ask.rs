//! Questions to a laboratory's servers: who answers, and whom does it take us for?

use crate::netns::Namespace;
use rustix::net::{SocketType, bind, connect};
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// How a question travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// A connection
    Tcp,
    /// One datagram
    Udp,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Somebody answered
    Served {
        /// Its name
        who: String,
        /// The address it saw us under
        seen: SocketAddr,
    },
    /// "Connection refused": a reset, or ICMP port unreachable
    Refused,
    /// Nothing came within the time given
    TimedOut,
    /// Something else, in words
    Failed(String),
}

impl Answer {
    /// Name of who answered, if somebody did.
    pub fn who(&self) -> Option<&str> {
        match self {
            Self::Served { who, .. } => Some(who),
            _ => None,
        }
    }

    /// The address that the server saw.
    pub fn seen(&self) -> Option<IpAddr> {
        match self {
            Self::Served { seen, .. } => Some(seen.ip()),
            _ => None,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served { who, seen } => write!(f, "{who} saw {seen}"),
            Self::Refused => f.write_str("refused"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// A question to put.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Who asks
    pub from: &'a Namespace,
    /// Under which address and port, if not any
    pub source: Option<SocketAddr>,
    /// How
    pub protocol: Protocol,
    /// Whom
    pub to: SocketAddr,
    /// How long to wait for each step
    pub patience: Duration,
}

impl Asking<'_> {
    /// Puts the question once.
    pub fn ask(&self) -> Answer {
        let line = match self.protocol {
            Protocol::Tcp => self.connect().and_then(|stream| greet(&stream)),
            Protocol::Udp => self.socket().and_then(|socket| exchange(&socket)),
        };
        match line {
            Ok(line) => parse(&line),
            Err(error) => failure(&error),
        }
    }

    /// Opens a TCP connection and leaves it open.
    ///
    /// # Errors
    /// What `connect(2)` said.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let stream = self
            .from
            .tcp_connect_from(self.source, self.to, self.patience)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(self.patience))?;
        Ok(stream)
    }

    /// A UDP socket that is connected to whom is asked.
    ///
    /// # Errors
    /// What `bind(2)` or `connect(2)` said.
    pub fn socket(&self) -> io::Result<UdpSocket> {
        let family = match self.to {
            SocketAddr::V4(_) => rustix::net::AddressFamily::INET,
            SocketAddr::V6(_) => rustix::net::AddressFamily::INET6,
        };
        let socket = self.from.socket(family, SocketType::DGRAM, None)?;
        if let Some(source) = self.source {
            bind(&socket, &source)?;
        }
        connect(&socket, &self.to)?;
        let socket = UdpSocket::from(socket);
        socket.set_read_timeout(Some(self.patience))?;
        Ok(socket)
    }
}

/// Asks on a connection that stands.
///
/// # Errors
/// What reading and writing said; `UnexpectedEof` when it was closed.
fn greet(stream: &TcpStream) -> io::Result<String> {
    let mut to = stream;
    to.write_all(b"?\n")?;
    let mut line = String::new();
    if BufReader::new(stream).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

fn exchange(socket: &UdpSocket) -> io::Result<String> {
    match socket.send(b"?\n") {
        // A packet filter of the asker's own dropped it; whether anything else is told is heard
        // next.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
        sent => drop(sent?),
    }
    let mut buffer = [0; 512];
    let len = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..len]).into_owned())
}

impl Answer {
    /// Asks again on a TCP connection that stands.
    pub fn on_stream(stream: &TcpStream) -> Self {
        match greet(stream) {
            Ok(line) => parse(&line),
            Err(error) => failure(&error),
        }
    }

    /// Asks again on a connected UDP socket.
    pub fn on_socket(socket: &UdpSocket) -> Self {
        match exchange(socket) {
            Ok(line) => parse(&line),
            Err(error) => failure(&error),
        }
    }
}

fn parse(line: &str) -> Answer {
    let words = line.trim().split_once(' ');
    let served = words.and_then(|(who, seen)| Some((who.to_owned(), seen.parse().ok()?)));
    match served {
        Some((who, seen)) => Answer::Served { who, seen },
        None => Answer::Failed(format!("not one of our servers: {line:?}")),
    }
}

fn failure(error: &io::Error) -> Answer {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Answer::Refused,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Answer::TimedOut,
        _ => Answer::Failed(error.to_string()),
    }
}
