//! Reading rows by something else than their ids: those that match a filter, and those that point at other ones.
//!
//! These are looked up in the database, so everything before must have been flushed. What is found is locked.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use super::state::{BoxFutureLocal, State, push_in_ids};
use crate::catalog::{FieldId, FieldType, Filter, Needs, OnDelete, Resource, ResourceId, Row};
use crate::database::{Dialect, Error, Sql};
use crate::store::predicate::{self, Aliases};
use crate::store::rows;

impl State<'_> {
    /// Those of these rows that match, in the order of their ids.
    pub(super) async fn matching(
        &mut self,
        resource_id: ResourceId,
        filter: &Filter,
        among: &[Uuid],
    ) -> Result<Vec<Arc<Row>>, Error> {
        if among.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = self.select(resource_id);
        sql.column("t", &self.catalog.resource(resource_id).field(Resource::ID).column);
        push_in_ids(&mut sql, among);
        sql.push(" AND ");
        predicate::push(&mut sql, &mut Aliases::default(), self.catalog, resource_id, "t", filter);
        self.locked(resource_id, sql, among.len(), " FOR NO KEY UPDATE OF t").await
    }

    /// The rows whose to-one field `via` points at one of the targets, in the order of their ids, at most `limit` of them.
    pub(super) async fn referencing(
        &mut self,
        resource_id: ResourceId,
        via: FieldId,
        targets: &[Uuid],
        limit: usize,
    ) -> Result<Vec<Arc<Row>>, Error> {
        let mut sql = self.select(resource_id);
        sql.column("t", &self.catalog.resource(resource_id).field(via).column);
        push_in_ids(&mut sql, targets);
        self.locked(resource_id, sql, limit, " FOR UPDATE OF t").await
    }

    /// The to-one fields that point at rows of this resource.
    pub(super) fn references(&self, target: ResourceId) -> Vec<(ResourceId, FieldId, OnDelete)> {
        let mut found = Vec::new();
        for (resource_id, resource) in self.catalog.resources() {
            for (field_id, field) in resource.fields() {
                if let FieldType::ToOne { target: to, on_delete } = field.ty
                    && to == target
                {
                    found.push((resource_id, field_id, on_delete));
                }
            }
        }
        found
    }

    /// Reads the related rows that judging these rows will ask for, in one statement for each relation.
    pub(super) fn load_related<'s>(
        &'s mut self,
        resource: ResourceId,
        rows: &'s [Arc<Row>],
        needs: &'s Needs,
    ) -> BoxFutureLocal<'s, Result<(), Error>> {
        Box::pin(async move {
            for (field, needs) in &needs.related {
                let target = self.catalog.resource(resource).field(*field).to_one().expect("needs name to-one fields");
                let ids: HashSet<Uuid> = rows.iter().filter_map(|row| row.get(*field).as_uuid()).collect();
                self.load(target, &ids, false).await?;
                let mut related = Vec::with_capacity(ids.len());
                for id in ids {
                    related.extend(self.row((target, id), false).await?);
                }
                self.load_related(target, &related, needs).await?;
            }
            Ok(())
        })
    }

    fn select(&self, resource: ResourceId) -> Sql {
        let resource = self.catalog.resource(resource);
        let mut sql = Sql::text(self.transaction.dialect(), "SELECT ");
        rows::push_text(&mut sql, "t", resource);
        rows::push_from(&mut sql, "t", resource);
        sql.push(" WHERE ");
        sql
    }

    async fn locked(
        &mut self,
        resource_id: ResourceId,
        mut sql: Sql,
        limit: usize,
        lock: &str,
    ) -> Result<Vec<Arc<Row>>, Error> {
        let resource = self.catalog.resource(resource_id);
        sql.push(" ORDER BY ").column("t", &resource.field(Resource::ID).column);
        sql.push(" LIMIT ").bind(i64::try_from(limit).unwrap_or(i64::MAX));
        if self.transaction.dialect() == Dialect::Postgres {
            sql.push(lock);
        }
        let mut found = Vec::new();
        for record in self.transaction.query(sql).await? {
            found.push(rows::decode(resource, &record.need_text(0)?)?);
        }
        self.remember(resource_id, &found);
        Ok(found)
    }
}
