//! A small world for one case: two customers with an order each, products, a webhook.

use serde_json::{Map, Value, json};
use tandem_tests::client::text;
use tandem_tests::shop::{
    self, CREATE_ORDER, CREATE_PRODUCT, CREATE_WEBHOOK, UPDATE_WEBHOOK, add_customer, add_product,
};
use tandem_tests::{Caller, Server, wait};

/// What a case works with. Many can live on one server: all that is unique carries their number.
pub struct Shop {
    number: usize,
    variables: Map<String, Value>,
}

impl Shop {
    /// Writes it, in an order that the subscription cases rely on.
    pub async fn build(server: &Server, number: usize) -> Self {
        let mut shop = Self { number, variables: Map::new() };
        let admin = server.client(&Caller::admin());
        shop.set("start", shop::now(&admin).await);
        shop.set("sku", format!("NEW-{number}"));
        shop.set("email", format!("new-{number}@example.org"));
        let mut product = shop::product(&format!("SKU-{number}"));
        product["cost"] = json!("5.00");
        shop.set("product", text(&admin.done(CREATE_PRODUCT, product).await["product"]["id"]));
        let (alice, bob, carol) =
            (server.client(&shop.alice()), server.client(&shop.bob()), server.client(&shop.carol()));
        shop.set("aliceCustomer", add_customer(&alice, &format!("alice-{number}@example.org")).await);
        shop.set("bobCustomer", add_customer(&bob, &format!("bob-{number}@example.org")).await);
        shop.set("carolCustomer", add_customer(&carol, &format!("carol-{number}@example.org")).await);
        for (client, name) in [(&alice, "alice"), (&bob, "bob")] {
            let lines = json!({"create": [{"productId": shop.id("product"), "quantity": 1, "unitPrice": "9.90"}]});
            let input = json!({"customerId": shop.id(&format!("{name}Customer")), "lines": lines});
            let order = &client.done(CREATE_ORDER, input).await["order"];
            shop.set(&format!("{name}Order"), text(&order["id"]));
            shop.set(&format!("{name}Line"), text(&order["lines"]["nodes"][0]["id"]));
        }
        // Nothing in these tests is one of its events, so that it never calls.
        let input = json!({"url": "http://127.0.0.1:9/", "events": ["customer.deleted"]});
        shop.set("aliceWebhook", text(&alice.done(CREATE_WEBHOOK, input).await["webhook"]["id"]));
        shop.set("last", add_product(&admin, &format!("ZZZ-{number}")).await);
        shop
    }

    /// Has something sent to a webhook of the first customer.
    pub async fn add_delivery(&mut self, server: &Server) {
        let alice = server.client(&self.alice());
        let input = json!({"url": "http://127.0.0.1:9/", "events": ["customer.updated"]});
        let webhook = text(&alice.done(CREATE_WEBHOOK, input).await["webhook"]["id"]);
        let update =
            "mutation($input: UpdateCustomerInput!) { updateCustomer(input: $input) { userErrors { code path } } }";
        alice.done(update, json!({"id": self.id("aliceCustomer"), "patch": {"name": "Alice A."}})).await;
        let query = "query($id: ID!) { webhook(id: $id) { deliveries { nodes { id } } } }";
        let delivery = wait::until("there is a delivery", async || {
            let data = alice.data(query, json!({"id": webhook})).await;
            data["webhook"]["deliveries"]["nodes"][0]["id"].as_str().map(str::to_owned)
        })
        .await;
        self.set("aliceDelivery", delivery);
    }

    /// Begins a replay of the first customer's webhook, which waits because that is paused.
    pub async fn add_replay(&mut self, server: &Server) {
        let alice = server.client(&self.alice());
        let webhook = self.id("aliceWebhook");
        alice.done(UPDATE_WEBHOOK, json!({"id": webhook, "status": "PAUSED"})).await;
        let replay = "mutation($input: ReplayWebhookInput!) { replayWebhook(input: $input) { replay { id status }
            userErrors { code path } } }";
        let replay = alice.done(replay, json!({"id": webhook, "after": self.id("start")})).await["replay"].take();
        assert_eq!(replay["status"], json!("RUNNING"));
        self.set("aliceReplay", text(&replay["id"]));
    }

    /// A customer.
    pub fn alice(&self) -> Caller {
        Caller::user(&format!("alice-{}", self.number))
    }

    /// Another customer.
    pub fn bob(&self) -> Caller {
        Caller::user(&format!("bob-{}", self.number))
    }

    /// A customer without an order.
    pub fn carol(&self) -> Caller {
        Caller::user(&format!("carol-{}", self.number))
    }

    /// Somebody who has no record yet.
    pub fn newcomer(&self) -> Caller {
        Caller::user(&format!("dave-{}", self.number))
    }

    /// Ids and values that the documents of cases may use.
    pub fn variables(&self) -> Value {
        Value::Object(self.variables.clone())
    }

    /// The ids of rows by their names in the variables.
    pub fn ids(&self, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| self.id(name)).collect()
    }

    /// Where the log ends.
    pub async fn end_of_log(&self, server: &Server) -> String {
        shop::now(&server.client(&Caller::admin())).await
    }

    fn id(&self, name: &str) -> String {
        self.variables.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("the shop has no {name}")).to_owned()
    }

    fn set(&mut self, name: &str, value: String) {
        self.variables.insert(name.to_owned(), Value::String(value));
    }
}
