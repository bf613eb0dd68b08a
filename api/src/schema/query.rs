//! The root fields of queries. Each that reads rows is one statement.

use serde_json::{Map, Value};

use super::changes::ChangesPlan;
use super::core::database_error;
use super::document::{GraphqlError, Selected};
use super::nodes::NodesPlan;
use super::plan::{ConnectionPlan, Context, Key, ObjectPlan, Output};
use super::types::names;
use super::webhooks::Webhooks;
use crate::catalog::{Catalog, Datum, Filter, ResourceId, type_id};
use crate::database::Database;
use crate::store::read::{self, List, Shape};

/// A root field of a query, ready to run.
pub(crate) enum RootPlan {
    TypeName,
    /// A row; `None` if the id that was given can be none of this resource.
    One(Option<OnePlan>),
    Nodes(NodesPlan),
    List(Box<ConnectionPlan>, List),
    Changes(ChangesPlan),
    Viewer(Vec<(Key, ViewerField)>),
    /// A value that is known already: introspection.
    Value(Value),
}

/// One row.
pub(crate) struct OnePlan {
    shape: Shape,
    filter: Filter,
    plan: ObjectPlan,
}

/// A field of `Viewer`.
#[derive(Clone, Copy)]
pub(crate) enum ViewerField {
    TypeName,
    Sub,
    Roles,
}

impl RootPlan {
    /// Plans a root field that reads resources, the log or the caller; `None` if it is another one.
    pub(crate) fn new(
        context: &Context<'_>,
        selected: &Selected<'_>,
        introspection: &mut Map<String, Value>,
    ) -> Result<Option<Self>, GraphqlError> {
        Ok(Some(match selected.name {
            "__typename" => Self::TypeName,
            "__schema" | "__type" => Self::Value(introspection.remove(selected.key).unwrap_or_default()),
            "changes" => Self::Changes(ChangesPlan::new(context, selected)?),
            "viewer" => Self::Viewer(viewer_fields(context, selected)),
            "nodes" => Self::Nodes(NodesPlan::new(context, selected)?),
            "node" => {
                let arguments = context.arguments(selected)?;
                let id = arguments.text("id").unwrap_or_default();
                let Some((prefix, id)) = type_id::parse(id) else { return Ok(Some(Self::One(None))) };
                let Some(resource) = context.catalog.find_prefix(prefix) else { return Ok(None) };
                Self::One(Some(one(context, selected, resource, by_id(id))?))
            }
            name => match find(context.catalog, name) {
                Some((resource, Target::One)) => {
                    let key = lookup_key(context, selected, resource)?;
                    Self::One(key.map(|key| one(context, selected, resource, key)).transpose()?)
                }
                Some((resource, Target::List)) => {
                    let (plan, list) = ConnectionPlan::new(context, selected, resource, None)?;
                    Self::List(Box::new(plan), list)
                }
                None => return Ok(None),
            },
        }))
    }

    /// Runs it and writes its value.
    pub(crate) async fn run(
        &self,
        webhooks: &Webhooks<'_>,
        database: &Database,
        selected: &Selected<'_>,
        out: &mut Output<'_>,
    ) -> Result<(), GraphqlError> {
        let (core, principal) = (webhooks.core, webhooks.principal);
        match self {
            Self::TypeName => out.text("Query"),
            Self::One(None) => out.null(),
            Self::One(Some(one)) => {
                let found = read::one(database, &core.catalog, &one.shape, &one.filter).await;
                match found.map_err(|error| database_error(&error))? {
                    Some((nodes, position)) => {
                        out.position = position;
                        one.plan.write(&nodes, out);
                    }
                    None => out.null(),
                }
            }
            Self::Nodes(plan) => plan.run(webhooks, database, selected, out).await?,
            Self::List(plan, list) => {
                let page = read::list(database, &core.catalog, list, None).await;
                plan.write(&page.map_err(|error| database_error(&error))?, out);
            }
            Self::Changes(plan) => plan.run(core, out).await?,
            Self::Viewer(fields) => out.object(fields, |out, field| match field {
                ViewerField::TypeName => out.text("Viewer"),
                ViewerField::Sub => out.optional_text(principal.sub.as_deref()),
                ViewerField::Roles => out.array(&principal.roles, |out, role| out.text(role)),
            }),
            Self::Value(value) => out.raw(value.to_string().as_bytes()),
        }
        Ok(())
    }
}

enum Target {
    One,
    List,
}

fn find(catalog: &Catalog, name: &str) -> Option<(ResourceId, Target)> {
    let mut roots = catalog.resources().filter(|(_, resource)| resource.root);
    roots.find_map(|(id, resource)| match name {
        name if name == resource.singular => Some((id, Target::One)),
        name if name == resource.plural => Some((id, Target::List)),
        _ => None,
    })
}

fn one(
    context: &Context<'_>,
    selected: &Selected<'_>,
    resource: ResourceId,
    key: Filter,
) -> Result<OnePlan, GraphqlError> {
    let mut shape = Shape::new(resource);
    let plan = ObjectPlan::new(context, selected, &mut shape)?;
    Ok(OnePlan { shape, filter: key.and(context.visible(resource)), plan })
}

fn by_id(id: uuid::Uuid) -> Filter {
    read::by_values([(crate::catalog::Resource::ID, Datum::Uuid(id))])
}

/// The key of `product(by:)`; `None` if no row can have such a value.
fn lookup_key(
    context: &Context<'_>,
    selected: &Selected<'_>,
    resource_id: ResourceId,
) -> Result<Option<Filter>, GraphqlError> {
    let arguments = context.arguments(selected)?;
    let resource = context.resource(resource_id);
    let by = arguments.get("by").and_then(Value::as_object).and_then(|by| by.iter().next());
    let Some((name, value)) = by else { return Ok(None) };
    let keys = names::by_keys(context.catalog, resource_id);
    let Some(key) = keys.into_iter().find(|key| key.name == *name) else { return Ok(None) };
    let mut values = Vec::with_capacity(key.fields.len());
    for (field, name) in key.fields {
        context.check_name(resource_id, field)?;
        let value = if key.input_type.is_some() { value.get(&name).unwrap_or(&Value::Null) } else { value };
        match Datum::parse(context.catalog, resource_id, &resource.field(field).ty, value) {
            Ok(Datum::Null) | Err(_) => return Ok(None),
            Ok(datum) => values.push((field, datum)),
        }
    }
    Ok(Some(read::by_values(values)))
}

fn viewer_fields(context: &Context<'_>, selected: &Selected<'_>) -> Vec<(Key, ViewerField)> {
    let fields = context.operation.sub_fields(selected, "Viewer");
    fields
        .iter()
        .map(|field| {
            let planned = match field.name {
                "sub" => ViewerField::Sub,
                "roles" => ViewerField::Roles,
                _ => ViewerField::TypeName,
            };
            (Key::new(field.key), planned)
        })
        .collect()
}
