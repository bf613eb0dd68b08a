//! Pages: every order, walked in both directions, gives each row once; and what is no page is refused.

use std::fmt::Write;

use serde_json::{Value, json};
use tandem_tests::case::run_alike;
use tandem_tests::client::{error_codes, number, text};
use tandem_tests::{Case, Client};

use super::orders::{self, Order};
use super::shelf::fill;
use super::store::{admin, serve};

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_fields_walked_in_both_directions() {
    run_alike(async |case| walk_all(case, orders::of_fields(), &[7]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn combined_orders_walked_in_both_directions() {
    run_alike(async |case| walk_all(case, orders::combined(), &[3, 1000]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_between_two_cursors() {
    run_alike(between).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_page() {
    run_alike(refused).await;
}

/// A page that was read.
#[derive(Debug)]
struct Page {
    rows: Vec<usize>,
    cursors: Vec<String>,
    has_next: bool,
    has_previous: bool,
}

const PAGE: &str = "{ edges { cursor node { row } } nodes { row } \
                    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }";

fn page(connection: &Value) -> Page {
    let edges = connection["edges"].as_array().expect("a connection has edges");
    let rows: Vec<usize> = edges.iter().map(|edge| number(&edge["node"]["row"]) as usize).collect();
    let nodes = connection["nodes"].as_array().expect("a connection has nodes");
    assert!(nodes.iter().map(|node| number(&node["row"]) as usize).eq(rows.iter().copied()));
    let cursors: Vec<String> = edges.iter().map(|edge| text(&edge["cursor"])).collect();
    let info = &connection["pageInfo"];
    assert_eq!(info["startCursor"], json!(cursors.first()));
    assert_eq!(info["endCursor"], json!(cursors.last()));
    Page { rows, cursors, has_next: info["hasNextPage"] == true, has_previous: info["hasPreviousPage"] == true }
}

/// Walks each order in both directions, in pages of these sizes. Gives the numbers of the rows of all pages.
async fn walk_all(case: &Case, orders: Vec<Order>, sizes: &[usize]) -> Vec<Vec<usize>> {
    let server = serve(case).await;
    let client = admin(&server);
    let rows = fill(&client).await;
    let mut seen = Vec::new();
    for order in &orders {
        let sorted: Vec<usize> = order.sort(&rows).iter().map(|row| row.row).collect();
        for &size in sizes {
            for is_backward in [false, true] {
                seen.extend(walk(&client, order, &sorted, size, is_backward).await);
            }
        }
    }
    seen
}

async fn walk(client: &Client, order: &Order, sorted: &[usize], size: usize, is_backward: bool) -> Vec<Vec<usize>> {
    let (count, from) = if is_backward { ("last", "before") } else { ("first", "after") };
    let query = format!(
        "query($cursor: String) {{ cells(orderBy: {}, {count}: {size}, {from}: $cursor) {PAGE} }}",
        order.literal
    );
    let mut seen = Vec::new();
    let (mut cursor, mut done) = (Value::Null, 0);
    loop {
        let answer = client.data(&query, json!({"cursor": cursor})).await;
        let page = page(&answer["cells"]);
        let length = size.min(sorted.len() - done);
        let start = if is_backward { sorted.len() - done - length } else { done };
        let what = format!("{} {count}: {size} from {done}", order.literal);
        assert_eq!(page.rows, sorted[start..start + length], "{what}");
        assert_eq!((page.has_previous, page.has_next), (start > 0, start + length < sorted.len()), "{what}");
        done += length;
        seen.push(page.rows);
        if done == sorted.len() {
            return seen;
        }
        cursor = json!(if is_backward { page.cursors.first() } else { page.cursors.last() });
    }
}

/// Each part between two cursors of an order with nulls and ties, by `first` and by `last`.
async fn between(case: &Case) -> Vec<Vec<usize>> {
    const SIZES: [usize; 3] = [0, 2, 100];
    const STEP: usize = 9;
    let server = serve(case).await;
    let client = admin(&server);
    let rows = fill(&client).await;
    let mut seen = Vec::new();
    for order in orders::combined().into_iter().step_by(3) {
        let sorted: Vec<usize> = order.sort(&rows).iter().map(|row| row.row).collect();
        let all = format!("{{ cells(orderBy: {}, first: 100) {PAGE} }}", order.literal);
        let cursors = page(&client.data(&all, json!({})).await["cells"]).cursors;
        for after in (0..sorted.len()).step_by(STEP) {
            let mut query = String::new();
            let mut expected = Vec::new();
            for before in (0..sorted.len()).step_by(STEP) {
                for (i, size) in SIZES.into_iter().enumerate() {
                    for count in ["first", "last"] {
                        let arguments = format!(
                            r#"orderBy: {}, {count}: {size}, after: "{}", before: "{}""#,
                            order.literal, cursors[after], cursors[before]
                        );
                        writeln!(query, "{count}{i}_{before}: cells({arguments}) {PAGE}").expect("it is a string");
                        let inside = sorted.get(after + 1..before).unwrap_or_default();
                        let is_more = inside.len() > size;
                        let (rows, flags) = match count {
                            "first" => (&inside[..size.min(inside.len())], (true, is_more)),
                            _ => (&inside[inside.len().saturating_sub(size)..], (is_more, true)),
                        };
                        expected.push((arguments, rows.to_vec(), flags));
                    }
                }
            }
            let answer = client.data(&format!("{{ {query} }}"), json!({})).await;
            let fields = answer.as_object().expect("data is an object").values();
            for (connection, (arguments, rows, flags)) in fields.zip(expected) {
                let page = page(connection);
                assert_eq!((&page.rows, (page.has_previous, page.has_next)), (&rows, flags), "{arguments}");
                seen.push(page.rows);
            }
        }
    }
    seen
}

/// Arguments that are refused, and how. `$row` and the like stand for cursors.
const REFUSED: &[(&str, &str)] = &[
    ("first: 1, last: 1", "BAD_USER_INPUT"),
    ("first: -1", "BAD_USER_INPUT"),
    ("last: -1", "BAD_USER_INPUT"),
    ("first: 1001", "BAD_USER_INPUT"),
    ("last: 1001", "BAD_USER_INPUT"),
    ("first: 2147483648", "GRAPHQL_VALIDATION_FAILED"),
    ("first: \"1\"", "GRAPHQL_VALIDATION_FAILED"),
    ("orderBy: [{int: ASC, row: ASC}]", "GRAPHQL_VALIDATION_FAILED"),
    ("orderBy: [{}]", "GRAPHQL_VALIDATION_FAILED"),
    ("orderBy: [{int: UP}]", "GRAPHQL_VALIDATION_FAILED"),
    ("orderBy: [{json: ASC}]", "GRAPHQL_VALIDATION_FAILED"),
    ("orderBy: [{ints: ASC}]", "GRAPHQL_VALIDATION_FAILED"),
    ("orderBy: [{group: ASC}]", "GRAPHQL_VALIDATION_FAILED"),
    (
        "orderBy: [{row: ASC}, {row: ASC}, {row: ASC}, {row: ASC}, {row: ASC}, {row: ASC}, {row: ASC}, {row: ASC}, {row: ASC}]",
        "BAD_USER_INPUT",
    ),
    ("after: \"\"", "CURSOR_INVALID"),
    ("before: \"nonsense\"", "CURSOR_INVALID"),
    ("after: \"W10\"", "CURSOR_INVALID"),
    ("after: \"😀\"", "CURSOR_INVALID"),
    ("after: \"$log\"", "CURSOR_INVALID"),
    ("after: \"$row\"", "CURSOR_INVALID"),
    ("after: \"$row=\", orderBy: [{row: ASC}]", "CURSOR_INVALID"),
    ("after: \"$row\", orderBy: [{row: DESC}]", "CURSOR_INVALID"),
    ("after: \"$row\", orderBy: [{int: ASC}]", "CURSOR_INVALID"),
    ("after: \"$row\", orderBy: [{row: ASC}, {int: ASC}]", "CURSOR_INVALID"),
    ("before: \"$row\", orderBy: [{group: {rank: ASC}}]", "CURSOR_INVALID"),
    ("after: \"$group\"", "CURSOR_INVALID"),
    ("after: \"$name\", orderBy: [{text: ASC}]", "CURSOR_INVALID"),
];

async fn refused(case: &Case) -> Vec<String> {
    let server = serve(case).await;
    let client = admin(&server);
    fill(&client).await;
    let of = async |query: &str| {
        let answer = client.data(query, json!({})).await;
        let connection = answer.as_object().and_then(|data| data.values().next()).cloned().unwrap_or_default();
        text(connection["asOf"].as_str().map_or(&connection["pageInfo"]["endCursor"], |_| &connection["asOf"]))
    };
    let info = "{ pageInfo { endCursor } }";
    let cursors = [
        ("$log", of("{ cells { asOf } }").await),
        ("$row", of(&format!("{{ cells(first: 3, orderBy: [{{row: ASC}}]) {info} }}")).await),
        ("$group", of(&format!("{{ groups(first: 3) {info} }}")).await),
        ("$name", of(&format!("{{ groups(first: 3, orderBy: [{{name: ASC}}]) {info} }}")).await),
    ];
    let mut messages = Vec::new();
    for (arguments, code) in REFUSED {
        let full = cursors.iter().fold((*arguments).to_owned(), |text, (name, cursor)| text.replace(name, cursor));
        let response = client.response(&format!("{{ cells({full}) {{ nodes {{ row }} }} }}"), json!({})).await;
        assert_eq!(error_codes(&response).first().map(String::as_str), Some(*code), "{arguments}: {response}");
        assert!(response.get("data").is_none_or(Value::is_null), "{arguments}: {response}");
        messages.push(text(&response["errors"][0]["message"]));
    }
    // A place in an order is one under any filter.
    let (_, row) = &cursors[1];
    let query = format!(
        "{{ cells(after: \"{row}\", first: 2, orderBy: [{{row: ASC}}], filter: {{row: {{gt: 10}}}}) {{ nodes {{ row }} }} }}"
    );
    assert_eq!(client.data(&query, json!({})).await, json!({"cells": {"nodes": [{"row": 11}, {"row": 12}]}}));
    messages
}
