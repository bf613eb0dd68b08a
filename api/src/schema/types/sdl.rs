//! Prints the API as `schema.graphql` holds it.

use std::collections::HashMap;

use apollo_compiler::ast::{Definition, Document};
use async_graphql::SDLExportOptions;
use async_graphql::dynamic::Schema;

use super::Error;

/// The SDL, with its types in this order.
///
/// async-graphql sorts types by name and repeats the definitions of directives that every tool has built in. Of these
/// only `@oneOf` stays, which is younger than some tools.
pub(super) fn print(schema: &Schema, order: &[String]) -> Result<String, Error> {
    let exported = schema.sdl_with_options(SDLExportOptions::new().include_specified_by());
    let mut document =
        Document::parse(exported, "schema.graphql").map_err(|error| Error::Invalid(error.to_string()))?;
    let places: HashMap<_, _> = order.iter().map(String::as_str).zip(0..).collect();
    document.definitions.retain(|definition| match definition {
        Definition::DirectiveDefinition(directive) => directive.name == "oneOf",
        Definition::SchemaDefinition(_) => false,
        other => other.name().is_some_and(|name| places.contains_key(name.as_str())),
    });
    // What has no place is `@oneOf`, which comes last.
    let place = |definition: &Definition| definition.name().and_then(|name| places.get(name.as_str()).copied());
    document.definitions.sort_by_key(|definition| place(definition).unwrap_or(usize::MAX));
    Ok(document.to_string())
}
