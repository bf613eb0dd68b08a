//! The statements of one commit, for several webhooks at once.
//!
//! However many webhooks and outcomes there are, there is a statement for each kind of row; on SQLite, for each
//! [`CHUNK_SIZES`] of rows. Each row that is written is joined to its webhook's row as this process holds it, so a batch
//! whose lease is lost writes nothing, whatever the others do.

use sea_orm::ActiveEnum;
use uuid::Uuid;

use super::{Batch, Job, Lease, Outcome, push_disable};
use crate::database::Element::{BigInt, Text, Uuid as Id};
use crate::database::{Cell, Dialect, Element, Sql};
use crate::webhook::order::Release;
use crate::webhook::outcome::Verdict;
use crate::webhook::send::Attempt;

/// One webhook's part of a commit.
pub(super) type Entry<'a> = (&'a Lease, &'a Batch);

/// The statements, and how many of the first ones move positions: these affect a row for each lease that is held. On
/// PostgreSQL they also lock the webhooks' rows, so that no lease can be lost before the commit.
pub(super) fn statements(dialect: Dialect, entries: &[Entry<'_>], now: i64) -> (Vec<Sql>, usize) {
    let Some(holder) = entries.first().map(|(lease, _)| lease.holder) else { return (Vec::new(), 0) };
    let writing = Writing { dialect, holder, now };
    let mut statements: Vec<_> = writing.chunks(entries).map(|some| writing.advance(some)).collect();
    let positions = statements.len();
    for (lease, batch) in entries {
        if let Some(reason) = &batch.disable {
            let mut disable = Sql::new(dialect);
            push_disable(&mut disable, reason);
            // What the owner has decided in the meantime stays.
            disable.push(" WHERE status = 'ENABLED' AND ");
            lease.push_held(&mut disable);
            statements.push(disable);
        }
    }
    let rows: Vec<_> = entries.iter().flat_map(|(lease, batch)| rows(lease, batch)).collect();
    let (recorded, new): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.outcome.job.is_recorded);
    statements.extend(writing.chunks(&new).map(|some| writing.insert_deliveries(some)));
    let (first, again): (Vec<_>, Vec<_>) = recorded.into_iter().partition(Row::is_first_attempt);
    statements.extend(writing.chunks(&first).map(|some| writing.update_deliveries(some, FirstAttempt::Set)));
    statements.extend(writing.chunks(&again).map(|some| writing.update_deliveries(some, FirstAttempt::Keep)));
    let attempts: Vec<_> = again.iter().filter_map(|row| Some((row, row.attempt()?))).collect();
    statements.extend(writing.chunks(&attempts).map(|some| writing.insert_attempts(some)));
    for (lease, batch) in entries {
        statements.extend(batch.released.iter().map(|release| writing.release(lease, batch, *release)));
    }
    (statements, positions)
}

/// An outcome that is to be recorded.
struct Row<'a> {
    lease: &'a Lease,
    outcome: &'a Outcome,
    /// How many attempts of the webhook come after it in the commit.
    later: i64,
}

impl<'a> Row<'a> {
    fn attempt(&self) -> Option<&'a Attempt> {
        self.outcome.attempt.as_deref()
    }

    fn is_first_attempt(&self) -> bool {
        self.outcome.job.number == 1 && self.outcome.attempt.is_some()
    }
}

/// What happens to the attempt that stands in a delivery's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstAttempt {
    Keep,
    /// The row was made before anything was sent: by a replay, or behind another row.
    Set,
}

fn rows<'a>(lease: &'a Lease, batch: &'a Batch) -> impl Iterator<Item = Row<'a>> {
    let mut later = attempts(batch).count() as i64;
    batch.outcomes.iter().map(move |outcome| {
        later -= i64::from(outcome.attempt.is_some());
        Row { lease, outcome, later }
    })
}

/// What was sent of a batch.
fn attempts(batch: &Batch) -> impl Iterator<Item = &Attempt> {
    batch.outcomes.iter().filter_map(|outcome| outcome.attempt.as_deref())
}

/// Rows of one statement of SQLite. A few sizes only, so that a few prepared statements serve every commit.
const CHUNK_SIZES: [usize; 3] = [64, 8, 1];

struct Writing {
    dialect: Dialect,
    holder: Uuid,
    now: i64,
}

impl Writing {
    /// What goes into one statement each.
    fn chunks<'t, T>(&self, mut rest: &'t [T]) -> impl Iterator<Item = &'t [T]> + use<'t, T> {
        let sizes = match self.dialect {
            Dialect::Sqlite => CHUNK_SIZES.to_vec(),
            Dialect::Postgres => vec![rest.len()],
        };
        std::iter::from_fn(move || {
            let size = sizes.iter().copied().find(|size| *size > 0 && *size <= rest.len())?;
            let (some, others) = rest.split_at(size);
            rest = others;
            Some(some)
        })
    }

    /// Adds ` FROM (…) AS v`, a table of what `row` gives for each item.
    fn push_values<'a, T, const N: usize>(
        &self,
        sql: &mut Sql,
        elements: [Element; N],
        rows: &'a [T],
        row: impl Fn(&'a T) -> [Cell<'a>; N],
    ) {
        sql.push(" FROM ");
        sql.push_table(elements, rows.iter().map(row));
    }

    /// Adds the condition that the webhook `w` is held still, with its fence in this column of the values.
    fn push_fence(&self, sql: &mut Sql, fence: &str) {
        sql.push(" AND w.lease_fence = v.").push(fence).push(" AND w.lease_holder = ").bind(self.holder);
    }

    fn advance(&self, entries: &[Entry<'_>]) -> Sql {
        let mut sql = Sql::new(self.dialect);
        sql.push("UPDATE tandem_webhook AS w SET position = v.column3, sequence = v.column4, ");
        sql.push("first_failure_at = v.column5, failures = v.column6, attempts = w.attempts + v.column7, ");
        sql.push("last_success_at = COALESCE(v.column8, w.last_success_at), ");
        sql.push("last_failure_at = COALESCE(v.column9, w.last_failure_at), ");
        sql.push("last_error_code = CASE WHEN v.column9 IS NULL THEN w.last_error_code ELSE v.column10 END, ");
        sql.push("last_error_message = CASE WHEN v.column9 IS NULL THEN w.last_error_message ELSE v.column11 END, ");
        sql.push("warned_at = CASE WHEN v.column6 = 0 THEN NULL WHEN v.column12 = 1 THEN COALESCE(w.warned_at, ");
        sql.bind(self.now).push(") ELSE w.warned_at END");
        let elements = [Id, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, Text, Text, BigInt];
        self.push_values(&mut sql, elements, entries, |(lease, batch)| {
            let latest = |is_success| attempts(batch).filter(move |a| a.is_success() == is_success);
            let failure = latest(false).max_by_key(|attempt| attempt.ended_at());
            let error = failure.and_then(|attempt| attempt.error.as_ref());
            [
                lease.webhook.get().into(),
                lease.fence.into(),
                batch.progress.position.get().into(),
                batch.progress.sequence.into(),
                batch.health.first_failure_at.into(),
                i64::from(batch.health.failures).into(),
                (attempts(batch).count() as i64).into(),
                latest(true).map(Attempt::ended_at).max().into(),
                failure.map(Attempt::ended_at).into(),
                error.map(|error| error.code.name()).into(),
                error.map(|error| error.message.as_str()).into(),
                i64::from(batch.health.is_at_risk(self.now)).into(),
            ]
        });
        sql.push(" WHERE w.id = v.column1");
        self.push_fence(&mut sql, "column2");
        sql
    }

    /// The attempt that a row is made with stands in it. The condition of the conflict is that the same commit was made
    /// already, and only its answer was lost.
    fn insert_deliveries(&self, new: &[Row<'_>]) -> Sql {
        let mut sql = Sql::new(self.dialect);
        sql.push("INSERT INTO tandem_delivery (id, webhook_id, position, message_id, type, sequence, status, ");
        sql.push("next_attempt_at, attempts, body, order_key, batch_id, created_at, updated_at, first_started_at, ");
        sql.push("first_duration_ms, first_status_code, first_address, first_error_code, first_error_message, ");
        sql.push("first_response_body, first_ordinal) ");
        sql.push("SELECT v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, ");
        sql.push("v.column9, v.column10, v.column11, v.column12, v.column13, v.column13, v.column14, v.column15, ");
        sql.push("v.column16, v.column17, v.column18, v.column19, v.column20, w.attempts - v.column21");
        let elements = [
            Id, Id, BigInt, Id, Text, BigInt, Text, BigInt, BigInt, Text, Id, Id, BigInt, BigInt, BigInt, BigInt, Text,
            Text, Text, Text, BigInt, BigInt,
        ];
        self.push_values(&mut sql, elements, new, |row| {
            let (job, state, attempt) = (&row.outcome.job, State::of(row.outcome), row.attempt());
            let [started_at, duration_ms, status_code, address, error_code, error_message, answer] = cells(attempt);
            [
                job.delivery.get().into(),
                row.lease.webhook.get().into(),
                job.position.get().into(),
                job.message.get().into(),
                (&*job.event).into(),
                job.sequence.into(),
                state.status.into(),
                state.next_attempt_at.into(),
                state.attempts.into(),
                state.body.into(),
                job.node.into(),
                job.batch.into(),
                self.now.into(),
                started_at,
                duration_ms,
                status_code,
                address,
                error_code,
                error_message,
                answer,
                attempt.map(|_| row.later).into(),
                row.lease.fence.into(),
            ]
        });
        sql.push(", tandem_webhook AS w WHERE w.id = v.column2");
        self.push_fence(&mut sql, "column22");
        sql.push(" ON CONFLICT DO NOTHING");
        sql
    }

    fn update_deliveries(&self, recorded: &[Row<'_>], first: FirstAttempt) -> Sql {
        let mut sql = Sql::new(self.dialect);
        sql.push("UPDATE tandem_delivery AS d SET status = v.column2, next_attempt_at = v.column3, ");
        sql.push("attempts = v.column4, body = CASE WHEN v.column5 = 1 THEN d.body END, batch_id = v.column6, ");
        sql.push("updated_at = ").bind(self.now);
        if first == FirstAttempt::Set {
            // One that is there was set by the same commit, of which only the answer was lost.
            for (column, value) in [
                ("started_at", "v.column8"),
                ("duration_ms", "v.column9"),
                ("status_code", "v.column10"),
                ("address", "v.column11"),
                ("error_code", "v.column12"),
                ("error_message", "v.column13"),
                ("response_body", "v.column14"),
                ("ordinal", "w.attempts - v.column15"),
            ] {
                sql.push(", first_").push(column).push(" = COALESCE(d.first_").push(column);
                sql.push(", ").push(value).push(")");
            }
        }
        fn state<'r>(row: &'r Row<'_>) -> [Cell<'r>; 7] {
            let state = State::of(row.outcome);
            [
                row.outcome.job.delivery.get().into(),
                state.status.into(),
                state.next_attempt_at.into(),
                state.attempts.into(),
                i64::from(state.body.is_some()).into(),
                row.outcome.job.batch.into(),
                row.lease.fence.into(),
            ]
        }
        let of_state = [Id, Text, BigInt, BigInt, BigInt, Id, BigInt];
        match first {
            FirstAttempt::Keep => self.push_values(&mut sql, of_state, recorded, state),
            FirstAttempt::Set => {
                let [a, b, c, d, e, f, g] = of_state;
                let elements = [a, b, c, d, e, f, g, BigInt, BigInt, BigInt, Text, Text, Text, Text, BigInt];
                self.push_values(&mut sql, elements, recorded, |row| {
                    let ([a, b, c, d, e, f, g], [h, i, j, k, l, m, n]) = (state(row), cells(row.attempt()));
                    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, row.later.into()]
                });
            }
        }
        sql.push(", tandem_webhook AS w WHERE d.id = v.column1 AND w.id = d.webhook_id");
        self.push_fence(&mut sql, "column7");
        sql
    }

    /// The webhook's row, which is locked, has counted them already: so their ordinals are in the order of the commits.
    fn insert_attempts(&self, attempts: &[(&Row<'_>, &Attempt)]) -> Sql {
        let mut sql = Sql::new(self.dialect);
        sql.push("INSERT INTO tandem_attempt (delivery_id, number, started_at, duration_ms, status_code, address, ");
        sql.push("error_code, error_message, response_body, webhook_id, ordinal) SELECT v.column1, v.column2, ");
        sql.push("v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, v.column9, w.id, ");
        sql.push("w.attempts - v.column12");
        let elements = [Id, BigInt, BigInt, BigInt, BigInt, Text, Text, Text, Text, Id, BigInt, BigInt];
        self.push_values(&mut sql, elements, attempts, |(row, attempt)| {
            let [started_at, duration_ms, status_code, address, error_code, error_message, answer] =
                cells(Some(attempt));
            [
                row.outcome.job.delivery.get().into(),
                i64::from(row.outcome.job.number).into(),
                started_at,
                duration_ms,
                status_code,
                address,
                error_code,
                error_message,
                answer,
                row.lease.webhook.get().into(),
                row.lease.fence.into(),
                row.later.into(),
            ]
        });
        sql.push(", tandem_webhook AS w WHERE w.id = v.column10");
        self.push_fence(&mut sql, "column11");
        sql.push(" ON CONFLICT DO NOTHING");
        sql
    }

    /// Makes the first pending row due, if it waits. It stands after the statements that end what it waits for.
    fn release(&self, lease: &Lease, batch: &Batch, release: Release) -> Sql {
        let mut sql = Sql::new(self.dialect);
        sql.push("UPDATE tandem_delivery SET next_attempt_at = ").bind(batch.released_at);
        sql.push(
            " WHERE next_attempt_at IS NULL AND id = (SELECT d.id FROM tandem_delivery AS d WHERE d.webhook_id = ",
        );
        sql.bind(lease.webhook.get()).push(" AND d.status = 'PENDING' AND d.order_key ");
        match release {
            Release::OfNode(node) => sql.push("= ").bind(node),
            Release::OfWebhook => sql.push("IS NOT NULL"),
        };
        sql.push(" ORDER BY d.position LIMIT 1) AND EXISTS (SELECT 1 FROM tandem_webhook WHERE ");
        lease.push_held(&mut sql);
        sql.push(")");
        sql
    }
}

/// What is kept of an attempt: when it began, how long it took, status and address, code and text of its error, the answer.
/// All null without one.
fn cells(attempt: Option<&Attempt>) -> [Cell<'_>; 7] {
    let error = attempt.and_then(|attempt| attempt.error.as_ref());
    [
        attempt.map(|attempt| attempt.started_at).into(),
        attempt.map(|attempt| i64::from(attempt.duration_ms.min(i32::MAX as u32))).into(),
        attempt.and_then(|attempt| attempt.status_code).map(i64::from).into(),
        attempt.and_then(|attempt| attempt.address.as_deref()).into(),
        error.map(|error| error.code.name()).into(),
        error.map(|error| error.message.as_str()).into(),
        attempt.and_then(|attempt| attempt.response_body.as_deref()).into(),
    ]
}

/// The columns of a delivery that follow from its last attempt.
struct State<'a> {
    status: String,
    next_attempt_at: Option<i64>,
    attempts: i64,
    body: Option<&'a str>,
}

impl<'a> State<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        use entity::delivery::Status;
        let (status, next_attempt_at) = match outcome.verdict {
            Verdict::Succeeded => (Status::Succeeded, None),
            Verdict::Pending { next_attempt_at } => (Status::Pending, Some(next_attempt_at)),
            Verdict::Held => (Status::Pending, None),
            Verdict::Failed => (Status::Failed, None),
        };
        let body = outcome.keeps_body().then(|| body_text(&outcome.job));
        let attempts = outcome.attempt.as_ref().map_or(0, |_| i64::from(outcome.job.number));
        Self { status: status.to_value(), next_attempt_at, attempts, body }
    }
}

fn body_text(job: &Job) -> &str {
    str::from_utf8(&job.body).expect("a body is JSON in UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_have_few_sizes() {
        let writing = |dialect| Writing { dialect, holder: Uuid::nil(), now: 0 };
        for (count, of_sqlite) in
            [(0, vec![]), (1, vec![1]), (8, vec![8]), (10, vec![8, 1, 1]), (73, vec![64, 8, 1]), (128, vec![64, 64])]
        {
            let rows: Vec<usize> = (0..count).collect();
            let of_postgres = if count == 0 { vec![] } else { vec![count] };
            for (dialect, expected) in [(Dialect::Sqlite, of_sqlite), (Dialect::Postgres, of_postgres)] {
                let chunks: Vec<_> = writing(dialect).chunks(&rows).collect();
                assert_eq!(chunks.iter().map(|chunk| chunk.len()).collect::<Vec<_>>(), expected);
                assert_eq!(chunks.concat(), rows);
            }
        }
    }
}
