//! What is asked over HTTP. Every request has other values than the one before, save for [`Case::SameTree`].

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::{Value, json};
use tandem::catalog::type_id;

use super::ReadsArgs;
use super::asked::Asked;
use super::batched::{self, ORDERS, QUERY};
use super::seed::{CUSTOMERS, Kind, LINES, id};
use crate::load::Outcome;
use crate::served::{Tandem, request};

const BY_ID: &str = "query($id: ID!) { product(by: { id: $id }) { id sku name price stock version } }";
const LIST: &str = "query($after: String) { products(first: 100, after: $after) { nodes { id sku name price } } }";
const FILTERED: &str = "query($status: OrderStatus!, $email: String!) { orders(first: 20, filter: { status: { eq: $status }, \
                        customer: { email: { eq: $email } } }, orderBy: [{ createdAt: DESC }]) { totalCount nodes { id \
                        number status createdAt } } }";
const CREATE: &str =
    "mutation($input: CreateProductInput!) { createProduct(input: $input) { product { id } userErrors { code } } }";
const CREATE_ORDER: &str =
    "mutation($input: CreateOrderInput!) { createOrder(input: $input) { order { id number } userErrors { code } } }";
const STATUSES: [&str; 5] = ["DRAFT", "PLACED", "PAID", "SHIPPED", "CANCELLED"];

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    ById,
    List,
    Filtered,
    Tree,
    /// What everybody asks at once, as clients do that come back after a restart.
    SameTree,
    Create,
    CreateNested,
}

impl Case {
    /// As it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ById => "one product by id",
            Self::List => "a page of 100 products",
            Self::Filtered => "orders of a status and a customer, counted",
            Self::Tree => "20 orders, customer, 10 lines, product",
            Self::SameTree => "the same tree for everybody",
            Self::Create => "create a product",
            Self::CreateNested => "create an order with 10 lines",
        }
    }

    /// What PostGraphile 5 on PostgreSQL 15 answered per second on two cores, with wrk at 64 connections on the same cores,
    /// and how many times that Tandem has to.
    pub fn orientation(self) -> Option<(f64, f64)> {
        match self {
            Self::ById => Some((8_300.0, 3.0)),
            Self::List => Some((2_700.0, 2.0)),
            Self::Tree | Self::SameTree => Some((1_200.0, 2.0)),
            Self::Create => Some((6_300.0, 3.0)),
            Self::Filtered | Self::CreateNested => None,
        }
    }

    fn document(self) -> &'static str {
        match self {
            Self::ById => BY_ID,
            Self::List => LIST,
            Self::Filtered => FILTERED,
            Self::Tree | Self::SameTree => QUERY,
            Self::Create => CREATE,
            Self::CreateNested => CREATE_ORDER,
        }
    }

    /// Who asks: a name and roles.
    fn caller(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::ById | Self::List | Self::Create => ("seller", &["catalog"]),
            Self::Filtered | Self::Tree | Self::SameTree => ("helper", &["support"]),
            Self::CreateNested => ("user-1", &[]),
        }
    }

    /// Whether it changes something.
    pub fn writes(self) -> bool {
        match self {
            Self::ById | Self::List | Self::Filtered | Self::Tree | Self::SameTree => false,
            Self::Create | Self::CreateNested => true,
        }
    }

    /// The list whose cursors the variables have, and how long it is.
    pub fn list(self, args: &ReadsArgs) -> Option<(&'static str, u64)> {
        match self {
            Self::List => Some(("products", CUSTOMERS)),
            Self::Tree | Self::SameTree => Some(("orders", args.orders)),
            Self::ById | Self::Filtered | Self::Create | Self::CreateNested => None,
        }
    }

    /// The variables of a request, other ones for each number.
    pub fn variables(self, number: u64, cursors: &[String]) -> Value {
        let random = scatter(number);
        match self {
            Self::ById => json!({ "id": type_id::format("product", id(Kind::Product, random % CUSTOMERS)) }),
            Self::List => json!({ "after": cursors[random as usize % (cursors.len() - 100)] }),
            Self::Filtered => {
                let status = STATUSES[(random >> 32) as usize % STATUSES.len()];
                json!({ "status": status, "email": format!("user-{}@example.com", random % CUSTOMERS) })
            }
            Self::Tree => json!({ "after": cursors[random as usize % (cursors.len() - ORDERS as usize)] }),
            Self::SameTree => json!({ "after": cursors[cursors.len() / 2] }),
            // Unique keys ascend, as numbers do that somebody hands out.
            Self::Create => {
                json!({ "input": { "sku": format!("NEW-{number:08}"), "name": "A thing that is sold a lot", "price": "12.50" } })
            }
            Self::CreateNested => {
                let product = |i| type_id::format("product", id(Kind::Product, (random + i * 7919) % CUSTOMERS));
                let line = |i| json!({ "productId": product(i), "quantity": 2, "unitPrice": "12.50" });
                let lines: Vec<Value> = (0..LINES).map(line).collect();
                let customer = type_id::format("customer", id(Kind::Customer, 1));
                json!({ "input": { "customerId": customer, "lines": { "create": lines } } })
            }
        }
    }

    /// Whether an answer is what was asked for, so that nothing else is measured.
    pub fn is_answered(self, data: &Value) -> bool {
        let nodes = |name: &str| data[name]["nodes"].as_array().map_or(0, Vec::len);
        match self {
            Self::ById => data["product"]["sku"].is_string(),
            Self::List => nodes("products") == 100,
            Self::Filtered => data["orders"]["totalCount"].as_u64() == Some(nodes("orders") as u64),
            Self::Tree | Self::SameTree => nodes("orders") as u64 == ORDERS,
            Self::Create => data["createProduct"]["product"]["id"].is_string(),
            Self::CreateNested => data["createOrder"]["order"]["number"].is_string(),
        }
    }
}

/// A number for each number, with no order in it (the finaliser of MurmurHash3).
pub fn scatter(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// What is asked over HTTP, in turn.
pub async fn run(tandem: &Tandem, cases: impl Iterator<Item = Case>, args: &ReadsArgs) -> Result<Vec<(Case, Outcome)>> {
    let mut outcomes = Vec::new();
    for case in cases {
        let measure = async { ask(tandem, case, args, args.seconds * args.rounds as u64).await?.measure().await };
        outcomes.push((case, measure.await.with_context(|| case.name())?));
    }
    Ok(outcomes)
}

/// The case as Tandem is asked it, by somebody who may, to be measured for so long.
pub async fn ask(tandem: &Tandem, case: Case, args: &ReadsArgs, seconds: u64) -> Result<Asked> {
    let (sub, roles) = case.caller();
    let caller = tandem.authorization(sub, roles).await?;
    let mut client = tandem.client(&caller).await?;
    let cursors = match case.list(args) {
        Some((list, count)) => {
            let query = batched::cursor_query(list);
            batched::cursors(list, &query, count, async |query, variables| client.ask(query, variables).await).await?
        }
        None => Vec::new(),
    };
    let load = args.load(tandem.address, seconds).header("authorization", &caller);
    Asked::once(case, &mut client, load, move |number| request(case.document(), &case.variables(number, &cursors)))
        .await
}
