//! Words follow `@search`, and rows that were there can be found. The texts of the plans are in `plans.txt`.

use super::{TestDatabase, on_both_databases};
use crate::catalog::{self, Catalog};

/// A type with a directive and these fields.
fn parse(start: &str, fields: &str) -> Catalog {
    let text = format!("type {start} {{ {fields} }}");
    catalog::parse("resources.graphql", &text).unwrap_or_else(|problems| panic!("{problems}"))
}

const FIELDS: &str = "name: String! note: String";

impl TestDatabase {
    /// The names of the items that hold a word.
    async fn found(&self, word: &str) -> Vec<String> {
        self.found_in("item", "name", word).await
    }

    async fn found_in(&self, table: &str, column: &str, word: &str) -> Vec<String> {
        let sql = self.on(
            "SELECT $column FROM $table WHERE id IN (SELECT r.id FROM tandem_$table__search AS w
               JOIN tandem_$table__search_row AS r ON r.number = w.rowid WHERE tandem_$table__search MATCH '$word')
             ORDER BY 1",
            "SELECT $column FROM $table WHERE tandem__search @@ '$word'::tsquery ORDER BY 1",
        );
        let sql = sql.replace("$column", column).replace("$table", table).replace("$word", word);
        self.query(&sql).await.into_iter().flatten().collect()
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

    fn places_of(&self, table: &str) -> Vec<String> {
        let sqlite = ["", "_config", "_data", "_docsize", "_idx", "_row"];
        self.on(
            sqlite.map(|end| format!("tandem_{table}__search{end}")).to_vec(),
            vec!["tandem__search".to_owned(), format!("tandem_{table}__search")],
        )
    }
}

#[tokio::test]
async fn rows_that_were_there_can_be_found() {
    on_both_databases(async |db| {
        db.prepare(&parse("Item @resource", FIELDS)).await;
        assert_eq!(db.places().await, [""; 0]);
        for number in 0..250 {
            db.insert("item", &[("name", &format!("'Crème {number:03}'")), ("note", "'It''s — here'")]).await;
        }
        db.insert("item", &[("name", "'?'")]).await;
        db.prepare(&parse("Item @resource @search(fields: [\"name\", \"note\"])", FIELDS)).await;
        assert_eq!(db.places().await, db.places_of("item"));
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
        db.prepare(&parse("Item @resource @search(fields: [\"name\"])", FIELDS)).await;
        db.insert("item", &[("name", "'first'"), ("note", "'second'")]).await;
        db.prepare(&parse("Item @resource @search(fields: [\"note\"])", FIELDS)).await;
        assert_eq!((db.found("first").await, db.found("second").await), (vec![], vec!["first".to_owned()]));
        db.prepare(&parse("Item @resource @search(fields: [\"note\", \"name\"])", FIELDS)).await;
        assert_eq!((db.found("first").await, db.found("second").await), (vec!["first".into()], vec!["first".into()]));
    })
    .await;
}

#[tokio::test]
async fn without_the_directive_nothing_is_left() {
    on_both_databases(async |db| {
        let with = parse("Item @resource @search(fields: [\"name\"])", FIELDS);
        db.prepare(&with).await;
        db.insert("item", &[("name", "'first'")]).await;
        db.prepare(&parse("Item @resource", FIELDS)).await;
        assert_eq!(db.places().await, [""; 0]);
        assert_eq!(db.query("SELECT name FROM item").await, [Some("first".to_owned())]);
        db.prepare(&with).await;
        assert_eq!(db.found("first").await, ["first"]);
        db.allow(&parse("Other @resource", "a: Int"), "drop:Item").await;
        assert_eq!(db.places().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn words_are_found_under_new_names() {
    on_both_databases(async |db| {
        db.prepare(&parse("Item @resource @search(fields: [\"name\", \"note\"])", FIELDS)).await;
        db.insert("item", &[("name", "'first'"), ("note", "'second'")]).await;
        // Those that are only renamed are not written again, so they stay what the test makes of them.
        db.run(db.on(
            "INSERT INTO tandem_item__search_row (id) SELECT id FROM item WHERE false;
             INSERT INTO tandem_item__search_row (number, id) SELECT 7, id FROM item;
             INSERT INTO tandem_item__search (rowid, words) VALUES (7, 'marked')",
            "UPDATE item SET tandem__search = 'marked'",
        ))
        .await;
        let fields = "title: String! @renamedFrom(name: \"name\") note: String";
        let renamed =
            parse("Thing @resource @renamedFrom(name: \"Item\") @search(fields: [\"title\", \"note\"])", fields);
        let plan = db.prepare(&renamed).await;
        assert!(plan.steps.iter().any(|step| step.title == "rename the search of thing"), "{plan}");
        assert_eq!(db.places().await, db.places_of("thing"));
        assert_eq!(db.found_in("thing", "title", "marked").await, ["first"]);
        assert!(db.prepare(&renamed).await.is_empty());
        // With other fields beside the new name they are written again.
        let back = parse(
            "Item @resource @renamedFrom(name: \"Thing\") @search(fields: [\"note\"])",
            "title: String! note: String",
        );
        db.prepare(&back).await;
        assert_eq!(db.places().await, db.places_of("item"));
        assert_eq!(
            (db.found_in("item", "title", "marked").await.len(), db.found_in("item", "title", "second").await.len()),
            (0, 1)
        );
    })
    .await;
}

#[tokio::test]
async fn words_follow_values_that_a_step_writes() {
    on_both_databases(async |db| {
        db.prepare(&parse("Item @resource @search(fields: [\"name\", \"note\"])", FIELDS)).await;
        db.insert("item", &[("name", "'first'")]).await;
        let required = parse(
            "Item @resource @search(fields: [\"name\", \"note\"])",
            "name: String! note: String! @default(value: \"nothing said\")",
        );
        db.allow(&required, "fill:Item.note").await;
        assert_eq!(db.found("said").await, ["first"]);
    })
    .await;
}

#[tokio::test]
async fn what_somebody_dropped_is_made_anew() {
    on_both_databases(async |db| {
        let wanted = parse("Item @resource @search(fields: [\"name\"])", FIELDS);
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
        db.run("DROP TABLE item").await;
        db.allow(&wanted, "remake:Item").await;
        db.insert("item", &[("name", "'second'")]).await;
        assert_eq!(db.found("first").await, [""; 0]);
        assert_eq!(db.places().await, db.places_of("item"));
    })
    .await;
}
