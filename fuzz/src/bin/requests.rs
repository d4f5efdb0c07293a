//! Requests out of any bytes: first line method, path and content type; the rest is the body.
#![no_main]

use fuzz::Server;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use std::cell::RefCell;

thread_local! {
    static SERVER: RefCell<Server> = RefCell::new(start());
}

fn start() -> Server {
    let mut server = Server::default();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    server.must("/api/v1/namespaces", &namespace);
    server
}

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let Ok(head) = std::str::from_utf8(&data[..end]) else { return };
    let body = data.get(end + 1..).unwrap_or_default();
    let mut words = head.splitn(3, ' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let content_type = words.next().unwrap_or_default();
    let _ = api::Accept::parse(Some(content_type));
    SERVER.with_borrow_mut(|server| {
        let _ = server.send(method, target, content_type, body);
        // What was stored must not fill the memory.
        if server.engine.version() > 2000 {
            *server = start();
        }
    });
});
