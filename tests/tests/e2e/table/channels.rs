//! A value has the same bytes wherever it is shown, however it was written, on both databases.

use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tandem_tests::case::run_alike;
use tandem_tests::client::text;
use tandem_tests::{Caller, Case, Client, Live};

use super::store::{admin, assert_same, data, given, literal, read, row_count, selection, serve};

/// How a row is written.
const WAYS: [&str; 4] = ["variable", "variables", "literals", "update"];

#[tokio::test(flavor = "multi_thread")]
async fn a_value_has_the_same_bytes_in_every_channel() {
    run_alike(in_every_channel).await;
}

/// One row written in one way.
struct Written {
    key: String,
    expected: String,
}

async fn in_every_channel(case: &Case) -> Vec<String> {
    let server = serve(case).await;
    let client = admin(&server);
    let fields = selection();
    let follow =
        format!("subscription {{ cellChanged {{ kind after {{ key {fields} }} before {{ key {fields} }} }} }}");
    let mut live = server.live(&Caller::admin()).await.following(&follow, json!({})).await;
    let group = group(&client).await;
    let mut rows = Vec::new();
    let mut seen = Vec::new();
    for row in 0..row_count() {
        for way in WAYS {
            let key = format!("{way} {row}");
            let expected = format!(r#"{{"key":"{key}",{}}}"#, read(row));
            let payload = write(&client, way, &group, &key, row).await;
            assert_same(&payload, &expected, &format!("the payload of {key}"));
            let (kind, after, _) = event(&mut live).await;
            let after = if way == "update" {
                assert_eq!(kind, "CREATED");
                event(&mut live).await.1
            } else {
                after
            };
            assert_same(&after, &expected, &format!("the event of {key}"));
            seen.push(after);
            rows.push(Written { key, expected });
        }
    }
    read_back(&client, &rows, &mut seen).await;
    let log = data(&client, &format!("{{ changes(first: 1000, types: [\"Cell\"]) {{ nodes {{ ... on CellChange {{ after {{ key {fields} }} }} }} }} }}"), "{}").await;
    seen.push(log.clone());
    for row in &rows {
        assert!(log.contains(&row.expected), "the log has {}", row.key);
    }
    delete(&client, &group).await;
    for _ in &rows {
        let (kind, _, before) = event(&mut live).await;
        assert_eq!(kind, "DELETED");
        assert!(rows.iter().any(|row| row.expected == before), "the image before a delete:\n{before}");
    }
    seen
}

/// By key, by id, in pages, and behind both kinds of relations.
async fn read_back(client: &Client, rows: &[Written], seen: &mut Vec<String>) {
    let fields = selection();
    let ids = client.data("{ cells(first: 1000) { nodes { id key } } }", json!({})).await;
    let nodes = ids["cells"]["nodes"].as_array().expect("a connection has nodes");
    let ids: HashMap<String, String> = nodes.iter().map(|node| (text(&node["key"]), text(&node["id"]))).collect();
    for Written { key, expected } in rows {
        let query = format!(
            "query($id: ID!, $key: String!) {{
                cell(by: {{key: $key}}) {{ key {fields} }}
                node(id: $id) {{ ... on Cell {{ key {fields} }} }}
                cells(filter: {{id: {{eq: $id}}}}) {{ edges {{ node {{ key {fields} }} }} nodes {{ key {fields} }} }}
                groups {{ nodes {{ cells(filter: {{key: {{eq: $key}}}}, last: 1) {{ nodes {{ key {fields} }} }} }} }} }}"
        );
        let variables = json!({"id": ids[key], "key": key}).to_string();
        let found = data(client, &query, &variables).await;
        let whole = format!(
            r#"{{"cell":{expected},"node":{expected},"cells":{{"edges":[{{"node":{expected}}}],"nodes":[{expected}]}},"groups":{{"nodes":[{{"cells":{{"nodes":[{expected}]}}}}]}}}}"#
        );
        assert_same(&found, &whole, key);
        seen.push(found);
    }
}

async fn group(client: &Client) -> String {
    let create = "mutation { createGroup(input: {name: \"all\"}) { group { id } } }";
    text(&client.data(create, json!({})).await["createGroup"]["group"]["id"])
}

async fn delete(client: &Client, group: &str) {
    let delete = "mutation($input: DeleteGroupInput!) { deleteGroup(input: $input) { userErrors { message } } }";
    client.done(delete, json!({"id": group})).await;
}

/// Writes a row in one of the ways. Gives the bytes of it in the payload.
async fn write(client: &Client, way: &str, group: &str, key: &str, row: usize) -> String {
    let fields = selection();
    let given = given(row);
    let fixed = format!(r#""key":"{key}","row":{row},"groupId":"{group}""#);
    let object = given.iter().map(|(name, _, value)| format!(r#""{name}":{value}"#)).collect::<Vec<_>>().join(",");
    let payload = format!("{{ cell {{ id key {fields} }} userErrors {{ code message path }} }}");
    let (name, mutation, variables) = match way {
        // The whole input is one variable.
        "variable" => (
            "createCell",
            format!("mutation($input: CreateCellInput!) {{ createCell(input: $input) {payload} }}"),
            format!(r#"{{"input":{{{fixed},{object}}}}}"#),
        ),
        // The document has what can be a literal, and a variable for each other value.
        "literals" | "variables" => {
            let as_literal = |value: &str, is_enum| literal(value, is_enum).filter(|_| way == "literals");
            let (mut declared, mut arguments, mut variables) = (String::new(), String::new(), Vec::new());
            for (name, is_enum, value) in &given {
                let argument = as_literal(value, *is_enum).unwrap_or_else(|| {
                    declared.push_str(&format!("${name}: {} ", type_of(name)));
                    variables.push(format!(r#""{name}":{value}"#));
                    format!("${name}")
                });
                arguments.push_str(&format!("{name}: {argument} "));
            }
            let declared = if declared.is_empty() { declared } else { format!("({declared})") };
            let fixed = format!(r#"key: "{key}" row: {row} groupId: "{group}""#);
            (
                "createCell",
                format!("mutation {declared} {{ createCell(input: {{{fixed} {arguments}}}) {payload} }}"),
                format!("{{{}}}", variables.join(",")),
            )
        }
        "update" => {
            let create = "mutation($input: CreateCellInput!) { createCell(input: $input) { cell { id } userErrors { message } } }";
            let created = client.done(create, json!({"key": key, "row": row, "groupId": group})).await;
            let id = text(&created["cell"]["id"]);
            (
                "updateCell",
                format!("mutation($input: UpdateCellInput!) {{ updateCell(input: $input) {payload} }}"),
                format!(r#"{{"input":{{"id":"{id}","patch":{{{object}}}}}}}"#),
            )
        }
        other => panic!("{other} is no way to write"),
    };
    let found = data(client, &mutation, &variables).await;
    // The id is the one thing that differs.
    let start = format!(r#"{{"{name}":{{"cell":{{"id":""#);
    let end = r#","userErrors":[]}}"#;
    let inside = found.strip_prefix(&start).and_then(|rest| rest.strip_suffix(end));
    let inside = inside.unwrap_or_else(|| panic!("{key} is written: {found}\n{variables}"));
    let (_, fields) = inside.split_once("\",").expect("an id has an end");
    format!("{{{fields}")
}

/// The type of a field of the input.
fn type_of(field: &str) -> String {
    let is_always = field.ends_with("Always");
    let name = field.strip_suffix("Always").unwrap_or(field);
    let item = match name.strip_suffix('s').unwrap_or(name) {
        "text" => "String",
        "code" => "ID",
        "int" => "Int",
        "float" => "Float",
        "flag" => "Boolean",
        "big" => "BigInt",
        "money" | "whole" | "part" => "Decimal",
        "at" => "DateTime",
        "day" => "Date",
        "uid" => "UUID",
        "json" => "JSON",
        "hue" => "Hue",
        other => panic!("{other} is in no column"),
    };
    let ty = if name.ends_with('s') { format!("[{item}!]") } else { item.to_owned() };
    if is_always { format!("{ty}!") } else { ty }
}

/// The kind, and the bytes of `after` and of `before`.
async fn event(live: &mut Live) -> (String, String, String) {
    #[derive(serde::Deserialize)]
    struct Data {
        #[serde(rename = "cellChanged")]
        change: Change,
    }
    #[derive(serde::Deserialize)]
    struct Change {
        kind: Value,
        after: Box<RawValue>,
        before: Box<RawValue>,
    }
    let event = live.event().await;
    let data: Data = serde_json::from_str(&event.raw).expect("it was asked for these");
    (text(&data.change.kind), data.change.after.get().to_owned(), data.change.before.get().to_owned())
}
