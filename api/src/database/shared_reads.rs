//! Reads that ask the same while they wait are asked once.
//!
//! When many clients come back at the same moment, after a restart or because something has become popular, they ask for
//! the same lists. Reads of one statement with the same values take [`Turns`], and those that wait for one get the rows of
//! one. What a caller may see is part of the statement, so nobody gets the rows of somebody who may see more.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::record::Record;
use super::turns::{Turn, Turns};
use super::{Error, Sql};

/// What a statement gives, for all that have asked it.
pub(super) type Rows = Result<Arc<[Record]>, Error>;

type Reply = oneshot::Sender<Rows>;

/// The reads that run, and those that wait.
#[derive(Default)]
pub(super) struct SharedReads {
    turns: Turns<Arc<Sql>, Reply>,
}

impl SharedReads {
    /// Gives the rows of a statement, by `ask` or by that of an equal one. If everybody who waits for them goes away, what it
    /// does is dropped.
    pub(super) async fn run<F>(&self, sql: Sql, ask: impl Fn(Sql) -> F + Send + Sync + 'static) -> Rows
    where
        F: Future<Output = Result<Vec<Record>, Error>> + Send + 'static,
    {
        let (reply, rows) = oneshot::channel();
        if let Some(turn) = self.turns.enter(Arc::new(sql), reply) {
            // Whoever asks first may go away; the others must not suffer from it.
            tokio::spawn(go_through(turn, ask));
        }
        rows.await.map_err(|_| Error::Unavailable("a read was dropped".to_owned()))?
    }
}

async fn go_through<F>(mut turn: Turn<Arc<Sql>, Reply>, ask: impl Fn(Sql) -> F)
where
    F: Future<Output = Result<Vec<Record>, Error>>,
{
    loop {
        let mut replies = turn.next(usize::MAX);
        if replies.is_empty() {
            return;
        }
        let rows = tokio::select! {
            rows = ask(Sql::clone(turn.kind())) => rows.map(Arc::from),
            () = all_closed(&mut replies) => continue,
        };
        for reply in replies {
            // Whoever asked may have gone away.
            let _ = reply.send(Rows::clone(&rows));
        }
    }
}

async fn all_closed(replies: &mut [Reply]) {
    for reply in replies {
        reply.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    use super::*;
    use crate::database::Dialect;

    fn of_value(value: i64) -> Sql {
        let mut sql = Sql::text(Dialect::Postgres, "SELECT ");
        sql.bind(value);
        sql
    }

    /// A database that answers when it is let to.
    struct Fixture {
        reads: SharedReads,
        asked: Arc<AtomicUsize>,
        answers: Arc<Semaphore>,
    }

    impl Fixture {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                reads: SharedReads::default(),
                asked: Arc::default(),
                answers: Arc::new(Semaphore::new(0)),
            })
        }

        async fn read(self: Arc<Self>, value: i64) -> Rows {
            let (asked, answers) = (Arc::clone(&self.asked), Arc::clone(&self.answers));
            let ask = move |sql| {
                let (asked, answers) = (Arc::clone(&asked), Arc::clone(&answers));
                async move {
                    assert_eq!(sql, of_value(value));
                    asked.fetch_add(1, Ordering::SeqCst);
                    answers.acquire().await.unwrap().forget();
                    if value < 0 { Err(Error::Other("no".to_owned())) } else { Ok(Vec::new()) }
                }
            };
            self.reads.run(of_value(value), ask).await
        }

        async fn are_asked(&self, count: usize) {
            let asked = async {
                while self.asked.load(Ordering::SeqCst) < count {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), asked).await.expect("they are asked");
        }
    }

    #[tokio::test]
    async fn equal_reads_that_wait_are_asked_once() {
        let fixture = Fixture::new();
        let mut all = JoinSet::new();
        for (asked, value) in (1..).zip([1, 1, 2, -1, -1]) {
            all.spawn(Arc::clone(&fixture).read(value));
            fixture.are_asked(asked).await;
        }
        // Two of each are on their way, save for those of 2.
        for value in [1, 1, 1, 2, -1] {
            all.spawn(Arc::clone(&fixture).read(value));
        }
        fixture.are_asked(6).await;
        fixture.answers.add_permits(100);
        let results = all.join_all().await;
        assert_eq!(results.iter().filter(|rows| rows.is_ok()).count(), 7);
        assert_eq!(fixture.asked.load(Ordering::SeqCst), 8, "one more for 1, and one for -1");
        for _ in 0..2 {
            Arc::clone(&fixture).read(1).await.unwrap();
        }
        assert_eq!(fixture.asked.load(Ordering::SeqCst), 10, "nothing is kept");
    }

    #[tokio::test]
    async fn who_goes_away_takes_nobody_along() {
        let fixture = Fixture::new();
        let (mut gone, mut all) = (JoinSet::new(), JoinSet::new());
        for asked in 1..3 {
            gone.spawn(Arc::clone(&fixture).read(1));
            fixture.are_asked(asked).await;
        }
        all.spawn(Arc::clone(&fixture).read(1));
        tokio::task::yield_now().await;
        // Nobody waits for the two that are on their way any more, so they end, and the next one begins.
        gone.shutdown().await;
        fixture.are_asked(3).await;
        fixture.answers.add_permits(1);
        assert!(all.join_next().await.unwrap().unwrap().is_ok());
    }
}
