//! How long SQLite may work on one read.
//!
//! SQLite has no time limit of its own. It asks a function, every so many steps of its program, whether to go on; that one
//! looks at the clock, and whether anybody still waits for the answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Error;

/// Steps between two looks: a fraction of a millisecond.
const STEPS: i32 = 10_000;

/// The time limit of one connection, which is private to one thread.
pub(super) struct TimeLimit<T> {
    limit: Duration,
    running: Arc<Mutex<Option<Running<T>>>>,
}

struct Running<T> {
    until: Instant,
    reply: oneshot::Sender<T>,
    is_late: bool,
}

impl<T> Running<T> {
    /// Whether it has to end now.
    fn is_over(&mut self) -> bool {
        self.is_late = self.is_late || Instant::now() >= self.until;
        self.is_late || self.reply.is_closed()
    }
}

impl<T: Send + 'static> TimeLimit<Result<T, Error>> {
    /// For what may take so long.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, running: Arc::default() }
    }

    /// Has the connection ask.
    pub(super) fn watch(&self, conn: &rusqlite::Connection) -> rusqlite::Result<()> {
        let running = Arc::clone(&self.running);
        let is_over = move || lock(&running).as_mut().is_some_and(Running::is_over);
        conn.progress_handler(STEPS, Some(is_over))
    }

    /// Runs something on the connection, for whoever waits at the other end of `reply`.
    pub(super) fn run(
        &self,
        reply: oneshot::Sender<Result<T, Error>>,
        run: impl FnOnce() -> Result<T, Error>,
    ) -> (oneshot::Sender<Result<T, Error>>, Result<T, Error>) {
        *lock(&self.running) = Some(Running { until: Instant::now() + self.limit, reply, is_late: false });
        let result = run();
        let Running { reply, is_late, .. } = lock(&self.running).take().expect("it was put there above");
        let late = || Error::TimedOut(format!("a read was not done within {} s", self.limit.as_secs_f64()));
        (reply, result.map_err(|error| if is_late { late() } else { error }))
    }
}

/// No other thread has it for longer than a look, and none panics with it.
fn lock<T>(running: &Mutex<Option<T>>) -> std::sync::MutexGuard<'_, Option<T>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}
