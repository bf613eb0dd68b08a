//! PostgreSQL's catalogs; the current schema alone.

use sea_orm::{ConnectionTrait, DbErr};

use super::{ActualColumn, ActualForeignKey, ActualIndex, ActualTable, indexes, rows};
use crate::store::search::index;

/// Tables, partitioned ones too; everything else that a table may not share its name with by the letter that
/// PostgreSQL has for it, or by a word for the common ones.
pub(super) const KIND: &str = "SELECT CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view'
       WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table'
       ELSE 'relation of the kind ' || relkind::text END AS kind
     FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE nspname = current_schema() AND relname = $1";

const COLUMNS: &str = "SELECT attname::text AS name, NOT attnotnull AS nullable, atthasdef AS has_default,
       format_type(atttypid, atttypmod) || CASE WHEN collname IS NULL OR collname = 'default' THEN ''
         ELSE ' COLLATE \"' || collname || '\"' END AS sql_type
     FROM pg_attribute
     JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
     LEFT JOIN pg_collation ON pg_collation.oid = attcollation
     WHERE nspname = current_schema() AND relname = $1 AND attnum > 0 AND NOT attisdropped
     ORDER BY attnum";

const INDEXES: &str = "SELECT indexes.relname::text AS name, indisunique AS is_unique, attname::text AS column_name
     FROM pg_index
     JOIN pg_class tables ON tables.oid = indrelid JOIN pg_namespace ON pg_namespace.oid = tables.relnamespace
     JOIN pg_class indexes ON indexes.oid = indexrelid
     CROSS JOIN LATERAL unnest(indkey) WITH ORDINALITY AS keys (attnum, place)
     LEFT JOIN pg_attribute ON pg_attribute.attrelid = indrelid AND pg_attribute.attnum = keys.attnum
     WHERE nspname = current_schema() AND tables.relname = $1
       AND NOT indisprimary AND indpred IS NULL AND indisvalid AND place <= indnkeyatts
     ORDER BY indexes.relname, place";

const FOREIGN_KEYS: &str = "SELECT conname::text AS name, attname::text AS column_name, targets.relname::text AS target
     FROM pg_constraint
     JOIN pg_class tables ON tables.oid = conrelid JOIN pg_namespace ON pg_namespace.oid = tables.relnamespace
     JOIN pg_class targets ON targets.oid = confrelid
     JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
     WHERE nspname = current_schema() AND tables.relname = $1 AND contype = 'f' AND cardinality(conkey) = 1";

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
        table.foreign_keys.push(ActualForeignKey {
            name: row.try_get("", "name")?,
            column: row.try_get("", "column_name")?,
            target: row.try_get("", "target")?,
        });
    }
    set_words_aside(&mut table);
    Ok(table)
}

/// What is there for searches is compared on its own.
fn set_words_aside(table: &mut ActualTable) {
    let is_words = |name: &str| name == index::COLUMN;
    table.has_words = table.columns.iter().any(|column| is_words(&column.name));
    table.columns.retain(|column| !is_words(&column.name));
    let called_after = |i: &ActualIndex| match i.columns.as_slice() {
        [column] if is_words(column) => index::table_of(&i.name).map(str::to_owned),
        _ => None,
    };
    table.words_index = table.indexes.iter().find_map(called_after);
    table.indexes.retain(|index| called_after(index).is_none());
}
