//! kill -9 while ten webhooks send, one of them slow: what was accepted and recorded is not sent again, everything else is.
//!
//! `TANDEM_TEST_WEBHOOK_KILLS` says how many rounds there are.

use std::collections::{HashMap, HashSet};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sea_orm::{ConnectionTrait, Database, DatabaseBackend, Statement};
use serde_json::json;
use tandem_tests::client::{text, user_errors};
use tandem_tests::receiver::{Answer, register};
use tandem_tests::shop::{CREATE_PRODUCT, product};
use tandem_tests::{Backend, Caller, Case, Client, Receiver, on_both, seed};

use super::QUERY;

on_both!(kills_repeat_only_what_was_not_recorded);

const KILLS: usize = 8;
const WEBHOOKS: usize = 10;
const MAX_IN_FLIGHT: usize = 8;

fn kills() -> usize {
    std::env::var("TANDEM_TEST_WEBHOOK_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS)
}

async fn kills_repeat_only_what_was_not_recorded(case: &Case) {
    let mut dice = StdRng::seed_from_u64(seed());
    let mut server = case.server().await;
    let mut admin = server.client(&Caller::admin());
    let mut receivers = Vec::new();
    for number in 0..WEBHOOKS {
        let receiver = match number {
            0 => Receiver::behaving(|count| Answer::OK.after_ms(50 + count as u64 % 100)).await,
            _ => Receiver::start().await,
        };
        let input = json!({"url": receiver.url(), "query": QUERY, "maxInFlight": MAX_IN_FLIGHT});
        let (_, secret) = register(&admin, input).await;
        receivers.push((receiver, secret));
    }
    let (mut written, mut recorded) = (HashSet::new(), HashSet::new());
    let mut seen = [0; WEBHOOKS];
    for round in 0..kills() {
        let (receiver, _) = &receivers[dice.random_range(1..WEBHOOKS)];
        let (count, before) = (dice.random_range(1..40), receiver.count());
        for number in 0..count {
            written.insert(create(&admin, &format!("R{round}-{number}")).await);
        }
        create_refused(&admin, &format!("NEVER-{round}")).await;
        // Any moment: before the first of them is sent, while they are, while they are recorded.
        receiver.requests(before + dice.random_range(0..=count)).await;
        server.kill9().await;
        for (number, (receiver, _)) in receivers.iter().enumerate() {
            let received = receiver.received();
            let again: Vec<_> =
                received[seen[number]..].iter().filter(|r| recorded.contains(&(number, r.id.clone()))).collect();
            assert!(again.is_empty(), "webhook {number} got {} again after it was recorded", again[0].id);
            seen[number] = received.len();
        }
        recorded = succeeded(case, &receivers).await;
        server.restart().await;
        admin = server.client(&Caller::admin());
    }
    for (receiver, secret) in &receivers {
        receiver
            .until("everything arrives", |received| {
                let ids: HashSet<_> = received.iter().map(|request| &request.id).collect();
                written.iter().all(|id| ids.contains(id))
            })
            .await;
        receiver.assert_signed(secret);
        receiver.assert_stable();
        let mut times: HashMap<String, usize> = HashMap::new();
        for request in receiver.received() {
            assert!(written.contains(&request.id), "{} was sent and never written", request.id);
            *times.entry(request.id).or_default() += 1;
        }
        let repeated: usize = times.values().map(|count| count - 1).sum();
        // In flight, or answered in the moment of the kill.
        let most = kills() * (MAX_IN_FLIGHT + 40);
        assert!(repeated <= most, "{repeated} were sent again in {} kills", kills());
    }
}

async fn create(admin: &Client, name: &str) -> String {
    let payload = admin.done(CREATE_PRODUCT, product(name)).await;
    text(&payload["change"]["id"])
}

/// A mutation that is rolled back: nobody may ever hear of it.
async fn create_refused(admin: &Client, name: &str) {
    let mut input = product(name);
    input["price"] = json!("-1.00");
    let data = admin.data(CREATE_PRODUCT, json!({"input": input})).await;
    assert_eq!(user_errors(&data["createProduct"]).len(), 1);
}

/// The messages that are recorded as accepted, by the number of their webhook.
async fn succeeded(case: &Case, receivers: &[(Receiver, String)]) -> HashSet<(usize, String)> {
    let database = Database::connect(case.database_url()).await.expect("nobody else has it open");
    let backend = match case.backend {
        Backend::Sqlite => DatabaseBackend::Sqlite,
        Backend::Postgres => DatabaseBackend::Postgres,
    };
    let sql = "SELECT w.url, d.sequence FROM tandem_delivery AS d JOIN tandem_webhook AS w ON w.id = d.webhook_id \
               WHERE d.status = 'SUCCEEDED'";
    let rows = database.query_all_raw(Statement::from_string(backend, sql)).await.expect("the tables are there");
    let mut found = HashSet::new();
    for row in rows {
        let url: String = row.try_get_by_index(0).expect("a text");
        let sequence: i64 = row.try_get_by_index(1).expect("a number");
        let number = receivers.iter().position(|(receiver, _)| receiver.url() == url).expect("it is one of ours");
        let received = receivers[number].0.received();
        let request = received.iter().find(|request| request.sequence() == sequence).expect("it was sent");
        found.insert((number, request.id.clone()));
    }
    database.close().await.expect("a connection without open work closes");
    found
}
