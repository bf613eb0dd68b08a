//! One piece of work of a batch, in memory.

use std::collections::HashMap;

use entity::TransactionId;

use super::command::{Command, Mutation, Outcome};
use super::create::Author;
use super::idempotency::{Kept, KeyReused, Keys, Use};
use super::many::Made;
use super::state::State;
use super::violation::Violation;
use super::{Job, RowWrite, flush};
use crate::catalog::ResourceId;
use crate::database::{self, Sql, Transaction};
use crate::log::{ChangeKind, NewEvent};

/// What became of one piece of work, before the commit.
pub(super) enum Done {
    /// A mutation with this many events; the rest as in [`Outcome::Done`].
    Events { count: usize, subjects: Vec<Option<usize>>, violations: Vec<Violation> },
    /// A mutation that was refused.
    Refused(Outcome),
    /// Statements, with the rows that each one changed.
    Statements(Vec<u64>),
    /// One statement, with the row that it gave.
    Row(Option<String>),
    /// Its key was used before, and this came of it.
    Replayed(Kept),
    /// Its key was used by that piece of work of this batch.
    Same(usize),
    /// Its key belongs to another input.
    Reused,
    /// The database refused it; the others of the batch are not concerned.
    Failed(database::Error),
}

impl Done {
    /// Whether it is done now, so that its key is used.
    pub(super) fn uses_key(&self) -> bool {
        match self {
            Self::Events { .. } | Self::Row(Some(_)) => true,
            Self::Row(None)
            | Self::Refused(_)
            | Self::Statements(_)
            | Self::Replayed(_)
            | Self::Same(_)
            | Self::Reused
            | Self::Failed(_) => false,
        }
    }
}

/// Runs a piece of work, unless its key was used.
pub(super) async fn run_job(
    state: &mut State<'_>,
    keys: &Keys,
    job: &Job,
    events: &mut Vec<NewEvent>,
) -> Result<Done, database::Error> {
    match keys.look(job.key()) {
        Use::Run => {}
        Use::Replay(kept) => {
            return Ok(match (&kept, job) {
                (Kept::Events(_), Job::Mutation(..)) | (Kept::Row(_), Job::Row(..)) => Done::Replayed(kept),
                // The hash of an input holds the mutation's name, so one kind is never taken for the other.
                (Kept::Events(_) | Kept::Row(_), _) => Done::Reused,
            });
        }
        Use::Same(job) => return Ok(Done::Same(job)),
        Use::Reused => return Ok(Done::Reused),
    }
    match job {
        Job::Mutation(mutation, _) => run_mutation(state, mutation, events).await,
        Job::Statements(statements, _) => run_statements(state.transaction, statements).await.map(Done::Statements),
        Job::Row(write, _) => run_row(state.transaction, write).await.map(Done::Row),
    }
}

async fn run_statements(transaction: &Transaction<'_>, statements: &[Sql]) -> Result<Vec<u64>, database::Error> {
    let mut changed = Vec::with_capacity(statements.len());
    for sql in statements {
        changed.push(transaction.run(sql).await?);
    }
    Ok(changed)
}

async fn run_row(transaction: &Transaction<'_>, write: &RowWrite) -> Result<Option<String>, database::Error> {
    transaction.query(&write.sql).await?.first().map(write.encode).transpose()
}

async fn run_mutation(
    state: &mut State<'_>,
    mutation: &Mutation,
    events: &mut Vec<NewEvent>,
) -> Result<Done, database::Error> {
    let author = Author { principal: &mutation.principal, transaction: TransactionId::new() };
    let mut violations = mutation.violations.clone();
    let mut subjects = vec![Some(0)];
    let refusal = match &mutation.command {
        Command::Create(create) => {
            state.create(author, create, None, &mut violations).await?;
            None
        }
        Command::Update(update) => state.update(author, update, &mut violations).await?,
        Command::Upsert(upsert) => {
            state.upsert(author, upsert, &mut violations).await?;
            None
        }
        Command::Delete(delete) => {
            flush_before(state).await?;
            state.delete(author, delete, &mut violations).await?
        }
        Command::CreateMany(many) => {
            let made = state.create_many(author, many, &mut violations).await?;
            return Ok(finish_many(made, violations, events));
        }
        Command::UpdateMany(many) => {
            flush_before(state).await?;
            let rows = state.update_many(author, many, &mut violations).await?;
            subjects = (0..rows.len()).map(Some).collect();
            None
        }
        Command::DeleteMany(many) => {
            flush_before(state).await?;
            let rows = state.delete_many(author, many, &mut violations).await?;
            let ends = ends_of(many.resource, &state.staged.events);
            subjects = rows.iter().map(|row| ends.get(&row.id()).copied()).collect();
            None
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
    let is_delete = matches!(mutation.command, Command::Delete(_) | Command::DeleteMany(_));
    if is_delete {
        // A later mutation may take a unique key that these rows had, and rows are inserted before others are deleted.
        flush::flush(state.transaction, state.catalog, state.take_writes()).await?;
    }
    let count = accepted.len();
    if matches!(mutation.command, Command::Delete(_)) {
        // A create begins with its own event, a delete ends with it.
        subjects = vec![Some(count - 1)];
    }
    events.extend(accepted);
    Ok(Done::Events { count, subjects, violations })
}

/// What points at a row, or matches a filter, is looked up in the database, so it must know what this batch has done.
async fn flush_before(state: &mut State<'_>) -> Result<(), database::Error> {
    flush::flush(state.transaction, state.catalog, state.take_writes()).await
}

fn finish_many(made: Made, violations: Vec<Violation>, events: &mut Vec<NewEvent>) -> Done {
    if made.events.is_empty() && !violations.is_empty() {
        return Done::Refused(Outcome::Refused { violations, current: None });
    }
    let count = made.events.len();
    events.extend(made.events);
    Done::Events { count, subjects: made.subjects, violations }
}

/// By row, the index of the event about its removal.
fn ends_of(resource: ResourceId, events: &[NewEvent]) -> HashMap<uuid::Uuid, usize> {
    let ends = events.iter().enumerate().filter(|(_, e)| e.resource == resource && e.kind == ChangeKind::Deleted);
    ends.filter_map(|(i, event)| Some((event.before.as_ref()?.id(), i))).collect()
}

/// What a caller is told whose key belongs to another input.
pub(super) fn reused() -> Outcome {
    Outcome::refused(KeyReused.violation())
}
