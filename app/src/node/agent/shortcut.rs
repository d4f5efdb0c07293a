//! Connect hooks beside the rules (`--socket-lb`). Without them, or for what finds no room in
//! their maps, everything goes by the rules.

use kernel::bpf::{ConnectHooks, Frontend, HooksError, Room, cgroup2};
use model::Protocol;
use proxy::kernel::HookSlots;
use std::collections::BTreeMap;
use std::path::Path;

/// In the place of a path: the cgroup of the whole machine.
pub(crate) const AUTO: &str = "auto";

/// Hooks, if they are wanted and the kernel has them, and what they are still to be told.
#[derive(Default)]
pub(super) struct Shortcut {
    hooks: Option<ConnectHooks>,
    pending: BTreeMap<proxy::Frontend, HookSlots>,
    /// Whether it was told that not all could be led
    refused: bool,
}

impl Shortcut {
    /// Attaches hooks to the cgroup, or to that of the whole machine for [`AUTO`].
    pub(super) fn open(cgroup: Option<&Path>) -> Self {
        let hooks = cgroup.and_then(|cgroup| {
            attach(cgroup)
                .map_err(|error| {
                    tracing::warn!(
                        "--socket-lb has no effect, connections go by the rules: {error}"
                    );
                })
                .ok()
        });
        Self {
            hooks,
            ..Self::default()
        }
    }

    /// Whether there are hooks.
    pub(super) fn is_on(&self) -> bool {
        self.hooks.is_some()
    }

    /// Keeps what is to be done once the rules are in.
    pub(super) fn add(&mut self, changes: BTreeMap<proxy::Frontend, HookSlots>) {
        if self.is_on() {
            self.pending.extend(changes);
        }
    }

    /// The rules are in: the hooks follow.
    pub(super) fn follow(&mut self) {
        let Some(hooks) = &mut self.hooks else { return };
        for (frontend, slots) in std::mem::take(&mut self.pending) {
            let at = Frontend {
                address: frontend.address,
                protocol: number(frontend.protocol),
                port: frontend.port,
            };
            if let Err(error) = hooks.set(at, &slots)
                && !std::mem::replace(&mut self.refused, true)
            {
                tracing::warn!("connections to {frontend} and others go by the rules: {error}");
            }
        }
    }
}

fn attach(cgroup: &Path) -> Result<ConnectHooks, HooksError> {
    let hooks = match cgroup == Path::new(AUTO) {
        true => ConnectHooks::attach(&cgroup2()?, Room::default())?,
        false => ConnectHooks::attach(cgroup, Room::default())?,
    };
    tracing::info!("sockets are led to endpoints as they connect");
    Ok(hooks)
}

/// IP protocol number.
fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(slots: &[&str]) -> BTreeMap<proxy::Frontend, HookSlots> {
        let frontend = proxy::Frontend {
            address: [10, 96, 0, 1].into(),
            protocol: Protocol::Tcp,
            port: 80,
        };
        let slots = slots.iter().map(|slot| slot.parse().expect("an address"));
        [(frontend, slots.collect())].into()
    }

    #[test]
    fn without_a_cgroup_everything_goes_by_the_rules() {
        for cgroup in [None, Some(Path::new("/no/such/cgroup"))] {
            let mut shortcut = Shortcut::open(cgroup);
            shortcut.add(changes(&["10.244.0.1:8080"]));
            shortcut.follow();
            assert!(!shortcut.is_on() && shortcut.pending.is_empty());
        }
    }

    #[test]
    fn hooks_follow_the_rules() {
        let Ok(root) = cgroup2() else {
            return eprintln!("skipped: no cgroup2");
        };
        let cgroup = root.join(format!("portolan-shortcut-{}", std::process::id()));
        if let Err(error) = std::fs::create_dir(&cgroup) {
            return eprintln!("skipped: {error}");
        }
        let mut shortcut = Shortcut::open(Some(&cgroup));
        if shortcut.is_on() {
            let led = |shortcut: &Shortcut| shortcut.hooks.as_ref().map(ConnectHooks::len);
            shortcut.add(changes(&["10.244.0.1:8080"]));
            assert_eq!(led(&shortcut), Some(0));
            shortcut.follow();
            assert_eq!(led(&shortcut), Some(1));
            shortcut.add(changes(&[]));
            shortcut.follow();
            assert_eq!(led(&shortcut), Some(0));
        } else {
            eprintln!("skipped: the kernel refuses");
        }
        drop(shortcut);
        std::fs::remove_dir(&cgroup).expect("an empty cgroup");
    }
}
