//! `node` and `nodes`: anything by its id.

use serde_json::{Value, json};
use tandem_tests::client::{error_codes, number, text};
use tandem_tests::receiver::{Answer, register};
use tandem_tests::shop::{add_customer, add_order, add_product};
use tandem_tests::{Caller, Case, Receiver, on_both};

use crate::webhooks::{QUERY, delivery};

on_both!(ids_of_every_type, one_statement_for_each_type, a_list_of_ids_is_bounded);

const NODES: &str = "query($ids: [ID!]!) { nodes(ids: $ids) {
    __typename id
    ... on Product { sku orderLines { totalCount } }
    ... on Customer { email }
    ... on Order { lines { nodes { product { sku } } } }
    ... on OrderLine { quantity order { customer { email } } }
    ... on Webhook { deliveries { nodes { id } } }
    ... on Delivery { type }
} }";
const NODE: &str = "query($id: ID!) { node(id: $id) { __typename id } }";

async fn ids_of_every_type(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let receiver = Receiver::behaving(|_| Answer::OK).await;
    let (webhook, _) = register(&admin, json!({"url": receiver.url(), "query": QUERY})).await;
    let product = add_product(&admin, "SKU-1").await;
    let customer = add_customer(&alice, "alice@example.org").await;
    let order = add_order(&alice, &customer, &product).await;
    let lines = admin.data("query($id: ID!) { order(by: {id: $id}) { lines { nodes { id } } } }", json!({"id": order}));
    let line = text(&lines.await["order"]["lines"]["nodes"][0]["id"]);
    let delivery = text(&delivery(&admin, &webhook, "SUCCEEDED").await["id"]);

    // What nothing has: well-formed ids of each type, of no type, and no id at all.
    let nobody = |id: &str| format!("{}_{}", id.rsplit_once('_').expect("an id has a prefix").0, "0".repeat(26));
    let absent = ["", "x", "product_", "nothing_00000000000000000000000000"].map(str::to_owned);
    let types = ["Product", "Customer", "Order", "OrderLine", "Webhook", "Delivery"];
    let ids = [&product, &customer, &order, &line, &webhook, &delivery];
    for (id, ty) in ids.iter().zip(types) {
        let node = admin.data(NODE, json!({"id": id})).await;
        assert_eq!(node["node"], json!({"__typename": ty, "id": id}));
        assert_eq!(admin.data(NODE, json!({"id": nobody(id)})).await["node"], Value::Null);
    }

    let mut asked: Vec<String> = ids.iter().flat_map(|id| [(*id).clone(), nobody(id)]).chain(absent).collect();
    // In another order than that of the types, with each id twice.
    asked.extend(asked.clone().into_iter().rev());
    let nodes = admin.data(NODES, json!({"ids": asked})).await["nodes"].take();
    let nodes = nodes.as_array().expect("a list");
    assert_eq!(nodes.len(), asked.len());
    for (node, id) in nodes.iter().zip(&asked) {
        let expected = if ids.contains(&id) { json!(id) } else { Value::Null };
        assert_eq!(node["id"], expected, "{node}");
    }
    assert_eq!(
        nodes[0],
        json!({"__typename": "Product", "id": product, "sku": "SKU-1", "orderLines": {"totalCount": 1}})
    );
    let line_shown = json!({"__typename": "OrderLine", "id": line, "quantity": 1, "order": {"customer": {"email": "alice@example.org"}}});
    assert_eq!(nodes[6], line_shown);
    assert_eq!(nodes[8]["deliveries"]["nodes"], json!([{"id": delivery}]));
    assert_eq!(nodes[10]["type"], json!("product.created"));

    // For somebody else most of them do not exist.
    let bob = server.client(&Caller::user("bob"));
    let seen = bob.data(NODES, json!({"ids": ids})).await["nodes"].take();
    let seen: Vec<_> = seen.as_array().expect("a list").iter().map(|node| node["__typename"].clone()).collect();
    assert_eq!(json!(seen), json!(["Product", null, null, null, null, null]));

    let costs = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Product { cost } } }";
    let response = bob.response(costs, json!({"ids": [order, product, "x", product]})).await;
    assert_eq!(response["data"]["nodes"], json!([null, {"cost": null}, null, {"cost": null}]));
    assert_eq!(error_codes(&response), ["FORBIDDEN", "FORBIDDEN"]);
    assert_eq!(response["errors"][0]["path"], json!(["nodes", 1, "cost"]));
    assert_eq!(response["errors"][1]["path"], json!(["nodes", 3, "cost"]));
}

async fn one_statement_for_each_type(case: &Case) {
    let server = case.start(case.settings().with_variable("TANDEM_DEBUG_EXTENSIONS", "true")).await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let mut products = Vec::new();
    for number in 0..5 {
        products.push(add_product(&admin, &format!("SKU-{number}")).await);
    }
    let customer = add_customer(&alice, "alice@example.org").await;
    let mut ids = products.clone();
    for product in &products {
        ids.push(add_order(&alice, &customer, product).await);
    }
    ids.push(customer);
    for (ids, expected) in [(&ids[..], 3), (&ids[..5], 1), (&ids[..0], 0)] {
        let response = admin.response(NODES, json!({"ids": ids})).await;
        assert_eq!(response["data"]["nodes"].as_array().map(Vec::len), Some(ids.len()), "{response}");
        assert_eq!(number(&response["extensions"]["debug"]["statements"]), expected, "{response}");
    }
}

async fn a_list_of_ids_is_bounded(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let product = add_product(&admin, "SKU-1").await;
    let flat = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    let many = admin.data(flat, json!({"ids": vec![&product; 1000]})).await["nodes"].take();
    assert!(
        many.as_array().is_some_and(|nodes| nodes.len() == 1000 && nodes.iter().all(|n| n["id"] == json!(product)))
    );
    let response = admin.response(flat, json!({"ids": vec![&product; 1001]})).await;
    assert_eq!((error_codes(&response), &response["data"]), (vec!["BAD_USER_INPUT".to_owned()], &Value::Null));
    // Every place of the list counts, not only every row: each is written.
    let deep = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Product { orderLines(first: 50) { nodes { id } } } } }";
    let response = admin.response(deep, json!({"ids": vec![&product; 1000]})).await;
    assert_eq!(error_codes(&response), ["COST_LIMIT_EXCEEDED"]);
    assert_eq!(response["errors"][0]["path"], json!(["nodes"]));
}
