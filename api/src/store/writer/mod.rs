//! The writer: everything that writes goes through it.
//!
//! There is one per process, on a thread of its own. It takes work from a bounded queue, runs what is waiting in one
//! transaction, appends all events, commits once, and then answers all. It never waits for more work while it is idle.
//!
//! Invariants: a change and its event are in the same transaction; an answer is given only after the commit; a mutation
//! that fails leaves nothing behind and does not disturb the others of its batch.
//!
//! - [`command`]: what it is asked and what it answers
//! - [`violation`]: what can be wrong with it
//! - [`idempotency`]: what is answered to a mutation that is sent again
//! - `batch`: the transaction around a batch, and what happens when it fails
//! - `prefetch`: what a batch reads before it begins
//! - `run`: one piece of work of it
//! - `state`: the rows and keys that a batch has seen and changed; `lookup`: rows that are found by something else than id
//! - `create`, `update`, `upsert`, `delete`, `many`: one mutation, in memory
//! - `lists`: rows of to-many fields, for rules
//! - `flush`: the statements that write; `records`: rows as PostgreSQL takes them

mod batch;
pub mod command;
mod create;
mod delete;
mod flush;
pub mod idempotency;
mod lists;
mod lookup;
mod many;
mod prefetch;
mod records;
mod rights;
mod run;
mod state;
#[cfg(test)]
mod tests;
mod update;
mod upsert;
pub mod violation;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

pub use command::{
    By, Child, Command, Create, CreateMany, Delete, DeleteMany, MAX_ROWS, Matching, Mutation, Outcome, Update,
    UpdateMany, Upsert,
};
pub use idempotency::{Key, KeyReused, Receipt};
pub use violation::{Code, Violation};

use crate::catalog::Catalog;
use crate::database::{self, Database, Record, Sql, WriterConnection};
use crate::log::Hub;
use crate::store::read;

/// Batches that are done and whose answers are not given yet. When there are more, the writer waits.
const UNANSWERED_BATCHES: usize = 8;

/// When the work of a batch looks at this many rows or more, nothing is added to it, so that small mutations do not wait
/// for many large ones.
const BATCH_ROWS: usize = 1_000;

/// What the writer may be told.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Most pieces of work in one transaction. PostgreSQL keeps 64 subtransactions at hand, so not more than that.
    pub max_batch: usize,
    /// Most pieces of work that may wait. When the queue is full, mutations are refused with [`Error::Busy`].
    pub queue_length: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_batch: 64, queue_length: 1024 }
    }
}

/// Why the writer gave no outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The queue is full: nothing was written, and the same may be tried again.
    #[error("too many writes are waiting")]
    Busy,
    /// The server is shutting down: nothing was written.
    #[error("the server is shutting down")]
    Closed,
    /// The database failed. Nothing was written.
    #[error(transparent)]
    Database(Arc<database::Error>),
    /// The database failed while it committed: it is not known whether everything was written, or nothing.
    #[error("the commit failed: {0}")]
    InDoubt(Arc<database::Error>),
}

/// The way to the writer. Cheap to clone; the writer ends when it has done what is in the queue after the last clone is
/// dropped.
#[derive(Clone)]
pub struct Writer {
    queue: async_channel::Sender<Job>,
    /// To find rows by filters before they are written.
    database: Database,
    catalog: Arc<Catalog>,
}

/// A piece of work and the way back.
enum Job {
    Mutation(Box<Mutation>, oneshot::Sender<Result<Outcome, Error>>),
    Statements(Vec<Sql>, oneshot::Sender<Result<Vec<u64>, Error>>),
    Row(Box<RowWrite>, oneshot::Sender<Result<RowOutcome, Error>>),
}

impl Job {
    fn key(&self) -> Option<&Key> {
        match self {
            Self::Mutation(mutation, _) => mutation.key.as_ref(),
            Self::Row(write, _) => write.key.as_ref(),
            Self::Statements(..) => None,
        }
    }

    /// About how many rows it looks at.
    fn rows(&self) -> usize {
        match self {
            Self::Mutation(mutation, _) => mutation.command.rows(),
            Self::Statements(..) | Self::Row(..) => 1,
        }
    }
}

/// One statement that writes a row of Tandem's own tables and gives it.
#[derive(Debug)]
pub struct RowWrite {
    /// The statement; it gives one row, or none if it wrote nothing.
    pub sql: Sql,
    /// The row as a text, which is the outcome.
    pub encode: fn(&Record) -> Result<String, database::Error>,
    /// With a key that was used before, the outcome of then is the answer.
    pub key: Option<Key>,
}

/// What became of a [`RowWrite`].
#[derive(Debug)]
pub enum RowOutcome {
    /// It is committed.
    Done(String),
    /// It was committed before, with the same key and the same input.
    Replayed(String),
    /// It wrote nothing.
    Nothing,
    /// Its key belongs to another input.
    Reused(KeyReused),
}

impl Writer {
    /// Starts the writer's thread. After each commit with events it calls [`Hub::written`]. What is given beside the
    /// writer resolves when the thread has ended; until then the runtime is needed.
    ///
    /// # Errors
    /// If the database cannot be opened for writing.
    pub async fn start(
        database: &Database,
        catalog: Arc<Catalog>,
        hub: Hub,
        settings: Settings,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), database::Error> {
        let (queue, jobs) = async_channel::bounded(settings.queue_length);
        let (opened, opening) = oneshot::channel();
        let (alive, ended) = oneshot::channel::<()>();
        let (read_from, known) = (database.clone(), Arc::clone(&catalog));
        let database = database.clone();
        // Its own runtime: the answers of PostgreSQL arrive on the thread that waits for them.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| database::Error::Other(format!("the writer's runtime cannot be started: {e}")))?;
        // To wake whoever waits takes longer than to write its row, so it is left to a task, which ends with the writer.
        let (answers, unanswered) = mpsc::channel(UNANSWERED_BATCHES);
        let answering = tokio::spawn(answer(unanswered));
        let serve = move || {
            let _alive = alive;
            let _fuse = Fuse;
            runtime.block_on(async move {
                let connection = match WriterConnection::open(&database).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        let _ = opened.send(Err(error));
                        return;
                    }
                };
                let _ = opened.send(Ok(()));
                run(&connection, &catalog, &hub, &jobs, &answers, settings.max_batch).await;
            });
        };
        std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(serve)
            .map_err(|e| database::Error::Other(format!("the writer's thread cannot be started: {e}")))?;
        opening.await.map_err(|_| database::Error::Other("the writer's thread has ended".to_owned()))??;
        let done = async move {
            // Nothing is ever sent: the thread drops its end. Then what it has done is answered.
            let _ = ended.await;
            if let Err(error) = answering.await {
                tracing::error!(%error, "the task that answers mutations has failed");
            }
        };
        Ok((Self { queue, database: read_from, catalog: known }, done))
    }

    /// Runs a mutation. Once it is in the queue it is finished even if this future is dropped.
    ///
    /// Rows that match a filter are found first, where reads are made and within their time: however long that takes, no
    /// other mutation waits for it. The writer then judges those again.
    ///
    /// # Errors
    /// [`Error::Busy`] at once if the queue is full.
    pub async fn mutate(&self, mut mutation: Mutation) -> Result<Outcome, Error> {
        if let Some((resource, matching)) = mutation.command.matching_mut() {
            let limit = matching.at_most + 1;
            let found = read::matching(&self.database, &self.catalog, resource, &matching.filter, limit).await;
            matching.found = Some(found.map_err(|error| Error::Database(Arc::new(error)))?);
        }
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Job::Mutation(Box::new(mutation), reply)).map_err(|error| match error {
            async_channel::TrySendError::Full(_) => Error::Busy,
            async_channel::TrySendError::Closed(_) => Error::Closed,
        })?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Runs statements on Tandem's own tables, all of them or none, and gives the rows that each one changed. Waits
    /// while the queue is full.
    pub async fn statements(&self, statements: Vec<Sql>) -> Result<Vec<u64>, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Job::Statements(statements, reply)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Writes one row of Tandem's own tables. Waits while the queue is full.
    pub async fn row(&self, write: RowWrite) -> Result<RowOutcome, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Job::Row(Box::new(write), reply)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

/// Ends the process if the writer's thread panics: a server that answers reads and can never write again is worse than
/// one that starts anew, which loses nothing.
struct Fuse;

impl Drop for Fuse {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the writer has panicked; the process ends, to be started again");
            std::process::abort();
        }
    }
}

async fn run(
    connection: &WriterConnection,
    catalog: &Catalog,
    hub: &Hub,
    queue: &async_channel::Receiver<Job>,
    answers: &mpsc::Sender<batch::Answers>,
    max_batch: usize,
) {
    while let Ok(first) = queue.recv().await {
        let mut rows = first.rows();
        let mut jobs = vec![first];
        while jobs.len() < max_batch && rows < BATCH_ROWS {
            match queue.try_recv() {
                Ok(job) => {
                    rows += job.rows();
                    jobs.push(job);
                }
                Err(_) => break,
            }
        }
        let batch = batch::run(connection, catalog, jobs).await;
        if !batch.events().is_empty() {
            hub.written(batch.events());
        }
        // The task is gone only if the runtime of those who wait is gone, and they with it.
        let _ = answers.send(batch).await;
    }
}

async fn answer(mut batches: mpsc::Receiver<batch::Answers>) {
    while let Some(batch) = batches.recv().await {
        batch.give();
    }
}
