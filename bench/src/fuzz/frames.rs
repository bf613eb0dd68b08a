//! Random frames over a WebSocket, and random subscriptions over both transports.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::attempt::{Victim, coded};
use super::garbage::Garbage;
use crate::follow::message::Message;
use crate::follow::socket::{Connection, Dial, Frame, Socket, frame};
use crate::follow::stream::{Block, Stream};

const PATIENCE: Duration = Duration::from_secs(45);
/// Of the close codes there are; 1011 would be the server's own fault. 0 is a connection that ends without one.
const CODES: [u16; 13] = [1000, 1002, 1003, 1007, 1009, 1013, 4400, 4401, 4403, 4406, 4408, 4409, 4429];
/// How a close frame begins. There may be one among noise, and a server answers it with the code that it has.
const CLOSE_FRAME: u8 = 0x88;
/// Of a close frame without a code.
const NO_CODE: u16 = 1005;
const SUBSCRIBE: &str = "subscription($a: String) { changes(after: $a) { id } }";
const PROTOCOLS: [&str; 2] = ["graphql-transport-ws", "graphql-ws"];

/// What a message must lead to.
enum Verdict {
    Close(&'static [u16]),
    /// One of the known codes, or nothing.
    Anything,
}

impl Victim {
    /// A few messages that a client of the protocol would not send, and the code that the socket must close with.
    pub async fn message(&self, garbage: &mut Garbage) -> Result<()> {
        let is_open = garbage.below(3) > 0;
        let (message, verdict) = message(garbage, is_open);
        let mut socket = if is_open {
            Socket::connect(self.address, &Dial::default()).await?
        } else {
            Socket::open(self.address, &Dial::default()).await?
        };
        let shown = || format!("opened: {is_open}, {:?}", String::from_utf8_lossy(&message));
        socket.send_raw(&message).await?;
        let code = outcome(&mut socket).await.with_context(shown)?;
        match verdict {
            Verdict::Close(codes) => {
                ensure!(code.is_some_and(|code| codes.contains(&code)), "closed with {code:?}: {}", shown());
            }
            Verdict::Anything => {
                ensure!(code.is_none_or(|code| CODES.contains(&code)), "closed with {code:?}: {}", shown());
            }
        }
        Ok(())
    }

    /// Frames without sense, of either subprotocol.
    pub async fn frames(&self, garbage: &mut Garbage) -> Result<()> {
        let protocol = garbage.one_of(&PROTOCOLS);
        let mut socket = Socket::open_as(self.address, &Dial::default(), protocol).await?;
        let mut sent = Vec::new();
        if garbage.below(3) > 0 {
            sent.extend(frame(1, br#"{"type":"connection_init"}"#));
        }
        for _ in 0..=garbage.below(5) {
            match garbage.below(4) {
                0 => sent.extend(garbage.bytes(200)),
                1 => {
                    let start = garbage.bytes(14);
                    sent.extend(start);
                    sent.extend(garbage.bytes(40));
                }
                2 => {
                    let text = protocol_message(garbage);
                    sent.extend(frame(garbage.one_of(&[0, 1, 1, 1, 1, 2, 9, 10]), text.as_bytes()));
                }
                _ => {
                    let (message, _) = message(garbage, true);
                    sent.extend(message);
                }
            }
        }
        // An error means that the server has hung up already.
        let _ = socket.send_raw(&sent).await;
        // The server waits for the rest of a frame that was begun; so do not wait for it.
        let _ = socket.finish().await;
        let code = outcome_of_end(&mut socket).await.with_context(|| format!("{protocol}: {sent:?}"))?;
        let is_echo = sent.contains(&CLOSE_FRAME) && (code == NO_CODE || (3000..=4999).contains(&code));
        ensure!(code == 0 || is_echo || CODES.contains(&code), "closed with {code}: {protocol}: {sent:?}");
        Ok(())
    }

    /// Subscriptions with random documents and cursors, over both transports. Some go on until they are broken off.
    pub async fn subscription(&self, garbage: &mut Garbage) -> Result<()> {
        let (cursor, expected) = self.bad_cursor(garbage);
        let (query, variables, expected) = match garbage.below(3) {
            0 => (SUBSCRIBE.to_owned(), json!({ "a": cursor }), Some(expected)),
            1 => (garbage.spoilt(SUBSCRIBE), json!({ "a": self.cursor }), None),
            _ => {
                let (query, variables) = garbage.request();
                // Anything else is no request at all, which is for `protocol_message`.
                (query, if variables.is_object() { variables } else { json!({}) }, None)
            }
        };
        let dial = Dial { authorization: Some(format!("Bearer {}", self.token)), ..Dial::default() };
        let shown = || format!("{query} {variables}");
        let answer = if garbage.below(2) == 0 {
            let mut socket = Socket::connect(self.address, &dial).await?;
            socket.subscribe("1", &query, &variables).await?;
            socket.send(br#"{"type":"ping"}"#).await?;
            let answer = answer_of_socket(&mut socket, expected.is_some()).await.with_context(shown)?;
            socket.reset()?;
            answer
        } else {
            let mut stream = Stream::open(self.address, &dial, &query, &variables, None).await.with_context(shown)?;
            let answer = answer_of_stream(&mut stream).await.with_context(shown)?;
            stream.reset()?;
            answer
        };
        let Some(answer) = answer else { return Ok(()) };
        coded(&answer).with_context(shown)?;
        if let Some(expected) = expected {
            let code = answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("none");
            ensure!(expected.contains(&code), "{answer}: {}", shown());
        }
        Ok(())
    }
}

/// Whole frames, and what they must lead to.
fn message(garbage: &mut Garbage, is_open: bool) -> (Vec<u8>, Verdict) {
    use Verdict::{Anything, Close};
    let text = |value: Value| frame(1, value.to_string().as_bytes());
    match garbage.below(12) {
        0 => (frame(1, garbage.soup(10).replace('{', "").as_bytes()), Close(&[4400])),
        1 => (text(json!({ "type": garbage.text(12), "id": "1" })), Close(&[4400])),
        2 => (text(json!([garbage.json(2)])), Close(&[4400])),
        3 => (frame(2, &garbage.bytes(60)), Close(&[4400])),
        4 => (text(json!({ "type": "subscribe", "id": "1", "payload": garbage.one_of(&["", "x"]) })), Close(&[4400])),
        5 if !is_open => {
            (text(json!({"type": "subscribe", "id": "1", "payload": {"query": SUBSCRIBE}})), Close(&[4401]))
        }
        5 => (text(json!({ "type": "connection_init" })), Close(&[4429])),
        6 if is_open => {
            let subscribe = text(json!({ "type": "subscribe", "id": "1", "payload": { "query": SUBSCRIBE } }));
            ([subscribe.clone(), subscribe].concat(), Close(&[4409]))
        }
        6 => (
            text(json!({"type": "connection_init", "payload": {"authorization": garbage.base64(80) + "!"}})),
            Close(&[4403]),
        ),
        // Not masked.
        7 => (vec![0x81, 2, b'{', b'}'], Close(&[1002])),
        // An opcode that means nothing, or a reserved bit.
        8 => (frame(garbage.one_of(&[3, 4, 5, 6, 7, 11, 12, 0x41, 0x21]), b"{}"), Close(&[1002])),
        9 => (frame(1, &[0xff, 0xfe, 0xfd]), Close(&[1002, 1007])),
        // More than a message may have.
        10 => ([&[0x81, 0xff][..], &(1_u64 << 21).to_be_bytes(), &[0; 4]].concat(), Close(&[1009])),
        _ => (frame(1, protocol_message(garbage).as_bytes()), Anything),
    }
}

/// A message with the words of the protocol.
fn protocol_message(garbage: &mut Garbage) -> String {
    const TYPES: [&str; 11] = [
        "connection_init",
        "subscribe",
        "complete",
        "ping",
        "pong",
        "start",
        "stop",
        "connection_terminate",
        "next",
        "error",
        "ka",
    ];
    let (query, variables) = garbage.request();
    let payload = match garbage.below(3) {
        0 => garbage.json(3),
        _ => json!({ "query": query, "variables": variables }),
    };
    let message = json!({ "type": garbage.one_of(&TYPES), "id": garbage.one_of(&["1", "2", ""]), "payload": payload });
    if garbage.below(4) == 0 { garbage.spoilt(&message.to_string()) } else { message.to_string() }
}

/// The code that a socket closes with; `None` if it answers a ping instead.
async fn outcome(socket: &mut Socket) -> Result<Option<u16>> {
    // An error means that it is closed.
    let _ = socket.send_raw(&frame(9, b"")).await;
    let (mut is_alive, mut code) = (false, None);
    let wait = async {
        while !is_alive && code.is_none() {
            let state = socket.receive(|frame| {
                match frame {
                    Frame::Text(_) | Frame::Ping => {}
                    Frame::Close(found, _) => code = Some(found),
                    Frame::Pong => is_alive = true,
                }
                Ok(())
            });
            if state.await? == Connection::Ended && code.is_none() {
                code = Some(0);
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, wait).await.context("neither an answer nor an end")??;
    Ok(code)
}

/// The code that a socket closes with that was given up; 0 if it has none.
async fn outcome_of_end(socket: &mut Socket) -> Result<u16> {
    let mut code = 0;
    let wait = async {
        loop {
            let state = socket.receive(|frame| {
                if let Frame::Close(found, _) = frame {
                    code = found;
                }
                Ok(())
            });
            if state.await? == Connection::Ended {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.context("the connection does not end")??;
    Ok(code)
}

/// The first result or the errors of the operation; `None` if there is none before the pong.
async fn answer_of_socket(socket: &mut Socket, is_awaited: bool) -> Result<Option<Value>> {
    let (mut answer, mut is_over) = (None, false);
    let wait = async {
        while answer.is_none() && !is_over {
            let state = socket.receive(|frame| {
                match frame {
                    Frame::Text(text) => match Message::parse(text)? {
                        Message::Next(_, payload) => answer = Some(serde_json::from_slice(payload)?),
                        Message::Error(_, errors) => {
                            answer = Some(json!({ "errors": serde_json::from_slice::<Value>(errors)? }));
                        }
                        Message::Complete(_) => is_over = true,
                        // A subscription that is right gives nothing yet.
                        Message::Notice => is_over = !is_awaited,
                        Message::Ack | Message::Ping => {}
                    },
                    Frame::Close(code, reason) => anyhow::bail!("closed with {code} {reason}"),
                    Frame::Ping | Frame::Pong => {}
                }
                Ok(())
            });
            is_over |= state.await? == Connection::Ended;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, wait).await.context("no answer")??;
    Ok(answer)
}

/// The same of a stream, which says first where it starts if it does.
async fn answer_of_stream(stream: &mut Stream) -> Result<Option<Value>> {
    let (mut answer, mut is_over) = (None, false);
    let wait = async {
        while answer.is_none() && !is_over {
            let state = stream.receive(|block| {
                match block {
                    Block::Next(payload) => answer = Some(serde_json::from_slice(payload)?),
                    Block::Complete | Block::Notice => is_over = true,
                }
                Ok(())
            });
            is_over |= state.await? == Connection::Ended;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, wait).await.context("no answer")??;
    Ok(answer)
}
