//! Where the words of a resource's rows are kept, and the statements that keep them in step with the rows.
//!
//! PostgreSQL: a column of the table, written by the statement that writes the row, and an index on it. SQLite: a table
//! of FTS5, which knows rows by number, and one that says whose number it is; SQLite's own numbers of rows may change
//! when a file is compacted. FTS5 keeps the index alone, not the words.
//!
//! Names: a column of a field has no two underscores in a row, and no table or key of a resource begins with `tandem_`.
//! What FTS5 calls its own tables (`…_data`, `…_idx`) cannot be the name of another resource's, since that ends
//! otherwise.

use uuid::Uuid;

use super::Document;
use crate::database::{Dialect, Sql};

/// PostgreSQL: the column that holds the words.
pub(in crate::store) const COLUMN: &str = "tandem__search";

/// PostgreSQL: the name of the index. SQLite: the table of FTS5.
pub(in crate::store) fn name(table: &str) -> String {
    format!("tandem_{table}__search")
}

/// The table that something with the name of [`name`] is called after.
pub(in crate::store) fn table_of(name: &str) -> Option<&str> {
    name.strip_prefix("tandem_")?.strip_suffix("__search")
}

/// SQLite: the table that says which row has which number.
pub(in crate::store) fn rows_name(table: &str) -> String {
    format!("tandem_{table}__search_row")
}

/// Adds ` IN (…)`, the ids of the rows that match.
///
/// They are found before anything else is looked at, which takes the time that the number of matches takes. PostgreSQL
/// could also go through the rows in the order that is asked for, until there are enough; but it does not know how often
/// a word stands, and would go through the whole table for one that is rare. For the same reason it is not shown the
/// query before it plans.
pub(super) fn push_in_found(sql: &mut Sql, table: &str, query: String) {
    match sql.dialect() {
        Dialect::Sqlite => {
            let (words, rows) = (name(table), rows_name(table));
            sql.push(" IN (SELECT r.\"id\" FROM ").ident(&words).push(" AS w JOIN ").ident(&rows);
            sql.push(" AS r ON r.\"number\"=w.rowid WHERE ").column("w", &words).push(" MATCH ").bind(query).push(")");
        }
        Dialect::Postgres => {
            sql.push("=ANY(ARRAY(SELECT w.\"id\" FROM ").ident(table).push(" AS w WHERE ").column("w", COLUMN);
            sql.push(" @@ (SELECT CAST(").bind(query).push(" AS tsquery))))");
        }
    }
}

/// SQLite: the statements for a new row, to be run one right after the other.
pub(in crate::store) fn insert(table: &str, id: Uuid, document: Document) -> [Sql; 2] {
    let mut number = Sql::text(Dialect::Sqlite, "INSERT INTO ");
    number.ident(&rows_name(table)).push(" (\"id\") VALUES (").bind(id).push(")");
    let mut words = Sql::text(Dialect::Sqlite, "INSERT INTO ");
    words.ident(&name(table)).push(" (rowid,\"words\") VALUES (last_insert_rowid(),");
    words.bind(document.into_sqlite()).push(")");
    [number, words]
}

/// SQLite: the statement for a row whose words have changed.
pub(in crate::store) fn update(table: &str, id: Uuid, document: Document) -> Sql {
    let mut sql = Sql::text(Dialect::Sqlite, "UPDATE ");
    sql.ident(&name(table)).push(" SET \"words\"=").bind(document.into_sqlite());
    sql.push(" WHERE rowid=(SELECT \"number\" FROM ")
        .ident(&rows_name(table))
        .push(" WHERE \"id\"=")
        .bind(id)
        .push(")");
    sql
}

/// SQLite: the statements for rows that are gone. `push_in_ids` adds ` IN (…)`.
pub(in crate::store) fn delete(table: &str, push_in_ids: impl Fn(&mut Sql)) -> [Sql; 2] {
    let mut words = Sql::text(Dialect::Sqlite, "DELETE FROM ");
    words.ident(&name(table)).push(" WHERE rowid IN (SELECT \"number\" FROM ").ident(&rows_name(table));
    words.push(" WHERE \"id\"");
    push_in_ids(&mut words);
    words.push(")");
    let mut numbers = Sql::text(Dialect::Sqlite, "DELETE FROM ");
    numbers.ident(&rows_name(table)).push(" WHERE \"id\"");
    push_in_ids(&mut numbers);
    [words, numbers]
}
