//! Laws: an updated zone equals one built anew; no octets make anything panic; no reply is larger
//! than its client allows.

use dns::{
    Answer, Forward, Key, Name, Settings, Stored, Transport, Zone, answer, describe, rtype,
    upstream_query,
};
use model::{ChangedKeys, Event, EventKind, Snapshot};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// One change of one of a few objects.
fn change() -> impl Strategy<Value = (EventKind, Value)> {
    let kind = prop_oneof![
        3 => Just(EventKind::Modified),
        1 => Just(EventKind::Deleted),
    ];
    (kind, prop_oneof![namespace(), service(), slice()])
}

fn namespace() -> impl Strategy<Value = Value> {
    (0..2usize).prop_map(|n| json!({"kind": "Namespace", "metadata": {"name": format!("ns{n}")}}))
}

fn service() -> impl Strategy<Value = Value> {
    let spec = prop_oneof![
        Just(json!({"clusterIP": "None", "ports": [{"name": "http", "port": 80}]})),
        (1..4u8).prop_map(|n| json!({
            "clusterIPs": [format!("10.0.0.{n}"), format!("fd00::{n}")],
            "ports": [{"name": "http", "port": 80}],
        })),
        (0..3u8).prop_map(|n| json!({
            "type": "ExternalName",
            "externalName": format!("svc{n}.ns0.svc.cluster.local"),
        })),
    ];
    (0..3u8, 0..2u8, spec).prop_map(|(n, space, spec)| {
        let metadata = json!({"name": format!("svc{n}"), "namespace": format!("ns{space}")});
        json!({"kind": "Service", "metadata": metadata, "spec": spec})
    })
}

fn slice() -> impl Strategy<Value = Value> {
    let endpoint = (1..6u8, any::<bool>(), 0..3u8).prop_map(|(n, ready, host)| {
        let mut endpoint = json!({
            "addresses": [format!("10.0.0.{n}")],
            "conditions": {"ready": ready},
        });
        if host > 0 {
            endpoint["hostname"] = json!(format!("host{host}"));
        }
        endpoint
    });
    let ports = prop_oneof![
        Just(json!([])),
        Just(json!([{"name": "http", "port": 80}])),
        Just(json!([{"name": "http", "port": 81}, {"name": "x", "protocol": "UDP"}])),
    ];
    (0..4u8, 0..3u8, 0..2u8, ports, vec(endpoint, 0..4)).prop_map(
        |(n, of, space, ports, endpoints)| {
            let labels = json!({"kubernetes.io/service-name": format!("svc{of}")});
            json!({
                "kind": "EndpointSlice",
                "metadata": {
                    "name": format!("slice{n}"),
                    "namespace": format!("ns{space}"),
                    "labels": labels,
                },
                "addressType": "IPv4",
                "ports": ports,
                "endpoints": endpoints,
            })
        },
    )
}

fn settings() -> Settings {
    Settings::new(1)
}

fn sample_zone() -> Zone {
    let objects = [
        json!({"kind": "Namespace", "metadata": {"name": "ns0"}}),
        json!({
            "kind": "Service", "metadata": {"name": "svc0", "namespace": "ns0"},
            "spec": {"clusterIP": "None", "ports": []},
        }),
        json!({
            "kind": "EndpointSlice",
            "metadata": {
                "name": "s", "namespace": "ns0",
                "labels": {"kubernetes.io/service-name": "svc0"},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 80}],
            "endpoints": (0..200).map(|n| json!({"addresses": [format!("10.1.0.{n}")]}))
                .collect::<Vec<_>>(),
        }),
    ];
    let objects: Vec<_> = objects.iter().map(testkit::object).collect();
    Zone::build(settings(), &Snapshot::from_objects(&objects))
}

/// Messages that are nearly right: a real question, then some octets changed.
fn near_message() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        Just("svc0.ns0.svc.cluster.local."),
        Just("_http._tcp.svc0.ns0.svc.cluster.local."),
        Just("1.0.1.10.in-addr.arpa."),
        Just("www.example.com."),
    ];
    let qtype = prop_oneof![Just(1u16), Just(33), Just(12), Just(28), any::<u16>()];
    let edits = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (name, qtype, any::<bool>(), edits).prop_map(|(name, qtype, edns, edits)| {
        let mut message = upstream_query(&key(name, qtype), 7, edns);
        for (place, octet) in edits {
            let place = place.index(message.len());
            message[place] = octet;
        }
        message
    })
}

fn key(name: &str, qtype: u16) -> Key {
    Key {
        name: Name::parse(name).expect("a name"),
        qtype,
        dnssec: false,
        checking_disabled: false,
    }
}

fn limit(message: &[u8], transport: Transport) -> usize {
    // The size is in the OPT record, whose place is not looked for: it says at most this.
    match transport {
        Transport::Udp if message.get(10..12) == Some(&[0, 0]) => 512,
        Transport::Udp => 65_507,
        Transport::Tcp => 65_535,
    }
}

fn check_reply(zone: &Zone, message: &[u8], transport: Transport, seed: u64) {
    let mut out = Vec::new();
    match answer(zone, message, transport, seed, &mut out) {
        Answer::Drop => assert!(out.is_empty()),
        Answer::Reply | Answer::Shared(_) => {
            assert!(out.len() <= limit(message, transport), "{}", out.len());
            assert_eq!(out[..2], message[..2], "the id");
            assert!(!describe(&out).contains("malformed"), "{}", describe(&out));
        }
        Answer::Forward(forward) => {
            forward.fail(rtype::SERVFAIL, &mut out);
            assert!(!describe(&out).contains("malformed"), "{}", describe(&out));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_updated_zone_equals_a_built_one(changes in vec(vec(change(), 1..4), 1..8)) {
        let mut snapshot = Snapshot::default();
        let mut zone = Zone::new(settings());
        for batch in changes {
            let before = zone.clone();
            let held = Zone::build(settings(), &snapshot);
            let mut changed = ChangedKeys::default();
            for (kind, value) in batch {
                let event = Event { kind, object: testkit::object(&value), old: None };
                snapshot.apply(&event, &mut changed);
            }
            zone.update(&snapshot, &changed);
            prop_assert_eq!(&zone, &Zone::build(settings(), &snapshot));
            prop_assert_eq!(&before, &held, "a clone changed");
        }
    }

    #[test]
    fn any_octets_are_answered_or_dropped(
        message in vec(any::<u8>(), 0..300),
        tcp in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let mut message = message;
        if message.len() > 12 {
            // A random header is dropped or refused; this one leads further.
            let additional = message[2] & 1;
            message[2..12].copy_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, additional]);
        }
        check_reply(&sample_zone(), &message, transport, seed);
    }

    #[test]
    fn nearly_right_messages_are_answered_or_dropped(
        message in near_message(),
        tcp in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        check_reply(&sample_zone(), &message, transport, seed);
    }

    #[test]
    fn any_upstream_octets_are_read_or_refused(
        body in vec(any::<u8>(), 0..200),
        counts in vec(0..4u8, 3),
        size in 0..2000u16,
    ) {
        let asked = key("www.example.com.", rtype::A);
        let mut message = upstream_query(&asked, 7, false);
        message[2] |= 0x80;
        for (index, count) in counts.iter().enumerate() {
            message[7 + 2 * index] = *count;
        }
        message.extend_from_slice(&body);
        describe(&message);
        if let Ok(stored) = Stored::read(&asked, 7, false, &message) {
            let mut client = upstream_query(&asked, 9, true);
            let at = client.len() - 8;
            client[at..at + 2].copy_from_slice(&size.to_be_bytes());
            let forward = forwarded(&client);
            let mut out = Vec::new();
            forward.complete(&stored, 1, 0, &mut out);
            prop_assert!(out.len() <= usize::from(size.max(512)));
            prop_assert!(!describe(&out).contains("malformed"), "{}", describe(&out));
        }
    }
}

fn forwarded(message: &[u8]) -> Box<Forward> {
    let zone = Zone::new(settings());
    match answer(&zone, message, Transport::Udp, 0, &mut Vec::new()) {
        Answer::Forward(forward) => forward,
        other => panic!("not forwarded: {other:?}"),
    }
}
