//! The SQL of the steps. Identifiers come from the catalog or from the database, never from a request; the only values
//! are literal defaults of the resource file, since DDL takes no bound values.

use std::collections::BTreeMap;

use super::Dialect;
use super::schema::{Column, ForeignKey, Index, Literal, Table};
use crate::catalog::datum::format_instant;
use crate::catalog::{Datum, FieldType};

/// `"name"`, with quotes inside doubled.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quoted_list(names: &[String]) -> String {
    names.iter().map(|n| quoted(n)).collect::<Vec<_>>().join(", ")
}

/// On SQLite with its foreign keys; on PostgreSQL without, since the other table may not be there yet.
pub(super) fn create_table(table: &Table, name: &str, dialect: Dialect) -> String {
    let mut lines: Vec<_> = table.columns.iter().map(|c| column(c, c.nullable, c.name == "id", dialect)).collect();
    let end = match dialect {
        Dialect::Sqlite => {
            lines.extend(table.foreign_keys.iter().map(|key| {
                let (name, column) = (quoted(&key.name), quoted(&key.column));
                format!("CONSTRAINT {name} FOREIGN KEY ({column}) {}", references(key))
            }));
            " STRICT"
        }
        Dialect::Postgres => "",
    };
    format!("CREATE TABLE {} (\n  {}\n){end}", quoted(name), lines.join(",\n  "))
}

fn column(column: &Column, nullable: bool, is_primary_key: bool, dialect: Dialect) -> String {
    let null = if nullable { "" } else { " NOT NULL" };
    let key = if is_primary_key { " PRIMARY KEY" } else { "" };
    format!("{} {}{null}{key}", quoted(&column.name), column.ty.sql(dialect))
}

fn references(key: &ForeignKey) -> String {
    format!("REFERENCES {} (\"id\")", quoted(&key.target))
}

pub(super) fn drop_table(table: &str) -> String {
    format!("DROP TABLE {}", quoted(table))
}

/// With what the rows get that are already there, as a default. It stays: while nodes are replaced one by one, older ones
/// still write rows without the column. On SQLite with its foreign key. `nullable` may differ from what is wanted.
pub(super) fn add_column(
    table: &Table,
    added: &Column,
    nullable: bool,
    default: Option<&Literal>,
    dialect: Dialect,
) -> String {
    let default = default.map_or_else(String::new, |literal| format!(" DEFAULT {}", literal.sql));
    let key = table.foreign_keys.iter().find(|k| dialect == Dialect::Sqlite && k.column == added.name);
    let references = match key {
        Some(key) => format!(" CONSTRAINT {} {}", quoted(&key.name), references(key)),
        None => String::new(),
    };
    let definition = column(added, nullable, false, dialect);
    format!("ALTER TABLE {} ADD COLUMN {definition}{default}{references}", quoted(&table.name))
}

pub(super) fn drop_column(table: &str, column: &str) -> String {
    format!("ALTER TABLE {} DROP COLUMN {}", quoted(table), quoted(column))
}

/// PostgreSQL only. `using` is the new value, where the database does not convert by itself.
pub(super) fn alter_type(table: &str, column: &Column, using: Option<String>) -> String {
    let (name, ty) = (quoted(&column.name), column.ty.sql(Dialect::Postgres));
    let using = using.map_or_else(String::new, |using| format!(" USING {using}"));
    format!("ALTER TABLE {} ALTER COLUMN {name} TYPE {ty}{using}", quoted(table))
}

/// PostgreSQL only.
pub(super) fn drop_default(table: &str, column: &str) -> String {
    format!("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", quoted(table), quoted(column))
}

/// PostgreSQL only.
pub(super) fn alter_null(table: &str, column: &Column) -> String {
    let verb = if column.nullable { "DROP" } else { "SET" };
    format!("ALTER TABLE {} ALTER COLUMN {} {verb} NOT NULL", quoted(table), quoted(&column.name))
}

/// PostgreSQL only.
pub(super) fn add_foreign_key(table: &str, key: &ForeignKey) -> String {
    let (name, column) = (quoted(&key.name), quoted(&key.column));
    format!("ALTER TABLE {} ADD CONSTRAINT {name} FOREIGN KEY ({column}) {}", quoted(table), references(key))
}

pub(super) fn create_index(table: &str, index: &Index) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    format!("CREATE {unique}INDEX {} ON {} ({})", quoted(&index.name), quoted(table), quoted_list(&index.columns))
}

/// PostgreSQL only.
pub(super) fn rename_index(old: &str, new: &str) -> String {
    format!("ALTER INDEX {} RENAME TO {}", quoted(old), quoted(new))
}

/// PostgreSQL only.
pub(super) fn rename_constraint(table: &str, old: &str, new: &str) -> String {
    format!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", quoted(table), quoted(old), quoted(new))
}

/// PostgreSQL only.
pub(super) fn drop_constraint(table: &str, name: &str) -> String {
    format!("ALTER TABLE {} DROP CONSTRAINT {}", quoted(table), quoted(name))
}

pub(super) fn rename_table(old: &str, new: &str) -> String {
    format!("ALTER TABLE {} RENAME TO {}", quoted(old), quoted(new))
}

pub(super) fn rename_column(table: &str, old: &str, new: &str) -> String {
    format!("ALTER TABLE {} RENAME COLUMN {} TO {}", quoted(table), quoted(old), quoted(new))
}

pub(super) fn drop_index(index: &str) -> String {
    format!("DROP INDEX {}", quoted(index))
}

/// SQLite only: a new table takes the place of the old one, as <https://www.sqlite.org/lang_altertable.html#otheralter>
/// says. `values` are those of columns that are not just copied, `dependents` the statements that make the indexes and
/// triggers of the old table again. Foreign keys must not be enforced meanwhile.
pub(super) fn rebuild(table: &Table, values: &BTreeMap<String, String>, dependents: Vec<String>) -> Vec<String> {
    let new_name = format!("tandem_rebuild__{}", table.name);
    let (old, new) = (quoted(&table.name), quoted(&new_name));
    let names: Vec<_> = table.columns.iter().map(|c| c.name.clone()).collect();
    let value = |name: &String| values.get(name).cloned().unwrap_or_else(|| quoted(name));
    let copied: Vec<_> = names.iter().map(value).collect();
    let mut sql = vec![
        create_table(table, &new_name, Dialect::Sqlite),
        format!("INSERT INTO {new} ({}) SELECT {} FROM {old}", quoted_list(&names), copied.join(", ")),
        format!("DROP TABLE {old}"),
        format!("ALTER TABLE {new} RENAME TO {old}"),
    ];
    sql.extend(dependents);
    sql
}

/// A value as the column of this field holds it; `None` for null.
pub(super) fn literal(value: &Datum, ty: &FieldType, dialect: Dialect) -> Option<String> {
    Some(match (value, dialect) {
        (Datum::Null, _) => return None,
        (Datum::Bool(value), Dialect::Sqlite) => u8::from(*value).to_string(),
        (Datum::Bool(value), Dialect::Postgres) => value.to_string(),
        (Datum::Int(value), _) | (Datum::Decimal(value) | Datum::Instant(value), Dialect::Sqlite) => value.to_string(),
        (Datum::Float(value), _) => format!("{value:?}"),
        (Datum::Text(text), _) => text_literal(text, dialect),
        (Datum::Decimal(_), Dialect::Postgres) => value.to_image(ty).as_str()?.to_owned(),
        (Datum::Instant(micros), Dialect::Postgres) => text_literal(&format_instant(*micros), dialect),
        (Datum::Uuid(id), Dialect::Sqlite) => format!("X'{}'", id.simple()),
        (Datum::Uuid(id), Dialect::Postgres) => text_literal(&id.hyphenated().to_string(), dialect),
        (Datum::Json(_) | Datum::List(_), _) => text_literal(&value.image_text(ty), dialect),
    })
}

pub(super) fn text_literal(text: &str, dialect: Dialect) -> String {
    let doubled = text.replace('\'', "''");
    // What a backslash means in a plain literal depends on a setting of PostgreSQL; in an escaped one it does not.
    if dialect == Dialect::Postgres && text.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}
