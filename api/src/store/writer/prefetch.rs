//! Reading what a batch will look at, in one statement for each resource, unique key or counter. What is missed here is
//! read when it is needed.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::Job;
use super::command::{Command, Create};
use super::create;
use super::state::State;
use crate::catalog::{Catalog, Datum, DefaultValue, FieldId, Resource, ResourceId, Row};
use crate::database::Error;

#[derive(Default)]
struct Wanted<'j> {
    changed: HashMap<ResourceId, HashSet<Uuid>>,
    targets: HashMap<ResourceId, HashSet<Uuid>>,
    created: HashMap<ResourceId, Vec<&'j Create>>,
    /// How many of those are made for certain, so that counters do not skip numbers for the others.
    certain: HashMap<ResourceId, usize>,
}

/// Reads what these mutations will look at.
pub(super) async fn prefetch(state: &mut State<'_>, jobs: &[Job]) -> Result<(), Error> {
    let wanted = collect(state.catalog, jobs);
    for (resource, ids) in sorted(wanted.changed) {
        state.load(resource, &ids, true).await?;
    }
    for (resource, ids) in sorted(wanted.targets) {
        state.load(resource, &ids, false).await?;
    }
    for (resource, creates) in sorted(wanted.created) {
        let definition = state.catalog.resource(resource);
        let previews: Vec<Row> = creates.iter().map(|c| create::preview(resource, c, state.catalog)).collect();
        let rows: Vec<&Row> = previews.iter().collect();
        for key in 0..definition.unique_keys.len() {
            state.load_keys(resource, key, &rows).await?;
        }
        let certain = wanted.certain.get(&resource).copied().unwrap_or_default();
        for (id, field) in definition.columns() {
            if field.default == Some(DefaultValue::Sequence) && certain > 0 {
                state.reserve(resource, id, certain).await?;
                state.load_numbers(resource, id).await?;
            }
        }
    }
    load_upserted(state, jobs).await
}

/// The rows that upserts will change, now that it is known which ones these are.
async fn load_upserted(state: &mut State<'_>, jobs: &[Job]) -> Result<(), Error> {
    let mut changed: HashMap<ResourceId, HashSet<Uuid>> = HashMap::new();
    for job in jobs {
        let Job::Mutation(mutation, _) = job else { continue };
        let Command::Upsert(upsert) = &mutation.command else { continue };
        let Some(by) = upsert.by.as_ref().filter(|by| by.is_creatable) else { continue };
        let (key, row) = state.wanted(upsert.resource, by);
        if let Some(owner) = state.key_owner(upsert.resource, key, &row).await? {
            changed.entry(upsert.resource).or_default().insert(owner);
        }
    }
    for (resource, ids) in sorted(changed) {
        state.load(resource, &ids, true).await?;
    }
    Ok(())
}

fn collect<'j>(catalog: &Catalog, jobs: &'j [Job]) -> Wanted<'j> {
    let mut wanted = Wanted::default();
    for job in jobs {
        let Job::Mutation(mutation, _) = job else { continue };
        match &mutation.command {
            Command::Create(create) => wanted.add(catalog, create, true),
            Command::CreateMany(many) => many.items.iter().for_each(|item| wanted.add(catalog, item, true)),
            Command::Update(update) => {
                wanted.changed.entry(update.resource).or_default().insert(update.id);
                add_targets(catalog, update.resource, &update.patch, &mut wanted.targets);
            }
            Command::Upsert(upsert) => {
                let id = upsert.by.as_ref().and_then(|by| match by.values.as_slice() {
                    [(Resource::ID, id)] => id.as_uuid(),
                    _ => None,
                });
                if let Some(id) = id {
                    wanted.changed.entry(upsert.resource).or_default().insert(id);
                } else {
                    wanted.add(catalog, &upsert.create, false);
                }
                add_targets(catalog, upsert.resource, &upsert.patch, &mut wanted.targets);
            }
            Command::Delete(delete) => {
                wanted.changed.entry(delete.resource).or_default().insert(delete.id);
            }
            Command::UpdateMany(many) => add_targets(catalog, many.resource, &many.patch, &mut wanted.targets),
            Command::DeleteMany(_) => {}
        }
    }
    wanted
}

impl<'j> Wanted<'j> {
    fn add(&mut self, catalog: &Catalog, create: &'j Create, is_certain: bool) {
        create.for_each(&mut |create| {
            self.created.entry(create.resource).or_default().push(create);
            *self.certain.entry(create.resource).or_default() += usize::from(is_certain);
            add_targets(catalog, create.resource, &create.values, &mut self.targets);
        });
    }
}

/// In the order of the catalog, so that two nodes take their locks in the same order.
fn sorted<T>(by_resource: HashMap<ResourceId, T>) -> Vec<(ResourceId, T)> {
    let mut entries: Vec<_> = by_resource.into_iter().collect();
    entries.sort_unstable_by_key(|(resource, _)| *resource);
    entries
}

fn add_targets(
    catalog: &Catalog,
    resource: ResourceId,
    values: &[(FieldId, Datum)],
    targets: &mut HashMap<ResourceId, HashSet<Uuid>>,
) {
    for (field, value) in values {
        if let (Some(target), Some(id)) = (catalog.resource(resource).field(*field).to_one(), value.as_uuid()) {
            targets.entry(target).or_default().insert(id);
        }
    }
}
