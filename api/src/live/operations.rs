//! The operations of one connection: which are running, and the next output of any of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{AbortHandle, Abortable, BoxStream, SelectAll, abortable};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Map, Value};

use super::Executor;
use super::operation::{Output, Outputs, lazily};
use crate::auth::Principal;
use crate::schema::{OperationKind, Request};

/// Who may run what, and for how long.
pub(super) struct Terms<'a, E> {
    pub(super) executor: &'a E,
    pub(super) principal: &'a Arc<Principal>,
    pub(super) limit: Duration,
}

/// The outputs of one, each with its id.
type Identified = BoxStream<'static, (Arc<str>, Output)>;

/// The running operations of a connection. The number of them is the caller's to limit, see [`Operations::len`].
#[derive(Default)]
pub(super) struct Operations {
    running: HashMap<Arc<str>, Running>,
    streams: SelectAll<Abortable<Identified>>,
}

#[derive(Default)]
struct Running {
    /// `None` while its outputs are still being prepared.
    handle: Option<AbortHandle>,
    /// Of a subscription: so that it can go on with other rights.
    request: Option<Box<Kept>>,
    /// Where it goes on, once it has started.
    cursor: Option<Arc<str>>,
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
        let (id, cursor) = (Arc::clone(id), running.cursor.clone());
        let handle = Some(self.push(Arc::clone(&id), outputs));
        self.running.insert(id, Running { handle, request, cursor });
        true
    }

    fn push(&mut self, id: Arc<str>, outputs: Outputs) -> AbortHandle {
        let (outputs, handle) = abortable(outputs.map(move |output| (Arc::clone(&id), output)).boxed());
        self.streams.push(outputs);
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
                request.resume_after = running.cursor.as_deref().map(str::to_owned).or(request.resume_after);
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
        let Poll::Ready(Some((id, output))) = self.streams.poll_next_unpin(context) else { return Poll::Pending };
        if let Some(cursor) = output.cursor()
            && let Some(running) = self.running.get_mut(&id)
        {
            running.cursor = Some(Arc::clone(cursor));
        }
        if output.is_last() {
            self.running.remove(&id);
        }
        Poll::Ready((id, output))
    }
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
    use serde_json::json;

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
}
