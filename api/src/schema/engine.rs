//! Runs a request: document → operation → plans → statements → bytes.
//!
//! Root fields of a query are planned first, all of them, and then run side by side; those of a mutation run one after
//! the other. An error of a root field makes it null, or all of `data` where it may not be null.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::future::join_all;
use http::HeaderValue;
use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::core::{Core, database_error, position_error};
use super::document::{
    Documents, ErrorCode, GraphqlError, Operation, PathSegment, Prepared, Selected, request_error, write_errors,
};
use super::follower::follow;
use super::group::Groups;
use super::mutation::MutationPlan;
use super::plan::{Context, Key, Output, located};
use super::query::RootPlan;
use super::renderer::Renderer;
use super::request::{OperationKind, Request, Response, Subscribed};
use super::webhooks::Feed;
use super::webhooks::{self, Webhooks};
use super::{debug, types};
use crate::auth::Principal;
use crate::catalog::Catalog;
use crate::database::Database;
use crate::log::Hub;
use crate::store::{AsOf, Writer};
use crate::webhook::Wake;
use crate::webhook::egress::Guard;
use crate::webhook::group;
use crate::webhook::operations::{self, Operations};
use crate::webhook::registry::{self, Registry};
use crate::webhook::send::Sender;
use crate::webhook::target::Targets;
use crate::webhook::vault::Vault;

/// Runs GraphQL requests. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    core: Arc<Core>,
    operations: Operations,
    targets: Targets,
    groups: Arc<Groups>,
    /// Whether responses have `extensions.debug`.
    debug_extensions: bool,
}

/// What an [`Engine`] works with.
pub struct EngineParts {
    /// The resources.
    pub catalog: Arc<Catalog>,
    /// The read side.
    pub database: Database,
    /// The write side.
    pub writer: Writer,
    /// The log.
    pub hub: Hub,
    /// Which addresses webhooks may reach.
    pub guard: Guard,
    /// Tells the dispatcher about changed webhooks.
    pub wake: Wake,
    /// Sends pings.
    pub sender: Sender,
    /// The deadline of a ping, if its webhook has none of its own.
    pub webhook_timeout: Duration,
    /// Tells the replayer about new replays.
    pub replays: Arc<Notify>,
    /// Seals the secrets of webhooks.
    pub vault: Vault,
    /// What receivers that have allowed this system know it by.
    pub origin: HeaderValue,
    /// What may be set about webhooks.
    pub webhooks: registry::Settings,
    /// Whether responses have `extensions.debug`.
    pub debug_extensions: bool,
}

/// Why there is no API for a catalog.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its types could not be made.
    #[error(transparent)]
    Types(#[from] types::Error),
    /// Its SDL could not be read again.
    #[error(transparent)]
    Documents(#[from] super::document::Error),
}

/// What became of a root field: its bytes, or null.
struct Root {
    key: Key,
    bytes: Vec<u8>,
    errors: Vec<GraphqlError>,
    /// It failed and its type does not allow null.
    is_fatal: bool,
}

impl Engine {
    /// An engine for the API of this catalog.
    ///
    /// # Errors
    /// If the types of the API cannot be made, which the checks of the resource file should have found.
    pub fn new(parts: EngineParts) -> Result<Self, Error> {
        let EngineParts { catalog, database, writer, hub, guard, wake, vault, webhooks, debug_extensions, .. } = parts;
        let documents = Documents::new(types::build(&catalog)?.sdl)?;
        let as_of = AsOf::new(database.clone(), Arc::clone(hub.lineage()));
        let core = Arc::new(Core { catalog, documents, database, writer, hub, as_of });
        let render = Arc::new(Renderer { core: Arc::clone(&core) });
        let webhook_groups = group::Groups::new(render.clone(), core.hub.clone(), Arc::clone(&core.catalog));
        let targets = Targets::new(webhook_groups, vault.clone(), parts.origin);
        let registry = Registry::new(registry::Parts {
            database: core.database.clone(),
            writer: core.writer.clone(),
            catalog: Arc::clone(&core.catalog),
            render,
            guard,
            wake: wake.clone(),
            vault,
            settings: webhooks,
        });
        let parts = operations::Parts {
            database: core.database.clone(),
            writer: core.writer.clone(),
            hub: core.hub.clone(),
            targets: targets.clone(),
            sender: parts.sender,
            timeout: parts.webhook_timeout,
            wake,
            replays: parts.replays,
        };
        let operations = Operations::new(registry, parts);
        let groups = Arc::new(Groups::new(Arc::clone(&core)));
        Ok(Self { core, operations, targets, groups, debug_extensions })
    }

    /// The webhooks.
    pub fn registry(&self) -> &Registry {
        self.operations.registry()
    }

    /// What is sent for each webhook.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The kind of the operation that the request selects, or the response that says why there is none. Parses and
    /// validates, which is cached by document.
    pub fn operation_kind(&self, request: &Request) -> Result<OperationKind, Response> {
        let prepared = self.core.documents.prepare(&request.query).map_err(|errors| request_error(&errors))?;
        let definition = prepared.operation(request.operation_name.as_deref());
        Ok(OperationKind::of(definition.map_err(|error| request_error(&[error]))?.operation_type))
    }

    /// Runs a query or a mutation. A mutation that has begun is finished even if this future is dropped.
    pub async fn execute(&self, request: Request, principal: Arc<Principal>) -> Response {
        if let Some(response) = self.core.documents.introspect(&request) {
            return response;
        }
        let prepared = match self.core.documents.prepare(&request.query) {
            Ok(prepared) => prepared,
            Err(errors) => return request_error(&errors),
        };
        let kind = match prepared.operation(request.operation_name.as_deref()) {
            Ok(definition) => OperationKind::of(definition.operation_type),
            Err(error) => return request_error(&[error]),
        };
        match kind {
            OperationKind::Query => self.run(&prepared, request, principal).await,
            OperationKind::Mutation => {
                let engine = self.clone();
                let task = tokio::spawn(async move { engine.run(&prepared, request, principal).await });
                task.await.unwrap_or_else(|_| {
                    let message = "The mutation failed inside the server.";
                    request_error(&[GraphqlError::new(ErrorCode::Internal, message)])
                })
            }
            OperationKind::Subscription => {
                let message =
                    "Subscriptions need a transport that streams: a WebSocket, or HTTP with Accept: text/event-stream.";
                request_error(&[GraphqlError::new(ErrorCode::BadUserInput, message)])
            }
        }
    }

    async fn run(&self, prepared: &Prepared, request: Request, principal: Arc<Principal>) -> Response {
        let core = &*self.core;
        let operation =
            Operation::new(&core.documents, prepared, request.operation_name.as_deref(), &request.variables);
        let operation = match operation {
            Ok(operation) => operation,
            Err(errors) => return request_error(&errors),
        };
        let counter = Arc::new(AtomicU64::new(0));
        let database =
            if self.debug_extensions { core.database.counted(Arc::clone(&counter)) } else { core.database.clone() };
        let fields = operation.root_fields();
        let roots = match operation.kind() {
            OperationKind::Mutation => {
                let mut roots = Vec::with_capacity(fields.len());
                for field in &fields {
                    let plan = plan_mutation(core, &operation, &principal, field);
                    roots.push(self.run_mutation(&operation, &principal, field, plan).await);
                }
                roots
            }
            OperationKind::Query | OperationKind::Subscription => {
                let plans = plan_query(core, &operation, &principal, &fields);
                let runs = plans.into_iter().zip(&fields);
                let run = |(plan, field)| self.run_query(&operation, &database, &principal, field, plan);
                join_all(runs.map(run)).await
            }
        };
        let extensions = self.debug_extensions.then(|| debug::extensions(&operation, counter.load(Ordering::Relaxed)));
        respond(roots, extensions.as_ref())
    }

    /// Starts a subscription, from where the request resumes, from its `after` argument, or from now.
    pub async fn subscribe(&self, request: Request, principal: Arc<Principal>) -> Result<Subscribed, Response> {
        if let Some(feed) = Feed::open(&self.core, &self.operations, &request, &principal).await {
            let feed = feed.map_err(|errors| request_error(&errors))?;
            return Ok(Subscribed { cursor: feed.cursor(), items: feed.items() });
        }
        let (follower, after) =
            follow(&self.core, &request, &principal, false).map_err(|errors| request_error(&errors))?;
        let hub = &self.core.hub;
        let position = match request.resume_after.or(after) {
            Some(cursor) => {
                let position = hub.position(&cursor).await;
                position.map_err(|error| request_error(&[position_error(&error)]))?
            }
            // The hub may not have read yet what this caller was told is committed.
            None => hub.head().await.map_err(|error| request_error(&[database_error(&error)]))?,
        };
        let cursor = hub.cursor_text(position);
        Ok(Subscribed { cursor, items: self.groups.join(follower, position).boxed() })
    }

    #[cfg(test)]
    pub(crate) fn groups(&self) -> &Arc<Groups> {
        &self.groups
    }

    #[cfg(test)]
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Follows the log for all subscriptions until it is told to stop. Without it they have nothing new.
    pub async fn follow(&self, stop: CancellationToken) {
        Arc::clone(&self.groups).run(stop).await;
    }

    /// Since when the log could not be read; `None` while it can.
    pub fn stale_since(&self) -> watch::Receiver<Option<SystemTime>> {
        self.core.hub.stale_since()
    }

    async fn run_query(
        &self,
        operation: &Operation<'_>,
        database: &Database,
        principal: &Arc<Principal>,
        field: &Selected<'_>,
        plan: Planned<RootPlan>,
    ) -> Root {
        let mut out = Output::new(&self.core.catalog, &self.core.hub);
        out.path.push(PathSegment::Field(field.key.into()));
        let webhooks = self.webhooks(operation, principal);
        let result = match plan {
            Ok(Some(plan)) => plan.run(&webhooks, database, field, &mut out).await,
            Ok(None) => webhooks.run(field, &mut out).await,
            Err(error) => Err(error),
        };
        finish(operation, field, out, result)
    }

    async fn run_mutation(
        &self,
        operation: &Operation<'_>,
        principal: &Arc<Principal>,
        field: &Selected<'_>,
        plan: Planned<MutationPlan>,
    ) -> Root {
        let mut out = Output::new(&self.core.catalog, &self.core.hub);
        out.path.push(PathSegment::Field(field.key.into()));
        let result = match plan {
            Ok(Some(plan)) => plan.run(&self.core, principal, &mut out).await,
            Ok(None) if field.name == "__typename" => {
                out.text("Mutation");
                Ok(())
            }
            Ok(None) => self.webhooks(operation, principal).run(field, &mut out).await,
            Err(error) => Err(error),
        };
        finish(operation, field, out, result)
    }

    fn webhooks<'a>(&'a self, operation: &'a Operation<'a>, principal: &'a Arc<Principal>) -> Webhooks<'a> {
        let operations = &self.operations;
        Webhooks { core: &self.core, registry: operations.registry(), operations, operation, principal }
    }

    /// The SDL of the API, as `schema.graphql` holds it.
    pub fn sdl(&self) -> &str {
        self.core.documents.sdl()
    }
}

type Planned<T> = Result<Option<T>, GraphqlError>;

fn plan_query<'d>(
    core: &'d Core,
    operation: &'d Operation<'d>,
    principal: &'d Principal,
    fields: &[Selected<'d>],
) -> Vec<Planned<RootPlan>> {
    let has_introspection = fields.iter().any(|field| matches!(field.name, "__schema" | "__type"));
    let mut introspection = if has_introspection { core.documents.introspect_part(operation) } else { Map::new() };
    let context = Context::new(&core.catalog, operation, principal);
    let plan = |field| match RootPlan::new(&context, field, &mut introspection)? {
        None => webhooks::charge(&context, field).map(|()| None),
        planned => Ok(planned),
    };
    fields.iter().map(plan).collect()
}

fn plan_mutation(
    core: &Core,
    operation: &Operation<'_>,
    principal: &Principal,
    field: &Selected<'_>,
) -> Planned<MutationPlan> {
    let context = Context::new(&core.catalog, operation, principal);
    match MutationPlan::new(&context, field)? {
        None => webhooks::charge(&context, field).map(|()| None),
        planned => Ok(planned),
    }
}

fn finish(
    operation: &Operation<'_>,
    field: &Selected<'_>,
    mut out: Output<'_>,
    result: Result<(), GraphqlError>,
) -> Root {
    let mut is_fatal = false;
    if let Err(error) = result {
        out.bytes.clear();
        out.null();
        out.errors = vec![located(operation, error, field)];
        is_fatal = field.fields.first().is_some_and(|field| field.ty().is_non_null());
    }
    Root { key: Key::new(field.key), bytes: out.bytes, errors: out.errors, is_fatal }
}

fn respond(roots: Vec<Root>, extensions: Option<&Value>) -> Response {
    let mut body = Vec::with_capacity(64 + roots.iter().map(|root| root.bytes.len() + 16).sum::<usize>());
    body.extend_from_slice(b"{\"data\":");
    if roots.iter().any(|root| root.is_fatal) {
        body.extend_from_slice(b"null");
    } else {
        body.push(b'{');
        for (i, root) in roots.iter().enumerate() {
            if i > 0 {
                body.push(b',');
            }
            root.key.write(&mut body);
            body.extend_from_slice(&root.bytes);
        }
        body.push(b'}');
    }
    let errors: Vec<GraphqlError> = roots.into_iter().flat_map(|root| root.errors).collect();
    if !errors.is_empty() {
        body.extend_from_slice(b",\"errors\":");
        write_errors(&errors, &mut body);
    }
    if let Some(extensions) = extensions {
        body.extend_from_slice(format!(",\"extensions\":{extensions}").as_bytes());
    }
    body.push(b'}');
    Response { body: body.into(), is_request_error: false }
}
