//! What is rare is found by the index, alone and together with everything that a list may also ask for.

use super::Search;
use crate::catalog::filter::{CompareOp, Test};
use crate::catalog::{self, Catalog, Datum, FieldId, Filter, Resource, ResourceId};
use crate::database::{Dialect, Sql};
use crate::store::read::{List, OrderTerm, Paging, Shape, Slot, statement};
use crate::testing::{TestApp, on_both};

const FILE: &str = r#"
type Shelf @resource @auth(rules: [{ allow: PUBLIC }]) {
  books: [Book!]! @inverse(field: "shelf")
}
type Book @resource @search(fields: ["title"]) @auth(rules: [{ allow: PUBLIC }]) {
  title: String!
  stars: Int! @index
  shelf: Shelf @relation(onDelete: SET_NULL)
}
"#;

const ROWS: u32 = 20_000;

/// Rows with one rare word each, `rare0` to `rare19999`, and some that all of them have.
async fn fill(app: &TestApp) {
    let dialect = app.parts.database.dialect();
    let statements = match dialect {
        Dialect::Sqlite => vec![
            format!(
                "INSERT INTO book (id, title, stars, created_at, updated_at, version)
                 WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS} - 1)
                 SELECT randomblob(16), 'some book rare' || n, n % 5, 0, 0, 1 FROM n"
            ),
            "INSERT INTO tandem_book__search_row (id) SELECT id FROM book".to_owned(),
            "INSERT INTO tandem_book__search (rowid, words)
             SELECT number, title FROM book JOIN tandem_book__search_row USING (id)"
                .to_owned(),
        ],
        Dialect::Postgres => vec![
            format!(
                "INSERT INTO book (id, title, stars, created_at, updated_at, version, tandem__search)
                 SELECT gen_random_uuid(), 'some book rare' || n, n % 5, now(), now(), 1,
                        to_tsvector('simple', 'some book rare' || n)
                 FROM generate_series(0, {ROWS} - 1) AS n"
            ),
            "ANALYZE book".to_owned(),
        ],
    };
    let statements = statements.iter().map(|text| Sql::text(dialect, text)).collect();
    app.parts.writer.statements(statements).await.unwrap();
}

fn list(catalog: &Catalog, text: &str) -> List {
    let book = catalog.find("Book").unwrap();
    let mut shape = Shape::new(book);
    shape.column(Resource::ID);
    List {
        via: None,
        filter: Filter::Const(true),
        search: Search::parse(text).unwrap(),
        order: vec![term(Resource::ID)],
        paging: Paging { limit: 50, is_backward: false, after: None, before: None },
        shape,
        wants_rows: true,
        wants_total: true,
        wants_cursors: true,
        aggregates: Vec::new(),
        groupings: Vec::new(),
    }
}

fn term(field: FieldId) -> OrderTerm {
    OrderTerm { through: Vec::new(), field, is_descending: false, is_nullable: false }
}

/// How the database runs the list, a step on each line.
async fn explain(app: &TestApp, catalog: &Catalog, list: &List) -> String {
    let database = &app.parts.database;
    database.explain(statement::list(database.dialect(), catalog, list, None)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rare_words_are_found_by_the_index() {
    on_both(FILE, async |app| {
        let catalog = catalog::parse("books.graphql", FILE).unwrap();
        let book: ResourceId = catalog.find("Book").unwrap();
        let stars = catalog.resource(book).find("stars").unwrap();
        fill(app).await;
        let plain = list(&catalog, "rare4711");
        let many = Filter::Field(stars, Test::Compare(CompareOp::Gte, Datum::Int(1)));
        let after = vec![Datum::Int(0), Datum::Uuid(uuid::Uuid::from_u128(7))];
        let lists = [
            plain.clone(),
            list(&catalog, "\"some book rare4711\""),
            List { filter: many, ..plain.clone() },
            List { order: vec![term(stars), term(Resource::ID)], ..plain.clone() },
            List {
                order: vec![term(stars), term(Resource::ID)],
                paging: Paging { after: Some(after), ..plain.paging.clone() },
                ..plain.clone()
            },
        ];
        for list in lists {
            let plan = explain(app, &catalog, &list).await;
            match app.parts.database.dialect() {
                Dialect::Sqlite => {
                    // Once for the rows and once for their number: FTS5 gives numbers, and rows are found by their id.
                    assert_eq!(plan.matches("SCAN w VIRTUAL TABLE INDEX").count(), 2, "{plan}");
                    assert_eq!(plan.matches("sqlite_autoindex_book_1 (id=?)").count(), 2, "{plan}");
                }
                Dialect::Postgres => {
                    assert_eq!(plan.matches("Bitmap Index Scan on tandem_book__search").count(), 2, "{plan}");
                    assert_eq!(plan.matches("Index Cond: (id = ANY (").count(), 2, "{plan}");
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_lists_look_words_up_once() {
    on_both(FILE, async |app| {
        let catalog = catalog::parse("books.graphql", FILE).unwrap();
        let (shelf, book) = (catalog.find("Shelf").unwrap(), catalog.find("Book").unwrap());
        let via = catalog.resource(book).find("shelf");
        fill(app).await;
        let books = list(&catalog, "rare4711");
        let mut shape = Shape::new(shelf);
        shape.push(Slot::List(Box::new(List { via, wants_total: false, ..books.clone() })));
        let plan = explain(app, &catalog, &List { shape, search: None, wants_total: false, ..books }).await;
        match app.parts.database.dialect() {
            Dialect::Sqlite => {
                assert_eq!(plan.matches("VIRTUAL TABLE INDEX").count(), 1, "{plan}");
                assert!(!plan.contains("CORRELATED LIST SUBQUERY"), "{plan}");
            }
            Dialect::Postgres => {
                let lookup = plan.find("Bitmap Index Scan on tandem_book__search");
                let place = plan[..lookup.unwrap_or_else(|| panic!("{plan}"))].rfind("Plan ");
                let around = &plan[place.unwrap() - "Init".len()..];
                assert!(around.starts_with("InitPlan"), "{plan}");
            }
        }
    })
    .await;
}
