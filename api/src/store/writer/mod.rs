//! The writer: everything that writes goes through it.
//!
//! There is one per process, on a thread of its own. It takes work from bounded queues, runs what is waiting in one
//! transaction, appends all events, commits once, and then answers all. It never waits for more work while it is idle.
//!
//! There are two kinds of work: mutations, for which somebody waits, and statements on Tandem's own tables, for which
//! nobody does. These have a queue of their own, so that no mutation stands behind them. PostgreSQL lets several write at
//! once, so there they have a thread and a connection of their own as well; in SQLite's file one writes at a time.
//!
//! Invariants: a change and its event are in the same transaction; an answer is given only after the commit; a mutation
//! that fails leaves nothing behind and does not disturb the others of its batch.
//!
//! - [`command`]: what it is asked and what it answers
//! - [`violation`]: what can be wrong with it
//! - [`idempotency`]: what is answered to a mutation that is sent again
//! - `intake`: what goes into one transaction
//! - `thread`: a thread that writes, and its connection
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
mod intake;
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
mod thread;
mod update;
mod upsert;
pub mod violation;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::oneshot;

pub use command::{
    By, Child, Command, Create, CreateMany, Delete, DeleteMany, MAX_ROWS, Matching, Mutation, Outcome, Update,
    UpdateMany, Upsert,
};
pub use idempotency::{Key, KeyReused, Receipt};
pub use violation::{Code, Violation};

use self::intake::Intake;
use self::thread::Parts;
use crate::catalog::Catalog;
use crate::database::{self, Database, Dialect, Record, Sql};
use crate::log::Hub;
use crate::store::read;

/// What the writer may be told.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Most pieces of work in one transaction. PostgreSQL keeps 64 subtransactions at hand, so not more than that.
    pub max_batch: usize,
    /// Most pieces of work that may wait, of each kind. When there are as many mutations, they are refused with
    /// [`Error::Busy`].
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
    mutations: async_channel::Sender<Job>,
    background: async_channel::Sender<Job>,
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
    /// Starts the writer. After each commit with events it calls [`Hub::written`]. What is given beside the writer resolves
    /// when everything is written and answered; until then the runtime is needed.
    ///
    /// # Errors
    /// If the database cannot be opened for writing.
    pub async fn start(
        database: &Database,
        catalog: Arc<Catalog>,
        hub: Hub,
        settings: Settings,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), database::Error> {
        let (mutations, mutations_in) = async_channel::bounded(settings.queue_length);
        let (background, background_in) = async_channel::bounded(settings.queue_length);
        let parts = Parts { database: database.clone(), catalog: Arc::clone(&catalog), hub };
        let intake = |mutations, background| Intake::new(mutations, background, settings.max_batch);
        let intakes = match database.dialect() {
            Dialect::Sqlite => vec![("writer", intake(Some(mutations_in), Some(background_in)))],
            Dialect::Postgres => vec![
                ("writer", intake(Some(mutations_in), None)),
                ("writer-background", intake(None, Some(background_in))),
            ],
        };
        let mut threads = Vec::new();
        for (name, intake) in intakes {
            threads.push(thread::start(name, parts.clone(), intake).await?);
        }
        let writer = Self { mutations, background, database: database.clone(), catalog };
        Ok((writer, join_all(threads).map(drop)))
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
        self.mutations.try_send(Job::Mutation(Box::new(mutation), reply)).map_err(|error| match error {
            async_channel::TrySendError::Full(_) => Error::Busy,
            async_channel::TrySendError::Closed(_) => Error::Closed,
        })?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Runs statements on Tandem's own tables in the background, all of them or none, and gives the rows that each one
    /// changed. Waits while the queue is full. On SQLite a mutation that comes meanwhile waits for all of them, so they are
    /// to be few and to touch few rows.
    pub async fn statements(&self, statements: Vec<Sql>) -> Result<Vec<u64>, Error> {
        let (reply, answer) = oneshot::channel();
        self.background.send(Job::Statements(statements, reply)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Writes one row of Tandem's own tables. Waits while the queue is full.
    pub async fn row(&self, write: RowWrite) -> Result<RowOutcome, Error> {
        let (reply, answer) = oneshot::channel();
        self.mutations.send(Job::Row(Box::new(write), reply)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}
