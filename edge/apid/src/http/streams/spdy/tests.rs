use super::frames;
use super::*;
use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncReadExt as _, DuplexStream};

/// A client with the server's connection at its other end.
fn connected() -> (DuplexStream, Connection) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    (client, Connection::begin(server))
}

/// A stream without headers, as the first of a client or a later one.
fn syn(id: u32) -> Vec<u8> {
    let block: &[u8] = if id == 1 {
        &[
            0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2, 0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff,
            0xff,
        ]
    } else {
        &[0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
    };
    let mut frame = BytesMut::new();
    frame.put_slice(&[0x80, 3, 0, 1]);
    frame.put_u32(10 + block.len() as u32);
    frame.put_u32(id);
    frame.put_slice(&[0; 6]);
    frame.put_slice(block);
    frame.to_vec()
}

/// The next frame that the client gets: its first four bytes, flags and payload.
async fn received(client: &mut DuplexStream) -> ([u8; 4], u8, Vec<u8>) {
    let mut head = [0; 8];
    client.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[5], head[6], head[7]]);
    let mut payload = vec![0; length as usize];
    client.read_exact(&mut payload).await.unwrap();
    ([head[0], head[1], head[2], head[3]], head[4], payload)
}

#[tokio::test]
async fn a_stream_goes_both_ways_and_ends() {
    let (mut client, mut connection) = connected();
    client.write_all(&syn(1)).await.unwrap();
    let mut stream = connection.streams.recv().await.unwrap();
    stream.accept().await;
    let (kind, _, payload) = received(&mut client).await;
    assert_eq!((kind, &payload[..4]), ([0x80, 3, 0, 2], &[0, 0, 0, 1][..]));
    client
        .write_all(&frames::data(1, true, b"in"))
        .await
        .unwrap();
    assert_eq!(stream.input.recv().await.unwrap(), b"in"[..]);
    assert_eq!(stream.input.recv().await, None);
    stream.output.send(Bytes::from_static(b"out")).await;
    stream.output.finish(Bytes::new()).await;
    let data = [0, 0, 0, 1];
    assert_eq!(received(&mut client).await, (data, 0, b"out".to_vec()));
    assert_eq!(received(&mut client).await, (data, 1, Vec::new()));
    drop(stream);
    let closing = tokio::spawn(connection.close());
    assert_eq!(received(&mut client).await.0, [0x80, 3, 0, 7]);
    drop(client);
    closing.await.unwrap();
}

#[tokio::test]
async fn resets_pings_and_the_end_are_heard() {
    let (mut client, mut connection) = connected();
    client.write_all(&syn(1)).await.unwrap();
    let mut stream = connection.streams.recv().await.unwrap();
    client.write_all(&frames::ping(7)).await.unwrap();
    assert_eq!(
        received(&mut client).await,
        ([0x80, 3, 0, 6], 0, vec![0, 0, 0, 7])
    );
    let reset = frames::reset(1, Reset::Cancel);
    client.write_all(&reset).await.unwrap();
    assert!(stream.reset.wait_for(|reset| *reset).await.is_ok());
    assert_eq!(stream.input.recv().await, None);
    drop(client);
    assert!(connection.streams.recv().await.is_none());
    stream.output.gone().await;
}

#[tokio::test]
async fn streams_out_of_order_and_too_many_are_refused() {
    let (mut client, mut connection) = connected();
    let mut held = Vec::new();
    for id in (1..).step_by(2).take(STREAMS) {
        client.write_all(&syn(id)).await.unwrap();
        held.push(connection.streams.recv().await.unwrap());
    }
    // A number that was used already, then one too many.
    for (id, why) in [(3, 1), (2 * STREAMS as u32 + 1, 3)] {
        client.write_all(&syn(id)).await.unwrap();
        let (kind, _, payload) = received(&mut client).await;
        assert_eq!(kind, [0x80, 3, 0, 3]);
        assert_eq!(payload, [id.to_be_bytes(), u32::to_be_bytes(why)].concat());
    }
    // A stream that is done makes room.
    held.pop();
    client
        .write_all(&syn(2 * STREAMS as u32 + 3))
        .await
        .unwrap();
    assert!(connection.streams.recv().await.is_some());
}

#[tokio::test]
async fn whoever_does_not_read_makes_the_client_wait() {
    let (mut client, mut connection) = connected();
    client.write_all(&syn(1)).await.unwrap();
    let mut stream = connection.streams.recv().await.unwrap();
    let sent = tokio::spawn(async move {
        let piece = frames::data(1, false, &[7; 32 * 1024]);
        for _ in 0..100 {
            client.write_all(&piece).await.unwrap();
        }
        client
    });
    let mut length = 0;
    while length < 100 * 32 * 1024 {
        assert!(!sent.is_finished() || length > 60 * 32 * 1024);
        length += stream.input.recv().await.unwrap().len();
    }
    assert_eq!(length, 100 * 32 * 1024);
    drop(sent.await.unwrap());
}
