//! The rows of a to-many field, as a mutation sees them.

use std::sync::Arc;

use uuid::Uuid;

use super::flush;
use super::state::State;
use crate::catalog::{FieldId, ResourceId, Row};
use crate::database::{Error, Sql};
use crate::store::rows;

/// Rows of one to-many field that a rule is judged by. A rule that hangs on more of them admits nobody.
const MAX_ROWS: usize = 10_000;

/// Why a rule cannot be judged.
pub(super) enum Unjudged {
    /// The database failed.
    Database(Error),
    /// It hangs on too many related rows.
    TooManyRows,
}

impl From<Error> for Unjudged {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl State<'_> {
    /// The rows whose to-one field `via` points at `parent`.
    pub(super) async fn list(
        &mut self,
        target: ResourceId,
        via: FieldId,
        parent: Uuid,
    ) -> Result<Vec<Arc<Row>>, Unjudged> {
        // They are looked up in the database, so it must know what this batch has done so far.
        flush::flush(self.transaction, self.catalog, self.take_writes()).await?;
        let resource = self.catalog.resource(target);
        let mut sql = Sql::text(self.transaction.dialect(), "SELECT ");
        rows::push_text(&mut sql, "t", resource);
        rows::push_from(&mut sql, "t", resource);
        sql.push(" WHERE ").column("t", &resource.field(via).column).push("=").bind(parent);
        sql.push(" LIMIT ").bind(MAX_ROWS as i64 + 1);
        let mut found = Vec::new();
        for record in self.transaction.query(sql).await? {
            let row = rows::decode(resource, &record.need_text(0)?)?;
            // What the mutation itself has done is still in memory only.
            if !self.is_staged((target, row.id())) {
                found.push(row);
            }
        }
        found.extend(self.staged_rows(target).filter(|row| row.get(via).as_uuid() == Some(parent)).cloned());
        if found.len() > MAX_ROWS {
            return Err(Unjudged::TooManyRows);
        }
        Ok(found)
    }
}
