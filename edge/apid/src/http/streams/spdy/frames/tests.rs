use super::*;
use proptest::prelude::*;

/// A stream as a client opens it.
fn opened(packer: &mut Packer, id: u32, headers: &[(&str, &str)]) -> Vec<u8> {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut payload = BytesMut::new();
    payload.put_u32(id);
    payload.put_u32(0);
    payload.put_u16(0);
    payload.put_slice(&packer.write(&headers.collect()));
    control(SYN_STREAM, &payload).to_vec()
}

/// Everything that comes out when the bytes arrive in pieces of this size.
fn decode(bytes: &[u8], piece: usize) -> (Vec<Event>, Option<Broken>) {
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        decoder.buffer().extend_from_slice(piece);
        loop {
            match decoder.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(broken) => return (events, Some(broken)),
            }
        }
    }
    (events, None)
}

/// Events with the pieces of each data frame put together.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for event in events {
        if let (
            Some(Event::Data {
                id: old,
                fin: ended,
                bytes: head,
            }),
            Event::Data { id, fin, bytes },
        ) = (all.last_mut(), &event)
            && old == id
            && !*ended
        {
            *head = [head.as_ref(), bytes].concat().into();
            *ended = *fin;
            continue;
        }
        all.push(event);
    }
    all
}

#[test]
fn a_session_of_a_client_is_understood() {
    let mut packer = Packer::default();
    let bytes = [
        opened(&mut packer, 1, &[("streamtype", "error")]),
        opened(&mut packer, 3, &[("streamtype", "stdin"), ("port", "80")]),
        data(3, false, b"hello").to_vec(),
        control(WINDOW_UPDATE, &[0, 0, 0, 1, 0, 0, 1, 0]).to_vec(),
        data(3, true, b"").to_vec(),
        ping(1).to_vec(),
        reset(1, Reset::Cancel).to_vec(),
        go_away(0).to_vec(),
    ]
    .concat();
    for piece in [1, 7, 1000] {
        let (events, broken) = decode(&bytes, piece);
        assert_eq!(broken, None);
        let text = format!("{:?}", joined(events));
        assert_eq!(
            text,
            "[Stream { id: 1, fin: false, headers: {\"streamtype\": \"error\"} }, \
             Stream { id: 3, fin: false, headers: {\"port\": \"80\", \"streamtype\": \"stdin\"} }, \
             Data { id: 3, fin: true, bytes: b\"hello\" }, Ping(1), Reset { id: 1 }, GoAway]",
            "pieces of {piece}"
        );
    }
}

#[test]
fn frames_have_the_bytes_that_clients_expect() {
    assert_eq!(
        data(5, true, b"ab")[..],
        [0, 0, 0, 5, 1, 0, 0, 2, b'a', b'b']
    );
    assert_eq!(
        reset(5, Reset::RefusedStream)[..],
        [0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 5, 0, 0, 0, 3]
    );
    assert_eq!(ping(7)[..], [0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 7]);
    assert_eq!(
        go_away(9)[..],
        [0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0]
    );
    let mut encoder = Encoder::default();
    // No headers at all, as Kubernetes answers: a stored part and an empty one.
    let first = [
        0x80, 3, 0, 2, 0, 0, 0, 24, 0, 0, 0, 1, 0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2, 0, 4, 0, 0xfb,
        0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff,
    ];
    assert_eq!(encoder.reply(1)[..], first);
    assert_eq!(encoder.reply(3).len(), first.len() - 6);
}

#[test]
fn blocks_that_zlib_packed_are_read() {
    // Made by zlib at level 9, one after the other, each with a sync flush at its end.
    let blocks = [
        "78f9e3c6a7c202a62346703a2b294a4dcc851625aca9a08006000000ffff",
        "02a5474ca9e21260768194d845e0cc6161606100a4398b20319c094af98c0600000000ffff",
    ];
    let mut unpacker = Unpacker::new();
    let read = blocks.map(|block| {
        let bytes: Vec<u8> = (0..block.len() / 2)
            .map(|i| u8::from_str_radix(&block[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        format!("{:?}", unpacker.read(&bytes).unwrap())
    });
    assert_eq!(
        read,
        [
            "{\"streamtype\": \"error\"}",
            "{\"port\": \"8080\", \"requestid\": \"0\", \"streamtype\": \"stdin\"}",
        ]
    );
}

#[test]
fn what_breaks_the_protocol_is_refused() {
    let cases = [
        (
            vec![0x80, 2, 0, 1, 0, 0, 0, 0],
            "another version of the protocol",
        ),
        (
            vec![0x80, 3, 0, 5, 0, 0, 0, 0],
            "unknown kind of control frame",
        ),
        (vec![0x80, 3, 0, 1, 0, 1, 0, 0], "control frame too long"),
        (
            vec![0x80, 3, 0, 6, 0, 0, 0, 1, 0],
            "control frame too short",
        ),
        (vec![0, 0, 0, 0, 0, 0, 0, 0], "data without a stream"),
    ];
    for (bytes, why) in cases {
        assert_eq!(decode(&bytes, 100).1, Some(Broken(why)), "{bytes:x?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_decoded_alike_in_pieces(
        kinds in proptest::collection::vec((0u16..11, any::<[u8; 8]>(), 0usize..30), 0..8),
        piece in 1usize..20,
    ) {
        let mut bytes = Vec::new();
        for (kind, payload, length) in kinds {
            if kind == 10 {
                bytes.extend(data(u32::from(payload[0]), payload[1] & 1 == 1, &payload));
            } else {
                bytes.extend(control(kind, &payload.repeat(4)[..length]));
            }
        }
        let (whole, first) = decode(&bytes, bytes.len());
        let (parts, second) = decode(&bytes, piece);
        prop_assert_eq!(joined(whole), joined(parts));
        prop_assert_eq!(first, second);
    }

    #[test]
    fn noise_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (events, _) = decode(&bytes, 64);
        prop_assert!(events.len() <= bytes.len());
    }
}
