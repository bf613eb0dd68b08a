//! Documents: what clients may ask for, checked against the schema, and read for execution.
//!
//! Text → [`Documents::prepare`] → [`Prepared`], which is valid → [`Operation::new`] with variables → [`Operation`],
//! which answers what execution asks: which fields, with which arguments. Validation is apollo-compiler's, with what it
//! leaves out added in `rules`; coercion and the collection of fields are done here as the GraphQL specification says
//! (<https://spec.graphql.org/September2025/>), with messages in the words of graphql-js. Nothing here knows resources.
//!
//! - `error`: GraphQL errors
//! - `syntax`: what the parser lets pass
//! - `limits`: how large an operation may be
//! - `rules`: validation beyond apollo-compiler's
//! - `overlap`: fields that merge
//! - `visit`: every selection of an operation
//! - `scalars`: nulls in values of custom scalars
//! - `operation`: an operation with its variables
//! - `variables`, `literals`: coercion of JSON and of GraphQL values
//! - `introspection`: `__schema` and `__type`

mod error;
mod introspection;
mod limits;
mod literals;
mod operation;
mod overlap;
mod rules;
mod scalars;
mod syntax;
mod variables;
mod visit;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use apollo_compiler::ast::FieldDefinition;
use apollo_compiler::diagnostic::{Diagnostic, ToCliReport};
use apollo_compiler::executable::Operation as Definition;
use apollo_compiler::parser::Parser;
use apollo_compiler::schema::{Component, ExtendedType};
use apollo_compiler::validation::{DiagnosticData, DiagnosticList, Valid, WithErrors};
use apollo_compiler::{ExecutableDocument, Node, Schema, name, ty};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

pub use error::{ErrorCode, GraphqlError, Location, PathSegment, request_error, write_errors};
pub use operation::{Operation, Selected};

/// Documents longer than this are not cached.
const MAX_CACHED_DOCUMENT_BYTES: usize = 64 * 1024;
/// How much text of documents is cached; parsed, a document takes some 30 times as much. The rarely used ones make room.
const CACHE_SIZE_BYTES: u64 = 4 * 1024 * 1024;
/// How many documents are expected in the cache, for its layout.
const CACHED_DOCUMENTS: usize = 1024;
/// How many errors of one document are reported.
const MAX_ERRORS: usize = 100;

/// The schema, and the documents that were checked against it.
#[derive(Debug)]
pub struct Documents {
    schema: Valid<Schema>,
    sdl: String,
    cache: Cache<String, Arc<Prepared>, ByLength>,
}

/// A valid document.
#[derive(Debug)]
pub struct Prepared {
    document: Valid<ExecutableDocument>,
}

/// Why there is no schema.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The SDL of the API is not valid, which no checked catalog leads to.
    #[error("the SDL of the API is not valid: {0}")]
    Schema(String),
}

#[derive(Debug, Clone)]
struct ByLength;

impl Weighter<String, Arc<Prepared>> for ByLength {
    fn weight(&self, text: &String, _: &Arc<Prepared>) -> u64 {
        // Never zero, which would let an entry stay forever.
        text.len() as u64 + 1
    }
}

impl Documents {
    /// For the types of an API, as SDL.
    pub fn new(sdl: String) -> Result<Self, Error> {
        let invalid = |errors: DiagnosticList| Error::Schema(errors.to_string());
        let parsed = Schema::parse(sdl.as_str(), "schema.graphql");
        let mut schema = parsed.map_err(|with_errors| invalid(with_errors.errors))?;
        add_is_one_of(&mut schema);
        let schema = schema.validate().map_err(|with_errors| invalid(with_errors.errors))?;
        let cache = Cache::with_weighter(CACHED_DOCUMENTS, CACHE_SIZE_BYTES, ByLength);
        Ok(Self { schema, sdl, cache })
    }

    /// The schema as text.
    pub fn sdl(&self) -> &str {
        &self.sdl
    }

    /// Parses and validates a document, or finds it in the cache. All errors are reported, up to 100 of them; those of
    /// `rules` only if there are no others.
    pub fn prepare(&self, query: &str) -> Result<Arc<Prepared>, Vec<GraphqlError>> {
        if let Some(prepared) = self.cache.get(query) {
            return Ok(prepared);
        }
        let prepared = Arc::new(self.check(query)?);
        if query.len() <= MAX_CACHED_DOCUMENT_BYTES {
            self.cache.insert(query.to_owned(), Arc::clone(&prepared));
        }
        Ok(prepared)
    }

    fn check(&self, query: &str) -> Result<Prepared, Vec<GraphqlError>> {
        let mut parser = Parser::new().token_limit(limits::MAX_TOKENS).recursion_limit(limits::MAX_RECURSION);
        let parsed = parser.parse_ast(query, "document.graphql");
        let document = parsed.map_err(|with_errors| diagnostics(with_errors.errors.iter(), ErrorCode::ParseFailed))?;
        syntax::check(query).map_err(|error| vec![error])?;
        let mut errors = limits::check(&document).map_err(|error| vec![error])?;
        let validated = document.to_executable_validate(&self.schema).or_else(|found| self.without_nulls(found));
        match &validated {
            Ok(document) => errors.extend(rules::check(&self.schema, document)),
            Err(found) => errors.extend(found.iter().cloned()),
        }
        errors.truncate(MAX_ERRORS);
        match validated {
            Ok(document) if errors.is_empty() => Ok(Prepared { document }),
            _ => Err(errors),
        }
    }

    /// What is wrong with a document beside nulls that are not wrong; if that is nothing, it is valid.
    fn without_nulls(
        &self,
        found: WithErrors<ExecutableDocument>,
    ) -> Result<Valid<ExecutableDocument>, Vec<GraphqlError>> {
        let nulls = scalars::nulls(&self.schema, &found.partial);
        let is_null =
            |one: &Diagnostic<'_, DiagnosticData>| one.error.location().is_some_and(|span| nulls.contains(&span));
        if found.errors.iter().all(|one| is_null(&one)) {
            return Ok(Valid::assume_valid(found.partial));
        }
        Err(diagnostics(found.errors.iter().filter(|one| !is_null(one)), ErrorCode::ValidationFailed))
    }
}

impl Prepared {
    /// The operation with this name, or the only one.
    pub fn operation(&self, name: Option<&str>) -> Result<&Node<Definition>, GraphqlError> {
        let refuse = |message: String| GraphqlError::new(ErrorCode::BadUserInput, message);
        let operations = &self.document.operations;
        match name {
            Some(name) => {
                operations.named.get(name).ok_or_else(|| refuse(format!("Unknown operation named \"{name}\".")))
            }
            None if operations.len() > 1 => {
                Err(refuse("Must provide operation name if query contains multiple operations.".to_owned()))
            }
            None => operations.iter().next().ok_or_else(|| refuse("Must provide an operation.".to_owned())),
        }
    }

    /// The document.
    pub fn document(&self) -> &ExecutableDocument {
        &self.document
    }
}

/// The field of introspection that is younger than apollo-compiler.
fn add_is_one_of(schema: &mut Schema) {
    if let Some(ExtendedType::Object(ty)) = schema.types.get_mut("__Type") {
        let field = FieldDefinition {
            description: None,
            name: name!("isOneOf"),
            arguments: Vec::new(),
            ty: ty!(Boolean),
            directives: Default::default(),
        };
        ty.make_mut().fields.entry(name!("isOneOf")).or_insert_with(|| Component::new(field));
    }
}

/// What the parser or the validation found, in the order of the document.
fn diagnostics<'d>(found: impl Iterator<Item = Diagnostic<'d, DiagnosticData>>, code: ErrorCode) -> Vec<GraphqlError> {
    let errors = found.filter(|diagnostic| !is_echo(diagnostic)).take(MAX_ERRORS).map(|diagnostic| {
        let text = diagnostic.error.unstable_compat_message().unwrap_or_else(|| diagnostic.error.to_string());
        let text = match text.strip_prefix("syntax error: ") {
            Some(rest) => format!("Syntax Error: {rest}"),
            None => text,
        };
        // Some messages quote values, which may span lines.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        GraphqlError::new(code, shorten(text)).at(Location::of(diagnostic.error.location(), diagnostic.sources))
    });
    errors.collect()
}

/// A field whose selections are all wrong is reported as if it had none, which comes on top of what is wrong.
fn is_echo(diagnostic: &Diagnostic<'_, DiagnosticData>) -> bool {
    let has_selections = || {
        let span = diagnostic.error.location()?;
        let text = diagnostic.sources.get(&span.file_id())?.source_text();
        Some(text.get(..span.end_offset())?.ends_with('}'))
    };
    diagnostic.error.unstable_error_name() == Some("MissingSubselection") && has_selections() == Some(true)
}

/// At most 500 characters of a message that quotes what the client sent.
fn shorten(mut text: String) -> String {
    const MOST: usize = 500;
    if let Some((end, _)) = text.char_indices().nth(MOST) {
        text.truncate(end);
        text.push('…');
    }
    text
}
