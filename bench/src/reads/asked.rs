//! A case as one server is asked it, once to see that it answers and then as fast as it can.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::cases::Case;
use crate::load::{Load, Outcome};
use crate::served::Client;

/// Different requests of one case; so many that neither side can live on remembering answers.
const PREPARED: u64 = 20_000;

/// A case that a server has answered.
pub struct Asked {
    /// What it said.
    pub answer: Value,
    load: Load,
    requests: Arc<Requests>,
}

struct Requests {
    /// The body of the nth request.
    body: Box<dyn Fn(u64) -> Vec<u8> + Send + Sync>,
    /// Requests are made before they are sent: to make them is not the server's work. Those that write can be sent only
    /// once, so there are never enough of them.
    prepared: Option<Vec<Vec<u8>>>,
    /// Of the next one.
    number: AtomicU64,
}

impl Asked {
    /// Makes sure that the answer is what was asked for. `body` makes the body of the nth request, another one for each.
    pub async fn once(
        case: Case,
        client: &mut Client,
        load: Load,
        body: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<Self> {
        let (answer, _) = client.ask_sized(&body(0)).await?;
        ensure!(case.is_answered(&answer), "not what was asked for: {answer}");
        let prepared = (!case.writes()).then(|| (0..PREPARED).map(&body).collect());
        let requests = Requests { body: Box::new(body), prepared, number: AtomicU64::new(1) };
        Ok(Self { answer, load, requests: Arc::new(requests) })
    }

    /// Asks as the load says. May be done again and again: no number is used twice.
    pub async fn measure(&self) -> Result<Outcome> {
        let requests = Arc::clone(&self.requests);
        self.load.run(move |_, _, out| requests.write_next(out)).await?.flawless()
    }
}

impl Requests {
    fn write_next(&self, out: &mut Vec<u8>) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        match &self.prepared {
            Some(bodies) => out.extend_from_slice(&bodies[(number % PREPARED) as usize]),
            None => out.extend((self.body)(number)),
        }
    }
}
