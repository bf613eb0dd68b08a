//! SQLite cannot alter most things of a table: a new one takes its place.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr};

use super::super::ddl;
use super::super::hazard::{Work, lock};
use super::super::introspect::Dependent;
use super::super::schema::Index;
use super::super::{Dialect, Step, probe};
use super::{Comparison, Known, Steps};

/// Why a table must be rebuilt, which it need not if there are no reasons.
#[derive(Debug, Default)]
pub(super) struct Rebuild {
    /// Each goes on after "so that".
    pub reasons: Vec<String>,
    /// In SQL, the values of columns that are not just copied.
    pub values: BTreeMap<String, String>,
}

impl<C: ConnectionTrait> Comparison<'_, C> {
    /// One rebuild for all reasons.
    pub(super) async fn rebuild(&self, table: Known<'_>, rebuild: Rebuild, steps: &mut Steps) -> Result<(), DbErr> {
        if rebuild.reasons.is_empty() {
            return Ok(());
        }
        let name = &table.wanted.name;
        // The new table has no columns that are not wanted.
        let dropped: Vec<_> = table.actual.columns.iter().map(|column| ddl::drop_column(name, &column.name)).collect();
        for step in steps.drops.iter_mut().filter(|step| step.sql.iter().any(|sql| dropped.contains(sql))) {
            step.sql.retain(|sql| !dropped.contains(sql));
            step.lock = None;
        }
        let rows = probe::rows(self.conn, self.places.table(name)).await?;
        let title = format!("rebuild {name}, so that {}", rebuild.reasons.join(" and "));
        let (again, lost): (Vec<_>, Vec<_>) = table
            .actual
            .dependents
            .iter()
            .filter(|dependent| !steps.index_drops.iter().any(|step| step.sql == [ddl::drop_index(&dependent.name)]))
            .map(|dependent| (dependent, self.again(table, dependent)))
            .partition(|(_, sql)| sql.is_some());
        let sql = ddl::rebuild(table.wanted, &rebuild.values, again.into_iter().filter_map(|(_, sql)| sql).collect());
        let step = Step::new(title, sql).lock(lock(Dialect::Sqlite, Work::Rewrite, name, rows));
        let is_ours = |column: &str| table.wanted.column(column).is_some() || table.memory.columns.contains_key(column);
        let foreign = table.actual.columns.iter().find(|c| !is_ours(&c.name));
        steps.columns.push(match (foreign, lost.first()) {
            (Some(foreign), _) => step.refused(format!(
                "LOSES DATA: the column {} is not Tandem's, and would go. Drop it by hand, or rebuild the table by hand",
                foreign.name
            )),
            (None, Some((dependent, _))) => step.refused(format!(
                "{} is not Tandem's, and cannot be made again under the new names. Drop it, or rename first and do the \
                 rest later",
                dependent.name
            )),
            (None, None) if rows.any() => step.caution("copies the table, which takes the more disk the more rows it has"),
            (None, None) => step,
        });
        steps.rebuilt.push(name.clone());
        Ok(())
    }

    /// The statement that makes an index or a trigger again after the rebuild; `None` if nobody knows it.
    fn again(&self, table: Known<'_>, dependent: &Dependent) -> Option<String> {
        let index = table.actual.index(&dependent.name);
        match index.filter(|_| table.memory.indexes.contains(&dependent.name)) {
            Some(index) => {
                let (name, columns, unique) = (index.name.clone(), index.columns.clone(), index.unique);
                Some(ddl::create_index(&table.wanted.name, &Index { name, columns, unique }))
            }
            // As it was written, with the names that it was written with.
            None => (!self.places.is_renamed(&table.wanted.name)).then(|| dependent.sql.clone()),
        }
    }
}
