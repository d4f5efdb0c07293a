//! Being told when addresses of this machine come and go.

use kernel::link::{AddressWatch, LinkError};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// How long changes are gathered: an interface that comes up gets its addresses one after another.
const GATHER: Duration = Duration::from_millis(50);

/// How often the thread looks whether anybody wants to be told still.
const LOOK: Duration = Duration::from_secs(10);

/// Tells of changes, at most once in each [`GATHER`]. Where the kernel does not tell, it is silent
/// forever, and who asks has to look by himself.
pub(super) struct AddressChanges {
    changed: Arc<Notify>,
}

impl AddressChanges {
    /// Listens from now on, in the calling thread's network namespace.
    pub(super) fn listen() -> Self {
        Self::of(AddressWatch::open_here())
    }

    fn of(watch: Result<AddressWatch, LinkError>) -> Self {
        let changed = Arc::new(Notify::new());
        let tell = Arc::downgrade(&changed);
        let started = watch.map_err(std::io::Error::from).and_then(|watch| {
            let thread = std::thread::Builder::new().name("addresses".to_owned());
            thread.spawn(move || follow(watch, &tell))
        });
        if let Err(error) = started {
            tracing::warn!(%error, "changes of addresses are seen late");
        }
        Self { changed }
    }

    /// Waits for the next change. Nothing is lost when the wait is given up.
    pub(super) async fn next(&self) {
        self.changed.notified().await;
    }
}

/// Tells until nobody listens any more.
fn follow(mut watch: AddressWatch, tell: &Weak<Notify>) {
    loop {
        let told = watch.wait(LOOK).and_then(|told| {
            if told {
                std::thread::sleep(GATHER);
                watch.drain()?;
            }
            Ok(told)
        });
        let Some(changed) = tell.upgrade() else {
            return;
        };
        match told {
            Ok(true) => changed.notify_one(),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "changes of addresses are seen late from here on");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::link::Links;
    use kernel::netns::{Namespace, may_create};
    use tokio::time::timeout;

    /// A namespace, and its links with the number of `lo`.
    fn inside() -> Option<(Namespace, Links, u32)> {
        if let Err(refusal) = may_create() {
            eprintln!("skipped: {}", refusal.0);
            return None;
        }
        let inside = Namespace::create().expect("a namespace");
        let mut links = Links::open(&inside).expect("its links");
        let lo = links.index("lo").expect("lo");
        Some((inside, links, lo))
    }

    #[tokio::test]
    async fn several_changes_are_told_at_once() {
        let Some((inside, mut links, lo)) = inside() else {
            return;
        };
        let changes = AddressChanges::of(AddressWatch::open(&inside));
        let patience = Duration::from_secs(10);
        for count in 1..3 {
            for last in 1..=20 {
                let ip = std::net::IpAddr::from([192, 0, count, last]);
                links.add_address(lo, ip, 32).expect("added");
            }
            let told = timeout(patience, changes.next()).await;
            assert!(told.is_ok(), "round {count}");
            while timeout(GATHER * 2, changes.next()).await.is_ok() {}
        }
    }

    #[tokio::test]
    async fn the_thread_ends_with_its_listener() {
        let Some((inside, mut links, lo)) = inside() else {
            return;
        };
        let watch = AddressWatch::open(&inside).expect("a watch");
        let nobody = Weak::new();
        let thread = std::thread::spawn(move || follow(watch, &nobody));
        let ip = std::net::IpAddr::from([192, 0, 2, 1]);
        links.add_address(lo, ip, 32).expect("added");
        thread.join().expect("it ends");
    }
}
