//! Look-ups on PostgreSQL: many small reads of the same statement become one.
//!
//! A statement that finds one row costs PostgreSQL and its driver some 80 µs, of which the row is a few. So look-ups that
//! wait for the same statement at the same moment run as one, for a table of all their values: those of one text take
//! [`Turns`].

use std::sync::Arc;

use sea_orm::Value;
use tokio::sync::{Semaphore, oneshot};

use super::record::Record;
use super::sessions::Sessions;
use super::turns::{Turn, Turns};
use super::{Column, Dialect, Element, Error, Sql};

/// Look-ups in one statement.
const MOST: usize = 128;

/// Look-ups that may wait; more wait for a place.
const PLACES: usize = 4096;

/// What looks up. Cheap to clone.
#[derive(Clone)]
pub(super) struct LookUps {
    shared: Arc<Shared>,
}

struct Shared {
    sessions: Sessions,
    /// By the text of the statement.
    turns: Turns<Arc<str>, LookUp>,
    places: Semaphore,
}

struct LookUp {
    values: Vec<Value>,
    reply: oneshot::Sender<Result<Option<Record>, Error>>,
}

impl LookUps {
    pub(super) fn new(sessions: Sessions) -> Self {
        let shared = Shared { sessions, turns: Turns::default(), places: Semaphore::new(PLACES) };
        Self { shared: Arc::new(shared) }
    }

    /// Gives the row, if there is one.
    pub(super) async fn run(&self, sql: Sql) -> Result<Option<Record>, Error> {
        debug_assert!(sql.is_for_each());
        let gone = || Error::Unavailable("a look-up was dropped".to_owned());
        if !sql.has_values() {
            return Ok(self.shared.sessions.query(&sql).await?.into_iter().next());
        }
        let _place = self.shared.places.acquire().await.map_err(|_| gone())?;
        let (text, values) = sql.into_parts();
        let (reply, answer) = oneshot::channel();
        if let Some(turn) = self.shared.turns.enter(text.into(), LookUp { values, reply }) {
            // Whoever asked may go away; the others in its statement must not suffer from it.
            tokio::spawn(Arc::clone(&self.shared).go_through(turn));
        }
        answer.await.map_err(|_| gone())?
    }
}

impl Shared {
    async fn go_through(self: Arc<Self>, mut turn: Turn<Arc<str>, LookUp>) {
        loop {
            let batch = turn.next(MOST);
            if batch.is_empty() {
                return;
            }
            self.answer(turn.kind(), batch).await;
        }
    }

    async fn answer(&self, text: &str, mut batch: Vec<LookUp>) {
        // A request that has timed out while it waited must not cost the others anything.
        batch.retain(|look_up| !look_up.reply.is_closed());
        match self.rows(text, &batch).await {
            Ok(rows) => give(batch, rows),
            Err(error @ (Error::Unavailable(_) | Error::Conflict(_))) => refuse(batch, &error),
            Err(error) if batch.len() < 2 => refuse(batch, &error),
            // Values that one of them fails on are not the business of the others.
            Err(_) => {
                for look_up in batch {
                    let one = vec![look_up];
                    match self.rows(text, &one).await {
                        Ok(rows) => give(one, rows),
                        Err(error) => refuse(one, &error),
                    }
                }
            }
        }
    }

    /// The rows that there are, each with the index of its look-up.
    async fn rows(&self, text: &str, batch: &[LookUp]) -> Result<Vec<(usize, Record)>, Error> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.sessions.query(&statement(text, batch)?).await?;
        rows.into_iter()
            .map(|row| {
                let index = usize::try_from(row.last_int()? - 1);
                Ok((index.map_err(|_| Error::Corrupt("no such look-up".to_owned()))?, row))
            })
            .collect()
    }
}

fn give(batch: Vec<LookUp>, rows: Vec<(usize, Record)>) {
    let mut found: Vec<Option<Record>> = batch.iter().map(|_| None).collect();
    for (index, record) in rows {
        if let Some(place) = found.get_mut(index) {
            *place = Some(record);
        }
    }
    for (look_up, record) in batch.into_iter().zip(found) {
        let _ = look_up.reply.send(Ok(record));
    }
}

fn refuse(batch: Vec<LookUp>, error: &Error) {
    for look_up in batch {
        let _ = look_up.reply.send(Err(error.clone()));
    }
}

/// The statement for each row of a table of values, whose columns are arrays: its text does not depend on their number.
fn statement(text: &str, batch: &[LookUp]) -> Result<Sql, Error> {
    let mut sql = Sql::text(Dialect::Postgres, "SELECT found.*,v.place FROM unnest(");
    let columns = batch.first().map_or(0, |look_up| look_up.values.len());
    for column in 0..columns {
        let values = batch.iter().map(|look_up| &look_up.values[column]);
        let values = column_of(values, batch.len());
        let values = values.ok_or_else(|| Error::Other("a value of this type cannot be looked up by".to_owned()))?;
        sql.push(if column > 0 { "," } else { "" }).bind_column(values);
    }
    sql.push(") WITH ORDINALITY AS v(");
    for column in 1..=columns {
        sql.push("v").push(&column.to_string()).push(",");
    }
    sql.push("place) CROSS JOIN LATERAL (").push(text).push(") AS found");
    Ok(sql)
}

/// Values of one type, or nulls of it, as one array.
fn column_of<'v>(values: impl Iterator<Item = &'v Value> + Clone, count: usize) -> Option<Column> {
    let element = match values.clone().next()? {
        Value::Bool(_) => Element::Boolean,
        Value::BigInt(_) => Element::BigInt,
        Value::Double(_) => Element::Double,
        Value::String(_) => Element::Text,
        Value::Uuid(_) => Element::Uuid,
        _ => return None,
    };
    let mut column = Column::new(element, count);
    for value in values {
        match value {
            Value::Bool(Some(value)) => column.boolean(*value),
            Value::BigInt(Some(value)) => column.int(*value),
            Value::Double(Some(value)) => column.double(*value),
            Value::String(Some(value)) => column.text(value),
            Value::Uuid(Some(value)) => column.uuid(*value),
            _ => column.null(),
        }
    }
    Some(column)
}

#[cfg(test)]
mod tests {
    use super::super::sql::Parameter;
    use super::*;

    #[test]
    fn values_become_columns() {
        let look_up = |id: i64, text: &str| {
            let values = vec![Value::from(id), Value::from(text.to_owned())];
            LookUp { values, reply: oneshot::channel().0 }
        };
        let mut one = Sql::for_each(Dialect::Postgres);
        one.push("SELECT a FROM t WHERE b=").bind(1_i64).push(" AND c=").bind("x".to_owned());
        let (text, _) = one.into_parts();
        assert_eq!(text, "SELECT a FROM t WHERE b=v.v1 AND c=v.v2");
        let sql = statement(&text, &[look_up(1, "x"), look_up(-2, r#"a"b\,{NULL}"#)]).unwrap();
        assert_eq!(
            sql.as_str(),
            "SELECT found.*,v.place FROM unnest(CAST($1 AS bigint[]),CAST($2 AS text[])) WITH ORDINALITY AS v(v1,v2,place) \
             CROSS JOIN LATERAL (SELECT a FROM t WHERE b=v.v1 AND c=v.v2) AS found"
        );
        let (mut ids, mut texts) = (Column::new(Element::BigInt, 2), Column::new(Element::Text, 2));
        [1, -2].into_iter().for_each(|id| ids.int(id));
        ["x", r#"a"b\,{NULL}"#].into_iter().for_each(|text| texts.text(text));
        assert_eq!(sql.parameters(), [ids, texts].map(Parameter::Column));
    }
}
