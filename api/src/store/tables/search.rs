//! What `@search` needs in the database: where words are kept, see [`index`](crate::store::search::index), and how rows
//! that are already there get theirs.

use sea_orm::{ConnectionTrait, DbErr, Statement};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Dialect;
use super::ddl::{self, quoted};
use crate::catalog::Resource;
use crate::database::{self, Sql};
use crate::store::search::{Document, RULES, index};

/// Rows that are read and get their words at a time.
const ROWS_AT_A_TIME: i64 = 100;

/// How a table can be searched. What differs from what the planner remembers is made anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// The table that the place for words is called after.
    pub table: String,
    /// Names of the columns, in the order of the directive.
    pub columns: Vec<String>,
    /// By which rules texts become words.
    pub rules: u32,
}

/// The words of the rows that are there, still to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backfill {
    table: String,
    columns: Vec<String>,
}

impl Search {
    /// `None` for a resource without `@search`.
    pub fn of(resource: &Resource) -> Option<Self> {
        let columns: Vec<_> = resource.search.iter().map(|id| resource.field(*id).column.clone()).collect();
        (!columns.is_empty()).then(|| Self { table: resource.prefix.clone(), columns, rules: RULES })
    }

    pub fn backfill(&self, table: &str) -> Backfill {
        Backfill { table: table.to_owned(), columns: self.columns.clone() }
    }
}

/// The statements that make the place for words. On PostgreSQL without the index, which is quicker to make when the words
/// are there.
pub(super) fn create(table: &str, dialect: Dialect) -> Vec<String> {
    match dialect {
        Dialect::Sqlite => vec![
            format!(
                "CREATE TABLE {} (\n  \"number\" INTEGER NOT NULL PRIMARY KEY,\n  \"id\" BLOB NOT NULL UNIQUE\n) STRICT",
                quoted(&index::rows_name(table))
            ),
            format!(
                "CREATE VIRTUAL TABLE {} USING fts5(\"words\", content='', contentless_delete=1, tokenize='ascii')",
                quoted(&index::name(table))
            ),
        ],
        Dialect::Postgres => {
            vec![format!("ALTER TABLE {} ADD COLUMN {} tsvector", quoted(table), quoted(index::COLUMN))]
        }
    }
}

/// PostgreSQL only. New words wait in a list until there are enough to be sorted in together, which takes a good part of the
/// time that a row takes to be written. Every search reads that list to its end, so it is kept short.
pub(super) fn create_index(table: &str) -> String {
    let (name, table, column) = (quoted(&index::name(table)), quoted(table), quoted(index::COLUMN));
    format!("CREATE INDEX {name} ON {table} USING gin ({column}) WITH (fastupdate = on, gin_pending_list_limit = 256)")
}

/// The statements that call the place for words, which is called after one table, after another one.
pub(super) fn rename(old: &str, new: &str, dialect: Dialect) -> Vec<String> {
    match dialect {
        Dialect::Sqlite => {
            let names = [(index::name(old), index::name(new)), (index::rows_name(old), index::rows_name(new))];
            names.iter().map(|(old, new)| ddl::rename_table(old, new)).collect()
        }
        Dialect::Postgres => vec![ddl::rename_index(&index::name(old), &index::name(new))],
    }
}

/// The statements that drop a table's place for words, as far as it is there; it may be called after another table.
pub(super) fn drop(table: &str, called: &str, dialect: Dialect) -> Vec<String> {
    match dialect {
        Dialect::Sqlite => [index::name(called), index::rows_name(called)]
            .iter()
            .map(|name| format!("DROP TABLE IF EXISTS {}", quoted(name)))
            .collect(),
        Dialect::Postgres => {
            vec![format!("ALTER TABLE {} DROP COLUMN IF EXISTS {}", quoted(table), quoted(index::COLUMN))]
        }
    }
}

impl Backfill {
    /// Writes the words of all rows, a few rows at a time.
    pub async fn run(&self, conn: &impl ConnectionTrait, dialect: Dialect) -> Result<(), DbErr> {
        let dialect = match dialect {
            Dialect::Sqlite => database::Dialect::Sqlite,
            Dialect::Postgres => database::Dialect::Postgres,
        };
        let execute = async |sql: Sql| {
            let (text, values) = sql.into_parts();
            let statement = Statement::from_sql_and_values(conn.get_database_backend(), text, values);
            conn.query_all_raw(statement).await
        };
        let (mut after, mut number) = (None, 0);
        loop {
            let rows = execute(self.read(dialect, after)).await?;
            let mut documents = Vec::with_capacity(rows.len());
            for row in &rows {
                let texts: Vec<Option<String>> =
                    (1..=self.columns.len()).map(|i| row.try_get_by_index(i)).collect::<Result<_, _>>()?;
                documents.push((row.try_get_by_index(0)?, Document::new(texts.iter().flatten().map(String::as_str))));
            }
            let Some((last, _)) = documents.last() else { return Ok(()) };
            after = Some(*last);
            let count = documents.len() as i64;
            for sql in self.write(dialect, number, documents) {
                execute(sql).await?;
            }
            number += count;
        }
    }

    /// The rows after one, by id: the id and the texts.
    fn read(&self, dialect: database::Dialect, after: Option<Uuid>) -> Sql {
        let mut sql = Sql::text(dialect, "SELECT \"id\"");
        for column in &self.columns {
            sql.push(",").ident(column);
        }
        sql.push(" FROM ").ident(&self.table);
        if let Some(after) = after {
            sql.push(" WHERE \"id\">").bind(after);
        }
        sql.push(" ORDER BY \"id\" LIMIT ").bind(ROWS_AT_A_TIME);
        sql
    }

    /// On SQLite rows get numbers from `number` + 1 on.
    fn write(&self, dialect: database::Dialect, number: i64, documents: Vec<(Uuid, Document)>) -> Vec<Sql> {
        match dialect {
            database::Dialect::Sqlite => {
                let mut rows = Sql::text(dialect, "INSERT INTO ");
                rows.ident(&index::rows_name(&self.table)).push(" (\"number\",\"id\") VALUES ");
                let mut words = Sql::text(dialect, "INSERT INTO ");
                words.ident(&index::name(&self.table)).push(" (rowid,\"words\") VALUES ");
                rows.list(",", (number + 1..).zip(&documents), |sql, (number, (id, _))| {
                    sql.push("(").bind(number).push(",").bind(*id).push(")");
                });
                words.list(",", (number + 1..).zip(documents), |sql, (number, (_, document))| {
                    sql.push("(").bind(number).push(",").bind(document.into_sqlite()).push(")");
                });
                vec![rows, words]
            }
            database::Dialect::Postgres => {
                let rows: Value = documents
                    .iter()
                    .map(|(id, document)| json!({"id": id.hyphenated().to_string(), "words": document.to_postgres()}))
                    .collect();
                let mut sql = Sql::text(dialect, "UPDATE ");
                sql.ident(&self.table)
                    .push(" AS t SET ")
                    .ident(index::COLUMN)
                    .push("=r.words FROM json_to_recordset(CAST(");
                sql.bind(rows.to_string()).push(" AS json)) AS r(id uuid, words tsvector) WHERE t.\"id\"=r.id");
                vec![sql]
            }
        }
    }
}
