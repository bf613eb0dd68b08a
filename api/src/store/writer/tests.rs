//! Batches of conflicting work, compared with a model that does one thing after the other.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Child, Code, Command, Create, Delete, Error, Job, Mutation, Outcome, Update, batch};
use crate::catalog::{self, Catalog, Datum, FieldId, ResourceId};
use crate::database::{Sql, WriterConnection};
use crate::log::{self, ChangeKind};
use crate::testing::{TestApp, admin, on_both};

const ITEMS: &str = r#"
type Item @resource @auth(rules: [{ allow: PUBLIC }]) {
  sku: String! @unique
  parent: Item @relation(onDelete: CASCADE)
  friend: Item @relation(onDelete: SET_NULL)
  guard: Item @relation(onDelete: RESTRICT)
}
"#;

/// Fewer keys and rows than jobs, so that nearly every job is in conflict with another one.
const KEYS: u8 = 8;
const ROWS: usize = 10;
const BATCHES: usize = 60;

/// A to-one field.
#[derive(Debug, Clone, Copy)]
enum Link {
    Parent,
    Friend,
    Guard,
}

#[derive(Debug, Clone)]
enum Op {
    Create { key: u8 },
    Rename { row: usize, key: u8 },
    Point { row: usize, link: Link, to: Option<usize> },
    Delete { row: usize },
    Statement { is_valid: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let row = || 0..ROWS;
    let link = prop::sample::select(vec![Link::Parent, Link::Friend, Link::Guard]);
    prop_oneof![
        4 => (0..KEYS).prop_map(|key| Op::Create { key }),
        4 => (row(), 0..KEYS).prop_map(|(row, key)| Op::Rename { row, key }),
        4 => (row(), link, prop::option::of(row())).prop_map(|(row, link, to)| Op::Point { row, link, to }),
        2 => row().prop_map(|row| Op::Delete { row }),
        1 => prop::bool::weighted(0.8).prop_map(|is_valid| Op::Statement { is_valid }),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct Item {
    sku: String,
    links: [Option<Uuid>; 3],
    version: i64,
}

#[derive(Debug, Clone, Default)]
struct Model(BTreeMap<Uuid, Item>);

impl Model {
    fn is_taken(&self, sku: &str, by_others_than: Uuid) -> bool {
        self.0.iter().any(|(id, item)| item.sku == sku && *id != by_others_than)
    }

    fn update(&mut self, id: Uuid, change: impl FnOnce(&mut Item)) -> Option<usize> {
        let item = self.0.get_mut(&id)?;
        change(item);
        item.version += 1;
        Some(1)
    }

    /// How many events the removal of a row makes; `None` if it is refused.
    fn delete(&mut self, id: Uuid) -> Option<usize> {
        self.0.get(&id)?;
        let mut removed = BTreeSet::from([id]);
        loop {
            let points = |item: &Item| item.links[Link::Parent as usize].is_some_and(|to| removed.contains(&to));
            let more: Vec<_> =
                self.0.iter().filter(|(id, i)| points(i) && !removed.contains(id)).map(|e| *e.0).collect();
            if more.is_empty() {
                break;
            }
            removed.extend(more);
        }
        let points = |item: &Item, link: Link| item.links[link as usize].is_some_and(|to| removed.contains(&to));
        if self.0.iter().any(|(id, item)| !removed.contains(id) && points(item, Link::Guard)) {
            return None;
        }
        let lonely: Vec<_> =
            self.0.iter().filter(|(id, i)| !removed.contains(id) && points(i, Link::Friend)).map(|e| *e.0).collect();
        for id in &lonely {
            self.update(*id, |item| item.links[Link::Friend as usize] = None);
        }
        self.0.retain(|id, _| !removed.contains(id));
        Some(removed.len() + lonely.len())
    }

    /// How many events the job makes, `None` if it is refused. A new row is given the id that the writer gave it.
    fn apply(&mut self, op: &Op, ids: &[Uuid], made: Option<Uuid>) -> Option<usize> {
        match op {
            Op::Statement { .. } => unreachable!("a statement is no mutation"),
            Op::Create { key } => {
                let sku = format!("K{key}");
                let id = made.unwrap_or(Uuid::nil());
                if self.is_taken(&sku, Uuid::nil()) {
                    return None;
                }
                self.0.insert(id, Item { sku, links: [None; 3], version: 1 });
                Some(1)
            }
            Op::Rename { row, key } => {
                let sku = format!("K{key}");
                if self.is_taken(&sku, ids[*row]) {
                    return None;
                }
                self.update(ids[*row], |item| item.sku = sku)
            }
            Op::Point { row, link, to } => {
                let to = to.map(|to| ids[to]);
                if to.is_some_and(|to| !self.0.contains_key(&to)) {
                    return None;
                }
                self.update(ids[*row], |item| item.links[*link as usize] = to)
            }
            Op::Delete { row } => self.delete(ids[*row]),
        }
    }
}

struct Fields {
    resource: ResourceId,
    sku: FieldId,
    links: [FieldId; 3],
}

impl Fields {
    fn of(catalog: &Catalog) -> Self {
        let resource = catalog.find("Item").unwrap();
        let field = |name| catalog.resource(resource).find(name).unwrap();
        Self { resource, sku: field("sku"), links: ["parent", "friend", "guard"].map(field) }
    }

    fn command(&self, op: &Op, ids: &[Uuid]) -> Command {
        let resource = self.resource;
        let sku = |key: &u8| (self.sku, Datum::Text(format!("K{key}")));
        let update = |row: &usize, patch| {
            Command::Update(Update { resource, id: ids[*row], patch: vec![patch], if_version: None })
        };
        match op {
            Op::Create { key } => {
                Command::Create(Create { resource, values: vec![sku(key)], children: Vec::new(), path: Vec::new() })
            }
            Op::Rename { row, key } => update(row, sku(key)),
            Op::Point { row, link, to } => {
                let to = to.map_or(Datum::Null, |to| Datum::Uuid(ids[to]));
                update(row, (self.links[*link as usize], to))
            }
            Op::Delete { row } => Command::Delete(Delete { resource, id: ids[*row], if_version: None }),
            Op::Statement { .. } => unreachable!("a statement is no mutation"),
        }
    }
}

type Answer = oneshot::Receiver<Result<Outcome, Error>>;
type StatementAnswer = oneshot::Receiver<Result<Vec<u64>, Error>>;

async fn run(
    connection: &WriterConnection,
    catalog: &Catalog,
    fields: &Fields,
    ops: &[Op],
    ids: &[Uuid],
) -> Vec<Result<Answer, StatementAnswer>> {
    let mut jobs = Vec::new();
    let mut answers = Vec::new();
    for op in ops {
        if let Op::Statement { is_valid } = op {
            let (reply, answer) = oneshot::channel();
            let text =
                if *is_valid { "UPDATE tandem_webhook SET url = url" } else { "UPDATE tandem_nothing SET url = url" };
            let statement = Sql::text(connection.dialect(), text);
            jobs.push(Job::Statements(vec![statement], reply));
            answers.push(Err(answer));
        } else {
            let (reply, answer) = oneshot::channel();
            let command = fields.command(op, ids);
            jobs.push(Job::Mutation(Box::new(Mutation { principal: admin(), command, violations: Vec::new() }), reply));
            answers.push(Ok(answer));
        }
    }
    batch::run(connection, catalog, jobs).await.give();
    answers
}

async fn rows(app: &TestApp) -> BTreeMap<Uuid, Item> {
    let text = "SELECT id, sku, parent_id, friend_id, guard_id, CAST(version AS bigint) FROM item";
    let records = app.parts.database.query(Sql::text(app.parts.database.dialect(), text)).await.unwrap();
    let item = |record: &crate::database::Record| {
        let links = [2, 3, 4].map(|i| record.uuid(i).unwrap());
        let item = Item { sku: record.need_text(1).unwrap(), links, version: record.need_int(5).unwrap() };
        (record.need_uuid(0).unwrap(), item)
    };
    records.iter().map(item).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_does_what_its_jobs_would_do_one_after_the_other() {
    on_both(ITEMS, async |app| {
        let catalog = catalog::parse("items.graphql", ITEMS).unwrap();
        let fields = Fields::of(&catalog);
        let connection = WriterConnection::open(&app.parts.database).await.unwrap();
        let mut runner = TestRunner::default();
        let mut model = Model::default();
        let mut position = 0;
        for _ in 0..BATCHES {
            // Ids that a client can know: of rows that were there before the batch, and some of rows that never were.
            let mut ids: Vec<Uuid> = model.0.keys().copied().collect();
            ids.resize_with(ROWS, Uuid::now_v7);
            let ops = prop::collection::vec(op(), 1..64).new_tree(&mut runner).unwrap().current();
            let answers = run(&connection, &catalog, &fields, &ops, &ids).await;
            for (op, answer) in ops.iter().zip(answers) {
                let answer = match answer {
                    Ok(answer) => answer.await.unwrap(),
                    Err(answer) => {
                        let is_done = answer.await.unwrap().is_ok();
                        assert!(matches!(op, Op::Statement { is_valid } if *is_valid == is_done), "{op:?} of {ops:?}");
                        continue;
                    }
                };
                let outcome = answer.unwrap_or_else(|error| panic!("{op:?} of {ops:?}: {error}"));
                let made = match &outcome {
                    Outcome::Done { events, main } => Some(events[*main].row_id),
                    Outcome::Refused { .. } => None,
                };
                let expected = model.apply(op, &ids, made);
                let Outcome::Done { events, main } = outcome else {
                    assert_eq!(expected, None, "{op:?} of {ops:?}");
                    continue;
                };
                assert_eq!(expected, Some(events.len()), "{op:?} of {ops:?}");
                for event in &events {
                    position += 1;
                    assert_eq!(event.position.get(), position, "{op:?} of {ops:?}");
                    if event.kind == ChangeKind::Updated {
                        assert_eq!(model.0.get(&event.row_id).map(|item| item.version), Some(event.version));
                    }
                }
                let kind = match op {
                    Op::Create { .. } => ChangeKind::Created,
                    Op::Delete { .. } => ChangeKind::Deleted,
                    _ => ChangeKind::Updated,
                };
                assert_eq!(events[main].kind, kind);
            }
            assert_eq!(rows(app).await, model.0, "{ops:?}");
            assert_eq!(log::read::head(&app.parts.database).await.unwrap().position.get(), position);
        }
        assert!(position > 100);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_fails_alone() {
    on_both(ITEMS, async |app| {
        let catalog = catalog::parse("items.graphql", ITEMS).unwrap();
        let fields = Fields::of(&catalog);
        let connection = WriterConnection::open(&app.parts.database).await.unwrap();
        let made = run(&connection, &catalog, &fields, &[Op::Create { key: 0 }], &[]).await.remove(0);
        let Outcome::Done { events, .. } = made.unwrap().await.unwrap().unwrap() else { panic!("it was refused") };
        // Reads the same database with a resource file in which the column has another type.
        let other = catalog::parse("items.graphql", &ITEMS.replace("sku: String!", "sku: Int!")).unwrap();
        let ids = [events[0].row_id];
        let ops = [Op::Delete { row: 0 }, Op::Statement { is_valid: true }];
        let mut answers = run(&connection, &other, &fields, &ops, &ids).await.into_iter();
        assert!(answers.next().unwrap().unwrap().await.unwrap().is_err());
        assert!(answers.next().unwrap().unwrap_err().await.unwrap().is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_changes_no_more_rows_than_a_mutation_may() {
    on_both(ITEMS, async |app| {
        let catalog = catalog::parse("items.graphql", ITEMS).unwrap();
        let fields = Fields::of(&catalog);
        let create = |sku: String, children| {
            let values = vec![(fields.sku, Datum::Text(sku))];
            Create { resource: fields.resource, values, children, path: Vec::new() }
        };
        let friend =
            |i| Child { via: fields.links[Link::Friend as usize], create: create(format!("F{i}"), Vec::new()) };
        let mutate = async |command| {
            let mutation = Mutation { principal: admin(), command, violations: Vec::new() };
            app.parts.writer.mutate(mutation).await.unwrap()
        };
        let popular = create("K".to_owned(), (0..10_000).map(friend).collect());
        let Outcome::Done { events, .. } = mutate(Command::Create(popular)).await else { panic!("it was refused") };
        let delete = Delete { resource: fields.resource, id: events[0].row_id, if_version: None };
        let Outcome::Refused { violations, .. } = mutate(Command::Delete(delete)).await else { panic!("it was done") };
        assert_eq!(violations[0].code, Code::TooMany);
    })
    .await;
}
