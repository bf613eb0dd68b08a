//! Writing many rows with one mutation.

use std::collections::HashSet;

use serde_json::{Value, json};
use tandem_tests::client::{error_codes, text, user_errors};
use tandem_tests::shop::{self, add_customer, add_order, add_product, catalog_team, support_staff};
use tandem_tests::{Caller, Case, Client, on_both};

on_both!(
    rows_are_made_in_one_transaction,
    one_bad_row_refuses_an_atomic_batch,
    independent_rows_are_made_without_the_bad_ones,
    what_matches_is_changed,
    what_matches_is_deleted_with_what_belongs_to_it,
    more_than_may_match_changes_nothing,
    rows_that_may_not_be_written_refuse_all,
    a_filter_sees_what_the_caller_sees,
    a_row_that_matches_is_taken_by_one,
    batches_are_bounded,
);

const CREATE: &str = "mutation($input: CreateProductsInput!) { createProducts(input: $input) {
    products { id sku version } changes { kind nodeId transactionId position } clientMutationId
    userErrors { code message path } } }";
const UPDATE: &str = "mutation($input: UpdateProductsInput!) { updateProducts(input: $input) {
    products { id sku name stock version } changes { kind nodeId changedFields transactionId }
    userErrors { code message path } } }";
const DELETE: &str = "mutation($input: DeleteProductsInput!) { deleteProducts(input: $input) {
    deletedProductIds changes { kind nodeId transactionId } userErrors { code message path } } }";
const CREATE_ORDERS: &str = "mutation($input: CreateOrdersInput!) { createOrders(input: $input) {
    orders { id number lines { nodes { quantity } } } changes { type transactionId } userErrors { code message path } } }";
const UPDATE_ORDERS: &str = "mutation($input: UpdateOrdersInput!) { updateOrders(input: $input) {
    orders { id note } changes { nodeId } userErrors { code message path } } }";
const DELETE_ORDERS: &str = "mutation($input: DeleteOrdersInput!) { deleteOrders(input: $input) {
    deletedOrderIds changes { kind nodeId type } userErrors { code message path } } }";

fn errors(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(code, path)| ((*code).to_owned(), (*path).to_owned())).collect()
}

fn items(count: usize) -> Vec<Value> {
    (0..count).map(|number| shop::product(&format!("SKU-{number:04}"))).collect()
}

async fn skus(admin: &Client) -> Vec<String> {
    let data = admin.data("{ products(first: 1000, orderBy: [{sku: ASC}]) { nodes { sku } } }", json!({})).await;
    data["products"]["nodes"].as_array().into_iter().flatten().map(|node| text(&node["sku"])).collect()
}

fn distinct(values: &Value, field: &str) -> usize {
    let values = values.as_array().expect("a list");
    values.iter().map(|value| value[field].to_string()).collect::<HashSet<_>>().len()
}

async fn rows_are_made_in_one_transaction(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let payload = admin.done(CREATE, json!({"items": items(1000), "clientMutationId": "c"})).await;
    let products = payload["products"].as_array().expect("a list");
    assert_eq!((products.len(), &payload["clientMutationId"]), (1000, &json!("c")));
    for (number, product) in products.iter().enumerate() {
        assert_eq!(product["sku"], json!(format!("SKU-{number:04}")), "they keep their places");
        assert_eq!(payload["changes"][number]["nodeId"], product["id"]);
    }
    assert_eq!((distinct(&payload["changes"], "transactionId"), distinct(&payload["changes"], "position")), (1, 1000));
    let log = shop::log(&admin).await;
    shop::assert_sound(&log);
    assert_eq!(log.len(), 1000);

    // With the rows of owned lists.
    let alice = server.client(&Caller::user("alice"));
    let customer = add_customer(&alice, "alice@example.org").await;
    let line = |i: usize, quantity| json!({"productId": products[i]["id"], "quantity": quantity, "unitPrice": "1.00"});
    let order = |i| json!({"customerId": customer, "lines": {"create": [line(i, 1), line(i + 1, 2)]}});
    let payload = alice.done(CREATE_ORDERS, json!({"items": [order(0), order(5)]})).await;
    let lines = json!({"nodes": [{"quantity": 1}, {"quantity": 2}]});
    assert_eq!((&payload["orders"][0]["number"], &payload["orders"][0]["lines"]), (&json!("1"), &lines));
    assert_eq!((&payload["orders"][1]["number"], &payload["orders"][1]["lines"]), (&json!("2"), &lines));
    assert_eq!(payload["changes"].as_array().map(Vec::len), Some(2), "those of the rows that were asked for");
    let log = shop::log(&admin).await;
    let types: Vec<&str> = log[log.len() - 6..].iter().map(|entry| entry.ty.as_str()).collect();
    assert_eq!(types, ["Order", "OrderLine", "OrderLine", "Order", "OrderLine", "OrderLine"]);
    let empty = admin.done(CREATE, json!({"items": []})).await;
    assert_eq!((&empty["products"], &empty["changes"]), (&json!([]), &json!([])));
}

async fn one_bad_row_refuses_an_atomic_batch(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    add_product(&admin, "SKU-0003").await;
    let mut items = items(5);
    items[1]["price"] = json!("-1");
    items[1]["name"] = json!("");
    items[4] = items[0].clone();
    let payload = admin.payload(CREATE, json!({"items": items, "mode": "ATOMIC"})).await;
    let expected = [
        ("NOT_UNIQUE", "items.3.sku"),
        ("NOT_UNIQUE", "items.4.sku"),
        ("OUT_OF_RANGE", "items.1.price"),
        ("TOO_SHORT", "items.1.name"),
    ];
    assert_eq!(user_errors(&payload), errors(&expected));
    assert_eq!(payload["products"], json!([null, null, null, null, null]));
    assert_eq!(payload["changes"], json!([]));
    // ATOMIC if nothing is said.
    assert_eq!(admin.refused(CREATE, json!({"items": items})).await, errors(&expected));
    assert_eq!(shop::log(&admin).await.len(), 1, "nothing was written");
    // Every row that may not be made is told, and not only the first one.
    let anonymous = server.client(&Caller::anonymous());
    let found = anonymous.refused(CREATE, json!({"items": items})).await;
    for path in ["items.0", "items.2", "items.3", "items.4"] {
        assert!(found.contains(&("FORBIDDEN".to_owned(), path.to_owned())), "{path} in {found:?}");
    }
    assert!(found.iter().all(|(code, _)| code != "NOT_UNIQUE"), "which keys are taken is not told: {found:?}");
}

async fn independent_rows_are_made_without_the_bad_ones(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    add_product(&admin, "SKU-0003").await;
    let mut items = items(6);
    items[1]["price"] = json!("-1");
    // The row with this key is refused, so it is free for another one.
    items[1]["sku"] = json!("FREE");
    items[5]["sku"] = json!("FREE");
    items[4] = items[0].clone();
    let payload = admin.payload(CREATE, json!({"items": items, "mode": "INDEPENDENT"})).await;
    let expected =
        errors(&[("NOT_UNIQUE", "items.3.sku"), ("NOT_UNIQUE", "items.4.sku"), ("OUT_OF_RANGE", "items.1.price")]);
    assert_eq!(user_errors(&payload), expected);
    let made: Vec<&Value> = payload["products"].as_array().expect("a list").iter().map(|row| &row["sku"]).collect();
    assert_eq!(
        made,
        [&json!("SKU-0000"), &Value::Null, &json!("SKU-0002"), &Value::Null, &Value::Null, &json!("FREE")]
    );
    assert_eq!(
        (payload["changes"].as_array().map(Vec::len), distinct(&payload["changes"], "transactionId")),
        (Some(3), 1)
    );
    assert_eq!(skus(&admin).await, ["FREE", "SKU-0000", "SKU-0002", "SKU-0003"]);
    shop::assert_sound(&shop::log(&admin).await);
    let payload = admin.payload(CREATE, json!({"items": [items[1], items[3]], "mode": "INDEPENDENT"})).await;
    assert_eq!((&payload["products"], &payload["changes"]), (&json!([null, null]), &json!([])));
}

async fn what_matches_is_changed(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    admin.done(CREATE, json!({"items": items(20)})).await;
    let filter = json!({"sku": {"gte": "SKU-0005", "lt": "SKU-0010"}});
    let payload = admin.done(UPDATE, json!({"filter": filter, "patch": {"stock": 7, "name": "x"}, "atMost": 5})).await;
    let rows = payload["products"].as_array().expect("a list");
    assert_eq!(rows.iter().map(|row| text(&row["sku"])).collect::<Vec<_>>(), skus(&admin).await[5..10]);
    assert!(rows.iter().all(|row| row["stock"] == json!(7) && row["version"] == json!(2)), "{rows:?}");
    assert_eq!(
        (payload["changes"].as_array().map(Vec::len), distinct(&payload["changes"], "transactionId")),
        (Some(5), 1)
    );
    assert_eq!(payload["changes"][0]["changedFields"], json!(["name", "stock"]));
    let none = admin.done(UPDATE, json!({"filter": {"stock": {"eq": 8}}, "patch": {"stock": 9}, "atMost": 0})).await;
    assert_eq!((&none["products"], &none["changes"]), (&json!([]), &json!([])));
    // A patch is checked as that of one row is; the same thing is said once.
    let wrong = json!({"filter": filter, "patch": {"stock": -1, "name": null, "sku": "SAME"}, "atMost": 5});
    let expected = [("NOT_UNIQUE", "patch.sku"), ("OUT_OF_RANGE", "patch.stock"), ("REQUIRED", "patch.name")];
    assert_eq!(admin.refused(UPDATE, wrong).await, errors(&expected));
    let log = shop::log(&admin).await;
    shop::assert_sound(&log);
    assert_eq!(log.len(), 25);
}

async fn what_matches_is_deleted_with_what_belongs_to_it(case: &Case) {
    let server = case.server().await;
    let (admin, alice) = (server.client(&Caller::admin()), server.client(&Caller::user("alice")));
    let product = add_product(&admin, "SKU-1").await;
    let customer = add_customer(&alice, "alice@example.org").await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.push(add_order(&alice, &customer, &product).await);
    }
    let written = shop::log(&admin).await.len();
    // Rows that others still need are kept, all of them.
    let found = admin.refused(DELETE, json!({"filter": {}, "atMost": 10})).await;
    assert_eq!(found, errors(&[("REFERENCED", "filter")]));
    assert_eq!(shop::log(&admin).await.len(), written);
    let filter = json!({"id": {"in": orders[..2]}});
    let payload = alice.done(DELETE_ORDERS, json!({"filter": filter, "atMost": 2})).await;
    assert_eq!(payload["deletedOrderIds"], json!(orders[..2]));
    assert_eq!(payload["changes"].as_array().map(Vec::len), Some(2));
    let log = shop::log(&admin).await;
    shop::assert_sound(&log);
    let end: Vec<(&str, &str)> = log[written..].iter().map(|entry| (entry.ty.as_str(), entry.kind.as_str())).collect();
    let [line, order] = [("OrderLine", "DELETED"), ("Order", "DELETED")];
    assert_eq!(end, [line, order, line, order], "an event for each row, the children's before their parent's");
    let left = admin.data("{ orders { nodes { id lines { totalCount } } } }", json!({})).await;
    assert_eq!(left["orders"]["nodes"], json!([{"id": orders[2], "lines": {"totalCount": 1}}]));
    let rest = alice.done(DELETE_ORDERS, json!({"filter": {}, "atMost": 1000})).await;
    assert_eq!(rest["deletedOrderIds"], json!([orders[2]]));
    admin.done(DELETE, json!({"filter": {}, "atMost": 1})).await;
    assert_eq!(skus(&admin).await, [""; 0]);
}

async fn more_than_may_match_changes_nothing(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    admin.done(CREATE, json!({"items": items(4)})).await;
    for at_most in [0, 3] {
        let too_many = errors(&[("TOO_MANY", "atMost")]);
        let input = json!({"filter": {}, "patch": {"stock": 1}, "atMost": at_most});
        let payload = admin.payload(UPDATE, input).await;
        assert_eq!(user_errors(&payload), too_many);
        assert_eq!((&payload["products"], &payload["changes"]), (&json!([]), &json!([])));
        let payload = admin.payload(DELETE, json!({"filter": {}, "atMost": at_most})).await;
        assert_eq!(user_errors(&payload), too_many);
        assert_eq!((&payload["deletedProductIds"], &payload["changes"]), (&json!([]), &json!([])));
    }
    assert_eq!(shop::log(&admin).await.len(), 4);
    admin.done(DELETE, json!({"filter": {}, "atMost": 4})).await;
}

async fn rows_that_may_not_be_written_refuse_all(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    admin.done(CREATE, json!({"items": items(2)})).await;
    let forbidden = errors(&[("FORBIDDEN", "filter")]);
    let anonymous = server.client(&Caller::anonymous());
    let update = json!({"filter": {}, "patch": {"stock": 1}, "atMost": 10});
    assert_eq!(anonymous.refused(UPDATE, update).await, forbidden);
    assert_eq!(anonymous.refused(DELETE, json!({"filter": {}, "atMost": 10})).await, forbidden);
    // Support staff may change orders and not delete them.
    let alice = server.client(&Caller::user("alice"));
    let product = add_product(&admin, "OTHER").await;
    let customer = add_customer(&alice, "alice@example.org").await;
    let order = add_order(&alice, &customer, &product).await;
    let staff = server.client(&support_staff());
    assert_eq!(staff.refused(DELETE_ORDERS, json!({"filter": {}, "atMost": 10})).await, forbidden);
    let payload = staff.done(UPDATE_ORDERS, json!({"filter": {}, "patch": {"note": "seen"}, "atMost": 10})).await;
    assert_eq!(payload["orders"], json!([{"id": order, "note": "seen"}]));
}

async fn a_filter_sees_what_the_caller_sees(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let product = add_product(&admin, "SKU-1").await;
    let mut orders = Vec::new();
    for sub in ["alice", "bob"] {
        let client = server.client(&Caller::user(sub));
        let customer = add_customer(&client, &format!("{sub}@example.org")).await;
        orders.push(add_order(&client, &customer, &product).await);
    }
    // The rows of others neither count nor change.
    let alice = server.client(&Caller::user("alice"));
    let payload = alice.done(UPDATE_ORDERS, json!({"filter": {}, "patch": {"note": "mine"}, "atMost": 1})).await;
    assert_eq!(payload["orders"], json!([{"id": orders[0], "note": "mine"}]));
    let of_bob = json!({"customer": {"email": {"eq": "bob@example.org"}}});
    let payload = alice.done(DELETE_ORDERS, json!({"filter": of_bob, "atMost": 1})).await;
    assert_eq!(payload["deletedOrderIds"], json!([]));
    let nobody = server.client(&Caller::anonymous());
    let payload = nobody.done(DELETE_ORDERS, json!({"filter": {}, "atMost": 10})).await;
    assert_eq!(payload["deletedOrderIds"], json!([]));
    // What the caller may not read cannot be named, nor written.
    let by_cost = json!({"filter": {"cost": {"gt": "0"}}, "patch": {"stock": 1}, "atMost": 10});
    let response = alice.response(UPDATE, json!({"input": by_cost})).await;
    assert_eq!(error_codes(&response), ["FORBIDDEN"]);
    let team = server.client(&catalog_team());
    team.done(UPDATE, by_cost).await;
    let data = admin.data("{ orders(orderBy: [{number: ASC}]) { nodes { note } } }", json!({})).await;
    assert_eq!(data["orders"]["nodes"], json!([{"note": "mine"}, {"note": null}]));
}

/// Each takes what is free, at the same time.
async fn a_row_that_matches_is_taken_by_one(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    admin.done(CREATE, json!({"items": items(50)})).await;
    let take = async |worker: usize| {
        let input =
            json!({"filter": {"name": {"neq": "taken"}}, "patch": {"name": "taken", "stock": worker}, "atMost": 50});
        let payload = admin.done(UPDATE, input).await;
        payload["products"].as_array().expect("a list").len()
    };
    let taken = futures_util::future::join_all((1..=20).map(take)).await;
    assert_eq!(taken.iter().sum::<usize>(), 50, "{taken:?}");
    let versions = admin.data("{ products(filter: {version: {neq: 2}}) { totalCount } }", json!({})).await;
    assert_eq!(versions["products"]["totalCount"], 0);
}

async fn batches_are_bounded(case: &Case) {
    let server = case.server().await;
    let admin = server.client(&Caller::admin());
    let payload = admin.payload(CREATE, json!({"items": items(1001), "mode": "INDEPENDENT"})).await;
    assert_eq!(user_errors(&payload), errors(&[("TOO_MANY", "items")]));
    assert_eq!(payload["products"], json!([]));
    for at_most in [-1, 1001] {
        let expected = errors(&[("OUT_OF_RANGE", "atMost")]);
        let update = json!({"filter": {}, "patch": {"stock": 1}, "atMost": at_most});
        assert_eq!(admin.refused(UPDATE, update).await, expected, "{at_most}");
        assert_eq!(admin.refused(DELETE, json!({"filter": {}, "atMost": at_most})).await, expected, "{at_most}");
    }
    // Rows of owned lists count as well.
    let alice = server.client(&Caller::user("alice"));
    let customer = add_customer(&alice, "alice@example.org").await;
    let line = json!({"productId": "", "quantity": 1, "unitPrice": "1"});
    let order = json!({"customerId": customer, "lines": {"create": vec![line; 2001]}});
    let payload = alice.payload(CREATE_ORDERS, json!({"items": vec![order; 5]})).await;
    let found = user_errors(&payload);
    assert!(found.contains(&("TOO_MANY".to_owned(), "items.4.lines".to_owned())), "{:?}", &found[..5]);
    // What a payload may lead to is counted before anything is written.
    let mutation = "mutation($input: CreateProductsInput!) { createProducts(input: $input) {
        products { orderLines(first: 50) { nodes { id } } } userErrors { code } } }";
    let response = admin.response(mutation, json!({"input": {"items": items(500)}})).await;
    assert_eq!(error_codes(&response), ["COST_LIMIT_EXCEEDED"]);
    assert_eq!(skus(&admin).await, [""; 0]);
    assert_eq!(shop::log(&admin).await.len(), 1, "only the customer");
}
