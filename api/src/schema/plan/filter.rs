//! The `filter` argument.

use serde_json::Value;

use super::context::{Context, bad_input};
use crate::catalog::{Filter, ResourceId};
use crate::schema::document::GraphqlError;

/// Reads a client's filter on the rows of a resource.
///
/// A client must not learn through a filter what it may not read: fields it may not read are refused, and related rows
/// it may not see do not exist.
pub(crate) fn parse(
    context: &Context<'_>,
    resource: ResourceId,
    value: Option<&Value>,
) -> Result<Filter, GraphqlError> {
    let Some(value) = value else { return Ok(Filter::Const(true)) };
    let filter = Filter::parse(context.catalog, resource, value).map_err(|error| {
        let path = error.path.iter().map(|name| format!(".{name}")).collect::<String>();
        bad_input(format!("filter{path}: {}", error.message))
    })?;
    let filter = guard(context, resource, filter)?;
    context.charge_filter(&filter)?;
    Ok(filter)
}

fn guard(context: &Context<'_>, resource: ResourceId, filter: Filter) -> Result<Filter, GraphqlError> {
    let all = |filters: Vec<Filter>| filters.into_iter().map(|f| guard(context, resource, f)).collect::<Result<_, _>>();
    Ok(match filter {
        Filter::Const(value) => Filter::Const(value),
        Filter::And(filters) => Filter::And(all(filters)?),
        Filter::Or(filters) => Filter::Or(all(filters)?),
        Filter::Not(filter) => Filter::Not(Box::new(guard(context, resource, *filter)?)),
        Filter::Field(field, test) => {
            context.check_name(resource, field)?;
            Filter::Field(field, test)
        }
        Filter::Related(field, filter) => {
            context.check_name(resource, field)?;
            let target = context.resource(resource).field(field).to_one().expect("a related filter has a target");
            Filter::Related(field, Box::new(context.visible(target).and(guard(context, target, *filter)?)))
        }
        Filter::Exists(field, filter) => {
            context.check_name(resource, field)?;
            let (target, _) = context.resource(resource).field(field).to_many().expect("an exists filter has a target");
            Filter::Exists(field, Box::new(context.visible(target).and(guard(context, target, *filter)?)))
        }
    })
}
