//! Pull meets push: a snapshot, and the subscription from its `asOf`, are the database.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tandem_tests::client::text;
use tandem_tests::shop::{self, CREATE_PRODUCT, DELETE_PRODUCT, UPDATE_PRODUCT};
use tandem_tests::{Caller, Case, Client, Server, on_both, seed};

const WRITERS: usize = 4;
const WRITES_EACH: usize = 200;
const REPLICAS: usize = 6;
/// The last write of all; it matches every filter here.
const LAST_SKU: &str = "ZZZ-LAST";

on_both!(a_replica_equals_the_database, a_filtered_replica_equals_the_filtered_database);

async fn a_replica_equals_the_database(case: &Case) {
    let server = replicas_under_load(case, json!({})).await;
    drop(server);
}

async fn a_filtered_replica_equals_the_filtered_database(case: &Case) {
    let filter = json!({"or": [{"stock": {"gte": 50}}, {"tags": {"has": "always"}}]});
    let server = replicas_under_load(case, filter).await;
    drop(server);
}

async fn replicas_under_load(case: &Case, filter: Value) -> Arc<Server> {
    let server = Arc::new(case.server().await);
    let admin = server.client(&Caller::admin());
    let seed = seed();
    let writers = (0..WRITERS).map(|number| {
        let dice = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
        tokio::spawn(write(admin.clone(), number, dice))
    });
    let writers: Vec<_> = writers.collect();
    let mut replicas = Vec::new();
    for number in 0..REPLICAS {
        // Each begins somewhere else in the load.
        wait_for_rows(&admin, number * 15).await;
        replicas.push(tokio::spawn(Replica::follow(server.clone(), filter.clone())));
    }
    for writer in writers {
        writer.await.expect("every write succeeds");
    }
    let mut last = shop::product(LAST_SKU);
    last["tags"] = json!(["always"]);
    last["stock"] = json!(99);
    admin.done(CREATE_PRODUCT, last).await;

    let snapshot = Replica::snapshot(&admin, &filter).await;
    let stored = stored(case).await;
    for replica in replicas {
        let replica = replica.await.expect("the replica sees what it should");
        assert!(replica.events > 0);
        assert_eq!(replica.rows, snapshot.rows, "the replica is what the query shows");
    }
    let shown: BTreeMap<String, (i64, i64)> = snapshot.rows.values().map(sku_stock_version).collect();
    let expected = stored.into_iter().filter(|(_, (stock, _))| filter == json!({}) || *stock >= 50);
    assert_eq!(shown, expected.collect::<BTreeMap<_, _>>(), "and what the table holds");
    server
}

/// Creates, changes and removes rows of its own; the stock goes up and down through the filter's limit.
async fn write(admin: Client, writer: usize, mut dice: StdRng) {
    let mut rows: Vec<String> = Vec::new();
    for write in 0..WRITES_EACH {
        let stock = dice.random_range(0..100);
        let row = (!rows.is_empty()).then(|| dice.random_range(0..rows.len()));
        match (dice.random_range(0..10), row) {
            (0..5, Some(row)) => {
                admin.done(UPDATE_PRODUCT, json!({"id": rows[row], "patch": {"stock": stock}})).await;
            }
            (5, Some(row)) => {
                admin.done(DELETE_PRODUCT, json!({"id": rows.swap_remove(row)})).await;
            }
            _ => {
                let mut input = shop::product(&format!("W{writer}-{write}"));
                input["stock"] = json!(stock);
                rows.push(text(&admin.done(CREATE_PRODUCT, input).await["product"]["id"]));
            }
        }
    }
}

async fn wait_for_rows(admin: &Client, count: usize) {
    tandem_tests::wait::until("the load goes on", async || {
        let data = admin.data("{ changes(first: 1000) { nodes { id } } }", json!({})).await;
        let written = data["changes"]["nodes"].as_array().map_or(0, Vec::len);
        (written >= count).then_some(())
    })
    .await;
}

/// The table, read past the server.
async fn stored(case: &Case) -> BTreeMap<String, (i64, i64)> {
    let database = case.database().await;
    let statement = Statement::from_string(database.get_database_backend(), "SELECT sku, stock, version FROM product");
    let rows = database.query_all_raw(statement).await.expect("the table of products can be read");
    let mut stored = BTreeMap::new();
    for row in rows {
        let number = |column| i64::from(row.try_get::<i32>("", column).expect("a 32-bit number"));
        stored.insert(row.try_get("", "sku").expect("text"), (number("stock"), number("version")));
    }
    stored
}

fn sku_stock_version(row: &Value) -> (String, (i64, i64)) {
    let number = |name: &str| row[name].as_i64().expect("an Int");
    (text(&row["sku"]), (number("stock"), number("version")))
}

/// A client's copy of the products that match a filter.
struct Replica {
    rows: BTreeMap<String, Value>,
    cursor: String,
    events: usize,
}

impl Replica {
    async fn snapshot(client: &Client, filter: &Value) -> Self {
        let query = "query($filter: ProductFilter) { products(first: 1000, filter: $filter) {
            asOf pageInfo { hasNextPage } nodes { id sku name price stock tags version updatedAt } } }";
        let data = client.data(query, json!({"filter": filter})).await;
        let products = &data["products"];
        assert_eq!(products["pageInfo"]["hasNextPage"], json!(false), "the snapshot is one page, so one moment");
        let nodes = products["nodes"].as_array().into_iter().flatten();
        let rows = nodes.map(|node| (text(&node["id"]), node.clone())).collect();
        Self { rows, cursor: text(&products["asOf"]), events: 0 }
    }

    async fn follow(server: Arc<Server>, filter: Value) -> Self {
        let mut replica = Self::snapshot(&server.client(&Caller::admin()), &filter).await;
        let query =
            "subscription($filter: ProductFilter, $after: String) { productChanged(filter: $filter, after: $after) {
            kind transition nodeId after { id sku name price stock tags version updatedAt } } }";
        let variables = json!({"filter": filter, "after": replica.cursor});
        let mut live = server.live(&Caller::admin()).await.following(query, variables).await;
        loop {
            let event = live.event().await;
            replica.apply(&event.change);
            if event.change["after"]["sku"] == json!(LAST_SKU) {
                return replica;
            }
        }
    }

    /// What a client list does: LEFT or DELETED removes, anything else puts `after`.
    fn apply(&mut self, change: &Value) {
        self.events += 1;
        let id = text(&change["nodeId"]);
        let known = self.rows.contains_key(&id);
        let gone = change["transition"] == json!("LEFT") || change["kind"] == json!("DELETED");
        assert_eq!(
            change["transition"] != json!("ENTERED"),
            known,
            "the transition fits what the client has: {change}"
        );
        if gone {
            self.rows.remove(&id);
        } else {
            self.rows.insert(id, change["after"].clone());
        }
    }
}
