//! Receivers that mean harm: what they can cost is their own slots, until the deadline.
//!
//! `TANDEM_TEST_HOSTILE_CONNECTIONS` says how many of each kind there are at once. What they cost in memory and in the patience
//! of others, and how long slots are held, is measured by `cargo xtask bench hostile`.

use serde_json::{Value, json};
use tandem_tests::client::number;
use tandem_tests::receiver::register;
use tandem_tests::shop::add_product;
use tandem_tests::tool::tool;
use tandem_tests::wait::in_time;
use tandem_tests::{Caller, Case, Client, Receiver, on_both, wait};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use super::{DELIVERIES, QUERY};

on_both!(hostile_receivers_cost_only_their_own_slots);

const CONNECTIONS: usize = 6;
/// How much memory all of them may cost.
const MAX_GROWTH_BYTES: u64 = 32 << 20;

fn connections() -> usize {
    std::env::var("TANDEM_TEST_HOSTILE_CONNECTIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(CONNECTIONS)
}

/// What is to become of a delivery to a receiver of each kind: a 2xx status is success, whatever becomes of the body; a head
/// that is too long is no answer.
const OUTCOMES: [(&str, &str, Option<&str>); 9] = [
    ("hang", "FAILED", Some("TIMEOUT")),
    ("slow-head", "FAILED", Some("TIMEOUT")),
    ("tls-stall", "FAILED", Some("TIMEOUT")),
    ("redirect", "FAILED", Some("REDIRECT")),
    ("slow-body", "SUCCEEDED", None),
    ("endless-body", "SUCCEEDED", None),
    ("bomb", "SUCCEEDED", None),
    ("reset", "SUCCEEDED", None),
    ("long-head", "FAILED", Some("PROTOCOL")),
];

/// Receivers that do harm, in a process of their own, and their URLs by kinds of harm.
async fn hostile_receivers(canary: &str) -> (Child, Value) {
    let mut process = tool().args(["hostile-receivers", "--location", canary]).spawn().expect("the tool can be run");
    let output = process.stdout.take().expect("its output is piped");
    let line = in_time("they listen", BufReader::new(output).lines().next_line()).await.expect("it prints text");
    let urls = serde_json::from_str(&line.expect("it prints a line")).expect("the line is JSON");
    (process, urls)
}

async fn hostile_receivers_cost_only_their_own_slots(case: &Case) {
    let connections = connections();
    let settings = case.settings().with("--webhook-timeout", "2s").with("--webhook-retry-schedule", "0s");
    let server = case.start(settings).await;
    let admin = server.client(&Caller::admin());
    let (healthy, canary) = (Receiver::start().await, Receiver::start().await);
    register(&admin, json!({"url": healthy.url(), "query": QUERY})).await;
    let (_process, urls) = hostile_receivers(&canary.url()).await;
    let mut hostile = Vec::new();
    for outcome in OUTCOMES {
        let input = json!({"url": urls[outcome.0], "query": QUERY, "maxInFlight": connections.min(256)});
        let (id, _) = register(&admin, input).await;
        hostile.push((outcome, id));
    }
    add_product(&admin, "SKU-0").await;
    healthy.requests(1).await;
    let before = server.resident_bytes();

    for number in 1..=connections {
        add_product(&admin, &format!("SKU-{number}")).await;
    }
    // The healthy one has everything while the others still hold what they have got.
    healthy.requests(connections + 1).await;
    let growth = server.resident_bytes().saturating_sub(before);
    for (outcome, id) in &hostile {
        until_done(&admin, *outcome, id, connections + 1).await;
    }
    let growth = growth.max(server.resident_bytes().saturating_sub(before));
    assert!(growth <= MAX_GROWTH_BYTES, "they cost {growth} bytes");
    assert_eq!(canary.count(), 0, "nobody was sent where a receiver wanted");
    // Slots are free again: what comes now comes at once.
    add_product(&admin, "SKU-LAST").await;
    healthy.requests(connections + 2).await;
}

/// Waits until all deliveries have ended as they must.
async fn until_done(admin: &Client, (harm, status, code): (&str, &str, Option<&str>), webhook: &str, count: usize) {
    // After ten failures in a row the breaker lets probes through alone.
    let (enough, may_lag) = if code.is_some() { (count.min(10), true) } else { (count.min(100), false) };
    let nodes = wait::until(&format!("{harm} has had {count} deliveries"), async || {
        let data = admin.data(DELIVERIES, json!({"id": webhook})).await;
        let nodes = data["webhook"]["deliveries"]["nodes"].as_array()?.clone();
        (nodes.len() >= enough && (may_lag || number(&data["webhook"]["lag"]) == 0)).then_some(nodes)
    })
    .await;
    for delivery in nodes {
        let attempt = &delivery["attempts"][0];
        assert_eq!(delivery["status"], json!(status), "{harm}: {attempt}");
        assert_eq!(attempt["error"]["code"].as_str(), code, "{harm}: {attempt}");
        let kept = attempt["responseBody"].as_str().unwrap_or_default().len();
        assert!(kept <= 16 * 1024, "{harm}: {kept} bytes of the answer are kept");
        assert_ne!(attempt["address"], Value::String(String::new()));
    }
}
