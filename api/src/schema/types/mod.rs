//! Catalog → the types of the API as SDL, by way of async-graphql's dynamic schema.
//!
//! The types hold no behaviour: operations are run by Tandem's own engine, which validates documents against the SDL
//! and works from the catalog. What both have to agree on, names and nullability, is in [`names`]. Every type, field,
//! argument and value has a description, from the resource file where it has one.
//!
//! - `builder`: types as SDL writes them, checked for names that come twice
//! - `describe`: sentences for what the resource file does not describe
//! - `roots`, `resources`, [`aggregates`], `inputs`, `batches`, `filters`: what is generated for the resources of the file
//! - `shared`, `webhooks`: what is the same for every resource file
//! - `sdl`: printing

pub mod aggregates;
mod batches;
mod builder;
mod describe;
mod filters;
mod inputs;
pub mod names;
mod resources;
mod roots;
mod sdl;
mod shared;
mod webhook_operations;
mod webhooks;

#[cfg(test)]
pub(crate) mod tests;

pub use self::batches::MAX_ITEMS;
use self::builder::Builder;
use crate::catalog::{Catalog, FieldType, ResourceId};

const QUERY: &str = "Query";
const MUTATION: &str = "Mutation";
const SUBSCRIPTION: &str = "Subscription";

/// The types of the API of one catalog.
#[derive(Debug)]
pub struct Api {
    /// As SDL, in a readable order that depends on the catalog alone.
    pub sdl: String,
}

/// Why a catalog has no API.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Names that are made from the resource file come twice; one sentence each.
    #[error("the resource file leads to names that come twice: {}", .0.join("; "))]
    Conflicts(Vec<String>),
    /// The types do not fit together, which no checked catalog leads to.
    #[error("the generated types are not valid: {0}")]
    Invalid(String),
}

/// Makes the types.
pub fn build(catalog: &Catalog) -> Result<Api, Error> {
    let mut builder = Builder::default();
    roots::add_query(&mut builder, catalog);
    roots::add_mutation(&mut builder, catalog);
    roots::add_subscription(&mut builder, catalog);
    for (id, _) in catalog.resources() {
        add_resource(&mut builder, catalog, id);
    }
    for (_, ty) in catalog.enums() {
        // One that only private fields use is not part of the API.
        if builder.uses(&ty.name) {
            let describe = |value: &crate::catalog::EnumValue| {
                value.description.clone().unwrap_or_else(|| describe::enum_value(&value.name))
            };
            let values = ty.values.iter().map(|value| (value.name.clone(), describe(value)));
            let text = ty.description.clone().unwrap_or_else(|| format!("The {}.", describe::words(&ty.name)));
            builder.enumeration(&ty.name, text, values);
        }
    }
    shared::add_changes(&mut builder);
    webhooks::add(&mut builder);
    webhook_operations::add(&mut builder);
    shared::add_common(&mut builder);
    filters::add_columns(&mut builder, catalog);
    shared::add_order_direction(&mut builder);
    if builder.uses(shared::BATCH_MODE) {
        shared::add_batch_mode(&mut builder);
    }
    shared::add_scalars(&mut builder);
    let (schema, order) = builder.finish()?;
    let sdl = sdl::print(&schema, &order)?;
    Ok(Api { sdl })
}

fn add_resource(builder: &mut Builder, catalog: &Catalog, id: ResourceId) {
    let is_root = catalog.resource(id).root;
    resources::add_object(builder, catalog, id);
    if is_root || is_listed(catalog, id) {
        resources::add_connection(builder, catalog, id);
        aggregates::add_aggregate(builder, catalog.resource(id));
        aggregates::add_groups(builder, catalog, id);
    }
    if is_root {
        inputs::add_by(builder, catalog, id);
    }
    filters::add_resource(builder, catalog, id);
    if is_listed(catalog, id) {
        filters::add_related_list(builder, catalog.resource(id));
    }
    resources::add_order(builder, catalog, id);
    resources::add_change(builder, catalog, id);
    if is_root {
        inputs::add_create(builder, catalog, id);
    }
    inputs::add_owned_lists(builder, catalog, id);
    if is_root {
        inputs::add_update(builder, catalog, id);
        inputs::add_delete(builder, catalog, id);
        batches::add(builder, catalog, id);
    }
}

/// Whether some to-many field leads to it.
fn is_listed(catalog: &Catalog, id: ResourceId) -> bool {
    let mut fields = catalog.resources().flat_map(|(_, resource)| &resource.fields);
    fields.any(|field| !field.private && matches!(field.ty, FieldType::ToMany { target, .. } if target == id))
}
