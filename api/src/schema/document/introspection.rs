//! Introspection: `__schema` and `__type` are answered by async-graphql's dynamic schema of the same types.
//!
//! The document has been validated and coerced here already. What async-graphql gets is a document of our own writing:
//! only the introspection fields of the operation, without fragments, variables and directives. So it meets nothing
//! that it handles in its own way, and its size is bounded by the limits on depth, aliases and nested lists.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::Documents;
use super::error::request_error;
use super::operation::{Operation, Selected};
use crate::schema::{Request, Response};

impl Documents {
    /// Runs the request if its operation asks for nothing but introspection; `None` if it is for execution.
    ///
    /// Costs a search in the text if the document does not mention introspection.
    pub async fn introspect(&self, request: &Request) -> Option<Response> {
        if !mentions_introspection(&request.query) {
            return None;
        }
        let prepared = match self.prepare(&request.query) {
            Ok(prepared) => prepared,
            Err(errors) => return Some(request_error(&errors)),
        };
        let operation = Operation::new(self, &prepared, request.operation_name.as_deref(), &request.variables);
        let operation = match operation {
            Ok(operation) => operation,
            Err(errors) => return Some(request_error(&errors)),
        };
        let fields = operation.root_fields();
        let is_introspection = |field: &Selected<'_>| matches!(field.name, "__schema" | "__type");
        if !fields.iter().any(is_introspection) || !fields.iter().all(is_meta) {
            return None;
        }
        let data = self.run(text(&operation, &fields)).await;
        let mut body = b"{\"data\":".to_vec();
        serde_json::to_writer(&mut body, &data).expect("JSON can always be written to memory");
        body.push(b'}');
        Some(Response { body: Bytes::from(body), is_request_error: false })
    }

    /// The values of `__schema`, `__type` and the root's `__typename` by response key, for an operation that has other
    /// root fields too.
    pub fn introspect_part(&self, operation: &Operation<'_>) -> Map<String, Value> {
        let mut fields = operation.root_fields();
        fields.retain(is_meta);
        if fields.is_empty() {
            return Map::new();
        }
        let mut run = pin!(self.run(text(operation, &fields)));
        // The types are in memory, so no part of this ever waits for something else to happen.
        loop {
            if let Poll::Ready(data) = run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return data;
            }
        }
    }

    async fn run(&self, text: String) -> Map<String, Value> {
        let response = self.introspection.execute(async_graphql::Request::new(text)).await;
        for error in &response.errors {
            tracing::error!(error = %error.message, "a valid introspection query failed");
        }
        match response.data.into_json() {
            Ok(Value::Object(data)) => data,
            _ => Map::new(),
        }
    }
}

/// Whether the text may select `__schema` or `__type`.
fn mentions_introspection(query: &str) -> bool {
    let mut types = query.match_indices("__type").map(|(start, name)| &query[start + name.len()..]);
    query.contains("__schema") || types.any(|rest| !rest.starts_with("name"))
}

fn is_meta(field: &Selected<'_>) -> bool {
    field.name.starts_with("__")
}

/// The document that selects just these fields.
fn text(operation: &Operation<'_>, fields: &[Selected<'_>]) -> String {
    let mut out = String::new();
    write_fields(operation, fields, &mut out);
    out
}

fn write_fields<'d>(operation: &Operation<'d>, fields: &[Selected<'d>], out: &mut String) {
    out.push('{');
    for field in fields {
        out.extend([field.key, ":", field.name]);
        // The arguments of introspection are strings and booleans, which JSON writes as GraphQL does.
        let arguments = operation.arguments(field).unwrap_or_default();
        let mut separator = '(';
        for (name, value) in arguments.iter().filter(|(_, value)| !value.is_null()) {
            out.push_str(&format!("{separator}{name}:{value}"));
            separator = ',';
        }
        if separator == ',' {
            out.push(')');
        }
        if let Some(ty) = field.fields.first().map(|field| field.ty().inner_named_type()) {
            let below = operation.sub_fields(field, ty);
            if !below.is_empty() {
                write_fields(operation, &below, out);
            }
        }
        out.push(' ');
    }
    out.push('}');
}
