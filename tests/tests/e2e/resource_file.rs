//! The resource file: broken ones are refused with all their errors, and tables follow good ones without losing data.

use std::process::Output;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::json;
use tandem_tests::client::text;
use tandem_tests::{Backend, Caller, Case, on_both};

on_both!(
    broken_files_print_all_their_errors,
    a_lossy_change_is_refused_with_its_plan,
    a_plan_changes_nothing,
    additive_changes_are_applied,
);

const FIRST: &str = r#"
enum Color { RED GREEN }
type Thing @resource {
  name: String! @unique
  color: Color!
  remark: String
}
"#;

/// What is wrong on a line: its number, and a word that the message has to name.
type Mistake = (usize, &'static str);

const BROKEN: &str = r#"type Thing @resource @auth(rules: [{ allow: OWNER, ownerField: "nobody" }]) {
  name: Strin!
  size: Int @constraint(minimum: 3)
  kind: String @wrong
  items: [Item!]! @inverse(field: "holder")
  version: Int!
}
type Item @resource {
  thing: Thing! @relation(onDelete: CASCADE)
}
"#;
const BROKEN_MISTAKES: [Mistake; 6] =
    [(1, "nobody"), (2, "Strin"), (3, "minimum"), (4, "wrong"), (5, "holder"), (6, "version")];

const BROKEN_RULES: &str = r#"type A @resource @auth(inherit: "b") {
  b: B! @relation(onDelete: CASCADE)
}
type B @resource @auth(inherit: "a") {
  a: A! @relation(onDelete: CASCADE)
  size: Int
}
type C @resource @auth(rules: [{ allow: WHERE, filter: { size: { startsWith: "x" } } }]) {
  size: Int
}
type D @resource @auth(rules: [{ allow: WHERE, filter: { color: { eq: "red" } } }]) {
  size: Int
}
"#;
const BROKEN_RULES_MISTAKES: [Mistake; 3] = [(1, "inherit"), (8, "startsWith"), (11, "color")];

async fn broken_files_print_all_their_errors(case: &Case) {
    for (name, file, mistakes) in
        [("broken.graphql", BROKEN, &BROKEN_MISTAKES[..]), ("rules.graphql", BROKEN_RULES, &BROKEN_RULES_MISTAKES)]
    {
        let path = case.file(name, file);
        let settings = case.settings().with("--resources", &path);
        for (command, flags) in
            [("serve", &["--resources", "--data-dir", "--database-url", "--listen"][..]), ("schema", &["--resources"])]
        {
            let output = settings.command(&[command], flags).await;
            assert_eq!(output.status.code(), Some(2), "{command} {name}: {}", printed(&output));
            let printed = printed(&output);
            let lines: Vec<&str> = file.lines().collect();
            for (line, word) in mistakes {
                assert!(
                    printed.contains(&format!("{name}:{line}:")),
                    "{command} names line {line} of {name}:\n{printed}"
                );
                assert!(printed.contains(word), "{command} names {word}:\n{printed}");
                assert!(printed.contains(lines[line - 1].trim()), "{command} shows line {line}:\n{printed}");
            }
            let carets = printed.lines().filter(|line| line.contains('^')).count();
            assert!(carets >= mistakes.len(), "{command} points at each mistake:\n{printed}");
        }
    }
    let missing = case.settings().with("--resources", "nowhere.graphql");
    let output = missing.command(&["schema"], &["--resources"]).await;
    assert!(!output.status.success());
    assert!(printed(&output).contains("nowhere.graphql"), "{}", printed(&output));
}

async fn a_lossy_change_is_refused_with_its_plan(case: &Case) {
    let path = case.file("things.graphql", FIRST);
    let settings = case.settings().with("--resources", &path);
    let mut server = case.start(settings.clone()).await;
    let admin = server.client(&Caller::admin());
    let create = "mutation { createThing(input: {name: \"one\", color: RED, remark: \"keep me\"}) { thing { id } userErrors { code } } }";
    let id = text(&admin.data(create, json!({})).await["createThing"]["thing"]["id"]);
    server.stop().await;
    let before = shape(case, "thing").await;

    for (change, word) in [
        (FIRST.replace("  remark: String\n", ""), "remark"),
        (FIRST.replace("remark: String", "remark: Int"), "remark"),
        (FIRST.replace("type Thing", "type Other"), "thing"),
        (FIRST.replace(" GREEN", "").replace("RED", "BLUE"), "RED"),
    ] {
        case.file("things.graphql", &change);
        let flags = ["--resources", "--data-dir", "--database-url", "--listen"];
        let output = settings.command(&["serve"], &flags).await;
        assert!(!output.status.success(), "{change} is refused");
        assert!(printed(&output).contains(word), "the plan names {word}:\n{}", printed(&output));
        assert_eq!(shape(case, "thing").await, before, "the table is as it was");
        let rows = remarks(case).await;
        assert_eq!(rows, ["keep me"], "the data is untouched");
    }

    case.file("things.graphql", FIRST);
    let server = case.start(settings).await;
    let read = "query($id: ID!) { thing(by: {id: $id}) { name color remark } }";
    let found = server.client(&Caller::admin()).data(read, json!({"id": id})).await;
    assert_eq!(found["thing"], json!({"name": "one", "color": "RED", "remark": "keep me"}));
}

async fn a_plan_changes_nothing(case: &Case) {
    let path = case.file("things.graphql", FIRST);
    let settings = case.settings().with("--resources", &path);
    case.start(settings.clone()).await.stop().await;
    let before = shape(case, "thing").await;
    let flags = ["--resources", "--data-dir", "--database-url"];

    let output = settings.command(&["migrate", "--plan"], &flags).await;
    assert!(output.status.success(), "{}", printed(&output));
    assert!(!printed(&output).contains("ALTER TABLE"), "there is nothing to do:\n{}", printed(&output));

    case.file("things.graphql", &FIRST.replace("remark: String", "remark: String\n  weight: Int"));
    let output = settings.command(&["migrate", "--plan"], &flags).await;
    assert!(output.status.success(), "{}", printed(&output));
    let printed = printed(&output);
    assert!(printed.contains("ALTER TABLE") && printed.contains("weight"), "the SQL is printed:\n{printed}");
    assert_eq!(shape(case, "thing").await, before, "the table is as it was");
}

async fn additive_changes_are_applied(case: &Case) {
    let path = case.file("things.graphql", FIRST);
    let settings = case.settings().with("--resources", &path);
    let mut server = case.start(settings.clone()).await;
    let create = "mutation { createThing(input: {name: \"one\", color: RED}) { thing { id } userErrors { code } } }";
    let id = text(&server.client(&Caller::admin()).data(create, json!({})).await["createThing"]["thing"]["id"]);
    server.stop().await;

    let wider = FIRST.replace("GREEN", "GREEN BLUE").replace(
        "remark: String",
        "remark: String\n  weight: Int\n  count: Int! @default(value: 7)\n  parts: [Part!]! @inverse(field: \"thing\")",
    ) + "type Part @resource { thing: Thing! @relation(onDelete: CASCADE) label: String! @unique }\n";
    case.file("things.graphql", &wider);
    let server = case.start(settings).await;
    let admin = server.client(&Caller::admin());
    let read = "query($id: ID!) { thing(by: {id: $id}) { name weight count parts { nodes { label } } } }";
    let found = admin.data(read, json!({"id": id})).await;
    assert_eq!(found["thing"], json!({"name": "one", "weight": null, "count": 7, "parts": {"nodes": []}}));
    let update = "mutation($input: UpdateThingInput!) { updateThing(input: $input) { thing { color weight } userErrors { code } } }";
    let updated = admin.done(update, json!({"id": id, "patch": {"color": "BLUE", "weight": 3}})).await;
    assert_eq!(updated["thing"], json!({"color": "BLUE", "weight": 3}));
    let part = "mutation($input: CreatePartInput!) { createPart(input: $input) { part { label thing { name } } userErrors { code } } }";
    let created = admin.done(part, json!({"thingId": id, "label": "x"})).await;
    assert_eq!(created["part"], json!({"label": "x", "thing": {"name": "one"}}));
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Everything that the database knows about the columns of a table, as text.
async fn shape(case: &Case, table: &str) -> Vec<String> {
    let database = case.database().await;
    let sql = match case.backend {
        Backend::Sqlite => format!("SELECT sql AS line FROM sqlite_master WHERE tbl_name = '{table}' ORDER BY name"),
        Backend::Postgres => format!(
            "SELECT concat_ws(' ', column_name, data_type, is_nullable, column_default) AS line
             FROM information_schema.columns WHERE table_name = '{table}' ORDER BY column_name"
        ),
    };
    let shape = lines(&database, &sql).await;
    assert!(!shape.is_empty(), "there is a table {table}");
    shape
}

async fn remarks(case: &Case) -> Vec<String> {
    lines(&case.database().await, "SELECT remark AS line FROM thing").await
}

async fn lines(database: &DatabaseConnection, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(statement).await.expect("the statement is valid");
    let line = |row: &sea_orm::QueryResult| row.try_get::<Option<String>>("", "line").expect("text");
    rows.iter().map(|row| line(row).unwrap_or_default()).collect()
}
