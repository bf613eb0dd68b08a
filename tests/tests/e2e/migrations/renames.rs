//! What had another name keeps its data, its ids, its events and its webhooks.

use serde_json::{Value, json};
use tandem_tests::receiver::{Receiver, register};
use tandem_tests::{Caller, Case, Client, on_both};

use super::{create, start, update};
use crate::webhooks::webhook_is;

on_both!(a_renamed_type_keeps_rows_and_events, webhooks_follow_a_rename);

const BEFORE: &str = r#"
enum Mood { GOOD BAD }
type Item @resource {
  title: String! @unique
  number: BigInt! @default(sequence: true)
  mood: Mood! @default(value: BAD)
  lines: [Line!]! @inverse(field: "item")
}
type Line @resource { item: Item! @relation(onDelete: CASCADE) size: Int! }
"#;
const AFTER: &str = r#"
enum Mood { GOOD POOR @renamedFrom(name: "BAD") }
type Thing @resource @renamedFrom(name: "Item") {
  name: String! @unique @renamedFrom(name: "title")
  count: BigInt! @default(sequence: true) @renamedFrom(name: "number")
  mood: Mood! @default(value: POOR)
  lines: [Line!]! @inverse(field: "thing")
}
type Line @resource { thing: Thing! @relation(onDelete: CASCADE) @renamedFrom(name: "item") size: Int! }
"#;

const CHANGES: &str = "{ changes(first: 100) { nodes { type kind nodeId changedFields
    ... on ThingChange { after { id name count mood } before { name count mood } }
    ... on LineChange { after { size thing { id name count mood } } before { size thingId } } } } }";

/// The file after a while, when nobody needs the old names any more.
fn without_directives() -> String {
    AFTER.lines().map(strip).collect::<Vec<_>>().join("\n")
}

fn strip(line: &str) -> String {
    let mut line = line.to_owned();
    while let Some(start) = line.find("@renamedFrom") {
        let end = start + line[start..].find(')').expect("a directive ends") + 1;
        line.replace_range(start..end, "");
    }
    line
}

async fn log(client: &Client) -> Vec<Value> {
    client.data(CHANGES, json!({})).await["changes"]["nodes"].as_array().cloned().expect("nodes")
}

async fn a_renamed_type_keeps_rows_and_events(case: &Case) {
    let mut server = start(case, BEFORE).await;
    let admin = server.client(&Caller::admin());
    let item = create(&admin, "Item", json!({"title": "one"})).await;
    create(&admin, "Line", json!({"itemId": item, "size": 1})).await;
    update(&admin, "Item", &item, json!({"title": "two", "mood": "GOOD"})).await;
    server.stop().await;

    let thing = item.replace("item_", "thing_");
    for file in [AFTER, AFTER, &without_directives()] {
        let mut server = start(case, file).await;
        let admin = server.client(&Caller::admin());
        let seen = log(&admin).await;
        assert_eq!(
            seen[..3],
            [
                json!({"type": "Thing", "kind": "CREATED", "nodeId": thing, "changedFields": ["name", "count", "mood"],
                       "after": {"id": thing, "name": "one", "count": "1", "mood": "POOR"}, "before": null}),
                json!({"type": "Line", "kind": "CREATED", "nodeId": seen[1]["nodeId"], "changedFields": ["thing", "size"],
                       "after": {"size": 1, "thing": {"id": thing, "name": "one", "count": "1", "mood": "POOR"}}, "before": null}),
                json!({"type": "Thing", "kind": "UPDATED", "nodeId": thing, "changedFields": ["name", "mood"],
                       "after": {"id": thing, "name": "two", "count": "1", "mood": "GOOD"},
                       "before": {"name": "one", "count": "1", "mood": "POOR"}}),
            ],
            "older events are told in the words of now"
        );
        // The key and the counter are there as well.
        let read = "query($by: ThingBy!) { thing(by: $by) { id name lines { nodes { size } } } }";
        let found = admin.data(read, json!({"by": {"name": "two"}})).await;
        assert_eq!(found["thing"], json!({"id": thing, "name": "two", "lines": {"nodes": [{"size": 1}]}}));
        let by_old_id = admin.data(read, json!({"by": {"id": item}})).await;
        let is_known = file == AFTER;
        assert_eq!(by_old_id["thing"]["name"], if is_known { json!("two") } else { Value::Null });
        let next = create(&admin, "Thing", json!({"name": format!("new {}", seen.len())})).await;
        let number = admin.data("query($id: ID!) { thing(by: {id: $id}) { count } }", json!({"id": next})).await;
        assert_eq!(number["thing"]["count"], json!((seen.len() - 1).to_string()), "the counter goes on");
        server.stop().await;
    }
}

async fn webhooks_follow_a_rename(case: &Case) {
    let mut server = start(case, BEFORE).await;
    let admin = server.client(&Caller::admin());
    let receiver = Receiver::start().await;
    let (short, _) = register(&admin, json!({"url": receiver.url(), "events": ["item.*"]})).await;
    let query = "subscription { itemChanged { nodeId } }";
    let (long, _) = register(&admin, json!({"url": receiver.url(), "query": query})).await;
    create(&admin, "Item", json!({"title": "one"})).await;
    receiver.requests(2).await;
    server.stop().await;

    let mut server = start(case, AFTER).await;
    let admin = server.client(&Caller::admin());
    let disabled = webhook_is(&admin, &long, "DISABLED").await;
    let reason = disabled["statusReason"].as_str().expect("there is a reason");
    assert!(reason.contains("itemChanged"), "{reason}");
    create(&admin, "Thing", json!({"name": "two"})).await;
    let received = receiver.requests(3).await;
    assert_eq!(received[2].json["type"], "thing.created");
    let after = &received[2].json["data"]["changes"]["after"];
    assert_eq!((&after["name"], &after["count"]), (&json!("two"), &json!("2")));
    let read = "query($id: ID!) { webhook(id: $id) { status events query } }";
    let webhook = admin.data(read, json!({"id": short})).await["webhook"].clone();
    assert_eq!((&webhook["status"], &webhook["events"]), (&json!("ENABLED"), &json!(["thing.*"])));
    assert!(webhook["query"].as_str().is_some_and(|query| query.contains("ThingChange")), "{webhook}");

    // Its owner gives the other one a document that is valid again: it has kept its place.
    let mutation = "mutation($input: UpdateWebhookInput!) { updateWebhook(input: $input) { userErrors { message } } }";
    let query = "subscription { thingChanged { nodeId after { name } } }";
    admin.done(mutation, json!({"id": long, "query": query, "status": "ENABLED"})).await;
    let received = receiver.requests(4).await;
    assert_eq!(received[3].json["data"]["thingChanged"]["after"]["name"], "two");
    assert_eq!(received[3].sequence(), 2);
    server.stop().await;

    let server = start(case, &without_directives()).await;
    create(&server.client(&Caller::admin()), "Thing", json!({"name": "three"})).await;
    receiver.requests(6).await;
}
