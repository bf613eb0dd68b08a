//! The transaction around a batch, what happens when it fails, and what everyone in it is told.
//!
//! The whole batch is tried in memory with few statements. If the database refuses something that memory could not
//! foresee (on PostgreSQL, what another node did in between), everything is rolled back and the batch is run again, each
//! piece of work in a savepoint of its own, so that only the one at fault is undone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use entity::TransactionId;
use uuid::Uuid;

use super::command::{Command, Create, Mutation, Outcome};
use super::create::{self, By};
use super::state::State;
use super::{Error, Job, flush};
use crate::catalog::{Catalog, DefaultValue, ResourceId, Row, datum};
use crate::database::{self, Sql, Transaction, WriterConnection};
use crate::log::{Event, NewEvent, append};

/// How often a batch is tried before its callers are told that it failed.
const ATTEMPTS: u32 = 4;

/// How long the writer waits before it tries a batch again.
const PAUSE: Duration = Duration::from_millis(50);

/// What became of one piece of work, before the commit.
enum Done {
    /// A mutation with this many events, the main one at this index among them.
    Events { count: usize, main: usize },
    /// A mutation that was refused.
    Refused(Outcome),
    /// Statements, with the rows that each one changed.
    Statements(Vec<u64>),
    /// The database refused it; the others of the batch are not concerned.
    Failed(database::Error),
}

/// A batch that is committed or has failed, and what there is to say to everyone in it.
pub(super) struct Answers {
    jobs: Vec<Job>,
    result: Result<Written, Arc<database::Error>>,
}

impl Answers {
    /// Whether the log has grown.
    pub(super) fn has_events(&self) -> bool {
        self.result.as_ref().is_ok_and(|(_, events)| !events.is_empty())
    }

    /// Answers everyone.
    pub(super) fn give(self) {
        match self.result {
            Ok((done, events)) => answer(self.jobs, done, events),
            Err(error) => self.jobs.into_iter().for_each(|job| refuse(job, &error)),
        }
    }
}

/// Runs a batch.
pub(super) async fn run(connection: &WriterConnection, catalog: &Catalog, jobs: Vec<Job>) -> Answers {
    let result = match persist(async || together(connection, catalog, &jobs).await).await {
        Err(failure) if failure.is_of_one() => persist(async || singly(connection, catalog, &jobs).await).await,
        result => result,
    };
    let result = result.map_err(|failure| {
        let (Failure::Before(error) | Failure::InCommit(error)) = failure;
        tracing::error!(%error, jobs = jobs.len(), "a batch of writes failed");
        Arc::new(error)
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
async fn persist(run: impl AsyncFn() -> Tried) -> Tried {
    let mut attempt = 1;
    loop {
        match run().await {
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
    let mut done = Vec::with_capacity(jobs.len());
    let mut new_events = Vec::new();
    {
        let mut state = State::new(&transaction, catalog, datum::now_micros());
        prefetch(&mut state, jobs).await?;
        for job in jobs {
            done.push(run_job(&mut state, job, &mut new_events).await?);
        }
        flush::flush(&transaction, catalog, state.take_writes()).await?;
    }
    finish(transaction, catalog, done, new_events).await
}

async fn finish(transaction: Transaction<'_>, catalog: &Catalog, done: Vec<Done>, events: Vec<NewEvent>) -> Tried {
    let events = append::append(&transaction, catalog, events).await?;
    transaction.commit().await.map_err(Failure::InCommit)?;
    Ok((done, events))
}

/// Each piece of work in a savepoint of its own.
async fn singly(connection: &WriterConnection, catalog: &Catalog, jobs: &[Job]) -> Tried {
    let transaction = connection.begin().await?;
    let now = datum::now_micros();
    let mut done = Vec::with_capacity(jobs.len());
    let mut new_events = Vec::new();
    for job in jobs {
        let mut attempt = 1;
        loop {
            transaction.control("SAVEPOINT work").await?;
            let before = new_events.len();
            let mut state = State::new(&transaction, catalog, now);
            let mut result = run_job(&mut state, job, &mut new_events).await;
            if result.is_ok()
                && let Err(error) = flush::flush(&transaction, catalog, state.take_writes()).await
            {
                result = Err(error);
            }
            match result {
                Ok(outcome) => {
                    transaction.control("RELEASE SAVEPOINT work").await?;
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
    finish(transaction, catalog, done, new_events).await
}

async fn run_job(state: &mut State<'_>, job: &Job, events: &mut Vec<NewEvent>) -> Result<Done, database::Error> {
    match job {
        Job::Mutation(mutation, _) => run_mutation(state, mutation, events).await,
        Job::Statements(statements, _) => run_statements(state.transaction, statements).await.map(Done::Statements),
    }
}

async fn run_statements(transaction: &Transaction<'_>, statements: &[Sql]) -> Result<Vec<u64>, database::Error> {
    let mut changed = Vec::with_capacity(statements.len());
    for sql in statements {
        changed.push(transaction.run(sql.clone()).await?);
    }
    Ok(changed)
}

async fn run_mutation(
    state: &mut State<'_>,
    mutation: &Mutation,
    events: &mut Vec<NewEvent>,
) -> Result<Done, database::Error> {
    let by = By { principal: &mutation.principal, transaction: TransactionId::new() };
    let mut violations = mutation.violations.clone();
    let refusal = match &mutation.command {
        Command::Create(create) => {
            state.create(by, create, None, &mut violations).await?;
            None
        }
        Command::Update(update) => state.update(by, update, &mut violations).await?,
        Command::Delete(delete) => {
            // What points at the row is looked up in the database, so it must know what this batch has done so far.
            flush::flush(state.transaction, state.catalog, state.take_writes()).await?;
            state.delete(by, delete, &mut violations).await?
        }
    };
    if let Some(refusal) = refusal {
        state.reject();
        return Ok(Done::Refused(refusal));
    }
    if !violations.is_empty() {
        state.reject();
        return Ok(Done::Refused(Outcome::Refused { violations, current: None }));
    }
    let accepted = state.accept();
    if matches!(mutation.command, Command::Delete(_)) {
        flush::flush(state.transaction, state.catalog, state.take_writes()).await?;
    }
    let count = accepted.len();
    // A create begins with its own event, a delete ends with it.
    let main = if matches!(mutation.command, Command::Delete(_)) { count - 1 } else { 0 };
    events.extend(accepted);
    Ok(Done::Events { count, main })
}

/// Reads what the batch will look at, in one statement for each resource and unique key. What is missed here is read
/// when it is needed.
async fn prefetch(state: &mut State<'_>, jobs: &[Job]) -> Result<(), database::Error> {
    let mut changed: HashMap<ResourceId, HashSet<Uuid>> = HashMap::new();
    let mut targets: HashMap<ResourceId, HashSet<Uuid>> = HashMap::new();
    let mut created: HashMap<ResourceId, Vec<&Create>> = HashMap::new();
    for job in jobs {
        let Job::Mutation(mutation, _) = job else { continue };
        match &mutation.command {
            Command::Create(create) => visit(create, &mut |create| {
                created.entry(create.resource).or_default().push(create);
                add_targets(state.catalog, create.resource, &create.values, &mut targets);
            }),
            Command::Update(update) => {
                changed.entry(update.resource).or_default().insert(update.id);
                add_targets(state.catalog, update.resource, &update.patch, &mut targets);
            }
            Command::Delete(delete) => {
                changed.entry(delete.resource).or_default().insert(delete.id);
            }
        }
    }
    for (resource, ids) in sorted(changed) {
        state.load(resource, &ids, true).await?;
    }
    for (resource, ids) in sorted(targets) {
        state.load(resource, &ids, false).await?;
    }
    for (resource, creates) in sorted(created) {
        let definition = state.catalog.resource(resource);
        let previews: Vec<Row> = creates.iter().map(|c| create::preview(resource, c, state.catalog)).collect();
        let rows: Vec<&Row> = previews.iter().collect();
        for key in 0..definition.unique_keys.len() {
            state.load_keys(resource, key, &rows).await?;
        }
        for (id, field) in definition.columns() {
            if field.default == Some(DefaultValue::Sequence) {
                state.reserve(resource, id, creates.len()).await?;
            }
        }
    }
    Ok(())
}

/// In the order of the catalog, so that two nodes take their locks in the same order.
fn sorted<T>(by_resource: HashMap<ResourceId, T>) -> Vec<(ResourceId, T)> {
    let mut entries: Vec<_> = by_resource.into_iter().collect();
    entries.sort_unstable_by_key(|(resource, _)| *resource);
    entries
}

fn visit<'c>(create: &'c Create, each: &mut impl FnMut(&'c Create)) {
    each(create);
    for child in &create.children {
        visit(&child.create, each);
    }
}

fn add_targets(
    catalog: &Catalog,
    resource: ResourceId,
    values: &[(crate::catalog::FieldId, crate::catalog::Datum)],
    targets: &mut HashMap<ResourceId, HashSet<Uuid>>,
) {
    for (field, value) in values {
        if let (Some(target), Some(id)) = (catalog.resource(resource).field(*field).to_one(), value.as_uuid()) {
            targets.entry(target).or_default().insert(id);
        }
    }
}

fn answer(jobs: Vec<Job>, done: Vec<Done>, events: Vec<Arc<Event>>) {
    let mut events = events.into_iter();
    for (job, done) in jobs.into_iter().zip(done) {
        // Whoever asked may have gone away; the work is done all the same.
        match (job, done) {
            (Job::Mutation(_, reply), Done::Events { count, main }) => {
                let events = events.by_ref().take(count).collect();
                let _ = reply.send(Ok(Outcome::Done { events, main }));
            }
            (Job::Mutation(_, reply), Done::Refused(outcome)) => {
                let _ = reply.send(Ok(outcome));
            }
            (Job::Statements(_, reply), Done::Statements(changed)) => {
                let _ = reply.send(Ok(changed));
            }
            (job, Done::Failed(error)) => {
                tracing::error!(%error, "a write failed");
                refuse(job, &Arc::new(error));
            }
            (Job::Mutation(..), Done::Statements(_))
            | (Job::Statements(..), Done::Events { .. } | Done::Refused(_)) => {
                unreachable!("a job is answered in kind")
            }
        }
    }
}

fn refuse(job: Job, error: &Arc<database::Error>) {
    match job {
        Job::Mutation(_, reply) => {
            let _ = reply.send(Err(Error::Database(Arc::clone(error))));
        }
        Job::Statements(_, reply) => {
            let _ = reply.send(Err(Error::Database(Arc::clone(error))));
        }
    }
}
