//! Batches of conflicting work, compared with a model that does one thing after the other.

mod keys;
mod model;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::sync::oneshot;
use uuid::Uuid;

use self::model::{Item, Link, Model, Op, ROWS, op};
use super::{
    By, Child, Code, Command, Create, CreateMany, Delete, DeleteMany, Error, Job, Matching, Mutation, Outcome, Update,
    UpdateMany, Upsert, batch,
};
use crate::catalog::filter::Test;
use crate::catalog::{self, Catalog, Datum, FieldId, Filter, ResourceId};
use crate::database::{Dialect, Sql, WriterConnection};
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

const BATCHES: usize = 60;

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

    /// What matches a filter has been found among the rows of `before`.
    fn command(&self, op: &Op, ids: &[Uuid], before: &Model) -> Command {
        let resource = self.resource;
        let sku = |key: &u8| (self.sku, Datum::Text(model::sku(*key)));
        let update = |row: &usize, patch| {
            Command::Update(Update { resource, id: ids[*row], patch: vec![patch], if_version: None })
        };
        let create = |key: &u8| self.create(vec![sku(key)], Vec::new());
        let point = |link: Link, to: &Option<usize>| {
            (self.links[link as usize], to.map_or(Datum::Null, |to| Datum::Uuid(ids[to])))
        };
        let matching = |keys: &[u8], at_most: usize| {
            let filter = Filter::Field(self.sku, Test::In(keys.iter().map(|key| sku(key).1).collect()));
            Matching { found: Some(before.matching(keys, at_most)), ..Matching::new(filter, at_most) }
        };
        match op {
            Op::Create { key } => Command::Create(create(key)),
            Op::Rename { row, key } => update(row, sku(key)),
            Op::Point { row, link, to } => update(row, point(*link, to)),
            Op::Delete { row } => Command::Delete(Delete { resource, id: ids[*row], if_version: None }),
            Op::Upsert { key, to } => {
                let by = By { values: vec![sku(key)], is_creatable: true, path: Vec::new() };
                let patch = vec![point(Link::Friend, to)];
                Command::Upsert(Upsert { resource, by: Some(by), create: create(key), patch })
            }
            Op::CreateMany { keys, is_independent } => {
                let items = keys.iter().map(create).collect();
                Command::CreateMany(CreateMany { resource, items, is_independent: *is_independent })
            }
            Op::UpdateMany { keys, to, at_most } => {
                let patch = vec![point(Link::Friend, to)];
                Command::UpdateMany(UpdateMany { resource, matching: matching(keys, *at_most), patch })
            }
            Op::DeleteMany { keys, at_most } => {
                Command::DeleteMany(DeleteMany { resource, matching: matching(keys, *at_most) })
            }
            Op::Statement { .. } => unreachable!("a statement is no mutation"),
        }
    }

    fn create(&self, values: Vec<(FieldId, Datum)>, children: Vec<Child>) -> Create {
        Create { resource: self.resource, values, children, path: Vec::new(), violations: Vec::new() }
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
    before: &Model,
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
            let command = fields.command(op, ids, before);
            jobs.push(Job::Mutation(
                Box::new(Mutation { principal: admin(), command, violations: Vec::new(), key: None }),
                reply,
            ));
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
            let before = model.clone();
            let answers = run(&connection, &catalog, &fields, &ops, &ids, &before).await;
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
                let Outcome::Done { events, subjects, violations } = outcome else {
                    assert_eq!(model.apply(op, &ids, &[], &before), None, "{op:?} of {ops:?}");
                    continue;
                };
                let made: Vec<_> = subjects.iter().map(|subject| Some(events[(*subject)?].row_id)).collect();
                let is_partial = matches!(op, Op::CreateMany { is_independent: true, .. });
                assert!(violations.is_empty() || is_partial, "{op:?} of {ops:?}");
                assert_eq!(model.apply(op, &ids, &made, &before), Some(events.len()), "{op:?} of {ops:?}");
                for event in &events {
                    position += 1;
                    assert_eq!(event.position.get(), position, "{op:?} of {ops:?}");
                    assert_eq!(event.transaction_id, events[0].transaction_id);
                    if event.kind == ChangeKind::Updated {
                        assert_eq!(model.0.get(&event.row_id).map(|item| item.version), Some(event.version));
                    }
                }
                let subjects = subjects.iter().flatten().map(|subject| events[*subject].kind);
                let is_right = |kind: ChangeKind| match op {
                    Op::Create { .. } | Op::CreateMany { .. } => kind == ChangeKind::Created,
                    Op::Delete { .. } | Op::DeleteMany { .. } => kind == ChangeKind::Deleted,
                    Op::Upsert { .. } => kind != ChangeKind::Deleted,
                    Op::Rename { .. } | Op::Point { .. } | Op::UpdateMany { .. } => kind == ChangeKind::Updated,
                    Op::Statement { .. } => false,
                };
                assert!(subjects.clone().all(is_right) && subjects.count() <= ROWS, "{op:?} of {ops:?}");
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
        let made =
            run(&connection, &catalog, &fields, &[Op::Create { key: 0 }], &[], &Model::default()).await.remove(0);
        let Outcome::Done { events, .. } = made.unwrap().await.unwrap().unwrap() else { panic!("it was refused") };
        // Reads the same database with a resource file in which the column has another type.
        let other = catalog::parse("items.graphql", &ITEMS.replace("sku: String!", "sku: Int!")).unwrap();
        let ids = [events[0].row_id];
        let ops = [Op::Delete { row: 0 }, Op::Statement { is_valid: true }];
        let mut answers = run(&connection, &other, &fields, &ops, &ids, &Model::default()).await.into_iter();
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
        let create = |sku: String, children| fields.create(vec![(fields.sku, Datum::Text(sku))], children);
        let friend =
            |i| Child { via: fields.links[Link::Friend as usize], create: create(format!("F{i}"), Vec::new()) };
        let mutate = async |command| {
            let mutation = Mutation { principal: admin(), command, violations: Vec::new(), key: None };
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

/// A lock on a table stands for a filter that takes long: SQLite, which has no such locks, is asked for less.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_while_rows_are_found() {
    const OTHERS: &str = "type Other @resource @auth(rules: [{ allow: PUBLIC }]) { name: String }";
    let file = format!("{ITEMS}{OTHERS}");
    on_both(&file, async |app| {
        let catalog = catalog::parse("items.graphql", &file).unwrap();
        let fields = Fields::of(&catalog);
        let writer = app.parts.writer.clone();
        let mutation = |command| Mutation { principal: admin(), command, violations: Vec::new(), key: None };
        let item = fields.create(vec![(fields.sku, Datum::Text(model::sku(0)))], Vec::new());
        writer.mutate(mutation(Command::Create(item))).await.unwrap();

        let other = WriterConnection::open(&app.parts.database).await.unwrap();
        let lock = match other.dialect() {
            Dialect::Sqlite => None,
            Dialect::Postgres => {
                let transaction = other.begin().await.unwrap();
                transaction.run(Sql::text(Dialect::Postgres, "LOCK TABLE item")).await.unwrap();
                Some(transaction)
            }
        };
        let matching = Matching::new(Filter::Field(fields.sku, Test::IsNull(false)), 10);
        let many = Command::UpdateMany(UpdateMany { resource: fields.resource, matching, patch: Vec::new() });
        let (writing, many) = (writer.clone(), mutation(many));
        let finding = tokio::spawn(async move { writing.mutate(many).await });
        let create = Create { resource: catalog.find("Other").unwrap(), ..fields.create(Vec::new(), Vec::new()) };
        for _ in 0..3 {
            let made = writer.mutate(mutation(Command::Create(create.clone())));
            tokio::time::timeout(Duration::from_secs(20), made).await.expect("nobody waits").unwrap();
        }
        assert!(lock.is_none() || !finding.is_finished());
        drop(lock);
        other.settle().await;
        assert!(matches!(finding.await.unwrap().unwrap(), Outcome::Done { subjects, .. } if subjects.len() == 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_kept_and_good_for_tables_of_any_size() {
    on_both(ITEMS, async |app| {
        let connection = WriterConnection::open(&app.parts.database).await.unwrap();
        let transaction = connection.begin().await.unwrap();
        if transaction.dialect() == Dialect::Sqlite {
            return;
        }
        let sql = |text: &str| Sql::text(Dialect::Postgres, text);
        transaction.run(sql("CREATE TABLE few AS SELECT 1::bigint AS id, 2::bigint AS amount")).await.unwrap();
        transaction.run(sql("CREATE UNIQUE INDEX ON few (id)")).await.unwrap();
        transaction.run(sql("ANALYZE few")).await.unwrap();
        for id in 0..3_i64 {
            let mut ask = sql("SELECT amount FROM few WHERE id = ");
            ask.bind(id);
            transaction.query(ask).await.unwrap();
        }
        let planned =
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%FROM few%'";
        let planned = transaction.query(sql(planned)).await.unwrap();
        assert_eq!((planned[0].need_int(0).unwrap(), planned[0].need_int(1).unwrap()), (3, 0));
        let join = "EXPLAIN SELECT amount FROM few JOIN unnest('{1,2,3}'::bigint[]) AS v (id) ON few.id = v.id";
        let plan = transaction.query(sql(join)).await.unwrap();
        let plan: Vec<_> = plan.iter().map(|line| line.need_text(0).unwrap()).collect();
        assert!(plan.iter().any(|line| line.contains("Index")), "{plan:#?}");
        assert!(!plan.iter().any(|line| line.contains("Seq Scan on few")), "{plan:#?}");
    })
    .await;
}
