//! The transaction around a batch, what happens when it fails, and what everyone in it is told.
//!
//! The whole batch is tried in memory with few statements. If the database refuses something that memory could not
//! foresee (on PostgreSQL, what another node did in between), everything is rolled back and the batch is run again, each
//! piece of work in a savepoint of its own, so that only the one at fault is undone.

use std::sync::Arc;
use std::time::Duration;

use entity::Position;

use super::command::Outcome;
use super::idempotency::{Kept, KeyReused, Keys, Receipt};
use super::prefetch::prefetch;
use super::run::{Done, reused, run_job};
use super::state::State;
use super::{Error, Job, RowOutcome, flush};
use crate::catalog::{Catalog, datum};
use crate::database::{self, NotCommitted, Transaction, WriterConnection};
use crate::log::{Event, NewEvent, RowWrites, append};

/// How often a batch is tried before its callers are told that it failed.
const ATTEMPTS: u32 = 4;

/// How long the writer waits before it tries a batch again.
const PAUSE: Duration = Duration::from_millis(50);

/// A batch that is committed or has failed, and what there is to say to everyone in it.
pub(super) struct Answers {
    jobs: Vec<Job>,
    result: Result<Written, Lost>,
}

impl Answers {
    /// What was appended to the log.
    pub(super) fn events(&self) -> &[Arc<Event>] {
        self.result.as_ref().map_or(&[], |(_, events)| events)
    }

    /// Answers everyone.
    pub(super) fn give(self) {
        match self.result {
            Ok((done, events)) => answer(self.jobs, done, events),
            Err(lost) => self.jobs.into_iter().for_each(|job| job.fail(lost.error())),
        }
    }
}

/// Why nobody in a batch is told an outcome.
enum Lost {
    /// Nothing was committed.
    Before(Arc<database::Error>),
    /// It is not known whether it was committed.
    InCommit(Arc<database::Error>),
}

impl Lost {
    fn error(&self) -> Error {
        match self {
            Self::Before(error) => Error::Database(Arc::clone(error)),
            Self::InCommit(error) => Error::InDoubt(Arc::clone(error)),
        }
    }
}

/// Runs a batch.
pub(super) async fn run(connection: &WriterConnection, catalog: &Catalog, jobs: Vec<Job>) -> Answers {
    let result = match persist(connection, async || together(connection, catalog, &jobs).await).await {
        Err(failure) if failure.is_of_one() => {
            persist(connection, async || singly(connection, catalog, &jobs).await).await
        }
        result => result,
    };
    let result = result.map_err(|failure| {
        let lost = match failure {
            Failure::Before(error) => Lost::Before(Arc::new(error)),
            Failure::InCommit(error) => Lost::InCommit(Arc::new(error)),
        };
        tracing::error!(error = %lost.error(), jobs = jobs.len(), "a batch of writes failed");
        lost
    });
    Answers { jobs, result }
}

/// When a batch failed.
enum Failure {
    /// Nothing was committed.
    Before(database::Error),
    /// The commit itself failed: on PostgreSQL it may have happened all the same.
    InCommit(database::Error),
}

impl From<database::Error> for Failure {
    fn from(error: database::Error) -> Self {
        Self::Before(error)
    }
}

impl From<NotCommitted> for Failure {
    fn from(error: NotCommitted) -> Self {
        match error {
            NotCommitted::Refused(error) => Self::Before(error),
            NotCommitted::InDoubt(error) => Self::InCommit(error),
        }
    }
}

/// What became of each piece of work, and all events in log order.
type Written = (Vec<Done>, Vec<Arc<Event>>);

impl Failure {
    /// Whether it may concern one piece of work alone: something that memory could not foresee, or data that it fails on.
    fn is_of_one(&self) -> bool {
        match self {
            Self::Before(error) => match error {
                database::Error::Unique(_)
                | database::Error::ForeignKey(_)
                | database::Error::Corrupt(_)
                | database::Error::TimedOut(_)
                | database::Error::Other(_) => true,
                database::Error::Conflict(_) | database::Error::Unavailable(_) => false,
            },
            Self::InCommit(_) => false,
        }
    }

    /// Whether the same may succeed a little later.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Before(database::Error::Conflict(_) | database::Error::Unavailable(_)))
    }
}

type Tried = Result<Written, Failure>;

/// Tries a few times what failed for a reason that passes.
async fn persist(connection: &WriterConnection, run: impl AsyncFn() -> Tried) -> Tried {
    let mut attempt = 1;
    loop {
        let tried = run().await;
        if tried.is_err() {
            connection.settle().await;
        }
        match tried {
            Err(failure) if failure.is_passing() && attempt < ATTEMPTS => {
                tokio::time::sleep(PAUSE * attempt).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

async fn together(connection: &WriterConnection, catalog: &Catalog, jobs: &[Job]) -> Tried {
    let transaction = connection.begin().await?;
    let now = datum::now_micros();
    let mut keys = Keys::claim(&transaction, jobs.iter().filter_map(Job::key), now).await?;
    let mut done = Vec::with_capacity(jobs.len());
    let mut new_events = Vec::new();
    let last;
    {
        let mut state = State::new(&transaction, catalog, now);
        prefetch(&mut state, jobs).await?;
        for (i, job) in jobs.iter().enumerate() {
            let result = run_job(&mut state, &keys, job, &mut new_events).await?;
            if result.uses_key() {
                keys.used(job.key(), i);
            }
            done.push(result);
        }
        last = flush::flush_but_last(&transaction, catalog, state.take_writes()).await?;
    }
    finish(transaction, catalog, keys, done, new_events, last).await
}

/// Writes the last rows and the events, settles the keys, and commits.
async fn finish(
    transaction: Transaction<'_>,
    catalog: &Catalog,
    keys: Keys,
    done: Vec<Done>,
    events: Vec<NewEvent>,
    last: RowWrites,
) -> Tried {
    if keys.are_settled() {
        let events = append::append_and_commit(transaction, catalog, events, last).await?;
        return Ok((done, events));
    }
    let events = append::append(&transaction, catalog, events, last).await?;
    let kept = kept(&done, &events);
    keys.settle(&transaction, |job| kept[job].clone().expect("only what is done uses a key")).await?;
    transaction.commit().await.map_err(Failure::InCommit)?;
    Ok((done, events))
}

/// What a key that was used for each piece of work has to remember.
fn kept(done: &[Done], events: &[Arc<Event>]) -> Vec<Option<Kept>> {
    let mut before = events
        .first()
        .map_or(Position::START, |event| Position::new(event.position.get() - 1).expect("the first position is 1"));
    let keep = |done: &Done| match done {
        Done::Events { count, subjects, violations } => {
            let count = u32::try_from(*count).expect("a mutation writes few rows");
            let receipt = Receipt { before, count, subjects: subjects.clone(), violations: violations.clone() };
            before = before.advanced_by(count);
            Some(Kept::Events(receipt))
        }
        Done::Row(row) => row.clone().map(Kept::Row),
        Done::Refused(_) | Done::Statements(_) | Done::Replayed(_) | Done::Same(_) | Done::Reused | Done::Failed(_) => {
            None
        }
    };
    done.iter().map(keep).collect()
}

/// Each piece of work in a savepoint of its own.
async fn singly(connection: &WriterConnection, catalog: &Catalog, jobs: &[Job]) -> Tried {
    let transaction = connection.begin().await?;
    let now = datum::now_micros();
    let mut keys = Keys::claim(&transaction, jobs.iter().filter_map(Job::key), now).await?;
    let mut done = Vec::with_capacity(jobs.len());
    let mut new_events = Vec::new();
    for (i, job) in jobs.iter().enumerate() {
        let mut attempt = 1;
        loop {
            transaction.control("SAVEPOINT work").await?;
            let before = new_events.len();
            let mut state = State::new(&transaction, catalog, now);
            let mut result = run_job(&mut state, &keys, job, &mut new_events).await;
            if result.is_ok()
                && let Err(error) = flush::flush(&transaction, catalog, state.take_writes()).await
            {
                result = Err(error);
            }
            match result {
                Ok(outcome) => {
                    transaction.control("RELEASE SAVEPOINT work").await?;
                    if outcome.uses_key() {
                        keys.used(job.key(), i);
                    }
                    done.push(outcome);
                    break;
                }
                // Somebody else took the key in between: a second look finds it and says so properly.
                Err(database::Error::Unique(_) | database::Error::ForeignKey(_)) if attempt < ATTEMPTS => {
                    new_events.truncate(before);
                    transaction.control("ROLLBACK TO SAVEPOINT work").await?;
                    attempt += 1;
                }
                Err(error @ (database::Error::Unavailable(_) | database::Error::Conflict(_))) => {
                    return Err(error.into());
                }
                Err(error) => {
                    new_events.truncate(before);
                    transaction.control("ROLLBACK TO SAVEPOINT work").await?;
                    done.push(Done::Failed(error));
                    break;
                }
            }
        }
    }
    finish(transaction, catalog, keys, done, new_events, RowWrites::new()).await
}

fn answer(jobs: Vec<Job>, done: Vec<Done>, events: Vec<Arc<Event>>) {
    let mut events = events.into_iter();
    let mut answers: Vec<Answer> = Vec::with_capacity(jobs.len());
    for done in done {
        let answer = match done {
            Done::Events { count, subjects, violations } => {
                let events = events.by_ref().take(count).collect();
                Answer::Mutation(Outcome::Done { events, subjects, violations })
            }
            Done::Refused(outcome) => Answer::Mutation(outcome),
            Done::Statements(changed) => Answer::Statements(changed),
            Done::Row(row) => Answer::Row(row.map_or(RowOutcome::Nothing, RowOutcome::Done)),
            Done::Replayed(Kept::Events(receipt)) => Answer::Mutation(Outcome::Replayed(receipt)),
            Done::Replayed(Kept::Row(row)) => Answer::Row(RowOutcome::Replayed(row)),
            Done::Same(job) => answers[job].again(),
            Done::Reused => Answer::Reused,
            Done::Failed(error) => {
                tracing::error!(%error, "a write failed");
                Answer::Failed(Arc::new(error))
            }
        };
        answers.push(answer);
    }
    for (job, answer) in jobs.into_iter().zip(answers) {
        job.answer(answer);
    }
}

/// What one caller is told.
pub(super) enum Answer {
    Mutation(Outcome),
    Statements(Vec<u64>),
    Row(RowOutcome),
    /// The key belongs to another input.
    Reused,
    Failed(Arc<database::Error>),
}

impl Answer {
    /// For whoever used the same key in the same batch.
    fn again(&self) -> Self {
        match self {
            Self::Mutation(outcome) => Self::Mutation(outcome.clone()),
            Self::Row(RowOutcome::Done(row)) => Self::Row(RowOutcome::Replayed(row.clone())),
            Self::Row(_) | Self::Statements(_) | Self::Reused | Self::Failed(_) => {
                unreachable!("a key was used by what is done")
            }
        }
    }
}

impl Job {
    /// Answers. Whoever asked may have gone away; the work is done all the same.
    fn answer(self, answer: Answer) {
        match (self, answer) {
            (job, Answer::Failed(error)) => job.fail(Error::Database(error)),
            (Self::Mutation(_, reply), Answer::Mutation(outcome)) => drop(reply.send(Ok(outcome))),
            (Self::Mutation(_, reply), Answer::Reused) => drop(reply.send(Ok(reused()))),
            (Self::Statements(_, reply), Answer::Statements(changed)) => drop(reply.send(Ok(changed))),
            (Self::Row(_, reply), Answer::Row(outcome)) => drop(reply.send(Ok(outcome))),
            (Self::Row(_, reply), Answer::Reused) => drop(reply.send(Ok(RowOutcome::Reused(KeyReused)))),
            (Self::Mutation(..) | Self::Statements(..) | Self::Row(..), _) => unreachable!("a job is answered in kind"),
        }
    }

    fn fail(self, error: Error) {
        match self {
            Self::Mutation(_, reply) => drop(reply.send(Err(error))),
            Self::Statements(_, reply) => drop(reply.send(Err(error))),
            Self::Row(_, reply) => drop(reply.send(Err(error))),
        }
    }
}
