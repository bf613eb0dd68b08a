//! A subscription document with the rights of a principal: what becomes of each event of the log.
//!
//! Live clients and webhooks follow the log through the same [`Follower`], so both get the same bytes.

use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, Hasher};

use bytes::Bytes;

use super::core::{Core, as_of_error};
use super::document::{ErrorCode, GraphqlError, Operation, PathSegment, Selected, write_errors};
use super::plan::context::{Arguments, bad_input};
use super::plan::{ChangePlan, Context, Key, Output, filter, located};
use super::request::{OperationKind, Payload, Request};
use crate::auth::Principal;
use crate::catalog::{Catalog, Filter, Needs, ResourceId};
use crate::database::Error;
use crate::log::{ChangeKind, Event};
use crate::schema::types::names::Names;
use crate::store::as_of;

/// What a follower makes of events. Immutable; serves all subscribers for whom it is equal, since what is rendered is a
/// function of it and of the event.
#[derive(Debug, PartialEq)]
pub(crate) struct Follower {
    key: Key,
    plans: Box<[(ResourceId, ChangePlan, Needs)]>,
    wanted: Wanted,
}

/// Which kinds of events are wanted, of which resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted(Vec<(ResourceId, ChangeKind)>);

/// What an event is for a follower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The JSON of `data`.
    pub data: Bytes,
    /// The JSON of `errors`, if there are any.
    pub errors: Option<Bytes>,
}

impl Wanted {
    /// Whether this event is wanted.
    pub(crate) fn takes(&self, event: &Event) -> bool {
        self.0.contains(&(event.resource, event.kind))
    }

    /// Each resource with each kind of its events that is wanted.
    pub(crate) fn kinds(&self) -> &[(ResourceId, ChangeKind)] {
        &self.0
    }

    /// The resources of which events are wanted.
    pub(crate) fn resources(&self) -> Vec<ResourceId> {
        let mut resources: Vec<_> = self.0.iter().map(|(resource, _)| *resource).collect();
        resources.dedup();
        resources
    }

    /// Reads `types` and `kinds`, or `events`.
    pub(crate) fn parse(catalog: &Catalog, arguments: &Arguments) -> Result<Self, GraphqlError> {
        let events = arguments.texts("events");
        let (types, kinds) = (arguments.texts("types"), arguments.texts("kinds"));
        if events.is_some() && (types.is_some() || kinds.is_some()) {
            return Err(bad_input("Give events, or types and kinds, not both."));
        }
        if let Some(events) = events {
            return Self::of_names(catalog, &events).map_err(bad_input);
        }
        let resources = match types {
            None => catalog.resources().map(|(id, _)| id).collect(),
            Some(names) => {
                let find = |name: &str| {
                    let known: Vec<_> = catalog.resources().map(|(_, r)| r.name.as_str()).collect();
                    let message =
                        || bad_input(format!("{name} is no type of the log. There are: {}.", known.join(", ")));
                    catalog.find(name).ok_or_else(message)
                };
                names.into_iter().map(find).collect::<Result<Vec<_>, _>>()?
            }
        };
        Ok(Self::of_kinds(&resources, kinds.as_deref()))
    }

    /// Events of these resources, of all kinds or of some. However often a client names one, it is there once: every event
    /// is looked up in this list.
    pub(crate) fn of_kinds(resources: &[ResourceId], kinds: Option<&[&str]>) -> Self {
        let is_wanted = |kind: &ChangeKind| kinds.is_none_or(|kinds| kinds.contains(&kind.name()));
        let kinds: Vec<_> = ChangeKind::ALL.into_iter().filter(is_wanted).collect();
        let resources: BTreeSet<_> = resources.iter().copied().collect();
        Self(resources.iter().flat_map(|resource| kinds.iter().map(|kind| (*resource, *kind))).collect())
    }

    /// Events with these names: `product.created`, `order_line.*`, `*`.
    pub(crate) fn of_names(catalog: &Catalog, names: &[&str]) -> Result<Self, String> {
        let mut wanted = Vec::new();
        for (id, _) in catalog.resources() {
            for kind in ChangeKind::ALL {
                let matches = |name: &&str| match name.split_once('.') {
                    None => *name == "*",
                    Some((prefix, verb)) => {
                        catalog.find_prefix(prefix) == Some(id) && (verb == "*" || verb == kind.verb())
                    }
                };
                if names.iter().any(matches) {
                    wanted.push((id, kind));
                }
            }
        }
        for name in names {
            let is_known = *name == "*"
                || name.split_once('.').is_some_and(|(prefix, verb)| {
                    catalog.find_prefix(prefix).is_some()
                        && (verb == "*" || ChangeKind::ALL.iter().any(|kind| kind.verb() == verb))
                });
            if !is_known {
                let prefixes: Vec<_> = catalog.resources().map(|(_, r)| r.prefix.as_str()).collect();
                return Err(format!(
                    "{name} is no name of an event. Use *, or one of {} followed by .created, .updated, .deleted or .*.",
                    prefixes.join(", ")
                ));
            }
        }
        Ok(Self(wanted))
    }
}

impl Follower {
    /// Plans the root field of a subscription. Gives its `after` argument too.
    pub(crate) fn new(context: &Context<'_>) -> Result<(Self, Option<String>), GraphqlError> {
        let (catalog, operation) = (context.catalog, context.operation);
        let roots = operation.root_fields();
        let Some(field) = roots.first() else {
            return Err(bad_input("The subscription selects nothing."));
        };
        let arguments = context.arguments(field)?;
        let after = arguments.text("after").map(str::to_owned);
        let (wanted, plans) = match field.name {
            "changes" => {
                let wanted = Wanted::parse(catalog, &arguments)?;
                let plans = change_plans(context, field, &wanted)?;
                (wanted, plans)
            }
            name => {
                let resource = catalog.resources().find(|(_, r)| Names::of(r).changed_field == name);
                let (id, _) = resource.ok_or_else(|| bad_input(format!("{name} cannot be followed.")))?;
                let filter = filter::parse(context, id, arguments.get("filter"))?;
                let plan = ChangePlan::new(context, field, id, filter)?;
                let needs = plan.needs();
                (Wanted::of_kinds(&[id], arguments.texts("kinds").as_deref()), HashMap::from([(id, (plan, needs))]))
            }
        };
        let mut plans: Vec<_> = plans.into_iter().map(|(id, (plan, needs))| (id, plan, needs)).collect();
        plans.sort_by_key(|(id, ..)| *id);
        Ok((Self { key: Key::new(field.key), plans: plans.into(), wanted }, after))
    }

    /// Which events may be for it, of which resources.
    pub(crate) fn kinds(&self) -> &[(ResourceId, ChangeKind)] {
        self.wanted.kinds()
    }

    fn plan(&self, resource: ResourceId) -> Option<(&ChangePlan, &Needs)> {
        let place = self.plans.binary_search_by_key(&resource, |(id, ..)| *id).ok()?;
        let (_, plan, needs) = &self.plans[place];
        Some((plan, needs))
    }

    /// Whether the event may be for this follower, as far as its own row tells.
    pub(crate) fn concerns(&self, event: &Event) -> bool {
        self.wanted.takes(event) && self.plan(event.resource).is_some_and(|(plan, _)| plan.concerns(event))
    }

    /// Of which resources it sees rows, and which ones.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (ResourceId, &Filter)> {
        self.plans.iter().map(|(resource, plan, _)| (*resource, plan.seen()))
    }

    /// The same of equal followers, and hardly ever of others.
    pub(crate) fn fingerprint(&self, hasher: &mut impl Hasher) {
        self.key.name.hash(hasher);
        self.wanted.0.hash(hasher);
        self.plans.iter().for_each(|(_, plan, _)| plan.fingerprint(hasher));
    }

    /// What the event is for this follower: a function of document, rights and event. `None` if it is not for it.
    pub(crate) async fn render(&self, core: &Core, event: &Event) -> Result<Option<Rendered>, Error> {
        if !self.concerns(event) {
            return Ok(None);
        }
        let Some((plan, needs)) = self.plan(event.resource) else { return Ok(None) };
        let images = match core.as_of.images(event, needs).await {
            Ok(images) => images,
            Err(as_of::Error::Database(error)) => return Err(error),
            Err(error @ as_of::Error::TooManyRows) => {
                let may_know = plan.may_know(&core.as_of, event).await?;
                return Ok(may_know.then(|| self.unjudged(as_of_error(&error))));
            }
        };
        let Some(rendering) = plan.render(&core.database, &core.catalog, event, &images).await? else {
            return Ok(None);
        };
        let mut out = Output::new(&core.catalog, &core.hub);
        out.object(std::slice::from_ref(&(self.key.clone(), ())), |out, ()| plan.write(&rendering, out));
        let errors = (!out.errors.is_empty()).then(|| {
            let mut bytes = Vec::new();
            write_errors(&out.errors, &mut bytes);
            Bytes::from(bytes)
        });
        Ok(Some(Rendered { data: out.bytes.into(), errors }))
    }

    /// What stands for an event of which it cannot be said whether it is for this follower. It stays so however often it
    /// is tried, so it is told and not tried again.
    fn unjudged(&self, error: GraphqlError) -> Rendered {
        let mut errors = Vec::new();
        write_errors(&[error.with_path(vec![PathSegment::Field(self.key.name.clone())])], &mut errors);
        Rendered { data: Bytes::from_static(b"null"), errors: Some(errors.into()) }
    }
}

/// Plans a subscription document. Gives its `after` argument too. A strict one selects nothing that the principal may
/// not read.
pub(crate) fn follow(
    core: &Core,
    request: &Request,
    principal: &Principal,
    is_strict: bool,
) -> Result<(Follower, Option<String>), Vec<GraphqlError>> {
    let prepared = core.documents.prepare(&request.query)?;
    let operation = Operation::new(&core.documents, &prepared, request.operation_name.as_deref(), &request.variables)?;
    if operation.kind() != OperationKind::Subscription {
        let message = "This is not a subscription.";
        return Err(vec![GraphqlError::new(ErrorCode::BadUserInput, message)]);
    }
    let root = operation.root_fields();
    let new_context = if is_strict { Context::strict } else { Context::new };
    Follower::new(&new_context(&core.catalog, &operation, principal)).map_err(|error| match root.first() {
        Some(field) => vec![located(&operation, error, field)],
        None => vec![error],
    })
}

/// One plan for each resource of the interface `Change`.
pub(crate) fn change_plans(
    context: &Context<'_>,
    selected: &Selected<'_>,
    wanted: &Wanted,
) -> Result<HashMap<ResourceId, (ChangePlan, Needs)>, GraphqlError> {
    let mut plans = HashMap::new();
    for resource in wanted.resources() {
        let plan = ChangePlan::new(context, selected, resource, Filter::Const(true))?;
        let needs = plan.needs();
        plans.insert(resource, (plan, needs));
    }
    Ok(plans)
}

/// An error that ends a subscription.
pub(crate) fn expired() -> GraphqlError {
    GraphqlError::new(ErrorCode::CursorExpired, crate::log::CursorError::Expired.to_string())
}

/// An event as all subscribers get it for whom the follower is equal; `None` if it is not for them.
pub(crate) async fn payload(core: &Core, follower: &Follower, event: &Event) -> Result<Option<Payload>, Error> {
    let Some(rendered) = follower.render(core, event).await? else { return Ok(None) };
    let cursor = core.hub.cursor_text(event.position);
    Ok(Some(Payload::of_subscription(response_body(&rendered, &cursor), cursor)))
}

/// A response of a subscription: what was rendered, and where to continue after it.
pub(crate) fn response_body(rendered: &Rendered, cursor: &str) -> Vec<u8> {
    let errors_bytes = rendered.errors.as_ref().map_or(0, Bytes::len);
    let mut body = Vec::with_capacity(rendered.data.len() + errors_bytes + cursor.len() + 64);
    body.extend_from_slice(b"{\"data\":");
    body.extend_from_slice(&rendered.data);
    if let Some(errors) = &rendered.errors {
        body.extend_from_slice(b",\"errors\":");
        body.extend_from_slice(errors);
    }
    body.extend_from_slice(b",\"extensions\":{\"cursor\":");
    crate::catalog::datum::write_text(&mut body, cursor);
    body.extend_from_slice(b"}}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_twice_is_wanted_once() {
        let catalog = crate::catalog::parse("store.graphql", crate::testing::STORE).unwrap();
        let argument = |value| serde_json::json!({ "types": value }).as_object().cloned().unwrap();
        let types = ["Order", "Product", "Order", "Product", "Order"];
        let Ok(wanted) = Wanted::parse(&catalog, &Arguments(argument(types))) else { panic!("it was refused") };
        assert_eq!((wanted.0.len(), wanted.resources().len()), (6, 2));
    }
}
