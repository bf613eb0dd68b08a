//! The statements of one commit of a worker.

use sea_orm::ActiveEnum;

use super::{Batch, Job, Lease, Outcome, push_disable};
use crate::database::{Dialect, Sql};
use crate::webhook::failure::AttemptError;
use crate::webhook::outcome::Verdict;
use crate::webhook::send::Attempt;

/// The first of them moves the position and affects no row if the lease is lost; the others then do nothing either. On
/// PostgreSQL it also locks the webhook's row, so that the lease cannot be lost before the commit.
pub(super) fn statements(dialect: Dialect, lease: &Lease, batch: &Batch, now: i64) -> Vec<Sql> {
    let sql = || Sql::new(dialect);
    let mut statements = vec![advance(sql(), lease, batch, now)];
    if let Some(reason) = &batch.disable {
        let mut disable = sql();
        push_disable(&mut disable, reason);
        // What the owner has decided in the meantime stays.
        disable.push(" WHERE status = 'ENABLED' AND ");
        lease.push_held(&mut disable);
        statements.push(disable);
    }
    let (recorded, new): (Vec<_>, Vec<_>) = batch.outcomes.iter().partition(|outcome| outcome.job.is_recorded);
    statements.extend(chunks(&new).map(|some| insert_deliveries(sql(), lease, some, now)));
    statements.extend(recorded.iter().map(|outcome| update_delivery(sql(), lease, outcome, now)));
    let all: Vec<_> = batch.outcomes.iter().collect();
    // The webhook's row already counts all of these.
    let mut left = all.len();
    statements.extend(chunks(&all).map(|some| {
        let statement = insert_attempts(sql(), lease, some, left);
        left -= some.len();
        statement
    }));
    statements
}

/// Rows of one INSERT statement. A few sizes only, so that a few prepared statements serve every batch.
const CHUNK_SIZES: [usize; 3] = [64, 8, 1];

fn chunks<T>(mut rest: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = CHUNK_SIZES.into_iter().find(|size| *size <= rest.len())?;
        let (some, others) = rest.split_at(size);
        rest = others;
        Some(some)
    })
}

fn advance(mut sql: Sql, lease: &Lease, batch: &Batch, now: i64) -> Sql {
    sql.push("UPDATE tandem_webhook SET position = ").bind(batch.progress.position.get());
    sql.push(", sequence = ").bind(batch.progress.sequence);
    sql.push(", first_failure_at = ").bind(batch.health.first_failure_at);
    sql.push(", failures = ").bind(batch.health.failures);
    sql.push(", attempts = attempts + ").bind(batch.outcomes.len() as i64);
    push_latest(&mut sql, batch);
    if batch.health.failures == 0 {
        sql.push(", warned_at = NULL");
    } else if batch.health.is_at_risk(now) {
        sql.push(", warned_at = COALESCE(warned_at, ").bind(now).push(")");
    }
    sql.push(" WHERE ");
    lease.push_held(&mut sql);
    sql
}

/// The latest success and the latest failure, for the owner to see.
fn push_latest(sql: &mut Sql, batch: &Batch) {
    let attempts = || batch.outcomes.iter().map(|outcome| &outcome.attempt);
    if let Some(success) = attempts().filter(|attempt| attempt.is_success()).map(Attempt::ended_at).max() {
        sql.push(", last_success_at = ").bind(success);
    }
    if let Some(failure) = attempts().filter(|attempt| !attempt.is_success()).max_by_key(|a| a.ended_at()) {
        let error = failure.error.as_ref();
        sql.push(", last_failure_at = ").bind(failure.ended_at());
        sql.push(", last_error_code = ").bind(error.map(|error| error.code.name().to_owned()));
        sql.push(", last_error_message = ").bind(error.map(|error| error.message.clone()));
    }
}

/// Values are selected instead of given, because only a SELECT can have a condition. The condition of the conflict is
/// that the same commit was made already, and only its answer was lost.
fn insert_rows(sql: &mut Sql, into: &str, lease: &Lease, outcomes: &[&Outcome], row: impl Fn(&mut Sql, &Outcome)) {
    sql.push("INSERT INTO ").push(into).push(" SELECT * FROM (VALUES ");
    sql.list(", ", outcomes, |sql, outcome| {
        sql.push("(");
        row(sql, outcome);
        sql.push(")");
    });
    sql.push(") AS v WHERE ");
    push_fence(sql, lease);
    sql.push(" ON CONFLICT DO NOTHING");
}

fn push_fence(sql: &mut Sql, lease: &Lease) {
    sql.push("EXISTS (SELECT 1 FROM tandem_webhook WHERE ");
    lease.push_held(sql);
    sql.push(")");
}

fn insert_deliveries(mut sql: Sql, lease: &Lease, new: &[&Outcome], now: i64) -> Sql {
    let into = "tandem_delivery (id, webhook_id, position, message_id, type, sequence, status, next_attempt_at, attempts, \
                body, created_at, updated_at)";
    insert_rows(&mut sql, into, lease, new, |sql, outcome| {
        let job = &outcome.job;
        let state = State::of(outcome);
        sql.bind(job.delivery.get()).push(", ").bind(lease.webhook.get()).push(", ").bind(job.position.get());
        sql.push(", ").bind(job.message.get()).push(", ").bind(job.event.clone()).push(", ").bind(job.sequence);
        sql.push(", ").bind(state.status).push(", ").bind(state.next_attempt_at);
        sql.push(", ").bind(i64::from(job.number)).push(", ").bind(state.body);
        sql.push(", ").bind(now).push(", ").bind(now);
    });
    sql
}

fn update_delivery(mut sql: Sql, lease: &Lease, outcome: &Outcome, now: i64) -> Sql {
    let state = State::of(outcome);
    sql.push("UPDATE tandem_delivery SET status = ").bind(state.status);
    sql.push(", next_attempt_at = ").bind(state.next_attempt_at);
    sql.push(", attempts = ").bind(i64::from(outcome.job.number));
    sql.push(", updated_at = ").bind(now);
    if state.body.is_none() {
        sql.push(", body = NULL");
    }
    sql.push(" WHERE id = ").bind(outcome.job.delivery.get()).push(" AND ");
    push_fence(&mut sql, lease);
    sql
}

/// Gives attempts their ordinals: the webhook's row, which is locked, counts them, so ordinals are in the order of commits.
/// `left` of those that it counts are these and later ones.
fn insert_attempts(mut sql: Sql, lease: &Lease, outcomes: &[&Outcome], left: usize) -> Sql {
    sql.push("INSERT INTO tandem_attempt (delivery_id, number, started_at, duration_ms, status_code, address, ");
    sql.push(
        "error_code, error_message, response_body, webhook_id, ordinal) SELECT column1, column2, column3, column4, ",
    );
    sql.push("column5, column6, column7, column8, column9, w.id, w.attempts - column10 FROM (VALUES ");
    sql.list(", ", outcomes.iter().enumerate(), |sql, (i, outcome)| {
        let attempt = &outcome.attempt;
        let error = attempt.error.as_ref();
        sql.push("(").bind(outcome.job.delivery.get()).push(", ").bind(i64::from(outcome.job.number));
        sql.push(", ").bind(attempt.started_at).push(", ").bind(i64::from(attempt.duration_ms.min(i32::MAX as u32)));
        sql.push(", ").bind(attempt.status_code.map(i64::from)).push(", ").bind(attempt.address.clone());
        sql.push(", ").bind(error.map(|error: &AttemptError| error.code.name().to_owned()));
        sql.push(", ").bind(error.map(|error| error.message.clone()));
        sql.push(", ").bind(attempt.response_body.clone()).push(", ").bind((left - 1 - i) as i64).push(")");
    });
    sql.push(") AS v, tandem_webhook AS w WHERE ");
    lease.push_held(&mut sql);
    sql.push(" ON CONFLICT DO NOTHING");
    sql
}

/// The columns of a delivery that follow from its last attempt.
struct State {
    status: String,
    next_attempt_at: Option<i64>,
    /// Kept as long as it may be sent again.
    body: Option<String>,
}

impl State {
    fn of(outcome: &Outcome) -> Self {
        use entity::delivery::Status;
        let (status, next_attempt_at) = match outcome.verdict {
            Verdict::Succeeded => (Status::Succeeded, None),
            Verdict::Pending { next_attempt_at } => (Status::Pending, Some(next_attempt_at)),
            Verdict::Failed => (Status::Failed, None),
        };
        let body = (outcome.verdict != Verdict::Succeeded).then(|| body_text(&outcome.job));
        Self { status: status.to_value(), next_attempt_at, body }
    }
}

fn body_text(job: &Job) -> String {
    String::from_utf8(job.body.to_vec()).expect("a body is JSON in UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_cut_into_few_sizes() {
        for (count, expected) in
            [(0, vec![]), (1, vec![1]), (8, vec![8]), (10, vec![8, 1, 1]), (73, vec![64, 8, 1]), (128, vec![64, 64])]
        {
            let rows: Vec<usize> = (0..count).collect();
            assert_eq!(chunks(&rows).map(<[_]>::len).collect::<Vec<_>>(), expected);
            assert_eq!(chunks(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        }
    }
}
