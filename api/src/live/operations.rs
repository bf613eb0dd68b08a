//! The operations of one socket: what each of them sends, and which are running.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Message;
use futures_util::stream::{AbortHandle, Abortable, BoxStream, SelectAll, abortable, unfold};
use futures_util::{FutureExt, Stream, StreamExt, stream};

use super::message::Frames;
use super::{Executor, Problem};
use crate::auth::Principal;
use crate::schema::{Item, OperationKind, Request, Response};

/// A message of an operation to its client.
#[derive(Debug)]
pub struct Frame {
    /// Whose it is.
    pub operation: Arc<str>,
    /// To be sent.
    pub message: Message,
    /// Where to continue after it.
    pub cursor: Option<String>,
    /// Whether it is the last of its operation.
    pub is_last: bool,
}

/// The running operations of a socket. The number of them is the caller's to limit, see [`Operations::len`].
#[derive(Default)]
pub struct Operations {
    running: HashMap<Arc<str>, AbortHandle>,
    streams: SelectAll<Abortable<BoxStream<'static, Frame>>>,
}

impl Operations {
    /// How many are running.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether one with this id is running.
    pub fn contains(&self, id: &str) -> bool {
        self.running.contains_key(id)
    }

    /// Adds one whose id is not running.
    pub fn start(&mut self, id: Arc<str>, frames: BoxStream<'static, Frame>) {
        let (frames, handle) = abortable(frames);
        self.running.insert(id, handle);
        self.streams.push(frames);
    }

    /// Ends one at the client's wish: nothing more is sent for it. An id that is not running is ignored.
    pub fn stop(&mut self, id: &str) {
        if let Some(handle) = self.running.remove(id) {
            handle.abort();
        }
    }

    /// The next message of any of them. Waits forever while there are none.
    pub async fn next(&mut self) -> Frame {
        // Streams that were stopped are still in the set until it is polled, which drops them.
        match self.streams.next().await {
            Some(frame) => self.noted(frame),
            None => std::future::pending().await,
        }
    }

    /// The next message if there is one by now.
    pub fn next_ready(&mut self) -> Option<Frame> {
        let frame = self.streams.next().now_or_never()??;
        Some(self.noted(frame))
    }

    fn noted(&mut self, frame: Frame) -> Frame {
        if frame.is_last {
            self.running.remove(&frame.operation);
        }
        frame
    }
}

/// What an operation sends, from its first to its last message. It runs as the stream is polled.
pub fn frames<E: Executor>(
    executor: E,
    id: Arc<str>,
    request: Request,
    principal: Arc<Principal>,
    request_timeout: Duration,
) -> BoxStream<'static, Frame> {
    let operation = Operation { frames: Frames::new(&id), id };
    match executor.operation_kind(&request) {
        Err(response) => stream::iter([operation.response_error(&response)]).boxed(),
        Ok(OperationKind::Query | OperationKind::Mutation) => {
            let result = async move {
                let response = tokio::time::timeout(request_timeout, executor.execute(request, principal)).await;
                stream::iter(match response {
                    Ok(response) if response.is_request_error => vec![operation.response_error(&response)],
                    Ok(response) => vec![operation.next(&response.body, None), operation.complete()],
                    Err(_) => vec![operation.error(Problem::timeout().errors().to_string().as_bytes())],
                })
            };
            result.flatten_stream().boxed()
        }
        Ok(OperationKind::Subscription) => {
            let started = async move {
                match executor.subscribe(request, principal).await {
                    Ok(items) => operation.subscription(items).left_stream(),
                    Err(response) => stream::iter([operation.response_error(&response)]).right_stream(),
                }
            };
            started.flatten_stream().boxed()
        }
    }
}

/// Makes the frames of one operation.
struct Operation {
    id: Arc<str>,
    frames: Frames,
}

impl Operation {
    fn subscription(self, items: BoxStream<'static, Item>) -> impl Stream<Item = Frame> + Send + 'static {
        // `None` once the last message is out.
        let running = Some((self, items));
        unfold(running, |running| async move {
            let (operation, mut items): (Self, Pin<Box<_>>) = running?;
            match items.next().await {
                Some(Item::Next { body, cursor }) => {
                    Some((operation.next(&body, Some(cursor)), Some((operation, items))))
                }
                Some(Item::Error(errors)) => Some((operation.error(&errors), None)),
                None => Some((operation.complete(), None)),
            }
        })
    }

    fn frame(&self, message: Message, cursor: Option<String>, is_last: bool) -> Frame {
        Frame { operation: self.id.clone(), message, cursor, is_last }
    }

    fn next(&self, body: &[u8], cursor: Option<String>) -> Frame {
        self.frame(self.frames.next(body), cursor, false)
    }

    fn complete(&self) -> Frame {
        self.frame(self.frames.complete(), None, true)
    }

    fn error(&self, errors: &[u8]) -> Frame {
        self.frame(self.frames.error(errors), None, true)
    }

    /// An `error` message carries the array of errors alone, without the object around it.
    fn response_error(&self, response: &Response) -> Frame {
        let object = serde_json::from_slice::<serde_json::Value>(&response.body);
        let errors = object.ok().and_then(|mut object| object.get_mut("errors").map(serde_json::Value::take));
        let errors = errors.expect("a response with a request error is an object with \"errors\"");
        self.error(errors.to_string().as_bytes())
    }
}
