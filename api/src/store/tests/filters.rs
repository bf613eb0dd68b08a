//! A filter in SQL matches the same rows as on their images, whatever the filter and the rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use uuid::Uuid;

use super::rows::{EVERYTHING, catalog, edges, insert, is_list, row, type_name, values};
use crate::catalog::operator::{Operand, Operator};
use crate::catalog::{Catalog, Datum, FieldType, Filter, Image, Resource, ResourceId, Row};
use crate::store::read::{self, List, Node, OrderTerm, Paging, Shape};
use crate::testing::{TestApp, on_both};

const SHELVES: usize = 12;
const THINGS: usize = 60;
const FILTERS: usize = 600;

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
            Operand::Items => prop::collection::vec(item, 0..4).prop_map(Value::from).boxed(),
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
        if let FieldType::ToOne { target, .. } = field.ty
            && depth > 0
        {
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

fn image(row: &Arc<Row>, related: Vec<(crate::catalog::FieldId, Option<Arc<Image>>)>) -> Image {
    Image { row: Arc::clone(row), related }
}

async fn found(app: &TestApp, catalog: &Catalog, resource: ResourceId, filter: Filter) -> BTreeSet<Uuid> {
    let mut shape = Shape::new(resource);
    shape.column(Resource::ID);
    let by_id = OrderTerm { through: Vec::new(), field: Resource::ID, is_descending: false, is_nullable: false };
    let paging = Paging { limit: 1000, is_backward: false, after: None, before: None };
    let list = List {
        via: None,
        filter,
        order: vec![by_id],
        paging,
        shape,
        wants_rows: true,
        wants_total: true,
        wants_cursors: true,
    };
    let page = read::list(&app.parts.database, catalog, &list, None).await.unwrap();
    assert_eq!(page.total, Some(page.rows.len() as i64));
    let id = |node: &Node| match node {
        Node::Leaf(Datum::Uuid(id)) => *id,
        other => panic!("{other:?}"),
    };
    page.rows.iter().map(|(nodes, _)| id(&nodes[0])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_and_images_agree() {
    on_both(EVERYTHING, async |app| {
        let catalog = catalog();
        let (shelf, thing) = (catalog.find("Shelf").unwrap(), catalog.find("Thing").unwrap());
        let field = |resource, name| catalog.resource(resource).find(name).unwrap();
        let (above, on) = (field(shelf, "above"), field(thing, "shelf"));
        let mut runner = TestRunner::default();
        let mut shelves: Vec<Arc<Image>> = Vec::new();
        for i in 0..SHELVES {
            let mut given = values(&catalog, shelf, &sample(&mut runner, &row(&catalog, shelf)));
            let parent = (i % 3 > 0).then(|| Arc::clone(&shelves[i / 2]));
            given.extend(parent.iter().map(|parent| (above, Datum::Uuid(parent.row.id()))));
            let made = insert(app, shelf, given).await;
            shelves.push(Arc::new(image(&made, vec![(above, parent)])));
        }
        let mut things = Vec::new();
        for i in 0..THINGS {
            let mut given = values(&catalog, thing, &sample(&mut runner, &row(&catalog, thing)));
            let shelf = (i % 4 > 0).then(|| Arc::clone(&shelves[i % SHELVES]));
            given.extend(shelf.iter().map(|shelf| (on, Datum::Uuid(shelf.row.id()))));
            let made = insert(app, thing, given).await;
            things.push(image(&made, vec![(on, shelf)]));
        }
        let strategy = filter(&catalog, thing, 2);
        for _ in 0..FILTERS {
            let client = sample(&mut runner, &strategy);
            let filter = Filter::parse(&catalog, thing, &client).unwrap_or_else(|error| panic!("{error}: {client}"));
            let expected: BTreeSet<_> = things.iter().filter(|t| filter.matches(t)).map(|t| t.row.id()).collect();
            let found = found(app, &catalog, thing, filter).await;
            let differing = things.iter().find(|t| expected.contains(&t.row.id()) != found.contains(&t.row.id()));
            if let Some(thing_image) = differing {
                let row = thing_image.row.image_text(catalog.resource(thing));
                panic!("{client}: SQL matches {}, {row}", found.contains(&thing_image.row.id()));
            }
        }
        let lists = catalog.resource(thing).fields().filter(|(_, field)| is_list(&field.ty)).count();
        assert_eq!(lists, 12);
    })
    .await;
}
