//! Resuming: a subscriber that loses its connection again and again sees every event exactly once, in order.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tandem_tests::client::number;
use tandem_tests::shop::{self, CREATE_PRODUCT, UPDATE_PRODUCT};
use tandem_tests::{Caller, Case, Client, Server, on_both, seed};

const CHANGES: &str = "subscription($after: String) { changes(after: $after) { position id nodeId version } }";
const PRODUCTS: &str = "subscription($after: String) { productChanged(after: $after) { position id nodeId version } }";
const WRITERS: usize = 4;
const WRITES_EACH: usize = 250;

on_both!(
    every_position_arrives_once_and_in_order,
    a_cursor_of_the_log_continues_a_subscription,
    a_cursor_outlives_the_server,
);

async fn every_position_arrives_once_and_in_order(case: &Case) {
    let server = Arc::new(case.server().await);
    let admin = server.client(&Caller::admin());
    let seed = seed();
    let start = shop::now(&admin).await;
    let last = (WRITERS * WRITES_EACH) as i64;
    let subscribers = [CHANGES, PRODUCTS, CHANGES].into_iter().zip(seed..).map(|(query, seed)| {
        let dice = StdRng::seed_from_u64(seed);
        tokio::spawn(follow_with_interruptions(server.clone(), query, start.clone(), last, dice))
    });
    let subscribers: Vec<_> = subscribers.collect();
    let writers = (0..WRITERS).map(|writer| tokio::spawn(write(admin.clone(), writer)));
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("every write succeeds");
    }
    for subscriber in subscribers {
        let interruptions = subscriber.await.expect("the subscriber sees what it should");
        assert!(interruptions > 3, "the subscriber was interrupted: {interruptions} times");
    }
}

async fn write(admin: Client, writer: usize) {
    let product = shop::product(&format!("W{writer}-0"));
    let row = admin.done(CREATE_PRODUCT, product).await["product"]["id"].take();
    for write in 1..WRITES_EACH {
        if write % 3 == 0 {
            admin.done(CREATE_PRODUCT, shop::product(&format!("W{writer}-{write}"))).await;
        } else {
            admin.done(UPDATE_PRODUCT, json!({"id": row, "patch": {"stock": write}})).await;
        }
    }
}

/// Follows the log to its last position, dropping the connection after a random number of events each time.
async fn follow_with_interruptions(
    server: Arc<Server>,
    query: &str,
    start: String,
    last: i64,
    mut dice: StdRng,
) -> usize {
    let mut cursor = start;
    let mut seen = 0;
    for interruptions in 0.. {
        let mut live = server.live(&Caller::admin()).await.following(query, json!({"after": cursor})).await;
        for _ in 0..dice.random_range(0..120) {
            let event = live.event().await;
            seen += 1;
            assert_eq!(number(&event.change["position"]), seen, "exactly once and in order");
            cursor = event.cursor;
            if seen == last {
                return interruptions;
            }
        }
        // Dropped here: what the server has sent and nobody has read is lost with the connection.
    }
    unreachable!("the loop has no end of its own")
}

async fn a_cursor_of_the_log_continues_a_subscription(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    for number in 0..5 {
        shop::add_product(&admin, &format!("SKU-{number}")).await;
    }
    let log = shop::log(&admin).await;
    for entry in &log[..4] {
        let mut live = server.live(&Caller::admin()).await.following(CHANGES, json!({"after": entry.cursor})).await;
        let event = live.event().await;
        assert_eq!(number(&event.change["position"]), entry.position + 1);
        assert_eq!(event.cursor, log[entry.position as usize].cursor, "the log and the subscription have one cursor");
    }
}

async fn a_cursor_outlives_the_server(case: &Case) {
    let mut server = case.server().await;
    let admin = server.client(&Caller::admin());
    shop::add_product(&admin, "SKU-1").await;
    let cursor = shop::now(&admin).await;
    shop::add_product(&admin, "SKU-2").await;
    server.kill9().await;
    server.restart().await;
    let admin = server.client(&Caller::admin());
    let variables = json!({"after": cursor});
    let mut live = server.live(&Caller::admin()).await.following(CHANGES, variables.clone()).await;
    assert_eq!(number(&live.event().await.change["position"]), 2);
    shop::add_product(&admin, "SKU-3").await;
    assert_eq!(number(&live.event().await.change["position"]), 3);
    let page = admin.data("query($after: String) { changes(after: $after) { nodes { position } } }", variables).await;
    let positions: Vec<i64> = nodes(&page["changes"]).map(|node| number(&node["position"])).collect();
    assert_eq!(positions, [2, 3]);
}

fn nodes(connection: &Value) -> impl Iterator<Item = &Value> {
    connection["nodes"].as_array().into_iter().flatten()
}
