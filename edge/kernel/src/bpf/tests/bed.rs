//! A cgroup, a process in it that connects when it is told to, and servers.

use super::*;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Tells the client which cgroup to enter.
const ENTER: &str = "PORTOLAN_TEST_CGROUP";
/// Begins the client's answers.
const ANSWER: &str = "answer: ";

/// A cgroup of a test's own.
pub(super) struct Cgroup(PathBuf);

impl Cgroup {
    pub(super) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let made = cgroup2()
            .map_err(|error| error.to_string())
            .and_then(|root| {
                let path = root.join(format!("portolan-test-{}-{number}", std::process::id()));
                let made = std::fs::create_dir(&path).map(|()| Self(path));
                made.map_err(|error| error.to_string())
            });
        made.map_err(|error| eprintln!("skipped: {error}")).ok()
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A process that ended leaves its cgroup a moment later.
        for _ in 0..100 {
            match std::fs::remove_dir(&self.0) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => return,
            }
        }
    }
}

/// Fields go in this order: the client leaves its cgroup before that is removed.
pub(super) struct Bed {
    pub(super) client: Client,
    pub(super) hooks: ConnectHooks,
    pub(super) namespace: Namespace,
    pub(super) _cgroup: Cgroup,
}

impl Bed {
    pub(super) fn new() -> Option<Self> {
        if let Err(reason) = may_create() {
            eprintln!("skipped: {reason}");
            return None;
        }
        let cgroup = Cgroup::new()?;
        let hooks = ConnectHooks::attach(cgroup.path(), Room::default());
        let hooks = hooks.map_err(|error| eprintln!("skipped: {error}")).ok()?;
        let namespace = Namespace::create().unwrap();
        let client = namespace.run(|| Client::start(cgroup.path())).unwrap();
        Some(Self {
            client,
            hooks,
            namespace,
            _cgroup: cgroup,
        })
    }

    /// Two servers that tell their address to who connects.
    pub(super) fn tcp_servers(&self, local: IpAddr) -> Vec<SocketAddr> {
        let serve = |listener: TcpListener, text: String| {
            for stream in listener.incoming() {
                let _ = stream.and_then(|mut stream| stream.write_all(text.as_bytes()));
            }
        };
        let any = SocketAddr::new(local, 0);
        let make = |_| {
            let listener = self.namespace.tcp_listen(any).unwrap();
            let address = listener.local_addr().unwrap();
            std::thread::spawn(move || serve(listener, address.to_string()));
            address
        };
        (0..2).map(make).collect()
    }

    /// Two servers that answer datagrams with their address.
    pub(super) fn udp_servers(&self, local: IpAddr) -> Vec<SocketAddr> {
        let serve = |socket: UdpSocket, text: String| {
            let mut bytes = [0; 64];
            while let Ok((_, from)) = socket.recv_from(&mut bytes) {
                let _ = socket.send_to(text.as_bytes(), from);
            }
        };
        let any = SocketAddr::new(local, 0);
        let make = |_| {
            let socket = self.namespace.udp_bind(any).unwrap();
            let address = socket.local_addr().unwrap();
            std::thread::spawn(move || serve(socket, address.to_string()));
            address
        };
        (0..2).map(make).collect()
    }
}

/// The process in the cgroup.
pub(super) struct Client {
    process: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Client {
    fn start(cgroup: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "bpf::tests::client", "--ignored", "--nocapture"])
            .env(ENTER, cgroup)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut client = Self {
            process,
            commands,
            answers,
        };
        assert_eq!(client.answer(), "ready");
        client
    }

    /// Connects; what the server said, and who it is.
    pub(super) fn tcp(&mut self, to: SocketAddr) -> Result<(String, SocketAddr), String> {
        self.ask(&format!("tcp {to}"))
    }

    /// Sends a datagram, always from the same socket; the answer and where it came from.
    pub(super) fn udp(&mut self, to: SocketAddr) -> Result<(String, SocketAddr), String> {
        self.ask(&format!("udp {to}"))
    }

    fn ask(&mut self, command: &str) -> Result<(String, SocketAddr), String> {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
        let answer = self.answer();
        match answer.split_once(' ') {
            Some(("ok", rest)) => {
                let (text, address) = rest.split_once(' ').unwrap();
                Ok((text.to_owned(), address.parse().unwrap()))
            }
            _ => Err(answer),
        }
    }

    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(
                self.answers.read_line(&mut line).unwrap(),
                0,
                "the client ended"
            );
            if let Some((_, answer)) = line.trim_end().split_once(ANSWER) {
                return answer.to_owned();
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.process.wait();
    }
}

/// What the client does: enters the cgroup, and then what it reads.
pub(super) fn serve_commands() {
    let Ok(cgroup) = std::env::var(ENTER) else {
        return;
    };
    let procs = Path::new(&cgroup).join("cgroup.procs");
    std::fs::write(procs, std::process::id().to_string()).unwrap();
    println!("{ANSWER}ready");
    let any = ["0.0.0.0:0", "[::]:0"];
    let sockets = any.map(|any| UdpSocket::bind(any).unwrap());
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (what, to) = line.split_once(' ').unwrap();
        let to: SocketAddr = to.parse().unwrap();
        let done = match what {
            "tcp" => tcp(to),
            _ => udp(&sockets[usize::from(to.is_ipv6())], to),
        };
        match done {
            Ok((text, peer)) => println!("{ANSWER}ok {text} {peer}"),
            Err(error) => println!("{ANSWER}{error}"),
        }
    }
}

fn tcp(to: SocketAddr) -> std::io::Result<(String, SocketAddr)> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    let peer = stream.peer_addr()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok((text, peer))
}

fn udp(socket: &UdpSocket, to: SocketAddr) -> std::io::Result<(String, SocketAddr)> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(b"question", to)?;
    let mut bytes = [0; 64];
    let (len, from) = socket.recv_from(&mut bytes)?;
    Ok((String::from_utf8_lossy(&bytes[..len]).into_owned(), from))
}
