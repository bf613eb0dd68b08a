//! SQLite's pragmas, as table-valued functions.

use sea_orm::{ConnectionTrait, DbErr};

use super::{ActualColumn, ActualForeignKey, ActualTable, Dependent, indexes, rows};

/// Names are compared without case there.
pub(super) const KIND: &str = "SELECT type AS kind FROM sqlite_schema WHERE name = ? COLLATE NOCASE";

const COLUMNS: &str =
    "SELECT name, type AS sql_type, \"notnull\" = 0 AS nullable, dflt_value IS NOT NULL AS has_default
     FROM pragma_table_xinfo(?) ORDER BY cid";

const INDEXES: &str = "SELECT list.name AS name, list.\"unique\" AS is_unique, info.name AS column_name
     FROM pragma_index_list(?) AS list JOIN pragma_index_info(list.name) AS info
     WHERE list.origin = 'c' AND list.partial = 0
     ORDER BY list.name, info.seqno";

const FOREIGN_KEYS: &str = "SELECT \"from\" AS column_name, \"table\" AS target FROM pragma_foreign_key_list(?)
     GROUP BY id HAVING count(*) = 1";

const DEPENDENTS: &str = "SELECT name, sql FROM sqlite_schema
     WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY type, name";

pub(super) async fn table(conn: &impl ConnectionTrait, name: &str) -> Result<ActualTable, DbErr> {
    let mut table = ActualTable {
        columns: Vec::new(),
        indexes: indexes(rows(conn, INDEXES, name).await?)?,
        foreign_keys: Vec::new(),
        dependents: Vec::new(),
        has_words: false,
        words_index: None,
    };
    for row in rows(conn, COLUMNS, name).await? {
        table.columns.push(ActualColumn {
            name: row.try_get("", "name")?,
            sql_type: row.try_get("", "sql_type")?,
            nullable: row.try_get("", "nullable")?,
            has_default: row.try_get("", "has_default")?,
        });
    }
    for row in rows(conn, FOREIGN_KEYS, name).await? {
        let (column, target) = (row.try_get("", "column_name")?, row.try_get("", "target")?);
        table.foreign_keys.push(ActualForeignKey { name: None, column, target });
    }
    for row in rows(conn, DEPENDENTS, name).await? {
        table.dependents.push(Dependent { name: row.try_get("", "name")?, sql: row.try_get("", "sql")? });
    }
    Ok(table)
}
