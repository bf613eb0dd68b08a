//! The `search` argument.

use super::context::{Arguments, Context, bad_input};
use crate::catalog::ResourceId;
use crate::schema::document::GraphqlError;
use crate::store::search::Search;

/// Reads what rows of a resource have to hold.
///
/// To search is to name each of the searched fields: whoever may not read one of them in every row is refused, whatever
/// the text is.
pub(crate) fn parse(
    context: &Context<'_>,
    resource: ResourceId,
    arguments: &Arguments,
) -> Result<Option<Search>, GraphqlError> {
    let Some(text) = arguments.text("search") else { return Ok(None) };
    for field in &context.resource(resource).search {
        context.check_name(resource, *field)?;
    }
    Search::parse(text).map_err(|problem| bad_input(format!("search {problem}.")))
}
