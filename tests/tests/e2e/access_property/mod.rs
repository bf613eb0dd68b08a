//! Access as a property: for random rules, callers and writes, the rows that a query shows are the rows that replaying
//! the events gives, from a subscription and from a webhook alike.
//!
//! Rules that look through a relation look at fields that are set once: a change of the other row is no event of this
//! one, so no stream could tell it.

mod generate;
mod replay;

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tandem_tests::client::{root_value, text};
use tandem_tests::receiver::register;
use tandem_tests::shop::DELETE_WEBHOOK;
use tandem_tests::{Caller, Case, Client, Receiver, Server, on_both, seed};

use replay::{Event, Rows};

const ROUNDS: usize = 8;
const WRITES: usize = 70;

on_both!(what_a_query_shows_is_what_events_bring);

async fn what_a_query_shows_is_what_events_bring(case: &Case) {
    let seed = seed();
    for round in 0..ROUNDS {
        let mut dice = StdRng::seed_from_u64(seed.wrapping_add(round as u64));
        let resources = generate::resources(&mut dice);
        eprintln!("round {round}\n{resources}");
        // The database stays, so that rules also change over rows that are there.
        let path = case.file("rules.graphql", &resources);
        let server = case.start(case.settings().with("--resources", &path)).await;
        round_of(&server, &mut dice, round).await;
    }
}

/// A caller, and what they have seen.
struct Watcher {
    caller: Caller,
    document: String,
    start: Rows,
    after: String,
    receiver: Receiver,
    /// Id and secret; anonymous callers have none.
    webhook: Option<(String, String)>,
}

async fn round_of(server: &Server, dice: &mut StdRng, round: usize) {
    let admin = server.client(&Caller::admin());
    let mut watchers = Vec::new();
    for caller in generate::callers(dice) {
        watchers.push(Watcher::start(server, caller).await);
    }
    write(&admin, dice).await;
    let beacon = json!({"round": round});
    admin
        .done("mutation($input: CreateBeaconInput!) { createBeacon(input: $input) { userErrors { code } } }", beacon)
        .await;
    for watcher in &watchers {
        watcher.check(server, round).await;
        if let Some((webhook, _)) = &watcher.webhook {
            admin.done(DELETE_WEBHOOK, json!({"id": webhook})).await;
        }
    }
    for watcher in &watchers {
        let filter = generate::filter(dice);
        watcher.check_filtered(server, &filter).await;
    }
}

impl Watcher {
    async fn start(server: &Server, caller: Caller) -> Self {
        let client = server.client(&caller);
        let document = replay::subscription(sees_secrets(&caller));
        let (start, after) = shown(&client, sees_secrets(&caller)).await;
        let receiver = Receiver::start().await;
        let webhook = if caller.sub.is_some() {
            let input = json!({"url": receiver.url(), "query": replay::webhook_document(&document)});
            Some(register(&client, input).await)
        } else {
            None
        };
        Self { caller, document, start, after, receiver, webhook }
    }

    async fn check(&self, server: &Server, round: usize) {
        let client = server.client(&self.caller);
        let (shown, _) = shown(&client, sees_secrets(&self.caller)).await;
        let live = self.live_events(server, round).await;
        let replayed = replay::rows(self.start.clone(), &live);
        assert_eq!(replayed, shown, "a subscription of {:?}", self.caller);
        if let Some((_, secret)) = &self.webhook {
            self.check_webhook(secret, &live).await;
        }
        self.check_secrets(&client).await;
    }

    /// The events of the round, up to the beacon that ends it.
    async fn live_events(&self, server: &Server, round: usize) -> Vec<Event> {
        let variables = json!({"after": self.after});
        let mut live = server.live(&self.caller).await.following(&self.document, variables).await;
        let mut events = Vec::new();
        loop {
            let event = live.event().await;
            let is_last = event.change["after"]["round"] == json!(round);
            events.push(Event { raw: event.raw, change: event.change });
            if is_last {
                return events;
            }
        }
    }

    /// The webhook got the same events with the same bytes.
    async fn check_webhook(&self, secret: &str, live: &[Event]) {
        let what = format!("{} events arrive at the webhook of {:?}", live.len(), self.caller);
        self.receiver.until(&what, |received| received.len() >= live.len()).await;
        self.receiver.assert_signed(secret);
        let mut received = self.receiver.received();
        received.sort_by_key(tandem_tests::receiver::Received::sequence);
        let got: Vec<(String, String)> =
            received.iter().map(|request| (request.id.clone(), request.raw_data())).collect();
        let expected: Vec<(String, String)> =
            live.iter().map(|event| (text(&event.change["id"]), event.raw.clone())).collect();
        assert_eq!(got, expected, "the webhook of {:?}", self.caller);
        let sequences: Vec<i64> = received.iter().map(tandem_tests::receiver::Received::sequence).collect();
        assert_eq!(sequences, (1..=sequences.len() as i64).collect::<Vec<_>>());
    }

    /// The same with a filter of the caller: a subscription with it replays to a query with it.
    async fn check_filtered(&self, server: &Server, filter: &str) {
        let (client, admin) = (server.client(&self.caller), server.client(&Caller::admin()));
        let query = format!("{{ docs(first: 1000, filter: {filter}) {{ nodes {{ {} }} }} }}", replay::DOC);
        let seen = rows_of(&client.data(&query, json!({})).await["docs"]);
        let Some(model) = seen.keys().next() else { return };
        // A row like one that is seen is seen too: its event is the last one, so nothing is still to come after it.
        let last = generate::copy_of_doc(&admin, model).await;
        let expected = rows_of(&client.data(&query, json!({})).await["docs"]);
        let document = format!(
            "subscription($after: String) {{ docChanged(filter: {filter}, after: $after) {{ id kind type transition nodeId
                after {{ {} }} }} }}",
            replay::DOC
        );
        // From the beginning of the log, through changes that were made under other rules: today's decide.
        let start = beginning(&admin).await;
        let mut live = server.live(&self.caller).await.following(&document, json!({"after": start})).await;
        let mut events = Vec::new();
        while events.last().is_none_or(|event: &Event| event.change["nodeId"] != json!(last)) {
            let event = live.event().await;
            events.push(Event { raw: event.raw, change: event.change });
        }
        let mut replayed = replay::rows(Rows::new(), &events);
        let replayed = replayed.remove("Doc").unwrap_or_default();
        assert_eq!(replayed, expected, "a subscription of {:?} with {filter}", self.caller);
    }

    /// A field that the caller may not read is null for them everywhere.
    async fn check_secrets(&self, client: &Client) {
        let response = client.response("{ docs(first: 1000) { nodes { secret } } }", json!({})).await;
        let nodes = response["data"]["docs"]["nodes"].as_array().expect("a connection has nodes");
        if !sees_secrets(&self.caller) {
            assert!(nodes.iter().all(|node| node["secret"].is_null()), "{:?} sees a secret", self.caller);
            assert_eq!(response["errors"].as_array().map_or(0, Vec::len), nodes.len(), "one error for each");
        }
    }
}

/// Whether the rule of the field `secret` admits a caller.
fn sees_secrets(caller: &Caller) -> bool {
    caller.roles.iter().any(|role| role == "r1" || role == "admin")
}

/// All rows that a caller sees, and the position of the log at that moment. Nobody writes meanwhile.
async fn shown(client: &Client, with_secrets: bool) -> (Rows, String) {
    let data = client.data(&replay::query(with_secrets), json!({})).await;
    let mut rows = Rows::new();
    for (list, ty) in
        [("accounts", "Account"), ("docs", "Doc"), ("folders", "Folder"), ("sheets", "Sheet"), ("beacons", "Beacon")]
    {
        let found = rows_of(&data[list]);
        if !found.is_empty() {
            rows.insert(ty.to_owned(), found);
        }
    }
    (rows, text(&data["docs"]["asOf"]))
}

fn rows_of(connection: &Value) -> BTreeMap<String, Value> {
    let nodes = connection["nodes"].as_array().expect("a connection has nodes");
    nodes.iter().map(|node| (text(&node["id"]), node.clone())).collect()
}

/// The cursor of the first event of all, which is one of an account: all documents come after it.
async fn beginning(admin: &Client) -> String {
    let data = admin.data("{ changes(first: 1) { nodes { cursor } } }", json!({})).await;
    text(&data["changes"]["nodes"][0]["cursor"])
}

/// Random writes of the admin.
async fn write(admin: &Client, dice: &mut StdRng) {
    let mut ids: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for _ in 0..WRITES {
        let (mutation, input, ty) = generate::write(dice, &ids);
        let data = admin.data(&mutation, json!({"input": input})).await;
        let payload = root_value(data);
        assert_eq!(payload["userErrors"], json!([]), "{mutation} {input}");
        if let Some(id) = payload["row"]["id"].as_str() {
            let rows = ids.entry(ty).or_default();
            if !rows.iter().any(|row| row == id) {
                rows.push(id.to_owned());
            }
        }
        if payload["deleted"].is_string() {
            generate::forget(&mut ids, admin).await;
        }
    }
}
