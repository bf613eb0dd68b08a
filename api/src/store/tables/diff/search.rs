//! What `@search` needs of a table. It can be made anew from the rows at any time, so nothing here loses data.

use sea_orm::{ConnectionTrait, DbErr};

use super::super::hazard::{Rows, Work, lock};
use super::super::introspect;
use super::super::memory::TableMemory;
use super::super::schema::Table;
use super::super::search::{self, Search};
use super::super::{Dialect, Step, probe};
use super::{Comparison, Known, Steps};
use crate::store::search::index;

/// What there is for a search.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Part,
    /// All of it, called after the table of this name.
    All(String),
}

impl<C: ConnectionTrait> Comparison<'_, C> {
    /// Of a table that is wanted. It is not known if an earlier step makes it.
    pub(super) async fn search(
        &self,
        wanted: &Table,
        known: Option<Known<'_>>,
        steps: &mut Steps,
    ) -> Result<(), DbErr> {
        let name = &wanted.name;
        let remembered = self.memory.tables.get(name).and_then(|memory| memory.search.as_ref());
        let called = remembered.map_or(name, |search| &search.table);
        let found = self.find(called, known).await?;
        let Some(search) = &wanted.search else {
            if remembered.is_some() && found != Found::Nothing {
                steps.search.push(self.drop_step(name, called));
            }
            return Ok(());
        };
        if let (Found::All(called), Some(known)) = (&found, known)
            && remembered.is_some_and(|remembered| self.is_same(remembered, search))
            && !search.columns.iter().any(|column| is_rewritten(known, column, steps))
        {
            if called != name {
                let sql = search::rename(called, name, self.dialect);
                steps.search.push(Step::new(format!("rename the search of {name}"), sql));
            }
            return Ok(());
        }
        let mut sql = if found == Found::Nothing { Vec::new() } else { search::drop(name, called, self.dialect) };
        sql.extend(search::create(name, self.dialect));
        let rows = match known {
            Some(_) => probe::rows(self.conn, self.places.table(name)).await?,
            None => Rows(0),
        };
        let index = (self.dialect == Dialect::Postgres).then(|| search::create_index(name));
        let title = format!("make {name} searchable by {}", search.columns.join(", "));
        if !rows.any() {
            sql.extend(index);
            let lock = known.and_then(|_| lock(self.dialect, Work::Define, name, rows));
            steps.search.push(Step::new(title, sql).lock(lock));
            return Ok(());
        }
        let step = Step::new(title, sql).caution("the words of all rows are written");
        let step = step.with_backfill(search.backfill(name));
        steps.search.push(step.lock(lock(self.dialect, Work::Rewrite, name, rows)));
        if let Some(index) = index {
            let step = Step::new(format!("add the index of words to {name}"), vec![index]);
            steps.search.push(step.lock(lock(self.dialect, Work::Index, name, rows)));
        }
        Ok(())
    }

    /// Of a table that is gone or goes. On PostgreSQL all of it goes with the table.
    pub(super) async fn drop_search(&self, name: &str, memory: &TableMemory, steps: &mut Steps) -> Result<(), DbErr> {
        let Some(search) = memory.search.as_ref().filter(|_| self.dialect == Dialect::Sqlite) else { return Ok(()) };
        if self.find(&search.table, None).await? != Found::Nothing {
            steps.search.push(self.drop_step(name, &search.table));
        }
        Ok(())
    }

    fn drop_step(&self, name: &str, called: &str) -> Step {
        let step = Step::new(format!("drop the search of {name}"), search::drop(name, called, self.dialect));
        step.lock(lock(self.dialect, Work::Define, name, Rows(0)))
    }

    /// Whether the words are those that are wanted, once columns have their new names.
    fn is_same(&self, remembered: &Search, wanted: &Search) -> bool {
        let former = |column| self.places.column(&wanted.table, column);
        remembered.rules == wanted.rules
            && remembered.columns.iter().map(String::as_str).eq(wanted.columns.iter().map(|column| former(column)))
    }

    async fn find(&self, called: &str, known: Option<Known<'_>>) -> Result<Found, DbErr> {
        let is_there = async |name: &str| {
            let kind = introspect::kind_of(self.conn, self.dialect, name).await?;
            Ok::<_, DbErr>(kind.is_some())
        };
        let (words, other) = match self.dialect {
            Dialect::Sqlite => {
                let words = is_there(&index::name(called)).await?;
                (words.then(|| called.to_owned()), is_there(&index::rows_name(called)).await?)
            }
            Dialect::Postgres => match known {
                Some(known) => (known.actual.words_index.clone(), known.actual.has_words),
                None => (None, false),
            },
        };
        Ok(match (words, other) {
            (Some(called), true) => Found::All(called),
            (None, false) => Found::Nothing,
            (Some(_), false) | (None, true) => Found::Part,
        })
    }
}

/// Whether another step gives the column other values.
fn is_rewritten(known: Known<'_>, column: &str, steps: &Steps) -> bool {
    let place = (known.wanted.name.clone(), column.to_owned());
    let effects = &steps.effects;
    known.actual.column(column).is_none() || effects.replaced.contains(&place) || effects.fills.contains_key(&place)
}
