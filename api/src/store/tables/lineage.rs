//! What a plan means for the events that are in the log already: an [`Era`], kept in `tandem_lineage`.

use std::collections::BTreeMap;

use entity::{head, lineage};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, PaginatorTrait};

use super::Error;
use super::memory::Memory;
use super::schema::{Schema, Table};
use crate::catalog::datum::now_micros;
use crate::catalog::lineage::{Era, FieldChange, Fill, TypeChange};

/// A column by table and name.
pub(super) type Place = (String, String);

/// What a plan does to the rows, by the names of after.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Columns whose values are dropped, although one of the same name is made.
    pub replaced: Vec<Place>,
    /// What rows get.
    pub fills: BTreeMap<Place, Fill>,
    /// Values of enums that become others.
    pub values: BTreeMap<Place, BTreeMap<String, String>>,
}

/// Compares what is remembered, under the names of after, with what is wanted.
pub(super) fn era(wanted: &Schema, memory: &Memory, effects: &Effects) -> Era {
    let mut era = Era::default();
    for (name, remembered) in &memory.tables {
        let Some(table) = wanted.tables.iter().find(|table| table.name == *name) else {
            era.types.insert(remembered.resource.clone(), TypeChange::default());
            continue;
        };
        let mut fields = BTreeMap::new();
        for (column, remembered) in &remembered.columns {
            let place = (name.clone(), column.clone());
            let values = effects.values.get(&place).cloned().unwrap_or_default();
            let found = table.column(column).filter(|_| !effects.replaced.contains(&place));
            let to = found.map(|column| column.field.clone());
            if to.as_ref() != Some(&remembered.field) || !values.is_empty() {
                fields.insert(remembered.field.clone(), FieldChange { to, values });
            }
        }
        if table.resource != remembered.resource || !fields.is_empty() {
            era.types.insert(remembered.resource.clone(), TypeChange { to: Some(table.resource.clone()), fields });
        }
    }
    for ((table, column), fill) in &effects.fills {
        let table = wanted.tables.iter().find(|wanted| wanted.name == *table);
        if let Some((table, column)) = table.and_then(|table: &Table| Some((table, table.column(column)?))) {
            let fields = era.fills.entry(table.resource.clone()).or_default();
            fields.insert(column.field.clone(), fill.clone());
        }
    }
    era
}

/// Adds an era that ends here. The tables that it speaks of must be locked: then all events about them are before the
/// position at which the head is now, and those that come are written by somebody who knows the new names.
pub(super) async fn write(conn: &impl ConnectionTrait, era: &Era) -> Result<(), Error> {
    if era.is_empty() {
        return Ok(());
    }
    let head = head::Entity::find().one(conn).await?;
    let head = head.ok_or_else(|| Error::Memory("tandem_head has no row".to_owned()))?;
    let count = lineage::Entity::find().count(conn).await?;
    let row = lineage::ActiveModel {
        id: Set(i32::try_from(count + 1).map_err(|_| Error::Memory("tandem_lineage has too many rows".to_owned()))?),
        position: Set(head.position),
        document: Set(serde_json::to_string(era).expect("its keys are strings")),
        applied_at: Set(now_micros()),
    };
    lineage::Entity::insert(row).exec_without_returning(conn).await?;
    Ok(())
}
