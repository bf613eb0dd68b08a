//! One shape: for 1,000 random changes, `data` in the bodies is `data` of live subscriptions, byte for byte.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tandem_tests::client::text;
use tandem_tests::receiver::register;
use tandem_tests::shop::{
    CREATE_CUSTOMER, CREATE_ORDER, CREATE_PRODUCT, DELETE_ORDER, DELETE_PRODUCT, UPDATE_CUSTOMER, UPDATE_ORDER,
    UPDATE_PRODUCT, catalog_team,
};
use tandem_tests::{Caller, Case, Client, Live, Receiver, on_both};

on_both!(a_thousand_random_changes_look_the_same_to_both);

const CHANGES: usize = 1000;
/// The product that ends the test; everybody sees it.
const LAST: &str = "LAST";

const EVERYTHING: &str = "subscription { changes { id kind type nodeId version changedFields occurredAt transactionId
    transition position by
    ... on ProductChange { after { id sku name price stock tags createdAt } before { sku name stock tags } }
    ... on CustomerChange { after { email customerName: name } before { customerName: name } }
    ... on OrderChange { after { number status note customer { id email customerName: name } } before { status note } }
    ... on OrderLineChange { after { quantity unitPrice order { number status customer { email } } product { sku price } }
        before { quantity } } } }";
const WITH_COST: &str = "subscription { productChanged { id transition after { sku cost } before { cost stock } } }";
const CHEAP: &str = "subscription { productChanged(filter: {price: {lt: \"500\"}}) {
    id transition changedFields after { sku price } before { price } } }";
const LINES: &str = "subscription { changes(events: [\"order_line.*\", \"product.created\"]) { id type
    ... on ProductChange { after { sku } }
    ... on OrderLineChange { after { order { number customer { customerName: name } } product { sku } } } } }";

async fn a_thousand_random_changes_look_the_same_to_both(case: &Case) {
    let server = case.server().await;
    let followers = [
        (Caller::admin(), EVERYTHING),
        (Caller::user("alice"), EVERYTHING),
        (Caller::user("alice"), LINES),
        (Caller::user("bob"), CHEAP),
        (catalog_team(), WITH_COST),
    ];
    let mut pairs = Vec::new();
    for (caller, document) in &followers {
        let receiver = Receiver::start().await;
        register(&server.client(caller), json!({"url": receiver.url(), "query": document})).await;
        pairs.push((receiver, server.live(caller).await.following(document, json!({})).await));
    }
    let (receivers, lives): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let readers: Vec<_> = lives.into_iter().map(|live| tokio::spawn(read(live))).collect();
    let clients = ["alice", "bob"].map(|name| server.client(&Caller::user(name)));
    Shop::new(server.client(&Caller::admin()), clients).await.run().await;
    for ((reader, receiver), (caller, document)) in readers.into_iter().zip(&receivers).zip(&followers) {
        let live = reader.await.expect("the subscription goes on to the last event");
        let received = receiver.requests(live.len()).await;
        let of_webhook: BTreeMap<_, _> =
            received.iter().map(|request| (request.id.clone(), request.raw_data())).collect();
        assert_eq!(of_webhook.len(), live.len(), "{caller:?} {document}");
        for (id, data) in &live {
            assert_eq!(of_webhook.get(id), Some(data), "{caller:?} {document}");
        }
    }
}

/// All events up to the last one: id → `data`, as it came.
async fn read(mut live: Live) -> BTreeMap<String, String> {
    let mut events = BTreeMap::new();
    loop {
        let event = live.event().await;
        events.insert(text(&event.change["id"]), event.raw);
        if event.change["after"]["sku"] == LAST {
            return events;
        }
    }
}

struct Shop {
    admin: Client,
    random: StdRng,
    products: Vec<String>,
    /// With whom they belong to.
    customers: Vec<(String, Client)>,
    orders: Vec<(String, Client)>,
    count: usize,
}

impl Shop {
    async fn new(admin: Client, clients: [Client; 2]) -> Self {
        let mut customers = Vec::new();
        for (i, client) in clients.into_iter().enumerate() {
            let payload = client.done(CREATE_CUSTOMER, json!({"email": format!("{i}@example.org")})).await;
            customers.push((text(&payload["customer"]["id"]), client));
        }
        Self { admin, random: StdRng::seed_from_u64(42), products: Vec::new(), customers, orders: Vec::new(), count: 2 }
    }

    async fn run(mut self) {
        while self.count < CHANGES {
            self.change().await;
        }
        self.admin.done(CREATE_PRODUCT, json!({"sku": LAST, "name": "Last", "price": "1.00"})).await;
    }

    async fn change(&mut self) {
        match self.random.random_range(0..100) {
            0..15 => {
                let input = json!({"sku": format!("SKU-{}", self.count), "name": self.name(), "price": self.price(),
                    "stock": self.random.random_range(0..9), "tags": [self.name()], "cost": self.price()});
                let payload = self.admin.done(CREATE_PRODUCT, input).await;
                self.products.push(text(&payload["product"]["id"]));
                self.count += 1;
            }
            15..45 => {
                let Some(id) = self.any(&self.products.clone()) else { return };
                let patches = [
                    json!({"stock": self.random.random_range(0..9)}),
                    json!({"price": self.price(), "cost": self.price()}),
                    json!({"name": self.name(), "tags": [self.name(), self.name()]}),
                ];
                let patch = self.any(&patches).expect("there are some");
                self.admin.done(UPDATE_PRODUCT, json!({"id": id, "patch": patch})).await;
                self.count += 1;
            }
            45..55 => {
                let (id, client) = self.any(&self.customers.clone()).expect("there are two");
                client.done(UPDATE_CUSTOMER, json!({"id": id, "patch": {"name": self.name()}})).await;
                self.count += 1;
            }
            55..75 => self.order().await,
            75..88 => {
                let Some((id, client)) = self.any(&self.orders.clone()) else { return };
                let status = ["DRAFT", "PLACED", "PAID"][self.random.random_range(0..3)];
                client.done(UPDATE_ORDER, json!({"id": id, "patch": {"status": status, "note": self.name()}})).await;
                self.count += 1;
            }
            88..95 => {
                if self.orders.is_empty() {
                    return;
                }
                let (id, client) = self.orders.swap_remove(self.random.random_range(0..self.orders.len()));
                client.done(DELETE_ORDER, json!({"id": id})).await;
                self.count += 2;
            }
            _ => {
                if self.products.is_empty() {
                    return;
                }
                let i = self.random.random_range(0..self.products.len());
                // One that an order still has cannot be deleted.
                let payload = self.admin.payload(DELETE_PRODUCT, json!({"id": self.products[i]})).await;
                if payload["userErrors"] == json!([]) {
                    self.products.swap_remove(i);
                    self.count += 1;
                }
            }
        }
    }

    async fn order(&mut self) {
        let (customer, client) = self.any(&self.customers.clone()).expect("there are two");
        let Some(product) = self.any(&self.products.clone()) else { return };
        let line = json!({"productId": product, "quantity": self.random.random_range(1..9), "unitPrice": self.price()});
        let input = json!({"customerId": customer, "note": self.name(), "lines": {"create": [line]}});
        let payload = client.done(CREATE_ORDER, input).await;
        self.orders.push((text(&payload["order"]["id"]), client));
        self.count += 2;
    }

    fn any<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.random.random_range(0..of.len())].clone()) }
    }

    fn price(&mut self) -> String {
        format!("{}.{:02}", self.random.random_range(0..1000), self.random.random_range(0..100))
    }

    /// Texts that are written in more than one way by careless programs.
    fn name(&mut self) -> Value {
        let names =
            ["plain", "Größe", "\"quoted\" \\ /", "<b>&amp;</b>", "line\nfeed\ttab", "\u{2028}", "🧭", "\u{7f}\u{1}"];
        let name = names[self.random.random_range(0..names.len())];
        json!(format!("{name} {}", self.random.random_range(0..1000)))
    }
}
