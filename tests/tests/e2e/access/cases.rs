//! The table of cases.

use tandem_tests::Caller;
use tandem_tests::shop::{catalog_team, support_staff};

use super::shop::Shop;

/// Which of the three cases of a root field it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A caller without a token.
    Anonymous,
    /// A caller whom the rules refuse this, or a part of it.
    Forbidden,
    /// A caller whom the rules allow it.
    Allowed,
}

/// What is expected; pointers lead into `data`.
pub enum Expect {
    /// There is something, and no error.
    Shows(&'static str),
    /// There is null or an empty list, and no error: what one may not see does not exist.
    Hides(&'static str),
    /// A list has exactly these rows, of which this field is the id.
    Lists(&'static str, &'static str, &'static [&'static str]),
    /// An error with this code.
    Code(&'static str),
    /// The mutation succeeds.
    Done(&'static str),
    /// The mutation has a user error with one of these codes.
    Denied(&'static str, &'static [&'static str]),
    /// The subscription brings the changes of exactly these rows.
    Follows(&'static [&'static str]),
}

/// One case.
pub struct Access {
    pub field: &'static str,
    pub kind: Kind,
    pub token: fn(&Shop) -> Option<String>,
    pub document: &'static str,
    pub expect: Expect,
}

use Expect::{Code, Denied, Done, Follows, Hides, Lists, Shows};
use Kind::{Allowed, Anonymous, Forbidden};

const fn access(
    field: &'static str,
    kind: Kind,
    token: fn(&Shop) -> Option<String>,
    document: &'static str,
    expect: Expect,
) -> Access {
    Access { field, kind, token, document, expect }
}

fn nobody(_: &Shop) -> Option<String> {
    None
}

/// A token that somebody else signed.
fn forger(_: &Shop) -> Option<String> {
    let claims = serde_json::json!({"sub": "root", "roles": ["admin"], "exp": 4_102_444_800_u64});
    let claims = claims.as_object().cloned().unwrap_or_default();
    Some(tandem_tests::caller::sign(&claims, "not the secret of this server, though as long"))
}

fn alice(shop: &Shop) -> Option<String> {
    shop.alice().token()
}

fn bob(shop: &Shop) -> Option<String> {
    shop.bob().token()
}

fn carol(shop: &Shop) -> Option<String> {
    shop.carol().token()
}

fn newcomer(shop: &Shop) -> Option<String> {
    shop.newcomer().token()
}

fn support(_: &Shop) -> Option<String> {
    support_staff().token()
}

fn catalog(_: &Shop) -> Option<String> {
    catalog_team().token()
}

fn admin(_: &Shop) -> Option<String> {
    Caller::admin().token()
}

const NODE: &str = "query($aliceOrder: ID!) { node(id: $aliceOrder) { id } }";
const NODES: &str = "query($aliceOrder: ID!, $aliceWebhook: ID!) { nodes(ids: [$aliceOrder, $aliceWebhook]) { id } }";
const VIEWER: &str = "{ viewer { sub } }";
const CUSTOMER: &str = "query($aliceCustomer: ID!) { customer(by: {id: $aliceCustomer}) { id email } }";
const CUSTOMERS: &str = "query($aliceCustomer: ID!, $bobCustomer: ID!) {
    customers(filter: {id: {in: [$aliceCustomer, $bobCustomer]}}, orderBy: [{createdAt: ASC}]) { nodes { id } } }";
const PRODUCT: &str = "query($product: ID!) { product(by: {id: $product}) { sku } }";
const PRODUCT_COST: &str = "query($product: ID!) { product(by: {id: $product}) { cost } }";
const PRODUCTS: &str = "query($product: ID!) { products(filter: {id: {eq: $product}}) { nodes { id } } }";
const PRODUCTS_BY_COST: &str = "{ products(filter: {cost: {gt: \"1.00\"}}) { nodes { id } } }";
const ORDER: &str = "query($aliceOrder: ID!) { order(by: {id: $aliceOrder}) { id } }";
const ORDERS: &str = "query($aliceOrder: ID!, $bobOrder: ID!) {
    orders(filter: {id: {in: [$aliceOrder, $bobOrder]}}, orderBy: [{createdAt: ASC}]) { nodes { id } } }";
const LOG: &str =
    "query($start: String) { changes(after: $start, types: [\"Order\", \"OrderLine\"]) { nodes { nodeId } } }";
const WEBHOOK: &str = "query($aliceWebhook: ID!) { webhook(id: $aliceWebhook) { id } }";
const WEBHOOKS: &str = "{ webhooks { nodes { id } } }";

const CREATE_CUSTOMER: &str =
    "mutation($email: String!) { createCustomer(input: {email: $email}) { userErrors { code path } } }";
const UPDATE_CUSTOMER: &str = "mutation($aliceCustomer: ID!) {
    updateCustomer(input: {id: $aliceCustomer, patch: {name: \"Alice\"}}) { userErrors { code path } } }";
const DELETE_CUSTOMER: &str =
    "mutation($carolCustomer: ID!) { deleteCustomer(input: {id: $carolCustomer}) { userErrors { code path } } }";
const CREATE_PRODUCT: &str = "mutation($sku: String!) {
    createProduct(input: {sku: $sku, name: \"New\", price: \"1.00\"}) { userErrors { code path } } }";
const UPDATE_PRODUCT: &str = "mutation($product: ID!) {
    updateProduct(input: {id: $product, patch: {stock: 7}}) { userErrors { code path } } }";
const DELETE_PRODUCT: &str = "mutation($last: ID!) { deleteProduct(input: {id: $last}) { userErrors { code path } } }";
const CREATE_ORDER: &str =
    "mutation($aliceCustomer: ID!) { createOrder(input: {customerId: $aliceCustomer}) { userErrors { code path } } }";
const UPDATE_ORDER: &str = "mutation($aliceOrder: ID!) {
    updateOrder(input: {id: $aliceOrder, patch: {status: PLACED}}) { userErrors { code path } } }";
const DELETE_ORDER: &str =
    "mutation($aliceOrder: ID!) { deleteOrder(input: {id: $aliceOrder}) { userErrors { code path } } }";
const UPSERT_CUSTOMER: &str = "mutation($email: String!) { upsertCustomer(input: {by: {email: $email},
    create: {email: $email}, update: {}}) { userErrors { code path } } }";
const UPSERT_ALICE: &str =
    "mutation($aliceCustomer: ID!, $email: String!) { upsertCustomer(input: {by: {id: $aliceCustomer},
    create: {email: $email}, update: {name: \"Alice\"}}) { userErrors { code path } } }";
const CREATE_CUSTOMERS: &str =
    "mutation($email: String!) { createCustomers(input: {items: [{email: $email}]}) { userErrors { code path } } }";
const UPDATE_CUSTOMERS: &str = "mutation($aliceCustomer: ID!) { updateCustomers(input: {atMost: 1,
    filter: {id: {eq: $aliceCustomer}}, patch: {name: \"Alice\"}}) { customers { id } userErrors { code path } } }";
const DELETE_CUSTOMERS: &str = "mutation($carolCustomer: ID!) { deleteCustomers(input: {atMost: 1,
    filter: {id: {eq: $carolCustomer}}}) { deletedCustomerIds userErrors { code path } } }";
const UPSERT_PRODUCT: &str = "mutation($sku: String!) { upsertProduct(input: {by: {sku: $sku},
    create: {sku: $sku, name: \"New\", price: \"1.00\"}, update: {stock: 1}}) { userErrors { code path } } }";
const CREATE_PRODUCTS: &str = "mutation($sku: String!) { createProducts(input: {mode: INDEPENDENT,
    items: [{sku: $sku, name: \"New\", price: \"1.00\"}]}) { userErrors { code path } } }";
const UPDATE_PRODUCTS: &str = "mutation($product: ID!) { updateProducts(input: {atMost: 1,
    filter: {id: {eq: $product}}, patch: {stock: 7}}) { userErrors { code path } } }";
const UPDATE_PRODUCTS_BY_COST: &str = "mutation { updateProducts(input: {atMost: 0, filter: {cost: {lt: \"0\"}},
    patch: {stock: 7}}) { userErrors { code path } } }";
const DELETE_PRODUCTS: &str = "mutation($last: ID!) { deleteProducts(input: {atMost: 1, filter: {id: {eq: $last}}}) { userErrors { code path } } }";
const CREATE_ORDERS: &str =
    "mutation($aliceCustomer: ID!) { createOrders(input: {items: [{customerId: $aliceCustomer}]}) {
    userErrors { code path } } }";
const UPDATE_ORDERS: &str = "mutation($aliceOrder: ID!) { updateOrders(input: {atMost: 1,
    filter: {id: {eq: $aliceOrder}}, patch: {status: PLACED}}) { orders { id } userErrors { code path } } }";
const DELETE_ORDERS: &str =
    "mutation($aliceOrder: ID!) { deleteOrders(input: {atMost: 1, filter: {id: {eq: $aliceOrder}}}) {
    deletedOrderIds userErrors { code path } } }";
const CREATE_WEBHOOK: &str =
    "mutation { createWebhook(input: {url: \"http://127.0.0.1:9/\", events: [\"customer.deleted\"]}) {
    userErrors { code path } } }";
const CREATE_COST_WEBHOOK: &str = "mutation { createWebhook(input: {url: \"http://127.0.0.1:9/\",
    query: \"subscription { productChanged { after { cost } } }\"}) { userErrors { code path } } }";
const UPDATE_WEBHOOK: &str = "mutation($aliceWebhook: ID!) {
    updateWebhook(input: {id: $aliceWebhook, status: PAUSED}) { userErrors { code path } } }";
const ROTATE_SECRET: &str = "mutation($aliceWebhook: ID!) {
    rotateWebhookSecret(input: {id: $aliceWebhook}) { userErrors { code path } } }";
const WEBHOOK_ROLES: &str = "mutation($aliceWebhook: ID!) {
    updateWebhook(input: {id: $aliceWebhook, roles: [\"admin\"]}) { userErrors { code path } } }";
const DELETE_WEBHOOK: &str =
    "mutation($aliceWebhook: ID!) { deleteWebhook(input: {id: $aliceWebhook}) { userErrors { code path } } }";

const PING_WEBHOOK: &str =
    "mutation($aliceWebhook: ID!) { pingWebhook(input: {id: $aliceWebhook}) { userErrors { code path } } }";
const RETRY_DELIVERY: &str = "mutation($aliceDelivery: ID!) {
    retryDelivery(input: {id: $aliceDelivery}) { userErrors { code path } } }";
const REPLAY_WEBHOOK: &str = "mutation($aliceWebhook: ID!, $start: String) {
    replayWebhook(input: {id: $aliceWebhook, after: $start, dryRun: true}) { userErrors { code path } } }";
const CANCEL_REPLAY: &str =
    "mutation($aliceReplay: ID!) { cancelReplay(input: {id: $aliceReplay}) { userErrors { code path } } }";

const DELIVERY_ATTEMPTED: &str =
    "subscription($aliceWebhook: ID!) { deliveryAttempted(webhookId: $aliceWebhook) { nodeId: cursor } }";
const WEBHOOK_STATUS_CHANGED: &str =
    "subscription($start: String) { webhookStatusChanged(after: $start) { nodeId: webhookId } }";
const ONE_WEBHOOK_STATUS_CHANGED: &str = "subscription($aliceWebhook: ID!, $start: String) {
    webhookStatusChanged(webhookId: $aliceWebhook, after: $start) { nodeId: webhookId } }";
const CUSTOMER_CHANGED: &str = "subscription($start: String) { customerChanged(after: $start) { nodeId } }";
const PRODUCT_CHANGED: &str = "subscription($start: String) { productChanged(after: $start) { nodeId } }";
const PRODUCT_CHANGED_BY_COST: &str = "subscription { productChanged(filter: {cost: {gt: \"1.00\"}}) { nodeId } }";
const ORDER_CHANGED: &str = "subscription($start: String) { orderChanged(after: $start) { nodeId } }";
const CHANGES: &str = "subscription($start: String) { changes(after: $start) { nodeId } }";

/// All cases.
pub const TABLE: &[Access] = &[
    access("Query.node", Anonymous, nobody, NODE, Hides("/node")),
    access("Query.node", Forbidden, bob, NODE, Hides("/node")),
    access("Query.node", Forbidden, catalog, NODE, Hides("/node")),
    access("Query.node", Allowed, alice, NODE, Shows("/node")),
    access("Query.node", Allowed, support, NODE, Shows("/node")),
    access("Query.node", Allowed, admin, NODE, Shows("/node")),
    access("Query.nodes", Anonymous, nobody, NODES, Hides("/nodes/0")),
    access("Query.nodes", Anonymous, nobody, NODES, Hides("/nodes/1")),
    access("Query.nodes", Forbidden, bob, NODES, Hides("/nodes/0")),
    access("Query.nodes", Forbidden, bob, NODES, Hides("/nodes/1")),
    access("Query.nodes", Allowed, alice, NODES, Lists("/nodes", "id", &["aliceOrder", "aliceWebhook"])),
    access("Query.nodes", Allowed, support, NODES, Shows("/nodes/0")),
    access("Query.viewer", Anonymous, nobody, VIEWER, Hides("/viewer/sub")),
    access("Query.viewer", Forbidden, forger, VIEWER, Code("UNAUTHENTICATED")),
    access("Query.viewer", Allowed, alice, VIEWER, Shows("/viewer/sub")),
    access("Query.customer", Anonymous, nobody, CUSTOMER, Hides("/customer")),
    access("Query.customer", Forbidden, bob, CUSTOMER, Hides("/customer")),
    access("Query.customer", Forbidden, catalog, CUSTOMER, Hides("/customer")),
    access("Query.customer", Allowed, alice, CUSTOMER, Shows("/customer/email")),
    access("Query.customer", Allowed, support, CUSTOMER, Shows("/customer/email")),
    access("Query.customer", Allowed, admin, CUSTOMER, Shows("/customer/email")),
    access("Query.customers", Anonymous, nobody, CUSTOMERS, Hides("/customers/nodes")),
    access("Query.customers", Forbidden, catalog, CUSTOMERS, Hides("/customers/nodes")),
    access("Query.customers", Forbidden, bob, CUSTOMERS, Lists("/customers/nodes", "id", &["bobCustomer"])),
    access(
        "Query.customers",
        Allowed,
        support,
        CUSTOMERS,
        Lists("/customers/nodes", "id", &["aliceCustomer", "bobCustomer"]),
    ),
    access("Query.product", Anonymous, nobody, PRODUCT, Shows("/product/sku")),
    access("Query.product", Anonymous, nobody, PRODUCT_COST, Code("FORBIDDEN")),
    access("Query.product", Forbidden, support, PRODUCT_COST, Code("FORBIDDEN")),
    access("Query.product", Allowed, catalog, PRODUCT_COST, Shows("/product/cost")),
    access("Query.product", Allowed, admin, PRODUCT_COST, Shows("/product/cost")),
    access("Query.products", Anonymous, nobody, PRODUCTS, Lists("/products/nodes", "id", &["product"])),
    access("Query.products", Forbidden, alice, PRODUCTS_BY_COST, Code("FORBIDDEN")),
    access("Query.products", Allowed, catalog, PRODUCTS_BY_COST, Shows("/products/nodes")),
    access("Query.order", Anonymous, nobody, ORDER, Hides("/order")),
    access("Query.order", Forbidden, bob, ORDER, Hides("/order")),
    access("Query.order", Forbidden, catalog, ORDER, Hides("/order")),
    access("Query.order", Allowed, alice, ORDER, Shows("/order")),
    access("Query.order", Allowed, support, ORDER, Shows("/order")),
    access("Query.orders", Anonymous, nobody, ORDERS, Hides("/orders/nodes")),
    access("Query.orders", Forbidden, bob, ORDERS, Lists("/orders/nodes", "id", &["bobOrder"])),
    access("Query.orders", Allowed, support, ORDERS, Lists("/orders/nodes", "id", &["aliceOrder", "bobOrder"])),
    access("Query.changes", Anonymous, nobody, LOG, Hides("/changes/nodes")),
    access("Query.changes", Forbidden, bob, LOG, Lists("/changes/nodes", "nodeId", &["bobOrder", "bobLine"])),
    access(
        "Query.changes",
        Allowed,
        support,
        LOG,
        Lists("/changes/nodes", "nodeId", &["aliceOrder", "aliceLine", "bobOrder", "bobLine"]),
    ),
    access("Query.webhook", Anonymous, nobody, WEBHOOK, Hides("/webhook")),
    access("Query.webhook", Forbidden, bob, WEBHOOK, Hides("/webhook")),
    access("Query.webhook", Allowed, alice, WEBHOOK, Shows("/webhook")),
    access("Query.webhook", Allowed, admin, WEBHOOK, Shows("/webhook")),
    access("Query.webhooks", Anonymous, nobody, WEBHOOKS, Hides("/webhooks/nodes")),
    access("Query.webhooks", Forbidden, bob, WEBHOOKS, Hides("/webhooks/nodes")),
    access("Query.webhooks", Allowed, alice, WEBHOOKS, Lists("/webhooks/nodes", "id", &["aliceWebhook"])),
    access("Mutation.createCustomer", Anonymous, nobody, CREATE_CUSTOMER, Denied("createCustomer", &["FORBIDDEN"])),
    // Whoever has a token may make the record that is theirs, so only a token that is none is refused.
    access("Mutation.createCustomer", Forbidden, forger, CREATE_CUSTOMER, Code("UNAUTHENTICATED")),
    access("Mutation.createCustomer", Allowed, newcomer, CREATE_CUSTOMER, Done("createCustomer")),
    access("Mutation.updateCustomer", Anonymous, nobody, UPDATE_CUSTOMER, Denied("updateCustomer", &["NOT_FOUND"])),
    access("Mutation.updateCustomer", Forbidden, bob, UPDATE_CUSTOMER, Denied("updateCustomer", &["NOT_FOUND"])),
    access("Mutation.updateCustomer", Forbidden, support, UPDATE_CUSTOMER, Denied("updateCustomer", &["FORBIDDEN"])),
    access("Mutation.updateCustomer", Allowed, alice, UPDATE_CUSTOMER, Done("updateCustomer")),
    access("Mutation.deleteCustomer", Anonymous, nobody, DELETE_CUSTOMER, Denied("deleteCustomer", &["NOT_FOUND"])),
    access("Mutation.deleteCustomer", Forbidden, bob, DELETE_CUSTOMER, Denied("deleteCustomer", &["NOT_FOUND"])),
    access("Mutation.deleteCustomer", Forbidden, support, DELETE_CUSTOMER, Denied("deleteCustomer", &["FORBIDDEN"])),
    access("Mutation.deleteCustomer", Allowed, carol, DELETE_CUSTOMER, Done("deleteCustomer")),
    access("Mutation.createProduct", Anonymous, nobody, CREATE_PRODUCT, Denied("createProduct", &["FORBIDDEN"])),
    access("Mutation.createProduct", Forbidden, alice, CREATE_PRODUCT, Denied("createProduct", &["FORBIDDEN"])),
    access("Mutation.createProduct", Allowed, catalog, CREATE_PRODUCT, Done("createProduct")),
    access("Mutation.updateProduct", Anonymous, nobody, UPDATE_PRODUCT, Denied("updateProduct", &["FORBIDDEN"])),
    access("Mutation.updateProduct", Forbidden, support, UPDATE_PRODUCT, Denied("updateProduct", &["FORBIDDEN"])),
    access("Mutation.updateProduct", Allowed, catalog, UPDATE_PRODUCT, Done("updateProduct")),
    access("Mutation.deleteProduct", Anonymous, nobody, DELETE_PRODUCT, Denied("deleteProduct", &["FORBIDDEN"])),
    access("Mutation.deleteProduct", Forbidden, alice, DELETE_PRODUCT, Denied("deleteProduct", &["FORBIDDEN"])),
    access("Mutation.deleteProduct", Allowed, catalog, DELETE_PRODUCT, Done("deleteProduct")),
    access("Mutation.createOrder", Anonymous, nobody, CREATE_ORDER, Denied("createOrder", &["FORBIDDEN", "NOT_FOUND"])),
    access("Mutation.createOrder", Forbidden, bob, CREATE_ORDER, Denied("createOrder", &["FORBIDDEN", "NOT_FOUND"])),
    access("Mutation.createOrder", Forbidden, support, CREATE_ORDER, Denied("createOrder", &["FORBIDDEN"])),
    access("Mutation.createOrder", Allowed, alice, CREATE_ORDER, Done("createOrder")),
    access("Mutation.updateOrder", Anonymous, nobody, UPDATE_ORDER, Denied("updateOrder", &["NOT_FOUND"])),
    access("Mutation.updateOrder", Forbidden, bob, UPDATE_ORDER, Denied("updateOrder", &["NOT_FOUND"])),
    access("Mutation.updateOrder", Allowed, alice, UPDATE_ORDER, Done("updateOrder")),
    access("Mutation.updateOrder", Allowed, support, UPDATE_ORDER, Done("updateOrder")),
    access("Mutation.deleteOrder", Anonymous, nobody, DELETE_ORDER, Denied("deleteOrder", &["NOT_FOUND"])),
    access("Mutation.deleteOrder", Forbidden, support, DELETE_ORDER, Denied("deleteOrder", &["FORBIDDEN"])),
    access("Mutation.deleteOrder", Allowed, alice, DELETE_ORDER, Done("deleteOrder")),
    access("Mutation.upsertCustomer", Anonymous, nobody, UPSERT_CUSTOMER, Denied("upsertCustomer", &["FORBIDDEN"])),
    access("Mutation.upsertCustomer", Anonymous, nobody, UPSERT_ALICE, Denied("upsertCustomer", &["NOT_FOUND"])),
    access("Mutation.upsertCustomer", Forbidden, bob, UPSERT_ALICE, Denied("upsertCustomer", &["NOT_FOUND"])),
    access("Mutation.upsertCustomer", Forbidden, support, UPSERT_ALICE, Denied("upsertCustomer", &["FORBIDDEN"])),
    access("Mutation.upsertCustomer", Allowed, alice, UPSERT_ALICE, Done("upsertCustomer")),
    access("Mutation.upsertCustomer", Allowed, newcomer, UPSERT_CUSTOMER, Done("upsertCustomer")),
    access("Mutation.createCustomers", Anonymous, nobody, CREATE_CUSTOMERS, Denied("createCustomers", &["FORBIDDEN"])),
    access("Mutation.createCustomers", Forbidden, forger, CREATE_CUSTOMERS, Code("UNAUTHENTICATED")),
    access("Mutation.createCustomers", Allowed, newcomer, CREATE_CUSTOMERS, Done("createCustomers")),
    // Rows that the caller may not see do not match.
    access("Mutation.updateCustomers", Anonymous, nobody, UPDATE_CUSTOMERS, Hides("/updateCustomers/customers")),
    access("Mutation.updateCustomers", Forbidden, bob, UPDATE_CUSTOMERS, Hides("/updateCustomers/customers")),
    access("Mutation.updateCustomers", Forbidden, support, UPDATE_CUSTOMERS, Denied("updateCustomers", &["FORBIDDEN"])),
    access("Mutation.updateCustomers", Allowed, alice, UPDATE_CUSTOMERS, Shows("/updateCustomers/customers")),
    access(
        "Mutation.deleteCustomers",
        Anonymous,
        nobody,
        DELETE_CUSTOMERS,
        Hides("/deleteCustomers/deletedCustomerIds"),
    ),
    access("Mutation.deleteCustomers", Forbidden, bob, DELETE_CUSTOMERS, Hides("/deleteCustomers/deletedCustomerIds")),
    access("Mutation.deleteCustomers", Forbidden, support, DELETE_CUSTOMERS, Denied("deleteCustomers", &["FORBIDDEN"])),
    access("Mutation.deleteCustomers", Allowed, carol, DELETE_CUSTOMERS, Shows("/deleteCustomers/deletedCustomerIds")),
    access("Mutation.upsertProduct", Anonymous, nobody, UPSERT_PRODUCT, Denied("upsertProduct", &["FORBIDDEN"])),
    access("Mutation.upsertProduct", Forbidden, alice, UPSERT_PRODUCT, Denied("upsertProduct", &["FORBIDDEN"])),
    access("Mutation.upsertProduct", Allowed, catalog, UPSERT_PRODUCT, Done("upsertProduct")),
    access("Mutation.createProducts", Anonymous, nobody, CREATE_PRODUCTS, Denied("createProducts", &["FORBIDDEN"])),
    access("Mutation.createProducts", Forbidden, alice, CREATE_PRODUCTS, Denied("createProducts", &["FORBIDDEN"])),
    access("Mutation.createProducts", Allowed, catalog, CREATE_PRODUCTS, Done("createProducts")),
    access("Mutation.updateProducts", Anonymous, nobody, UPDATE_PRODUCTS, Denied("updateProducts", &["FORBIDDEN"])),
    access("Mutation.updateProducts", Forbidden, alice, UPDATE_PRODUCTS, Denied("updateProducts", &["FORBIDDEN"])),
    access("Mutation.updateProducts", Forbidden, alice, UPDATE_PRODUCTS_BY_COST, Code("FORBIDDEN")),
    access("Mutation.updateProducts", Allowed, catalog, UPDATE_PRODUCTS, Done("updateProducts")),
    access("Mutation.deleteProducts", Anonymous, nobody, DELETE_PRODUCTS, Denied("deleteProducts", &["FORBIDDEN"])),
    access("Mutation.deleteProducts", Forbidden, support, DELETE_PRODUCTS, Denied("deleteProducts", &["FORBIDDEN"])),
    access("Mutation.deleteProducts", Allowed, catalog, DELETE_PRODUCTS, Done("deleteProducts")),
    access("Mutation.createOrders", Anonymous, nobody, CREATE_ORDERS, Denied("createOrders", &["NOT_FOUND"])),
    access("Mutation.createOrders", Forbidden, bob, CREATE_ORDERS, Denied("createOrders", &["NOT_FOUND"])),
    access("Mutation.createOrders", Forbidden, support, CREATE_ORDERS, Denied("createOrders", &["FORBIDDEN"])),
    access("Mutation.createOrders", Allowed, alice, CREATE_ORDERS, Done("createOrders")),
    access("Mutation.updateOrders", Anonymous, nobody, UPDATE_ORDERS, Hides("/updateOrders/orders")),
    access("Mutation.updateOrders", Forbidden, bob, UPDATE_ORDERS, Hides("/updateOrders/orders")),
    access("Mutation.updateOrders", Allowed, support, UPDATE_ORDERS, Shows("/updateOrders/orders")),
    access("Mutation.deleteOrders", Anonymous, nobody, DELETE_ORDERS, Hides("/deleteOrders/deletedOrderIds")),
    access("Mutation.deleteOrders", Forbidden, bob, DELETE_ORDERS, Hides("/deleteOrders/deletedOrderIds")),
    access("Mutation.deleteOrders", Forbidden, support, DELETE_ORDERS, Denied("deleteOrders", &["FORBIDDEN"])),
    access("Mutation.deleteOrders", Allowed, alice, DELETE_ORDERS, Shows("/deleteOrders/deletedOrderIds")),
    access("Mutation.createWebhook", Anonymous, nobody, CREATE_WEBHOOK, Denied("createWebhook", &["FORBIDDEN"])),
    access("Mutation.createWebhook", Forbidden, alice, CREATE_COST_WEBHOOK, Denied("createWebhook", &["FORBIDDEN"])),
    access("Mutation.createWebhook", Allowed, alice, CREATE_WEBHOOK, Done("createWebhook")),
    access("Mutation.createWebhook", Allowed, catalog, CREATE_COST_WEBHOOK, Done("createWebhook")),
    access("Mutation.updateWebhook", Anonymous, nobody, UPDATE_WEBHOOK, Denied("updateWebhook", &["NOT_FOUND"])),
    access("Mutation.updateWebhook", Forbidden, bob, UPDATE_WEBHOOK, Denied("updateWebhook", &["NOT_FOUND"])),
    access("Mutation.updateWebhook", Forbidden, alice, WEBHOOK_ROLES, Denied("updateWebhook", &["FORBIDDEN"])),
    access("Mutation.updateWebhook", Allowed, alice, UPDATE_WEBHOOK, Done("updateWebhook")),
    access("Mutation.updateWebhook", Allowed, admin, WEBHOOK_ROLES, Done("updateWebhook")),
    access(
        "Mutation.rotateWebhookSecret",
        Anonymous,
        nobody,
        ROTATE_SECRET,
        Denied("rotateWebhookSecret", &["NOT_FOUND"]),
    ),
    access(
        "Mutation.rotateWebhookSecret",
        Forbidden,
        bob,
        ROTATE_SECRET,
        Denied("rotateWebhookSecret", &["NOT_FOUND"]),
    ),
    access("Mutation.rotateWebhookSecret", Allowed, alice, ROTATE_SECRET, Done("rotateWebhookSecret")),
    access("Mutation.rotateWebhookSecret", Allowed, admin, ROTATE_SECRET, Done("rotateWebhookSecret")),
    access("Mutation.deleteWebhook", Anonymous, nobody, DELETE_WEBHOOK, Denied("deleteWebhook", &["NOT_FOUND"])),
    access("Mutation.deleteWebhook", Forbidden, bob, DELETE_WEBHOOK, Denied("deleteWebhook", &["NOT_FOUND"])),
    access("Mutation.deleteWebhook", Allowed, alice, DELETE_WEBHOOK, Done("deleteWebhook")),
    access("Mutation.deleteWebhook", Allowed, admin, DELETE_WEBHOOK, Done("deleteWebhook")),
    access("Mutation.pingWebhook", Anonymous, nobody, PING_WEBHOOK, Denied("pingWebhook", &["NOT_FOUND"])),
    access("Mutation.pingWebhook", Forbidden, bob, PING_WEBHOOK, Denied("pingWebhook", &["NOT_FOUND"])),
    access("Mutation.pingWebhook", Allowed, alice, PING_WEBHOOK, Done("pingWebhook")),
    access("Mutation.pingWebhook", Allowed, admin, PING_WEBHOOK, Done("pingWebhook")),
    access("Mutation.retryDelivery", Anonymous, nobody, RETRY_DELIVERY, Denied("retryDelivery", &["NOT_FOUND"])),
    access("Mutation.retryDelivery", Forbidden, bob, RETRY_DELIVERY, Denied("retryDelivery", &["NOT_FOUND"])),
    access("Mutation.retryDelivery", Allowed, alice, RETRY_DELIVERY, Done("retryDelivery")),
    access("Mutation.retryDelivery", Allowed, admin, RETRY_DELIVERY, Done("retryDelivery")),
    access("Mutation.replayWebhook", Anonymous, nobody, REPLAY_WEBHOOK, Denied("replayWebhook", &["NOT_FOUND"])),
    access("Mutation.replayWebhook", Forbidden, bob, REPLAY_WEBHOOK, Denied("replayWebhook", &["NOT_FOUND"])),
    access("Mutation.replayWebhook", Allowed, alice, REPLAY_WEBHOOK, Done("replayWebhook")),
    access("Mutation.replayWebhook", Allowed, admin, REPLAY_WEBHOOK, Done("replayWebhook")),
    access("Mutation.cancelReplay", Anonymous, nobody, CANCEL_REPLAY, Denied("cancelReplay", &["NOT_FOUND"])),
    access("Mutation.cancelReplay", Forbidden, bob, CANCEL_REPLAY, Denied("cancelReplay", &["NOT_FOUND"])),
    access("Mutation.cancelReplay", Allowed, alice, CANCEL_REPLAY, Done("cancelReplay")),
    access("Mutation.cancelReplay", Allowed, admin, CANCEL_REPLAY, Done("cancelReplay")),
    access("Subscription.deliveryAttempted", Anonymous, nobody, DELIVERY_ATTEMPTED, Code("BAD_USER_INPUT")),
    access("Subscription.deliveryAttempted", Forbidden, bob, DELIVERY_ATTEMPTED, Code("BAD_USER_INPUT")),
    access("Subscription.deliveryAttempted", Allowed, alice, DELIVERY_ATTEMPTED, Follows(&[])),
    access("Subscription.deliveryAttempted", Allowed, admin, DELIVERY_ATTEMPTED, Follows(&[])),
    access("Subscription.webhookStatusChanged", Anonymous, nobody, WEBHOOK_STATUS_CHANGED, Follows(&[])),
    access("Subscription.webhookStatusChanged", Anonymous, nobody, ONE_WEBHOOK_STATUS_CHANGED, Code("BAD_USER_INPUT")),
    access("Subscription.webhookStatusChanged", Forbidden, bob, WEBHOOK_STATUS_CHANGED, Follows(&[])),
    access("Subscription.webhookStatusChanged", Forbidden, bob, ONE_WEBHOOK_STATUS_CHANGED, Code("BAD_USER_INPUT")),
    access("Subscription.webhookStatusChanged", Allowed, alice, WEBHOOK_STATUS_CHANGED, Follows(&["aliceWebhook"])),
    access("Subscription.webhookStatusChanged", Allowed, admin, ONE_WEBHOOK_STATUS_CHANGED, Follows(&["aliceWebhook"])),
    access("Subscription.customerChanged", Anonymous, nobody, CUSTOMER_CHANGED, Follows(&[])),
    access("Subscription.customerChanged", Forbidden, bob, CUSTOMER_CHANGED, Follows(&["bobCustomer"])),
    access(
        "Subscription.customerChanged",
        Allowed,
        support,
        CUSTOMER_CHANGED,
        Follows(&["aliceCustomer", "bobCustomer", "carolCustomer"]),
    ),
    access("Subscription.productChanged", Anonymous, nobody, PRODUCT_CHANGED, Follows(&["product", "last"])),
    access("Subscription.productChanged", Forbidden, alice, PRODUCT_CHANGED_BY_COST, Code("FORBIDDEN")),
    access("Subscription.productChanged", Allowed, catalog, PRODUCT_CHANGED, Follows(&["product", "last"])),
    access("Subscription.orderChanged", Anonymous, nobody, ORDER_CHANGED, Follows(&[])),
    access("Subscription.orderChanged", Forbidden, bob, ORDER_CHANGED, Follows(&["bobOrder"])),
    access("Subscription.orderChanged", Allowed, support, ORDER_CHANGED, Follows(&["aliceOrder", "bobOrder"])),
    access("Subscription.changes", Anonymous, nobody, CHANGES, Follows(&["product", "last"])),
    access(
        "Subscription.changes",
        Forbidden,
        alice,
        CHANGES,
        Follows(&["product", "aliceCustomer", "aliceOrder", "aliceLine", "last"]),
    ),
    access(
        "Subscription.changes",
        Allowed,
        admin,
        CHANGES,
        Follows(&[
            "product",
            "aliceCustomer",
            "bobCustomer",
            "carolCustomer",
            "aliceOrder",
            "aliceLine",
            "bobOrder",
            "bobLine",
            "last",
        ]),
    ),
];
