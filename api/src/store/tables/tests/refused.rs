//! What can lose data is refused, with nothing changed.

use super::super::{Error, plan, prepare};
use super::catalogs::{
    BIG_INT, INT, STATUS, STRING, decimal, enum_type, field, items, optional, resource, shop, status, to_one, unique,
};
use super::on_both_databases;
use crate::catalog::{Catalog, DefaultValue, EnumId, Field, FieldType, Resource, Scalar};

#[tokio::test]
async fn dropped_table_and_column() {
    on_both_databases(async |db| {
        let item = || resource("Item", vec![field("name", STRING), optional("rank", INT)]);
        db.prepare(&Catalog::new(vec![unique(item(), &["rank"]), resource("Other", vec![])], vec![])).await;
        db.insert("item", &[("name", "'a'"), ("rank", "1")]).await;
        db.insert("other", &[]).await;
        let expected = db.on(
            r#"
2 of 4 steps refused:

1. add the column note to item
     ALTER TABLE "item" ADD COLUMN "note" TEXT;

2. drop the unique key (rank) of item
     DROP INDEX "item__rank_key";

3. REFUSED: drop the column rank of item
     DROP INDEX "item__rank_key";
     ALTER TABLE "item" DROP COLUMN "rank";
   LOSES DATA: Item has no rank any more. Put it back, or drop the column by hand

4. REFUSED: drop the table other
     DROP TABLE "other";
   LOSES DATA: the file has no Other any more. Put it back, or drop the table by hand
"#,
            r#"
2 of 4 steps refused:

1. add the column note to item
     ALTER TABLE "item" ADD COLUMN "note" text COLLATE "C";

2. drop the unique key (rank) of item
     DROP INDEX "item__rank_key";

3. REFUSED: drop the column rank of item
     ALTER TABLE "item" DROP COLUMN "rank";
   LOSES DATA: Item has no rank any more. Put it back, or drop the column by hand

4. REFUSED: drop the table other
     DROP TABLE "other";
   LOSES DATA: the file has no Other any more. Put it back, or drop the table by hand
"#,
        );
        let smaller = items(vec![field("name", STRING), optional("note", STRING)]);
        db.check_refused(&smaller, expected).await;
        assert_eq!(db.query("SELECT name FROM item WHERE rank = 1").await, [Some("a".to_owned())]);

        // By hand, it is allowed, and then forgotten.
        db.run("DROP TABLE other").await;
        db.run("DROP INDEX item__rank_key").await;
        db.run("ALTER TABLE item DROP COLUMN rank").await;
        assert_eq!(db.prepare(&smaller).await.steps.len(), 1);
        assert!(db.prepare(&smaller).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn narrower_and_other_types() {
    on_both_databases(async |db| {
        let old = vec![
            field("count", BIG_INT),
            field("price", decimal(12)),
            field("code", STRING),
            optional("at", FieldType::Scalar(Scalar::DateTime)),
            optional("tags", STRING),
        ];
        db.prepare(&items(old)).await;
        db.insert("item", &[("count", "1"), ("price", "1"), ("code", "'OPEN'")]).await;
        let new = vec![
            field("count", INT),
            field("price", decimal(6)),
            field("code", STATUS),
            optional("at", BIG_INT),
            optional("tags", FieldType::ScalarList(Scalar::String)),
        ];
        let expected = db.on(
            "
5 of 5 steps refused:

1. REFUSED: change count of item from BigInt to Int
   LOSES DATA: Int cannot hold all that BigInt can

2. REFUSED: change price of item from Decimal(12,2) to Decimal(6,2)
   LOSES DATA: Decimal(6,2) cannot hold all that Decimal(12,2) can

3. REFUSED: change code of item from String to Status
   LOSES DATA: Status cannot hold all that String can

4. REFUSED: change at of item from DateTime to BigInt
   LOSES DATA: values cannot be kept. Add at under another name, and copy what is needed

5. REFUSED: change tags of item from String to [String!]
   LOSES DATA: values cannot be kept. Add tags under another name, and copy what is needed
",
            r#"
5 of 5 steps refused:

1. REFUSED: change count of item from BigInt to Int
     ALTER TABLE "item" ALTER COLUMN "count" TYPE integer;
   LOSES DATA: Int cannot hold all that BigInt can

2. REFUSED: change price of item from Decimal(12,2) to Decimal(6,2)
     ALTER TABLE "item" ALTER COLUMN "price" TYPE numeric(6,2);
   LOSES DATA: Decimal(6,2) cannot hold all that Decimal(12,2) can

3. REFUSED: change code of item from String to Status
   LOSES DATA: Status cannot hold all that String can

4. REFUSED: change at of item from DateTime to BigInt
   LOSES DATA: values cannot be kept. Add at under another name, and copy what is needed

5. REFUSED: change tags of item from String to [String!]
   LOSES DATA: values cannot be kept. Add tags under another name, and copy what is needed
"#,
        );
        db.check_refused(&items(new), expected).await;
        assert_eq!(db.query("SELECT code FROM item").await, [Some("OPEN".to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn scale_of_a_decimal() {
    on_both_databases(async |db| {
        db.prepare(&items(vec![field("price", decimal(12))])).await;
        let finer = FieldType::Scalar(Scalar::Decimal { precision: 14, scale: 4 });
        let expected = "
1 of 1 steps refused:

1. REFUSED: change price of item from Decimal(12,2) to Decimal(14,4)
   LOSES DATA: values cannot be kept. Add price under another name, and copy what is needed
";
        db.check_refused(&items(vec![field("price", finer)]), expected).await;
    })
    .await;
}

#[tokio::test]
async fn required_column_without_a_value_for_the_rows() {
    on_both_databases(async |db| {
        db.prepare(&items(vec![optional("name", STRING)])).await;
        db.insert("item", &[]).await;
        let sequence = Field { default: Some(DefaultValue::Sequence), ..field("number", BIG_INT) };
        let expected = db.on(
            r#"
3 of 3 steps refused:

1. REFUSED: say that name of item may not be null
   there are rows where it is null: give them a value first, or leave the field nullable

2. REFUSED: add the column sku to item
     ALTER TABLE "item" ADD COLUMN "sku" TEXT NOT NULL;
   the table has rows, which would have no value: make the field nullable, or give it a @default(value:)

3. REFUSED: add the column number to item
     ALTER TABLE "item" ADD COLUMN "number" INTEGER NOT NULL;
   the table has rows, which would have no value: @default(sequence:) is for new rows only; make the field nullable, or give it a @default(value:)
"#,
            r#"
3 of 3 steps refused:

1. REFUSED: say that name of item may not be null
   there are rows where it is null: give them a value first, or leave the field nullable

2. REFUSED: add the column sku to item
     ALTER TABLE "item" ADD COLUMN "sku" text COLLATE "C" NOT NULL;
   the table has rows, which would have no value: make the field nullable, or give it a @default(value:)

3. REFUSED: add the column number to item
     ALTER TABLE "item" ADD COLUMN "number" bigint NOT NULL;
   the table has rows, which would have no value: @default(sequence:) is for new rows only; make the field nullable, or give it a @default(value:)
"#,
        );
        db.check_refused(&items(vec![field("name", STRING), field("sku", STRING), sequence]), expected).await;
    })
    .await;
}

#[tokio::test]
async fn enum_values_in_use() {
    on_both_databases(async |db| {
        let with = |name, values: &[&str]| {
            let fields = vec![field("status", STATUS), field("old", FieldType::EnumList(EnumId(0)))];
            Catalog::new(vec![resource("Item", fields)], vec![enum_type(name, values)])
        };
        db.prepare(&with("Status", &["OPEN", "DONE", "LATE", "LOST"])).await;
        db.insert("item", &[("status", "'DONE'"), ("old", "'[\"LATE\", \"OPEN\"]'")]).await;
        let expected = "
1 of 1 steps refused:

1. REFUSED: remove DONE, LATE, LOST from the enum Status
   rows still have it: status of item is DONE; old of item is LATE
";
        db.check_refused(&with("Status", &["OPEN"]), expected).await;
        let expected = "
2 of 2 steps refused:

1. REFUSED: change status of item from Status to Phase
   rows still have values that Phase does not: status of item is DONE

2. REFUSED: change old of item from [Status!] to [Phase!]
   rows still have values that Phase does not: old of item is LATE
";
        db.check_refused(&with("Phase", &["OPEN", "NEW"]), expected).await;
    })
    .await;
}

#[tokio::test]
async fn renaming_is_not_available_yet() {
    on_both_databases(async |db| {
        let child = || resource("Child", vec![field("item", to_one(0))]);
        db.prepare(&Catalog::new(vec![resource("Item", vec![field("title", STRING)]), child()], vec![])).await;
        db.insert("item", &[("title", "'a'")]).await;

        let name = Field { renamed_from: Some("title".to_owned()), ..field("name", STRING) };
        let expected = r#"
1 of 1 steps refused:

1. REFUSED: rename the column title of item to name
     ALTER TABLE "item" RENAME COLUMN "title" TO "name";
   renaming is not available yet, so title of Item cannot become name: keep the name title for now, or rename the column by hand
"#;
        db.check_refused(&Catalog::new(vec![resource("Item", vec![name]), child()], vec![]), expected).await;

        let thing =
            Resource { renamed_from: Some("Item".to_owned()), ..resource("Thing", vec![field("title", STRING)]) };
        let expected = r#"
1 of 1 steps refused:

1. REFUSED: rename the table item to thing
     ALTER TABLE "item" RENAME TO "thing";
   renaming is not available yet, so Item cannot become Thing: keep the name Item for now
"#;
        db.check_refused(&Catalog::new(vec![thing, child()], vec![]), expected).await;
        assert_eq!(db.query("SELECT title FROM item").await, [Some("a".to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn tables_of_others() {
    on_both_databases(async |db| {
        db.run("CREATE TABLE thing (id integer)").await;
        db.run("CREATE VIEW item AS SELECT id FROM thing").await;
        let create = |table: &str| {
            let columns = db.on(
                "       \"id\" BLOB NOT NULL PRIMARY KEY,
       \"created_at\" INTEGER NOT NULL,
       \"updated_at\" INTEGER NOT NULL,
       \"version\" INTEGER NOT NULL
     ) STRICT;",
                "       \"id\" uuid NOT NULL PRIMARY KEY,
       \"created_at\" timestamp with time zone NOT NULL,
       \"updated_at\" timestamp with time zone NOT NULL,
       \"version\" integer NOT NULL
     );",
            );
            format!("     CREATE TABLE \"{table}\" (\n{columns}")
        };
        let catalog = Catalog::new(
            vec![resource("Thing", vec![]), resource("Item", vec![]), resource("TandemEvent", vec![])],
            vec![status(&["OPEN"])],
        );
        let expected = format!(
            "
3 of 3 steps refused:

1. REFUSED: create the table thing for Thing
{}
   there is already a table of this name, which Tandem did not make: rename it, or the resource Thing

2. REFUSED: create the table item for Item
{}
   there is already a view of this name, which Tandem did not make: rename it, or the resource Item

3. REFUSED: create the table tandem_event for TandemEvent
   tables whose names begin with tandem_ or sqlite_ are not for resources: give it another name
",
            create("thing"),
            create("item")
        );
        db.check_refused(&catalog, &expected).await;
    })
    .await;
}

#[tokio::test]
async fn columns_of_others() {
    on_both_databases(async |db| {
        db.prepare(&items(vec![optional("name", STRING)])).await;
        db.run("ALTER TABLE item ADD COLUMN theirs integer").await;
        assert!(plan(&db.conn, &items(vec![optional("name", STRING)])).await.unwrap().is_empty());
        db.run("ALTER TABLE item ADD COLUMN needed integer NOT NULL").await;
        let expected = "
1 of 1 steps refused:

1. REFUSED: write rows to item
   its column needed, which Tandem did not make, may not be null and has no default: give it one
";
        db.check_refused(&items(vec![optional("name", STRING)]), expected).await;
    })
    .await;
}

#[tokio::test]
async fn unique_key_with_duplicates() {
    on_both_databases(async |db| {
        let item = || resource("Item", vec![field("name", STRING)]);
        db.prepare(&Catalog::new(vec![item()], vec![])).await;
        db.insert("item", &[("name", "'a'")]).await;
        db.insert("item", &[("name", "'a'")]).await;
        let before = db.dump().await;
        let more = Catalog::new(vec![unique(item(), &["name"]), resource("Other", vec![])], vec![]);
        let error = prepare(&db.conn, &more).await.unwrap_err();
        assert!(matches!(error, Error::Failed { .. }));
        assert_eq!(
            error.to_string(),
            "could not add the unique key (name) to item: there are rows that have the same values; the database was \
             not changed"
        );
        assert_eq!(db.dump().await, before);
    })
    .await;
}

#[tokio::test]
async fn the_migrations_are_undone_with_a_refused_plan() {
    on_both_databases(async |db| {
        db.run("CREATE TABLE product (id integer)").await;
        let before = db.dump().await;
        assert!(matches!(prepare(&db.conn, &shop()).await, Err(Error::Refused(_))));
        assert_eq!(db.dump().await, before);
    })
    .await;
}

#[tokio::test]
async fn a_reference_to_another_table() {
    on_both_databases(async |db| {
        let to = |target| {
            let child = resource("Child", vec![optional("parent", to_one(target))]);
            Catalog::new(vec![resource("Item", vec![]), resource("Other", vec![]), child], vec![])
        };
        db.prepare(&to(0)).await;
        let expected = "
1 of 1 steps refused:

1. REFUSED: change parent_id of child from a reference to item to a reference to other
   LOSES DATA: values cannot be kept. Add parent under another name, and copy what is needed
";
        db.check_refused(&to(1), expected).await;
    })
    .await;
}

#[tokio::test]
async fn types_changed_by_hand() {
    on_both_databases(async |db| {
        db.prepare(&items(vec![field("count", INT)])).await;
        // SQLite cannot change the type of a column; one in its place is the nearest to it.
        db.run("ALTER TABLE item DROP COLUMN count").await;
        let new_type = db.on("TEXT", "bigint");
        db.run(&format!("ALTER TABLE item ADD COLUMN count {new_type}")).await;
        let expected = format!(
            "
1 of 1 steps refused:

1. REFUSED: use the column count of item
   its type in the database is {new_type} instead of {}, and it was not Tandem that changed it
",
            db.on("INTEGER", "integer")
        );
        db.check_refused(&items(vec![optional("count", INT)]), &expected).await;
        let fitting = db.on(STRING, BIG_INT);
        db.check(&items(vec![optional("count", fitting)]), "The tables are as the resource file says.").await;
    })
    .await;
}
