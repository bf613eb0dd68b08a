//! The operations of one connection: which are running, and the next output of any of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::stream::{AbortHandle, Abortable, BoxStream, FuturesUnordered, StreamFuture, abortable};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Map, Value};

use super::Executor;
use super::operation::{Output, Outputs, lazily};
use crate::auth::Principal;
use crate::log::CursorText;
use crate::schema::{OperationKind, Request};

/// Who may run what, and for how long.
pub(super) struct Terms<'a, E> {
    pub(super) executor: &'a E,
    pub(super) principal: &'a Arc<Principal>,
    pub(super) limit: Duration,
}

/// The outputs of one, each with its id, until it is stopped.
type Identified = Abortable<BoxStream<'static, (Arc<str>, Output)>>;

/// Outputs of one operation in a row, those with several responses counted by these, after which the others have a turn.
const MAX_IN_A_ROW: usize = 64;

/// The running operations of a connection. The number of them is the caller's to limit, see [`Operations::len`].
#[derive(Default)]
pub(super) struct Operations {
    running: HashMap<Arc<str>, Running>,
    /// The one that gave the last output, and how many it gave in a row. It is asked first: for most connections it is the
    /// only one, and to put it back among the others after each output costs more than the output.
    current: Option<(Identified, usize)>,
    others: FuturesUnordered<StreamFuture<Identified>>,
}

#[derive(Default)]
struct Running {
    /// `None` while its outputs are still being prepared.
    handle: Option<AbortHandle>,
    /// Of a subscription: so that it can go on with other rights.
    request: Option<Box<Kept>>,
    /// Where it goes on, once it has started.
    cursor: Option<CursorText>,
}

impl Operations {
    /// How many are running.
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether one with this id is running.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.running.contains_key(id)
    }

    /// Where one goes on, if it is a subscription that has started.
    pub(super) fn cursor(&self, id: &str) -> Option<&str> {
        self.running.get(id)?.cursor.as_deref()
    }

    /// Adds one whose id is not running.
    pub(super) fn start<E: Executor>(&mut self, id: Arc<str>, request: Request, terms: &Terms<'_, E>) {
        self.reserve(Arc::clone(&id));
        let kept = subscription(terms.executor, &request);
        let outputs = lazily(terms.executor, request, Arc::clone(terms.principal), terms.limit);
        self.attach(&id, kept, outputs);
    }

    /// Takes an id for one whose outputs are being prepared. Whether it was free.
    pub(super) fn reserve(&mut self, id: Arc<str>) -> bool {
        match self.running.entry(id) {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert(Running::default());
                true
            }
        }
    }

    /// Adds the outputs of one that was reserved. `false` if it has been stopped since. `request` is that of a
    /// subscription, see [`subscription`].
    pub(super) fn attach(&mut self, id: &str, request: Option<Box<Kept>>, outputs: Outputs) -> bool {
        let Some((id, running)) = self.running.get_key_value(id).filter(|(_, running)| running.handle.is_none()) else {
            return false;
        };
        let (id, cursor) = (Arc::clone(id), running.cursor);
        let handle = Some(self.push(Arc::clone(&id), outputs));
        self.running.insert(id, Running { handle, request, cursor });
        true
    }

    fn push(&mut self, id: Arc<str>, outputs: Outputs) -> AbortHandle {
        let (outputs, handle) = abortable(outputs.map(move |output| (Arc::clone(&id), output)).boxed());
        self.others.push(outputs.into_future());
        handle
    }

    /// Ends one at the client's wish: nothing more is given of it. Whether it was running.
    pub(super) fn stop(&mut self, id: &str) -> bool {
        let Some(running) = self.running.remove(id) else { return false };
        if let Some(handle) = running.handle {
            handle.abort();
        }
        true
    }

    /// Lets the subscriptions go on with other rights, each from where it is. Whatever was taken of them must be on its
    /// way to the client already.
    pub(super) fn renew<E: Executor>(&mut self, terms: &Terms<'_, E>) {
        let mut renewed = Vec::new();
        for (id, running) in &mut self.running {
            if let (Some(request), Some(handle)) = (&running.request, &running.handle) {
                handle.abort();
                let mut request = request.again();
                request.resume_after = running.cursor.map(|cursor| cursor.to_string()).or(request.resume_after);
                renewed.push((Arc::clone(id), request));
            }
        }
        for (id, request) in renewed {
            let outputs = lazily(terms.executor, request, Arc::clone(terms.principal), terms.limit);
            let handle = self.push(Arc::clone(&id), outputs);
            if let Some(running) = self.running.get_mut(&id) {
                running.handle = Some(handle);
            }
        }
    }

    /// The next output of any of them. Waits forever while there are none.
    pub(super) async fn next(&mut self) -> (Arc<str>, Output) {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The next output if there is one by now.
    pub(super) fn next_ready(&mut self) -> Option<(Arc<str>, Output)> {
        self.next().now_or_never()
    }

    /// As [`next`](Self::next). Who adds an operation from another task has to wake the one that polls.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<(Arc<str>, Output)> {
        // Streams that were stopped are still in the set until it is polled, which drops them.
        let (id, output) = ready!(self.poll_streams(context));
        if let Some(cursor) = output.cursor()
            && let Some(running) = self.running.get_mut(&id)
        {
            running.cursor = Some(cursor);
        }
        if output.is_last() {
            self.running.remove(&id);
        }
        Poll::Ready((id, output))
    }

    /// The next output of any stream.
    fn poll_streams(&mut self, context: &mut Context<'_>) -> Poll<(Arc<str>, Output)> {
        loop {
            match self.current.take() {
                Some((mut stream, in_a_row)) if in_a_row < MAX_IN_A_ROW || self.others.is_empty() => {
                    match stream.poll_next_unpin(context) {
                        Poll::Ready(Some(output)) => {
                            self.current = Some((stream, in_a_row + weight(&output.1)));
                            return Poll::Ready(output);
                        }
                        Poll::Ready(None) => {}
                        Poll::Pending => self.current = Some((stream, 0)),
                    }
                }
                Some((stream, _)) => self.others.push(stream.into_future()),
                None => {}
            }
            match ready!(self.others.poll_next_unpin(context)) {
                Some((Some(output), stream)) => {
                    if let Some((before, _)) = self.current.replace((stream, weight(&output.1))) {
                        self.others.push(before.into_future());
                    }
                    return Poll::Ready(output);
                }
                // It is over, or was stopped.
                Some((None, _)) => {}
                None => return Poll::Pending,
            }
        }
    }
}

/// What an output counts among those in a row.
fn weight(output: &Output) -> usize {
    output.responses().max(1)
}

/// The request again if it is one of a subscription, to be kept for [`Operations::renew`].
pub(super) fn subscription<E: Executor>(executor: &E, request: &Request) -> Option<Box<Kept>> {
    let kind = executor.operation_kind(request);
    matches!(kind, Ok(OperationKind::Subscription)).then(|| Box::new(Kept::new(request)))
}

/// A request that may never be needed again, in little memory: objects take many times as much as their text.
pub(super) struct Kept {
    query: Box<str>,
    operation_name: Option<Box<str>>,
    variables: Box<str>,
    extensions: Box<str>,
    resume_after: Option<Box<str>>,
}

impl Kept {
    fn new(request: &Request) -> Self {
        let text = |object: &Map<String, Value>| serde_json::to_string(object).expect("an object is JSON").into();
        Self {
            query: request.query.as_str().into(),
            operation_name: request.operation_name.as_deref().map(Into::into),
            variables: text(&request.variables),
            extensions: text(&request.extensions),
            resume_after: request.resume_after.as_deref().map(Into::into),
        }
    }

    fn again(&self) -> Request {
        let object = |text: &str| serde_json::from_str(text).expect("it was written as an object");
        Request {
            query: self.query.to_string(),
            operation_name: self.operation_name.as_deref().map(str::to_owned),
            variables: object(&self.variables),
            extensions: object(&self.extensions),
            resume_after: self.resume_after.as_deref().map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use futures_util::stream;
    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn what_is_kept_is_the_request() {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let request = Request {
            query: "subscription { a }".to_owned(),
            operation_name: Some("Named".to_owned()),
            variables: object(json!({"b": [1.5, {"c": null}], "a": "\u{1}"})),
            extensions: object(json!({"x": {}})),
            resume_after: Some("cursor".to_owned()),
        };
        assert_eq!(format!("{:?}", Kept::new(&request).again()), format!("{request:?}"));
        assert_eq!(format!("{:?}", Kept::new(&Request::default()).again()), format!("{:?}", Request::default()));
    }

    fn operations(outputs: Vec<(&str, Outputs)>) -> Operations {
        let mut operations = Operations::default();
        for (id, outputs) in outputs {
            assert!(operations.reserve(id.into()));
            assert!(operations.attach(id, None, outputs));
        }
        operations
    }

    fn started() -> Output {
        Output::Started(CursorText::from("c").unwrap())
    }

    #[test]
    fn a_busy_one_lets_others_have_a_turn() {
        let busy = || stream::repeat_with(started).boxed();
        let quiet = stream::iter([started(), Output::Complete]).boxed();
        let mut operations = operations(vec![("a", busy()), ("b", busy()), ("c", quiet)]);
        let ids: Vec<_> = (0..300).map(|_| operations.next_ready().unwrap().0.to_string()).collect();
        let count = |id: &str| ids.iter().filter(|other| *other == id).count();
        assert_eq!((count("c"), operations.len()), (2, 2));
        assert!(count("a") > 100 && count("b") > 100, "{} {}", count("a"), count("b"));
    }

    #[test]
    fn those_that_wait_are_woken_whoever_gave_the_last_output() {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| mpsc::unbounded_channel::<Output>()).unzip();
        let ids = ["a", "b", "c"];
        let outputs =
            receivers.into_iter().map(|mut receiver| stream::poll_fn(move |cx| receiver.poll_recv(cx)).boxed());
        let mut operations = operations(ids.into_iter().zip(outputs).collect());
        let (waker, woken) = counting_waker();
        for index in [0, 0, 1, 2, 2, 1, 0, 1] {
            let mut context = Context::from_waker(&waker);
            assert!(operations.poll_next(&mut context).is_pending());
            let before = woken.load(Ordering::SeqCst);
            senders[index].send(started()).unwrap();
            assert!(woken.load(Ordering::SeqCst) > before, "{index} wakes");
            let Poll::Ready((id, _)) = operations.poll_next(&mut context) else { panic!("{index} gives its output") };
            assert_eq!(&*id, ids[index]);
        }
    }

    #[test]
    fn what_is_stopped_gives_nothing_more() {
        let busy = || stream::repeat_with(started).boxed();
        let mut operations = operations(vec![("a", busy()), ("b", busy())]);
        let (last, _) = operations.next_ready().unwrap();
        assert!(operations.stop(&last));
        for _ in 0..100 {
            assert_ne!(operations.next_ready().unwrap().0, last);
        }
    }

    /// A waker, and how often it woke.
    fn counting_waker() -> (Waker, Arc<AtomicUsize>) {
        struct Counting(Arc<AtomicUsize>);
        impl Wake for Counting {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let count = Arc::new(AtomicUsize::new(0));
        (Arc::new(Counting(Arc::clone(&count))).into(), count)
    }
}
