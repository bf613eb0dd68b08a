//! Columns that stay, with another type, or that may be null or not.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};

use super::super::column::{Change, ColumnType, Item};
use super::super::ddl::{self, quoted};
use super::super::hazard::{Work, lock};
use super::super::introspect::ActualColumn;
use super::super::schema::Column;
use super::super::{Dialect, Step, convert, probe};
use super::{Comparison, Known, Rebuild, Steps, field_name};

impl<C: ConnectionTrait> Comparison<'_, C> {
    /// Whether the column stays, so that the rest of it is of interest.
    pub(super) async fn change_type(
        &self,
        table: Known<'_>,
        column: &Column,
        actual: &ActualColumn,
        rebuild: &mut Rebuild,
        steps: &mut Steps,
    ) -> Result<bool, DbErr> {
        let name = &table.wanted.name;
        let Some(old) = table.memory.columns.get(&column.name).map(|c| &c.ty) else { return Ok(true) };
        if actual.sql_type != old.sql(self.dialect) {
            steps.columns.extend(changed_by_hand(name, column, actual, self.dialect));
            return Ok(true);
        }
        let title = format!("change {} of {name} from {old} to {}", column.name, column.ty);
        let step = self.convert(table, column, old, actual, Step::new(title, Vec::new())).await?;
        let step = match old.change_to(&column.ty) {
            Change::None => return Ok(true),
            Change::Widening => step,
            Change::Fitting => match self.misfits(name, column, old).await? {
                Some(misfits) => step.refused(misfits),
                None => step,
            },
            Change::Narrowing => {
                let allowed = format!("narrow:{}", field_name(table.wanted, column));
                match (self.misfits(name, column, old).await?, self.allowed.has(&allowed)) {
                    (Some(misfits), true) => Step { name: Some(allowed), ..step.refused(misfits) },
                    (Some(misfits), false) => step.refused(misfits),
                    (None, true) => step.named(allowed).caution("all rows fit, and it is allowed"),
                    (None, false) => step.named(allowed).refused(format!(
                        "{} does not hold all that {old} does. All rows fit: allow it if what is written from now on will",
                        column.ty
                    )),
                }
            }
            Change::Different => return self.replace(table, column, old, step, rebuild, steps).await,
        };
        if self.dialect == Dialect::Sqlite {
            let value = quoted(&column.name);
            if let Some(expression) = convert::expression(old, &column.ty, self.dialect, &value) {
                rebuild.values.insert(column.name.clone(), expression);
            }
            if rebuild.values.contains_key(&column.name) || old.sql(self.dialect) != column.ty.sql(self.dialect) {
                rebuild.reasons.push(format!("{} is {}", column.name, column.ty));
            }
        }
        steps.columns.push(step);
        Ok(true)
    }

    /// What PostgreSQL does for another type; SQLite rebuilds the table if anything is to be done.
    async fn convert(
        &self,
        table: Known<'_>,
        column: &Column,
        old: &ColumnType,
        actual: &ActualColumn,
        step: Step,
    ) -> Result<Step, DbErr> {
        let name = &table.wanted.name;
        let using = convert::expression(old, &column.ty, self.dialect, &quoted(&column.name));
        if self.dialect == Dialect::Sqlite || actual.sql_type == column.ty.sql(self.dialect) {
            return Ok(step);
        }
        // A default is of the old type, and only serves nodes that do not know the column.
        let mut sql: Vec<_> = actual.has_default.then(|| ddl::drop_default(name, &column.name)).into_iter().collect();
        sql.push(ddl::alter_type(name, column, using));
        let rows = probe::rows(self.conn, self.places.table(name)).await?;
        let work = if is_in_place(&old.item, &column.ty.item) { Work::Define } else { Work::Rewrite };
        let is_rewritten = matches!(work, Work::Rewrite) && rows.any();
        let step = Step { sql, ..step }.lock(lock(self.dialect, work, name, rows));
        Ok(if is_rewritten { step.caution("writes all rows and indexes again") } else { step })
    }

    /// Rows whose values the new type cannot hold, in words.
    async fn misfits(&self, table: &str, column: &Column, old: &ColumnType) -> Result<Option<String>, DbErr> {
        let values = match &column.ty.item {
            Item::Enum(name) => self.wanted.enums.get(name).map(|e| &e.values),
            _ => None,
        };
        let (none, place) = (BTreeSet::new(), quoted(self.places.column(table, &column.name)));
        let values = values.unwrap_or(&none);
        let Some(condition) = convert::misfit(old, &column.ty, self.dialect, &place, values) else { return Ok(None) };
        let found = probe::rows_where(self.conn, self.places.table(table), &condition).await?;
        Ok(found.map(|rows| format!("{} cannot hold what these rows have: {rows}. Change them first", column.ty)))
    }

    /// A column of a type that has nothing to do with the old one: dropped and made anew, if that is allowed.
    async fn replace(
        &self,
        table: Known<'_>,
        column: &Column,
        old: &ColumnType,
        step: Step,
        rebuild: &mut Rebuild,
        steps: &mut Steps,
    ) -> Result<bool, DbErr> {
        let field = field_name(table.wanted, column);
        let name = format!("drop:{field}");
        let is_allowed = self.allowed.has(&name);
        let loses = format!("the values of {field}: {old} and {} have nothing in common", column.ty);
        let instead = "Add the field under another name, and copy what is needed";
        steps.columns.push(self.lossy(Step { sql: Vec::new(), lock: None, ..step }, name, &loses, instead));
        if is_allowed {
            steps.effects.replaced.push((table.wanted.name.clone(), column.name.clone()));
            self.add(table, column, true, rebuild, steps).await?;
        }
        Ok(false)
    }

    pub(super) async fn change_null(
        &self,
        table: Known<'_>,
        column: &Column,
        actual: &ActualColumn,
        rebuild: &mut Rebuild,
        steps: &mut Steps,
    ) -> Result<(), DbErr> {
        if column.nullable == actual.nullable {
            return Ok(());
        }
        let name = &table.wanted.name;
        let (place, column_place) = (self.places.table(name), self.places.column(name, &column.name));
        let verb = if column.nullable { "may" } else { "may not" };
        let mut step = Step::new(format!("say that {} of {name} {verb} be null", column.name), Vec::new());
        let mut filler = None;
        if !column.nullable
            && let Some(nulls) =
                probe::rows_where(self.conn, place, &format!("{} IS NULL", quoted(column_place))).await?
        {
            filler = match self.filler_of_null(table.wanted, column, &nulls) {
                Ok(filler) => Some(filler),
                Err(unfilled) => {
                    steps.columns.push(unfilled.refuse(step));
                    return Ok(());
                }
            };
        }
        if let Some(filling) = filler.as_ref().and_then(super::fill::Filler::filling) {
            steps.effects.fills.entry((name.clone(), column.name.clone())).or_default().null = Some(filling);
        }
        let rows = probe::rows(self.conn, place).await?;
        match self.dialect {
            Dialect::Sqlite => {
                rebuild.reasons.push(format!("{} {verb} be null", column.name));
                if let Some(filler) = &filler {
                    let known = rebuild.values.remove(&column.name).unwrap_or_else(|| quoted(&column.name));
                    let value = filler.sql(self.dialect, &column.name, &column.ty, true);
                    rebuild.values.insert(column.name.clone(), format!("coalesce({known}, {value})"));
                }
            }
            Dialect::Postgres => {
                step.sql.extend(filler.as_ref().and_then(|f| f.update(name, &column.name, &column.ty)));
                step.sql.push(ddl::alter_null(name, column));
                let work = match &filler {
                    Some(_) => Work::Rewrite,
                    None if column.nullable => Work::Define,
                    None => Work::Check,
                };
                step = step.lock(lock(self.dialect, work, name, rows));
            }
        }
        if filler.is_some() {
            let name = format!("fill:{}", field_name(table.wanted, column));
            step = step.named(name).caution("the rows where it is null are filled, as allowed, without events");
        }
        if self.dialect == Dialect::Postgres || filler.is_some() {
            steps.columns.push(step);
        }
        Ok(())
    }
}

/// Whether PostgreSQL only changes the definition.
fn is_in_place(old: &Item, new: &Item) -> bool {
    match (old, new) {
        (Item::Decimal { precision, scale }, Item::Decimal { precision: new_precision, scale: new_scale }) => {
            scale == new_scale && precision <= new_precision
        }
        _ => false,
    }
}

/// If it is now as it is wanted, that is fine.
fn changed_by_hand(table: &str, column: &Column, actual: &ActualColumn, dialect: Dialect) -> Option<Step> {
    let wanted = column.ty.sql(dialect);
    if actual.sql_type == wanted {
        return None;
    }
    let back = match dialect {
        Dialect::Postgres => format!("change it back: {}", ddl::alter_type(table, column, None)),
        Dialect::Sqlite => "bring the table back from a backup, or drop the column".to_owned(),
    };
    let reason =
        format!("somebody changed its type: it is {} in the database instead of {wanted}; {back}", actual.sql_type);
    Some(Step::new(format!("use the column {} of {table}", column.name), Vec::new()).refused(reason))
}
