//! Two nodes on one PostgreSQL database, of which one sends for a webhook at a time.

use serde_json::json;
use tandem_tests::client::number;
use tandem_tests::receiver::{Answer, register};
use tandem_tests::shop::add_product;
use tandem_tests::{Backend, Caller, Case, Receiver, case, wait};

use super::{DELIVERIES, QUERY};

const MAX_IN_FLIGHT: usize = 4;
const EVENTS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stood_still_sends_nothing_that_another_one_has_taken_over() {
    case::run(Backend::Postgres, stood_still).await;
}

async fn stood_still(case: &Case) {
    let mut first = case.server().await;
    let admin = first.client(&Caller::admin());
    // The answers come while it stands still, so that it has room for more when it goes on.
    let receiver = Receiver::behaving(|_| Answer::OK.after_ms(1_500)).await;
    let input = json!({"url": receiver.url(), "query": QUERY, "maxInFlight": MAX_IN_FLIGHT});
    let (webhook, _) = register(&admin, input).await;
    for number in 0..EVENTS {
        add_product(&admin, &format!("SKU-{number}")).await;
    }
    let begun = receiver.requests(MAX_IN_FLIGHT).await;
    first.pause().await;
    receiver.behave(|_| Answer::OK);

    let second = case.server().await;
    let admin = second.client(&Caller::admin());
    wait::until("the other one has sent everything", async || {
        let data = admin.data(DELIVERIES, json!({"id": webhook})).await;
        (number(&data["webhook"]["lag"]) == 0).then_some(())
    })
    .await;
    let sent = receiver.count();
    assert_eq!(sent, begun.len() + EVENTS, "what was in flight comes again, the rest once");

    first.resume().await;
    add_product(&admin, "SKU-LAST").await;
    receiver.requests(sent + 1).await;
    // Whatever it still wants to send, it has sent when it has ended.
    assert!(first.stop().await.success());
    assert_eq!(receiver.count(), sent + 1, "it sends nothing more");
    receiver.assert_stable();
}
