//! Column types that mean the same on both databases. SQLite's are exactly those that its STRICT tables allow.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Makes the columns and tables of one database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    sqlite: bool,
}

impl Columns {
    pub(crate) fn new(manager: &SchemaManager<'_>) -> Self {
        Self { sqlite: manager.get_database_backend() == DbBackend::Sqlite }
    }

    /// A table without columns; on SQLite one that holds its columns to their types.
    pub(crate) fn table(self, table: impl IntoTableRef) -> TableCreateStatement {
        let mut statement = Table::create();
        statement.table(table);
        if self.sqlite {
            statement.extra("STRICT");
        }
        statement
    }

    fn of_type(self, name: impl IntoIden, sqlite: &'static str, postgres: &'static str) -> ColumnDef {
        let ty = if self.sqlite { sqlite } else { postgres };
        ColumnDef::new(name).custom(Alias::new(ty)).not_null().take()
    }

    pub(crate) fn text(self, name: impl IntoIden) -> ColumnDef {
        self.of_type(name, "TEXT", "text")
    }

    pub(crate) fn uuid(self, name: impl IntoIden) -> ColumnDef {
        self.of_type(name, "BLOB", "uuid")
    }

    /// 16 bits.
    pub(crate) fn small(self, name: impl IntoIden) -> ColumnDef {
        self.of_type(name, "INTEGER", "smallint")
    }

    /// 32 bits.
    pub(crate) fn int(self, name: impl IntoIden) -> ColumnDef {
        self.of_type(name, "INTEGER", "integer")
    }

    /// 64 bits; also times, in microseconds since 1970.
    pub(crate) fn big(self, name: impl IntoIden) -> ColumnDef {
        self.of_type(name, "INTEGER", "bigint")
    }
}

/// The same column, but nullable.
pub(crate) fn nullable(mut column: ColumnDef) -> ColumnDef {
    column.null().take()
}
