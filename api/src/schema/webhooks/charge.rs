//! What root fields about webhooks cost: the rows of the pages that they ask for.

use crate::schema::document::{GraphqlError, Operation, Selected};
use crate::schema::plan::Context;
use crate::schema::plan::connection::page_size;

/// Counts the rows that a root field about webhooks asks for, before it runs.
///
/// # Errors
/// If the request then asks for too many.
pub(crate) fn charge(context: &Context<'_>, selected: &Selected<'_>) -> Result<(), GraphqlError> {
    let operation = context.operation;
    match selected.name {
        "webhook" | "node" => charge_deliveries(context, selected),
        "webhooks" => {
            let (limit, _) = page_size(&context.arguments(selected)?)?;
            context.within(limit, || {
                let nodes = node_selection(operation, selected, "WebhookConnection", "WebhookEdge");
                nodes.iter().try_for_each(|node| charge_deliveries(context, node))
            })
        }
        name => {
            let (first, rest) = name.split_at(1);
            let payload = format!("{}{rest}Payload", first.to_ascii_uppercase());
            let fields = operation.sub_fields(selected, &payload);
            fields
                .iter()
                .filter(|field| field.name == "webhook")
                .try_for_each(|field| charge_deliveries(context, field))
        }
    }
}

pub(crate) fn charge_deliveries(context: &Context<'_>, webhook: &Selected<'_>) -> Result<(), GraphqlError> {
    let fields = context.operation.sub_fields(webhook, "Webhook");
    fields.iter().filter(|field| field.name == "deliveries").try_for_each(|field| {
        let (limit, _) = page_size(&context.arguments(field)?)?;
        context.within(limit, || Ok(()))
    })
}

/// The selections of a connection's nodes, under `nodes` and `edges`.
pub(super) fn node_selection<'s>(
    operation: &'s Operation<'s>,
    selected: &Selected<'s>,
    connection: &str,
    edge: &str,
) -> Vec<Selected<'s>> {
    let mut found = Vec::new();
    for field in operation.sub_fields(selected, connection) {
        match field.name {
            "nodes" => found.push(field),
            "edges" => {
                let fields = operation.sub_fields(&field, edge);
                found.extend(fields.into_iter().filter(|field| field.name == "node"));
            }
            _ => {}
        }
    }
    found
}
