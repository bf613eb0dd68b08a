//! The engine on both databases, without a transport.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::Item;
use crate::auth::Principal;
use crate::testing::{STORE, TestApp, admin, on_both, person, request};

async fn make_product(app: &TestApp, sku: &str) -> String {
    let made = app
        .run(
            &admin(),
            "mutation($i: CreateProductInput!) { createProduct(input: $i) { product { id } userErrors { code message path } } }",
            json!({"i": {"sku": sku, "name": format!("Product {sku}"), "price": "12.5", "tags": ["a", "b"]}}),
        )
        .await;
    made["data"]["createProduct"]["product"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_made_changed_read_and_removed() {
    on_both(STORE, async |app| {
        let id = make_product(app, "LAMP-1").await;
        let query = "query($id: ID!) { product(by: {id: $id}) { id sku price stock tags version createdAt __typename } }";
        let read = app.run(&person("x", &[]), query, json!({"id": id})).await;
        let product = &read["data"]["product"];
        assert_eq!(product["price"], "12.50", "{read}");
        assert_eq!(product["tags"], json!(["a", "b"]));
        assert_eq!((&product["version"], &product["stock"]), (&json!(1), &json!(0)));
        assert_eq!(read["extensions"]["debug"]["statements"], 1);

        let update = "mutation($i: UpdateProductInput!) { updateProduct(input: $i) {
            product { price version } change { kind version changedFields transition before { price } after { price } }
            userErrors { code path } } }";
        let updated = app.run(&admin(), update, json!({"i": {"id": id, "patch": {"price": "13"}, "ifVersion": 1}})).await;
        let payload = &updated["data"]["updateProduct"];
        assert_eq!(payload["product"], json!({"price": "13.00", "version": 2}), "{updated}");
        assert_eq!(payload["change"]["changedFields"], json!(["price"]));
        assert_eq!(payload["change"]["before"]["price"], "12.50");

        let stale = app.run(&admin(), update, json!({"i": {"id": id, "patch": {"price": "14"}, "ifVersion": 1}})).await;
        let payload = &stale["data"]["updateProduct"];
        assert_eq!(payload["userErrors"], json!([{"code": "VERSION_CONFLICT", "path": ["ifVersion"]}]), "{stale}");
        assert_eq!(payload["product"]["version"], 2);

        let removed = app
            .run(
                &admin(),
                "mutation($i: DeleteProductInput!) { deleteProduct(input: $i) { deletedProductId change { kind version } } }",
                json!({"i": {"id": id}}),
            )
            .await;
        assert_eq!(removed["data"]["deleteProduct"]["deletedProductId"], json!(id), "{removed}");
        assert_eq!(removed["data"]["deleteProduct"]["change"], json!({"kind": "DELETED", "version": 3}));

        let log = app.run(&admin(), "{ changes { nodes { position kind version type } pageInfo { hasNextPage } } }", json!({})).await;
        let positions: Vec<_> = log["data"]["changes"]["nodes"].as_array().unwrap().iter().map(|n| n["position"].clone()).collect();
        assert_eq!(positions, [json!("1"), json!("2"), json!("3")], "{log}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nested_query_is_one_statement() {
    on_both(STORE, async |app| {
        let product = make_product(app, "LAMP-1").await;
        let ann = person("ann", &[]);
        let made = app
            .run(
                &ann,
                "mutation { createCustomer(input: {email: \"ann@shop.example\"}) { customer { id } userErrors { code message path } } }",
                json!({}),
            )
            .await;
        let customer = made["data"]["createCustomer"]["customer"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let made = app
            .run(
                &ann,
                "mutation($i: CreateOrderInput!) { createOrder(input: $i) {
                    order { number status lines { nodes { quantity product { sku } } } } userErrors { code message path } } }",
                json!({"i": {"customerId": customer, "lines": {"create": [{"productId": product, "quantity": 2, "unitPrice": "12.50"}]}}}),
            )
            .await;
        assert_eq!(
            made["data"]["createOrder"]["order"],
            json!({"number": "1", "status": "DRAFT", "lines": {"nodes": [{"quantity": 2, "product": {"sku": "LAMP-1"}}]}}),
            "{made}"
        );
        let read = app
            .run(
                &ann,
                "{ orders(filter: {customer: {email: {endsWith: \".example\"}}}, orderBy: [{createdAt: DESC}]) {
                    totalCount asOf pageInfo { hasNextPage endCursor }
                    nodes { number customer { email orders { totalCount } } lines(first: 10) { nodes { unitPrice product { name } } } } } }",
                json!({}),
            )
            .await;
        assert_eq!(read["extensions"]["debug"]["statements"], 1, "{read}");
        let orders = &read["data"]["orders"];
        assert_eq!(orders["totalCount"], 1);
        assert_eq!(orders["nodes"][0]["customer"]["orders"]["totalCount"], 1);
        assert_eq!(orders["nodes"][0]["lines"]["nodes"][0]["product"]["name"], "Product LAMP-1");

        let others = app.run(&person("bob", &[]), "{ orders { totalCount nodes { number } } customers { totalCount } }", json!({})).await;
        assert_eq!(others["data"], json!({"orders": {"totalCount": 0, "nodes": []}, "customers": {"totalCount": 0}}));
    })
    .await;
}

async fn next(items: &mut (impl StreamExt<Item = Item> + Unpin)) -> Value {
    let item = tokio::time::timeout(std::time::Duration::from_secs(10), items.next()).await.unwrap().unwrap();
    match item {
        Item::Next(payloads) => serde_json::from_str(payloads.as_slice()[0].body()).unwrap(),
        Item::Error(errors) => panic!("{}", String::from_utf8_lossy(&errors)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_continues_from_as_of() {
    on_both(STORE, async |app| {
        let anonymous = Arc::new(Principal::anonymous());
        make_product(app, "LAMP-1").await;
        let read = app.run(&anonymous, "{ products { asOf totalCount } }", json!({})).await;
        let as_of = read["data"]["products"]["asOf"].as_str().unwrap().to_owned();
        make_product(app, "LAMP-2").await;
        let subscription =
            "subscription($after: String) { productChanged(after: $after, filter: {sku: {startsWith: \"LAMP\"}}) {
            kind transition position after { sku cost } } }";
        let variables = json!({"after": as_of}).as_object().cloned().unwrap();
        let items = app.parts.engine.subscribe(request(subscription, variables), anonymous).await;
        let mut items = items.unwrap_or_else(|response| panic!("{}", String::from_utf8_lossy(&response.body))).items;
        let first = next(&mut items).await;
        let change = &first["data"]["productChanged"];
        assert_eq!(change["after"], json!({"sku": "LAMP-2", "cost": null}), "{first}");
        assert_eq!(change["position"], Value::Null);
        assert_eq!(first["errors"][0]["path"], json!(["productChanged", "after", "cost"]));
        assert_eq!(first["errors"][0]["extensions"]["code"], "FORBIDDEN");
        assert!(first["extensions"]["cursor"].is_string());
        make_product(app, "LAMP-3").await;
        let second = next(&mut items).await;
        assert_eq!(second["data"]["productChanged"]["after"]["sku"], "LAMP-3");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_write_learns_nothing_of_unique_keys() {
    on_both(STORE, async |app| {
        make_product(app, "LAMP-1").await;
        let create = "mutation($i: CreateProductInput!) { createProduct(input: $i) { userErrors { code path } } }";
        let codes = async |principal: &Arc<Principal>, name: &str| {
            let input = json!({"sku": "LAMP-1", "name": name, "price": "1"});
            let made = app.run(principal, create, json!({"i": input})).await;
            let errors = made["data"]["createProduct"]["userErrors"].as_array().unwrap().clone();
            errors.iter().map(|error| error["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let (stranger, catalog) = (person("eve", &[]), person("cat", &["catalog"]));
        assert_eq!(codes(&stranger, "Lamp").await, ["FORBIDDEN"]);
        assert_eq!(codes(&stranger, "").await, ["TOO_SHORT"]);
        assert_eq!(codes(&catalog, "Lamp").await, ["NOT_UNIQUE"]);
        assert_eq!(codes(&catalog, "").await, ["TOO_SHORT", "NOT_UNIQUE"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_no_list_has_given_is_refused() {
    const THINGS: &str = "type Thing @resource @auth(rules: [{ allow: PUBLIC }]) { text: String day: Date at: DateTime float: Float int: Int }";
    on_both(THINGS, async |app| {
        app.run(&admin(), "mutation { createThing(input: {}) { thing { id } } }", json!({})).await;
        // What a page gives after a cursor in which the value is another one.
        let after = async |field: &str, value: &Value| {
            let order = format!("orderBy: [{{{field}: ASC}}]");
            let query = format!("{{ things({order}) {{ pageInfo {{ endCursor }} }} }}");
            let page = app.run(&admin(), &query, json!({})).await;
            let cursor = page["data"]["things"]["pageInfo"]["endCursor"].as_str().unwrap();
            let mut parts: Vec<Value> =
                serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(cursor).unwrap()).unwrap();
            assert_eq!((parts.len(), &parts[1]), (3, &Value::Null));
            parts[1] = value.clone();
            let cursor = BASE64_URL_SAFE_NO_PAD.encode(json!(parts).to_string());
            let query = format!("query($after: String) {{ things(after: $after, {order}) {{ nodes {{ id }} }} }}");
            app.run(&admin(), &query, json!({"after": cursor})).await
        };
        for (field, value) in [
            ("at", json!(i64::MAX)),
            ("at", json!(i64::MIN)),
            ("day", json!("tomorrow")),
            ("text", json!("a\0")),
            ("float", json!("NaN")),
            ("int", json!("1")),
        ] {
            let read = after(field, &value).await;
            assert_eq!(read["errors"][0]["extensions"]["code"], "CURSOR_INVALID", "{field} {value}: {read}");
        }
        // Numbers beyond those of the type are in order with them.
        let read = after("int", &json!(i64::MAX)).await;
        assert_eq!(read["data"]["things"]["nodes"], json!([]), "{read}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_may_have_as_many_tests_as_are_allowed() {
    on_both(STORE, async |app| {
        make_product(app, "LAMP-1").await;
        let query = "query($filter: ProductFilter) { products(filter: $filter) { totalCount nodes { sku } } }";
        let tests: Vec<_> = (0..1000).map(|i| json!({"stock": {"neq": i + 1}})).collect();
        for (filter, count) in [(json!({"and": tests}), 1), (json!({"not": {"or": tests}}), 0)] {
            let read = app.run(&admin(), query, json!({"filter": filter})).await;
            assert_eq!(read["data"]["products"]["totalCount"], count, "{read}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_without_cursor_starts_after_what_is_committed() {
    on_both(STORE, async |app| {
        for i in 0..20 {
            make_product(app, &format!("OLD-{i}")).await;
            let started = app.parts.engine.subscribe(
                request("subscription { productChanged { after { sku } } }", serde_json::Map::new()),
                admin(),
            );
            let mut items =
                started.await.unwrap_or_else(|response| panic!("{}", String::from_utf8_lossy(&response.body))).items;
            make_product(app, &format!("NEW-{i}")).await;
            let first = next(&mut items).await;
            assert_eq!(first["data"]["productChanged"]["after"]["sku"], format!("NEW-{i}"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_webhooks_count_like_other_lists() {
    on_both(STORE, async |app| {
        let read = async |query: &str| app.run(&admin(), query, json!({})).await;
        let few = read("{ webhooks(first: 19) { nodes { deliveries(first: 1000) { nodes { id } } } } }").await;
        assert_eq!(few["data"]["webhooks"]["nodes"], json!([]), "{few}");
        for many in [
            "{ webhooks(first: 20) { nodes { deliveries(first: 1000) { nodes { id } } } } }",
            "{ webhooks(first: 10) { nodes { a: deliveries(first: 1000) { nodes { id } } }
                edges { node { b: deliveries(first: 1000) { nodes { id } } } } } }",
        ] {
            let many = read(many).await;
            assert_eq!(many["errors"][0]["extensions"]["code"], "COST_LIMIT_EXCEEDED", "{many}");
        }
    })
    .await;
}
