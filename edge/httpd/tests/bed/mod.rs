//! Backends, a client, and a server between them.

use gateway::Planner;
use model::{ChangedKeys, Event, EventKind, Snapshot};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

/// An HTTP/1 server that answers with the bytes of the request.
pub(crate) struct Backend {
    address: SocketAddr,
    requests: Option<mpsc::Receiver<()>>,
}

impl Backend {
    pub(crate) fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || serve(&stream, name, &sender));
            }
        });
        Self {
            address,
            requests: Some(requests),
        }
    }

    /// An address that refuses.
    pub(crate) fn dead() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self {
            address: listener.local_addr().expect("an address"),
            requests: None,
        }
    }

    pub(crate) fn wait_for_request(&self) {
        let requests = self.requests.as_ref().expect("a live backend");
        requests.recv_timeout(TIMEOUT).expect("a request");
    }
}

fn serve(stream: &TcpStream, name: &str, seen: &mpsc::Sender<()>) {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut text).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = String::from_utf8_lossy(&text).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.and_then(|n| n.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the body");
        text.extend_from_slice(&body);
        let _ = seen.send(());
        if head.starts_with("GET /ws ") {
            let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                          Connection: Upgrade\r\n\r\n";
            writer.write_all(answer.as_bytes()).expect("the answer");
            let mut bytes = [0; 64];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                writer.write_all(&bytes[..n]).expect("an echo");
            }
            return;
        }
        if head.starts_with("GET /slow ") {
            std::thread::sleep(Duration::from_millis(300));
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\nX-Backend: {name}\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        let _ = writer.write_all(&[answer.as_bytes(), &text].concat());
    }
}

/// A response.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).cloned().unwrap_or_default()
    }
}

/// A client's connection.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        Self(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, text: &str) {
        // A server that refuses early may close before all is written.
        let _ = self.0.get_mut().write_all(text.as_bytes());
    }

    pub(crate) fn read(&mut self, n: usize) -> String {
        let mut bytes = vec![0; n];
        self.0.read_exact(&mut bytes).expect("bytes");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn ask(&mut self, text: &str) -> Answer {
        self.send(text);
        self.answer()
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a status line");
        let status = line.get(9..12).and_then(|code| code.parse().ok());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a header");
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|n| n.parse().ok());
        let body = self.read(length.unwrap_or(0));
        Answer {
            status: status.expect("a status"),
            headers,
            body,
        }
    }
}

type Route<'r> = (&'r str, &'r str, &'r [&'r Backend]);

/// A server with its objects.
pub(crate) struct Bed {
    server: httpd::Server,
    planner: Planner,
    objects: Vec<std::sync::Arc<model::Object>>,
    snapshot: Snapshot,
}

impl Bed {
    /// Serves routes (host, path, endpoints) with one annotation on all of them.
    pub(crate) fn start(routes: &[Route<'_>], annotation: &str) -> Self {
        let settings = httpd::Settings {
            http: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            threads: 2,
            ..httpd::Settings::default()
        };
        let snapshot = Snapshot::default();
        let (planner, update) = Planner::new(&snapshot, &gateway::Settings::default());
        let server = httpd::Server::start(&settings, planner.table().clone()).expect("a server");
        server.apply(update);
        let mut bed = Self {
            server,
            planner,
            objects: Vec::new(),
            snapshot,
        };
        bed.apply(routes, annotation);
        bed
    }

    /// Replaces the objects.
    pub(crate) fn apply(&mut self, routes: &[Route<'_>], annotation: &str) {
        let yaml = yaml(routes, annotation);
        let objects: Vec<_> = testkit::documents(&yaml)
            .iter()
            .map(testkit::object)
            .collect();
        let mut changed = ChangedKeys::default();
        let gone = self
            .objects
            .drain(..)
            .map(|object| (EventKind::Deleted, object));
        let new = objects
            .iter()
            .map(|object| (EventKind::Added, object.clone()));
        for (kind, object) in gone.chain(new).collect::<Vec<_>>() {
            let event = Event {
                kind,
                object,
                old: None,
            };
            self.snapshot.apply(&event, &mut changed);
        }
        self.objects = objects;
        self.server
            .apply(self.planner.apply(&self.snapshot, &changed));
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.server.local_addrs().http.expect("an address")
    }

    pub(crate) fn metrics(&self) -> String {
        self.server.metrics()
    }

    pub(crate) fn shutdown(self) {
        self.server.shutdown();
    }
}

fn yaml(routes: &[Route<'_>], annotation: &str) -> String {
    let mut out = "kind: IngressClass\nmetadata: {name: nginx}\n\
                   spec: {controller: k8s.io/ingress-nginx}\n"
        .to_owned();
    let annotations = match annotation {
        "" => "{}".to_owned(),
        text => format!("{{nginx.ingress.kubernetes.io/{text}}}"),
    };
    for (n, (host, path, backends)) in routes.iter().enumerate() {
        out += &format!(
            "---\nkind: Service\nmetadata: {{name: s{n}, namespace: d}}\n\
             spec: {{ports: [{{port: 80}}]}}\n\
             ---\nkind: Ingress\nmetadata: {{name: i{n}, namespace: d, annotations: {annotations}}}\n\
             spec:\n  ingressClassName: nginx\n  rules:\n  - host: {host}\n    http: {{paths: \
             [{{path: {path}, pathType: Prefix, backend: {{service: {{name: s{n}, port: \
             {{number: 80}}}}}}}}]}}\n"
        );
        for (m, backend) in backends.iter().enumerate() {
            out += &format!(
                "---\nkind: EndpointSlice\naddressType: IPv4\n\
                 metadata: {{name: s{n}-{m}, namespace: d, \
                 labels: {{kubernetes.io/service-name: s{n}}}}}\n\
                 ports: [{{port: {}, protocol: TCP}}]\nendpoints: [{{addresses: [{}]}}]\n",
                backend.address.port(),
                backend.address.ip()
            );
        }
    }
    out
}

/// A self-signed certificate and its key, as PEM text.
pub(crate) fn key_pair(host: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}
