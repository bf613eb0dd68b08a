//! The mutations of resources: an input, a command, an outcome, a payload.
//!
//! A payload is written from the mutation's events and the rows as these left them, not from what the rows are by then. So
//! it is the same when the mutation is sent again with its idempotency key. Only to-many lists inside it are read when it
//! is written, as in every change.

mod payload;

use std::sync::Arc;

use serde_json::{Map, Value};

use self::payload::{Payload, PayloadPlan};
use super::core::{Core, database_error, writer_error};
use super::document::{ErrorCode, GraphqlError, Selected};
use super::input::{self, Parsed};
use super::plan::{Context, Output, filter};
use super::types::MAX_ITEMS;
use crate::auth::Principal;
use crate::catalog::names::plural;
use crate::catalog::{Catalog, Filter, ResourceId};
use crate::log::{self, Event};
use crate::store::writer::{Mutation, Outcome, Receipt, Violation};

/// What a mutation does with its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Update,
    Delete,
    Upsert,
    CreateMany,
    UpdateMany,
    DeleteMany,
}

/// A mutation, ready to run.
pub(crate) struct MutationPlan {
    verb: Verb,
    /// The root field.
    name: String,
    resource: ResourceId,
    input: Map<String, Value>,
    /// Of an update or a delete of many: what the client's filter selects of what the caller may see.
    filter: Filter,
    payload: PayloadPlan,
}

impl MutationPlan {
    /// Plans a mutation of a resource; `None` if the field is none.
    pub(crate) fn new(context: &Context<'_>, selected: &Selected<'_>) -> Result<Option<Self>, GraphqlError> {
        let Some((verb, resource)) = find(context.catalog, selected.name) else { return Ok(None) };
        let mut arguments = context.arguments(selected)?;
        let input = match arguments.0.remove("input") {
            Some(Value::Object(input)) => input,
            _ => Map::new(),
        };
        let mut matching = Filter::Const(false);
        match verb {
            Verb::UpdateMany | Verb::DeleteMany => {
                matching = context.visible(resource).and(filter::parse(context, resource, input.get("filter"))?);
            }
            Verb::Upsert => {
                let key = input::given_key(context.catalog, resource, input.get("by"));
                let fields = key.into_iter().flat_map(|(key, _)| key.fields);
                fields.into_iter().try_for_each(|(field, _)| context.check_name(resource, field))?;
            }
            Verb::Create | Verb::Update | Verb::Delete | Verb::CreateMany => {}
        }
        let plan = || PayloadPlan::new(context, selected, resource);
        let payload = match rows(verb, &input) {
            Some(rows) => context.within(rows, plan)?,
            None => plan()?,
        };
        let name = selected.name.to_owned();
        Ok(Some(Self { verb, name, resource, input, filter: matching, payload }))
    }

    /// Runs it and writes its payload.
    pub(crate) async fn run(
        &self,
        core: &Core,
        principal: &Arc<Principal>,
        out: &mut Output<'_>,
    ) -> Result<(), GraphqlError> {
        let Parsed { command, mut violations } = self.parse(&core.catalog);
        let key = input::key(principal, &self.name, &self.input).unwrap_or_else(|violation| {
            violations.push(violation);
            None
        });
        let mutation = Mutation { principal: Arc::clone(principal), command, violations, key };
        let outcome = core.writer.mutate(mutation).await.map_err(|error| writer_error(&error))?;
        match outcome {
            Outcome::Done { events, subjects, violations } => {
                self.write_done(core, &events, &subjects, &violations, out).await
            }
            Outcome::Replayed(receipt) => {
                let events = replayed(core, &receipt).await?;
                self.write_done(core, &events, &receipt.subjects, &receipt.violations, out).await
            }
            Outcome::Refused { violations, current } => {
                let mut payload = Payload::refused(&violations, self.client_mutation_id());
                if self.verb == Verb::CreateMany {
                    // One for each item, in its place.
                    let items = self.input.get("items").and_then(Value::as_array).map_or(0, Vec::len);
                    payload.objects.resize_with(if items > MAX_ITEMS { 0 } else { items }, || None);
                }
                if let Some(row) = &current {
                    payload.objects = vec![self.payload.current(core, row, out).await?];
                }
                self.payload.write(&payload, out);
                Ok(())
            }
        }
    }

    fn parse(&self, catalog: &Catalog) -> Parsed {
        match self.verb {
            Verb::Create => input::create(catalog, self.resource, &self.input),
            Verb::Update => input::update(catalog, self.resource, &self.input),
            Verb::Delete => input::delete(catalog, self.resource, &self.input),
            Verb::Upsert => input::upsert(catalog, self.resource, &self.input),
            Verb::CreateMany => input::create_many(catalog, self.resource, &self.input),
            Verb::UpdateMany => input::update_many(catalog, self.resource, self.filter.clone(), &self.input),
            Verb::DeleteMany => input::delete_many(self.resource, self.filter.clone(), &self.input),
        }
    }

    async fn write_done(
        &self,
        core: &Core,
        events: &[Arc<Event>],
        subjects: &[Option<usize>],
        violations: &[Violation],
        out: &mut Output<'_>,
    ) -> Result<(), GraphqlError> {
        let mut payload = Payload::refused(violations, self.client_mutation_id());
        for subject in subjects {
            match subject.and_then(|subject| events.get(subject)) {
                Some(event) => self.payload.add(core, event, &mut payload).await?,
                None => payload.objects.push(None),
            }
        }
        self.payload.write(&payload, out);
        Ok(())
    }

    fn client_mutation_id(&self) -> Option<&str> {
        self.input.get("clientMutationId").and_then(Value::as_str)
    }
}

/// How many rows the payload of a mutation of many may have, for the cost of the request.
fn rows(verb: Verb, input: &Map<String, Value>) -> Option<u32> {
    let count = match verb {
        Verb::CreateMany => input.get("items").and_then(Value::as_array).map_or(0, Vec::len),
        Verb::UpdateMany | Verb::DeleteMany => {
            let at_most = input.get("atMost").and_then(Value::as_u64).unwrap_or_default();
            usize::try_from(at_most).unwrap_or(usize::MAX)
        }
        Verb::Create | Verb::Update | Verb::Delete | Verb::Upsert => return None,
    };
    // More than that is refused.
    u32::try_from(count.min(MAX_ITEMS)).ok()
}

/// The events of a mutation that was committed before.
async fn replayed(core: &Core, receipt: &Receipt) -> Result<Vec<Arc<Event>>, GraphqlError> {
    if receipt.count == 0 {
        return Ok(Vec::new());
    }
    let events = log::read::after(&core.database, core.hub.lineage(), receipt.before, receipt.count.into()).await;
    events.map_err(|error| match error {
        log::Error::Expired => {
            let message = "This was written before, but its events are no longer in the log.";
            GraphqlError::new(ErrorCode::CursorExpired, message)
        }
        log::Error::Database(error) => database_error(&error),
    })
}

/// The mutation that a root field is.
fn find(catalog: &Catalog, field: &str) -> Option<(Verb, ResourceId)> {
    let verbs = [
        ("create", Verb::Create, Some(Verb::CreateMany)),
        ("update", Verb::Update, Some(Verb::UpdateMany)),
        ("delete", Verb::Delete, Some(Verb::DeleteMany)),
        ("upsert", Verb::Upsert, None),
    ];
    let find = |(prefix, one, many)| Some((field.strip_prefix(prefix)?, one, many));
    let (name, one, many): (&str, Verb, Option<Verb>) = verbs.into_iter().find_map(find)?;
    if let Some(resource) = catalog.find(name).filter(|id| catalog.resource(*id).root) {
        return Some((one, resource));
    }
    let mut roots = catalog.resources().filter(|(_, resource)| resource.root);
    let (resource, _) = roots.find(|(_, resource)| plural(&resource.name) == name)?;
    Some((many?, resource))
}
