//! One data statement per root field, however deep the document goes.

use serde_json::json;
use tandem_tests::client::number;
use tandem_tests::shop::{CREATE_ORDER, add_customer, add_product};
use tandem_tests::{Caller, Case, on_both};

on_both!(a_root_field_is_one_statement);

async fn a_root_field_is_one_statement(case: &Case) {
    let server = case.start(case.settings().with_variable("TANDEM_DEBUG_EXTENSIONS", "true")).await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let mut products = Vec::new();
    for number in 0..5 {
        products.push(add_product(&admin, &format!("SKU-{number}")).await);
    }
    let customer = add_customer(&alice, "alice@example.org").await;
    for _ in 0..10 {
        let lines = products.iter().map(|id| json!({"productId": id, "quantity": 1, "unitPrice": "1.00"}));
        alice.done(CREATE_ORDER, json!({"customerId": customer, "lines": {"create": lines.collect::<Vec<_>>()}})).await;
    }
    let orders = "orders(first: 20) { nodes { number customer { email } lines(first: 10) { nodes { quantity product { sku } } } } }";
    let deep = "customers(first: 3) { nodes { orders(first: 10) { nodes { lines(first: 5) { nodes { product { orderLines(first: 3) { nodes { order { number } } } } } } } } } }";
    let product = "product(by: {sku: \"SKU-1\"}) { name orderLines { nodes { order { customer { name } } } } }";
    for caller in [Caller::admin(), Caller::user("alice")] {
        let client = server.client(&caller);
        for (document, expected) in [
            (format!("{{ {orders} }}"), 1),
            (format!("{{ {deep} }}"), 1),
            (format!("{{ {product} }}"), 1),
            (format!("{{ {orders} {product} }}"), 2),
            ("{ viewer { sub } }".to_owned(), 0),
        ] {
            let response = client.response(&document, json!({})).await;
            assert!(response.get("errors").is_none(), "{document}: {response}");
            assert_eq!(number(&response["extensions"]["debug"]["statements"]), expected, "{document}");
        }
        let response = client.response(&format!("{{ {orders} }}"), json!({})).await;
        let nodes = response["data"]["orders"]["nodes"].as_array().expect("a connection has nodes");
        assert_eq!(nodes.len(), 10);
        assert!(nodes.iter().all(|order| order["lines"]["nodes"].as_array().is_some_and(|lines| lines.len() == 5)));
        assert!(nodes.iter().all(|order| order["lines"]["nodes"][4]["product"]["sku"].is_string()));
    }
}
