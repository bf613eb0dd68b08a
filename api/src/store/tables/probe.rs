//! Questions about the rows that are there, on whose answers it depends what a change can lose.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr, Statement, Value};

use super::Dialect;
use super::ddl::quoted;

/// Values named in a message, at most.
const MAX_VALUES: usize = 5;

/// Whether the table has any row.
pub(super) async fn has_rows(conn: &impl ConnectionTrait, table: &str) -> Result<bool, DbErr> {
    any(conn, format!("SELECT 1 AS found FROM {} LIMIT 1", quoted(table))).await
}

/// Whether the column of any row is null.
pub(super) async fn has_nulls(conn: &impl ConnectionTrait, table: &str, column: &str) -> Result<bool, DbErr> {
    any(conn, format!("SELECT 1 AS found FROM {} WHERE {} IS NULL LIMIT 1", quoted(table), quoted(column))).await
}

async fn any(conn: &impl ConnectionTrait, sql: String) -> Result<bool, DbErr> {
    Ok(conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?.is_some())
}

/// Which of these values of an enum the rows use, in order; only the first few. `list`: the column holds lists of them.
pub(super) async fn values_in_use(
    conn: &impl ConnectionTrait,
    dialect: Dialect,
    (table, column, list): (&str, &str, bool),
    values: &BTreeSet<&str>,
) -> Result<Vec<String>, DbErr> {
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
    let sql = format!(
        "SELECT DISTINCT {value} AS value FROM {from} WHERE {value} IN ({}) ORDER BY 1 LIMIT {MAX_VALUES}",
        parameters.join(", ")
    );
    let bound = values.iter().map(|v| Value::from(*v));
    let rows = conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, bound)).await?;
    rows.iter().map(|row| row.try_get("", "value")).collect()
}
