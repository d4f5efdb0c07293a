//! Needs the right to make namespaces; where the kernel refuses, says so and passes.

use super::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

fn refused() -> bool {
    may_create().is_err_and(|why| {
        eprintln!("skipped: {why}");
        true
    })
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

#[test]
fn two_namespaces_bind_the_same_port() {
    if refused() {
        return;
    }
    let (a, b) = (
        Namespace::create().expect("one"),
        Namespace::create().expect("two"),
    );
    let first = a.tcp_listen(any()).expect("listens");
    let at = first.local_addr().expect("address");
    let second = b.tcp_listen(at).expect("the port is free in the other");
    assert_eq!(second.local_addr().expect("address"), at);
    let mut client = b.tcp_connect(at, Duration::from_secs(5)).expect("connects");
    let (mut served, _) = second.accept().expect("accepts");
    served.write_all(b"b").expect("writes");
    let mut got = [0];
    client.read_exact(&mut got).expect("reads");
    assert_eq!(&got, b"b");
}

#[test]
fn a_port_nobody_listens_on_refuses() {
    if refused() {
        return;
    }
    let inside = Namespace::create().expect("made");
    let to = "127.0.0.1:9".parse().expect("an address");
    let error = inside
        .tcp_connect(to, Duration::from_secs(5))
        .expect_err("nobody");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn work_runs_inside_and_returns_what_it_borrows() {
    if refused() {
        return;
    }
    let inside = Namespace::create().expect("made");
    let outer = std::fs::read_link(OWN).expect("own");
    let inner = inside.run(|| std::fs::read_link(OWN).expect("inner") != outer);
    assert!(inner.expect("ran"));
    assert_eq!(std::fs::read_link(OWN).expect("own"), outer);
    let socket = inside
        .make(move || UdpSocket::bind(any()))
        .expect("ran")
        .expect("bound");
    assert!(socket.local_addr().expect("address").port() > 0);
}

#[test]
fn a_panic_in_the_parked_thread_harms_nobody_else() {
    if refused() {
        return;
    }
    let inside = Namespace::create().expect("made");
    inside
        .make::<()>(|| panic!("on purpose"))
        .expect_err("told");
    // The thread may end a moment after the answer; the next one gets a new thread or an error,
    // and the one after that a new thread.
    let works = (0..3).any(|_| inside.make(|| 1).is_ok_and(|one| one == 1));
    assert!(works);
}

#[test]
fn names_are_kept_found_and_deleted() {
    if refused() {
        return;
    }
    let dir = std::env::temp_dir().join(format!("portolan-netns-{}", std::process::id()));
    let made = Namespace::create_named(&dir, "test-a");
    let made = match made {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            eprintln!("skipped: mounting is refused");
            return;
        }
        other => other.expect("made"),
    };
    let taken = Namespace::create_named(&dir, "test-a").expect_err("taken");
    assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
    Namespace::create_named(&dir, "../x").expect_err("no file name");
    let again = Namespace::open(&made.path()).expect("opened");
    let listener = made.tcp_listen(any()).expect("listens");
    let at = listener.local_addr().expect("address");
    again
        .tcp_connect(at, Duration::from_secs(5))
        .expect("it is the same");
    let found = leftovers(&dir, "test-").expect("read");
    assert_eq!(
        found.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(),
        ["test-a"]
    );
    delete(&found[0].path).expect("deleted");
    delete(&found[0].path).expect("gone is fine");
    assert_eq!(leftovers(&dir, "test-").expect("read"), []);
    std::fs::remove_dir(&dir).expect("empty");
}

#[test]
fn files_pass_between_processes() {
    let (here, there) = std::os::unix::net::UnixStream::pair().expect("pair");
    let listener = TcpListener::bind(any()).expect("listens");
    let at = listener.local_addr().expect("address");
    send_fd(&here, b"listener", listener.as_fd()).expect("sent");
    drop(listener);
    drop(here);
    let mut note = [0; 16];
    let (len, fd) = receive_fd(&there, &mut note)
        .expect("received")
        .expect("a file");
    assert_eq!(&note[..len], b"listener");
    assert_eq!(TcpListener::from(fd).local_addr().expect("address"), at);
    assert!(receive_fd(&there, &mut note).expect("closed").is_none());
}

#[test]
fn a_command_becomes_root_of_its_own_or_says_why() {
    let mut command = std::process::Command::new("cat");
    command.arg("/proc/self/uid_map");
    rootless(&mut command);
    match command.output() {
        Ok(output) => {
            let map = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(map.split_whitespace().next(), Some("0"), "{map}");
            assert_eq!(map.split_whitespace().nth(2), Some("1"), "{map}");
        }
        Err(error) => eprintln!("skipped: {error}"),
    }
}

#[test]
fn a_host_name_is_seen_by_those_inside_only() {
    if refused() {
        return;
    }
    let name = || {
        let uname = rustix::system::uname();
        uname.nodename().to_string_lossy().into_owned()
    };
    let before = name();
    let made = HostName::create("pod-1.db.example").expect("made");
    assert_eq!(name(), before);
    let inside = std::thread::scope(|scope| {
        let read = || hostname::join(&made.path()).map(|()| name());
        scope.spawn(read).join().expect("no panic")
    });
    assert_eq!(inside.expect("entered"), "pod-1.db.example");
    let long = HostName::create(&"a".repeat(65)).expect_err("too long");
    assert_eq!(long.raw_os_error(), Some(libc::EINVAL));
}
