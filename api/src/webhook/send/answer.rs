//! What a receiver answered, as far as it is kept for the owner of the webhook to see.
//!
//! Answers are kept until they are committed, and thousands may end at the same moment. So the long ones of all webhooks have
//! a bound together; what comes when it is reached is cut to a start. Nobody waits for room: whether an attempt was a
//! success is known by then.

use std::ops::Deref;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// How much of an answer is kept.
pub const MAX_RESPONSE_BYTES: usize = 16 * 1024;
/// How much of it is kept if there are [`MAX_LONG`] longer ones.
pub const MAX_SHORT_BYTES: usize = 1024;
/// Longer answers that are kept, those that are being read included.
const MAX_LONG: usize = 32;

/// The start of an answer, at most [`MAX_RESPONSE_BYTES`], with U+FFFD in place of what is no UTF-8 and of U+0000, which
/// databases refuse.
#[derive(Debug, Clone)]
pub struct Answer {
    text: String,
    /// Given back with the last clone.
    _room: Option<Arc<OwnedSemaphorePermit>>,
}

impl Deref for Answer {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl From<Answer> for String {
    fn from(answer: Answer) -> Self {
        answer.text
    }
}

impl Answer {
    /// Keeps no more than so many bytes.
    pub fn truncate(&mut self, bytes: usize) {
        self.text.truncate(self.text.floor_char_boundary(bytes));
        if bytes <= MAX_SHORT_BYTES {
            self._room = None;
        }
    }
}

/// The room for long answers. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Answers(Arc<Semaphore>);

impl Default for Answers {
    fn default() -> Self {
        Self::bounded(MAX_LONG)
    }
}

impl Answers {
    pub(super) fn bounded(long: usize) -> Self {
        Self(Arc::new(Semaphore::new(long)))
    }

    /// Reads an answer as far as it is kept and as it comes before the deadline.
    pub(super) async fn read(&self, body: &mut Incoming, deadline: Instant) -> Answer {
        let (mut read, mut most, mut room) = (Vec::new(), MAX_SHORT_BYTES, None);
        while read.len() < most
            && !body.is_end_stream()
            && let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await
        {
            // Trailers say nothing that is shown.
            let Ok(chunk) = frame.into_data() else { continue };
            if read.len() + chunk.len() > most
                && most == MAX_SHORT_BYTES
                && let Ok(permit) = Arc::clone(&self.0).try_acquire_owned()
            {
                (most, room) = (MAX_RESPONSE_BYTES, Some(Arc::new(permit)));
            }
            read.extend_from_slice(&chunk[..chunk.len().min(most - read.len())]);
        }
        Answer { text: text(&read, most), _room: room }
    }
}

/// The start of what was answered as text, no longer than it may be kept: replacements take more room than what they replace.
fn text(body: &[u8], most: usize) -> String {
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        let replaced = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        for char in chunk.valid().chars().chain(replaced) {
            let char = if char == '\0' { char::REPLACEMENT_CHARACTER } else { char };
            if text.len() + char.len_utf8() > most {
                return text;
            }
            text.push(char);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_never_longer_than_it_may_be() {
        // Each of these takes three bytes when it is replaced.
        for byte in [0, 0xff] {
            let text = text(&[byte; MAX_RESPONSE_BYTES], MAX_RESPONSE_BYTES);
            assert!(text.len() <= MAX_RESPONSE_BYTES && text.len() > MAX_RESPONSE_BYTES - 3, "{}", text.len());
            assert!(text.chars().all(|char| char == '\u{fffd}'));
        }
        // A letter that was cut in two at the end is replaced as a whole.
        assert_eq!(text("a\0é".as_bytes(), 100), "a\u{fffd}é");
        assert_eq!(text(&"aé".as_bytes()[..2], 100), "a\u{fffd}");
        assert_eq!(text(b"", 100), "");
    }
}
