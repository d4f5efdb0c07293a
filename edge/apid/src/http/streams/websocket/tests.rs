use super::*;
use proptest::prelude::*;

/// A frame as a client sends it.
fn sent(opcode: u8, last: bool, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![if last { 0x80 } else { 0 } | opcode];
    match payload.len() {
        short @ ..=125 => out.push(0x80 | short as u8),
        middle => {
            out.push(0x80 | 126);
            out.extend((middle as u16).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    out
}

/// Everything that comes out when the bytes arrive in pieces of this size.
fn decode(bytes: &[u8], piece: usize) -> Result<Vec<Event>, Violation> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        decoder.buffer().extend_from_slice(piece);
        while let Some(event) = decoder.next()? {
            events.push(event);
        }
    }
    Ok(events)
}

/// The messages in a list of events.
fn messages(events: &[Event]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for event in events {
        if let Event::Data { first, bytes, .. } = event {
            if *first {
                all.push(Vec::new());
            }
            all.last_mut().unwrap().extend_from_slice(bytes);
        }
    }
    all
}

#[test]
fn the_examples_of_the_rfc_are_understood() {
    // Section 5.7: a masked "Hello", and "Hel" "lo" in two frames with a ping between them.
    let hello = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(messages(&decode(&hello, 3).unwrap()), [b"Hello"]);
    let bytes = [
        sent(1, false, b"Hel"),
        sent(9, true, b"x"),
        sent(0, true, b"lo"),
    ]
    .concat();
    let events = decode(&bytes, 1000).unwrap();
    assert_eq!(events[1], Event::Ping(Bytes::from_static(b"x")));
    assert_eq!(messages(&events), [b"Hello"]);
    assert_eq!(
        accept("dGhlIHNhbXBsZSBub25jZQ=="),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert_eq!(&message(Form::Text, b"Hello")[..], b"\x81\x05Hello");
    assert_eq!(message(Form::Binary, &[0; 256])[..4], [0x82, 0x7e, 1, 0]);
    assert_eq!(
        message(Form::Binary, &[0; 65536])[..10],
        [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]
    );
}

#[test]
fn what_breaks_the_protocol_is_refused() {
    let mut unmasked = sent(1, true, b"a");
    unmasked[1] &= 0x7f;
    let mut reserved = sent(1, true, b"a");
    reserved[0] |= 0x40;
    let cases = [
        (unmasked, "frame of a client without a mask"),
        (reserved, "reserved bits without an extension"),
        (sent(0, true, b"a"), "continuation of no message"),
        (sent(3, true, b"a"), "unknown opcode"),
        (sent(11, true, b"a"), "unknown opcode"),
        (sent(8, true, b"a"), "close without a whole status"),
        (sent(9, false, b"a"), "control frame in pieces or too long"),
        (
            sent(9, true, &[0; 126]),
            "control frame in pieces or too long",
        ),
        (
            [sent(1, false, b"a"), sent(2, true, b"b")].concat(),
            "message within a message",
        ),
    ];
    for (bytes, why) in cases {
        assert_eq!(decode(&bytes, 1000), Err(Violation(why)), "{bytes:x?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_decoded_alike_in_pieces(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        piece in 1usize..20,
    ) {
        let whole = decode(&bytes, bytes.len()).map(|events| messages(&events));
        let parts = decode(&bytes, piece).map(|events| messages(&events));
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn messages_come_out_as_they_were_sent(
        list in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6),
        piece in 1usize..100,
    ) {
        let bytes: Vec<u8> = list.iter().flat_map(|message| sent(2, true, message)).collect();
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        for piece in bytes.chunks(piece) {
            decoder.buffer().extend_from_slice(piece);
            while let Some(event) = decoder.next().unwrap() {
                events.push(event);
            }
        }
        prop_assert_eq!(messages(&events), list);
        prop_assert!(decoder.buffer().is_empty());
    }
}
