//! Tables that come and go.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};

use super::super::hazard::{Rows, Work, lock};
use super::super::schema::Table;
use super::super::{Dialect, Step, ddl, probe};
use super::{Comparison, Known, Steps};

impl<C: ConnectionTrait> Comparison<'_, C> {
    pub(super) async fn table(&self, wanted: &Table, steps: &mut Steps) -> Result<(), DbErr> {
        let create = || {
            let indexes = wanted.indexes.iter().map(|index| ddl::create_index(&wanted.name, index));
            let table = ddl::create_table(wanted, &wanted.name, self.dialect);
            std::iter::once(table).chain(indexes).collect::<Vec<_>>()
        };
        let title = format!("create the table {} for {}", wanted.name, wanted.resource);
        if ["tandem_", "sqlite_"].iter().any(|reserved| wanted.name.starts_with(reserved)) {
            let reason = "tables whose names begin with tandem_ or sqlite_ are not for resources: give it another name";
            steps.tables.push(Step::new(title, Vec::new()).refused(reason));
            return Ok(());
        }
        let foreign = match (self.actual.tables.get(&wanted.name), self.memory.tables.get(&wanted.name)) {
            (Some(actual), Some(memory)) => return self.known(Known { wanted, memory, actual }, steps).await,
            (Some(_), None) => Some("table"),
            (None, _) => self.actual.others.get(&wanted.name).map(String::as_str),
        };
        let step = Step::new(title, create());
        if let Some(kind) = foreign {
            let reason = format!(
                "there is already a {kind} of this name, which Tandem did not make: rename it, or the resource {}",
                wanted.resource
            );
            steps.tables.push(step.refused(reason));
            return Ok(());
        }
        let step = if self.was_dropped(wanted) { self.remake_table(wanted, step) } else { step };
        steps.tables.push(step);
        if self.dialect == Dialect::Postgres {
            for key in &wanted.foreign_keys {
                steps.foreign_keys.push(self.add_foreign_key(wanted, key, false).await?);
            }
        }
        self.search(wanted, None, steps).await
    }

    /// Whether Tandem made the table, perhaps under another name, and it is gone.
    fn was_dropped(&self, wanted: &Table) -> bool {
        let former = || self.memory.table_of(wanted.renamed_from.as_deref()?);
        let is_kept = |former: &str| self.actual.tables.contains_key(former);
        self.memory.tables.contains_key(&wanted.name) || former().is_some_and(|former| !is_kept(former))
    }

    fn remake_table(&self, wanted: &Table, step: Step) -> Step {
        let name = format!("remake:{}", wanted.resource);
        let step = Step { title: format!("make the table {} again", wanted.name), ..step }.named(&name);
        match self.allowed.has(&name) {
            true => step.caution("its rows are gone"),
            false => step.refused(
                "somebody dropped it, with all its rows. Bring it back from a backup, take the type out of the file, or \
                 let the table be made again, empty",
            ),
        }
    }

    /// Tandem's tables whose resource is not in the file any more. Those that are gone already are just forgotten.
    pub(super) async fn dropped_tables(&self, steps: &mut Steps) -> Result<(), DbErr> {
        let is_wanted = |name: &str| self.wanted.tables.iter().any(|table| table.name == name);
        for (name, memory) in self.memory.tables.iter().filter(|(name, _)| !is_wanted(name)) {
            self.drop_search(name, memory, steps).await?;
        }
        let is_dropped = |name: &str| !is_wanted(name) && self.actual.tables.contains_key(name);
        let dropped: BTreeSet<_> = self.memory.tables.keys().map(String::as_str).filter(|n| is_dropped(n)).collect();
        for name in &dropped {
            let (Some(memory), Some(actual)) = (self.memory.tables.get(*name), self.actual.tables.get(*name)) else {
                continue;
            };
            let mut sql = Vec::new();
            // Tables that go together may point at each other.
            if self.dialect == Dialect::Postgres {
                let keys = actual.foreign_keys.iter().filter(|key| dropped.contains(key.target.as_str()));
                sql.extend(keys.filter_map(|key| Some(ddl::drop_constraint(name, key.name.as_ref()?))));
            }
            let constraints = std::mem::replace(&mut sql, vec![ddl::drop_table(name)]);
            let counted = memory.columns.values().filter(|column| column.counted);
            sql.extend(counted.map(|column| {
                format!("DELETE FROM \"tandem_sequence\" WHERE \"name\" = '{}.{}'", memory.resource, column.field)
            }));
            let resource = &memory.resource;
            let rows = probe::rows(self.conn, name).await?;
            if !constraints.is_empty() {
                let title = format!("release {name} from the tables that are dropped with it");
                let step = Step::new(title, constraints);
                steps.index_drops.push(step.lock(lock(self.dialect, Work::Define, name, Rows(0))));
            }
            let step =
                Step::new(format!("drop the table {name}"), sql).lock(lock(self.dialect, Work::Define, name, rows));
            let loses = match rows.any() {
                true => format!("all rows of {resource}; {}", counted_rows(rows)),
                false => format!("{resource}, which has no rows now"),
            };
            let instead = format!("The file has no {resource} any more: put it back");
            steps.drops.push(self.lossy(step, format!("drop:{resource}"), &loses, &instead));
        }
        Ok(())
    }
}

fn counted_rows(rows: Rows) -> String {
    format!("{rows} there")
}
