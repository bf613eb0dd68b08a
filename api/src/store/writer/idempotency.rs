//! Idempotency keys: a mutation that is sent again with its key is not run again, but answered as it was the first time.
//!
//! A batch *claims* its keys before it does anything else, in one statement, and *settles* them as the last thing before
//! the commit, in one more. A claim is the record without its outcome: another node that uses the same key waits for the
//! transaction that made it, and then finds it settled, or gone if the mutation was refused. All claims of a batch are
//! made before it locks anything else and in one order, so that nodes do not wait for each other in a circle.
//!
//! A record holds no rows: it says which events of the log the mutation made, and these say what the payload was. Of keys
//! and inputs it holds hashes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use entity::Position;
use serde_json::{Map, Value, json};

use super::violation::{Code, Violation};
use super::{Error as WriterError, Writer};
use crate::auth::Principal;
use crate::catalog::datum::now_micros;
use crate::database::{Database, Dialect, Error, Sql, Transaction};

/// How long a key is remembered.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest key, in bytes.
pub const MAX_KEY_LENGTH: usize = 255;

/// Fields of an input that do not make it another one.
const NOT_COMPARED: [&str; 2] = ["idempotencyKey", "clientMutationId"];

/// Records that one piece of work removes, so that no mutation waits for many of them.
const CLEANED_AT_ONCE: u64 = 500;

/// A key that a caller gave to a mutation, and the input that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    id: String,
    input: String,
}

impl Key {
    /// The key of this caller: of everybody with the same `sub`, and of all callers without one. `mutation` is the root
    /// field; of the input counts what it says, not in which order.
    pub fn new(principal: &Principal, key: &str, mutation: &str, input: &Map<String, Value>) -> Self {
        let mut id = digest::Context::new(&digest::SHA256);
        match &principal.sub {
            // No text has the byte 0xFF.
            Some(sub) => {
                id.update(sub.as_bytes());
                id.update(&[0xFF]);
            }
            None => id.update(&[0xFF, 0xFF]),
        }
        id.update(key.as_bytes());
        let compared = input.iter().filter(|(name, _)| !NOT_COMPARED.contains(&name.as_str()));
        let mut text = mutation.as_bytes().to_vec();
        write_object(&mut text, compared);
        Self { id: BASE64.encode(id.finish()), input: BASE64.encode(digest::digest(&digest::SHA256, &text)) }
    }
}

/// Writes JSON with the keys of objects in order.
fn write_canonical(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(object) => write_object(out, object.iter()),
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                write_canonical(out, item);
                out.push(b',');
            }
            out.push(b']');
        }
        leaf => out.extend_from_slice(leaf.to_string().as_bytes()),
    }
}

fn write_object<'v>(out: &mut Vec<u8>, fields: impl Iterator<Item = (&'v String, &'v Value)>) {
    let sorted: BTreeMap<_, _> = fields.collect();
    out.push(b'{');
    for (name, value) in sorted {
        out.extend_from_slice(Value::from(name.as_str()).to_string().as_bytes());
        out.push(b':');
        write_canonical(out, value);
        out.push(b',');
    }
    out.push(b'}');
}

/// What is known of a mutation that was committed before.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// The position before its first event.
    pub before: Position,
    /// How many events it made.
    pub count: u32,
    /// As in [`super::Outcome::Done`].
    pub subjects: Vec<Option<usize>>,
    /// As in [`super::Outcome::Done`].
    pub violations: Vec<Violation>,
}

/// The outcome that a record holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kept {
    /// That of a mutation of resources.
    Events(Receipt),
    /// What [`Writer::row`] gave.
    Row(String),
}

impl Kept {
    fn to_json(&self) -> String {
        match self {
            Self::Row(text) => json!({"row": text}),
            Self::Events(receipt) => {
                let violation = |v: &Violation| json!({"code": v.code.name(), "message": v.message, "path": v.path});
                json!({
                    "before": receipt.before.get(),
                    "count": receipt.count,
                    "subjects": receipt.subjects,
                    "violations": receipt.violations.iter().map(violation).collect::<Vec<_>>(),
                })
            }
        }
        .to_string()
    }

    fn from_json(text: &str) -> Option<Self> {
        let mut value: Value = serde_json::from_str(text).ok()?;
        if let Some(row) = value.get("row") {
            return Some(Self::Row(row.as_str()?.to_owned()));
        }
        let violation = |value: &Value| {
            Some(Violation {
                code: Code::from_name(value.get("code")?.as_str()?)?,
                message: value.get("message")?.as_str()?.to_owned(),
                path: serde_json::from_value(value.get("path")?.clone()).ok()?,
            })
        };
        Some(Self::Events(Receipt {
            before: Position::new(value.get("before")?.as_i64()?).ok()?,
            count: value.get("count")?.as_u64()?.try_into().ok()?,
            subjects: serde_json::from_value(value.get_mut("subjects")?.take()).ok()?,
            violations: value.get("violations")?.as_array()?.iter().map(violation).collect::<Option<_>>()?,
        }))
    }
}

/// What to do with a piece of work that has a key.
pub(super) enum Use {
    /// To run it.
    Run,
    /// To answer what was answered before.
    Replay(Kept),
    /// To answer what that piece of work of this batch is answered.
    Same(usize),
    /// To refuse it: the key belongs to another input.
    Reused,
}

/// The keys of a batch.
#[derive(Default)]
pub(super) struct Keys(HashMap<String, Known>);

enum Known {
    /// Nobody has used it.
    Claimed,
    /// It was used before this batch.
    Recorded { input: String, outcome: Kept },
    /// A piece of work of this batch has used it.
    Used { input: String, job: usize },
}

impl Keys {
    /// Claims the keys, and reads the records of those that were used before. Waits for other nodes that are using them.
    /// Without keys there is nothing to do.
    pub(super) async fn claim<'k>(
        transaction: &Transaction<'_>,
        keys: impl Iterator<Item = &'k Key>,
        now: i64,
    ) -> Result<Self, Error> {
        let wanted: BTreeMap<&str, &Key> = keys.map(|key| (key.id.as_str(), key)).collect();
        if wanted.is_empty() {
            return Ok(Self::default());
        }
        let mut known = HashMap::with_capacity(wanted.len());
        for record in transaction.query(claim_statement(transaction.dialect(), &wanted, now)).await? {
            known.insert(record.need_text(0)?, Known::Claimed);
        }
        let ids = wanted.keys().filter(|id| !known.contains_key(**id)).copied().collect::<Vec<_>>();
        if !ids.is_empty() {
            for record in transaction.query(find_statement(transaction.dialect(), &ids)).await? {
                let (id, input, outcome) = read(&record)?;
                known.insert(id, Known::Recorded { input, outcome });
            }
        }
        if known.len() < wanted.len() {
            return Err(Error::Conflict("the record of an idempotency key has just been removed".to_owned()));
        }
        Ok(Self(known))
    }

    /// What to do with a piece of work.
    pub(super) fn look(&self, key: Option<&Key>) -> Use {
        let Some((key, known)) = key.and_then(|key| Some((key, self.0.get(&key.id)?))) else { return Use::Run };
        match known {
            Known::Claimed => Use::Run,
            Known::Recorded { input, .. } | Known::Used { input, .. } if *input != key.input => Use::Reused,
            Known::Recorded { outcome, .. } => Use::Replay(outcome.clone()),
            Known::Used { job, .. } => Use::Same(*job),
        }
    }

    /// Says that a piece of work is done, and its key with it.
    pub(super) fn used(&mut self, key: Option<&Key>, job: usize) {
        if let Some(key) = key {
            self.0.insert(key.id.clone(), Known::Used { input: key.input.clone(), job });
        }
    }

    /// Whether there is nothing to settle.
    pub(super) fn are_settled(&self) -> bool {
        self.0.values().all(|known| matches!(known, Known::Recorded { .. }))
    }

    /// Writes down what became of the keys that were used, and gives up the others. To be done last, when the positions
    /// of the events are known.
    pub(super) async fn settle(
        self,
        transaction: &Transaction<'_>,
        outcome: impl Fn(usize) -> Kept,
    ) -> Result<(), Error> {
        let (mut used, mut given_up) = (Vec::new(), BTreeSet::new());
        for (id, known) in self.0 {
            match known {
                Known::Used { input, job } => {
                    used.push(json!({"id": id, "input": input, "outcome": outcome(job).to_json()}));
                }
                Known::Claimed => {
                    given_up.insert(id);
                }
                Known::Recorded { .. } => {}
            }
        }
        if !used.is_empty() {
            transaction.query(settle_statement(transaction.dialect(), used)).await?;
        }
        if !given_up.is_empty() {
            let ids: Vec<&str> = given_up.iter().map(String::as_str).collect();
            let mut sql = Sql::text(transaction.dialect(), "DELETE FROM tandem_idempotency WHERE id");
            push_in_texts(&mut sql, &ids);
            transaction.query(sql).await?;
        }
        Ok(())
    }
}

/// Inserts a record for each key, or takes one that is too old. Gives the ids of those.
fn claim_statement(dialect: Dialect, wanted: &BTreeMap<&str, &Key>, now: i64) -> Sql {
    let records: Vec<Value> = wanted.iter().map(|(id, key)| json!({"id": id, "input": key.input})).collect();
    let mut sql = Sql::text(dialect, "INSERT INTO tandem_idempotency AS t (id, input, created_at) SELECT ");
    match dialect {
        Dialect::Sqlite => sql.push("json_extract(r.value, '$.id'), json_extract(r.value, '$.input'), "),
        Dialect::Postgres => sql.push("r.id, r.input, "),
    };
    sql.bind(now).push(" FROM ");
    push_records(&mut sql, records, "id text, input text");
    // SQLite takes ON for that of a join, without the WHERE. In one order, so that two nodes do not wait for each other.
    sql.push(" WHERE true ORDER BY 1 ON CONFLICT (id) DO UPDATE SET input = excluded.input, outcome = NULL, ");
    sql.push("created_at = excluded.created_at WHERE t.created_at < ").bind(oldest(now)).push(" RETURNING id");
    sql
}

fn find_statement(dialect: Dialect, ids: &[&str]) -> Sql {
    let mut sql = Sql::text(dialect, "SELECT id, input, outcome FROM tandem_idempotency WHERE id");
    push_in_texts(&mut sql, ids);
    sql
}

/// The input is written too: a claim may have been made for one that was refused, and another one was done instead.
fn settle_statement(dialect: Dialect, used: Vec<Value>) -> Sql {
    let mut sql = Sql::text(dialect, "UPDATE tandem_idempotency AS t SET ");
    match dialect {
        Dialect::Sqlite => {
            sql.push("input = json_extract(r.value, '$.input'), outcome = json_extract(r.value, '$.outcome') FROM ");
        }
        Dialect::Postgres => {
            sql.push("input = r.input, outcome = r.outcome FROM ");
        }
    }
    push_records(&mut sql, used, "id text, input text, outcome text");
    sql.push(match dialect {
        Dialect::Sqlite => " WHERE t.id = json_extract(r.value, '$.id')",
        Dialect::Postgres => " WHERE t.id = r.id",
    });
    sql
}

/// Adds a record set `r`, bound as one value; on SQLite its column `value` is the record.
fn push_records(sql: &mut Sql, records: Vec<Value>, columns: &str) {
    let document = Value::Array(records).to_string();
    match sql.dialect() {
        Dialect::Sqlite => sql.push("json_each(").bind(document).push(") AS r"),
        Dialect::Postgres => {
            sql.push("json_to_recordset(CAST(").bind(document).push(" AS json)) AS r(").push(columns).push(")")
        }
    };
}

fn push_in_texts(sql: &mut Sql, texts: &[&str]) {
    let document = Value::from(texts).to_string();
    match sql.dialect() {
        Dialect::Sqlite => sql.push(" IN (SELECT value FROM json_each(").bind(document).push("))"),
        Dialect::Postgres => {
            sql.push(" = ANY(ARRAY(SELECT json_array_elements_text(CAST(").bind(document).push(" AS json))))")
        }
    };
}

fn read(record: &crate::database::Record) -> Result<(String, String, Kept), Error> {
    let corrupt = || Error::Corrupt("the outcome of an idempotency key cannot be read".to_owned());
    let outcome = record.text(2)?.as_deref().and_then(Kept::from_json).ok_or_else(corrupt)?;
    Ok((record.need_text(0)?, record.need_text(1)?, outcome))
}

/// What was written before this is forgotten.
fn oldest(now: i64) -> i64 {
    now - i64::try_from(KEPT.as_micros()).expect("a day fits")
}

/// What a key was used for, if it was: the row that [`Writer::row`] gave, or `Err` if it belongs to something else.
pub async fn find_row(database: &Database, key: &Key) -> Result<Option<Result<String, KeyReused>>, Error> {
    let mut sql = find_statement(database.dialect(), &[&key.id]);
    sql.push(" AND created_at >= ").bind(oldest(now_micros()));
    let records = database.query(sql).await?;
    let Some(record) = records.first() else { return Ok(None) };
    let (_, input, outcome) = read(record)?;
    Ok(Some(match outcome {
        Kept::Row(row) if input == key.input => Ok(row),
        Kept::Row(_) | Kept::Events(_) => Err(KeyReused),
    }))
}

/// A key that belongs to another input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key was used with another input")]
pub struct KeyReused;

impl KeyReused {
    /// What the client is told.
    pub fn violation(self) -> Violation {
        let message = "This key was used for another mutation or another input. Give each mutation a key of its own.";
        Violation::named(&["idempotencyKey"], Code::IdempotencyKeyReused, message)
    }
}

/// Removes records that are too old, a few at a time.
///
/// # Errors
/// If the database cannot be written. What was removed before stays removed.
pub async fn clean_once(database: &Database, writer: &Writer, now: i64) -> Result<(), WriterError> {
    loop {
        let mut sql = Sql::text(
            database.dialect(),
            "DELETE FROM tandem_idempotency WHERE id IN (SELECT id FROM tandem_idempotency WHERE created_at < ",
        );
        sql.bind(oldest(now)).push(" ORDER BY created_at LIMIT ").bind(CLEANED_AT_ONCE as i64);
        // Other nodes clean as well.
        sql.push(if database.dialect() == Dialect::Postgres { " FOR UPDATE SKIP LOCKED)" } else { ")" });
        let removed = writer.statements(vec![sql]).await?.first().copied().unwrap_or(0);
        if removed < CLEANED_AT_ONCE {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
