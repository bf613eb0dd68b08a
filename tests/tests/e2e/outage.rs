//! The database cannot be reached for a while: clients stay connected, are told, and miss nothing.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_tests::client::text;
use tandem_tests::shop::{self, CREATE_PRODUCT, add_product};
use tandem_tests::{Backend, Caller, Case, Proxy, case, wait};

const FOLLOW: &str = "subscription($after: String) { productChanged(after: $after) { after { sku } } }";

// SQLite has no network that could be cut.
#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_and_miss_nothing() {
    case::run(Backend::Postgres, outage).await;
}

async fn outage(case: &Case) {
    let proxy = Proxy::start(case.database_url()).await;
    let url = proxy.url(case.database_url());
    let server = case.start(case.settings().with("--database-url", &url).with("--live-keepalive", "1s")).await;
    let admin = server.client(&Caller::admin());
    let variables = json!({"after": shop::now(&admin).await});
    let mut socket = server.live(&Caller::anonymous()).await.following(FOLLOW, variables.clone()).await;
    let mut stream = server.events(&Caller::anonymous(), FOLLOW, variables, None).await;
    add_product(&admin, "BEFORE").await;
    assert_eq!(sku(&socket.event().await.change), "BEFORE");
    assert_eq!(sku(&stream.event().await.change), "BEFORE");

    proxy.cut();
    assert!(socket.staleness().await);
    assert!(stream.comment().await.starts_with("stale since 20"));
    let reasons = wait::until("the server is not ready", async || {
        let answer = reqwest::get(server.url("/readyz")).await.ok()?;
        (answer.status() == 503).then_some(answer.json::<Value>().await.ok()?)
    });
    assert_eq!(reasons.await["reasons"][0]["part"], "database");

    proxy.restore();
    while socket.staleness().await {}
    while stream.comment().await != "not stale" {}
    wait::until("the server is ready again", async || {
        (reqwest::get(server.url("/readyz")).await.ok()?.status() == 200).then_some(())
    })
    .await;
    // The first writes may find that the connection of the writer is gone.
    wait::until("a product is written again", async || {
        let answer = admin.send(CREATE_PRODUCT, json!({"input": shop::product("AFTER")})).await.ok()?;
        answer["data"]["createProduct"]["product"]["id"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(sku(&socket.event().await.change), "AFTER");
    assert_eq!(sku(&stream.event().await.change), "AFTER");
    let nothing = tokio::time::timeout(Duration::from_millis(100), stream.event()).await;
    assert!(nothing.is_err(), "an event came twice: {nothing:?}");
}

fn sku(change: &Value) -> String {
    text(&change["after"]["sku"])
}
