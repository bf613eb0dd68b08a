//! Columns of a table that is already there: those that come, stay and go.

use sea_orm::{ConnectionTrait, DbErr};

use super::super::ddl::{self, quoted};
use super::super::hazard::{Rows, Work, lock};
use super::super::introspect::ActualColumn;
use super::super::schema::{Column, Fill};
use super::super::{Dialect, Step, probe};
use super::fill::Filler;
use super::{Comparison, Known, Rebuild, Steps, field_name};

impl<C: ConnectionTrait> Comparison<'_, C> {
    pub(super) async fn columns(
        &self,
        table: Known<'_>,
        rebuild: &mut Rebuild,
        steps: &mut Steps,
    ) -> Result<(), DbErr> {
        for column in &table.wanted.columns {
            let remembered = table.memory.columns.get(&column.name);
            match table.actual.column(&column.name) {
                Some(actual) if remembered.is_some() => {
                    if self.change_type(table, column, actual, rebuild, steps).await? {
                        self.change_null(table, column, actual, rebuild, steps).await?;
                    }
                }
                Some(actual) => {
                    steps.columns.push(adopt(&table.wanted.name, column, actual, self.dialect));
                    self.change_null(table, column, actual, rebuild, steps).await?;
                }
                None if remembered.is_some() || was_dropped(table, column) => {
                    self.remake(table, column, rebuild, steps).await?;
                }
                None => self.add(table, column, false, rebuild, steps).await?,
            }
            self.counter(table, column, steps).await?;
        }
        for actual in &table.actual.columns {
            if table.wanted.column(&actual.name).is_none() {
                self.leave(table, actual, rebuild, steps).await?;
            }
        }
        Ok(())
    }

    /// Adds a column. A replaced one is there with another type, and its values are dropped.
    pub(super) async fn add(
        &self,
        table: Known<'_>,
        column: &Column,
        is_replaced: bool,
        rebuild: &mut Rebuild,
        steps: &mut Steps,
    ) -> Result<(), DbErr> {
        let (wanted, name) = (table.wanted, &table.wanted.name);
        let rows = probe::rows(self.conn, self.places.table(name)).await?;
        let title = format!("add the column {} to {name}", column.name);
        let filler = match self.filler_of_new(wanted, column, rows.any()) {
            Ok(filler) => filler,
            Err(unfilled) => {
                let sql = vec![ddl::add_column(wanted, column, column.nullable, None, self.dialect)];
                steps.columns.push(unfilled.refuse(Step::new(title, sql)));
                return Ok(());
            }
        };
        if let Some(filling) = filler.filling() {
            steps.effects.fills.entry((name.clone(), column.name.clone())).or_default().absent = Some(filling);
        }
        let is_key = wanted.foreign_keys.iter().any(|key| key.column == column.name);
        let is_late = matches!(filler, Filler::CreatedAt | Filler::Numbers);
        let literal = match &filler {
            Filler::Literal(literal) => Some(literal),
            Filler::Nothing | Filler::CreatedAt | Filler::Numbers => None,
        };
        let mut sql = Vec::new();
        if self.dialect == Dialect::Sqlite && (is_replaced || is_late || is_key && literal.is_some()) {
            rebuild.values.insert(column.name.clone(), filler.sql(self.dialect, &column.name, &column.ty, false));
            rebuild.reasons.push(format!("{} is added", column.name));
        } else {
            if is_replaced {
                sql.push(ddl::drop_column(name, &column.name));
            }
            sql.push(ddl::add_column(wanted, column, column.nullable || is_late, literal, self.dialect));
            if is_late {
                sql.extend(filler.update(name, &column.name, &column.ty));
                sql.extend((!column.nullable).then(|| ddl::alter_null(name, column)));
            } else if is_key && literal.is_some() {
                // Only the rows of now point there.
                sql.push(ddl::drop_default(name, &column.name));
            }
        }
        let work = if is_late { Work::Rewrite } else { Work::Define };
        let step = Step::new(title, sql).lock(lock(self.dialect, work, name, rows));
        steps.columns.push(self.filled(step, &field_name(wanted, column), &filler, rows));
        Ok(())
    }

    /// What is to be said of a step that gives a column to the rows.
    fn filled(&self, step: Step, field: &str, filler: &Filler, rows: Rows) -> Step {
        let allowed = format!("fill:{field}");
        let what = match filler {
            Filler::CreatedAt => "get the time at which they were created".to_owned(),
            Filler::Numbers => "are numbered in the order in which they were created".to_owned(),
            Filler::Literal(literal) if self.allowed.has(&allowed) => format!("get {}, as allowed", literal.sql),
            Filler::Nothing | Filler::Literal(_) => return step,
        };
        let step = if self.allowed.has(&allowed) { step.named(allowed) } else { step };
        if rows.any() { step.caution(format!("the rows {what}, without events")) } else { step }
    }

    /// Makes a column again that somebody dropped.
    async fn remake(
        &self,
        table: Known<'_>,
        column: &Column,
        rebuild: &mut Rebuild,
        steps: &mut Steps,
    ) -> Result<(), DbErr> {
        let field = field_name(table.wanted, column);
        let name = format!("remake:{field}");
        let title = format!("make the column {} of {} again", column.name, table.wanted.name);
        if self.allowed.has(&name) {
            steps.columns.push(Step::new(title, Vec::new()).named(name).caution("its values are gone"));
            return self.add(table, column, false, rebuild, steps).await;
        }
        let reason = format!(
            "somebody dropped it, and the values of {field} with it. Bring the table back from a backup, take the field \
             out of the file, or let the column be made again as a new one"
        );
        steps.columns.push(Step::new(title, Vec::new()).named(name).refused(reason));
        Ok(())
    }

    /// Lets the counter of a column go on: under its name after a rename, or from the greatest number that is there.
    async fn counter(&self, table: Known<'_>, column: &Column, steps: &mut Steps) -> Result<(), DbErr> {
        if column.fill != Fill::Sequence {
            return Ok(());
        }
        let (name, counter) = (&table.wanted.name, field_name(table.wanted, column));
        let title = format!("go on counting {} of {name}", column.name);
        let remembered = table.memory.columns.get(&column.name);
        if let Some(remembered) = remembered.filter(|memory| memory.counted) {
            let old = format!("{}.{}", table.memory.resource, remembered.field);
            if old != counter {
                let sql = vec![
                    format!("DELETE FROM \"tandem_sequence\" WHERE \"name\" = '{counter}'"),
                    format!("UPDATE \"tandem_sequence\" SET \"name\" = '{counter}' WHERE \"name\" = '{old}'"),
                ];
                steps.counters.push(Step::new(title, sql));
            }
            return Ok(());
        }
        let place = self.places.table(name);
        let has_values = match table.actual.column(&column.name) {
            Some(_) => probe::has_values(self.conn, place, self.places.column(name, &column.name)).await?,
            None => !column.nullable && probe::rows(self.conn, place).await?.any(),
        };
        if has_values {
            let (greatest, column) =
                (if self.dialect == Dialect::Sqlite { "max" } else { "greatest" }, quoted(&column.name));
            let sql = format!(
                "INSERT INTO \"tandem_sequence\" (\"name\", \"value\") SELECT '{counter}', {greatest}(max({column}), 0) \
                 FROM {} WHERE true ON CONFLICT (\"name\") DO UPDATE SET \"value\" = \
                 {greatest}(\"tandem_sequence\".\"value\", excluded.\"value\")",
                quoted(name)
            );
            steps.counters.push(Step::new(title, vec![sql]));
        }
        Ok(())
    }

    /// A column that is not wanted: dropped if it is Tandem's and that is allowed; else no matter, if rows can be written.
    async fn leave(
        &self,
        table: Known<'_>,
        actual: &ActualColumn,
        rebuild: &mut Rebuild,
        steps: &mut Steps,
    ) -> Result<(), DbErr> {
        let (name, wanted) = (&actual.name, table.wanted);
        let Some(memory) = table.memory.columns.get(name) else {
            steps.columns.extend(foreign(&wanted.name, actual, &mut steps.notes));
            return Ok(());
        };
        let field = format!("{}.{}", wanted.resource, memory.field);
        let allowed = format!("drop:{field}");
        let mut sql = Vec::new();
        // SQLite drops no column that a foreign key is of.
        if self.dialect == Dialect::Sqlite && table.actual.foreign_key(name).is_some() {
            rebuild.reasons.push(format!("{name} is gone"));
        } else {
            sql.push(ddl::drop_column(&wanted.name, name));
        }
        if memory.counted {
            let counter = format!("{}.{}", table.memory.resource, memory.field);
            sql.push(format!("DELETE FROM \"tandem_sequence\" WHERE \"name\" = '{counter}'"));
        }
        let rows = probe::rows(self.conn, self.places.table(&wanted.name)).await?;
        let step = Step::new(format!("drop the column {name} of {}", wanted.name), sql);
        let step = step.lock(lock(self.dialect, Work::Define, &wanted.name, rows));
        let instead = format!("The file has no {field} any more: put it back");
        steps.drops.push(self.lossy(step, allowed, &format!("the values of {field}"), &instead));
        Ok(())
    }
}

/// Whether the column that this one is to be renamed from is gone.
fn was_dropped(table: Known<'_>, column: &Column) -> bool {
    let old = column.renamed_from.as_deref().and_then(|old| table.memory.column_of(old));
    old.is_some_and(|old| table.actual.column(old).is_none() && table.wanted.column(old).is_none())
}

fn foreign(table: &str, actual: &ActualColumn, notes: &mut Vec<String>) -> Option<Step> {
    let name = &actual.name;
    if actual.nullable || actual.has_default {
        notes.push(format!("the column {name} of {table} is not Tandem's; it is left alone"));
        return None;
    }
    let reason =
        format!("its column {name}, which Tandem did not make, may not be null and has no default: give it one");
    Some(Step::new(format!("write rows to {table}"), Vec::new()).refused(reason))
}

/// A column that is wanted and there, but not remembered: made by hand.
fn adopt(table: &str, column: &Column, actual: &ActualColumn, dialect: Dialect) -> Step {
    let step = Step::new(format!("take over the column {} of {table}", column.name), Vec::new());
    let wanted = column.ty.sql(dialect);
    if actual.sql_type == wanted {
        return step.caution(format!("Tandem did not make it: it must hold nothing that is no {}", column.ty));
    }
    step.refused(format!("Tandem did not make it, and its type is {} instead of {wanted}", actual.sql_type))
}
