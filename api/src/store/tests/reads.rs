//! Reads under the conditions that make them fast: many at the same time, wide rows, filters on few rows, and tables that
//! have grown.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::testing::{TestApp, admin, on_both, person};

const DRAWERS: &str = r#"
type Chest @resource @auth(rules: [{ allow: PUBLIC }]) {
  code: String! @unique
  colour: String!
}

type Drawer @resource @auth(rules: [{ allow: OWNER, ownerField: "owner", operations: [READ] }]) {
  name: String! @unique
  owner: String!
  chest: Chest
}
"#;

/// Names that a text of an array has to quote.
const NAMES: [&str; 8] = ["plain", "", " ", "NULL", r#"a "quoted" one"#, r"back\slash", "{comma,brace}", "日本語"];

async fn create(app: &TestApp, resource: &str, input: Value) -> String {
    let (upper, lower) = (resource, resource.to_lowercase());
    let query = format!(
        "mutation($input: Create{upper}Input!) {{ create{upper}(input: $input) {{ {lower} {{ id }} userErrors {{ message }} }} }}"
    );
    let made = app.run(&admin(), &query, json!({ "input": input })).await;
    let id = made["data"][format!("create{upper}")][&lower]["id"].as_str();
    id.unwrap_or_else(|| panic!("{made}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_at_the_same_time_get_their_own_rows() {
    on_both(DRAWERS, async |app| {
        let mut ids = HashMap::new();
        for (i, name) in NAMES.into_iter().enumerate() {
            let owner = ["ann", "bob"][i % 2];
            ids.insert((owner, name), create(app, "Drawer", json!({ "name": name, "owner": owner })).await);
        }
        let query = "query($name: String!) { drawer(by: { name: $name }) { id name } }";
        let (ann, bob) = (person("ann", &[]), person("bob", &[]));
        let callers = [("ann", &ann), ("bob", &bob)];
        let names: Vec<&str> = NAMES.into_iter().chain(["nowhere", "'"]).collect();
        let asked: Vec<_> =
            (0..40).flat_map(|_| callers).flat_map(|caller| names.iter().map(move |name| (caller, *name))).collect();
        let answers = asked.iter().map(|((_, caller), name)| app.run(caller, query, json!({ "name": name })));
        for (((owner, _), name), answer) in asked.iter().zip(join_all(answers).await) {
            let expected = ids.get(&(*owner, *name)).map(|id| json!({ "id": id, "name": name }));
            assert_eq!(answer["data"]["drawer"], expected.unwrap_or_default(), "{owner} {name:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_sees_what_was_written_before_it() {
    on_both(DRAWERS, async |app| {
        let id = create(app, "Chest", json!({ "code": "a", "colour": "0" })).await;
        let read = "query($id: ID!) { chest(by: { id: $id }) { colour } }";
        let write = "mutation($id: ID!, $colour: String!) { updateChest(input: { id: $id, patch: { colour: $colour } }) { \
                     chest { version } } }";
        let colour = async || {
            let answer = app.run(&admin(), read, json!({ "id": id })).await;
            answer["data"]["chest"]["colour"].as_str().unwrap_or_else(|| panic!("{answer}")).parse::<u32>().unwrap()
        };
        for round in 1..=20_u32 {
            // Others keep statements on their way all the time.
            let crowd = join_all((0..32).map(|_| colour()));
            let writer = async {
                app.run(&admin(), write, json!({ "id": id, "colour": round.to_string() })).await;
                assert_eq!(colour().await, round);
            };
            let (seen, ()) = futures_util::future::join(crowd, writer).await;
            assert!(seen.iter().all(|colour| [round - 1, round].contains(colour)), "{round}: {seen:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_on_a_unique_key_of_the_other_side_is_two_valued() {
    on_both(DRAWERS, async |app| {
        let mut chests = Vec::new();
        for (code, colour) in [("a", "red"), ("b", "red")] {
            chests.push(create(app, "Chest", json!({ "code": code, "colour": colour })).await);
        }
        for (name, chest) in [("in a", Some(&chests[0])), ("in b", Some(&chests[1])), ("in none", None)] {
            create(app, "Drawer", json!({ "name": name, "owner": "ann", "chestId": chest })).await;
        }
        let query =
            "query($filter: DrawerFilter) { drawers(filter: $filter, orderBy: [{ name: ASC }]) { nodes { name } } }";
        for (filter, expected) in [
            (json!({ "chest": { "code": { "eq": "a" } } }), json!(["in a"])),
            (json!({ "not": { "chest": { "code": { "eq": "a" } } } }), json!(["in b", "in none"])),
            (json!({ "chest": { "code": { "eq": "a" }, "colour": { "eq": "blue" } } }), json!([])),
            (json!({ "chest": { "id": { "eq": chests[1] } } }), json!(["in b"])),
            (
                json!({ "chest": { "or": [{ "code": { "eq": "a" } }, { "code": { "eq": "b" } }] } }),
                json!(["in a", "in b"]),
            ),
            (
                json!({ "chest": { "or": [{ "code": { "eq": "a" } }, { "colour": { "eq": "red" } }] } }),
                json!(["in a", "in b"]),
            ),
            (json!({ "chest": { "not": { "code": { "eq": "a" } } } }), json!(["in b"])),
        ] {
            let answer = app.run(&admin(), query, json!({ "filter": filter })).await;
            let nodes = answer["data"]["drawers"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
            let names: Value = nodes.iter().map(|node| node["name"].clone()).collect();
            assert_eq!(names, expected, "{filter}");
        }
    })
    .await;
}

/// PostgreSQL's functions take at most 100 arguments, and a text takes two.
#[tokio::test(flavor = "multi_thread")]
async fn rows_may_be_wide() {
    const WIDTH: usize = 75;
    let fields: String = (0..WIDTH).map(|i| format!("  f{i}: String\n")).collect();
    on_both(&format!("type Wide @resource @auth(rules: [{{ allow: PUBLIC }}]) {{\n{fields}}}"), async |app| {
        let value = |i: usize| (!i.is_multiple_of(3)).then(|| format!("{i},;]"));
        let input: Value =
            (0..WIDTH).map(|i| (format!("f{i}"), json!(value(i)))).collect::<serde_json::Map<_, _>>().into();
        let id = create(app, "Wide", input.clone()).await;
        let selection: String = (0..WIDTH).map(|i| format!("f{i} ")).collect();
        let query = format!(
            "query($id: ID!) {{ wide(by: {{ id: $id }}) {{ {selection} }} wides {{ nodes {{ {selection} }} }} }}"
        );
        let answer = app.run(&admin(), &query, json!({ "id": id })).await;
        assert_eq!(answer["data"], json!({ "wide": input, "wides": { "nodes": [input] } }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_told_of_tables_that_have_grown() {
    on_both(DRAWERS, async |app| {
        let database = &app.parts.database;
        if database.dialect() == crate::database::Dialect::Sqlite {
            return;
        }
        let size = async || {
            let sql = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'chest'::regclass";
            let rows = database.query(crate::database::Sql::text(database.dialect(), sql)).await.unwrap();
            rows[0].need_int(0).unwrap()
        };
        // Not by way of the log, whose growth is what the server itself waits for.
        let grow = async |from: u32, to: u32| {
            let sql = format!(
                "INSERT INTO chest (id, code, colour, created_at, updated_at, version) SELECT gen_random_uuid(), n::text, \
                 repeat('x', 50), now(), now(), 1 FROM generate_series({from}, {to}) AS n"
            );
            database.query(crate::database::Sql::text(database.dialect(), &sql)).await.unwrap();
        };
        let (tables, mut known) = (["chest".to_owned()], HashMap::new());
        grow(1, 10_000).await;
        database.analyze_grown(&["drawer".to_owned()], &mut known).await.unwrap();
        assert!(known.is_empty(), "an empty table has not grown");
        database.analyze_grown(&tables, &mut known).await.unwrap();
        assert_eq!(size().await, 10_000);
        let first = known["chest"];
        grow(10_001, 11_000).await;
        database.analyze_grown(&tables, &mut known).await.unwrap();
        assert_eq!(known["chest"], first, "a little more is not looked at");
        grow(11_001, 40_000).await;
        database.analyze_grown(&tables, &mut known).await.unwrap();
        assert!(known["chest"] > first && size().await == 40_000);
    })
    .await;
}
