//! Reading rows: a tree of what is wanted becomes one statement, and what it gives becomes a tree of values.
//!
//! However deep a query nests, each root field is one statement, so all of its parts come from one snapshot; the
//! position of the log in that snapshot is read along with it.
//!
//! - [`shape`]: what is wanted
//! - [`aggregate`], [`grouping`]: numbers about all rows that match, and about groups of them
//! - `statement`: as SQL; `keyset`: its order and cursors; `summary`: what it says of all rows that match
//! - `part`: the form of what it gives
//! - `decode`: what came back; `scan`: part by part; `layout`: which parts
//! - `from_image`: the same tree, of an event's image

pub mod aggregate;
mod decode;
mod from_image;
pub mod grouping;
mod keyset;
mod layout;
mod part;
mod scan;
pub mod shape;
pub(super) mod statement;
mod summary;

use entity::Position;
use uuid::Uuid;

pub use aggregate::{Aggregate, Aggregated};
pub use decode::{Node, Page, Summary};
pub use from_image::from_image;
pub use grouping::{DatePart, Group, GroupKey, GroupPage, Grouping};
pub use shape::{List, OrderTerm, Paging, Shape, Slot};

use crate::catalog::{Catalog, Datum, FieldId, Filter, ResourceId};
use crate::database::{Database, Error};

/// Reads the one row that matches the filter, in this shape, and the position of the log at which it is so.
pub async fn one(
    database: &Database,
    catalog: &Catalog,
    shape: &Shape,
    filter: &Filter,
) -> Result<Option<(Vec<Node>, Position)>, Error> {
    let sql = statement::one(database.dialect(), catalog, shape, filter);
    let Some(record) = database.look_up(sql).await? else { return Ok(None) };
    let whole = record.whole(1)?.ok_or_else(|| Error::Corrupt("a row has no parts".to_owned()))?;
    let nodes = decode::object(catalog, shape, whole)?;
    Ok(Some((nodes, Position::new(record.need_int(0)?)?)))
}

/// Reads a list, of all rows or of those of one parent. Equal ones that wait together are read once.
pub async fn list(database: &Database, catalog: &Catalog, list: &List, parent: Option<Uuid>) -> Result<Page, Error> {
    let records = database.query_shared(statement::list(database.dialect(), catalog, list, parent)).await?;
    let record = records.first().ok_or_else(|| Error::Corrupt("a list gave no row".to_owned()))?;
    let (rows, total, summary) = (record.whole(1)?, record.int(2)?, record.whole(3)?);
    let mut page = decode::page(catalog, list, rows, total, summary)?;
    page.position = Some(Position::new(record.need_int(0)?)?);
    Ok(page)
}

/// The ids of the rows that match, in their order, at most `limit` of them.
pub async fn matching(
    database: &Database,
    catalog: &Catalog,
    resource: ResourceId,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Uuid>, Error> {
    if *filter == Filter::Const(false) {
        return Ok(Vec::new());
    }
    let records = database.query(statement::matching(database.dialect(), catalog, resource, filter, limit)).await?;
    records.iter().map(|record| record.need_uuid(0)).collect()
}

/// A filter for the row with these values of some fields.
pub fn by_values(values: impl IntoIterator<Item = (FieldId, Datum)>) -> Filter {
    use crate::catalog::filter::{CompareOp, Test};
    let tests = values.into_iter().map(|(field, value)| Filter::Field(field, Test::Compare(CompareOp::Eq, value)));
    tests.fold(Filter::Const(true), Filter::and)
}

/// The type of the column at the end of an order term.
pub(crate) fn order_type<'c>(
    catalog: &'c Catalog,
    resource: ResourceId,
    term: &OrderTerm,
) -> &'c crate::catalog::FieldType {
    let mut resource = catalog.resource(resource);
    for (field, _) in &term.through {
        resource = catalog.resource(resource.field(*field).to_one().expect("an order goes through to-one fields"));
    }
    &resource.field(term.field).ty
}
