//! What planning knows: the catalog, the operation and who is asking.

use std::cell::Cell;

use serde_json::Value;

use crate::auth::{Principal, rules};
use crate::catalog::{Catalog, FieldId, Filter, Operation as RowOperation, Resource, ResourceId};
use crate::schema::document::{ErrorCode, GraphqlError, Operation, Selected};
use crate::store::bound_values;

/// Rows that one request may ask for: the sum over its lists of the product of page sizes on the way there.
pub(crate) const MAX_COST: u64 = 20_000;

/// Values that the filters of one request may compare with, those of long lists left out. SQLite binds at most 32,766 in
/// one statement.
const MAX_FILTER_VALUES: usize = 20_000;

/// Slots that one object may have. PostgreSQL's JSON functions take at most 100 arguments.
const MAX_SLOTS: usize = 90;

/// Passed to everything that plans.
pub(crate) struct Context<'d> {
    pub(crate) catalog: &'d Catalog,
    pub(crate) operation: &'d Operation<'d>,
    pub(crate) principal: &'d Principal,
    /// Whether a field that the caller may not read is an error of planning and not of each response.
    is_strict: bool,
    cost: Cell<u64>,
    filter_values: Cell<usize>,
    /// Rows around the object that is being planned: the product of the page sizes of the lists that it is in.
    multiplier: Cell<u64>,
}

impl<'d> Context<'d> {
    pub(crate) fn new(catalog: &'d Catalog, operation: &'d Operation<'d>, principal: &'d Principal) -> Self {
        Self {
            catalog,
            operation,
            principal,
            is_strict: false,
            cost: Cell::new(0),
            filter_values: Cell::new(0),
            multiplier: Cell::new(1),
        }
    }

    /// For a webhook's document: it may select only what its owner may read in every row, so that its owner learns of a
    /// mistake when it is registered and not from each message.
    pub(crate) fn strict(catalog: &'d Catalog, operation: &'d Operation<'d>, principal: &'d Principal) -> Self {
        Self { is_strict: true, ..Self::new(catalog, operation, principal) }
    }

    /// Refuses to select a field that the caller may not read, if this document must not.
    pub(crate) fn check_selection(&self, resource: ResourceId, field: FieldId) -> Result<(), GraphqlError> {
        if self.is_strict { self.check_name(resource, field) } else { Ok(()) }
    }

    pub(crate) fn resource(&self, id: ResourceId) -> &'d Resource {
        self.catalog.resource(id)
    }

    /// Which rows of a resource the caller may see.
    pub(crate) fn visible(&self, resource: ResourceId) -> Filter {
        rules::row_filter(self.catalog, resource, RowOperation::Read, self.principal)
    }

    /// Refuses to name a field that the caller may not read in every row.
    pub(crate) fn check_name(&self, resource: ResourceId, field: FieldId) -> Result<(), GraphqlError> {
        if rules::may_name(self.catalog, resource, field, self.principal) {
            return Ok(());
        }
        let resource = self.resource(resource);
        let message = format!("You may not name the field {} of {}.", resource.field(field).name, resource.name);
        Err(GraphqlError::new(ErrorCode::Forbidden, message))
    }

    /// Plans what is inside a list of this size.
    ///
    /// # Errors
    /// If the request would then ask for too many rows.
    pub(crate) fn within<T>(
        &self,
        page_size: u32,
        plan: impl FnOnce() -> Result<T, GraphqlError>,
    ) -> Result<T, GraphqlError> {
        self.charge(page_size)?;
        self.inside(page_size, plan)
    }

    /// Counts a list of this size.
    ///
    /// # Errors
    /// If the request would then ask for too many rows.
    pub(crate) fn charge(&self, page_size: u32) -> Result<(), GraphqlError> {
        let cost = self.cost.get().saturating_add(self.multiplier.get().saturating_mul(page_size.into()));
        self.cost.set(cost);
        if cost > MAX_COST {
            let message = format!(
                "The request asks for up to {cost} rows; at most {MAX_COST} are allowed. Ask for smaller pages with first or last."
            );
            return Err(GraphqlError::new(ErrorCode::CostLimitExceeded, message));
        }
        Ok(())
    }

    /// Plans what is inside a list of this size that has been counted.
    pub(crate) fn inside<T>(
        &self,
        page_size: u32,
        plan: impl FnOnce() -> Result<T, GraphqlError>,
    ) -> Result<T, GraphqlError> {
        let around = self.multiplier.get();
        self.multiplier.set(around.saturating_mul(page_size.into()).max(1));
        let result = plan();
        self.multiplier.set(around);
        result
    }

    /// Counts what a filter is compared with, rights included.
    pub(crate) fn charge_filter(&self, filter: &Filter) -> Result<(), GraphqlError> {
        let values = self.filter_values.get().saturating_add(bound_values(filter));
        self.filter_values.set(values);
        if values > MAX_FILTER_VALUES {
            let message = format!("The filters of the request have more than {MAX_FILTER_VALUES} values.");
            return Err(GraphqlError::new(ErrorCode::CostLimitExceeded, message));
        }
        Ok(())
    }

    /// Refuses an object with too many parts.
    pub(crate) fn check_slots(&self, slots: usize) -> Result<(), GraphqlError> {
        if slots > MAX_SLOTS {
            let message = format!("At most {MAX_SLOTS} different fields of one object can be selected.");
            return Err(GraphqlError::new(ErrorCode::CostLimitExceeded, message));
        }
        Ok(())
    }

    /// The arguments of a field.
    pub(crate) fn arguments(&self, field: &Selected<'d>) -> Result<Arguments, GraphqlError> {
        Ok(Arguments(self.operation.arguments(field)?))
    }
}

/// The coerced arguments of a field, or the fields of an input object. Null counts as left out.
#[derive(Debug)]
pub(crate) struct Arguments(pub(crate) serde_json::Map<String, Value>);

impl Arguments {
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    /// The texts of a list of strings or enum values.
    pub(crate) fn texts(&self, name: &str) -> Option<Vec<&str>> {
        Some(self.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect())
    }
}

/// An error about an argument's value.
pub(crate) fn bad_input(message: impl Into<String>) -> GraphqlError {
    GraphqlError::new(ErrorCode::BadUserInput, message)
}
