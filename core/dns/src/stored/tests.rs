use super::*;
use crate::{Answer, Settings, Transport, Zone, answer, describe};

fn key(name: &str) -> Key {
    Key {
        name: Name::parse(name).unwrap(),
        qtype: rtype::A,
        dnssec: false,
        checking_disabled: false,
    }
}

/// A reply of another server: response code, flags, and records as section, owner, type, TTL, data.
struct Upstream<'r> {
    flags: u16,
    records: &'r [(u8, &'r str, u16, u32, Vec<u8>)],
}

impl Upstream<'_> {
    fn message(&self, key: &Key) -> Vec<u8> {
        let mut message = upstream_query(key, 7, false);
        let flags = QR | RA | self.flags;
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        for (section, owner, rtype, ttl, data) in self.records {
            message[7 + 2 * usize::from(*section)] += 1;
            message.extend_from_slice(Name::parse(owner).unwrap().as_wire());
            message.extend_from_slice(&rtype.to_be_bytes());
            message.extend_from_slice(&[0, 1]);
            message.extend_from_slice(&ttl.to_be_bytes());
            message.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend_from_slice(data);
        }
        message
    }

    fn stored(&self, key: &Key) -> Stored {
        Stored::read(key, 7, false, &self.message(key)).unwrap()
    }
}

fn wire(name: &str) -> Vec<u8> {
    Name::parse(name).unwrap().as_wire().to_vec()
}

fn soa(minimum: u32) -> Vec<u8> {
    let numbers = [1u32, 2, 3, 4, minimum];
    let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
    [wire("ns.test"), wire("root.test"), numbers.collect()].concat()
}

fn complete(name: &str, stored: &Stored, age: u32) -> String {
    let message = upstream_query(&key(name), 9, true);
    let zone = Zone::new(Settings::new(1));
    let mut out = Vec::new();
    let Answer::Forward(forward) = answer(&zone, &message, Transport::Udp, 0, &mut out) else {
        panic!("{name} is not forwarded");
    };
    forward.complete(stored, age, 0, &mut out);
    describe(&out)
}

#[test]
fn an_answer_is_passed_on_with_its_age() {
    let asked = key("www.test.");
    let records = [
        (0, "www.test", rtype::CNAME, 60, wire("a.test")),
        (0, "a.test", rtype::A, 20, vec![192, 0, 2, 1]),
        (0, "a.test", rtype::A, 90, vec![192, 0, 2, 2]),
    ];
    let stored = Upstream {
        flags: AA | AD,
        records: &records,
    }
    .stored(&asked);
    assert_eq!(
        (stored.ttl(), stored.may_keep(), stored.is_denial()),
        (20, true, false)
    );
    let text = complete("WWW.test.", &stored, 5);
    assert_eq!(
        text,
        ";; NOERROR qr aa rd ra ad (87 octets)\n;; edns 0 udp 1232\n;WWW.test. IN A\n;; answer\n\
         WWW.test. 15 IN CNAME a.test.\na.test. 15 IN A 192.0.2.1\na.test. 15 IN A 192.0.2.2\n"
    );
}

#[test]
fn what_may_be_kept_and_for_how_long() {
    let asked = key("www.test.");
    let address = || (0, "www.test", rtype::A, 3600, vec![192, 0, 2, 1]);
    let alias = || (0, "www.test", rtype::CNAME, 1, wire("a.test"));
    let denial = |ttl, minimum| (1, "test", rtype::SOA, ttl, soa(minimum));
    for (flags, records, ttl, keep) in [
        (0, vec![address()], 30, true),
        (0, vec![alias(), address()], 5, true),
        (0, vec![alias()], 5, false),
        (0, vec![alias(), denial(60, 9)], 5, true),
        (0, vec![denial(60, 9)], 9, true),
        (0, vec![], 5, true),
        (rtype::NXDOMAIN, vec![denial(8, 60)], 8, true),
        (rtype::NXDOMAIN, vec![], 30, false),
        (rtype::SERVFAIL, vec![], 5, true),
        (rtype::REFUSED, vec![], 5, false),
        (TC, vec![address()], 30, false),
    ] {
        let stored = Upstream {
            flags,
            records: &records,
        }
        .stored(&asked);
        assert_eq!(
            (stored.ttl(), stored.may_keep()),
            (ttl, keep),
            "{flags:#x} {records:?}"
        );
    }
}

#[test]
fn foreign_and_broken_answers_are_told_apart() {
    let asked = key("www.test.");
    let message = Upstream {
        flags: 0,
        records: &[],
    }
    .message(&asked);
    let read = |message: &[u8], edns| Stored::read(&asked, 7, edns, message).map(|_| ());
    assert_eq!(read(&message, true), Ok(()));
    assert_eq!(
        Stored::read(&asked, 8, true, &message),
        Err(Mismatch::Foreign)
    );
    let other = Upstream {
        flags: 0,
        records: &[],
    }
    .message(&key("xxx.test."));
    assert_eq!(read(&other, true), Err(Mismatch::Foreign));
    let query = upstream_query(&asked, 7, true);
    assert_eq!(read(&query, true), Err(Mismatch::Foreign));
    let mut lies = message.clone();
    lies[7] = 1;
    assert_eq!(read(&lies, true), Err(Mismatch::Malformed));
    lies[2] |= 2;
    assert_eq!(read(&lies, true), Ok(()), "cut, so it may end anywhere");
    let old = Upstream {
        flags: rtype::FORMERR,
        records: &[],
    }
    .message(&asked);
    assert_eq!(read(&old, true), Err(Mismatch::NoEdns));
    assert_eq!(read(&old, false), Ok(()));
}

#[test]
fn an_alias_to_a_failing_name_fails() {
    let yaml = "
kind: Namespace
metadata: {name: shop}
---
kind: Service
metadata: {name: out, namespace: shop}
spec: {type: ExternalName, externalName: www.test}
";
    let zone = Zone::build(Settings::new(1), &testkit::snapshot(yaml));
    let message = upstream_query(&key("out.shop.svc.cluster.local."), 9, false);
    let mut out = Vec::new();
    let Answer::Forward(forward) = answer(&zone, &message, Transport::Udp, 0, &mut out) else {
        panic!("not forwarded");
    };
    assert_eq!(forward.key, key("www.test."));
    forward.complete(&failure(1), 0, 0, &mut out);
    assert!(describe(&out).starts_with(";; SERVFAIL qr rd ra "));
    let missing = Upstream {
        flags: rtype::NXDOMAIN,
        records: &[(1, "test", rtype::SOA, 9, soa(9))],
    };
    forward.complete(&missing.stored(&forward.key), 0, 0, &mut out);
    let text = describe(&out);
    assert!(text.starts_with(";; NOERROR qr aa rd ra "), "{text}");
    assert!(
        text.ends_with(";; answer\nout.shop.svc.cluster.local. 30 IN CNAME www.test.\n"),
        "{text}"
    );
}
