//! Indexes, unique keys and foreign keys of a table that is already there.

use sea_orm::{ConnectionTrait, DbErr};

use super::super::schema::{ForeignKey, Index, Table};
use super::super::{Dialect, Step, ddl, probe};
use super::{Comparison, Known, Steps};

impl<C: ConnectionTrait> Comparison<'_, C> {
    /// Makes what is missing and drops what Tandem made and does not want any more: that loses no data. Indexes of
    /// others are left alone.
    pub(super) async fn indexes(&self, table: Known<'_>, steps: &mut Steps) -> Result<(), DbErr> {
        let name = &table.wanted.name;
        for index in &table.wanted.indexes {
            let title = format!("add the {} to {name}", describe(index));
            match table.actual.index(&index.name) {
                None => steps.indexes.push(self.add_index(table, index, title).await?),
                Some(actual) if actual.columns == index.columns && actual.unique == index.unique => {}
                Some(_) => {
                    let reason = format!("there is another index {}, which Tandem did not make: drop it", index.name);
                    steps.indexes.push(Step::refused(title, Vec::new(), reason));
                }
            }
        }
        for actual in &table.actual.indexes {
            let is_wanted = table.wanted.indexes.iter().any(|i| i.name == actual.name);
            if !is_wanted && table.memory.indexes.contains(&actual.name) {
                let index = Index { name: actual.name.clone(), columns: actual.columns.clone(), unique: actual.unique };
                let title = format!("drop the {} of {name}", describe(&index));
                steps.indexes.push(Step::safe(title, vec![ddl::drop_index(&actual.name)]));
            }
        }
        Ok(())
    }

    async fn add_index(&self, table: Known<'_>, index: &Index, title: String) -> Result<Step, DbErr> {
        let sql = vec![ddl::create_index(&table.wanted.name, index)];
        if !probe::has_rows(self.conn, &table.wanted.name).await? {
            return Ok(Step::safe(title, sql));
        }
        let mut hazard = match self.dialect {
            Dialect::Sqlite => "reads the whole table; nobody can write to the database meanwhile",
            Dialect::Postgres => "reads the whole table; nobody can write to it meanwhile",
        }
        .to_owned();
        if index.unique {
            hazard.push_str(". Fails if rows have the same values");
        }
        Ok(Step::caution(title, sql, hazard))
    }

    /// Foreign keys of columns that are already there; somebody dropped them by hand. On SQLite it takes a rebuild to
    /// make them; this returns why.
    pub(super) async fn foreign_keys(&self, table: Known<'_>, steps: &mut Steps) -> Result<Vec<String>, DbErr> {
        let mut reasons = Vec::new();
        for key in &table.wanted.foreign_keys {
            let is_there = table.actual.column(&key.column).is_some();
            let ty = table.wanted.column(&key.column).map(|c| &c.ty);
            if is_there && table.memory.columns.get(&key.column).is_some_and(|old| Some(&old.ty) != ty) {
                // The column had another type, which is refused already.
                continue;
            }
            if let Some(actual) = table.actual.foreign_keys.iter().find(|k| k.column == key.column) {
                if actual.target != key.target {
                    let reason = format!(
                        "it points at {} in the database, and it was not Tandem that changed it",
                        actual.target
                    );
                    steps.foreign_keys.push(Step::refused(title_of(table.wanted, key), Vec::new(), reason));
                }
                continue;
            }
            if self.dialect == Dialect::Sqlite {
                // A column that is added brings its own.
                if is_there {
                    reasons.push(format!("{} points at {}", key.column, key.target));
                }
                continue;
            }
            let (title, sql) = (title_of(table.wanted, key), vec![ddl::add_foreign_key(&table.wanted.name, key)]);
            let has_values = is_there && probe::has_rows(self.conn, &table.wanted.name).await?;
            steps.foreign_keys.push(if has_values {
                let hazard = "reads the whole table; nobody can write to it meanwhile. Fails if rows point at nothing";
                Step::caution(title, sql, hazard)
            } else {
                Step::safe(title, sql)
            });
        }
        Ok(reasons)
    }
}

pub(super) fn title_of(table: &Table, key: &ForeignKey) -> String {
    format!("let {} of {} point at {}", key.column, table.name, key.target)
}

fn describe(index: &Index) -> String {
    let kind = if index.unique { "unique key" } else { "index" };
    format!("{kind} ({})", index.columns.join(", "))
}
