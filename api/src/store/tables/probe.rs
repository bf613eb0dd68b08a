//! Questions about the rows that are there, on whose answers it depends what a change can lose.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

use super::Dialect;
use super::ddl::quoted;
use super::hazard::{MAX_COUNTED, Rows};
use crate::catalog::type_id;

/// Rows and values named in a message, at most.
const MAX_NAMED: usize = 5;

/// How many rows the table has.
pub(super) async fn rows(conn: &impl ConnectionTrait, table: &str) -> Result<Rows, DbErr> {
    let limit = MAX_COUNTED + 1;
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT {limit}) AS counted", quoted(table));
    let counted: Option<i64> = match query(conn, sql).await?.first() {
        Some(row) => row.try_get_by_index(0)?,
        None => None,
    };
    Ok(Rows(counted.unwrap_or(0).unsigned_abs()))
}

/// Whether the column of any row is not null.
pub(super) async fn has_values(conn: &impl ConnectionTrait, table: &str, column: &str) -> Result<bool, DbErr> {
    let sql = format!("SELECT 1 FROM {} WHERE {} IS NOT NULL LIMIT 1", quoted(table), quoted(column));
    Ok(!query(conn, sql).await?.is_empty())
}

/// The ids of the rows for which this is true, in words; only the first few. `None` if there are none.
pub(super) async fn rows_where(
    conn: &impl ConnectionTrait,
    table: &str,
    condition: &str,
) -> Result<Option<String>, DbErr> {
    let limit = MAX_NAMED + 1;
    let sql = format!("SELECT id FROM {} WHERE {condition} ORDER BY id LIMIT {limit}", quoted(table));
    let ids = query(conn, sql).await?.iter().map(|row| id(row, 0, table)).collect::<Result<Vec<_>, _>>()?;
    Ok((!ids.is_empty()).then(|| named(ids)))
}

/// Rows that have the same values in these columns, in words; only the first few. `None` if there are none.
pub(super) async fn duplicates(
    conn: &impl ConnectionTrait,
    table: &str,
    columns: &[&str],
) -> Result<Option<String>, DbErr> {
    let same: Vec<_> = columns.iter().map(|c| format!("a.{0} = b.{0}", quoted(c))).collect();
    let (from, same, limit) = (quoted(table), same.join(" AND "), MAX_NAMED + 1);
    let sql = format!(
        "SELECT a.id, b.id FROM {from} AS a JOIN {from} AS b ON {same} AND a.id < b.id ORDER BY a.id, b.id LIMIT {limit}"
    );
    let pair = |row: &QueryResult| Ok(format!("{} and {}", id(row, 0, table)?, id(row, 1, table)?));
    let pairs = query(conn, sql).await?.iter().map(pair).collect::<Result<Vec<_>, DbErr>>()?;
    Ok((!pairs.is_empty()).then(|| named(pairs)))
}

/// As clients know it. Tables have the name of their prefix.
fn id(row: &QueryResult, index: usize, table: &str) -> Result<String, DbErr> {
    Ok(type_id::format(table, row.try_get_by_index::<Uuid>(index)?))
}

fn named(mut names: Vec<String>) -> String {
    if names.len() > MAX_NAMED {
        names.truncate(MAX_NAMED);
        names.push("and more".to_owned());
    }
    names.join(", ")
}

async fn query(conn: &impl ConnectionTrait, sql: String) -> Result<Vec<QueryResult>, DbErr> {
    conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await
}

/// Which of these values of an enum the rows use. `list`: the column holds lists of them.
pub(super) async fn values_in_use(
    conn: &impl ConnectionTrait,
    dialect: Dialect,
    (table, column, list): (&str, &str, bool),
    values: &BTreeSet<&str>,
) -> Result<BTreeSet<String>, DbErr> {
    let (table, column) = (quoted(table), quoted(column));
    // No resource has a table of that name.
    let (from, value) = match (list, dialect) {
        (false, _) => (table, column),
        (true, Dialect::Sqlite) => {
            (format!("{table}, json_each({table}.{column}) AS tandem_listed"), "tandem_listed.value".to_owned())
        }
        (true, Dialect::Postgres) => (
            format!("{table}, jsonb_array_elements_text({table}.{column}) AS tandem_listed (value)"),
            "tandem_listed.value".to_owned(),
        ),
    };
    let parameter = |n: usize| match dialect {
        Dialect::Sqlite => "?".to_owned(),
        Dialect::Postgres => format!("${n}"),
    };
    let parameters: Vec<_> = (1..=values.len()).map(parameter).collect();
    let sql = format!("SELECT DISTINCT {value} AS value FROM {from} WHERE {value} IN ({})", parameters.join(", "));
    let bound = values.iter().map(|v| Value::from(*v));
    let rows = conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, bound)).await?;
    rows.iter().map(|row| row.try_get("", "value")).collect()
}
