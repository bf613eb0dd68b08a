//! A filter in SQL matches the same rows as on their images, whatever the filter and the rows; and the images of a position
//! stay what they were, whatever has happened since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use uuid::Uuid;

use super::rows::{EVERYTHING, catalog, edges, is_list, mutate, row, type_name};
use crate::catalog::operator::{Operand, Operator};
use crate::catalog::{Catalog, Datum, Filter, Image, Needs, Quantifier, Resource, ResourceId, Row};
use crate::log::Event;
use crate::store::AsOf;
use crate::store::read::{self, List, Node, OrderTerm, Paging, Shape};
use crate::store::writer::{Command, Create, Delete, Update};
use crate::testing::{TestApp, on_both};

/// Mutations; half of them creates.
const STEPS: usize = 160;
const FILTERS: usize = 400;

/// A test of one field.
fn test(catalog: &Catalog, field: &crate::catalog::Field) -> Option<BoxedStrategy<Value>> {
    let operators = Operator::of(&field.ty);
    if operators.is_empty() {
        return None;
    }
    let items = match type_name(catalog, &field.ty) {
        Some(name) => edges(&name),
        // Ids of rows are compared in tests of their own.
        None => return None,
    };
    let name = field.name.clone();
    let operator = prop::sample::select(operators.to_vec());
    let test = operator.prop_flat_map(move |operator| {
        let item = prop::sample::select(items.clone());
        let operand = match operator.operand() {
            Operand::Boolean => any::<bool>().prop_map(Value::from).boxed(),
            Operand::Item => item.boxed(),
            // Long lists take another way.
            Operand::Items => {
                let few = prop::collection::vec(item.clone(), 0..4);
                prop_oneof![3 => few, 1 => prop::collection::vec(item, 32..40)].prop_map(Value::from).boxed()
            }
        };
        operand.prop_map(move |operand| json!({operator.name(): operand}))
    });
    Some(test.prop_map(move |test| json!({name.clone(): test})).boxed())
}

fn filter(catalog: &Catalog, resource: ResourceId, depth: u32) -> BoxedStrategy<Value> {
    let definition = catalog.resource(resource);
    let mut leaves: Vec<BoxedStrategy<Value>> = Vec::new();
    for (_, field) in definition.fields() {
        leaves.extend(test(catalog, field));
        if let (Some((target, _)), true) = (field.to_many(), depth > 0) {
            let name = field.name.clone();
            let quantifier = prop::sample::select(Quantifier::ALL.map(Quantifier::name).to_vec());
            let related = filter(catalog, target, depth - 1);
            let test =
                (quantifier, related).prop_map(move |(quantifier, inner)| json!({name.clone(): {quantifier: inner}}));
            leaves.push(test.boxed());
        }
        if let (Some(target), true) = (field.to_one(), depth > 0) {
            let name = field.name.clone();
            let related = filter(catalog, target, depth - 1);
            leaves.push(related.prop_map(move |inner| json!({name.clone(): inner})).boxed());
            let name = format!("{}Id", field.name);
            leaves.push(any::<bool>().prop_map(move |is_null| json!({name.clone(): {"isNull": is_null}})).boxed());
        }
    }
    let leaf = prop::strategy::Union::new(leaves).boxed();
    let tree = leaf.prop_recursive(3, 12, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            list.clone().prop_map(|all| json!({"and": all})),
            list.prop_map(|any| json!({"or": any})),
            inner.prop_map(|not| json!({"not": not})),
        ]
    });
    tree.boxed()
}

fn sample<T>(runner: &mut TestRunner, strategy: &impl Strategy<Value = T>) -> T {
    strategy.new_tree(runner).unwrap().current()
}

/// All rows, as they were at a position of the log.
#[derive(Clone, Default)]
struct World(BTreeMap<(ResourceId, Uuid), Arc<Row>>);

impl World {
    fn apply(&mut self, event: &Event) {
        let key = (event.resource, event.row_id);
        match &event.after {
            Some(row) => self.0.insert(key, Arc::clone(row)),
            None => self.0.remove(&key),
        };
    }

    fn rows(&self, resource: ResourceId) -> impl Iterator<Item = &Arc<Row>> {
        self.0.iter().filter(move |((of, _), _)| *of == resource).map(|(_, row)| row)
    }

    /// A row with the related rows that a filter looks at.
    fn image(&self, catalog: &Catalog, resource: ResourceId, row: &Arc<Row>, needs: &Needs) -> Image {
        let definition = catalog.resource(resource);
        let mut image = Image::alone(Arc::clone(row));
        for (field, needs) in &needs.related {
            let target = definition.field(*field).to_one().unwrap();
            let other = row.get(*field).as_uuid().and_then(|id| self.0.get(&(target, id)));
            let other = other.map(|other| Arc::new(self.image(catalog, target, other, needs)));
            image.related.push((*field, other));
        }
        for (field, needs) in &needs.lists {
            let (target, via) = definition.field(*field).to_many().unwrap();
            let own = self.rows(target).filter(|other| other.get(via).as_uuid() == Some(row.id()));
            let own = own.map(|other| Arc::new(self.image(catalog, target, other, needs)));
            image.lists.push((*field, own.collect()));
        }
        image
    }

    fn matches(&self, catalog: &Catalog, resource: ResourceId, row: &Arc<Row>, filter: &Filter) -> bool {
        let mut needs = Needs::default();
        filter.add_needs(&mut needs);
        filter.matches(&self.image(catalog, resource, row, &needs))
    }
}

/// The world at each position of the log, written by creates, updates, moves and deletes.
async fn history(app: &TestApp, catalog: &Catalog, runner: &mut TestRunner) -> Vec<World> {
    let (shelf, thing) = (catalog.find("Shelf").unwrap(), catalog.find("Thing").unwrap());
    let field = |resource, name| catalog.resource(resource).find(name).unwrap();
    let (above, on) = (field(shelf, "above"), field(thing, "shelf"));
    let mut history = vec![World::default()];
    let (shelf_values, thing_values) = (row(catalog, shelf), row(catalog, thing));
    for step in 0..STEPS {
        let world = history.last().unwrap();
        let ids = |resource| world.rows(resource).map(|row| row.id()).collect::<Vec<_>>();
        let (shelves, things) = (ids(shelf), ids(thing));
        let pick =
            |runner: &mut TestRunner, ids: &[Uuid]| (!ids.is_empty()).then(|| ids[sample(runner, &(0..ids.len()))]);
        let is_shelf = sample(runner, &(0..4)) == 0;
        let (resource, via, values, own) = match is_shelf {
            true => (shelf, above, &shelf_values, &shelves),
            false => (thing, on, &thing_values, &things),
        };
        let parent = pick(runner, &shelves).filter(|_| sample(runner, &(0..5)) > 0);
        let mut given = super::rows::values(catalog, resource, &sample(runner, values));
        given.push((via, parent.map_or(Datum::Null, Datum::Uuid)));
        let kind = if step < STEPS / 2 { 0 } else { sample(runner, &(0..6)) };
        let command = match (kind, pick(runner, own)) {
            (0 | 1, _) | (_, None) => {
                given.retain(|(_, value)| !value.is_null());
                Command::Create(Create {
                    resource,
                    values: given,
                    children: Vec::new(),
                    path: Vec::new(),
                    violations: Vec::new(),
                })
            }
            (2, Some(id)) => Command::Delete(Delete { resource, id, if_version: None }),
            // A move, or a change of everything.
            (kind, Some(id)) => {
                let patch = if kind < 5 { given.split_off(given.len() - 1) } else { given };
                Command::Update(Update { resource, id, patch, if_version: None })
            }
        };
        for event in mutate(app, command).await {
            let mut world = history.last().unwrap().clone();
            world.apply(&event);
            history.push(world);
        }
    }
    history
}

async fn found(app: &TestApp, catalog: &Catalog, resource: ResourceId, filter: Filter) -> BTreeSet<Uuid> {
    let mut shape = Shape::new(resource);
    shape.column(Resource::ID);
    let by_id = OrderTerm { through: Vec::new(), field: Resource::ID, is_descending: false, is_nullable: false };
    let paging = Paging { limit: 1000, is_backward: false, after: None, before: None };
    let list = List {
        via: None,
        filter,
        search: None,
        order: vec![by_id],
        paging,
        shape,
        wants_rows: true,
        wants_total: true,
        aggregates: Vec::new(),
        groupings: Vec::new(),
        wants_cursors: true,
    };
    let page = read::list(&app.parts.database, catalog, &list, None).await.unwrap();
    assert_eq!(page.total, Some(page.rows.len() as i64));
    let id = |node: &Node| match node {
        Node::Leaf(Datum::Uuid(id)) => *id,
        other => panic!("{other:?}"),
    };
    let found: BTreeSet<_> = page.rows.iter().map(|(nodes, _)| id(&nodes[0])).collect();
    assert_eq!(found.len(), page.rows.len(), "each row once");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_and_images_agree() {
    on_both(EVERYTHING, async |app| {
        let catalog = catalog();
        let mut runner = TestRunner::default();
        let history = history(app, &catalog, &mut runner).await;
        let world = history.last().unwrap();
        for name in ["Thing", "Shelf"] {
            let resource = catalog.find(name).unwrap();
            let strategy = filter(&catalog, resource, 2);
            for _ in 0..FILTERS {
                let client = sample(&mut runner, &strategy);
                let filter =
                    Filter::parse(&catalog, resource, &client).unwrap_or_else(|error| panic!("{error}: {client}"));
                let expected: BTreeSet<_> = world
                    .rows(resource)
                    .filter(|row| world.matches(&catalog, resource, row, &filter))
                    .map(|row| row.id())
                    .collect();
                let found = found(app, &catalog, resource, filter).await;
                let differing =
                    world.rows(resource).find(|row| expected.contains(&row.id()) != found.contains(&row.id()));
                if let Some(row) = differing {
                    let image = row.image_text(catalog.resource(resource));
                    panic!("{client}: SQL matches {}, {image}", found.contains(&row.id()));
                }
            }
        }
        let thing = catalog.resource(catalog.find("Thing").unwrap());
        assert_eq!(thing.fields().filter(|(_, field)| is_list(&field.ty)).count(), 12);
    })
    .await;
}

/// By the same filters, so what they look at is what is compared.
#[tokio::test(flavor = "multi_thread")]
async fn images_of_a_position_stay_what_they_were() {
    on_both(EVERYTHING, async |app| {
        let catalog = Arc::new(catalog());
        let mut runner = TestRunner::default();
        let history = history(app, &catalog, &mut runner).await;
        let as_of = AsOf::new(app.parts.database.clone(), Arc::clone(app.parts.hub.lineage()));
        let mut judged = 0;
        let mut listed = 0;
        for name in ["Thing", "Shelf"] {
            let resource = catalog.find(name).unwrap();
            let strategy = filter(&catalog, resource, 2);
            for _ in 0..FILTERS {
                let client = sample(&mut runner, &strategy);
                let filter = Filter::parse(&catalog, resource, &client).unwrap();
                let mut needs = Needs::default();
                filter.add_needs(&mut needs);
                let position = sample(&mut runner, &(0..history.len()));
                for row in history[position].rows(resource) {
                    let at = entity::Position::new(position as i64).unwrap();
                    let image = as_of.image(resource, Arc::clone(row), at, &needs).await.unwrap();
                    let expected = history[position].matches(&catalog, resource, row, &filter);
                    let shown = row.image_text(catalog.resource(resource));
                    assert_eq!(
                        filter.matches(&image),
                        expected,
                        "{client} at {position} of {}: {shown}",
                        history.len()
                    );
                    judged += 1;
                    listed += image.lists.iter().map(|(_, images)| images.len()).sum::<usize>();
                }
            }
        }
        // Both would be small if the world were too poor for the test to mean something.
        assert!(judged > 1_000 && listed > 100, "{judged} judged, with {listed} rows in lists");
    })
    .await;
}
