//! The cases in PostGraphile's words. Aliases give its answers the names of Tandem's, so that both can be compared.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::reads::cases::{Case, scatter};
use crate::reads::seed::{CUSTOMERS, Kind, id};

const BY_ID: &str =
    "query($id: UUID!) { product: productByRowId(rowId: $id) { id: rowId sku name price stock version } }";
const LIST: &str =
    "query($after: Cursor) { products: allProducts(first: 100, after: $after) { nodes { id: rowId sku name price } } }";
const TREE: &str = "query($after: Cursor) { orders: allOrders(first: 20, after: $after) { nodes { id: rowId number status \
                    customer: customerByCustomerId { id: rowId name email } lines: orderLinesByOrderId(first: 10) { nodes \
                    { id: rowId quantity unitPrice product: productByProductId { id: rowId sku name price } } } } } }";
const CREATE: &str = "mutation($input: CreateProductInput!) { createProduct(input: $input) { product { id: rowId } } }";
const PRODUCT_CURSORS: &str = "query($after: Cursor) { products: allProducts(first: 1000, after: $after, orderBy: \
                               PRIMARY_KEY_ASC) { edges { cursor } } }";
const ORDER_CURSORS: &str = "query($after: Cursor) { orders: allOrders(first: 1000, after: $after, orderBy: \
                             PRIMARY_KEY_ASC) { edges { cursor } } }";

/// How a case is asked.
pub struct Question {
    /// The request.
    pub document: &'static str,
    /// Its variables, other ones for each number; of some cases they are made of cursors.
    pub variables: fn(u64, &[String]) -> Value,
    /// What is asked for cursors.
    pub cursors: Option<&'static str>,
}

impl Question {
    /// `None` for what it cannot do without plugins: filters over relations, and nested creates.
    pub fn of(case: Case) -> Option<Self> {
        let (document, variables, cursors): (_, fn(u64, &[String]) -> Value, _) = match case {
            Case::ById => (BY_ID, by_id, None),
            Case::List => (LIST, |number, cursors| Case::List.variables(number, cursors), Some(PRODUCT_CURSORS)),
            Case::Tree => (TREE, |number, cursors| Case::Tree.variables(number, cursors), Some(ORDER_CURSORS)),
            Case::SameTree => (TREE, |number, cursors| Case::SameTree.variables(number, cursors), Some(ORDER_CURSORS)),
            Case::Create => (CREATE, create, None),
            Case::Filtered | Case::CreateNested => return None,
        };
        Some(Self { document, variables, cursors })
    }
}

/// Of the same product as Tandem's.
fn by_id(number: u64, _: &[String]) -> Value {
    json!({ "id": id(Kind::Product, scatter(number) % CUSTOMERS) })
}

/// What Tandem adds to a product, the client has to give.
fn create(number: u64, _: &[String]) -> Value {
    let time = "2026-01-01T00:00:00Z";
    json!({ "input": { "product": {
        "rowId": Uuid::now_v7(), "sku": format!("OTHER-{number:08}"), "name": "A thing that is sold a lot", "price": "12.50",
        "stock": 0, "tags": [], "createdAt": time, "updatedAt": time, "version": 1,
    } } })
}
