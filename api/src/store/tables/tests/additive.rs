//! What loses nothing is done, and the rows that were there stay.

use super::super::plan;
use super::catalogs::{
    BIG_INT, INT, STATUS, STRING, decimal, enum_type, field, indexed, items, optional, resource, shop, status, to_one,
    unique, with_default,
};
use super::{Dialect, on_both_databases};
use crate::catalog::{Catalog, Datum, DefaultValue, EnumId, Field, FieldType, Resource, Scalar};

#[tokio::test]
async fn nullable_column() {
    on_both_databases(async |db| {
        db.prepare(&items(vec![])).await;
        db.insert("item", &[]).await;
        let sequence = Field { default: Some(DefaultValue::Sequence), ..optional("number", BIG_INT) };
        let expected = db.on(
            r#"
2 steps:

1. add the column note to item
     ALTER TABLE "item" ADD COLUMN "note" TEXT;

2. add the column number to item
     ALTER TABLE "item" ADD COLUMN "number" INTEGER;
"#,
            r#"
2 steps:

1. add the column note to item
     ALTER TABLE "item" ADD COLUMN "note" text COLLATE "C";

2. add the column number to item
     ALTER TABLE "item" ADD COLUMN "number" bigint;
"#,
        );
        db.check(&items(vec![optional("note", STRING), sequence]), expected).await;
        assert_eq!(db.query("SELECT note FROM item").await, [None]);
    })
    .await;
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
            with_default("json", scalar(Scalar::Json), Datum::Json(serde_json::json!({"a": "it's"}))),
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
async fn required_column_of_an_empty_table() {
    on_both_databases(async |db| {
        let to_self = |fields: Vec<Field>| Catalog::new(vec![resource("Item", fields)], vec![]);
        db.prepare(&to_self(vec![])).await;
        let expected = db.on(
            r#"
3 steps:

1. add the column name to item
     ALTER TABLE "item" ADD COLUMN "name" TEXT NOT NULL;

2. add the column parent_id to item
     ALTER TABLE "item" ADD COLUMN "parent_id" BLOB NOT NULL CONSTRAINT "item__parent_id_fkey" REFERENCES "item" ("id");

3. add the index (parent_id) to item
     CREATE INDEX "item__parent_id_idx" ON "item" ("parent_id");
"#,
            r#"
4 steps:

1. add the column name to item
     ALTER TABLE "item" ADD COLUMN "name" text COLLATE "C" NOT NULL;

2. add the column parent_id to item
     ALTER TABLE "item" ADD COLUMN "parent_id" uuid NOT NULL;

3. add the index (parent_id) to item
     CREATE INDEX "item__parent_id_idx" ON "item" ("parent_id");

4. let parent_id of item point at item
     ALTER TABLE "item" ADD CONSTRAINT "item__parent_id_fkey" FOREIGN KEY ("parent_id") REFERENCES "item" ("id");
"#,
        );
        db.check(&to_self(vec![field("name", STRING), field("parent", to_one(0))]), expected).await;
    })
    .await;
}

fn keyed(change: impl Fn(Resource) -> Resource) -> Catalog {
    Catalog::new(vec![change(resource("Item", vec![field("name", STRING), optional("rank", INT)]))], vec![])
}

#[tokio::test]
async fn indexes_and_unique_keys_come_and_go() {
    on_both_databases(async |db| {
        db.prepare(&keyed(|item| item)).await;
        db.insert("item", &[("name", "'a'")]).await;
        // Somebody else's index is no matter.
        db.run("CREATE INDEX by_hand ON item (version)").await;
        let expected = db.on(
            r#"
2 steps:

1. add the unique key (name) to item
     CREATE UNIQUE INDEX "item__name_key" ON "item" ("name");
   reads the whole table; nobody can write to the database meanwhile. Fails if rows have the same values

2. add the index (rank, name) to item
     CREATE INDEX "item__rank__name_idx" ON "item" ("rank", "name");
   reads the whole table; nobody can write to the database meanwhile
"#,
            r#"
2 steps:

1. add the unique key (name) to item
     CREATE UNIQUE INDEX "item__name_key" ON "item" ("name");
   reads the whole table; nobody can write to it meanwhile. Fails if rows have the same values

2. add the index (rank, name) to item
     CREATE INDEX "item__rank__name_idx" ON "item" ("rank", "name");
   reads the whole table; nobody can write to it meanwhile
"#,
        );
        db.check(&keyed(|item| indexed(unique(item, &["name"]), &["rank", "name"])), expected).await;
        let expected = r#"
2 steps:

1. drop the unique key (name) of item
     DROP INDEX "item__name_key";

2. drop the index (rank, name) of item
     DROP INDEX "item__rank__name_idx";
"#;
        db.check(&keyed(|item| item), expected).await;
        let left = db.on(
            "SELECT name FROM sqlite_schema WHERE tbl_name = 'item' AND sql LIKE 'CREATE INDEX%'",
            "SELECT indexname::text FROM pg_indexes
             WHERE schemaname = current_schema() AND tablename = 'item' AND indexname <> 'item_pkey'",
        );
        assert_eq!(db.query(left).await, [Some("by_hand".to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn enum_values_come_and_go_while_they_are_not_in_use() {
    on_both_databases(async |db| {
        let with = |values: &[&str]| {
            let fields = vec![field("status", STATUS), field("all", FieldType::EnumList(EnumId(0)))];
            Catalog::new(vec![resource("Item", fields)], vec![status(values)])
        };
        db.prepare(&with(&["OPEN", "DONE"])).await;
        db.insert("item", &[("status", "'OPEN'"), ("\"all\"", "'[\"OPEN\"]'")]).await;
        let expected = "2 steps:\n\n1. add LATE to the enum Status\n\n2. remove DONE from the enum Status";
        db.check(&with(&["LATE", "OPEN"]), expected).await;
    })
    .await;
}

#[tokio::test]
async fn types_become_wider() {
    on_both_databases(async |db| {
        let old = vec![
            field("count", INT),
            optional("price", decimal(6)),
            field("status", STATUS),
            field("code", FieldType::Scalar(Scalar::Id)),
        ];
        db.prepare(&items(old)).await;
        let price = db.on("1250", "12.50");
        db.insert("item", &[("count", "7"), ("price", price), ("status", "'OPEN'"), ("code", "'x'")]).await;
        let new = vec![
            field("count", BIG_INT),
            optional("price", decimal(18)),
            field("status", STRING),
            field("code", STRING),
        ];
        let expected = db.on(
            r#"
4 steps:

1. change count of item from Int to BigInt

2. change price of item from Decimal(6,2) to Decimal(18,2)

3. change status of item from Status to String

4. change code of item from ID to String
"#,
            r#"
4 steps:

1. change count of item from Int to BigInt
     ALTER TABLE "item" ALTER COLUMN "count" TYPE bigint;
   rewrites the table; nobody can read or write it meanwhile

2. change price of item from Decimal(6,2) to Decimal(18,2)
     ALTER TABLE "item" ALTER COLUMN "price" TYPE numeric(18,2);

3. change status of item from Status to String

4. change code of item from ID to String
"#,
        );
        db.check(&items(new), expected).await;
        let row = db.query("SELECT concat(count, ' ', price, ' ', status, ' ', code) FROM item").await;
        assert_eq!(row, [Some(format!("7 {price} OPEN x"))]);
    })
    .await;
}

#[tokio::test]
async fn another_enum_with_the_values_in_use() {
    on_both_databases(async |db| {
        let with = |name, values: &[&str]| {
            Catalog::new(vec![resource("Item", vec![field("status", STATUS)])], vec![enum_type(name, values)])
        };
        db.prepare(&with("Status", &["OPEN", "DONE"])).await;
        db.insert("item", &[("status", "'OPEN'")]).await;
        let expected = "1 step:\n\n1. change status of item from Status to Phase";
        db.check(&with("Phase", &["OPEN", "LATE"]), expected).await;
    })
    .await;
}

#[tokio::test]
async fn whether_a_column_may_be_null() {
    on_both_databases(async |db| {
        let catalog = |name: Field| {
            let child = resource("Child", vec![field("item", to_one(0))]);
            let item = resource("Item", vec![name, optional("parent", to_one(0))]);
            Catalog::new(vec![indexed(item, &["name"]), child], vec![])
        };
        db.prepare(&catalog(field("name", STRING))).await;
        let id = db.on("x'00000000000000000000000000000001'", "'00000000-0000-0000-0000-000000000001'");
        db.insert("item", &[("id", id), ("name", "'a'"), ("parent_id", id)]).await;
        db.insert("child", &[("item_id", id)]).await;
        db.run("CREATE INDEX by_hand ON item (version)").await;
        let expected = db.on(
            r#"
1 step:

1. rebuild item, so that name may be null
     CREATE TABLE "tandem_rebuild__item" (
       "id" BLOB NOT NULL PRIMARY KEY,
       "name" TEXT,
       "parent_id" BLOB,
       "created_at" INTEGER NOT NULL,
       "updated_at" INTEGER NOT NULL,
       "version" INTEGER NOT NULL,
       CONSTRAINT "item__parent_id_fkey" FOREIGN KEY ("parent_id") REFERENCES "item" ("id")
     ) STRICT;
     INSERT INTO "tandem_rebuild__item" ("id", "name", "parent_id", "created_at", "updated_at", "version") SELECT "id", "name", "parent_id", "created_at", "updated_at", "version" FROM "item";
     DROP TABLE "item";
     ALTER TABLE "tandem_rebuild__item" RENAME TO "item";
     CREATE INDEX by_hand ON item (version);
     CREATE INDEX "item__name_idx" ON "item" ("name");
     CREATE INDEX "item__parent_id_idx" ON "item" ("parent_id");
   copies the table; nobody can write to the database meanwhile
"#,
            r#"
1 step:

1. say that name of item may be null
     ALTER TABLE "item" ALTER COLUMN "name" DROP NOT NULL;
"#,
        );
        db.check(&catalog(optional("name", STRING)), expected).await;
        // And back, since no row has null.
        let steps = db.prepare(&catalog(field("name", STRING))).await.steps;
        let title = db.on("rebuild item, so that name may not be null", "say that name of item may not be null");
        assert_eq!(steps.iter().map(|s| s.title.as_str()).collect::<Vec<_>>(), [title]);
        assert!(plan(&db.conn, &catalog(field("name", STRING))).await.unwrap().is_empty());
        assert_eq!(db.query("SELECT name FROM item").await, [Some("a".to_owned())]);
        // The rows that point at it still do, and are still held to it.
        let error = sea_orm::ConnectionTrait::execute_unprepared(&db.conn, "DELETE FROM item").await.unwrap_err();
        assert!(matches!(error.sql_err(), Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_))), "{error}");
    })
    .await;
}

#[tokio::test]
async fn what_somebody_dropped_by_hand_is_made_again() {
    on_both_databases(async |db| {
        db.prepare(&shop()).await;
        db.run("DROP TABLE order_line").await;
        db.run("DROP INDEX product__sku_key").await;
        let mut expected = vec!["create the table order_line for OrderLine", "add the unique key (sku) to product"];
        if db.dialect == Dialect::Postgres {
            db.run("ALTER TABLE \"order\" DROP CONSTRAINT order__customer_id_fkey").await;
            expected.push("let customer_id of order point at customer");
            expected.push("let order_id of order_line point at order");
            expected.push("let product_id of order_line point at product");
        }
        let made = db.prepare(&shop()).await;
        assert_eq!(made.steps.iter().map(|s| s.title.as_str()).collect::<Vec<_>>(), expected);
        assert!(db.prepare(&shop()).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_column_renamed_by_hand_is_taken_over() {
    on_both_databases(async |db| {
        db.prepare(&items(vec![field("title", STRING)])).await;
        db.insert("item", &[("title", "'a'")]).await;
        db.run("ALTER TABLE item RENAME COLUMN title TO name").await;
        let name = Field { renamed_from: Some("title".to_owned()), ..field("name", STRING) };
        let expected = "
1 step:

1. take over the column name of item
   Tandem did not make it: it must hold nothing that is no String
";
        db.check(&items(vec![name]), expected).await;
        assert_eq!(db.query("SELECT name FROM item").await, [Some("a".to_owned())]);
    })
    .await;
}
