//! What the root fields about webhooks work with, and what their inputs and their refusals have in common.

use std::sync::Arc;

use entity::WebhookId;
use serde_json::{Value, json};

use super::object::{Object, into_object};
use crate::auth::Principal;
use crate::catalog::datum::parse_instant;
use crate::catalog::type_id;
use crate::schema::core::{Core, database_error, writer_error};
use crate::schema::document::{GraphqlError, Operation};
use crate::schema::plan::context::{Arguments, bad_input};
use crate::store::writer::Violation;
use crate::webhook::Operations;
use crate::webhook::registry::{self, Registry};
use crate::webhook::row::Webhook;

/// What the fields work with.
pub(crate) struct Webhooks<'a> {
    pub(crate) core: &'a Core,
    pub(crate) registry: &'a Registry,
    pub(crate) operations: &'a Operations,
    pub(crate) operation: &'a Operation<'a>,
    pub(crate) principal: &'a Arc<Principal>,
}

pub(super) fn id(input: &Arguments) -> Option<WebhookId> {
    type_id::parse_prefixed(Webhook::PREFIX, input.text("id")?).map(WebhookId)
}

/// An argument of the type `DateTime`, in microseconds since 1970.
pub(super) fn instant(arguments: &Arguments, name: &str) -> Result<Option<i64>, GraphqlError> {
    let read = |text: &str| parse_instant(text).ok_or_else(|| bad_input(format!("{name} is no DateTime.")));
    arguments.text(name).map(read).transpose()
}

pub(super) fn refused(error: registry::Error) -> Result<Object, GraphqlError> {
    match error {
        registry::Error::Refused(errors) => {
            let errors: Vec<_> = errors.iter().map(user_error).collect();
            Ok(into_object(json!({"userErrors": errors})))
        }
        registry::Error::Database(error) => Err(database_error(&error)),
        registry::Error::Writer(error) => Err(writer_error(&error)),
    }
}

fn user_error(error: &Violation) -> Value {
    json!({"code": error.code.name(), "message": error.message, "path": error.path})
}

pub(super) fn not_found() -> Object {
    let error = json!({"code": "NOT_FOUND", "message": "There is no such webhook.", "path": ["id"]});
    into_object(json!({"userErrors": [error]}))
}
