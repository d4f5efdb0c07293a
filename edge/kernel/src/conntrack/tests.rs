use super::*;
use crate::netlink::Messages;
use proptest::prelude::*;
use std::net::IpAddr;

fn tuple(v6: bool) -> Tuple {
    let ip = |v4: [u8; 4], v6_text: &str| match v6 {
        false => IpAddr::from(v4),
        true => v6_text.parse().unwrap(),
    };
    Tuple {
        source: ip([10, 0, 0, 1], "fd00::1"),
        destination: ip([10, 96, 0, 10], "fd96::a"),
        protocol: 17,
        source_port: 40_000,
        destination_port: 53,
    }
}

/// A message with one tuple in both directions, as the kernel sends it.
fn message_of(tuple: &Tuple) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(GET, 0, 1, |writer| {
        header(writer, libc::AF_INET as u8);
        let start = writer.len();
        write_tuple(writer, tuple);
        let mut reply = writer.from(start).to_vec();
        // CTA_TUPLE_REPLY
        reply[2] = 2;
        writer.put(&reply);
        writer.be32(entry::ID, 7);
    });
    writer.finish().unwrap().to_vec()
}

#[test]
fn tuples_read_back() {
    for v6 in [false, true] {
        let bytes = message_of(&tuple(v6));
        let entry = decode(&Messages::new(&bytes).next().unwrap()).unwrap();
        assert_eq!((entry.original, entry.reply), (tuple(v6), tuple(v6)));
        assert_eq!((entry.id, entry.zone, entry.timeout), (7, 0, 0));
    }
}

proptest! {
    #[test]
    fn damaged_entries_are_read_to_their_end(at in 0..200_usize, with in any::<u8>(), v6: bool) {
        let mut bytes = message_of(&tuple(v6));
        let len = bytes.len();
        bytes[at % len] = with;
        let read = Messages::new(&bytes).filter_map(|message| decode(&message)).count();
        prop_assert!(read <= len / 16);
    }
}
