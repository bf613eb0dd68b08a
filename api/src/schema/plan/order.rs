//! The `orderBy` argument.

use serde_json::Value;

use super::context::{Context, bad_input};
use crate::catalog::{FieldId, Filter, Resource, ResourceId};
use crate::schema::document::GraphqlError;
use crate::store::read::OrderTerm;

/// Most terms of an order.
const MAX_TERMS: usize = 8;

/// Reads an order; it always ends in the id, so that it is total.
pub(crate) fn parse(
    context: &Context<'_>,
    resource: ResourceId,
    value: Option<&Value>,
) -> Result<Vec<OrderTerm>, GraphqlError> {
    let mut terms = Vec::new();
    for value in value.and_then(Value::as_array).into_iter().flatten() {
        terms.push(term(context, resource, value, Vec::new(), false)?);
    }
    if terms.len() > MAX_TERMS {
        return Err(bad_input(format!("orderBy has at most {MAX_TERMS} terms.")));
    }
    let is_id = |term: &OrderTerm| term.through.is_empty() && term.field == Resource::ID;
    match terms.iter().position(is_id) {
        // What comes after the id decides nothing.
        Some(i) => terms.truncate(i + 1),
        None => {
            terms.push(OrderTerm { through: Vec::new(), field: Resource::ID, is_descending: false, is_nullable: false })
        }
    }
    Ok(terms)
}

fn term(
    context: &Context<'_>,
    resource_id: ResourceId,
    value: &Value,
    mut through: Vec<(FieldId, Filter)>,
    is_nullable: bool,
) -> Result<OrderTerm, GraphqlError> {
    let resource = context.resource(resource_id);
    let wrong = || bad_input("Each item of orderBy names exactly one field.");
    let (name, value) = value.as_object().and_then(|object| object.iter().next()).ok_or_else(wrong)?;
    let field_id = resource.find(name).ok_or_else(wrong)?;
    context.check_name(resource_id, field_id)?;
    let field = resource.field(field_id);
    match field.to_one() {
        Some(target) => {
            let visible = context.visible(target);
            let is_nullable = is_nullable || field.nullable || visible != Filter::Const(true);
            through.push((field_id, visible));
            term(context, target, value, through, is_nullable)
        }
        None => Ok(OrderTerm {
            through,
            field: field_id,
            is_descending: value.as_str() == Some("DESC"),
            is_nullable: is_nullable || field.nullable,
        }),
    }
}
