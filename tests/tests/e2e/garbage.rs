//! Garbage gets an answer that says so, and never a failure of the server.
//!
//! `GARBAGE_REQUESTS` and `GARBAGE_SEED` change how much is tried, and which. A failure names the seed of its request.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};
use tandem_tests::shop::{add_customer, add_order, add_product};
use tandem_tests::{Caller, Case, on_both};

on_both!(garbage_is_refused_and_breaks_nothing);

const REQUESTS: u64 = 3000;
const AT_A_TIME: u64 = 8;

const WORDS: [&str; 60] = [
    "query",
    "mutation",
    "subscription",
    "fragment",
    "on",
    "F",
    "{",
    "}",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    "!",
    "$",
    "@",
    "=",
    "|",
    "...",
    "\"",
    "\"\"\"",
    "\\",
    "#",
    ",",
    "\n",
    "\u{feff}",
    "\0",
    "é",
    "🧭",
    "0",
    "-1",
    "1e9",
    "9999999999999999999",
    "null",
    "true",
    "RED",
    "id",
    "__typename",
    "__schema",
    "types",
    "product",
    "products",
    "nodes",
    "edges",
    "node",
    "customer",
    "orders",
    "filter",
    "by",
    "first",
    "after",
    "input",
    "createProduct",
    "deleteProduct",
    "productChanged",
    "changes",
    "@skip(if: true)",
    "type X { a: Int }",
];
const DOCUMENTS: [&str; 9] = [
    "query($v: ProductFilter) { products(filter: $v) { nodes { id sku price tags } totalCount } }",
    "query($v: OrderFilter) { orders(filter: $v, first: 3) { nodes { id customer { email } lines { nodes { quantity } } } } }",
    "query($v: [ProductOrder!], $c: String) { products(orderBy: $v, after: $c, first: 2) { edges { cursor node { id } } } }",
    "query($v: [OrderLineOrder!], $c: String) { products { nodes { orderLines(orderBy: $v, before: $c, last: 2) { nodes { id } } } } }",
    "query($v: ProductBy!) { product(by: $v) { id orderLines { totalCount } } }",
    "query($v: [ID!]!, $c: String) { nodes(ids: $v) { id } changes(after: $c, first: 5) { nodes { cursor } } }",
    "mutation($v: CreateProductInput!) { createProduct(input: $v) { product { id } userErrors { code path } } }",
    "mutation($v: CreateOrderInput!) { createOrder(input: $v) { order { id } userErrors { code path } } }",
    "mutation($v: CreateWebhookInput!) { createWebhook(input: $v) { webhook { id } userErrors { code path } } }",
];
const KEYS: [&str; 46] = [
    "and",
    "or",
    "not",
    "eq",
    "neq",
    "in",
    "notIn",
    "lt",
    "lte",
    "gt",
    "gte",
    "isNull",
    "contains",
    "startsWith",
    "has",
    "hasSome",
    "isEmpty",
    "id",
    "sku",
    "name",
    "price",
    "stock",
    "tags",
    "cost",
    "createdAt",
    "version",
    "number",
    "status",
    "note",
    "customer",
    "customerId",
    "product",
    "productId",
    "quantity",
    "unitPrice",
    "lines",
    "create",
    "email",
    "url",
    "query",
    "events",
    "headers",
    "variables",
    "maxInFlight",
    "order",
    "orderId",
];
const TEXTS: [&str; 24] = [
    "",
    "x",
    "SKU-1",
    "-",
    "%",
    "_",
    "\\",
    "'",
    "\"",
    "\0",
    "a\0b",
    "\u{10ffff}",
    "\u{200b}",
    "9.90",
    "1e400",
    "NaN",
    "-0",
    "ASC",
    "2026-02-30T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "0000-00-00",
    "DRAFT",
    "http://[::",
    "subscription { productChanged { id } }",
];

async fn garbage_is_refused_and_breaks_nothing(case: &Case) {
    let server = case.start(case.settings().with("--max-batch", "5")).await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let product = add_product(&admin, "SKU-1").await;
    let customer = add_customer(&alice, "alice@example.org").await;
    let order = add_order(&alice, &customer, &product).await;
    let maker =
        Maker { ids: vec![product, customer, order], url: server.url("/graphql"), http: reqwest::Client::new() };

    let number = |name: &str, default| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    };
    let (seed, requests) = (number("GARBAGE_SEED", 1), number("GARBAGE_REQUESTS", REQUESTS));
    let workers = (0..AT_A_TIME).map(|worker| {
        let maker = &maker;
        async move {
            for index in (worker..requests).step_by(AT_A_TIME as usize) {
                maker.try_one(seed.wrapping_mul(1_000_000_007) + index).await;
            }
        }
    });
    futures_util::future::join_all(workers).await;

    // It still does its work, and its log tells of no failure.
    add_product(&admin, "SKU-2").await;
    let failures: Vec<_> = case.log().lines().filter(|line| line.contains("\"ERROR\"")).map(str::to_owned).collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

struct Maker {
    /// Of rows that are there.
    ids: Vec<String>,
    url: String,
    http: reqwest::Client,
}

impl Maker {
    /// Sends the request of this seed and looks at the answer.
    async fn try_one(&self, seed: u64) {
        let random = &mut StdRng::seed_from_u64(seed);
        let (request, shown) = self.request(random);
        let response =
            request.send().await.unwrap_or_else(|error| panic!("seed {seed}: no answer ({error:?}) to {shown}"));
        let status = response.status();
        let text =
            response.text().await.unwrap_or_else(|error| panic!("seed {seed}: half an answer ({error}) to {shown}"));
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("seed {seed}: {status} {text} to {shown}"));
        let is_good = !status.is_server_error() && !text.contains("INTERNAL_SERVER_ERROR");
        assert!(is_good && (answer.is_object() || answer.is_array()), "seed {seed}: {status} {text} to {shown}");
    }

    fn request(&self, random: &mut StdRng) -> (reqwest::RequestBuilder, String) {
        let mut body = self.body(random);
        if random.random_bool(0.3) {
            damage(random, &mut body);
        }
        let shown: String = String::from_utf8_lossy(&body).chars().take(2000).collect();
        // The client itself refuses longer URLs.
        let mut request = if body.len() < 4096 && random.random_bool(0.1) {
            let mut query = String::new();
            for byte in &body {
                // Mostly readable, now and then broken.
                let _ = if random.random_bool(0.001) { write!(query, "%") } else { write!(query, "%{byte:02x}") };
            }
            self.http.get(format!(
                "{}?{}={query}",
                self.url,
                choose(random, &["query", "variables", "extensions&query"])
            ))
        } else {
            let types =
                ["application/json", "application/json", "application/json;charset=utf-8", "text/plain", "a/b;;="];
            self.http.post(&self.url).header("content-type", choose(random, &types)).body(body)
        };
        if random.random_bool(0.6) {
            request = request.header("authorization", self.token(random));
        }
        if random.random_bool(0.1) {
            request = request
                .header("accept", choose(random, &["*/*", "application/graphql-response+json", "x", "a/b;q=z,,;"]));
        }
        (request, shown)
    }

    fn body(&self, random: &mut StdRng) -> Vec<u8> {
        let request = |query: String, variables: Value| json!({"query": query, "variables": variables}).to_string();
        let text = match random.random_range(0..10) {
            0 => return (0..random.random_range(0..200)).map(|_| random.random()).collect(),
            1 => request(soup(random), json!({})),
            2 => {
                let mut document = choose(random, &DOCUMENTS).as_bytes().to_vec();
                damage(random, &mut document);
                request(String::from_utf8_lossy(&document).into_owned(), json!({}))
            }
            3 => request(deep(random), json!({})),
            4 => json!([{"query": soup(random)}, {"query": "{ viewer { sub } }"}, self.value(random, 0)]).to_string(),
            5 => json!({"query": self.value(random, 0), "extensions": {"persistedQuery": self.value(random, 0)}})
                .to_string(),
            _ => {
                let variables = json!({"v": self.value(random, 0), "c": cursor(random)});
                request(choose(random, &DOCUMENTS).to_owned(), variables)
            }
        };
        text.into_bytes()
    }

    fn value(&self, random: &mut StdRng, depth: u32) -> Value {
        match random.random_range(0..if depth > 5 { 8 } else { 13 }) {
            0 => Value::Null,
            1 => json!(random.random_bool(0.5)),
            2 => choose(
                random,
                &[json!(0), json!(-1), json!(7), json!(i64::MIN), json!(u64::MAX), json!(1e308), json!(-0.0)],
            ),
            3 | 4 => json!(choose(random, &TEXTS)),
            5 => json!(random.random::<i32>()),
            6 => json!(self.ids.choose(random)),
            7 => json!(choose(
                random,
                &["product_00000000000000000000000000", "webhook_7zzzzzzzzzzzzzzzzzzzzzzzzz", "evt_0", "_"]
            )),
            8 => (0..random.random_range(0..4)).map(|_| self.value(random, depth + 1)).collect(),
            _ => {
                let mut object = Map::new();
                for _ in 0..random.random_range(0..4) {
                    object.insert(choose(random, &KEYS).to_owned(), self.value(random, depth + 1));
                }
                object.into()
            }
        }
    }

    /// A good token, a damaged one, or something else.
    fn token(&self, random: &mut StdRng) -> Vec<u8> {
        let token = Caller::admin().token().expect("the admin has a token");
        let mut header =
            format!("{} {token}", choose(random, &["Bearer", "Bearer", "Bearer", "bearer", "Basic", ""])).into_bytes();
        if random.random_bool(0.3) {
            damage(random, &mut header);
        }
        // What no header can hold the client itself refuses.
        header.retain(|byte| *byte >= 32 && *byte != 127);
        header
    }
}

fn choose<T: Clone>(random: &mut StdRng, items: &[T]) -> T {
    items.choose(random).expect("there is something to choose").clone()
}

fn soup(random: &mut StdRng) -> String {
    let words = (0..random.random_range(0..60)).map(|_| choose(random, &WORDS));
    words.collect::<Vec<_>>().join(" ")
}

/// What is nested deeper than any stack, or grows when it is written out.
fn deep(random: &mut StdRng) -> String {
    let levels = random.random_range(1..5000);
    match random.random_range(0..5) {
        0 => "{ a ".repeat(levels),
        1 => format!("{{ products(filter: {}", "{ not: ".repeat(levels)),
        2 => format!("{{ product(by: {{ id: {}", "[".repeat(levels)),
        3 => {
            let fragment = |i: usize| format!("fragment F{i} on Product {{ ...F{} ...F{} }}", i + 1, i + 1);
            let levels = levels % 300;
            let last = format!("fragment F{levels} on Product {{ id }}");
            format!("{{ products {{ nodes {{ ...F0 }} }} }} {} {last}", (0..levels).map(fragment).collect::<String>())
        }
        _ => format!("{{ {} }}", "products { nodes { orderLines { nodes { product { ".repeat(levels % 12)),
    }
}

/// A cursor of something, or nearly one.
fn cursor(random: &mut StdRng) -> String {
    let values =
        [json!(["x"]), json!([null]), json!([1, "SKU-1", true]), json!({}), json!([["a"], 1e300]), json!(["\0"])];
    let text = choose(random, &values).to_string();
    let bytes: Vec<u8> = (0..25).map(|_| random.random()).collect();
    choose(
        random,
        &[BASE64_URL_SAFE_NO_PAD.encode(text), BASE64_URL_SAFE_NO_PAD.encode(bytes), "x".to_owned(), String::new()],
    )
}

/// Takes something away, doubles it or puts something else there, a few times.
fn damage(random: &mut StdRng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..4) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, bytes[at]),
            2 => bytes[at] = random.random(),
            _ => bytes.truncate(at),
        }
    }
}
