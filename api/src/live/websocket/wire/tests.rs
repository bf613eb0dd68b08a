//! Both ends of a socket over a pipe that takes a few bytes at a time.

use futures_util::{FutureExt, SinkExt, StreamExt, join};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use super::*;
use crate::live::fake::{DEADLINE, soon};
use crate::live::websocket::closing::End;

const MAX_MESSAGE_BYTES: usize = 1 << 20;

type Client = WebSocketStream<DuplexStream>;

/// A server and its client; the pipe between them holds so many bytes each way.
async fn ends(pipe_bytes: usize) -> (Wire<DuplexStream>, Client) {
    let (server, client) = tokio::io::duplex(pipe_bytes);
    let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    (Wire::new(server, MAX_MESSAGE_BYTES), client)
}

async fn flush(wire: &mut Wire<DuplexStream>) {
    soon(wire.flush(DEADLINE)).await.expect("the client reads");
}

/// What a client receives next.
async fn received(client: &mut Client) -> Message {
    soon(client.next()).await.expect("the socket is open").expect("frames are whole")
}

fn text(length: usize) -> String {
    "abcdefg".chars().cycle().take(length).collect()
}

#[tokio::test]
async fn frames_stay_whole_however_little_is_taken() {
    for (pipe_bytes, lengths) in [(1, [0, 1, 125, 126, 300]), (1_000, [126, 65_535, 65_536, 0, 70_000])] {
        let (mut wire, mut client) = ends(pipe_bytes).await;
        let server = async {
            for length in lengths {
                let text = text(length);
                let (start, end) = text.as_bytes().split_at(length / 2);
                wire.frames.text(&[start, end]);
                wire.ping();
                let ping = soon(wire.next()).await.unwrap().unwrap();
                assert!(ping.is_ping());
                wire.frames.text(&[b"after it"]);
                flush(&mut wire).await;
                assert!(wire.frames.waiting().is_empty());
                // The client's answer to our ping.
                assert!(soon(wire.next()).await.unwrap().unwrap().is_pong());
            }
        };
        let client = async {
            for length in lengths {
                let sent = Bytes::from(length.to_string());
                soon(client.send(Message::Ping(sent.clone()))).await.unwrap();
                assert_eq!(received(&mut client).await, Message::text(text(length)));
                assert_eq!(received(&mut client).await, Message::Ping(Bytes::new()));
                assert_eq!(received(&mut client).await, Message::text("after it"));
                assert_eq!(received(&mut client).await, Message::Pong(sent));
                soon(client.flush()).await.unwrap();
            }
        };
        join!(server, client);
    }
}

#[tokio::test]
async fn what_the_protocol_answers_waits_for_the_end_of_a_frame() {
    let (mut wire, mut client) = ends(64).await;
    wire.frames.text(&[text(100).as_bytes()]);
    assert!(wire.flush(DEADLINE).now_or_never().is_none(), "the pipe is full");
    let rest = wire.frames.waiting().len();
    assert!(0 < rest && rest < 100, "{rest} bytes are not written");
    soon(client.send(Message::Ping(Bytes::from_static(b"a")))).await.unwrap();
    assert!(soon(wire.next()).await.unwrap().unwrap().is_ping());
    soon(client.send(Message::Ping(Bytes::from_static(b"b")))).await.unwrap();
    assert!(soon(wire.next()).await.unwrap().unwrap().is_ping());
    soon(client.send(Message::Close(None))).await.unwrap();
    assert!(soon(wire.next()).await.unwrap().unwrap().is_close());
    let client = async {
        assert_eq!(received(&mut client).await, Message::text(text(100)));
        assert_eq!(received(&mut client).await, Message::Pong(Bytes::from_static(b"a")));
        assert_eq!(received(&mut client).await, Message::Pong(Bytes::from_static(b"b")));
        assert_eq!(received(&mut client).await, Message::Close(None));
    };
    join!(client, flush(&mut wire));
    assert!(soon(wire.next()).await.is_none() && soon(wire.next()).await.is_none());
}

#[tokio::test]
async fn a_close_frame_comes_after_what_was_said_before() {
    let (mut wire, mut client) = ends(16).await;
    let texts = [text(200), text(0), text(126)];
    wire.frames.text(&[texts[0].as_bytes()]);
    assert!(wire.flush(DEADLINE).now_or_never().is_none());
    wire.frames.text(&[texts[1].as_bytes()]);
    wire.frames.text(&[texts[2].as_bytes()]);
    let client = async {
        for text in &texts {
            assert_eq!(received(&mut client).await, Message::text(text.as_str()));
        }
        let Message::Close(Some(frame)) = received(&mut client).await else { panic!("it is closed") };
        assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Again, "Too slow"));
        assert!(soon(client.next()).await.is_none());
    };
    join!(client, soon(End::close(1013, "Too slow").carry_out(wire)));
}

#[tokio::test]
async fn a_client_that_reads_nothing_stands_still() {
    let (mut wire, mut client) = ends(16).await;
    wire.frames.text(&[text(40).as_bytes()]);
    for _ in 0..2 {
        let error = soon(wire.flush(Duration::from_millis(20))).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
    wire.frames.text(&[b"more"]);
    let client = async {
        assert_eq!(received(&mut client).await, Message::text(text(40)));
        assert_eq!(received(&mut client).await, Message::text("more"));
    };
    join!(client, flush(&mut wire));
}

#[tokio::test]
async fn what_cannot_be_read_says_why() {
    let frame = |data, bytes: &[u8]| Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(data), true));
    let cases = [
        (frame(Data::Text, &[0xff, 0xfe]), 1007),
        (frame(Data::Text, &vec![b'a'; MAX_MESSAGE_BYTES + 1]), 1009),
        (frame(Data::Reserved(3), b"{}"), 1002),
        (frame(Data::Continue, b"{}"), 1002),
    ];
    for (message, expected) in cases {
        let (mut wire, mut client) = ends(2 * MAX_MESSAGE_BYTES).await;
        soon(client.send(message)).await.unwrap();
        let error = soon(wire.next()).await.unwrap().unwrap_err();
        let End::Close(code, _) = End::unreadable(&error) else { panic!("{error}") };
        assert_eq!(code, expected, "{error}");
        assert!(soon(wire.next()).await.is_none());
    }
}
