use super::*;
use tokio::io::{AsyncReadExt as _, DuplexStream};

const PLAIN: Dialect = Dialect {
    base64: false,
    close_signal: true,
};

/// A message as a client sends it, with a mask of zeros.
fn sent(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    out.extend(payload);
    out
}

/// The next frame that the client gets: opcode and payload.
async fn received(client: &mut DuplexStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    client.read_exact(&mut head).await.unwrap();
    let mut payload = vec![0; usize::from(head[1])];
    client.read_exact(&mut payload).await.unwrap();
    (head[0] & 0x0f, payload)
}

/// A client, the server's side, and what comes in on channels 0 and 4.
fn connected(
    dialect: Dialect,
) -> (
    DuplexStream,
    Channels,
    mpsc::Receiver<Bytes>,
    mpsc::Receiver<Bytes>,
) {
    let (client, server) = tokio::io::duplex(4096);
    let (stdin, first) = input();
    let (resize, last) = input();
    let inputs = vec![Some(stdin), None, None, None, Some(resize)];
    (
        client,
        Channels::begin(server, dialect, inputs),
        first,
        last,
    )
}

#[tokio::test]
async fn messages_go_to_their_channels() {
    let (mut client, channels, mut stdin, mut resize) = connected(PLAIN);
    let messages = [
        sent(2, b"\0one"),
        sent(2, b"\x04{}"),
        sent(2, b"\x01ignored"),
        sent(2, b"\x09ignored"),
        sent(2, b""),
        sent(9, b"beat"),
        sent(2, b"\xff\0"),
    ];
    client.write_all(&messages.concat()).await.unwrap();
    assert_eq!(stdin.recv().await.unwrap(), b"one"[..]);
    assert_eq!(resize.recv().await.unwrap(), b"{}"[..]);
    // The close signal.
    assert_eq!(stdin.recv().await, None);
    assert_eq!(received(&mut client).await, (10, b"beat".to_vec()));
    channels.sink(1).send(Bytes::from_static(b"out")).await;
    assert_eq!(received(&mut client).await, (2, b"\x01out".to_vec()));
    let closing = tokio::spawn(channels.close());
    assert_eq!(received(&mut client).await, (8, vec![0x03, 0xe8]));
    client.write_all(&sent(8, &[0x03, 0xe8])).await.unwrap();
    closing.await.unwrap();
}

#[tokio::test]
async fn base64_is_read_in_pieces() {
    let dialect = Dialect {
        base64: true,
        close_signal: false,
    };
    let (mut client, channels, mut stdin, _resize) = connected(dialect);
    // "hello" in base64 is aGVsbG8=; the message comes in two frames.
    let mut first = sent(1, b"0aGVsb");
    first[0] &= 0x7f;
    client.write_all(&first).await.unwrap();
    client.write_all(&sent(0, b"G8=")).await.unwrap();
    let mut text = stdin.recv().await.unwrap().to_vec();
    text.extend(stdin.recv().await.unwrap());
    assert_eq!(text, b"hello");
    channels.sink(3).send(Bytes::from_static(b"hello")).await;
    assert_eq!(received(&mut client).await, (1, b"3aGVsbG8=".to_vec()));
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let (client, channels, mut stdin, _resize) = connected(PLAIN);
    drop(client);
    assert_eq!(stdin.recv().await, None);
    channels.sink(1).gone().await;
    // Nothing to end in order with, but nothing hangs either.
    channels.close().await;
}

#[tokio::test]
async fn a_signal_for_no_channel_ends_the_connection() {
    let (mut client, channels, mut stdin, _resize) = connected(PLAIN);
    client.write_all(&sent(2, b"\xff\x2a")).await.unwrap();
    assert_eq!(stdin.recv().await, None);
    channels.sink(1).gone().await;
}
