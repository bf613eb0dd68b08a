//! What is selected first changes nothing about what is read: not if it is null, and not if it is an empty list.

use serde_json::{Value, json};
use tandem_tests::shop::{add_customer, add_order, add_product};
use tandem_tests::{Caller, Case, on_both};

on_both!(any_field_may_come_first);

/// The fields of a type, and what is around them.
const SELECTIONS: [(&str, &[&str], &str); 6] = [
    ("product(by: {sku: \"SKU-1\"})", PRODUCT, ""),
    ("products { nodes", PRODUCT, "}"),
    ("orders { nodes { lines(first: 5) { nodes { product", PRODUCT, "} } } }"),
    ("products { nodes { orderLines(first: 5) { nodes", LINE, "} } }"),
    ("customers { nodes { orders(first: 5) { nodes", ORDER, "} } }"),
    ("orders { nodes { lines(first: 5) { nodes { order", ORDER, "} } } }"),
];
const PRODUCT: &[&str] = &["cost", "orderLines(first: 2) { nodes { order { note } } }", "tags", "stock", "sku"];
const LINE: &[&str] = &["product { cost sku }", "order { lines(first: 2) { nodes { product { cost } } } }", "quantity"];
const ORDER: &[&str] = &["lines(first: 2) { nodes { product { cost } quantity } }", "note", "customer { name }", "id"];

async fn any_field_may_come_first(case: &Case) {
    let server = case.server().await;
    let alice = server.client(&Caller::user("alice"));
    let admin = server.client(&Caller::admin());
    let product = add_product(&admin, "SKU-1").await;
    add_product(&admin, "SKU-2").await;
    let customer = add_customer(&alice, "alice@example.org").await;
    // The first one has no lines.
    let empty = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { userErrors { code } } }";
    alice.done(empty, json!({"customerId": customer})).await;
    add_order(&alice, &customer, &product).await;

    for client in [&admin, &alice] {
        for (before, fields, after) in SELECTIONS {
            let mut read = Vec::new();
            for first in 0..fields.len() {
                let fields = [&fields[first..], &fields[..first]].concat().join(" ");
                let document = format!("{{ {before} {{ {fields} }} {after} }}");
                let response = client.response(&document, json!({})).await;
                let errors = response["errors"].as_array().into_iter().flatten();
                assert!(errors.map(|error| &error["extensions"]["code"]).all(|code| code == "FORBIDDEN"), "{response}");
                assert_ne!(response["data"], Value::Null, "{document}: {response}");
                read.push((document, response["data"].clone()));
            }
            for (document, data) in &read {
                assert_eq!(*data, read[0].1, "{document}");
            }
        }
    }
    let data = admin.data("{ orders { nodes { lines { nodes { product { cost } } } } } }", json!({})).await;
    assert_eq!(data["orders"]["nodes"][0]["lines"]["nodes"], json!([]));
    assert_eq!(data["orders"]["nodes"][1]["lines"]["nodes"], json!([{"product": {"cost": null}}]));
}
