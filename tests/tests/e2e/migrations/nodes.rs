//! Several nodes on one PostgreSQL database, while the resource file changes.

use serde_json::json;
use tandem_tests::{Backend, Caller, case, wait};

use super::{create, start, with};

const BEFORE: &str = "type Item @resource { name: String! }";
const AFTER: &str = r#"type Item @resource @index(fields: ["name"]) {
    name: String!  count: Int! @default(value: 7)  number: Int! @default(sequence: true) @unique  note: String
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_change_the_tables_once() {
    case::run(Backend::Postgres, async |case| {
        let mut server = start(case, BEFORE).await;
        let admin = server.client(&Caller::admin());
        for name in ["one", "two", "three"] {
            create(&admin, "Item", json!({"name": name})).await;
        }
        server.stop().await;
        let settings = with(case, AFTER);
        let (one, two, three) =
            tokio::join!(case.start(settings.clone()), case.start(settings.clone()), case.start(settings.clone()));
        for server in [&one, &two, &three] {
            let admin = server.client(&Caller::admin());
            create(&admin, "Item", json!({"name": "more"})).await;
            let items = admin.data("{ items(orderBy: [{number: ASC}]) { nodes { name number } } }", json!({})).await;
            let nodes = items["items"]["nodes"].as_array().expect("nodes").clone();
            assert_eq!(nodes[..3].iter().map(|n| &n["name"]).collect::<Vec<_>>(), ["one", "two", "three"]);
            let numbers: Vec<_> = nodes.iter().filter_map(|node| node["number"].as_i64()).collect();
            assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_the_older_file_goes_on_beside_a_new_one() {
    case::run(Backend::Postgres, async |case| {
        let old = start(case, BEFORE).await;
        let wider = "type Item @resource { name: String!  count: Int! @default(value: 7)  note: String }";
        let new = start(case, wider).await;
        let id = create(&old.client(&Caller::admin()), "Item", json!({"name": "of the older node"})).await;
        let admin = new.client(&Caller::admin());
        let row = admin.data("query($id: ID!) { item(by: {id: $id}) { name count note } }", json!({"id": id})).await;
        assert_eq!(row["item"], json!({"name": "of the older node", "count": 7, "note": null}));
        let event = wait::until("the event of the older node is seen", async || {
            let query = "{ changes(first: 10) { nodes { ... on ItemChange { after { name count note } } } } }";
            admin.data(query, json!({})).await["changes"]["nodes"].as_array()?.first().cloned()
        })
        .await;
        assert_eq!(event["after"], row["item"], "the event says what the row got");
    })
    .await;
}
