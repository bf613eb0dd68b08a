//! The load tool against the server, in a size for every day. In full size: `cargo xtask bench disconnects`, `replicas` and
//! `fuzz`, whose defaults are 1,000 disconnects and 20 kills, 2,000 replicas, and five minutes.

use serde_json::json;
use tandem_tests::tool::{tool, try_out};
use tandem_tests::{Caller, Case, on_both, seed, shop};

on_both!(
    disconnects_and_kills_lose_nothing,
    replicas_are_the_database,
    many_clients_of_every_kind_see_the_same,
    garbage_does_no_harm,
);

async fn disconnects_and_kills_lose_nothing(case: &Case) {
    let seed = seed().to_string();
    let size = ["--disconnects", "150", "--kills", "4", "--rate", "200", "--followers", "8"];
    let printed = try_out(case.backend, &[&["disconnects", "--seed", &seed][..], &size].concat()).await;
    assert!(printed.contains("duplicates"), "it has done something: {printed}");
}

async fn replicas_are_the_database(case: &Case) {
    let seed = seed().to_string();
    let printed = try_out(case.backend, &["replicas", "--replicas", "60", "--seed", &seed]).await;
    assert!(printed.contains("events applied"), "it has done something: {printed}");
}

/// Both transports, several subscriptions to a socket, slow ones, and such that come and go.
async fn many_clients_of_every_kind_see_the_same(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let start = shop::now(&admin).await;
    let mut command = tool();
    command.args(["follow", "--address", &server.address().to_string(), "--after", &start, "--gapless"]);
    command.args(["--transport", "both", "--connections", "12", "--subscriptions", "3", "--seconds", "4"]);
    command.args(["--lifetime", "40", "--slow", "2", "--pause-ms", "300", "--seed", &seed().to_string()]);
    command.env("TANDEM_TOKEN", Caller::admin().token().expect("an admin has a token"));
    let following = command.spawn().expect("the tool can be run").wait_with_output();
    let mut following = std::pin::pin!(following);
    let mut number = 0;
    let output = loop {
        number += 1;
        let sku = format!("SKU-{number}");
        tokio::select! {
            output = &mut following => break output.expect("the tool ends"),
            _ = admin.done(shop::CREATE_PRODUCT, shop::product(&sku)) => {}
        }
    };
    let [printed, said] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{printed}\n{said}");
    let row = printed.lines().last().expect("a table");
    let deliveries = row.split_whitespace().next().map(|count| count.replace(',', ""));
    let deliveries: u64 = deliveries.and_then(|count| count.parse().ok()).expect("a number of deliveries");
    assert!(deliveries > 100, "events arrived: {printed}");
    let log = admin.data("{ changes(first: 1) { nodes { position } } }", json!({})).await;
    assert_eq!(log["changes"]["nodes"][0]["position"], json!("1"));
}

async fn garbage_does_no_harm(case: &Case) {
    let seed = seed().to_string();
    let printed = try_out(case.backend, &["fuzz", "--seconds", "8", "--seed", &seed]).await;
    assert!(printed.contains("subscriptions"), "it has done something: {printed}");
}
