//! What `@search` needs of a table. It can be made anew from the rows at any time, so nothing here loses data.

use sea_orm::{ConnectionTrait, DbErr};

use super::super::introspect::{self, ActualTable};
use super::super::memory::TableMemory;
use super::super::schema::Table;
use super::super::{Dialect, Step, probe, search};
use super::{Comparison, Steps};
use crate::store::search::index;

/// How much of what a search needs is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Part,
    All,
}

impl<C: ConnectionTrait> Comparison<'_, C> {
    /// Of a table that is wanted. `actual` and `memory` are missing if the table is made by an earlier step.
    pub(super) async fn search(
        &self,
        wanted: &Table,
        actual: Option<&ActualTable>,
        memory: Option<&TableMemory>,
        steps: &mut Steps,
    ) -> Result<(), DbErr> {
        let name = &wanted.name;
        let remembered = memory.and_then(|memory| memory.search.as_ref());
        let found = self.find(name, actual).await?;
        let Some(search) = &wanted.search else {
            if remembered.is_some() && found != Found::Nothing {
                let title = format!("drop the search of {name}");
                steps.search.push(Step::safe(title, search::drop(name, self.dialect)));
            }
            return Ok(());
        };
        if found == Found::All && remembered == Some(search) {
            return Ok(());
        }
        let mut sql = if found == Found::Nothing { Vec::new() } else { search::drop(name, self.dialect) };
        sql.extend(search::create(name, self.dialect));
        let title = format!("make {name} searchable by {}", search.columns.join(", "));
        let has_rows = actual.is_some() && probe::has_rows(self.conn, name).await?;
        let index = (self.dialect == Dialect::Postgres).then(|| search::create_index(name));
        if !has_rows {
            sql.extend(index);
            steps.search.push(Step::safe(title, sql));
            return Ok(());
        }
        let hazard = match self.dialect {
            Dialect::Sqlite => "writes the words of every row; nobody can write to the database meanwhile",
            Dialect::Postgres => "writes the words of every row; nobody can read or write the table meanwhile",
        };
        steps.search.push(Step::caution(title, sql, hazard).with_backfill(search.backfill(name)));
        if let Some(index) = index {
            let hazard = "reads the whole table; nobody can write to it meanwhile";
            steps.search.push(Step::caution(format!("add the index of words to {name}"), vec![index], hazard));
        }
        Ok(())
    }

    /// Of a table that is gone or goes. On PostgreSQL all of it goes with the table.
    pub(super) async fn drop_search(&self, name: &str, memory: &TableMemory, steps: &mut Steps) -> Result<(), DbErr> {
        if self.dialect == Dialect::Sqlite && memory.search.is_some() && self.find(name, None).await? != Found::Nothing
        {
            let title = format!("drop the search of {name}");
            steps.search.push(Step::safe(title, search::drop(name, self.dialect)));
        }
        Ok(())
    }

    async fn find(&self, name: &str, actual: Option<&ActualTable>) -> Result<Found, DbErr> {
        let is_there = async |name: &str| {
            let kind = introspect::kind_of(self.conn, self.dialect, name).await?;
            Ok::<_, DbErr>(kind.is_some())
        };
        let index = is_there(&index::name(name)).await?;
        let other = match self.dialect {
            Dialect::Sqlite => is_there(&index::rows_name(name)).await?,
            Dialect::Postgres => actual.is_some_and(|table| table.column(index::COLUMN).is_some()),
        };
        Ok(match (index, other) {
            (true, true) => Found::All,
            (false, false) => Found::Nothing,
            (true, false) | (false, true) => Found::Part,
        })
    }
}
