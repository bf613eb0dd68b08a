//! Indexes, unique keys and foreign keys of a table that is already there.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};

use super::super::ddl::{self, quoted};
use super::super::hazard::{Rows, Work, lock};
use super::super::introspect::ActualIndex;
use super::super::schema::{ForeignKey, Index, Table};
use super::super::{Dialect, Step, probe};
use super::{Comparison, Known, Rebuild, Steps};

impl<C: ConnectionTrait> Comparison<'_, C> {
    /// Makes what is missing and drops what Tandem made and does not want any more: that loses no data. Indexes of
    /// others are left alone.
    pub(super) async fn indexes(&self, table: Known<'_>, steps: &mut Steps) -> Result<(), DbErr> {
        let name = &table.wanted.name;
        let is_ours = |actual: &ActualIndex| table.memory.indexes.contains(&actual.name);
        let is_wanted = |actual: &ActualIndex| table.wanted.indexes.iter().any(|i| i.name == actual.name);
        let mut kept = BTreeSet::new();
        for index in &table.wanted.indexes {
            let title = format!("add the {} to {name}", describe(index));
            match table.actual.index(&index.name) {
                Some(actual) if is_same(index, actual) => {
                    if self.is_replaced(name, &index.columns, steps) {
                        steps.indexes.push(self.add_index(table, index, title).await?);
                    }
                }
                Some(actual) if is_ours(actual) => {
                    self.drop_index(name, actual, steps);
                    steps.indexes.push(self.add_index(table, index, title).await?);
                }
                Some(_) => {
                    let reason = format!("there is another index {}, which Tandem did not make: drop it", index.name);
                    steps.indexes.push(Step::new(title, Vec::new()).refused(reason));
                }
                // After a rename it has another name.
                None => match table.actual.indexes.iter().find(|i| is_same(index, i) && is_ours(i) && !is_wanted(i)) {
                    Some(actual) if self.dialect == Dialect::Postgres => {
                        let title = format!("rename the {} of {name}", describe(index));
                        let sql = vec![ddl::rename_index(&actual.name, &index.name)];
                        steps.columns.push(Step::new(title, sql));
                        kept.insert(&actual.name);
                    }
                    _ => steps.indexes.push(self.add_index(table, index, title).await?),
                },
            }
        }
        for actual in table.actual.indexes.iter().filter(|actual| !is_wanted(actual) && !kept.contains(&actual.name)) {
            if is_ours(actual) {
                self.drop_index(name, actual, steps);
            } else {
                let what = if actual.unique { "unique index" } else { "index" };
                steps.notes.push(format!("the {what} {} of {name} is not Tandem's; it is left alone", actual.name));
            }
        }
        Ok(())
    }

    /// PostgreSQL: whether a column of the index is dropped, and the index with it. SQLite's rebuild makes it again.
    fn is_replaced(&self, table: &str, columns: &[String], steps: &Steps) -> bool {
        let is_in = |column: &String| steps.effects.replaced.contains(&(table.to_owned(), column.clone()));
        self.dialect == Dialect::Postgres && columns.iter().any(is_in)
    }

    fn drop_index(&self, table: &str, actual: &ActualIndex, steps: &mut Steps) {
        let index = Index { name: actual.name.clone(), columns: actual.columns.clone(), unique: actual.unique };
        let step = Step::new(format!("drop the {} of {table}", describe(&index)), vec![ddl::drop_index(&actual.name)]);
        steps.index_drops.push(step.lock(lock(self.dialect, Work::Define, table, Rows(0))));
    }

    async fn add_index(&self, table: Known<'_>, index: &Index, title: String) -> Result<Step, DbErr> {
        let name = &table.wanted.name;
        let at = self.places.table(name);
        let rows = probe::rows(self.conn, at).await?;
        let step = Step::new(title, vec![ddl::create_index(name, index)]);
        let step = step.lock(lock(self.dialect, Work::Index, name, rows));
        let is_there = index.columns.iter().all(|column| table.actual.column(column).is_some());
        if index.unique && is_there && rows.any() {
            let columns: Vec<_> = index.columns.iter().map(|column| self.places.column(name, column)).collect();
            if let Some(pairs) = probe::duplicates(self.conn, at, &columns).await? {
                return Ok(step.refused(format!("rows have the same values: {pairs}. Change or delete them first")));
            }
        }
        Ok(match self.dialect {
            Dialect::Postgres if rows.any() && is_there => step.caution(
                "nobody writes to the table meanwhile. To avoid that, make it beforehand with CREATE INDEX CONCURRENTLY \
                 under this name",
            ),
            Dialect::Sqlite | Dialect::Postgres => step,
        })
    }

    /// Foreign keys of columns that are already there; somebody dropped them by hand. On SQLite it takes a rebuild to
    /// make them.
    pub(super) async fn foreign_keys(
        &self,
        table: Known<'_>,
        rebuild: &mut Rebuild,
        steps: &mut Steps,
    ) -> Result<(), DbErr> {
        let name = &table.wanted.name;
        for key in &table.wanted.foreign_keys {
            let is_replaced = self.is_replaced(name, std::slice::from_ref(&key.column), steps);
            let is_there = table.actual.column(&key.column).is_some() && !is_replaced;
            let ty = table.wanted.column(&key.column).map(|c| &c.ty);
            if is_there && table.memory.columns.get(&key.column).is_some_and(|old| Some(&old.ty) != ty) {
                // The column had another type: that is refused already, or it is made anew by a rebuild.
                continue;
            }
            let actual = table.actual.foreign_key(&key.column).filter(|_| !is_replaced);
            if let Some(actual) = actual {
                if actual.target != key.target {
                    let reason = format!("somebody let it point at {}: drop that foreign key", actual.target);
                    steps.foreign_keys.push(Step::new(title_of(table.wanted, key), Vec::new()).refused(reason));
                } else if let Some(old) = actual.name.as_ref().filter(|old| **old != key.name) {
                    let title = format!("rename the foreign key ({}) of {name}", key.column);
                    steps.columns.push(Step::new(title, vec![ddl::rename_constraint(name, old, &key.name)]));
                }
                continue;
            }
            if self.dialect == Dialect::Postgres {
                steps.foreign_keys.push(self.add_foreign_key(table.wanted, key, is_there).await?);
            } else if is_there {
                // A column that is added brings its own.
                match self.orphans(name, key).await? {
                    Some(reason) => {
                        let step = Step::new(title_of(table.wanted, key), Vec::new());
                        steps.foreign_keys.push(step.refused(reason));
                    }
                    None => rebuild.reasons.push(format!("{} points at {}", key.column, key.target)),
                }
            }
        }
        Ok(())
    }

    /// PostgreSQL. `is_there`: the column has been there before.
    pub(super) async fn add_foreign_key(&self, table: &Table, key: &ForeignKey, is_there: bool) -> Result<Step, DbErr> {
        let rows = match is_there {
            true => probe::rows(self.conn, self.places.table(&table.name)).await?,
            false => Rows(0),
        };
        let step = Step::new(title_of(table, key), vec![ddl::add_foreign_key(&table.name, key)]);
        let step = step.lock(lock(self.dialect, Work::ForeignKey(&key.target), &table.name, rows));
        match is_there {
            true => match self.orphans(&table.name, key).await? {
                Some(reason) => Ok(step.refused(reason)),
                None => Ok(step),
            },
            false => Ok(step),
        }
    }

    /// Why the foreign key would not hold.
    async fn orphans(&self, table: &str, key: &ForeignKey) -> Result<Option<String>, DbErr> {
        let (at, column) = (self.places.table(table), self.places.column(table, &key.column));
        let target = self.places.table(&key.target);
        if !self.actual.tables.contains_key(&key.target) {
            return Ok(None);
        }
        let condition = format!(
            "{column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {target} AS tandem_target WHERE tandem_target.id = \
             {table}.{column})",
            column = quoted(column),
            target = quoted(target),
            table = quoted(at)
        );
        let found = probe::rows_where(self.conn, at, &condition).await?;
        Ok(found.map(|rows| {
            format!("rows point at rows of {} that are not there: {rows}. Change or delete them first", key.target)
        }))
    }
}

pub(super) fn title_of(table: &Table, key: &ForeignKey) -> String {
    format!("let {} of {} point at {}", key.column, table.name, key.target)
}

fn describe(index: &Index) -> String {
    let kind = if index.unique { "unique key" } else { "index" };
    format!("{kind} ({})", index.columns.join(", "))
}

fn is_same(index: &Index, actual: &ActualIndex) -> bool {
    actual.columns == index.columns && actual.unique == index.unique
}
