//! Words follow `@search`, and rows that were there can be found.

use super::catalogs::{STRING, field, optional, resource, searched};
use super::{TestDatabase, on_both_databases};
use crate::catalog::{Catalog, Field};

fn text_fields() -> Vec<Field> {
    vec![field("name", STRING), optional("note", STRING)]
}

fn catalog(search: &[&str]) -> Catalog {
    Catalog::new(vec![searched(resource("Item", text_fields()), search)], Vec::new())
}

impl TestDatabase {
    /// The names of the items that hold a word.
    async fn found(&self, word: &str) -> Vec<String> {
        let sql = self.on(
            "SELECT name FROM item WHERE id IN (SELECT r.id FROM tandem_item__search AS w
               JOIN tandem_item__search_row AS r ON r.number = w.rowid WHERE tandem_item__search MATCH '$')
             ORDER BY name",
            "SELECT name FROM item WHERE tandem__search @@ '$'::tsquery ORDER BY name",
        );
        self.query(&sql.replace('$', word)).await.into_iter().flatten().collect()
    }

    /// What there is for searches.
    async fn places(&self) -> Vec<String> {
        let sql = self.on(
            "SELECT name FROM sqlite_schema WHERE name LIKE 'tandem%search%' AND sql IS NOT NULL ORDER BY name",
            "SELECT column_name::text FROM information_schema.columns
             WHERE table_schema = current_schema() AND column_name LIKE 'tandem%search%'
             UNION ALL SELECT indexname::text FROM pg_indexes
             WHERE schemaname = current_schema() AND indexname LIKE 'tandem%search%' ORDER BY 1",
        );
        self.query(sql).await.into_iter().flatten().collect()
    }
}

const SQLITE_TABLES: [&str; 6] = [
    "tandem_item__search",
    "tandem_item__search_config",
    "tandem_item__search_data",
    "tandem_item__search_docsize",
    "tandem_item__search_idx",
    "tandem_item__search_row",
];

#[tokio::test]
async fn a_new_table_can_be_searched() {
    on_both_databases(async |db| {
        let expected = db.on(
            r#"
2 steps:

1. create the table item for Item
     CREATE TABLE "item" (
       "id" BLOB NOT NULL PRIMARY KEY,
       "name" TEXT NOT NULL,
       "note" TEXT,
       "created_at" INTEGER NOT NULL,
       "updated_at" INTEGER NOT NULL,
       "version" INTEGER NOT NULL
     ) STRICT;

2. make item searchable by name, note
     CREATE TABLE "tandem_item__search_row" (
       "number" INTEGER NOT NULL PRIMARY KEY,
       "id" BLOB NOT NULL UNIQUE
     ) STRICT;
     CREATE VIRTUAL TABLE "tandem_item__search" USING fts5("words", content='', contentless_delete=1, tokenize='ascii');
"#,
            r#"
2 steps:

1. create the table item for Item
     CREATE TABLE "item" (
       "id" uuid NOT NULL PRIMARY KEY,
       "name" text COLLATE "C" NOT NULL,
       "note" text COLLATE "C",
       "created_at" timestamp with time zone NOT NULL,
       "updated_at" timestamp with time zone NOT NULL,
       "version" integer NOT NULL
     );

2. make item searchable by name, note
     ALTER TABLE "item" ADD COLUMN "tandem__search" tsvector;
     CREATE INDEX "tandem_item__search" ON "item" USING gin ("tandem__search") WITH (fastupdate = off);
"#,
        );
        db.check(&catalog(&["name", "note"]), expected).await;
        assert_eq!(db.places().await, db.on(&SQLITE_TABLES[..], &["tandem__search", "tandem_item__search"]));
    })
    .await;
}

#[tokio::test]
async fn rows_that_were_there_can_be_found() {
    on_both_databases(async |db| {
        db.prepare(&catalog(&[])).await;
        assert_eq!(db.places().await, [""; 0]);
        for number in 0..250 {
            db.insert("item", &[("name", &format!("'Crème {number:03}'")), ("note", "'It''s — here'")]).await;
        }
        db.insert("item", &[("name", "'?'")]).await;
        let expected = db.on(
            r#"
1 step:

1. make item searchable by name, note
     CREATE TABLE "tandem_item__search_row" (
       "number" INTEGER NOT NULL PRIMARY KEY,
       "id" BLOB NOT NULL UNIQUE
     ) STRICT;
     CREATE VIRTUAL TABLE "tandem_item__search" USING fts5("words", content='', contentless_delete=1, tokenize='ascii');
   writes the words of every row; nobody can write to the database meanwhile
"#,
            r#"
2 steps:

1. make item searchable by name, note
     ALTER TABLE "item" ADD COLUMN "tandem__search" tsvector;
   writes the words of every row; nobody can read or write the table meanwhile

2. add the index of words to item
     CREATE INDEX "tandem_item__search" ON "item" USING gin ("tandem__search") WITH (fastupdate = off);
   reads the whole table; nobody can write to it meanwhile
"#,
        );
        db.check(&catalog(&["name", "note"]), expected).await;
        assert_eq!(db.found("007").await, ["Crème 007"]);
        assert_eq!(db.found("249").await, ["Crème 249"]);
        assert_eq!(db.found("creme").await.len(), 250);
        assert_eq!(db.found("here").await.len(), 250);
    })
    .await;
}

#[tokio::test]
async fn other_fields_write_all_words_anew() {
    on_both_databases(async |db| {
        db.prepare(&catalog(&["name"])).await;
        db.insert("item", &[("name", "'first'"), ("note", "'second'")]).await;
        let expected = db.on(
            r#"
1 step:

1. make item searchable by note
     DROP TABLE IF EXISTS "tandem_item__search";
     DROP TABLE IF EXISTS "tandem_item__search_row";
     CREATE TABLE "tandem_item__search_row" (
       "number" INTEGER NOT NULL PRIMARY KEY,
       "id" BLOB NOT NULL UNIQUE
     ) STRICT;
     CREATE VIRTUAL TABLE "tandem_item__search" USING fts5("words", content='', contentless_delete=1, tokenize='ascii');
   writes the words of every row; nobody can write to the database meanwhile
"#,
            r#"
2 steps:

1. make item searchable by note
     ALTER TABLE "item" DROP COLUMN IF EXISTS "tandem__search";
     ALTER TABLE "item" ADD COLUMN "tandem__search" tsvector;
   writes the words of every row; nobody can read or write the table meanwhile

2. add the index of words to item
     CREATE INDEX "tandem_item__search" ON "item" USING gin ("tandem__search") WITH (fastupdate = off);
   reads the whole table; nobody can write to it meanwhile
"#,
        );
        db.check(&catalog(&["note"]), expected).await;
        assert_eq!((db.found("first").await, db.found("second").await), (vec![], vec!["first".to_owned()]));
        // Those that were left out are found as they were written, in the order of the directive.
        db.prepare(&catalog(&["note", "name"])).await;
        assert_eq!(db.found("first").await, ["first"]);
    })
    .await;
}

#[tokio::test]
async fn without_the_directive_nothing_is_left() {
    on_both_databases(async |db| {
        db.prepare(&catalog(&["name"])).await;
        db.insert("item", &[("name", "'first'")]).await;
        let expected = db.on(
            r#"
1 step:

1. drop the search of item
     DROP TABLE IF EXISTS "tandem_item__search";
     DROP TABLE IF EXISTS "tandem_item__search_row";
"#,
            r#"
1 step:

1. drop the search of item
     ALTER TABLE "item" DROP COLUMN IF EXISTS "tandem__search";
"#,
        );
        db.check(&catalog(&[]), expected).await;
        assert_eq!(db.places().await, [""; 0]);
        assert_eq!(db.query("SELECT name FROM item").await, [Some("first".to_owned())]);
        db.prepare(&catalog(&["name"])).await;
        assert_eq!(db.found("first").await, ["first"]);
    })
    .await;
}

#[tokio::test]
async fn what_somebody_dropped_is_made_anew() {
    on_both_databases(async |db| {
        let wanted = catalog(&["name"]);
        db.prepare(&wanted).await;
        db.insert("item", &[("name", "'first'")]).await;
        for part in db.on(
            ["DROP TABLE tandem_item__search", "DROP TABLE tandem_item__search_row"],
            ["DROP INDEX tandem_item__search", "ALTER TABLE item DROP COLUMN tandem__search"],
        ) {
            db.run(part).await;
            assert!(!db.prepare(&wanted).await.is_empty(), "{part}");
            assert!(db.prepare(&wanted).await.is_empty(), "{part}");
            assert_eq!(db.found("first").await, ["first"]);
        }
    })
    .await;
}
