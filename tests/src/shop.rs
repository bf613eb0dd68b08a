//! Documents for the shipped store.

use serde_json::{Value, json};

use crate::client::text;
use crate::{Caller, Client};

/// Creates a product.
pub const CREATE_PRODUCT: &str = "mutation($input: CreateProductInput!) { createProduct(input: $input) {
    product { id sku name price stock tags cost version createdAt updatedAt }
    change { id cursor position kind version } userErrors { code message path } } }";

/// Changes a product.
pub const UPDATE_PRODUCT: &str = "mutation($input: UpdateProductInput!) { updateProduct(input: $input) {
    product { id sku name price stock tags cost version createdAt updatedAt }
    change { id cursor position kind version } userErrors { code message path } } }";

/// Removes a product.
pub const DELETE_PRODUCT: &str = "mutation($input: DeleteProductInput!) { deleteProduct(input: $input) {
    deletedProductId change { id cursor position kind version } userErrors { code message path } } }";

/// Creates a customer.
pub const CREATE_CUSTOMER: &str = "mutation($input: CreateCustomerInput!) { createCustomer(input: $input) {
    customer { id email name version } change { id cursor position kind } userErrors { code message path } } }";

/// Changes a customer.
pub const UPDATE_CUSTOMER: &str = "mutation($input: UpdateCustomerInput!) { updateCustomer(input: $input) {
    customer { id email name version } change { id cursor position kind } userErrors { code message path } } }";

/// Removes a customer.
pub const DELETE_CUSTOMER: &str = "mutation($input: DeleteCustomerInput!) { deleteCustomer(input: $input) {
    deletedCustomerId change { id cursor position kind } userErrors { code message path } } }";

/// Creates an order with its lines.
pub const CREATE_ORDER: &str = "mutation($input: CreateOrderInput!) { createOrder(input: $input) {
    order { id number status note version customer { id } lines { nodes { id quantity unitPrice product { id } } } }
    change { id cursor position kind } userErrors { code message path } } }";

/// Changes an order.
pub const UPDATE_ORDER: &str = "mutation($input: UpdateOrderInput!) { updateOrder(input: $input) {
    order { id status note version } change { id cursor position kind } userErrors { code message path } } }";

/// Removes an order and its lines.
pub const DELETE_ORDER: &str = "mutation($input: DeleteOrderInput!) { deleteOrder(input: $input) {
    deletedOrderId change { id cursor position kind version } userErrors { code message path } } }";

/// Creates a webhook.
pub const CREATE_WEBHOOK: &str = "mutation($input: CreateWebhookInput!) { createWebhook(input: $input) {
    webhook { id url query events status statusReason owner cursor lag } secret userErrors { code message path } } }";

/// Changes a webhook.
pub const UPDATE_WEBHOOK: &str = "mutation($input: UpdateWebhookInput!) { updateWebhook(input: $input) {
    webhook { id url status statusReason } userErrors { code message path } } }";

/// Gives a webhook a new secret.
pub const ROTATE_SECRET: &str = "mutation($input: RotateWebhookSecretInput!) { rotateWebhookSecret(input: $input) {
    webhook { id publicKey previousSecretUntil } secret userErrors { code message path } } }";

/// Removes a webhook.
pub const DELETE_WEBHOOK: &str = "mutation($input: DeleteWebhookInput!) { deleteWebhook(input: $input) {
    deletedWebhookId userErrors { code message path } } }";

/// The input of a product that violates nothing.
pub fn product(sku: &str) -> Value {
    json!({"sku": sku, "name": format!("Product {sku}"), "price": "9.90"})
}

/// Creates a product as the admin does, and returns its id.
pub async fn add_product(admin: &Client, sku: &str) -> String {
    text(&admin.done(CREATE_PRODUCT, product(sku)).await["product"]["id"])
}

/// Creates the customer whose record belongs to a caller, and returns its id.
pub async fn add_customer(client: &Client, email: &str) -> String {
    text(&client.done(CREATE_CUSTOMER, json!({"email": email})).await["customer"]["id"])
}

/// Creates an order of a customer with one line, and returns its id.
pub async fn add_order(client: &Client, customer: &str, product: &str) -> String {
    let lines = json!({"create": [{"productId": product, "quantity": 1, "unitPrice": "9.90"}]});
    let input = json!({"customerId": customer, "lines": lines});
    text(&client.done(CREATE_ORDER, input).await["order"]["id"])
}

/// The cursor of the present end of the log.
pub async fn now(client: &Client) -> String {
    text(&client.data("{ products(first: 1) { asOf } }", json!({})).await["products"]["asOf"])
}

/// A member of the catalogue team.
pub fn catalog_team() -> Caller {
    Caller::user("kate").role("catalog")
}

/// A member of the support staff.
pub fn support_staff() -> Caller {
    Caller::user("sam").role("support")
}

/// One event as the log tells it to the admin.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number.
    pub position: i64,
    /// Its id.
    pub id: String,
    /// Where it is, for a client.
    pub cursor: String,
    /// CREATED, UPDATED or DELETED.
    pub kind: String,
    /// The type of the row.
    pub ty: String,
    /// The row.
    pub node: String,
    /// The version of the row after it.
    pub version: i64,
    /// The row after it, as far as it is a product; else null.
    pub after: Value,
}

/// The whole log from the beginning, read in pages.
pub async fn log(admin: &Client) -> Vec<Entry> {
    const LOG: &str = "query($after: String) { changes(first: 1000, after: $after) {
        nodes { position id cursor kind type nodeId version ... on ProductChange { after { id sku name stock version } } }
        pageInfo { hasNextPage endCursor } } }";
    let mut entries = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = admin.data(LOG, json!({"after": after})).await;
        let page = &page["changes"];
        entries.extend(page["nodes"].as_array().into_iter().flatten().map(entry));
        if page["pageInfo"]["hasNextPage"] != json!(true) {
            return entries;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

fn entry(node: &Value) -> Entry {
    Entry {
        position: crate::client::number(&node["position"]),
        id: text(&node["id"]),
        cursor: text(&node["cursor"]),
        kind: text(&node["kind"]),
        ty: text(&node["type"]),
        node: text(&node["nodeId"]),
        version: crate::client::number(&node["version"]),
        after: node["after"].clone(),
    }
}

/// Fails unless the log counts 1, 2, 3 … and every row in it is created once, counts its versions without a gap and is
/// deleted at most once, last.
pub fn assert_sound(log: &[Entry]) {
    use std::collections::HashMap;
    let mut versions: HashMap<&str, (i64, bool)> = HashMap::new();
    for (entry, expected) in log.iter().zip(1..) {
        assert_eq!(entry.position, expected, "positions are gapless: {entry:?}");
        let before = versions.insert(&entry.node, (entry.version, entry.kind == "DELETED"));
        match before {
            None => assert_eq!((entry.kind.as_str(), entry.version), ("CREATED", 1), "a row begins: {entry:?}"),
            Some((version, deleted)) => {
                assert!(!deleted, "nothing happens to a row that is gone: {entry:?}");
                assert_ne!(entry.kind, "CREATED", "a row is created once: {entry:?}");
                assert_eq!(entry.version, version + 1, "versions count in the order of the log: {entry:?}");
            }
        }
    }
}
