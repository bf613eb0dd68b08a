//! kill -9 under load: what was acknowledged stays, what was rolled back never shows, and webhooks get all of it.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tandem_tests::client::{root_value, text, user_errors};
use tandem_tests::receiver::{Answer, register};
use tandem_tests::shop::{self, CREATE_PRODUCT, DELETE_PRODUCT, Entry, UPDATE_PRODUCT};
use tandem_tests::{Caller, Case, Client, Receiver, Server, on_both, seed};
use tokio::sync::{Notify, watch};

const KILLS: usize = 50;
const CLIENTS: usize = 12;
const QUERY: &str =
    "subscription { changes { id kind type nodeId version ... on ProductChange { after { id sku name stock } } } }";

on_both!(fifty_kills_lose_nothing);

async fn fifty_kills_lose_nothing(case: &Case) {
    let seed = seed();
    let mut dice = StdRng::seed_from_u64(seed);
    let mut server = case.server().await;
    let admin = server.client(&Caller::admin());
    let webhooks = [
        Hook::new(&admin, "good", Receiver::start().await, json!({"query": QUERY})).await,
        Hook::new(&admin, "failing", failing().await, json!({"query": QUERY})).await,
        Hook::new(&admin, "slow", slow().await, json!({"events": ["product.*"]})).await,
    ];

    let load = Load::start(&admin, server.address(), seed);
    let mut told = Told::default();
    let mut kills_while_sending = 0;
    let mut arrived = webhooks.each_ref().map(Hook::arrived);
    for kill in 0..KILLS {
        // A moment is a number of answers, so that a slow machine kills under load too. 0 kills while it starts up.
        let answers = load.answered() + dice.random_range(0..60);
        load.until_answered(answers).await;
        load.server_is_gone();
        server.kill9().await;
        assert_nothing_fails_silently(&load, kill);
        let was_sending = webhooks.iter().zip(arrived).all(|(webhook, before)| webhook.arrived() > before);
        kills_while_sending += usize::from(was_sending);
        server.restart().await;
        arrived = webhooks.each_ref().map(Hook::arrived);
        if kill % 10 == 0 {
            // On PostgreSQL a webhook belongs to the killed process until its lease ends, which is longer than most of
            // these lives. So that some of them do send, they are given the time.
            let client = admin.at(server.address());
            told.write_alone(&client, kill).await;
            for (webhook, before) in webhooks.iter().zip(arrived) {
                webhook.receiver.requests(before + 1).await;
            }
        }
        load.server_is_at(server.address());
    }
    load.until_answered(load.answered() + 50).await;
    told.add(load.stop().await);
    assert!(kills_while_sending >= KILLS / 10, "webhooks were being sent at {kills_while_sending} kills");

    let log = shop::log(&server.client(&Caller::admin())).await;
    shop::assert_sound(&log);
    assert_log_agrees(&log, &told);
    for webhook in &webhooks {
        webhook.assert_agrees(&log).await;
    }
    assert_rows_agree(&server, &log).await;
}

fn assert_nothing_fails_silently(load: &Load, kill: usize) {
    assert!(!load.is_broken(), "a client got an answer that it did not expect, before kill {kill}");
}

/// Answers 500 to every third request.
async fn failing() -> Receiver {
    Receiver::behaving(|count| if count % 3 == 2 { Answer::status(500) } else { Answer::OK }).await
}

/// Thinks before it answers.
async fn slow() -> Receiver {
    Receiver::behaving(|count| Answer::OK.after_ms(20 + count as u64 * 7 % 100)).await
}

/// A webhook and who receives it.
struct Hook {
    name: &'static str,
    secret: String,
    receiver: Receiver,
}

impl Hook {
    async fn new(admin: &Client, name: &'static str, receiver: Receiver, mut input: Value) -> Self {
        input["url"] = json!(receiver.url());
        let (_, secret) = register(admin, input).await;
        Self { name, secret, receiver }
    }

    /// How many requests have come.
    fn arrived(&self) -> usize {
        self.receiver.count()
    }

    async fn assert_agrees(&self, log: &[Entry]) {
        let expected: HashMap<&str, &Entry> = log.iter().map(|entry| (entry.id.as_str(), entry)).collect();
        let all = format!("every event of the log arrives at the {} receiver", self.name);
        let mut missing: HashSet<&str> = expected.keys().copied().collect();
        let mut seen = 0;
        self.receiver
            .until(&all, |received| {
                for request in received[seen..].iter().filter(|request| request.succeeded()) {
                    missing.remove(request.id.as_str());
                }
                seen = received.len();
                missing.is_empty()
            })
            .await;
        self.receiver.assert_signed(&self.secret);
        self.receiver.assert_stable();
        for request in self.receiver.received() {
            let entry = expected.get(request.id.as_str());
            let entry = entry.unwrap_or_else(|| panic!("{} got {}, which is not in the log", self.name, request.id));
            assert_eq!(request.sequence(), entry.position, "{} counts all events of the log", self.name);
            assert_eq!(request.json["type"], json!(format!("product.{}", entry.kind.to_lowercase())));
        }
    }
}

/// What the clients know.
#[derive(Default)]
struct Told {
    /// The events of acknowledged mutations: id → kind and name.
    acknowledged: HashMap<String, (String, Option<String>)>,
    /// Names that were tried, whatever came of it.
    tried: HashSet<String>,
    /// Names of mutations that were refused.
    refused: HashSet<String>,
}

impl Told {
    /// Makes one mutation while the load waits.
    async fn write_alone(&mut self, admin: &Client, kill: usize) {
        let name = format!("alone after kill {kill}");
        let input = json!({"sku": format!("ALONE-{kill}"), "name": name, "price": "1.00"});
        let payload = admin.done(CREATE_PRODUCT, input).await;
        self.tried.insert(name.clone());
        self.acknowledged.insert(text(&payload["change"]["id"]), ("CREATED".to_owned(), Some(name)));
    }

    fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.tried.extend(other.tried);
        self.refused.extend(other.refused);
    }
}

fn assert_log_agrees(log: &[Entry], told: &Told) {
    let by_id: HashMap<&str, &Entry> = log.iter().map(|entry| (entry.id.as_str(), entry)).collect();
    for (id, (kind, name)) in &told.acknowledged {
        let entry = by_id.get(id.as_str()).unwrap_or_else(|| panic!("{id} was acknowledged and is not in the log"));
        assert_eq!((&entry.kind, entry.after["name"].as_str()), (kind, name.as_deref()), "{entry:?}");
    }
    for entry in log.iter().filter(|entry| entry.kind != "DELETED") {
        let name = text(&entry.after["name"]);
        assert!(told.tried.contains(&name), "nobody asked for {name}");
        assert!(!told.refused.contains(&name), "{name} was rolled back and is in the log");
    }
    assert!(told.acknowledged.len() > KILLS * 10, "the load was one: {} mutations", told.acknowledged.len());
    assert!(!told.refused.is_empty(), "the load has failures among its mutations");
}

/// Replaying the log gives the rows.
async fn assert_rows_agree(server: &Server, log: &[Entry]) {
    let mut expected: HashMap<String, Value> = HashMap::new();
    for entry in log {
        match entry.kind.as_str() {
            "DELETED" => drop(expected.remove(&entry.node)),
            _ => drop(expected.insert(entry.node.clone(), entry.after.clone())),
        }
    }
    let admin = server.client(&Caller::admin());
    let mut after = Value::Null;
    loop {
        let query = "query($after: String) { products(first: 1000, after: $after) {
            nodes { id sku name stock version } pageInfo { hasNextPage endCursor } } }";
        let page = admin.data(query, json!({"after": after})).await;
        for node in page["products"]["nodes"].as_array().into_iter().flatten() {
            assert_eq!(expected.remove(&text(&node["id"])).as_ref(), Some(node));
        }
        if page["products"]["pageInfo"]["hasNextPage"] != json!(true) {
            break;
        }
        after = page["products"]["pageInfo"]["endCursor"].clone();
    }
    assert!(expected.is_empty(), "rows that the log has and the table has not: {expected:?}");
}

/// Clients that write all the time, and wait for the server while it is away.
struct Load {
    shared: Arc<Shared>,
    address: watch::Sender<Option<SocketAddr>>,
    clients: Vec<tokio::task::JoinHandle<Told>>,
}

#[derive(Default)]
struct Shared {
    answered: AtomicUsize,
    answer: Notify,
    stop: AtomicBool,
}

impl Load {
    fn start(admin: &Client, address: SocketAddr, seed: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let (address, _) = watch::channel(Some(address));
        let clients = (0..CLIENTS).map(|number| {
            let worker = Worker {
                number,
                admin: admin.clone(),
                address: address.subscribe(),
                shared: shared.clone(),
                dice: StdRng::seed_from_u64(seed ^ (number as u64 + 1)),
                rows: Vec::new(),
                told: Told::default(),
            };
            tokio::spawn(worker.run())
        });
        Self { clients: clients.collect(), shared, address }
    }

    fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    async fn until_answered(&self, count: usize) {
        let reached = async {
            loop {
                let answer = self.shared.answer.notified();
                if self.answered() >= count || self.is_broken() {
                    return;
                }
                answer.await;
            }
        };
        tandem_tests::wait::in_time("the load goes on", reached).await;
    }

    fn is_broken(&self) -> bool {
        self.clients.iter().any(tokio::task::JoinHandle::is_finished)
    }

    fn server_is_gone(&self) {
        self.address.send_replace(None);
    }

    fn server_is_at(&self, address: SocketAddr) {
        self.address.send_replace(Some(address));
    }

    async fn stop(self) -> Told {
        self.shared.stop.store(true, Ordering::SeqCst);
        let mut all = Told::default();
        for client in self.clients {
            let told = client.await.expect("a client got an answer that it did not expect");
            all.add(told);
        }
        all
    }
}

struct Worker {
    number: usize,
    admin: Client,
    address: watch::Receiver<Option<SocketAddr>>,
    shared: Arc<Shared>,
    dice: StdRng,
    /// Rows of this client of which it knows that they are there.
    rows: Vec<String>,
    told: Told,
}

impl Worker {
    async fn run(mut self) -> Told {
        for sequence in 0.. {
            if self.shared.stop.load(Ordering::SeqCst) {
                break;
            }
            self.step(sequence).await;
            self.shared.answered.fetch_add(1, Ordering::SeqCst);
            self.shared.answer.notify_waiters();
        }
        self.told
    }

    async fn step(&mut self, sequence: usize) {
        let name = format!("client {} mutation {sequence}", self.number);
        self.told.tried.insert(name.clone());
        let sku = format!("C{}-{sequence}", self.number);
        let row = (!self.rows.is_empty()).then(|| self.dice.random_range(0..self.rows.len()));
        match (self.dice.random_range(0..10), row) {
            (0..3, Some(row)) => {
                let input = json!({"id": self.rows[row], "patch": {"name": name, "stock": sequence}});
                self.attempt(UPDATE_PRODUCT, input, Some(name)).await;
            }
            (3, Some(row)) => {
                let id = self.rows.swap_remove(row);
                self.attempt(DELETE_PRODUCT, json!({"id": id}), None).await;
            }
            (4, _) => self.attempt_refused(json!({"sku": sku, "name": name, "price": "-1.00"}), &name).await,
            _ => {
                let input = json!({"sku": sku, "name": name, "price": "1.00"});
                if let Some(payload) = self.attempt(CREATE_PRODUCT, input, Some(name)).await {
                    self.rows.push(text(&payload["product"]["id"]));
                }
            }
        }
    }

    /// Makes a mutation whose outcome stays unknown if the server dies over it.
    async fn attempt(&mut self, mutation: &str, input: Value, name: Option<String>) -> Option<Value> {
        let payload = self.send(mutation, input).await?;
        assert_eq!(payload["userErrors"], json!([]), "{mutation}");
        let change = &payload["change"];
        self.told.acknowledged.insert(text(&change["id"]), (text(&change["kind"]), name));
        Some(payload)
    }

    /// Makes a mutation that is against the rules: whether the server dies or not, it must leave no trace.
    async fn attempt_refused(&mut self, input: Value, name: &str) {
        self.told.refused.insert(name.to_owned());
        if let Some(payload) = self.send(CREATE_PRODUCT, input).await {
            assert_eq!(user_errors(&payload), [("OUT_OF_RANGE".to_owned(), "price".to_owned())]);
        }
    }

    async fn send(&mut self, mutation: &str, input: Value) -> Option<Value> {
        let address = *self.address.wait_for(Option::is_some).await.expect("the load outlives its clients");
        let address = address?;
        let response = self.admin.at(address).send(mutation, json!({"input": input})).await;
        let Ok(response) = response else {
            // Only a server that is being killed may fail to answer; the next round waits for its successor.
            let gone = self.address.borrow().as_ref() != Some(&address);
            assert!(gone, "the server at {address} did not answer: {response:?}");
            return None;
        };
        assert!(response.get("errors").is_none(), "{response}");
        Some(root_value(response["data"].clone()))
    }
}
