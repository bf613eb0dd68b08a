//! Both databases find what a look at every row finds, whatever the rows and the texts.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use uuid::Uuid;

use super::super::words::words;
use super::Search;
use crate::catalog::{self, Catalog, Datum, Filter, Resource, ResourceId};
use crate::store::read::{self, List, Node, OrderTerm, Paging, Shape};
use crate::testing::{TestApp, admin, on_both};

const NOTES: &str = r#"
type Note @resource @search(fields: ["title", "body"]) @auth(rules: [{ allow: PUBLIC }]) {
  title: String!
  body: String
  stars: Int! @default(value: 0)
}
"#;

/// Parts of texts: few, so that much is found, and all that some query language gives a meaning.
const PARTS: &[&str] = &[
    "red",
    "Red",
    "reds",
    "shirt",
    "SHIRTS",
    "abc",
    "ABC-123",
    "abc-12",
    "123",
    "é",
    "E",
    "Straße",
    "strasse",
    "東京",
    "東京都",
    "京",
    "한국",
    "한",
    "ใน",
    "the",
    " ",
    "  ",
    "\n",
    "-",
    "\"",
    "“",
    "”",
    "'",
    "''",
    "\\",
    "*",
    ":*",
    ":A",
    "&",
    "|",
    "!",
    "<->",
    "(",
    ")",
    "OR",
    "AND",
    "NOT",
    "NEAR",
    "NEAR(a b)",
    "^",
    "+",
    "{",
    "}",
    "words:",
    "rowid",
    "%",
    "_",
    "$1",
    "?",
    ";",
    "--",
    "/*",
    "🎉",
    "—",
    "\u{AD}",
    "\u{301}",
    "ﬁ",
    "fi",
];

/// Longer ones, each of which was somebody's syntax error once.
const HOSTILE: &[&str] = &[
    "'; DROP TABLE note; --",
    "\"",
    "\"\"\"",
    "red AND",
    "AND red",
    "(red",
    "red)",
    "red OR OR",
    "NEAR(red shirt, 2)",
    "title:red",
    "- red",
    "^red",
    "{title body}: red",
    "red + shirt",
    "*",
    "red**",
    "'red' <2> 'shirt'",
    "red:*B",
    "!!red",
    "a & & b",
    "\\",
    "\\'",
    "'",
    "''''",
    "\u{FFFF}",
    "\u{10FFFF}x",
    "𝒳",
    "red\u{200D}shirt",
    "$$",
    "NULL",
];

/// Whether these texts hold what is looked for: a third implementation, without index, cut or limit.
fn holds(texts: &[&str], search: &str) -> bool {
    let fields: Vec<Vec<String>> = texts.iter().map(|text| words(text).collect()).collect();
    let has = |phrase: &[String], is_open: bool| {
        let (last, whole) = phrase.split_last().unwrap();
        fields.iter().flat_map(|field| field.windows(phrase.len())).any(|window| {
            let end = &window[whole.len()];
            &window[..whole.len()] == whole && (end == last || is_open && end.starts_with(last))
        })
    };
    let parts: Vec<&str> = search.split(['"', '“', '”', '„']).collect();
    parts.iter().enumerate().all(|(i, part)| {
        let is_last = i + 1 == parts.len();
        let phrases: Vec<&str> = if i % 2 == 1 { vec![part] } else { part.split_whitespace().collect() };
        phrases.iter().all(|phrase| {
            let phrase: Vec<_> = words(phrase).collect();
            phrase.is_empty() || has(&phrase, i % 2 == 0 || is_last)
        })
    })
}

async fn found(app: &TestApp, catalog: &Catalog, resource: ResourceId, text: &str) -> BTreeSet<Uuid> {
    let mut shape = Shape::new(resource);
    shape.column(Resource::ID);
    let by_id = OrderTerm { through: Vec::new(), field: Resource::ID, is_descending: false, is_nullable: false };
    let list = List {
        via: None,
        filter: Filter::Const(true),
        search: Search::parse(text).unwrap(),
        order: vec![by_id],
        paging: Paging { limit: 1000, is_backward: false, after: None, before: None },
        shape,
        wants_rows: true,
        wants_total: true,
        wants_cursors: true,
        aggregates: Vec::new(),
        groupings: Vec::new(),
    };
    let page = read::list(&app.parts.database, catalog, &list, None).await.unwrap_or_else(|e| panic!("{text:?}: {e}"));
    assert_eq!(page.total, Some(page.rows.len() as i64), "{text:?}");
    let id = |node: &Node| match node {
        Node::Leaf(Datum::Uuid(id)) => *id,
        other => panic!("{other:?}"),
    };
    page.rows.iter().map(|(nodes, _)| id(&nodes[0])).collect()
}

type Note = (Uuid, String, Option<String>);

async fn check(app: &TestApp, catalog: &Catalog, notes: &[Note], text: &str) {
    let resource = catalog.find("Note").unwrap();
    let matches = |note: &&Note| holds(&[note.1.as_str(), note.2.as_deref().unwrap_or_default()], text);
    let expected: BTreeSet<_> = notes.iter().filter(matches).map(|note| note.0).collect();
    let found = found(app, catalog, resource, text).await;
    if let Some(other) = notes.iter().find(|note| expected.contains(&note.0) != found.contains(&note.0)) {
        panic!("{text:?}: the database finds {}: {other:?}", found.contains(&other.0));
    }
}

async fn write(app: &TestApp, document: &str, input: serde_json::Value) -> serde_json::Value {
    let response = app.run(&admin(), document, json!({"input": input})).await;
    assert_eq!(response.get("errors"), None, "{response}");
    response["data"].clone()
}

async fn create(app: &TestApp, title: String, body: Option<String>) -> (String, Note) {
    let document = "mutation($input: CreateNoteInput!) { createNote(input: $input) { note { id } } }";
    let data = write(app, document, json!({"title": title, "body": body})).await;
    let id = data["createNote"]["note"]["id"].as_str().unwrap().to_owned();
    let uuid = catalog::type_id::parse_prefixed("note", &id).unwrap();
    (id, (uuid, title, body))
}

#[tokio::test(flavor = "multi_thread")]
async fn both_databases_find_what_a_look_at_every_row_finds() {
    on_both(NOTES, async |app| {
        let catalog = catalog::parse("notes.graphql", NOTES).unwrap();
        let mut runner = TestRunner::default();
        let text = prop::collection::vec(prop::sample::select(PARTS), 0..8).prop_map(|parts| parts.concat());
        let spaced = prop::collection::vec(prop::sample::select(PARTS), 0..8).prop_map(|parts| parts.join(" "));
        let text = prop_oneof![text, spaced].boxed();
        let sample = |runner: &mut TestRunner| text.new_tree(runner).unwrap().current();
        let mut notes = Vec::new();
        for hostile in HOSTILE {
            notes.push(create(app, (*hostile).to_owned(), None).await);
        }
        for i in 0..120 {
            let body = (i % 3 > 0).then(|| sample(&mut runner));
            notes.push(create(app, sample(&mut runner), body).await);
        }
        for i in 0..40 {
            let (id, note) = &mut notes[i * 3];
            let patch = if i % 4 == 0 {
                json!({"stars": 1})
            } else {
                note.1 = sample(&mut runner);
                note.2 = (i % 4 > 1).then(|| sample(&mut runner));
                json!({"title": note.1, "body": note.2})
            };
            let document = "mutation($input: UpdateNoteInput!) { updateNote(input: $input) { note { id } } }";
            write(app, document, json!({"id": id, "patch": patch})).await;
        }
        for _ in 0..30 {
            let (id, _) = notes.swap_remove(notes.len() / 2);
            let document = "mutation($input: DeleteNoteInput!) { deleteNote(input: $input) { deletedNoteId } }";
            write(app, document, json!({"id": id})).await;
        }
        let notes: Vec<Note> = notes.into_iter().map(|(_, note)| note).collect();
        for text in PARTS.iter().chain(HOSTILE) {
            check(app, &catalog, &notes, text).await;
        }
        for _ in 0..400 {
            check(app, &catalog, &notes, &sample(&mut runner)).await;
        }
    })
    .await;
}

/// What is most that a row can hold, PostgreSQL can hold, too.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_texts_can_be_searched() {
    on_both(NOTES, async |app| {
        let catalog = catalog::parse("notes.graphql", NOTES).unwrap();
        let wide: String = (0..14_000).map(|n| format!("{n:x}{} ", "界".repeat(20))).collect();
        let long: String = (0..9_000).map(|n| format!("{n:060} ")).collect();
        let often = "the end ".repeat(20_000);
        let huge = "x".repeat(900_000);
        for text in [wide, long, often, huge] {
            let (_, note) = create(app, "first".to_owned(), Some(text.clone())).await;
            let first = words(&text).next().unwrap();
            for text in [format!("first {first}"), format!("\"{first}\"")] {
                let found = found(app, &catalog, catalog.find("Note").unwrap(), &text).await;
                assert!(found.contains(&note.0), "{text}");
            }
        }
    })
    .await;
}
