//! What becomes of the rows, of what is remembered for older events, and of counters.

use serde_json::json;

use super::super::Error;
use super::catalogs::{BIG_INT, INT, STATUS, STRING, decimal, items, resource, shop, with_default};
use super::{TestDatabase, on_both_databases};
use crate::catalog::{self, Catalog, Datum, FieldType, Scalar};

fn parse(text: &str) -> Catalog {
    catalog::parse("resources.graphql", text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Rows of a table as JSON, in the order of their ids; `columns` as they are selected.
async fn rows(db: &TestDatabase, table: &str, columns: &str) -> Vec<String> {
    let array = db.on("json_array", "json_build_array");
    let rows = db.query(&format!("SELECT CAST({array}({columns}) AS text) FROM {table} ORDER BY id")).await;
    rows.into_iter().map(|row| row.unwrap().replace(", ", ",")).collect()
}

#[tokio::test]
async fn column_with_a_default_of_every_type() {
    on_both_databases(async |db| {
        db.prepare(&items(vec![])).await;
        db.insert("item", &[]).await;
        let uuid = uuid::Uuid::from_u128(1);
        let scalar = FieldType::Scalar;
        let text = |text: &str| Datum::Text(text.to_owned());
        let list = Datum::List(vec![text("it's"), text("\\")]);
        let fields = vec![
            with_default("text", STRING, text("it's \\ \"quoted\"")),
            with_default("int", INT, Datum::Int(-1)),
            with_default("bigInt", BIG_INT, Datum::Int(i64::MIN)),
            with_default("float", scalar(Scalar::Float), Datum::Float(-1.5e300)),
            with_default("flag", scalar(Scalar::Boolean), Datum::Bool(true)),
            with_default("price", decimal(18), Datum::Decimal(-1250)),
            with_default("instant", scalar(Scalar::DateTime), Datum::Instant(1_000_001)),
            with_default("day", scalar(Scalar::Date), text("2026-01-31")),
            with_default("uuid", scalar(Scalar::Uuid), Datum::Uuid(uuid)),
            with_default("json", scalar(Scalar::Json), Datum::Json(Box::new(serde_json::json!({"a": "it's"})))),
            with_default("status", STATUS, text("DONE")),
            with_default("tags", FieldType::ScalarList(Scalar::String), list),
        ];
        db.prepare(&items(fields)).await;
        let rows = db.on(
            "SELECT concat_ws('|', text, int, big_int, float, flag, price, instant, day, hex(uuid), json, status, tags)
             FROM item",
            "SELECT concat_ws('|', text, int, big_int, float, flag, price, extract(epoch FROM instant), day, uuid,
                              json, status, tags) FROM item",
        );
        let expected = db.on(
            r#"it's \ "quoted"|-1|-9223372036854775808|-1.5e+300|1|-1250|1000001|2026-01-31|00000000000000000000000000000001|{"a":"it's"}|DONE|["it's","\\"]"#,
            r#"it's \ "quoted"|-1|-9223372036854775808|-1.5e+300|t|-12.50|1.000001|2026-01-31|00000000-0000-0000-0000-000000000001|{"a":"it's"}|DONE|["it's", "\\"]"#,
        );
        assert_eq!(db.query(rows).await, [Some(expected.to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn converted_values_are_the_same() {
    on_both_databases(async |db| {
        let before = "type Item @resource {
            a: Int  b: Decimal @decimal(precision: 6, scale: 2)  c: Date  d: UUID  e: BigInt  f: Float
        }";
        db.prepare(&parse(before)).await;
        for line in [
            "item id=#1 a=-7 b=-1250|-12.50 c='0999-12-31' d=#7 e=12 f=-3",
            "item id=#2 a=null b=null c=null d=null e=null f=null",
        ] {
            db.insert_line(line).await;
        }
        let after = "type Item @resource {
            a: Decimal @decimal(precision: 12, scale: 2)  b: Decimal @decimal(precision: 9, scale: 4)
            c: DateTime  d: String  e: String  f: Int
        }";
        db.allow(&parse(after), "narrow:Item.f").await;
        let columns = db.on("a, b, c, d, e, f", "a::text, b::text, extract(epoch from c)::bigint, d, e, f");
        let uuid = "00000000-0000-0000-0000-000000000007";
        let expected = db.on(
            format!("[-700,-125000,-30610310400000000,\"{uuid}\",\"12\",-3]"),
            format!("[\"-7.00\",\"-12.5000\",-30610310400,\"{uuid}\",\"12\",-3]"),
        );
        let null = "[null,null,null,null,null,null]".to_owned();
        assert_eq!(rows(db, "item", columns).await, [expected, null]);
    })
    .await;
}

#[tokio::test]
async fn new_columns_are_filled_in_the_order_of_creation() {
    on_both_databases(async |db| {
        db.prepare(&parse("type Item @resource { a: Int  n: Int }")).await;
        for (id, created, n) in [(1, 3, "null"), (2, 1, "null"), (3, 2, "40")] {
            let at = db.on(format!("{created}000000"), format!("to_timestamp({created})"));
            db.insert_line(&format!("item id=#{id} created_at={at} n={n}")).await;
        }
        let after = parse("type Item @resource {
            a: Int  n: Int! @default(sequence: true)  number: Int! @default(sequence: true)  at: DateTime! @default(now: true)
        }");
        db.allow(&after, "fill:Item.n").await;
        let at = db.on("at / 1000000", "extract(epoch from at)::bigint");
        let found = rows(db, "item", &format!("n, number, {at}")).await;
        assert_eq!(found, ["[42,3,3]", "[41,1,1]", "[40,2,2]"]);
        let counters = db.query("SELECT name || ' ' || value FROM tandem_sequence ORDER BY name").await;
        assert_eq!(counters, [Some("Item.n 42".to_owned()), Some("Item.number 3".to_owned())]);
        assert_eq!(
            db.eras().await,
            [json!({"fills": {"Item": {"at": {"absent": "createdAt"}}}})],
            "only the rows know their numbers"
        );
    })
    .await;
}

#[tokio::test]
async fn a_rename_keeps_everything() {
    on_both_databases(async |db| {
        let before = "enum Status { OPEN DONE } type Item @resource {
            title: String! @unique  number: Int! @default(sequence: true)  parent: Item @relation(onDelete: SET_NULL)
            status: Status!
        } type Child @resource { item: Item! @relation(onDelete: CASCADE) }";
        db.prepare(&parse(before)).await;
        db.insert_line("item id=#1 title='a' number=1 parent_id=#1 status='DONE'").await;
        db.insert_line("child id=#2 item_id=#1").await;
        db.run("INSERT INTO tandem_sequence VALUES ('Item.number', 5)").await;
        let after = parse(
            "enum Status { OPEN CLOSED @renamedFrom(name: \"DONE\") } type Thing @resource @renamedFrom(name: \"Item\") {
            name: String! @unique @renamedFrom(name: \"title\")  count: Int! @default(sequence: true) @renamedFrom(name: \"number\")
            above: Thing @relation(onDelete: SET_NULL) @renamedFrom(name: \"parent\")  status: Status!
        } type Child @resource { thing: Thing! @relation(onDelete: CASCADE) @renamedFrom(name: \"item\") }",
        );
        db.prepare(&after).await;
        assert!(db.prepare(&after).await.is_empty());
        assert_eq!(rows(db, "thing", "name, count, status").await, [r#"["a",1,"CLOSED"]"#]);
        assert_eq!(rows(db, "(SELECT child.id, name FROM child JOIN thing ON thing.id = thing_id) AS joined", "name").await, [r#"["a"]"#]);
        let counters = db.query("SELECT name || ' ' || value FROM tandem_sequence").await;
        assert_eq!(counters, [Some("Thing.count 5".to_owned())]);
        let error = sea_orm::ConnectionTrait::execute_unprepared(&db.conn, "DELETE FROM thing").await.unwrap_err();
        assert!(matches!(error.sql_err(), Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_))), "{error}");
        assert_eq!(
            db.eras().await,
            [json!({"types": {
                "Child": {"to": "Child", "fields": {"item": {"to": "thing"}}},
                "Item": {"to": "Thing", "fields": {
                    "title": {"to": "name"}, "number": {"to": "count"}, "parent": {"to": "above"},
                    "status": {"to": "status", "values": {"DONE": "CLOSED"}},
                }},
            }})]
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_lost_is_remembered_as_lost() {
    on_both_databases(async |db| {
        db.prepare(&parse("type Item @resource { a: DateTime  b: Int } type Other @resource { c: Int }")).await;
        db.insert_line("item b=7").await;
        let after = parse("type Item @resource { a: Boolean! @default(value: true)  d: Int! }");
        db.allow(&after, "drop:Item.a,drop:Item.b,drop:Other,fill:Item.d=8").await;
        assert_eq!(
            db.eras().await,
            [json!({
                "types": {"Item": {"to": "Item", "fields": {"a": {"to": null}, "b": {"to": null}}}, "Other": {"to": null}},
                "fills": {"Item": {"a": {"absent": {"value": true}}, "d": {"absent": {"value": 8}}}},
            })]
        );
    })
    .await;
}

#[tokio::test]
async fn event_names_of_webhooks_follow_a_rename() {
    on_both_databases(async |db| {
        db.prepare(&parse("type Item @resource { a: Int } type ItemLine @resource { a: Int }")).await;
        let insert = |id: u32, events: &str| {
            let id = db.value(&format!("#{id}"));
            format!(
                "INSERT INTO tandem_webhook (id, url, query, events, headers, ordering, max_in_flight, status, owner,
                   principal, keys, position, sequence, created_at, updated_at, lease_until, lease_fence)
                 VALUES ({id}, '', '', {events}, '[]', 'NONE', 1, 'ENABLED', '', '', '', 0, 0, 0, 0, 0, 0)"
            )
        };
        db.run(&insert(1, r#"'["item.created","item_line.*","other.item"]'"#)).await;
        db.run(&insert(2, "NULL")).await;
        db.prepare(&parse(
            "type Thing @resource @renamedFrom(name: \"Item\") { a: Int } type ItemLine @resource { a: Int }",
        ))
        .await;
        let events = db.query("SELECT events FROM tandem_webhook ORDER BY id").await;
        assert_eq!(events, [Some(r#"["thing.created","item_line.*","other.item"]"#.to_owned()), None]);
    })
    .await;
}

#[tokio::test]
async fn the_migrations_are_undone_with_a_refused_plan() {
    on_both_databases(async |db| {
        db.run("CREATE TABLE product (id integer)").await;
        let before = db.dump().await;
        assert!(matches!(db.try_prepare(&shop()).await, Err(Error::Refused(_))));
        assert_eq!(db.dump().await, before);
    })
    .await;
}

#[tokio::test]
async fn names_of_tandem_itself_are_refused() {
    on_both_databases(async |db| {
        let catalog = Catalog::new(vec![resource("TandemEvent", vec![])], vec![]);
        let Err(Error::Refused(plan)) = db.try_prepare(&catalog).await else { panic!("not refused") };
        assert!(plan.to_string().contains("tables whose names begin with tandem_"), "{plan}");
    })
    .await;
}

#[tokio::test]
async fn a_step_that_fails_leaves_nothing_behind() {
    on_both_databases(async |db| {
        db.prepare(&parse("type Item @resource { a: Int }")).await;
        db.insert_line("item a=1").await;
        db.insert_line("item a=2").await;
        let before = db.dump().await;
        let after =
            parse("type Item @resource { a: Int  b: Int! @unique @default(value: 7) } type Other @resource { a: Int }");
        let error = db.try_prepare(&after).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not add the unique key (b) to item: there are rows that have the same values; the database was not \
             changed"
        );
        assert_eq!(db.dump().await, before);
    })
    .await;
}
