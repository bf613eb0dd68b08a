//! The tables that are there. Only those are looked at that are wanted or remembered; the database may hold others.

mod postgres;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};

use super::Dialect;

/// What is there, by name, of the names that were asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Actual {
    /// Tables.
    pub tables: BTreeMap<String, ActualTable>,
    /// What takes the name but is no table, in a word: `view`.
    pub others: BTreeMap<String, String>,
}

/// A table.
#[derive(Debug, Clone)]
pub(super) struct ActualTable {
    pub columns: Vec<ActualColumn>,
    pub indexes: Vec<ActualIndex>,
    pub foreign_keys: Vec<ActualForeignKey>,
    /// SQLite: the statements that make its indexes and triggers again.
    pub dependents: Vec<Dependent>,
    /// PostgreSQL: whether it has the column for words, which is not among the others.
    pub has_words: bool,
    /// PostgreSQL: the table that the index of words is called after; it is not among the others.
    pub words_index: Option<String>,
}

/// An index or a trigger of SQLite.
#[derive(Debug, Clone)]
pub(super) struct Dependent {
    pub name: String,
    pub sql: String,
}

/// A column.
#[derive(Debug, Clone)]
pub(super) struct ActualColumn {
    pub name: String,
    /// As [`ColumnType::sql`](super::column::ColumnType::sql) spells it.
    pub sql_type: String,
    pub nullable: bool,
    pub has_default: bool,
}

/// An index, other than that of the primary key.
#[derive(Debug, Clone)]
pub(super) struct ActualIndex {
    pub name: String,
    /// Expressions are left out.
    pub columns: Vec<String>,
    pub unique: bool,
}

/// A foreign key of one column.
#[derive(Debug, Clone)]
pub(super) struct ActualForeignKey {
    /// PostgreSQL.
    pub name: Option<String>,
    pub column: String,
    pub target: String,
}

impl ActualTable {
    pub fn column(&self, name: &str) -> Option<&ActualColumn> {
        self.columns.iter().find(|c| c.name == name)
    }

    pub fn foreign_key(&self, column: &str) -> Option<&ActualForeignKey> {
        self.foreign_keys.iter().find(|key| key.column == column)
    }

    pub fn index(&self, name: &str) -> Option<&ActualIndex> {
        self.indexes.iter().find(|i| i.name == name)
    }
}

impl Actual {
    pub async fn read(conn: &impl ConnectionTrait, dialect: Dialect, names: &BTreeSet<&str>) -> Result<Self, DbErr> {
        let mut actual = Self::default();
        for name in names {
            match kind_of(conn, dialect, name).await? {
                None => {}
                Some(kind) if kind == "table" => {
                    let table = match dialect {
                        Dialect::Sqlite => sqlite::table(conn, name).await?,
                        Dialect::Postgres => postgres::table(conn, name).await?,
                    };
                    actual.tables.insert((*name).to_owned(), table);
                }
                Some(kind) => {
                    actual.others.insert((*name).to_owned(), kind);
                }
            }
        }
        Ok(actual)
    }
}

/// What has this name: `table`, `view`, `index` or another word of the database; `None` if nothing has.
pub(super) async fn kind_of(
    conn: &impl ConnectionTrait,
    dialect: Dialect,
    name: &str,
) -> Result<Option<String>, DbErr> {
    let sql = match dialect {
        Dialect::Sqlite => sqlite::KIND,
        Dialect::Postgres => postgres::KIND,
    };
    let row =
        conn.query_one_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, [name.into()])).await?;
    row.map(|row| row.try_get("", "kind")).transpose()
}

async fn rows(conn: &impl ConnectionTrait, sql: &str, name: &str) -> Result<Vec<QueryResult>, DbErr> {
    let name: Value = name.into();
    conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, [name])).await
}

/// Gathers rows of `name`, `is_unique`, `column_name`, sorted by index and place in it, into indexes.
fn indexes(rows: Vec<QueryResult>) -> Result<Vec<ActualIndex>, DbErr> {
    let mut indexes: Vec<ActualIndex> = Vec::new();
    for row in rows {
        let name: String = row.try_get("", "name")?;
        let unique: bool = row.try_get("", "is_unique")?;
        let column: Option<String> = row.try_get("", "column_name")?;
        if indexes.last().is_none_or(|last| last.name != name) {
            indexes.push(ActualIndex { name, columns: Vec::new(), unique });
        }
        if let Some(index) = indexes.last_mut() {
            index.columns.extend(column);
        }
    }
    Ok(indexes)
}
