//! What a key remembers, and for how long.

use serde_json::json;

use super::*;
use crate::catalog::{self, Datum};
use crate::store::writer::{Command, Create, Mutation, Outcome};
use crate::testing::{TestApp, admin, on_both, person};

const ITEMS: &str = "type Item @resource @auth(rules: [{ allow: PUBLIC }]) { name: String! @unique }";

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

#[test]
fn a_key_belongs_to_a_caller_and_an_input() {
    let key = |principal: &Principal, key: &str, mutation: &str, input: Value| {
        Key::new(principal, key, mutation, &object(input))
    };
    let ada = person("ada", &[]);
    let first = key(&ada, "k", "createItem", json!({"a": 1, "b": {"x": [1, {"y": 2, "z": 3}]}}));
    let same = json!({"idempotencyKey": "k", "b": {"x": [1, {"z": 3, "y": 2}]}, "a": 1, "clientMutationId": "c"});
    assert_eq!(key(&ada, "k", "createItem", same), first, "neither order nor what is not compared counts");
    let other_roles = person("ada", &["support"]);
    assert_eq!(key(&other_roles, "k", "createItem", json!({"a": 1, "b": {"x": [1, {"y": 2, "z": 3}]}})), first);
    for (principal, text) in [(&*person("bob", &[]), "k"), (&Principal::anonymous(), "k"), (&*ada, "l")] {
        assert_ne!(key(principal, text, "createItem", json!({})).id, first.id);
    }
    // What is put together differently is not the same.
    let split = |sub: &str, text: &str| key(&person(sub, &[]), text, "createItem", json!({})).id;
    assert_ne!(split("a", "bc"), split("ab", "c"));
    for (mutation, input) in [
        ("createItem", json!({"a": 1})),
        ("createItem", json!({"a": 1, "b": {"x": [{"y": 2, "z": 3}, 1]}})),
        ("createItem", json!({"a": 1, "b": {"x": [1, {"y": 2, "z": 3}]}, "c": null})),
        ("updateItem", json!({"a": 1, "b": {"x": [1, {"y": 2, "z": 3}]}})),
    ] {
        let other = key(&ada, "k", mutation, input.clone());
        assert_eq!(other.id, first.id);
        assert_ne!(other.input, first.input, "{mutation} {input}");
    }
}

#[test]
fn outcomes_are_read_as_they_were_written() {
    let violation = Violation::named(&["items", "1", "sku"], Code::NotUnique, "Another \"one\" – ü.");
    let receipt = Receipt {
        before: Position::new(41).unwrap(),
        count: 3,
        subjects: vec![Some(0), None, Some(2)],
        violations: vec![violation],
    };
    for kept in [Kept::Events(receipt), Kept::Row("{\"url\":\"…\"}".to_owned())] {
        assert_eq!(Kept::from_json(&kept.to_json()), Some(kept));
    }
    assert_eq!(Kept::from_json("{}"), None);
    for code in Code::ALL {
        assert_eq!(Code::from_name(code.name()), Some(code));
    }
}

async fn create(app: &TestApp, name: &str, key: &str) -> Outcome {
    let catalog = catalog::parse("items.graphql", ITEMS).unwrap();
    let resource = catalog.find("Item").unwrap();
    let field = catalog.resource(resource).find("name").unwrap();
    let create = Create {
        resource,
        values: vec![(field, Datum::Text(name.to_owned()))],
        children: Vec::new(),
        path: Vec::new(),
        violations: Vec::new(),
    };
    let key = Key::new(&admin(), key, "createItem", &object(json!({"name": name})));
    let mutation =
        Mutation { principal: admin(), command: Command::Create(create), violations: Vec::new(), key: Some(key) };
    app.parts.writer.mutate(mutation).await.unwrap()
}

async fn count(app: &TestApp) -> i64 {
    let sql = Sql::text(app.parts.database.dialect(), "SELECT CAST(COUNT(*) AS bigint) FROM tandem_idempotency");
    app.parts.database.query(sql).await.unwrap()[0].need_int(0).unwrap()
}

async fn make_older(app: &TestApp, by: Duration) {
    let mut sql = Sql::text(app.parts.database.dialect(), "UPDATE tandem_idempotency SET created_at = created_at - ");
    sql.bind(by.as_micros() as i64);
    app.parts.writer.statements(vec![sql]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_forgotten_after_a_day() {
    on_both(ITEMS, async |app| {
        assert!(matches!(create(app, "a", "k").await, Outcome::Done { .. }));
        make_older(app, KEPT - Duration::from_secs(60)).await;
        let Outcome::Replayed(receipt) = create(app, "a", "k").await else { panic!("it was run again") };
        assert_eq!((receipt.before.get(), receipt.count), (0, 1));
        make_older(app, Duration::from_secs(61)).await;
        // It is not there any more, whether it has been removed or not.
        assert!(matches!(create(app, "b", "k").await, Outcome::Done { .. }));
        assert!(matches!(create(app, "b", "k").await, Outcome::Replayed(_)));
        assert_eq!(count(app).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_mutation_leaves_no_record() {
    on_both(ITEMS, async |app| {
        assert!(matches!(create(app, "a", "k").await, Outcome::Done { .. }));
        assert!(matches!(create(app, "a", "l").await, Outcome::Refused { .. }));
        assert_eq!(count(app).await, 1);
        assert!(matches!(create(app, "b", "l").await, Outcome::Done { .. }));
        let Outcome::Refused { violations, .. } = create(app, "c", "l").await else { panic!("it was done") };
        assert_eq!(violations, [KeyReused.violation()]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_is_removed_bit_by_bit() {
    on_both(ITEMS, async |app| {
        let made = (0..CLEANED_AT_ONCE + 20).map(|i| {
            let name = format!("i{i}");
            async move { create(app, &name, &name).await }
        });
        futures_util::future::join_all(made).await;
        make_older(app, KEPT + Duration::from_secs(1)).await;
        create(app, "young", "young").await;
        clean_once(&app.parts.database, &app.parts.writer, now_micros()).await.unwrap();
        assert_eq!(count(app).await, 1);
        assert!(matches!(create(app, "young", "young").await, Outcome::Replayed(_)));
    })
    .await;
}
