//! A value has the same bytes in every channel, on both databases: as it was written, as it is read, in the event, and
//! as of a position.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::rows::{EVERYTHING, catalog, insert, mutate, row, values};
use crate::catalog::datum::Prefixes;
use crate::catalog::{Catalog, Datum, Needs, ResourceId, Row};
use crate::log;
use crate::store::AsOf;
use crate::store::read::{self, Node, Shape};
use crate::store::writer::{Command, Delete, Update};
use crate::testing::{TestApp, on_both};

fn client_json(catalog: &Catalog, resource: ResourceId, data: &[Datum]) -> Vec<String> {
    let definition = catalog.resource(resource);
    let columns = definition.fields().zip(data);
    let declared = columns.filter(|((_, field), _)| field.is_column());
    let text = |((_, field), datum): ((_, &crate::catalog::Field), &Datum)| {
        let mut out = format!("{}: ", field.name).into_bytes();
        datum.write_json(&field.ty, &Prefixes::new(catalog, resource), &mut out);
        String::from_utf8(out).unwrap()
    };
    declared.map(text).collect()
}

async fn read(app: &TestApp, catalog: &Catalog, resource: ResourceId, row: &Row) -> Vec<Datum> {
    let mut shape = Shape::new(resource);
    for (id, _) in catalog.resource(resource).columns() {
        shape.column(id);
    }
    let key = read::by_values([(crate::catalog::Resource::ID, Datum::Uuid(row.id()))]);
    let (nodes, _) = read::one(&app.parts.database, catalog, &shape, &key).await.unwrap().unwrap();
    let leaf = |node| match node {
        Node::Leaf(datum) => datum,
        other => panic!("{other:?}"),
    };
    nodes.into_iter().map(leaf).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_has_the_same_bytes_in_every_channel() {
    let seen = Mutex::new(Vec::new());
    on_both(EVERYTHING, async |app| {
        let catalog = Arc::new(catalog());
        let thing = catalog.find("Thing").unwrap();
        // Not random, so that both databases get the same.
        let mut runner = TestRunner::deterministic();
        let strategy = row(&catalog, thing);
        let mut all = Vec::new();
        for _ in 0..100 {
            let given = strategy.new_tree(&mut runner).unwrap().current();
            let written = insert(app, thing, values(&catalog, thing, &given)).await;
            let expected = client_json(&catalog, thing, &written.0);
            assert_eq!(
                client_json(&catalog, thing, &read(app, &catalog, thing, &written).await),
                expected,
                "{given:?}"
            );
            let position = log::read::head(&app.parts.database).await.unwrap().position;
            let before = entity::Position::new(position.get() - 1).unwrap();
            let events = log::read::after(&app.parts.database, app.parts.hub.lineage(), before, 1).await.unwrap();
            let image = events[0].after.as_ref().unwrap();
            assert_eq!(client_json(&catalog, thing, &image.0), expected, "{given:?}");
            let declared = expected
                .iter()
                .filter(|text| !["id", "createdAt", "updatedAt"].contains(&text.split(':').next().unwrap()));
            all.push(declared.cloned().collect::<Vec<_>>());
        }
        let first = std::mem::take(&mut *seen.lock().unwrap());
        if !first.is_empty() {
            assert_eq!(all, first, "SQLite on the right");
        }
        *seen.lock().unwrap() = all;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_related_row_is_as_it_was_at_the_position() {
    on_both(EVERYTHING, async |app| {
        let catalog = Arc::new(catalog());
        let (shelf, thing) = (catalog.find("Shelf").unwrap(), catalog.find("Thing").unwrap());
        let field = |resource, name| catalog.resource(resource).find(name).unwrap();
        let (label, on) = (field(shelf, "label"), field(thing, "shelf"));
        let shelf_row = insert(app, shelf, vec![(label, Datum::Text("first".to_owned()))]).await;
        let thing_row = insert(app, thing, vec![(on, Datum::Uuid(shelf_row.id()))]).await;
        let at = |position: i64| entity::Position::new(position).unwrap();
        let mut needs = Needs::default();
        needs.related(on);
        // Two instances, so that one of them has nothing in its cache when it is asked late.
        let (early, late) = (
            AsOf::new(app.parts.database.clone(), Arc::clone(app.parts.hub.lineage())),
            AsOf::new(app.parts.database.clone(), Arc::clone(app.parts.hub.lineage())),
        );
        let shown = async |as_of: &AsOf, position: i64| {
            let image = as_of.image(thing, Arc::clone(&thing_row), at(position), &needs).await.unwrap();
            image.related(on).map(|other| client_json(&catalog, shelf, &other.row.0))
        };
        let mut live = vec![shown(&early, 2).await];
        for text in ["second", "third"] {
            let patch = vec![(label, Datum::Text(text.to_owned()))];
            mutate(app, Command::Update(Update { resource: shelf, id: shelf_row.id(), patch, if_version: None })).await;
            live.push(shown(&early, 2 + live.len() as i64).await);
        }
        mutate(app, Command::Delete(Delete { resource: shelf, id: shelf_row.id(), if_version: None })).await;
        assert!(live[0].as_ref().unwrap()[1].contains("first"), "{live:?}");
        assert!(live[2].as_ref().unwrap()[1].contains("third"), "{live:?}");
        for (i, expected) in live.iter().enumerate() {
            let position = 2 + i as i64;
            assert_eq!(&shown(&late, position).await, expected, "at {position}");
            assert_eq!(&shown(&early, position).await, expected, "at {position}, from the cache");
        }
        // The thing has lost its shelf (position 5) before the shelf was removed (position 6).
        assert_eq!(shown(&late, 5).await, live[2]);
        assert_eq!(shown(&late, 6).await, None);
        // Before it was made, the shelf was not there.
        assert_eq!(shown(&late, 0).await, None);
    })
    .await;
}
