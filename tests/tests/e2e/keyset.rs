//! Pages over 100,000 rows while rows are made, moved and removed: no row that stayed is missed or seen twice.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use tandem_tests::client::{number, text};
use tandem_tests::{Caller, Case, Client, on_both};

on_both!(rows_that_stay_are_seen_once);

const RESOURCES: &str = r#"
type Batch @resource @auth(rules: [{ allow: PUBLIC }]) {
  items: [Item!]! @inverse(field: "batch")
}
type Item @resource @auth(inherit: "batch") @index(fields: ["rank"]) {
  batch: Batch! @relation(onDelete: CASCADE)
  number: Int!
  rank: Int
  note: String
}
"#;

const ROWS: usize = 100_000;
const ROWS_OF_A_BATCH: usize = 1_000;
const PAGE: usize = 1_000;

/// Rows with the same rank, so that pages begin and end in the midst of them.
const TIES: usize = 300;

/// One row in so many has no rank.
const NULLS: usize = 50;

/// One row in so many is moved or removed; all others stay.
const TOUCHED: usize = 10;

/// What is written in one request.
const WRITES: usize = 10;

fn rank(number: usize) -> Option<usize> {
    // Neither the order of the numbers nor that of the ids.
    (number % NULLS != 3).then_some(number * 7919 % (ROWS / TIES))
}

fn stays(number: usize) -> bool {
    number < ROWS && number % TOUCHED > 1
}

async fn rows_that_stay_are_seen_once(case: &Case) {
    let path = case.file("items.graphql", RESOURCES);
    let server = case.start(case.settings().with("--resources", &path)).await;
    let client = server.client(&Caller::admin());
    let ids = load(&client).await;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();

    let is_over = AtomicBool::new(false);
    let writes = [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)];
    let reading = async {
        let walks = tokio::join!(
            walk(&client, "[{rank: ASC}]", false),
            walk(&client, "[{rank: ASC}]", true),
            walk(&client, "[{rank: DESC}, {number: ASC}]", false),
        );
        is_over.store(true, Ordering::Relaxed);
        walks
    };
    let until = async |counter: &AtomicUsize, mutation: fn(usize, &[&str]) -> String| {
        for step in 0.. {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            let fields: Vec<String> =
                (0..WRITES).map(|i| format!("w{i}: {}", mutation(step * WRITES + i, &ids))).collect();
            let answer = client.data(&format!("mutation {{ {} }}", fields.join("\n")), json!({})).await;
            let payloads = answer.as_object().expect("data is an object").values();
            let done = payloads.filter(|payload| payload["userErrors"] == json!([])).count();
            counter.fetch_add(done, Ordering::Relaxed);
        }
    };
    let (walks, ..) = tokio::join!(
        reading,
        until(&writes[0], make),
        until(&writes[1], move_away),
        until(&writes[2], remove),
        until(&writes[3], annotate),
    );
    for (seen, what) in [(walks.0, "rank"), (walks.1, "rank, backwards"), (walks.2, "rank descending, number")] {
        for number in (0..ROWS).filter(|number| stays(*number)) {
            assert_eq!(seen.get(&number), Some(&1), "how often row {number} is seen, by {what}");
        }
    }
    for (counter, what) in writes.iter().zip(["made", "moved", "removed", "changed elsewhere"]) {
        assert!(counter.load(Ordering::Relaxed) > 0, "rows are {what} meanwhile");
    }
}

/// A new row, anywhere in the order.
fn make(step: usize, _: &[&str]) -> String {
    let (number, rank) = (ROWS + step, json!(rank(step * 31)));
    format!(
        "createBatch(input: {{items: {{create: [{{number: {number}, rank: {rank}}}]}}}}) {{ userErrors {{ code }} }}"
    )
}

/// A row that goes somewhere else in the order, back and forth.
fn move_away(step: usize, ids: &[&str]) -> String {
    let (id, rank) = (ids[step * TOUCHED % ids.len()], json!(rank(step * 17)));
    format!("updateItem(input: {{id: \"{id}\", patch: {{rank: {rank}}}}}) {{ userErrors {{ code }} }}")
}

/// A row that goes away.
fn remove(step: usize, ids: &[&str]) -> String {
    let id = ids[(step * TOUCHED * 13 + 1) % ids.len()];
    format!("deleteItem(input: {{id: \"{id}\"}}) {{ userErrors {{ code }} }}")
}

/// A row that stays, and changes where the order does not look.
fn annotate(step: usize, ids: &[&str]) -> String {
    let id = ids[(step * TOUCHED * 7 + 5) % ids.len()];
    format!("updateItem(input: {{id: \"{id}\", patch: {{note: \"{step}\"}}}}) {{ userErrors {{ code }} }}")
}

/// Writes the rows, and gives their ids, by number.
async fn load(client: &Client) -> Vec<String> {
    let create = "mutation($input: CreateBatchInput!) { createBatch(input: $input) {
        batch { items(first: 1000, orderBy: [{number: ASC}]) { nodes { id } } } userErrors { code message path } } }";
    let mut ids = Vec::with_capacity(ROWS);
    for first in (0..ROWS).step_by(ROWS_OF_A_BATCH) {
        let items = (first..first + ROWS_OF_A_BATCH).map(|number| json!({"number": number, "rank": rank(number)}));
        let created = client.done(create, json!({"items": {"create": items.collect::<Vec<_>>()}})).await;
        let nodes = created["batch"]["items"]["nodes"].as_array().expect("a connection has nodes");
        ids.extend(nodes.iter().map(|node| text(&node["id"])));
    }
    assert_eq!(ids.len(), ROWS);
    ids
}

/// Walks through all rows; gives how often each was seen. What is read comes in the order, over all pages.
async fn walk(client: &Client, order: &str, is_backward: bool) -> HashMap<usize, usize> {
    let (count, from, more, end) = match is_backward {
        false => ("first", "after", "hasNextPage", "endCursor"),
        true => ("last", "before", "hasPreviousPage", "startCursor"),
    };
    let query = format!(
        "query($cursor: String) {{ items(orderBy: {order}, {count}: {PAGE}, {from}: $cursor) {{
            nodes {{ number rank }} pageInfo {{ {more} {end} }} }} }}"
    );
    let is_descending = order.contains("DESC") != is_backward;
    let mut seen = HashMap::new();
    let (mut cursor, mut last) = (Value::Null, None::<Option<i64>>);
    loop {
        let page = client.data(&query, json!({"cursor": cursor})).await;
        let page = &page["items"];
        let mut nodes: Vec<&Value> = page["nodes"].as_array().expect("a connection has nodes").iter().collect();
        if is_backward {
            nodes.reverse();
        }
        for node in nodes {
            let rank = node["rank"].as_i64();
            let follows = last.is_none_or(|last| if is_descending { rank <= last } else { last <= rank });
            assert!(follows, "{rank:?} follows {last:?} by {order}, backwards: {is_backward}");
            last = Some(rank);
            *seen.entry(number(&node["number"]) as usize).or_default() += 1;
        }
        if page["pageInfo"][more] != json!(true) {
            return seen;
        }
        cursor = page["pageInfo"][end].clone();
    }
}
