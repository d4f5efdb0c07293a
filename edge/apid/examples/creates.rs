//! How many objects a second clients in the same process create: `creates [CLIENTS] [SECONDS]`.

use apid::{Server, Settings};
use model::{Resource, Write};
use serde_json::json;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| {
        args.next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (clients, seconds) = (number(64), number(3));
    let dir = std::env::temp_dir().join(format!("portolan-creates-{}", std::process::id()));
    let server = Server::start(Settings::new(
        &dir,
        "127.0.0.1:0".parse()?,
        vec!["10.96.0.0/16".parse()?],
    ))
    .await?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let count = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for task in 0..clients {
        let (client, count) = (server.client(), count.clone());
        tasks.push(tokio::spawn(async move {
            for n in 0.. {
                if Instant::now() > end {
                    break;
                }
                let object = json!({"metadata": {"name": format!("c-{task}-{n}"), "namespace": "default"}, "data": {"k": "v"}});
                let write = Write::Create { resource: Resource::CONFIG_MAPS, object };
                if client.submit(write).await.is_ok() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    for task in tasks {
        task.await?;
    }
    let made = count.load(Ordering::Relaxed);
    println!(
        "{clients} clients: {} creates a second",
        made / seconds.max(1)
    );
    server.stop().await;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
