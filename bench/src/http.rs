//! The server over HTTP: what group commit is worth there, and how far a read is from what HTTP alone costs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::load::{Amount, Load, Outcome};
use crate::place::Place;
use crate::process;
use crate::rounds::{Rounds, alternate};
use crate::served::{Tandem, request};

const PRODUCTS: usize = 200;
const ORDERS: usize = 20;
const LINES: usize = 10;

const CREATE_PRODUCT: &str =
    "mutation($input: CreateProductInput!) { createProduct(input: $input) { product { id } userErrors { code } } }";
const CREATE_CUSTOMER: &str =
    "mutation($input: CreateCustomerInput!) { createCustomer(input: $input) { customer { id } userErrors { code } } }";
const CREATE_ORDER: &str =
    "mutation($input: CreateOrderInput!) { createOrder(input: $input) { order { id } userErrors { code } } }";
const PRODUCT_BY_ID: &str = "query($id: ID!) { product(by: { id: $id }) { id sku name price stock version } }";
const THREE_LEVELS: &str = "query($first: Int!) { orders(first: $first) { nodes { id number status customer { id name \
                            email } lines(first: 10) { nodes { id quantity unitPrice product { id sku name price } } } } \
                            } }";

/// How the server is measured.
#[derive(Debug, Clone, Args)]
pub struct HttpArgs {
    /// Connections, each with one request on its way.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// How often each case is measured.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// How long each round measures, in seconds.
    #[arg(long, default_value_t = 2)]
    pub seconds: u64,
}

/// What was measured on one kind of database.
pub struct Measured {
    /// Creates per second.
    pub batched: Rounds,
    /// The same with one mutation in each transaction.
    pub single: Rounds,
    /// Reads per second, each of one product by its id.
    pub by_id: Rounds,
    /// The same requests, answered with a constant of the same size.
    pub bare: Rounds,
    /// How long that is.
    pub size_bytes: usize,
    /// 20 orders with their customer and 10 lines with their product.
    pub three_levels: Outcome,
}

/// Measures everything on one kind of database.
pub async fn run(binary: &Path, place: &Place, args: &HttpArgs) -> Result<Measured> {
    let (batched, single) = alternate(
        args.rounds,
        async || creates_per_second(binary, place, args, &[]).await,
        async || creates_per_second(binary, place, args, &["--writer-max-batch", "1"]).await,
    )
    .await?;
    let tandem = Tandem::start(binary, place, &[]).await?;
    let seller = tandem.authorization("seller", &["catalog"]).await?;
    let products = add_products(&tandem, &seller).await?;
    let (by_id, bare, size_bytes) = reads_by_id(&tandem, &seller, &products, args).await?;
    add_orders(&tandem, &products).await?;
    let three_levels = three_levels(&tandem, args).await?;
    tandem.stop().await?;
    Ok(Measured { batched, single, by_id, bare, size_bytes, three_levels })
}

/// One round, on a server and a database of its own: both cases begin with empty tables.
async fn creates_per_second(binary: &Path, place: &Place, args: &HttpArgs, flags: &[&str]) -> Result<f64> {
    let tandem = Tandem::start(binary, place, flags).await?;
    let seller = tandem.authorization("seller", &["catalog"]).await?;
    // Unique keys ascend, as numbers do that somebody hands out.
    let numbers = AtomicU64::new(1);
    let write = move |_, _, out: &mut Vec<u8>| {
        let sku = format!("SKU-{:08}", numbers.fetch_add(1, Ordering::Relaxed));
        out.extend(request(CREATE_PRODUCT, &product(&sku)));
    };
    let outcome = load(&tandem, &seller, args, args.seconds).run(write).await;
    tandem.stop().await?;
    Ok(outcome?.flawless()?.per_second())
}

async fn reads_by_id(
    tandem: &Tandem,
    seller: &str,
    products: &[String],
    args: &HttpArgs,
) -> Result<(Rounds, Rounds, usize)> {
    let requests: Arc<[Vec<u8>]> = products.iter().map(|id| request(PRODUCT_BY_ID, &json!({ "id": id }))).collect();
    let (answer, size_bytes) = tandem.client(seller).await?.ask_sized(&requests[0]).await?;
    ensure!(answer["product"]["id"] == products[0], "another product: {answer}");
    let bare = process::start_bare(size_bytes).await.context("the bare server did not start")?;
    let ours = load(tandem, seller, args, args.seconds);
    // Byte for byte the same requests.
    let theirs = ours.clone().at(bare.address);
    let round = async |load: &Load| {
        let requests = Arc::clone(&requests);
        let write = move |connection: usize, nth: u64, out: &mut Vec<u8>| {
            out.extend_from_slice(&requests[(connection * 7 + nth as usize) % requests.len()]);
        };
        Ok(load.run(write).await?.flawless()?.per_second())
    };
    let (by_id, constant) = alternate(args.rounds, async || round(&ours).await, async || round(&theirs).await).await?;
    bare.stop().await?;
    Ok((by_id, constant, size_bytes))
}

async fn three_levels(tandem: &Tandem, args: &HttpArgs) -> Result<Outcome> {
    let reader = tandem.authorization("helper", &["support"]).await?;
    let request = request(THREE_LEVELS, &json!({ "first": ORDERS }));
    let (answer, _) = tandem.client(&reader).await?.ask_sized(&request).await?;
    let orders = answer["orders"]["nodes"].as_array().context("orders are a list")?;
    let has_lines = |order: &Value| order["lines"]["nodes"].as_array().is_some_and(|lines| lines.len() == LINES);
    let is_whole = |order: &Value| order["customer"]["email"].is_string() && has_lines(order);
    ensure!(orders.len() == ORDERS && orders.iter().all(is_whole), "orders are missing: {answer}");
    let load = load(tandem, &reader, args, args.seconds * args.rounds as u64);
    load.run(move |_, _, out| out.extend_from_slice(&request)).await?.flawless()
}

fn load(tandem: &Tandem, authorization: &str, args: &HttpArgs, seconds: u64) -> Load {
    let amount = Amount::Time { warm_up: Duration::from_millis(500), measured: Duration::from_secs(seconds) };
    Load::new(tandem.address, "/graphql", args.connections, amount).header("authorization", authorization)
}

/// Returns the ids.
async fn add_products(tandem: &Tandem, seller: &str) -> Result<Vec<String>> {
    let mut client = tandem.client(seller).await?;
    let mut ids = Vec::with_capacity(PRODUCTS);
    for number in 0..PRODUCTS {
        let answer = client.ask(CREATE_PRODUCT, product(&format!("SKU-{number:08}"))).await?;
        ids.push(id(&answer["createProduct"]["product"])?);
    }
    Ok(ids)
}

/// Each of a customer of its own, with ten products.
async fn add_orders(tandem: &Tandem, products: &[String]) -> Result<()> {
    for number in 0..ORDERS {
        let buyer = tandem.authorization(&format!("buyer-{number}"), &[]).await?;
        let mut client = tandem.client(&buyer).await?;
        let input = json!({ "email": format!("buyer-{number}@example.com"), "name": format!("Buyer {number}") });
        let customer = client.ask(CREATE_CUSTOMER, json!({ "input": input })).await?;
        let customer = id(&customer["createCustomer"]["customer"])?;
        let products = products.iter().cycle().skip(number * LINES).take(LINES);
        let lines: Vec<_> =
            products.map(|id| json!({ "productId": id, "quantity": 2, "unitPrice": "12.50" })).collect();
        let input = json!({ "customerId": customer, "lines": { "create": lines } });
        client.ask(CREATE_ORDER, json!({ "input": input })).await?;
    }
    Ok(())
}

fn product(sku: &str) -> Value {
    json!({ "input": { "sku": sku, "name": "A thing that is sold a lot", "price": "12.50" } })
}

fn id(row: &Value) -> Result<String> {
    row["id"].as_str().map(str::to_owned).context("a row has an id")
}
