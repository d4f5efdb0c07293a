//! Hooks say what rules say, to this machine's own connections.

use super::generate::{ip, settings, value};
use super::verdicts::world;
use model::{ChangedKeys, Protocol, Snapshot};
use nft::trace::{Fate, Origin, Packet, trace_all};
use proptest::prelude::*;
use proxy::Frontend;
use proxy::kernel::{HookSlots, NodeSettings, RulesetPlanner, Update};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Maps of the hooks, kept by what updates say.
#[derive(Default)]
struct Maps(BTreeMap<Frontend, HookSlots>);

impl Maps {
    fn take(&mut self, update: Update) {
        for (frontend, slots) in update.hooks {
            match slots.is_empty() {
                true => self.0.remove(&frontend),
                false => self.0.insert(frontend, slots),
            };
        }
    }
}

impl Maps {
    /// What updates said is what the planner says of the whole, and what rules do.
    fn check(&self, planner: &RulesetPlanner) -> Result<(), TestCaseError> {
        prop_assert_eq!(&self.0, &planner.hooks());
        for (frontend, slots) in &self.0 {
            let mut slots = slots.clone();
            slots.sort();
            prop_assert_eq!(&destinations(planner, frontend), &slots, "{}", frontend);
        }
        Ok(())
    }
}

/// Where rules send a connection of this machine, for every choice that they may make.
fn destinations(planner: &RulesetPlanner, frontend: &Frontend) -> Vec<SocketAddr> {
    let own = if frontend.address.is_ipv4() {
        "192.0.2.10"
    } else {
        "2001:db8::10"
    };
    let to = SocketAddr::new(frontend.address, frontend.port);
    let packet = Packet {
        protocol: if frontend.protocol == Protocol::Tcp {
            6
        } else {
            17
        },
        ..Packet::udp(Origin::Local, SocketAddr::new(ip(own), 40_000), to)
    };
    let all = trace_all(&planner.desired(), &world(), &packet, 4096);
    let mut found: Vec<_> = all
        .iter()
        .map(|(outcome, _)| match &outcome.fate {
            Fate::Delivered { destination, .. } | Fate::Forwarded { destination, .. } => {
                *destination
            }
            fate => panic!("{frontend} is led by hooks, and by rules: {fate:?}"),
        })
        .collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hooks_lead_where_rules_lead(
        history in prop::collection::vec((value(), prop::bool::weighted(0.1)), 10..50),
        settings in settings(),
        later in settings(),
        often in prop::array::uniform4(prop::bool::weighted(0.8)),
    ) {
        let [mut settings, mut later] = [settings, later];
        for settings in [&mut settings, &mut later] {
            settings.masquerade_all &= !often[0];
            settings.reset_removed &= !often[1];
        }
        settings.connect_hooks = often[2];
        later.connect_hooks = often[3];
        let mut planner = RulesetPlanner::new(settings);
        let mut maps = Maps::default();
        let mut snapshot = Snapshot::default();
        for (value, gone) in &history {
            let mut changed = ChangedKeys::default();
            snapshot.apply(&testkit::event(value, *gone), &mut changed);
            maps.take(planner.update(&snapshot, &changed));
            maps.check(&planner)?;
        }
        maps.take(planner.set_settings(&snapshot, later));
        maps.check(&planner)?;
    }
}

#[test]
fn only_what_chance_decides_is_led() {
    let service = |name: &str, address: &str, extra: serde_json::Value| {
        let mut value = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": "shop", "name": name},
            "spec": {
                "type": "NodePort",
                "clusterIP": address,
                "clusterIPs": [address],
                "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}],
            },
        });
        for (field, more) in extra.as_object().into_iter().flatten() {
            value["spec"][field] = more.clone();
        }
        value
    };
    let slice = |name: &str| {
        serde_json::json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": "shop",
                "name": name,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.244.0.1"]}],
            "ports": [{"port": 8080, "protocol": "TCP"}],
        })
    };
    let values = [
        service("plain", "10.96.0.1", serde_json::json!({})),
        service(
            "sticky",
            "10.96.0.2",
            serde_json::json!({"sessionAffinity": "ClientIP"}),
        ),
        service("empty", "10.96.0.3", serde_json::json!({})),
        slice("plain"),
        slice("sticky"),
    ];
    let objects: Vec<_> = values.iter().map(testkit::object).collect();
    let snapshot = Snapshot::from_objects(&objects);
    let led = |settings: NodeSettings| {
        let mut planner = RulesetPlanner::new(settings);
        let mut changed = ChangedKeys::default();
        changed.services.extend(snapshot.services.keys().cloned());
        planner.update(&snapshot, &changed);
        let hooks = planner.hooks();
        hooks
            .into_iter()
            .map(|(at, slots)| format!("{at} {slots:?}"))
            .collect::<Vec<_>>()
    };
    let on = NodeSettings {
        connect_hooks: true,
        ..NodeSettings::default()
    };
    assert_eq!(led(on.clone()), ["10.96.0.1:80/TCP [10.244.0.1:8080]"]);
    let none: [&str; 0] = [];
    assert_eq!(
        led(NodeSettings {
            masquerade_all: true,
            ..on.clone()
        }),
        none
    );
    assert_eq!(
        led(NodeSettings {
            reset_removed: true,
            ..on
        }),
        none
    );
    assert_eq!(led(NodeSettings::default()), none);
}
