//! Servers of a laboratory: they tell who they are and whom they see.
//!
//! To `?` and a line end they answer `NAME ADDRESS:PORT`, to an HTTP request the same as a small
//! page, to all else over TCP the same bytes. A datagram is always answered with the name.

use super::Machine;
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

/// Most bytes that wait for a slow reader before nothing more is read from it.
const PENDING: usize = 64 * 1024;
/// Most connections of one server; what exceeds them is closed.
const CONNECTIONS: usize = 4096;

/// A server of one machine, on some ports, over TCP and UDP. It ends when dropped.
#[derive(Debug)]
pub struct Echo {
    /// Closing it ends the thread
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Serves on these ports of the machine's addresses, under its name.
    ///
    /// # Errors
    /// What binding said.
    pub fn start(machine: &Machine, ports: &[u16]) -> io::Result<Self> {
        let addresses = machine.addresses.both();
        Self::start_at(machine, &machine.name, &addresses, ports)
    }

    /// Serves on these ports of these addresses, under that name.
    ///
    /// # Errors
    /// What binding said.
    pub fn start_at(
        machine: &Machine,
        name: &str,
        addresses: &[IpAddr],
        ports: &[u16],
    ) -> io::Result<Self> {
        let (stop_here, stop_there) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let mut server = Server::new(name, stop_here);
        for address in addresses {
            for port in ports {
                let at = SocketAddr::new(*address, *port);
                let named = |e: io::Error| io::Error::new(e.kind(), format!("{name}: {at}: {e}"));
                let listener = machine.namespace.tcp_listen(at).map_err(named)?;
                listener.set_nonblocking(true)?;
                server.listeners.push(listener);
                let socket = machine.namespace.udp_bind(at).map_err(named)?;
                socket.set_nonblocking(true)?;
                server.sockets.push(socket);
            }
        }
        let thread = std::thread::Builder::new().name(format!("echo-{name}"));
        let thread = thread.spawn(move || server.run())?;
        Ok(Self {
            stop: Some(stop_there),
            thread: Some(thread),
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Server {
    name: String,
    stop: OwnedFd,
    listeners: Vec<TcpListener>,
    sockets: Vec<UdpSocket>,
    connections: Vec<Connection>,
}

impl Server {
    fn new(name: &str, stop: OwnedFd) -> Self {
        Self {
            name: name.to_owned(),
            stop,
            listeners: Vec::new(),
            sockets: Vec::new(),
            connections: Vec::new(),
        }
    }

    fn run(mut self) {
        loop {
            match self.ready() {
                Some(ready) if ready[0] => return,
                Some(ready) => self.serve(&ready),
                None => return,
            }
        }
    }

    /// Waits, and says of the stop pipe, the listeners, the sockets and the connections, in that
    /// order, which have something.
    fn ready(&self) -> Option<Vec<bool>> {
        let read = PollFlags::IN;
        let mut fds = vec![PollFd::from_borrowed_fd(self.stop.as_fd(), read)];
        fds.extend(self.listeners.iter().map(|l| PollFd::new(l, read)));
        fds.extend(self.sockets.iter().map(|s| PollFd::new(s, read)));
        fds.extend(self.connections.iter().map(Connection::wants));
        loop {
            match poll(&mut fds, None) {
                Ok(_) => return Some(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }

    fn serve(&mut self, ready: &[bool]) {
        let (listeners, rest) = ready[1..].split_at(self.listeners.len());
        let (sockets, connections) = rest.split_at(self.sockets.len());
        let mut connections = connections.iter();
        let name = &self.name;
        self.connections
            .retain_mut(|c| !connections.next().is_some_and(|ready| *ready) || c.step(name));
        for (socket, _) in self
            .sockets
            .iter()
            .zip(sockets)
            .filter(|(_, ready)| **ready)
        {
            answer_datagrams(socket, &self.name);
        }
        for (listener, _) in self.listeners.iter().zip(listeners).filter(|(_, r)| **r) {
            while let Ok((stream, peer)) = listener.accept() {
                if self.connections.len() < CONNECTIONS && stream.set_nonblocking(true).is_ok() {
                    self.connections.push(Connection::new(stream, peer));
                }
            }
        }
    }
}

fn answer_datagrams(socket: &UdpSocket, name: &str) {
    let mut buffer = [0; 16 * 1024];
    while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
        drop(socket.send_to(format!("{name} {peer}\n").as_bytes(), peer));
    }
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    pending: Vec<u8>,
    closing: bool,
}

impl Connection {
    fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        Self {
            stream,
            peer,
            pending: Vec::new(),
            closing: false,
        }
    }

    fn wants(&self) -> PollFd<'_> {
        let mut flags = PollFlags::empty();
        if self.pending.len() < PENDING && !self.closing {
            flags |= PollFlags::IN;
        }
        if !self.pending.is_empty() {
            flags |= PollFlags::OUT;
        }
        PollFd::new(&self.stream, flags)
    }

    /// Reads and writes what can be; false when the connection is done.
    fn step(&mut self, name: &str) -> bool {
        if self.pending.len() < PENDING && !self.closing {
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => self.closing = true,
                Ok(len) => self.take(&buffer[..len], name),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
        match self.stream.write(&self.pending) {
            Ok(len) => drop(self.pending.drain(..len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
        !(self.closing && self.pending.is_empty())
    }

    fn take(&mut self, bytes: &[u8], name: &str) {
        let who = format!("{name} {}\n", self.peer);
        if bytes == b"?\n" {
            self.pending.extend_from_slice(who.as_bytes());
        } else if bytes.starts_with(b"GET ") || bytes.starts_with(b"HEAD ") {
            let len = who.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\
                 Connection: close\r\n\r\n"
            );
            self.pending.extend_from_slice(head.as_bytes());
            if bytes.starts_with(b"GET ") {
                self.pending.extend_from_slice(who.as_bytes());
            }
            self.closing = true;
        } else {
            self.pending.extend_from_slice(bytes);
        }
    }
}
