use super::*;
use proptest::prelude::*;

fn written(kind: u16, attrs: &[(u16, Vec<u8>)]) -> Writer {
    let mut writer = Writer::default();
    writer.message(kind, 5, 7, |writer| {
        writer.nest(9, |writer| {
            for (kind, value) in attrs {
                writer.attr(*kind, value);
            }
        });
    });
    writer
}

/// Walks attributes as deep as they go, as a decoder might.
fn walk(attrs: Attrs<'_>, depth: usize) -> usize {
    attrs
        .map(|attr| {
            let deeper = if depth == 0 {
                0
            } else {
                walk(attr.nested(), depth - 1)
            };
            let read = [
                attr.u8().is_some(),
                attr.u32().is_some(),
                attr.be16().is_some(),
                attr.be32().is_some(),
                attr.be64().is_some(),
                attr.text().is_some(),
            ];
            1 + deeper + read.iter().filter(|read| **read).count()
        })
        .sum()
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        kind in 16..4000_u16,
        attrs in prop::collection::vec((1..0x3fff_u16, prop::collection::vec(any::<u8>(), 0..40)), 0..20),
    ) {
        let writer = written(kind, &attrs);
        let bytes = writer.finish().unwrap();
        let messages: Vec<_> = Messages::new(bytes).collect();
        prop_assert_eq!(messages.len(), 1);
        prop_assert_eq!((messages[0].kind, messages[0].flags, messages[0].seq), (kind, 5, 7));
        let read: Vec<_> = messages[0]
            .attrs(0)
            .find(9)
            .unwrap()
            .nested()
            .map(|attr| (attr.kind, attr.data.to_vec()))
            .collect();
        prop_assert_eq!(read, attrs);
    }

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for message in Messages::new(&bytes) {
            prop_assert!(message.body.len() <= bytes.len());
            let _ = message.acknowledgement();
        }
        prop_assert!(walk(Attrs::new(&bytes), 6) <= bytes.len() * 50);
    }

    #[test]
    fn damaged_messages_are_read_to_their_end(
        at in 0..200_usize,
        with in any::<u8>(),
        attrs in prop::collection::vec((1..9_u16, prop::collection::vec(any::<u8>(), 0..12)), 0..9),
    ) {
        let writer = written(libc::NLMSG_ERROR as u16, &attrs);
        let mut bytes = writer.finish().unwrap().to_vec();
        let len = bytes.len();
        bytes[at % len] = with;
        for message in Messages::new(&bytes) {
            let _ = message.acknowledgement();
            prop_assert!(walk(message.attrs(0), 6) <= len * 50);
        }
    }
}

#[test]
fn too_long_attribute_is_an_error_and_no_wrong_length() {
    let mut writer = Writer::default();
    writer.message(16, 0, 1, |writer| writer.attr(1, &[0; 70_000]));
    assert!(matches!(writer.finish(), Err(NetlinkError::TooLong)));
}

#[test]
fn extended_acknowledgement_names_reason_and_place() {
    let mut writer = Writer::default();
    writer.message(libc::NLMSG_ERROR as u16, 0x300, 42, |writer| {
        writer.put(&(-libc::EINVAL).to_ne_bytes());
        writer.put(&[0; 16]);
        writer.text(1, "Unknown thing");
        writer.u32(2, 36);
    });
    let bytes = writer.finish().unwrap();
    let error = Messages::new(bytes)
        .next()
        .unwrap()
        .acknowledgement()
        .unwrap_err();
    let NetlinkError::Refused {
        errno,
        message,
        offset,
        seq,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((*errno, *offset, *seq), (libc::EINVAL, Some(36), 42));
    assert_eq!(message.as_deref(), Some("Unknown thing"));
    assert_eq!(
        error.to_string(),
        "the kernel refused: Invalid argument (os error 22): Unknown thing"
    );
}

#[test]
fn links_are_dumped() {
    let mut socket = Socket::open(libc::NETLINK_ROUTE).unwrap();
    assert_ne!(socket.port(), 0);
    let names: Vec<String> = socket
        .dump(
            libc::RTM_GETLINK,
            |writer| writer.put(&[0; 16]),
            |names: &mut Vec<String>, message| {
                let name = message.attrs(16).find(libc::IFLA_IFNAME);
                names.extend(name.and_then(|name| name.text().map(str::to_owned)));
            },
        )
        .unwrap();
    assert!(names.contains(&"lo".to_owned()), "{names:?}");
}

#[test]
fn refused_request_says_why() {
    let mut socket = Socket::open(libc::NETLINK_ROUTE).unwrap();
    let error = socket
        .request(libc::RTM_GETLINK, 0, |writer| {
            writer.put(&[0; 16]);
            writer.text(libc::IFLA_IFNAME, "no-such-link");
        })
        .unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENODEV), "{error}");
}
